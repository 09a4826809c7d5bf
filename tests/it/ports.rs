//! Local addresses and local ports: which are used, and what happens when there are no more.
//! Ports run out in a network namespace of the test's own, where nobody else needs them.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::command::{Place, Ran, Running, binary, count, faulty, url, words};
use crate::process::shared;

/// Forty ports to connect from, and a mock that listens on another one; no IPv6.
const NAMESPACE: &str = r#"
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
ip link set lo up && echo 42000 42039 > /proc/sys/net/ipv4/ip_local_port_range || exit 77
[ "$#" = 0 ] && exit 0
"$0" mock-server --port 41000 > mock.log &
until grep -q listening mock.log; do sleep 0.05; done
"$0" "$@"
"#;

/// Runs llmload in such a namespace, or nothing in it; it and all its processes end together.
fn in_a_namespace(place: &Place, args: &[&str]) -> Running {
    let mut command = place.command("unshare");
    command.args(["-rnpf", "--kill-child", "sh", "-c", NAMESPACE]);
    command.arg(binary()).args(args);
    Running::start(&mut command)
}

fn namespaces_are_allowed(place: &Place) -> bool {
    let there = place
        .command("unshare")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if there.is_err() {
        println!("skipped: this system has no `unshare`");
        return false;
    }
    let ran = in_a_namespace(place, &[]).wait();
    if ran.status != Some(0) {
        println!("skipped: no network namespace here: {}", ran.stderr);
        return false;
    }
    true
}

/// Sixty users for a second.
fn sixty(place: &Place, more: &str) -> (Ran, Value) {
    let line = "run -u 60 -r 100000 -t 1s -o 8 -p 32 -H http://127.0.0.1:41000 --provider vllm -m mock \
                --json-file result.json --only-summary";
    let args = [words(line), words(more)].concat();
    let ran = in_a_namespace(place, &args).wait();
    (ran, place.json("result.json"))
}

#[test]
fn out_of_local_ports_is_an_error_of_its_own_that_a_further_address_mends() {
    let (_shared, place) = (shared(), Place::new());
    if !namespaces_are_allowed(&place) {
        return;
    }
    let (ran, result) = sixty(&place, "");
    ran.expect(1);
    let totals = &result["totals"];
    assert_eq!(totals["imbalance"], Value::Null);
    let outcomes = &totals["outcomes"];
    assert_eq!(
        count(outcomes, "connect"),
        count(totals, "failed"),
        "{outcomes}"
    );
    // Forty users go on undisturbed: an answer takes 55 ms.
    assert!(count(totals, "completed") > 200, "{outcomes}");
    assert_eq!(result["connections"]["opened"], json!(40));
    let errors = result["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(
        errors[0]["text"],
        json!(
            "out of local ports to connect to 127.0.0.1:41000; hint: --source-ip with a further address of this \
             machine, connections that are kept (--connection-reuse), or more workers"
        )
    );
    let run_s = result["window"]["run_s"].as_f64().unwrap();
    assert!(run_s < 4.0, "{run_s}");

    let (ran, result) = sixty(&place, "--source-ip 127.0.0.1,127.0.0.2");
    ran.expect(0);
    assert_eq!(result["connections"]["opened"], json!(60));
    assert_eq!(count(&result["totals"], "failed"), 0);

    // Where both are too few the words say so; nobody waits for ever.
    let (ran, result) = sixty(
        &place,
        "--source-ip 127.0.0.1 --source-ip 127.0.0.2 -u 100 --no-warm-connections",
    );
    ran.expect(1);
    assert_eq!(result["connections"]["opened"], json!(80));
    let text = result["errors"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with(
            "out of local ports to connect to 127.0.0.1:41000 from any --source-ip; hint: "
        ),
        "{text}"
    );
}

/// The system has one error for both.
#[test]
fn a_machine_without_ipv6_is_not_said_to_be_out_of_ports() {
    let (_shared, place) = (shared(), Place::new());
    if !namespaces_are_allowed(&place) {
        return;
    }
    let (ran, result) = sixty(&place, "-H http://[::1]:41000 -u 2 --max-requests 4");
    ran.expect(1);
    assert_eq!(result["totals"]["outcomes"], json!({"connect": 4}));
    let text = result["errors"][0]["text"].as_str().unwrap();
    assert!(!text.contains("out of local ports"), "{text}");
}

#[test]
fn a_source_address_of_another_machine_is_told_before_the_run() {
    let (_shared, place, mock) = (shared(), Place::new(), faulty(&[]));
    let url = url(&mock);
    let mut args = words("run -t 5s --provider vllm -m mock --source-ip 127.0.0.1,192.0.2.7");
    args.extend(["-H", &url]);
    let ran = place.run(&args);
    ran.expect(2);
    insta::assert_snapshot!(ran.complaint(), @r"
    error: cannot connect from `192.0.2.7`: Cannot assign requested address (os error 99)
    hint: --source-ip takes addresses of this machine (`ip address` lists them)
    ");
    assert_eq!(mock.stats().snapshot().connections.accepted, 0);
    args.push("--source-ip");
    args.push("nearby");
    let ran = place.run(&args);
    ran.expect(2);
    assert!(
        ran.complaint()
            .contains("invalid value 'nearby' for '--source-ip <IP>': not an IP address"),
        "{}",
        ran.complaint()
    );
}

#[test]
fn questions_and_requests_come_from_the_source_address() {
    let (_shared, place) = (shared(), Place::new());
    for known in ["", "--provider vllm -m mock"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let line = "run -u 1 --max-requests 1 --source-ip 127.0.0.9,127.0.0.8 --only-summary";
        let mut args = [words(line), words(known)].concat();
        args.extend(["-H", &url]);
        let running = place.start(&args, &[]);
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.9", "{known}");
        drop(listener);
        let status = if known.is_empty() { 2 } else { 1 };
        running.wait().expect(status);
    }
}
