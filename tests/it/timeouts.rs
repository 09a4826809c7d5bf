//! Each time-out ends a request in its own outcome, and none is set unless asked for.

use std::net::TcpListener;

use llmload::mock::Script;
use serde_json::{Value, json};

use crate::command::{Place, Ran, at_once, count, faulty, serve, url, words};

/// One request for each of eight users at once; the result is in `result.json`.
fn eight(place: &Place, url: &str, more: &[&str]) -> (Ran, Value) {
    let mut args = words("run -u 8 -r 1000 --max-requests 8 -o 8 -p 32 --provider vllm -m mock");
    args.extend(words(
        "--json-file result.json --only-summary --no-reset-stats",
    ));
    args.extend(["-H", url]);
    args.extend(more);
    let ran = place.run(&args);
    (ran, place.json("result.json"))
}

/// All eight fail with this outcome and these words, after at least `ms` and in less than a second more.
fn all_time_out(url: &str, more: &[&str], outcome: &str, words: &str, ms: f64) {
    let place = Place::new();
    let (ran, result) = eight(&place, url, more);
    ran.expect(1);
    let mut outcomes = serde_json::Map::new();
    outcomes.insert(outcome.to_owned(), json!(8));
    assert_eq!(
        result["totals"]["outcomes"],
        Value::Object(outcomes),
        "{}",
        result["errors"]
    );
    let errors = result["errors"].as_array().unwrap();
    let error = &errors[0];
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(
        (&error["outcome"], &error["text"], &error["count"]),
        (&json!(outcome), &json!(words), &json!(8))
    );
    let took = &result["metrics"]["failed_time_ms"];
    let (min, max) = (took["min"].as_f64().unwrap(), took["max"].as_f64().unwrap());
    // A time-out counts from the connection, the figure from the request's last byte: a busy machine is between.
    assert!(min >= ms - 50.0 && max < ms + 1000.0, "{min} to {max} ms");
}

#[test]
fn a_request_that_is_not_complete_in_time_is_given_up() {
    let mock = serve(Script {
        inter_token: "100ms".parse().unwrap(),
        ..at_once()
    });
    let words = "not complete within 300ms";
    all_time_out(
        &url(&mock),
        &["--timeout", "300ms"],
        "timeout_total",
        words,
        300.0,
    );
    let hung = faulty(&["hang=1"]);
    all_time_out(
        &url(&hung),
        &["--timeout", "300ms", "--no-stream"],
        "timeout_total",
        words,
        300.0,
    );
}

#[test]
fn a_role_or_a_ping_is_no_first_token_in_time() {
    let mock = serve(Script {
        ttft: "2s".parse().unwrap(),
        ping_every: Some(std::time::Duration::from_millis(50)),
        ..at_once()
    });
    let words = "no content within 300ms";
    all_time_out(
        &url(&mock),
        &["--timeout-first-token", "300ms"],
        "timeout_first_token",
        words,
        300.0,
    );
    let slow = faulty(&["slow-start=1:2s"]);
    all_time_out(
        &url(&slow),
        &["--timeout-first-token", "300ms"],
        "timeout_first_token",
        words,
        300.0,
    );
}

#[test]
fn a_stream_that_falls_silent_is_given_up() {
    let mock = faulty(&["stall=1:3,5s"]);
    let words = "nothing arrived within 300ms";
    all_time_out(
        &url(&mock),
        &["--timeout-idle", "300ms"],
        "timeout_idle",
        words,
        300.0,
    );
}

#[test]
fn a_slow_stream_is_never_idle_and_pings_keep_it_alive() {
    let slow = serve(Script {
        inter_token: "80ms".parse().unwrap(),
        ..at_once()
    });
    let pinging = serve(Script {
        ttft: "600ms".parse().unwrap(),
        ping_every: Some(std::time::Duration::from_millis(50)),
        ..at_once()
    });
    for mock in [slow, pinging] {
        let (ran, result) = eight(&Place::new(), &url(&mock), &["--timeout-idle", "300ms"]);
        ran.expect(0);
        assert_eq!(
            count(&result["totals"], "completed"),
            8,
            "{}",
            result["errors"]
        );
    }
}

#[test]
fn the_first_time_out_to_be_over_names_the_outcome() {
    let mock = faulty(&["stall=1:3,5s"]);
    let all = [
        "--timeout-first-token",
        "200ms",
        "--timeout-idle",
        "300ms",
        "--timeout",
        "3s",
    ];
    all_time_out(
        &url(&mock),
        &all,
        "timeout_idle",
        "nothing arrived within 300ms",
        300.0,
    );
}

/// A listener whose backlog takes connections and that never says a word: no TLS handshake ends.
#[test]
fn a_handshake_that_never_ends_is_a_time_out_of_the_connection() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let place = Place::new();
    let (ran, result) = eight(&place, &url, &["--connect-timeout", "300ms"]);
    ran.expect(1);
    assert_eq!(
        result["totals"]["outcomes"],
        json!({"timeout_connect": 8}),
        "{}",
        result["errors"]
    );
    let errors = result["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[0]["count"]), (1, &json!(8)));
    let text = errors[0]["text"].as_str().unwrap();
    assert!(text.contains("300ms") || text.contains("0.3"), "{text}");
}

#[test]
fn a_time_out_spares_the_requests_that_are_in_time() {
    let mock = faulty(&["slow-start=0.4:5s"]);
    let place = Place::new();
    let more = [
        "--timeout",
        "500ms",
        "--max-requests",
        "24",
        "--max-fail-ratio",
        "0.9",
    ];
    let (ran, result) = eight(&place, &url(&mock), &more);
    ran.expect(0);
    let struck = mock.stats().snapshot().faults["slow-start"];
    let expected = json!({"timeout_total": struck, "truncated": 24 - struck});
    assert!(struck > 2 && struck < 22, "{struck}");
    assert_eq!(
        result["totals"]["outcomes"], expected,
        "{}",
        result["errors"]
    );
}

#[test]
fn there_is_no_time_out_unless_one_is_asked_for() {
    let mock = faulty(&["slow-start=0.5:1500ms", "stall=0.5:3,1500ms"]);
    let (ran, result) = eight(&Place::new(), &url(&mock), &[]);
    ran.expect(0);
    assert_eq!(count(&result["totals"], "completed"), 8);
    let limits = &result["plan"]["limits"];
    for limit in ["total", "first_token", "idle"] {
        assert_eq!(limits[limit], Value::Null, "{limits}");
    }
}
