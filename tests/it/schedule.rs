//! One schedule: the same requests at the same times, whoever carries them out.

use std::collections::BTreeMap;
use std::path::Path;

use llmload::mock::MockHandle;
use serde_json::Value;

use crate::process::{Cluster, Program, quick_mock, settled, shared, towards};

/// What one party sent: the bodies' fingerprints and lengths as the server saw them, the due times as the records have them.
#[derive(Debug, PartialEq)]
struct Sent {
    /// (SHA-256 of the body, tokens of the answer), sorted.
    requests: Vec<(String, u64)>,
    /// By index, in ns.
    due: BTreeMap<u64, u64>,
}

const RUN: &str = "-u 30 -r 30000 --qps 60 --qps-distribution exponential --max-requests 90 \
     --max-tokens-distribution uniform --max-tokens-range 0.8 -o 10 --records sent.jsonl";

fn sent(mock: &MockHandle, records: &[Value]) -> Sent {
    let notes = settled(mock).last_requests;
    let mut requests: Vec<_> = notes
        .into_iter()
        .map(|note| (note.body_sha256, note.tokens))
        .collect();
    requests.sort();
    let due = records
        .iter()
        .map(|record| {
            let index = record["index"]["arrival"].as_u64().unwrap();
            (index, record["due_ns"].as_u64().unwrap())
        })
        .collect();
    Sent { requests, due }
}

fn by_one(seed: u64) -> Sent {
    let mock = quick_mock();
    let line = towards(&mock, &format!("{RUN} --seed {seed}"));
    let ended = Program::start(&format!("run {line}")).wait().expect(0);
    sent(&mock, &ended.records("sent.jsonl"))
}

fn by_workers(seed: u64, count: usize) -> Sent {
    let mock = quick_mock();
    let line = towards(&mock, &format!("{RUN} --seed {seed}"));
    let (_, workers) = Cluster::start(&line, count).succeed();
    let mut records = Vec::new();
    let mut files = Vec::new();
    for worker in &workers {
        let name = records_file(worker.folder());
        records.extend(worker.records(&name));
        files.push(name);
    }
    files.sort();
    files.dedup();
    assert_eq!(
        files.len(),
        count,
        "each worker's file has a name of its own: {files:?}"
    );
    sent(&mock, &records)
}

/// The one records file in a worker's folder.
pub(crate) fn records_file(folder: &Path) -> String {
    let names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|ending| ending == "jsonl")
        })
        .collect();
    let [name] = &names[..] else {
        panic!("not one records file, but {names:?}");
    };
    name.clone()
}

#[test]
fn prompts_lengths_and_due_times_are_the_same_for_one_and_for_many() {
    let _shared = shared();
    let one = by_one(11);
    assert_eq!((one.requests.len(), one.due.len()), (90, 90));
    let mut bodies: Vec<_> = one.requests.iter().map(|(body, _)| body).collect();
    bodies.dedup();
    assert!(
        bodies.len() > 80,
        "prompts differ among themselves: {}",
        bodies.len()
    );
    let lengths: std::collections::BTreeSet<_> =
        one.requests.iter().map(|(_, tokens)| tokens).collect();
    assert!(lengths.len() > 5, "lengths vary: {lengths:?}");
    std::thread::scope(|scope| {
        let three = scope.spawn(|| by_workers(11, 3));
        let seven = scope.spawn(|| by_workers(11, 7));
        let other = by_one(12);
        assert_eq!(three.join().unwrap(), one);
        assert_eq!(seven.join().unwrap(), one);
        assert_ne!(other.requests, one.requests, "another seed, other requests");
        assert_ne!(other.due, one.due, "another seed, other times");
    });
}

#[test]
fn a_users_turns_are_the_same_for_one_and_for_many() {
    let _shared = shared();
    let line = "-u 6 -r 1000 --max-requests 120 --max-tokens-distribution uniform -o 12 --records sent.jsonl";
    let lengths = |records: Vec<Value>| -> BTreeMap<(u64, u64), u64> {
        let of = |record: &Value, name: &str| record["index"]["turn"][name].as_u64().unwrap();
        let length = |record: &Value| record["max_tokens"].as_u64().unwrap();
        records
            .iter()
            .map(|record| ((of(record, "user"), of(record, "turn")), length(record)))
            .collect()
    };
    let mock = quick_mock();
    let ended = Program::start(&format!("run {}", towards(&mock, line)))
        .wait()
        .expect(0);
    let one = lengths(ended.records("sent.jsonl"));
    let (_, workers) = Cluster::start(&towards(&mock, line), 3).succeed();
    let files = workers
        .iter()
        .map(|worker| worker.records(&records_file(worker.folder())));
    let many = lengths(files.flatten().collect());
    assert_eq!((one.len(), many.len()), (120, 120));
    let both: Vec<_> = one.keys().filter(|turn| many.contains_key(turn)).collect();
    // How many turns a user gets depends on the server; the first ones every user gets.
    assert!(both.len() > 60, "{}", both.len());
    assert!(both.iter().all(|turn| one[turn] == many[turn]));
}
