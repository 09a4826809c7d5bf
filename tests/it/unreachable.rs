//! Servers that cannot be reached, or no longer: each way has its outcome, and the run goes on to its end.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{Place, at_once, count, faulty, serve, url};

/// Eight requests to `url`; returns the error report, which has one line.
fn eight_fail(url: &str, outcome: &str) -> String {
    let place = Place::new();
    let ran = place.run(&[
        "run",
        "-H",
        url,
        "-u",
        "4",
        "-r",
        "1000",
        "--max-requests",
        "8",
        "-o",
        "8",
        "-p",
        "32",
        "--provider",
        "vllm",
        "-m",
        "mock",
        "--json-file",
        "result.json",
        "--only-summary",
    ]);
    ran.expect(1);
    let result = place.json("result.json");
    let mut outcomes = serde_json::Map::new();
    outcomes.insert(outcome.to_owned(), json!(8));
    assert_eq!(
        result["totals"]["outcomes"],
        Value::Object(outcomes),
        "{}",
        result["errors"]
    );
    assert_eq!(result["totals"]["imbalance"], Value::Null);
    let errors = result["errors"].as_array().unwrap();
    assert_eq!(
        (errors.len(), &errors[0]["count"]),
        (1, &json!(8)),
        "{errors:#?}"
    );
    errors[0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let text = eight_fail(&format!("http://{address}"), "connect");
    assert!(text.contains("Connection refused"), "{text}");
}

#[test]
fn a_name_that_nobody_has_is_not_resolved() {
    let text = eight_fail("http://llmload.invalid:8000", "dns");
    assert!(
        text.starts_with("cannot resolve `llmload.invalid`"),
        "{text}"
    );
}

#[test]
fn a_server_that_speaks_no_tls_fails_the_handshake() {
    let mock = faulty(&[]);
    let text = eight_fail(&format!("https://{}", mock.addr()), "tls");
    assert!(!text.is_empty());
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}

#[test]
fn a_server_that_dies_in_mid_run_fails_the_rest_and_not_the_run() {
    let mock = serve(llmload::mock::Script {
        inter_token: "10ms".parse().unwrap(),
        ..at_once()
    });
    let (place, url) = (Place::new(), url(&mock));
    let running = place.start(
        &[
            "run",
            "-H",
            &url,
            "-u",
            "4",
            "-r",
            "1000",
            "-t",
            "2s",
            "-o",
            "8",
            "-p",
            "32",
            "--json-file",
            "result.json",
            "--only-summary",
        ],
        &[],
    );
    while mock.stats().snapshot().streams.completed < 8 {
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(mock);
    running.wait().expect(1);
    let result = place.json("result.json");
    let totals = &result["totals"];
    assert_eq!(totals["imbalance"], Value::Null);
    assert!(count(totals, "completed") >= 8, "{totals}");
    assert!(count(&totals["outcomes"], "connect") > 4, "{totals}");
    assert!(
        result["window"]["run_s"].as_f64().unwrap() < 3.0,
        "{}",
        result["window"]
    );
    let kinds = result["errors"].as_array().unwrap().len();
    assert!(kinds <= 5, "{}", result["errors"]);
}

#[test]
fn an_open_loop_goes_on_through_faults_at_its_rate() {
    let mock = faulty(&["status=0.2:500", "cut=0.2", "drop-before=0.2"]);
    let (place, url) = (Place::new(), url(&mock));
    let ran = place.run(&[
        "run",
        "-H",
        &url,
        "-u",
        "20",
        "--qps",
        "50",
        "-t",
        "2s",
        "-o",
        "8",
        "-p",
        "32",
        "--connection-reuse",
        "never",
        "--json-file",
        "result.json",
        "--only-summary",
    ]);
    ran.expect(1);
    let (result, stats) = (place.json("result.json"), mock.stats().snapshot());
    let totals = &result["totals"];
    let struck: u64 = stats.faults.values().sum();
    assert_eq!(
        (count(totals, "failed"), count(totals, "sent")),
        (struck, stats.requests.numbered)
    );
    assert_eq!((count(totals, "dropped"), count(totals, "lost")), (0, 0));
    assert!(count(totals, "scheduled") >= 100, "{totals}");
    assert_eq!(totals["imbalance"], Value::Null);
}
