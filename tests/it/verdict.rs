//! The generator's judgement of itself, from outside: statuses, words, and figures that stand beside them.
//! How grave a figure is has been tested beside the rules.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use llmload::mock::Script;
use serde_json::json;

use crate::command::{Place, Ran, serve, words};
use crate::process::{Cluster, alone, mock, shared, towards};

/// How often a busy machine may disturb a run before it counts.
const TRIES: usize = 8;

fn strict(place: &Place, server: SocketAddr, line: &str) -> Ran {
    let line = format!(
        "run -H http://{server} -m mock --provider openai --only-summary --json-file result.json --no-allow-invalid {line}"
    );
    place.run(&words(&line))
}

/// A server that has an answer of a thousand events ready for everybody: reading it is far more work than writing it.
fn flood() -> SocketAddr {
    let event = r#"{"choices":[{"index":0,"delta":{"content":"word "}}]}"#;
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let body =
        format!("data: {event}\n\n").repeat(1_000) + &format!("data: {end}\n\ndata: [DONE]\n\n");
    let answer: Arc<[u8]> = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
    .into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It serves to the end of the process: nothing waits for it.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer_all(stream, &answer));
        }
    });
    address
}

/// Until the client goes away.
fn answer_all(mut stream: TcpStream, answer: &[u8]) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        stream.write_all(answer).ok()?;
    }
}

#[test]
fn a_saturated_core_makes_a_run_invalid_unless_that_is_allowed() {
    let _alone = alone();
    let place = Place::new();
    let server = flood();
    let load = "-u 64 -r 1000 -t 3s --threads 1 -p 32 -o 1000";
    let ran = strict(&place, server, load);
    ran.expect(4);
    let complaint = ran.complaint();
    assert!(
        complaint.starts_with("error: the run is invalid: core 0 was busy for ")
            && complaint.contains("\nhint: "),
        "{complaint}"
    );
    assert!(
        ran.stdout
            .contains("  verdict: INVALID: core 0 was busy for "),
        "{}",
        ran.stdout
    );
    let result = place.json("result.json");
    assert_eq!(
        (&result["verdict"], &result["failure"]),
        (&json!("invalid"), &json!(null))
    );
    let core = &result["generator"]["cores"][0];
    assert!(core["busy_share"].as_f64().unwrap() >= 0.95, "{core}");
    let ran = strict(&place, server, &format!("{load} --allow-invalid"));
    ran.expect(0);
    assert_eq!(ran.complaint(), "");
    assert!(ran.stdout.contains("  verdict: INVALID: core 0 was busy "));
}

#[test]
fn load_that_could_not_be_sent_makes_a_run_invalid() {
    let _shared = shared();
    let place = Place::new();
    let mock = mock("300ms", "1ms");
    let ran = strict(&place, mock.addr(), "--qps 20 -u 1 -t 2s -p 32 -o 2");
    ran.expect(4);
    let result = place.json("result.json");
    assert_eq!(result["reasons"][0]["name"], json!("not_sent"));
    let total = |name: &str| result["totals"][name].as_u64().unwrap();
    let (unsent, scheduled) = (total("late_cancelled"), total("scheduled"));
    assert!(unsent > 20, "{unsent}");
    assert!(
        ran.complaint().starts_with(&format!(
            "error: the run is invalid: {unsent} of {scheduled} requests came due and were never sent"
        )),
        "{}",
        ran.complaint()
    );
}

#[test]
fn a_lone_slow_stream_is_beyond_doubt() {
    let _alone = alone();
    let place = Place::new();
    let mock = serve(Script {
        ttft: "100ms".parse().unwrap(),
        inter_token: "5ms".parse().unwrap(),
        ..Script::default()
    });
    let reasons: Vec<_> = (0..TRIES)
        .map_while(|_| {
            let ran = strict(&place, mock.addr(), "-u 1 -t 2s --threads 1 -p 32 -o 5");
            let result = place.json("result.json");
            let is_ok = result["verdict"] == json!("ok");
            assert_eq!(ran.stdout.contains("\n  verdict: OK\n"), is_ok);
            (!is_ok).then(|| result["reasons"].clone())
        })
        .collect();
    assert!(reasons.len() < TRIES, "{reasons:#?}");
}

#[test]
fn without_the_kernels_stamps_the_event_loops_lag_stands_in() {
    let _shared = shared();
    let place = Place::new();
    let mock = mock("20ms", "1ms");
    let line = "-u 2 -t 2s --threads 1 -p 32 -o 5 --stamps clock --allow-invalid";
    let ran = strict(&place, mock.addr(), line);
    ran.expect(0);
    assert!(
        ran.stdout.contains("\n  event-loop lag p50 "),
        "{}",
        ran.stdout
    );
    let result = place.json("result.json");
    // A look every ten milliseconds, and none beyond.
    let looks = result["metrics"]["receive_lag_ms"]["count"]
        .as_u64()
        .unwrap();
    assert!((20..=250).contains(&looks), "{looks}");
}

#[test]
fn every_core_of_a_cluster_is_in_the_report_and_the_stamps_have_a_source() {
    let _shared = shared();
    let mock = mock("2ms", "1ms");
    let cluster = Cluster::start(&towards(&mock, "-u 4 -r 1000 -t 2s"), 2);
    let (master, _) = cluster.succeed();
    let result = master.result();
    let cores = result.at("/generator/cores").as_array().unwrap();
    let numbers: Vec<_> = cores.iter().map(|core| &core["core"]).collect();
    // The first core of the first worker, and that of the second.
    assert_eq!(numbers, [0, 1 << 12]);
    for core in cores {
        let figure = |name: &str| core[name].as_f64().unwrap();
        assert!(figure("running_s") > 0.0, "{core}");
        // The measured window is two seconds long, and a busy machine reports late.
        assert!((0.5..4.0).contains(&figure("observed_s")), "{core}");
    }
    if cfg!(target_os = "linux") {
        assert!(result.count("/generator/processor_ticks") > 0);
    }
    let text = &master.stdout;
    assert!(
        text.contains("\nGenerator\n") && text.contains("\n  stamps: "),
        "{text}"
    );
    for metric in ["send_delay_ms", "total_latency_ms"] {
        let good = result.count("/measured/good");
        assert_eq!(result.count(&format!("/metrics/{metric}/count")), good);
    }
}
