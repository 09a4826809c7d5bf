//! No secret leaves the program but on the wire to the server, whatever the server quotes.

use std::net::TcpListener;
use std::time::Duration;

use crate::command::{Place, Ran, Running};
use crate::server::{Answer, Server};

const KEY: &str = "sk-secret-123";
const HEADER: &str = "other-secret-456";
const PASSWORD: &str = "proxy-pass-789";
/// `user:proxy-pass-789` as a proxy is told it.
const BASIC: &str = "dXNlcjpwcm94eS1wYXNzLTc4OQ==";

/// Enough of each to recognise it by, so that no part is seen either.
const TRACES: [&str; 7] = [
    KEY,
    HEADER,
    PASSWORD,
    BASIC,
    "sk-sec",
    "other-sec",
    "dXNlcj",
];

/// Neither an output nor a file has a trace of a secret.
fn assert_silent(place: &Place, ran: &Ran) {
    for trace in TRACES {
        assert!(
            !ran.stdout.contains(trace),
            "{trace} on standard output:\n{}",
            ran.stdout
        );
        assert!(
            !ran.stderr.contains(trace),
            "{trace} on standard error:\n{}",
            ran.stderr
        );
        for (path, content) in place.files() {
            assert!(
                !content.contains(trace),
                "{trace} in {}:\n{content}",
                path.display()
            );
        }
    }
}

const LOAD: &[&str] = &[
    "-u",
    "2",
    "-r",
    "1000",
    "--max-requests",
    "4",
    "-p",
    "32",
    "-o",
    "8",
    "-L",
    "trace",
    "--show-request",
    "--show-response",
];
const TARGET: &[&str] = &["--provider", "vllm", "-m", "m"];
const SECRETS: &[&str] = &["-k", KEY, "--header", "X-Api-Key: other-secret-456"];
const FILES: &[&str] = &[
    "--json-file",
    "result.json",
    "--html",
    "page.html",
    "--csv",
    "locust",
    "--csv-full-history",
    "--records",
    "records.jsonl",
    "--summary-file",
    "summary.csv",
];

fn saw(server: &Server, words: &str) -> bool {
    server.heads().iter().any(|head| head.contains(words))
}

#[test]
fn a_refusal_that_quotes_the_secrets_is_masked_everywhere() {
    let server = Server::start(Answer::Refuse(401));
    for log in [&[][..], &["--logfile", "log"]] {
        let place = Place::new();
        let url = server.url();
        let ran = place.run(&[&["run", "-H", &url], LOAD, TARGET, SECRETS, FILES, log].concat());
        ran.expect(1);
        assert!(
            saw(&server, KEY) && saw(&server, HEADER),
            "{:?}",
            server.heads()
        );
        assert_silent(&place, &ran);
        let text = place.json("result.json")["errors"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            text.starts_with("401: wrong key: ") && text.contains("Bearer ***"),
            "{text}"
        );
        assert_eq!(place.records("records.jsonl").len(), 4);
    }
}

#[test]
fn a_quotation_that_is_cut_within_a_secret_is_masked_too() {
    // `authorization: Bearer sk-…`: the words of an error end after 256 characters.
    for padding in 200..230 {
        if padding % 7 != 0 {
            continue;
        }
        let server = Server::start(Answer::RefuseAfter(400, padding));
        let place = Place::new();
        let url = server.url();
        let ran = place.run(&[&["run", "-H", &url], LOAD, TARGET, SECRETS, FILES].concat());
        assert_silent(&place, &ran);
    }
}

#[test]
fn an_answer_that_cannot_be_read_and_quotes_the_secrets_is_masked() {
    let server = Server::start(Answer::Babble);
    let place = Place::new();
    let url = server.url();
    let ran = place.run(&[&["run", "-H", &url], LOAD, TARGET, SECRETS, FILES].concat());
    ran.expect(1);
    assert!(place.read("records.jsonl").contains("parse_error"));
    assert_silent(&place, &ran);
}

#[test]
fn an_answer_that_echoes_the_secrets_is_shown_without_them() {
    let server = Server::start(Answer::Echo);
    let place = Place::new();
    let url = server.url();
    let ran = place.run(&[&["run", "-H", &url], LOAD, TARGET, SECRETS, FILES].concat());
    ran.expect(0);
    assert!(
        ran.stderr
            .contains("authorization: Bearer ***, x-api-key: ***"),
        "{}",
        ran.stderr
    );
    assert_silent(&place, &ran);
}

#[test]
fn the_question_what_a_server_is_gives_no_secret_away() {
    let refusals = [401, 403, 404, 500].map(Answer::Refuse);
    for answer in refusals.into_iter().chain([Answer::Babble, Answer::Echo]) {
        let server = Server::start(answer);
        let place = Place::new();
        let url = server.url();
        let ran = place.run(&[&["run", "-H", &url], LOAD, SECRETS].concat());
        ran.expect(2);
        assert!(
            saw(&server, KEY) && saw(&server, HEADER),
            "{:?}",
            server.heads()
        );
        assert_silent(&place, &ran);
    }
}

#[test]
fn settings_are_shown_without_their_secrets() {
    let place = Place::new();
    let args = [
        &["run", "-H", "http://h", "--show-config"],
        LOAD,
        SECRETS,
        FILES,
    ]
    .concat();
    let ran = place.run_with(
        &args,
        &[("HTTP_PROXY", "http://user:proxy-pass-789@127.0.0.1:3128")],
    );
    ran.expect(0);
    assert!(
        ran.stdout.contains("api-key") && ran.stdout.contains("X-Api-Key: ***"),
        "{}",
        ran.stdout
    );
    assert_silent(&place, &ran);
    let ran = place.run_with(&["run", "--show-config"], &[("API_KEY", KEY)]);
    ran.expect(0);
    assert_silent(&place, &ran);
}

#[test]
fn a_wrong_command_line_does_not_repeat_a_secret() {
    let place = Place::new();
    for header in ["other-secret-456", "X-Api-Key: other-secret-456\n"] {
        let ran = place.run(&[
            "run",
            "-H",
            "http://h",
            "-k",
            KEY,
            "--header",
            header,
            "--no-such-option",
        ]);
        ran.expect(2);
        assert_silent(&place, &ran);
        let ran = place.run(&[
            "run",
            "-H",
            "http://h",
            "-k",
            "sk-secret-123\n\u{e9}\u{1}",
            "--header",
            header,
        ]);
        ran.expect(2);
        assert_silent(&place, &ran);
    }
}

#[test]
fn the_password_of_a_proxy_goes_to_the_proxy_alone() {
    // The proxy is the server itself: it refuses and quotes what it was told.
    let proxy = Server::start(Answer::Refuse(407));
    let variable = format!("http://user:{PASSWORD}@{}", proxy.address());
    for target in [TARGET, &[]] {
        let place = Place::new();
        let args = [
            &["run", "-H", "http://llm.invalid:8000"],
            LOAD,
            target,
            SECRETS,
            FILES,
        ]
        .concat();
        let ran = place.run_with(&args, &[("HTTP_PROXY", &variable)]);
        assert_ne!(ran.status, Some(0));
        assert!(saw(&proxy, BASIC), "{:?}", proxy.heads());
        assert_silent(&place, &ran);
    }
    let place = Place::new();
    let args = [
        &["run", "-H", "https://llm.invalid"],
        LOAD,
        TARGET,
        SECRETS,
        FILES,
    ]
    .concat();
    let ran = place.run_with(&args, &[("HTTPS_PROXY", &variable)]);
    ran.expect(1);
    assert!(
        saw(&proxy, "CONNECT llm.invalid:443"),
        "{:?}",
        proxy.heads()
    );
    assert_silent(&place, &ran);
}

/// A master and a worker, each with its own environment. Returns how the master and the worker ended.
fn pair(place: &Place, url: &str, master: &[&str], env: &[(&str, &str)]) -> (Ran, Ran) {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let args = [
        &["master", "-H", url, "--master-bind-port", &port],
        LOAD,
        FILES,
        master,
    ]
    .concat();
    let master: Running = place.start(&args, &[]);
    std::thread::sleep(Duration::from_millis(100));
    let worker = place.start(
        &[
            "worker",
            "--master-port",
            &port,
            "-L",
            "trace",
            "--records-dir",
            ".",
        ],
        env,
    );
    (master.wait(), worker.wait())
}

#[test]
fn a_masters_key_stays_on_the_master_and_a_worker_has_its_own() {
    const OWN: &str = "sk-worker-own";
    let server = Server::start(Answer::ListThenRefuse(401));
    let place = Place::new();
    let (master, worker) = pair(&place, &server.url(), SECRETS, &[]);
    master.expect(1);
    worker.expect(0);
    assert_silent(&place, &master);
    assert_silent(&place, &worker);
    let posts = |server: &Server| {
        let heads = server.heads().into_iter();
        heads
            .filter(|head| head.starts_with("POST "))
            .collect::<Vec<_>>()
    };
    assert!(
        saw(&server, KEY),
        "the master asks with its key: {:?}",
        server.heads()
    );
    assert_eq!(posts(&server).len(), 4);
    for head in posts(&server) {
        assert!(
            !head.contains(KEY) && !head.contains(HEADER),
            "the worker sent the master's: {head}"
        );
    }
    let server = Server::start(Answer::ListThenRefuse(401));
    let place = Place::new();
    let (master, worker) = pair(&place, &server.url(), SECRETS, &[("API_KEY", OWN)]);
    master.expect(1);
    worker.expect(0);
    assert_eq!(posts(&server).len(), 4);
    for head in posts(&server) {
        assert!(
            head.contains(&format!("Bearer {OWN}")) && !head.contains(KEY),
            "{head}"
        );
    }
    for text in [
        &master.stdout,
        &master.stderr,
        &worker.stdout,
        &worker.stderr,
    ] {
        assert!(!text.contains(OWN), "{text}");
    }
    assert_silent(&place, &master);
    for (path, content) in place.files() {
        assert!(!content.contains(OWN), "{}", path.display());
    }
}
