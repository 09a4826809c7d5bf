//! What `doctor` finds: of a good server, of none, and of those that send all at once, count wrongly or write too much.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::Value;

use crate::process::{Cluster, Program, faulty_mock, mock, quick_mock, towards};

/// What was found, by the names of the checks.
struct Found {
    status: i32,
    exam: Value,
    told: String,
}

impl Found {
    /// Of these options. The machine is as busy as it is: a test of one check does not hold the others.
    fn of(line: &str) -> Self {
        let ended = Program::start(&format!("doctor --json {line}")).wait();
        let told = format!("{}{}", ended.stdout, ended.stderr);
        let exam = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{told}"));
        Self {
            status: ended.status().unwrap_or(-1),
            exam,
            told,
        }
    }

    #[track_caller]
    fn finding(&self, check: &str) -> &Value {
        let findings = self.exam["findings"].as_array().unwrap();
        let found = findings.iter().find(|it| it["check"] == check);
        found.unwrap_or_else(|| panic!("no {check}: {}", self.told))
    }

    #[track_caller]
    fn expect(&self, check: &str, level: &str, words: &str) {
        let found = self.finding(check);
        let said = found["words"].as_str().unwrap();
        assert!(
            found["level"] == level && said.contains(words),
            "{check}: {level} {words}: {}",
            self.told
        );
        let must_help = matches!(level, "warning" | "problem");
        assert!(!must_help || found["hint"].is_string(), "{found}");
    }

    fn names(&self, level: &str) -> Vec<&str> {
        let findings = self.exam["findings"].as_array().unwrap();
        let of_it = findings.iter().filter(|it| it["level"] == level);
        of_it.map(|it| it["check"].as_str().unwrap()).collect()
    }
}

/// Busy test machines are late, and that is what `doctor` says of them; it is not what these tests are about.
const OF_THE_MACHINE: [&str; 3] = ["others", "timers", "wall clock"];

#[test]
fn a_good_server_has_no_problem_and_is_asked_twice() {
    let mock = mock("20ms", "3ms");
    let load = towards(&mock, "--provider vllm --tokenizer built-in -o 500 -u 3");
    let found = Found::of(&load);
    let problems = found.names("problem");
    let of_the_server: Vec<_> = problems
        .iter()
        .filter(|check| !OF_THE_MACHINE.contains(check))
        .collect();
    assert!(of_the_server.is_empty(), "{}", found.told);
    let of_machine = problems.len() - of_the_server.len();
    assert_eq!(found.status == 0, of_machine == 0, "{}", found.told);
    for check in ["name", "connection", "HTTP", "requests", "streaming"] {
        found.expect(check, "ok", "");
    }
    found.expect("model", "ok", "`mock` is listed");
    found.expect("tokenizer", "ok", "`built-in` is read");
    found.expect("length", "ok", "32 tokens of 32");
    found.expect("metrics", "ok", "vllm's");
    found.expect("disk", "ok", "`.` can be written to");
    found.expect("open files", "ok", "-u 3");
    #[cfg(target_os = "linux")]
    found.expect("stamps", "ok", "the kernel stamps");
    assert_eq!(mock.stats().snapshot().requests.numbered, 2);
}

#[test]
fn a_server_that_is_not_there_is_a_problem_and_nothing_is_asked_of_it() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let found = Found::of(&format!("-H http://{address} -m m --provider openai"));
    assert_eq!(found.status, 1, "{}", found.told);
    found.expect("connection", "problem", "refused");
    found.expect("requests", "skipped", "cannot be reached");
    let named = Found::of("-H http://no.such.host.invalid -m m --provider openai");
    assert_eq!(named.status, 1, "{}", named.told);
    named.expect("name", "problem", "no.such.host.invalid");
}

#[test]
fn an_answer_that_comes_all_at_once_is_told_from_a_stream() {
    let held = mock("30ms", "0ms");
    let found = Found::of(&towards(&held, "-o 20"));
    assert_eq!(found.status, 1, "{}", found.told);
    found.expect("streaming", "problem", "all at once");
    let whole = Found::of(&towards(&held, "-o 20 --no-stream"));
    whole.expect("streaming", "skipped", "as wholes");
}

#[test]
fn a_proxy_that_buffers_is_named() {
    let mock = mock("5ms", "3ms");
    let port = buffering_proxy(mock.addr().port());
    let line = format!(
        "-H http://127.0.0.1:{port} -m mock --provider vllm -p 40 -o 20 --connection-reuse never"
    );
    let found = Found::of(&line);
    assert_eq!(found.status, 1, "{}", found.told);
    found.expect("streaming", "problem", "all at once");
    let hint = found.finding("streaming")["hint"].as_str().unwrap();
    assert!(hint.contains("`1.1 hoarder`"), "{hint}");
    found.expect("HTTP", "ok", "from `1.1 hoarder`");
    found.expect("local ports", "warning", "each request takes one");
    // The server itself is as it should be.
    let direct = Found::of(&towards(&mock, "-o 20"));
    direct.expect("streaming", "ok", "apart");
}

/// Passes each connection's one request on, and its answer when all of that is there. Ends with the process.
fn buffering_proxy(server: u16) -> u16 {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in door.incoming().flatten() {
            thread::spawn(move || {
                let Some(request) = one_request(&mut client) else {
                    return;
                };
                let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                server.write_all(&request).unwrap();
                let mut answer = Vec::new();
                let _ = server.read_to_end(&mut answer);
                let head_end = answer.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                let mut whole = answer[..head_end].to_vec();
                whole.extend_from_slice(b"via: 1.1 hoarder\r\n");
                whole.extend_from_slice(&answer[head_end..]);
                let _ = client.write_all(&whole);
            });
        }
    });
    port
}

/// A whole request, which asks for the connection to be closed behind its answer.
fn one_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    let mut some = [0; 4096];
    loop {
        let bytes = client.read(&mut some).ok().filter(|bytes| *bytes > 0)?;
        read.extend_from_slice(&some[..bytes]);
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |text| text.trim().parse().unwrap());
        if read.len() >= end + 4 + length {
            let line = read.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let mut whole = read[..line].to_vec();
            whole.extend_from_slice(b"connection: close\r\n");
            whole.extend_from_slice(&read[line..]);
            return Some(whole);
        }
    }
}

#[test]
fn counts_and_lengths_that_are_not_as_asked_are_told() {
    let wrong = faulty_mock("5ms", "2ms", &["wrong-usage=1:40"]);
    let found = Found::of(&towards(&wrong, "-o 20 --tokenizer built-in"));
    found.expect("output tokens", "warning", "the server counts 60");
    found.expect("length", "problem", "60 tokens of 20");
    assert_eq!(found.status, 1, "{}", found.told);
    let short = faulty_mock("5ms", "2ms", &["short=1:8"]);
    let told = Found::of(&towards(&short, "-o 20 --provider vllm"));
    told.expect("length", "warning", "of 20 asked for");
    // Nobody told that API to go on.
    let free = Found::of(&towards(&short, "-o 20"));
    free.expect("length", "ok", "ends when it likes");
}

#[test]
fn warnings_fail_who_is_strict_and_a_wrong_model_is_named() {
    let mock = quick_mock();
    let other = format!("-H http://{} --provider vllm -m other -p 40", mock.addr());
    let found = Found::of(&format!("{other} --strict"));
    found.expect("model", "warning", "`other` is not listed; there are: mock");
    assert_eq!(
        (found.status, &found.exam["strict"]),
        (1, &Value::Bool(true))
    );
    let failing = faulty_mock("5ms", "2ms", &["status=1:503"]);
    let refused = Found::of(&towards(&failing, ""));
    assert_eq!(refused.status, 1);
    refused.expect("requests", "problem", "2 of 2 failed: http_5xx");
}

#[test]
fn a_master_results_and_tokenizers_are_looked_at_where_they_are_named() {
    let mock = quick_mock();
    let load = towards(&mock, "--no-journal -t 10min");
    let cluster = Cluster::start(&load, 0);
    let named = format!("--master {}", cluster.address);
    let found = Found::of(&towards(&mock, &named));
    found.expect("master", "ok", "is waiting");
    let line = "--json-file no/such/folder/r.json --tokenizer no/such/file";
    let found = Found::of(&towards(&mock, line));
    assert_eq!(found.status, 1);
    found.expect("result files", "problem", "no/such/folder");
    found.expect("disk", "problem", "`no/such/folder`");
    found.expect("tokenizer", "problem", "no/such/file");
    let has_master = found.told.contains("\"master\"");
    assert!(!has_master, "{}", found.told);
}

#[test]
fn nothing_is_printed_beside_what_is_found_however_long_an_answer_takes() {
    let slow = mock("2500ms", "1ms");
    // Not by `towards`, which asks for no tables itself. What is no JSON is not understood.
    let line = format!(
        "-H http://{} -p 40 -o 8 --csv run --html run.html",
        slow.addr()
    );
    let found = Found::of(&line);
    found.expect(
        "requests",
        "ok",
        "2 answered, the last one: the first token after 25",
    );
    let ended = Program::start(&format!("doctor {line}")).wait();
    assert!(ended.stdout.starts_with("machine\n"), "{}", ended.stdout);
    assert_eq!(std::fs::read_dir(ended.folder()).unwrap().count(), 0);
}

#[test]
fn a_key_is_shown_nowhere() {
    let refusing = faulty_mock("5ms", "2ms", &["status=1:401"]);
    let line = "-k sk-do-not-show-me --header X-Key:also-not-this-one";
    for how in ["--json", ""] {
        let line = format!("doctor {how} {}", towards(&refusing, line));
        let ended = Program::start(&line).wait().expect(1);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains("requests"), "{told}");
        assert!(
            !told.contains("not-show") && !told.contains("also-not"),
            "{told}"
        );
    }
}

#[test]
fn a_command_line_that_no_run_could_have_is_another_status() {
    for line in [
        "--users none",
        "--qps 5 --burst 2s",
        "-H http://user:word@host",
    ] {
        let ended = Program::start(&format!("doctor {line}")).wait().expect(2);
        assert!(ended.stdout.is_empty() && !ended.stderr.contains("word@"));
    }
}

#[test]
fn looking_opens_no_page_and_tells_no_collector() {
    let mock = quick_mock();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    taken.set_nonblocking(true).unwrap();
    let port = taken.local_addr().unwrap().port();
    let found = Found::of(&format!(
        "-H http://{} -m mock --provider openai --prometheus {port} --otlp http://127.0.0.1:{port} --trace-sample 1",
        mock.addr()
    ));
    let names = found.names("problem");
    let names: Vec<_> = names
        .iter()
        .filter(|it| !OF_THE_MACHINE.contains(it))
        .collect();
    assert!(names.is_empty(), "{}", found.told);
    let told = taken.accept().map(drop).unwrap_err().kind();
    assert_eq!(told, std::io::ErrorKind::WouldBlock);
}
