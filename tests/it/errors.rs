//! What is wrong before a run is found before it: an error, a hint, the right status, and nothing sent.
//! How many failures a run may have, and with which status it ends then, stands here too.

use std::net::TcpListener;

use llmload::mock::MockHandle;
use serde_json::json;

use crate::command::{Place, Ran, count, faulty, url};
use crate::server::{Answer, Server};

/// A complaint without what differs from one run to the next.
fn shown(ran: &Ran, place: &Place) -> String {
    let text = ran.complaint();
    let text = text.replace(&*place.path().to_string_lossy(), "PLACE");
    let mut words = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("127.0.0.1:") {
        let (before, port) = rest.split_at(at + "127.0.0.1:".len());
        words.push_str(before);
        words.push_str("PORT");
        rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    words + rest
}

/// Runs against `mock` with these options too, which must end it with status 2 before anything is sent.
fn refused(mock: &MockHandle, place: &Place, more: &[&str]) -> String {
    let url = url(mock);
    let ran = place.run(&[&["run", "-H", &url, "-t", "5s", "--only-summary"], more].concat());
    ran.expect(2);
    assert_eq!(ran.stdout, "");
    assert_eq!(
        mock.stats().snapshot().requests.numbered,
        0,
        "something was sent"
    );
    shown(&ran, place)
}

#[test]
fn a_wrong_option_is_told_with_the_nearest_one() {
    let place = Place::new();
    insta::assert_snapshot!(refused(&faulty(&[]), &place, &["--max-token", "3"]), @r#"
    error: unexpected argument '--max-token' found

      tip: a similar argument exists: '--max-tokens'

    Usage: llmload run --host <URL> --run-time <SPAN> --only-summary --max-tokens <N>

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(refused(&faulty(&[]), &place, &["--timeout", "soon"]), @r#"
    error: invalid value 'soon' for '--timeout <SPAN>': `soon` is not a span of time (like 300, 20s, 5min, 1h20m, 500ms, 1.5h; at most ten years) (`none` waits for ever)

    For more information, try '--help'.
    "#);
}

#[test]
fn what_only_the_data_set_or_the_server_shows_to_be_without_effect_is_refused_too() {
    let place = Place::new();
    let row = r#"{"timestamp":0,"input_length":40,"output_length":2,"hash_ids":[1]}"#;
    place.write("trace.jsonl", row);
    place.write("rows.jsonl", r#"{"prompt":"hi"}"#);
    let trace = ["-d", "@trace.jsonl"];
    let mut told = String::new();
    for more in [
        &[&trace[..], &["--think-time", "1s"]].concat()[..],
        &[&trace[..], &["--ramping-time", "5s"]].concat(),
        &[&trace[..], &["-r", "2"]].concat(),
        &[&trace[..], &["--qps", "2", "--trace-speed", "2"]].concat(),
        &["-d", "@rows.jsonl", "--trace-speed", "2"],
        &["--azure-deployment", "mine"],
    ] {
        told += &refused(&faulty(&[]), &place, more);
        told.push('\n');
    }
    insta::assert_snapshot!(told, @r#"
    error: --think-time has no effect on a trace, whose requests are due at its own times
    hint: leave --think-time out, or pace the rows with --qps
    error: --ramping-time has no effect on a trace, whose requests are due at its own times
    hint: leave --ramping-time out, or pace the rows with --qps
    error: --spawn-rate has no effect on a trace, whose requests are due at its own times
    hint: leave --spawn-rate out, or pace the rows with --qps
    error: --trace-speed speeds a trace's own times up, and they do not pace this run
    hint: leave it out
    error: --trace-speed speeds a trace's own times up, and they do not pace this run
    hint: leave it out
    error: --azure-deployment is for Azure, and the provider is vllm
    hint: leave it out, or --provider azure
    "#);
}

#[test]
fn a_settings_file_with_an_unknown_key_is_told_with_its_line() {
    let place = Place::new();
    place.write("locust.conf", "# mine\nusers = 3\nspwan-rate = 2\n");
    insta::assert_snapshot!(refused(&faulty(&[]), &place, &[]), @r#"
    error: ./locust.conf:3: unknown key `spwan-rate`
    hint: did you mean `spawn-rate`?
    "#);
}

#[test]
fn files_that_cannot_be_written_are_found_before_the_run() {
    let (place, mock) = (Place::new(), faulty(&[]));
    insta::assert_snapshot!(refused(&mock, &place, &["--summary-file", "no/such/runs.csv"]), @r#"
    error: cannot write `no/such/runs.csv`: No such file or directory (os error 2)
    hint: --summary-file takes a file in a folder that can be written
    "#);
    insta::assert_snapshot!(refused(&mock, &place, &["--json-file", "no/such/run.json"]), @r#"
    error: cannot write `no/such/run.json`: No such file or directory (os error 2)
    hint: --json-file takes a file in a folder that can be written
    "#);
    insta::assert_snapshot!(refused(&mock, &place, &["--csv", "no/such/locust"]), @r#"
    error: cannot write `no/such/locust_stats_history.csv`: No such file or directory (os error 2)
    hint: --csv takes a file in a folder that can be written
    "#);
    insta::assert_snapshot!(refused(&mock, &place, &["--records", "no/such/records.jsonl"]), @r#"
    error: cannot create the records file `no/such/records.jsonl`: No such file or directory (os error 2)
    hint: --records FILE in a folder that can be written
    "#);
    insta::assert_snapshot!(refused(&mock, &place, &["--logfile", "no/such/log"]), @r#"
    error: cannot open the log file `no/such/log`: No such file or directory (os error 2)
    hint: --logfile FILE in a folder that can be written
    "#);
    insta::assert_snapshot!(refused(&mock, &place, &["--json-file", "home"]), @r#"
    error: cannot write `home`: Is a directory (os error 21)
    hint: --json-file takes a file in a folder that can be written
    "#);
}

#[test]
fn files_that_cannot_be_read_are_found_before_the_run() {
    let (place, mock) = (Place::new(), faulty(&[]));
    insta::assert_snapshot!(refused(&mock, &place, &["--tokenizer", "./no/tokenizer.json"]), @r#"
    error: no tokenizer `./no/tokenizer.json`: looked for `./no/tokenizer.json/tokenizer.json`
    hint: --tokenizer takes a tokenizer.json, a folder that holds one, or a hub id like org/name
    "#);
    insta::assert_snapshot!(refused(&mock, &place, &["--prompt-text", "@no/prompts.jsonl"]), @r#"
    error: cannot read `no/prompts.jsonl`: No such file or directory (os error 2)
    hint: --prompt-text @FILE takes a text, or rows in a file that ends in .jsonl
    "#);
    insta::assert_snapshot!(refused(&mock, &place, &["--config", "no.conf"]), @r#"
    error: cannot read the settings file `no.conf`: No such file or directory (os error 2)
    hint: --config takes a file of `key = value` lines that can be read
    "#);
    insta::assert_snapshot!(refused(&mock, &place, &["--ca-cert", "no.pem"]), @r#"
    error: cannot read the CA file `no.pem`: No such file or directory (os error 2)
    hint: --ca-cert takes a PEM file
    "#);
    place.write("bad.jsonl", "{\"prompt\": \"fine\"}\n{\"prompt\": \"torn\n");
    insta::assert_snapshot!(refused(&mock, &place, &["--prompt-text", "@bad.jsonl"]), @r#"
    error: cannot use the data set `bad.jsonl`: line 2: not a JSON object: EOF while parsing a string at line 1 column 16
    hint: --prompt-text @FILE takes a text, or rows in a file that ends in .jsonl
    "#);
    place.write(
        "bad.jsonl",
        "{\"prompt\": \"fine\"}\n{\"prmpt\": \"off\"}\n",
    );
    insta::assert_snapshot!(refused(&mock, &place, &["--prompt-text", "@bad.jsonl"]), @r#"
    error: cannot use the data set `bad.jsonl`: line 2: neither `prompt` nor `messages` (nor another API's content field)
    hint: --prompt-text @FILE takes a text, or rows in a file that ends in .jsonl
    "#);
}

#[test]
fn a_server_that_is_not_there_is_told_before_the_run() {
    let place = Place::new();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let ran = place.run(&["run", "-H", &url, "-t", "5s"]);
    ran.expect(2);
    insta::assert_snapshot!(shown(&ran, &place), @r#"
    error: cannot ask `http://127.0.0.1:PORT/v1/models`: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
    hint: is the server up, and is -H its address? --provider and --model spare the question
    "#);
}

#[test]
fn a_server_that_wants_a_key_is_told_before_the_run() {
    let place = Place::new();
    let server = Server::start(Answer::Refuse(401));
    let ran = place.run(&["run", "-H", &server.url(), "-t", "5s"]);
    ran.expect(2);
    insta::assert_snapshot!(shown(&ran, &place), @r#"
    error: cannot ask `http://127.0.0.1:PORT/v1/models`: status 401 Unauthorized
    hint: --api-key, or API_KEY in the environment
    "#);
    assert_eq!(server.heads().len(), 1);
}

#[test]
fn a_master_whose_port_is_taken_says_so() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mock = faulty(&[]);
    let ran = place.run(&[
        "master",
        "-H",
        &url(&mock),
        "-t",
        "5s",
        "--master-bind-port",
        &port,
    ]);
    ran.expect(2);
    insta::assert_snapshot!(shown(&ran, &place), @r#"
    error: cannot listen on 127.0.0.1:PORT: Address already in use (os error 98)
    hint: is another master running? --master-bind-port takes another port
    "#);
}

/// Twenty requests, some of which fail. Returns how it ended and how many those are.
fn twenty(more: &[&str]) -> (Ran, u64, Place) {
    let (place, mock) = (Place::new(), faulty(&["status=0.2:500"]));
    let url = url(&mock);
    let args = [
        "run",
        "-H",
        &url,
        "-u",
        "4",
        "-r",
        "1000",
        "-o",
        "8",
        "-p",
        "32",
        "--max-requests",
        "20",
    ];
    let ran = place.run(
        &[
            &args[..],
            &["--json-file", "result.json", "--only-summary"],
            more,
        ]
        .concat(),
    );
    let struck = mock.stats().snapshot().faults["status"];
    assert!(struck > 1 && struck < 10, "{struck}");
    (ran, struck, place)
}

#[test]
fn the_fail_ratio_is_of_real_requests_alone() {
    let (_, struck, _) = twenty(&[]);
    #[expect(clippy::cast_precision_loss, reason = "a number below 20")]
    let ratio = struck as f64 / 20.0;
    let (allowed, less) = (ratio.to_string(), (ratio - 0.001).to_string());
    let (ran, _, place) = twenty(&["--max-fail-ratio", &allowed, "--no-reset-stats"]);
    ran.expect(0);
    let measured = &place.json("result.json")["measured"];
    assert_eq!(measured["fail_ratio"], json!(ratio));
    assert_eq!(
        (count(measured, "requests"), count(measured, "failures")),
        (20, struck)
    );
    let percent = format!("{struck}({:.2}%)", ratio * 100.0);
    let aggregated: Vec<_> = ran
        .stdout
        .lines()
        .filter(|line| line.contains("Aggregated"))
        .collect();
    assert!(aggregated[0].contains(&percent), "{percent} {aggregated:?}");
    let (ran, _, _) = twenty(&["--max-fail-ratio", &less, "--no-reset-stats"]);
    ran.expect(1);
    assert_eq!(
        ran.complaint(),
        format!("error: {struck} of 20 requests failed: more than --max-fail-ratio {less}")
    );
}

#[test]
fn the_status_of_a_failed_run_can_be_chosen_and_its_failure_is_written() {
    let (ran, struck, place) = twenty(&["--exit-code-on-error", "7", "--no-reset-stats"]);
    ran.expect(7);
    let failure = format!("{struck} of 20 requests failed: more than --max-fail-ratio 0.01");
    assert_eq!(place.json("result.json")["failure"], json!(failure));
    assert!(
        ran.stdout
            .contains(&format!("  the run failed: {failure}\n")),
        "{}",
        ran.stdout
    );
    let (ran, _, place) = twenty(&["--exit-code-on-error", "0", "--no-reset-stats"]);
    ran.expect(0);
    assert_eq!(place.json("result.json")["failure"], json!(failure));
}
