//! Data sets from files, from outside: which rows the server gets, in which words, from one process and from many.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use llmload::mock::MockHandle;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{self, Cluster, Ended, Program, quick_mock, settled, shared};

/// As all runs of these tests, but that the rows have lengths of their own.
pub(crate) fn towards(mock: &MockHandle, line: &str) -> String {
    process::towards(mock, line).replace("-p 40 ", "")
}

/// A folder with a data set in it.
pub(crate) struct Set {
    pub(crate) folder: TempDir,
    name: &'static str,
}

impl Set {
    pub(crate) fn new(name: &'static str, text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        Self { folder, name }
    }

    pub(crate) fn option(&self) -> String {
        let path = self.folder.path().join(self.name);
        format!("--dataset @{}", path.display())
    }
}

/// The bodies that `--show-request` told of.
pub(crate) fn bodies(ended: &Ended) -> Vec<Value> {
    let lines = ended.stderr.lines();
    lines
        .filter_map(|line| serde_json::from_str(&line[line.find("{\"")?..]).ok())
        .collect()
}

/// What one process asks for, with `line` beside the data set.
fn asked(set: &Set, line: &str) -> (Vec<Value>, Ended) {
    let mock = quick_mock();
    let line = towards(&mock, &format!("{} --show-request {line}", set.option()));
    let ended = Program::start(&format!("run {line}")).wait().expect(0);
    let bodies = bodies(&ended);
    assert_eq!(
        bodies.len() as u64,
        settled(&mock).requests.numbered,
        "{}",
        ended.stderr
    );
    (bodies, ended)
}

/// (the last message's text, how many tokens it asks for), in order.
fn told(bodies: &[Value]) -> Vec<(String, u64)> {
    let of = |body: &Value| {
        let last = body["messages"].as_array().unwrap().last().unwrap();
        let text = last["content"].as_str().unwrap().to_owned();
        (text, body["max_tokens"].as_u64().unwrap())
    };
    bodies.iter().map(of).collect()
}

const ONE_USER: &str = "-u 1 --max-requests 4 --start-spread 0s";

#[test]
fn each_kind_of_file_is_sent_row_by_row() {
    let _shared = shared();
    let talk = |text: &str| json!({"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": "x"}]});
    let sharegpt = json!([talk("one"), talk("two"), {"conversations": []}, talk("three")]);
    for (name, text, kind) in [
        (
            "rows.txt",
            "one\n\ntwo\nthree\n".to_owned(),
            "text (by its name)",
        ),
        (
            "rows.csv",
            "id,question\n1,one\n2,two\n3,three\n".to_owned(),
            "csv (by its name)",
        ),
        (
            "rows.tsv",
            "id\tquestion\n1\tone\n2\ttwo\n3\tthree\n".to_owned(),
            "csv (by its name)",
        ),
        (
            "rows.jsonl",
            "{\"prompt\":\"one\"}\n{\"prompt\":\"two\"}\n{\"prompt\":\"three\"}\n".to_owned(),
            "jsonl (by its first row)",
        ),
        (
            "rows.json",
            serde_json::to_string_pretty(&sharegpt).unwrap(),
            "sharegpt (by its first row); left out for want of anything to send: 1",
        ),
    ] {
        let (bodies, ended) = asked(&Set::new(name, &text), ONE_USER);
        let texts = ["one", "two", "three", "one"].map(|text| (text.to_owned(), 5));
        assert_eq!(told(&bodies), texts, "{name}");
        let words = format!("{name}: 3 rows of {kind}");
        assert!(ended.stderr.contains(&words), "{words}\n{}", ended.stderr);
    }
}

#[test]
fn rows_bring_their_own_lengths_and_fields() {
    let _shared = shared();
    let set = Set::new("rows.csv", "prompt,max_tokens\n\"a\nb\",3\nc,\n");
    let (bodies, _) = asked(&set, "-u 1 --max-requests 2");
    assert_eq!(told(&bodies), [("a\nb".to_owned(), 3), ("c".to_owned(), 5)]);
    let set = Set::new(
        "rows.jsonl",
        "{\"prompt\":\"a\",\"max_tokens\":2,\"top_p\":0.5}\n",
    );
    let (bodies, _) = asked(&set, "-u 1 --max-requests 1");
    assert_eq!(
        (
            bodies[0]["max_tokens"].as_u64(),
            bodies[0]["top_p"].as_f64()
        ),
        (Some(2), Some(0.5))
    );
    let set = Set::new("rows.jsonl", "{\"q\":\"a\",\"id\":4}\n");
    let (bodies, _) = asked(&set, "-u 1 --max-requests 1 --dataset-column q");
    assert_eq!(told(&bodies), [("a".to_owned(), 5)]);
    assert!(bodies[0].get("id").is_none());
}

#[test]
fn a_models_last_message_is_dropped_where_that_is_asked_for() {
    let _shared = shared();
    let row = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    let set = Set::new("rows.jsonl", &row.to_string());
    for (option, last) in [("", "b"), ("--clear-assistant", "a")] {
        let (bodies, _) = asked(&set, &format!("-u 1 --max-requests 1 {option}"));
        assert_eq!(told(&bodies)[0].0, last);
    }
}

#[test]
fn a_trace_brings_lengths_and_common_beginnings_and_qps_may_pace_it() {
    let _shared = shared();
    let row = |time: u64, ids: [u64; 3], length: u64| {
        let row = json!({"timestamp": time, "input_length": 1300, "output_length": length, "hash_ids": ids});
        format!("{row}\n")
    };
    let text = row(0, [0, 1, 2], 3) + &row(27_000_000, [0, 1, 9], 4);
    let set = Set::new("trace.jsonl", &text);
    let (bodies, ended) = asked(&set, "-u 4 --qps 50 --max-requests 2");
    assert!(ended.stderr.contains("2 rows of trace"), "{}", ended.stderr);
    let mut told = told(&bodies);
    told.sort_by_key(|(_, length)| *length);
    assert_eq!((told[0].1, told[1].1), (3, 4));
    let pairs = told[0].0.bytes().zip(told[1].0.bytes());
    let common = pairs.take_while(|(a, b)| a == b).count();
    let whole = told[0].0.len();
    assert!(
        (whole * 7 / 10..whole * 9 / 10).contains(&common),
        "{common} of {whole}"
    );
}

#[test]
fn conversations_are_refused_in_an_open_loop() {
    let _shared = shared();
    let mock = quick_mock();
    let set = Set::new("talk.jsonl", "{\"turns\":[\"a\",\"b\"]}\n");
    let line = towards(
        &mock,
        &format!(
            "{} --dataset-format conversations --qps 5 --max-requests 2",
            set.option()
        ),
    );
    let ended = Program::start(&format!("run {line}")).wait().expect(2);
    assert!(
        ended.stderr.contains("an open loop does not"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("--think-time"), "{}", ended.stderr);
    assert_eq!(settled(&mock).requests.numbered, 0);
}

#[test]
fn a_bad_row_is_named_before_anything_is_sent() {
    let _shared = shared();
    let mock = quick_mock();
    for (name, text, words) in [
        (
            "rows.jsonl",
            "{\"prompt\":\"a\"}\n{\"prompt\":\n",
            "rows.jsonl`: line 2: not a JSON object",
        ),
        (
            "rows.json",
            "[{\"conversations\":[]}, 5]",
            "rows.json`: element 2: not a JSON object",
        ),
        ("rows.csv", "prompt\n\n", "rows.csv`: no rows"),
        ("rows.csv", "a,b\n1,2\n", "no column `prompt`"),
    ] {
        let set = Set::new(name, text);
        let line = towards(&mock, &format!("{} --max-requests 2", set.option()));
        let ended = Program::start(&format!("run {line}")).wait().expect(2);
        assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    }
    assert_eq!(settled(&mock).requests.numbered, 0);
}

/// How often the server saw each body.
fn seen(line: &str, workers: usize) -> BTreeMap<String, usize> {
    let mock = quick_mock();
    let line = towards(&mock, line);
    if workers == 0 {
        Program::start(&format!("run {line}")).wait().expect(0);
    } else {
        Cluster::start(&line, workers).succeed();
    }
    let mut seen = BTreeMap::new();
    for note in settled(&mock).last_requests {
        *seen.entry(note.body_sha256).or_default() += 1;
    }
    seen
}

#[test]
fn one_process_and_seven_workers_send_the_same_rows() {
    let _shared = shared();
    let rows: Vec<_> = (0..40).map(|row| format!("row {row}\n")).collect();
    let small = Set::new("rows.txt", &rows.concat());
    // More than travels inside a plan.
    let row = |row: usize| format!("row {row} {}\n", "word ".repeat(5_000));
    let large = Set::new("large.txt", &(0..60).map(row).collect::<Vec<_>>().concat());
    for (set, all) in [(&small, 40), (&large, 60)] {
        let line = format!(
            "{} --dataset-shuffle-seed 5 -u 14 --qps 200 --max-requests {}",
            set.option(),
            all + 7
        );
        let (one, seven) = (seen(&line, 0), seen(&line, 7));
        assert_eq!(one, seven);
        let twice = one.values().filter(|count| **count == 2).count();
        assert_eq!(
            (one.len(), twice),
            (all, 7),
            "each row once, then from the first again"
        );
        let limited = seen(&format!("{line} --dataset-limit 5"), 3);
        assert_eq!(limited.len(), 5);
        assert!(limited.keys().all(|body| one.contains_key(body)));
    }
}

#[test]
fn a_worker_without_the_file_says_which() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    fs::write(folder.path().join("large.txt"), "word ".repeat(300_000)).unwrap();
    let line = towards(&mock, "--dataset @large.txt --max-requests 2");
    let master = Program::start_in(
        Arc::clone(&folder),
        &format!("master --master-bind-port 0 --expect-workers 1 {line}"),
    );
    let address = master.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap().to_owned();
    let worker = Program::start(&format!("worker --master {address} --threads 1"));
    let ended = master.wait().expect(2);
    let words = "no data set `large.txt` of 1500000 bytes here: looked for `large.txt`";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("at the same path"),
        "{}",
        ended.stderr
    );
    worker.wait();
    assert_eq!(settled(&mock).requests.numbered, 0);
}
