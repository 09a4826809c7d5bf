//! The web page's API, over real HTTP: who may ask, what is answered, and a whole run started, changed, stopped and taken home.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{Program, eventually, quick_mock, settled, shared};

const DESCRIPTION: &str = include_str!("../../src/web/openapi.json");

/// A program that serves its page, and where.
struct Page {
    program: Program,
    port: u16,
}

/// An answer to one request.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Page {
    fn open(line: &str) -> Self {
        let program = Program::start(&format!("{line} --web --web-port 0"));
        let rest = program.wait_for_words("web page: http://");
        let port = rest.split(['/', '?']).next().unwrap();
        let port = port.rsplit(':').next().unwrap().parse().unwrap();
        Self { program, port }
    }

    fn connect(&self, head: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // Of version 1.0, so that a body goes until the connection ends.
        let length = body.len();
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        BufReader::new(stream)
    }

    fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut head = format!("{line} HTTP/1.0\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            write!(head, "Host: localhost:{}\r\n", self.port).unwrap();
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let mut text = String::new();
        // What is refused unread may be answered by a reset behind the answer.
        let read = self.connect(&head, body).read_to_string(&mut text);
        assert!(read.is_ok() || !text.is_empty(), "{line}: {read:?}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], "")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.ask(&format!("POST {path}"), &json, &body.to_string())
    }

    /// The state of the process, as it is described.
    fn state(&self) -> Value {
        self.get("/api/state").expect(200).as_described("State")
    }

    fn start(&self, options: &Value) -> String {
        let answer = self.post("/api/runs", &json!({"options": options}));
        let started = answer.expect(201).as_described("Started");
        started["run"].as_str().unwrap().to_owned()
    }

    /// Waits until so many requests of the run have ended.
    fn wait_for_requests(&self, count: u64) {
        eventually("requests", || {
            let requests = self.state()["run"]["so_far"]["requests"].as_u64();
            requests.filter(|requests| *requests >= count)
        });
    }

    fn wait_for_end(&self, run: &str) -> Value {
        eventually("the run's end", || {
            let state = self.state();
            let is_over = state["process"]["phase"] == "idle" && state["run"]["run"] == run;
            is_over.then(|| state["run"].clone())
        })
    }

    fn stop(&self, run: &str) -> Value {
        let path = format!("/api/runs/{run}/stop");
        self.post(&path, &json!({}))
            .expect(202)
            .as_described("Stopped");
        self.wait_for_end(run)
    }

    /// Events, one by one, each as it is described.
    fn events(&self) -> impl Iterator<Item = Value> {
        let head = format!(
            "GET /api/events HTTP/1.0\r\nHost: localhost:{}\r\n",
            self.port
        );
        let lines = self.connect(&head, "").lines();
        lines.filter_map(|line| {
            let event = serde_json::from_str(line.unwrap().strip_prefix("data: ")?).unwrap();
            check("Event", &event);
            Some(event)
        })
    }

    fn file(&self, run: &str, name: &str) -> String {
        self.get(&format!("/api/runs/{run}/files/{name}"))
            .expect(200)
            .body
    }

    fn end(self, status: i32) -> String {
        self.program.signal(Signal::INT);
        self.program.wait().expect(status).stderr
    }
}

impl Answer {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    fn as_described(&self, schema: &str) -> Value {
        let value = self.json();
        check(schema, &value);
        value
    }

    /// What was wrong, at which field.
    #[track_caller]
    fn refused(self, status: u16) -> (String, Option<String>) {
        let value = self.expect(status).as_described("Refused");
        let field = value["field"].as_str().map(str::to_owned);
        (value["error"].as_str().unwrap().to_owned(), field)
    }
}

#[track_caller]
fn check(schema: &str, value: &Value) {
    let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{schema}"),
        "components": description["components"],
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}\n{value:#}");
}

#[test]
fn what_is_asked_wrongly_is_refused_in_words_and_does_no_harm() {
    let _machine = shared();
    let mock = quick_mock();
    let page = Page::open(&format!("run -H http://{} -m m -t 9s", mock.addr()));
    let local = page.get("/").expect(200);
    assert!(
        local
            .head
            .contains("content-security-policy: default-src 'none'"),
        "{}",
        local.head
    );
    assert!(local.body.contains("live.js"));
    assert_eq!(page.get("/api/openapi.json").expect(200).body, DESCRIPTION);
    page.get("/api/form").expect(200).as_described("Form");
    page.get("/api/runs").expect(200).as_described("Process");
    page.get("/api/log?after=0").expect(200).as_described("Log");
    page.get("/api/log?after=x").refused(400);
    page.get("/api/nothing").refused(404);
    page.get("/api/runs/0000000000000000").refused(404);
    page.ask("DELETE /api/runs", &[], "").refused(405);
    for name in [
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "..",
        "stats.csv%00",
    ] {
        page.get(&format!("/api/runs/x/files/{name}")).refused(404);
    }
    let json = ("Content-Type", "application/json");
    page.ask("POST /api/runs", &[json], "{").refused(400);
    page.ask("POST /api/runs", &[json], "{\"option\": {}}")
        .refused(400);
    page.ask("POST /api/runs", &[], "{}").refused(415);
    let long = format!(
        "{{\"options\": {{\"model\": \"{}\"}}}}",
        "x".repeat(100_000)
    );
    page.ask("POST /api/runs", &[json], &long).expect(413);
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        page.ask("POST /api/runs", &[json, ("Origin", origin)], "{}")
            .refused(403);
    }
    for host in ["evil.example", "127.0.0.1.evil.example:80"] {
        page.ask("GET /api/state", &[("Host", host)], "")
            .refused(403);
    }
    let wrong = |options: Value| {
        page.post("/api/runs", &json!({"options": options}))
            .refused(422)
    };
    assert_eq!(wrong(json!({"users": "many"})).1.as_deref(), Some("users"));
    assert_eq!(
        wrong(json!({"json-file": "x"})).1.as_deref(),
        Some("json-file")
    );
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
    page.end(0);
}

/// The files of a run have the figures of its last standing.
fn take_home(page: &Page, run: &str, over: &Value) {
    let stats = page.file(run, "stats.csv");
    let last = over["statistics"]["rows"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    let fields = last
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field.as_str().unwrap());
    assert_eq!(
        stats.lines().last().unwrap(),
        fields.collect::<Vec<_>>().join(",")
    );
    assert!(page.file(run, "history.csv").lines().count() > 3);
    let steps = page.get(&format!("/api/runs/{run}/steps")).expect(200);
    let steps = steps.as_described("Steps");
    assert!(!steps["looks"].as_array().unwrap().is_empty(), "{steps}");
    let columns = steps["columns"].as_array().unwrap().len();
    let rows = steps["rows"].as_array().unwrap();
    assert!(
        rows.iter()
            .all(|row| row.as_array().unwrap().len() == columns)
    );
    let report = page
        .get(&format!("/api/runs/{run}/files/report.html?show"))
        .expect(200);
    assert!(
        report.head.contains("content-security-policy: sandbox"),
        "{}",
        report.head
    );
    assert!(report.body.contains("Time to first token over time"));
}

/// Gives the run five users, and is refused what cannot be.
fn change(page: &Page, run: &str) {
    let load = format!("/api/runs/{run}/load");
    let coming = page
        .post(&load, &json!({"users": 5}))
        .expect(200)
        .as_described("Coming");
    assert_eq!(
        (&coming["users"], &coming["words"]),
        (&json!(5), &json!("5 users"))
    );
    assert_eq!(
        page.post(&load, &json!({"users": 0}))
            .refused(422)
            .1
            .as_deref(),
        Some("users")
    );
    let closed = page.post(&load, &json!({"qps": 5})).refused(409);
    assert!(closed.0.contains("closed loop"), "{closed:?}");
    page.post(&load, &json!({})).refused(400);
    eventually("five users", || {
        (page.state()["run"]["users"] == 5).then_some(())
    });
    page.get(&format!("/api/runs/{run}/files/result.json"))
        .refused(404);
}

#[test]
fn a_run_is_started_followed_changed_stopped_and_taken_home() {
    let _machine = shared();
    let mock = quick_mock();
    let line = "-m m -u 2 -r 100 -t 10m -o 4 --records r.jsonl --server-metrics auto";
    let page = Page::open(&format!("run -H http://{} {line}", mock.addr()));
    let run = page.start(&json!({"users": "3"}));
    let again = page.post("/api/runs", &json!({})).refused(409);
    assert_eq!(again.0, "a run goes on already");
    page.wait_for_requests(1);

    let mut rows = 0;
    let followed = page.events().find(|event| {
        let steps = &event["steps"];
        assert!(steps["first"].as_u64().unwrap() <= rows);
        rows = steps["first"].as_u64().unwrap() + steps["rows"].as_array().unwrap().len() as u64;
        rows >= 3
    });
    assert_eq!(followed.unwrap()["run"]["load"]["users"], 3);

    change(&page, &run);
    let over = page.stop(&run);
    let load = format!("/api/runs/{run}/load");
    page.post(&load, &json!({"users": 2})).refused(409);
    let result: Value = serde_json::from_str(&page.file(&run, "result.json")).unwrap();
    let sent = settled(&mock).requests.numbered;
    assert_eq!(result["totals"]["sent"], sent);
    assert_eq!(over["so_far"]["sent"], sent);
    assert_eq!(
        (&over["stage"], &over["status"]),
        (&json!("ended"), &json!(0))
    );
    assert_eq!(result["measured"]["requests"], over["so_far"]["requests"]);
    assert_eq!(
        page.file(&run, "records.jsonl").lines().count() as u64,
        sent
    );
    take_home(&page, &run, &over);

    let second = page.start(&json!({"max-requests": "12", "run-time": null}));
    page.wait_for_end(&second);
    page.get(&format!("/api/runs/{run}/files/records.jsonl"))
        .refused(404);
    let first = page
        .get(&format!("/api/runs/{run}"))
        .expect(200)
        .as_described("Standing");
    assert_eq!(first["so_far"]["sent"], sent);
    let state = page.state();
    let briefs = state["process"]["runs"].as_array().unwrap().iter();
    let names: Vec<Value> = briefs.map(|brief| brief["run"].clone()).collect();
    assert_eq!(names, [json!(second), json!(run)]);
    page.end(0);
}

#[test]
fn beyond_this_machine_a_token_is_asked_for_and_is_in_no_file() {
    let _machine = shared();
    let mock = quick_mock();
    let line = format!(
        "run -H http://{} -m m -t 9s --web-host 0.0.0.0 --logfile log",
        mock.addr()
    );
    let page = Page::open(&line);
    let token = page.program.wait_for_words("?token=");
    let bearer = format!("Bearer {token}");
    page.get("/").refused(401);
    page.get("/api/state").refused(401);
    page.get("/?token=wrong").refused(401);
    let asked = |name, value| page.ask("GET /api/log", &[(name, value)], "");
    asked("Authorization", "Bearer wrong").refused(401);
    let log = asked("Authorization", &bearer).expect(200).body;
    let welcome = page.get(&format!("/?token={token}")).expect(303);
    let cookie = welcome
        .head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.unwrap().split(';').next().unwrap().to_owned();
    asked("Cookie", &cookie).expect(200);
    let written = std::fs::read_to_string(page.program.folder().join("log")).unwrap();
    assert!(!log.contains(&token) && !written.contains(&token) && !cookie.contains(&token));
    page.end(0);
}

#[test]
fn a_run_that_cannot_begin_says_why_and_the_next_one_can() {
    let _machine = shared();
    let mock = quick_mock();
    let page = Page::open("run -H http://127.0.0.1:1 -t 9s -r 100");
    let (error, field) = page.post("/api/runs", &json!({})).refused(422);
    assert!(error.contains("127.0.0.1:1") && field.is_none(), "{error}");
    let problem = page.state()["process"]["problem"].clone();
    assert_eq!(problem["error"], error);
    let options =
        json!({"host": format!("http://{}", mock.addr()), "max-requests": "3", "users": "1"});
    let run = page.start(&options);
    assert_eq!(page.wait_for_end(&run)["so_far"]["sent"], 3);
    page.end(0);
}

#[test]
fn a_run_that_starts_by_itself_ends_the_program_with_its_own_status() {
    let _machine = shared();
    let mock = quick_mock();
    let line = format!(
        "run -H http://{} -m m -u 1 --max-requests 5 --web --web-port 0 --autostart --autoquit 0s",
        mock.addr()
    );
    Program::start(&line).wait().expect(0);
    assert_eq!(settled(&mock).requests.numbered, 5);
    drop(mock);
}

#[test]
fn workers_of_a_page_stay_for_its_next_run() {
    let _machine = shared();
    let mock = quick_mock();
    let line = format!(
        "master -H http://{} -m m --expect-workers 1 --master-bind-host 127.0.0.1 --master-bind-port 0 --no-journal -r 100",
        mock.addr()
    );
    let page = Page::open(&line);
    let options = json!({"max-requests": "8", "users": "2"});
    let started = std::thread::scope(|scope| {
        let starting = scope.spawn(|| page.start(&options));
        let address = page.program.wait_for_words("listening on ");
        let address = address.split(';').next().unwrap().to_owned();
        let worker = Program::start(&format!("worker --master {address} --stay"));
        (starting.join().unwrap(), worker)
    });
    let (first, _worker) = started;
    assert_eq!(page.wait_for_end(&first)["so_far"]["sent"], 8);
    let second = page.start(&options);
    let over = page.wait_for_end(&second);
    assert_eq!(
        (&over["so_far"]["sent"], &over["cluster"]),
        (&json!(8), &json!(true))
    );
    assert_eq!(over["workers"][0]["finished"], 8);
    assert_eq!(settled(&mock).requests.numbered, 16);
    page.end(0);
}
