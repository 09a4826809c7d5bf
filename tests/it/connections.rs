//! Connections ahead of the first requests: opened before the run's start, counted once, and no condition of the run.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use llmload::mock::MockHandle;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::command::{Place, words};
use crate::counts::{Party, assert_conserved};
use crate::process::{Ended, Program, eventually, mock, quick_mock, settled, shared, towards};

/// The three counts of the report: opened, those of them ahead, reused.
fn counts(ended: &Ended) -> (u64, u64, u64) {
    let report = ended.result();
    assert_conserved(&report);
    let of = |name: &str| report.count(&format!("/connections/{name}"));
    (of("opened"), of("warmed"), of("reused"))
}

fn accepted(mock: &MockHandle) -> u64 {
    mock.stats().snapshot().connections.accepted
}

/// Runs it and returns the counts; the mock must have accepted as many connections as the report says were opened.
fn run(mock: &MockHandle, line: &str) -> (Ended, (u64, u64, u64)) {
    let line = format!("run {}", towards(mock, line));
    let ended = Program::start(&line).wait().expect(0);
    let found = counts(&ended);
    settled(mock);
    assert_eq!(found.0, accepted(mock), "opened, and accepted");
    (ended, found)
}

#[test]
fn every_user_has_its_connection_before_the_first_request() {
    let _shared = shared();
    for party in [Party::Alone, Party::Workers(3)] {
        let mock = quick_mock();
        let line = "-u 40 -r 1000 --max-requests 200";
        let seen = thread::scope(|scope| {
            let run = scope.spawn(|| party.carry_out(&mock, line));
            // There is half a second between the last handshake and the start.
            eventually("40 connections", || (accepted(&mock) == 40).then_some(()));
            let early = mock.stats().snapshot().requests.numbered;
            (early, run.join().unwrap())
        });
        let (early, ended) = seen;
        assert_eq!(early, 0, "{party:?}: requests before the connections");
        assert_eq!(counts(&ended), (40, 40, 200), "{party:?}");
        assert_eq!(accepted(&mock), 40);
        let report = ended.result();
        assert_eq!(report.count("/metrics/connect_time_ms/count"), 40);
        let line = "opened 40, of which 40 before they were needed, reused 200 times";
        assert!(ended.stdout.contains(line), "{}", ended.stdout);
    }
}

#[test]
fn no_request_waits_for_a_handshake_unless_asked_to() {
    let _shared = shared();
    let new = |ended: &Ended| {
        let records = ended.records("sent.jsonl");
        let new = |record: &&Value| record["new_connection"] == json!(true);
        records.iter().filter(new).count() as u64
    };
    let line = "-u 6 -r 1000 --max-requests 60 --records sent.jsonl";
    let warm = quick_mock();
    let (ended, found) = run(&warm, line);
    assert_eq!((new(&ended), found), (0, (6, 6, 60)));
    let cold = quick_mock();
    let (ended, found) = run(&cold, &format!("{line} --no-warm-connections"));
    let (opened, ahead, reused) = found;
    assert!((1..=6).contains(&opened), "{opened}");
    assert_eq!((new(&ended), ahead, reused), (opened, 0, 60 - opened));
}

#[test]
fn users_of_a_slow_ramp_find_theirs_too_and_no_sooner() {
    let _shared = shared();
    let mock = quick_mock();
    let program = Program::start(&format!("run {}", towards(&mock, "-u 4 -r 1 -t 500ms")));
    eventually("the first user's and the second's", || {
        (accepted(&mock) == 2).then_some(())
    });
    let since = Instant::now();
    eventually("the fourth's", || (accepted(&mock) == 4).then_some(()));
    // It starts at 3 s, so its connection is opened at 2 s; the first two were there half a second before the start.
    assert!(since.elapsed() > Duration::from_secs(2));
    let ended = program.wait().expect(0);
    let (opened, ahead, reused) = counts(&ended);
    assert_eq!((opened, ahead), (4, 4));
    assert_eq!(reused, ended.result().total("sent"));
}

#[test]
fn a_steep_ramp_opens_each_users_connection_once() {
    let _shared = shared();
    let mock = mock("300ms", "50ms");
    let (_, (opened, ahead, _)) = run(&mock, "-u 300 -r 150 -t 200ms");
    assert_eq!((opened, ahead), (300, 300));
}

#[test]
fn what_is_opened_ahead_follows_the_way_connections_are_used() {
    let _shared = shared();
    let per_user = quick_mock();
    let line = "-u 12 --qps 60 --max-requests 60";
    let (_, found) = run(&per_user, &format!("{line} --connection-reuse per-user"));
    assert_eq!(found, (12, 12, 60));
    let never = quick_mock();
    let (_, found) = run(&never, &format!("{line} --connection-reuse never"));
    assert_eq!(found, (60, 0, 0));
    let pooled = quick_mock();
    let (_, found) = run(&pooled, line);
    assert_eq!(found, (12, 12, 60));
    // Three requests are sent in all: the others need none. Cores share the three: of several, nobody knows who sends them.
    let few = quick_mock();
    let (_, found) = run(&few, "-u 12 -r 1000 --max-requests 3 --threads 1");
    assert_eq!(found, (3, 3, 3));
}

#[test]
fn an_http2_connection_carries_a_hundred_users() {
    let _shared = shared();
    for (more, ahead) in [("", 3), ("--no-warm-connections", 0)] {
        let mock = mock("100ms", "10ms");
        let line = format!("-u 250 -r 100000 --http 2 --threads 1 --max-requests 500 {more}");
        let (_, found) = run(&mock, &line);
        assert_eq!(found, (3, ahead, 500 - (3 - ahead)));
    }
}

/// A server of whole answers that closes every connection after a tenth of a second without a request.
fn impatient() -> String {
    const ANSWER: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"a b c d e"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let patience = Some(Duration::from_millis(100));
            stream.set_read_timeout(patience).unwrap();
            thread::spawn(move || {
                let mut request = [0; 8192];
                // Requests are short: one read has a whole one.
                while stream.read(&mut request).is_ok_and(|read| read > 0) {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        ANSWER.len()
                    );
                    let _ = stream.write_all((head + ANSWER).as_bytes());
                }
            });
        }
    });
    url
}

#[test]
fn connections_that_the_server_closed_before_the_start_cost_no_request() {
    let _shared = shared();
    let (place, url) = (Place::new(), impatient());
    let mut args = words("run -u 3 -r 1000 --max-requests 9 -o 5 -p 32 --no-stream --only-summary");
    args.extend(words("--provider openai -m m --json-file result.json"));
    args.extend(["-H", &url]);
    place.run(&args).expect(0);
    let result = place.json("result.json");
    assert_eq!(result["totals"]["completed"], json!(9));
    assert_eq!(result["connections"]["warmed"], json!(3));
    let of = |name: &str| result["connections"][name].as_u64().unwrap();
    // None of the three lasted until the start; each request used one opened then or kept since.
    assert!(of("opened") > 3, "{}", result["connections"]);
    assert_eq!(of("opened") - 3 + of("reused"), 9);
    assert_eq!(
        result["warnings"].to_string().matches("sent_again").count(),
        0
    );
}

/// A server that takes connections and never says a word, so that no TLS handshake comes to an end.
fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    (listener, url)
}

const MUTE: &str =
    "run -u 40 -r 1000 --max-requests 40 -o 8 -p 32 --provider vllm -m mock --only-summary";

#[test]
fn a_server_that_shakes_no_hands_delays_the_start_by_one_connect_timeout() {
    let _shared = shared();
    let (place, (_mute, url)) = (Place::new(), mute());
    let mut args = words(MUTE);
    args.extend(["-H", &url, "--connect-timeout", "1s"]);
    args.extend(["--json-file", "result.json"]);
    let started = Instant::now();
    place.run(&args).expect(1);
    let took = started.elapsed();
    // One for the warm-up, of which only the first few are tried, and one for the requests.
    assert!(took < Duration::from_secs(8), "{took:?}");
    let result = place.json("result.json");
    assert_eq!(result["totals"]["outcomes"], json!({"timeout_connect": 40}));
    assert_eq!(result["connections"]["warmed"], json!(0));
}

#[test]
fn a_signal_ends_the_opening_of_connections_at_once() {
    let _shared = shared();
    let (mute, url) = mute();
    let program = Program::start(&format!("{MUTE} -H {url}"));
    // The handshake has begun; the time-out for it is 30 s.
    mute.accept().unwrap();
    let since = Instant::now();
    program.signal(Signal::INT);
    program.wait().expect(130);
    assert!(since.elapsed() < Duration::from_secs(10));
}

/// The command after a limit of open files: `ulimit` of this shell sets what it is told to set.
fn limited(place: &Place, ulimit: &str, args: &[&str]) -> crate::command::Ran {
    let mut command = place.command("sh");
    command.arg("-c");
    command.arg(format!("ulimit {ulimit} && exec \"$0\" \"$@\""));
    command.arg(crate::command::binary()).args(args);
    crate::command::Running::start(&mut command).wait()
}

#[test]
fn too_few_open_files_are_told_before_the_run_with_numbers() {
    let _shared = shared();
    let (place, mock) = (Place::new(), quick_mock());
    let url = crate::command::url(&mock);
    let mut args = words("run -u 300 -r 1000 --max-requests 300 -o 2 -p 32 --threads 2 -m mock");
    args.extend(["--only-summary", "--start-spread", "0s"]);
    args.extend(["--provider", "openai", "-H", &url]);
    let ran = limited(&place, "-n 200", &args);
    ran.expect(2);
    insta::assert_snapshot!(ran.complaint(), @r"
    error: 300 connections and 80 files of its own need 380 open files, and this process may have 200
    hint: raise the limit (`ulimit -n 380`), or share the users out among more workers
    ");
    assert_eq!(accepted(&mock), 0);
    // The soft limit alone is no obstacle.
    limited(&place, "-Sn 200", &args).expect(0);
    assert_eq!(accepted(&mock), 300);
    // Two cores of 150 users each need two connections each.
    args.extend(["--http", "2"]);
    limited(&place, "-n 200", &args).expect(0);
    assert_eq!(accepted(&mock), 304);
}

#[test]
fn a_worker_says_to_its_master_that_it_may_not_open_so_many_files() {
    let _shared = shared();
    let (place, mock) = (Place::new(), quick_mock());
    let line = towards(&mock, "-u 300 -r 1000 --max-requests 300");
    let master = Program::start(&format!("master --master-bind-port 0 {line}"));
    let address = master.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap();
    let worker = ["worker", "--threads", "1", "--master", address];
    limited(&place, "-n 200", &worker);
    let ended = master.wait().expect(2);
    let words = "300 connections and 72 files of its own need 372 open files, and this process may have 200";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("hint: raise the limit"),
        "{}",
        ended.stderr
    );
    assert_eq!(accepted(&mock), 0);
}
