//! The files of a run: Locust's CSV, the summary file, the result and the records, each against its schema and the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;
use tempfile::TempDir;

use crate::counts::Party;
use crate::process::{Cluster, Ended, Program, quick_mock, settled, shared, towards};
use crate::schedule::records_file;

const RESULT: &str = include_str!("../../src/report/schema/result.schema.json");
const RECORD: &str = include_str!("../../src/report/schema/record.schema.json");

fn validator(schema: &str) -> Validator {
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

#[track_caller]
fn assert_valid(validator: &Validator, value: &Value) {
    let faults: Vec<String> = validator
        .iter_errors(value)
        .map(|fault| format!("{fault} at {}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?} in {value:#}");
}

/// The rows of a CSV file, each by its columns' names.
fn rows(ended: &Ended, name: &str) -> Vec<BTreeMap<String, String>> {
    let text = ended.read(name);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

const FILES: &str = "--csv out --summary-file summary.csv --records records.jsonl";

#[test]
fn locusts_four_files_agree_with_the_result() {
    let _shared = shared();
    for party in [Party::Alone, Party::Workers(2)] {
        let mock = quick_mock();
        let line = format!("-u 6 -r 6000 -t 2s {FILES}");
        let ended = party.carry_out(&mock, &line);
        let result = ended.result();
        let requests = result.count("/measured/requests").to_string();
        let stats = rows(&ended, "out_stats.csv");
        let (first, last) = (&stats[0], stats.last().unwrap());
        assert_eq!(
            (first["Type"].as_str(), first["Name"].as_str()),
            ("POST", "/v1/chat/completions")
        );
        assert_eq!(
            (last["Type"].as_str(), last["Name"].as_str()),
            ("", "Aggregated")
        );
        assert_eq!(
            (&first["Request Count"], &last["Request Count"]),
            (&requests, &requests),
            "{party:?}"
        );
        let ttft = stats
            .iter()
            .find(|row| row["Name"] == "time_to_first_token")
            .unwrap();
        assert_eq!(
            ttft["Request Count"],
            result.count("/metrics/ttft_ms/count").to_string()
        );
        let average: f64 = ttft["Average Response Time"].parse().unwrap();
        assert!((average - result.number("/metrics/ttft_ms/mean")).abs() < 1e-6);
        let history = rows(&ended, "out_stats_history.csv");
        // One a second, however many workers there are, and one for what the last moment brought.
        assert!((2..=4).contains(&history.len()), "{party:?}: {history:#?}");
        let counts: Vec<u64> = history
            .iter()
            .map(|row| row["Total Request Count"].parse().unwrap())
            .collect();
        assert!(counts.is_sorted(), "{party:?}: {counts:?}");
        assert_eq!(counts.last().unwrap().to_string(), requests, "{party:?}");
        assert_eq!(rows(&ended, "out_failures.csv").len(), 0);
        assert_eq!(ended.read("out_exceptions.csv").lines().count(), 1);
    }
}

#[test]
fn the_result_and_the_records_follow_their_schemas() {
    let _shared = shared();
    let (result, record) = (validator(RESULT), validator(RECORD));
    assert!(!record.is_valid(&serde_json::json!({"index": 1})));
    for pacing in ["-u 6 -r 6000 -t 1s", "-u 6 -r 6000 --qps 40 -t 1s"] {
        let mock = quick_mock();
        let line = towards(&mock, &format!("{pacing} --records records.jsonl"));
        let alone = Program::start(&format!("run {line}")).wait().expect(0);
        assert_valid(&result, &alone.result().0);
        assert_records(
            &record,
            alone.records("records.jsonl"),
            settled(&mock).requests.numbered,
        );

        mock.stats().reset();
        let (master, workers) = Cluster::start(&line, 3).succeed();
        assert_valid(&result, &master.result().0);
        assert!(
            !master.path("records.jsonl").exists(),
            "the workers write them"
        );
        let records = workers
            .iter()
            .map(|worker| worker.records(&records_file(worker.folder())));
        let records: Vec<Value> = records.flatten().collect();
        assert_eq!(records.len() as u64, master.result().total("sent"));
        assert_records(&record, records, settled(&mock).requests.numbered);
    }
}

/// One line a request that the server saw, each of another index.
#[track_caller]
fn assert_records(schema: &Validator, records: Vec<Value>, seen: u64) {
    assert_eq!(records.len() as u64, seen);
    let indices: BTreeSet<String> = records
        .iter()
        .map(|record| record["index"].to_string())
        .collect();
    assert_eq!(indices.len() as u64, seen, "every request has one line");
    for record in records {
        assert_valid(schema, &record);
        let at = |name: &str| record[name].as_u64().unwrap();
        let content = record["content_ns"].as_array().unwrap();
        assert_eq!(content.len(), 5);
        let first = content[0].as_u64().unwrap();
        let last = content[4].as_u64().unwrap();
        let times = [
            at("due_ns"),
            at("sent_ns"),
            at("headers_ns"),
            first,
            last,
            at("end_ns"),
        ];
        assert!(times.is_sorted(), "{record}");
    }
}

#[test]
fn workers_write_their_records_where_they_are_told() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(&mock, "-u 4 -r 1000 --max-requests 20 --records all.jsonl");
    let master = Program::start(&format!(
        "master --master-bind-port 0 --expect-workers 2 {line}"
    ));
    let address = master.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap();
    // Both on one machine and in one folder.
    let folder = Arc::new(TempDir::new().unwrap());
    let workers: Vec<Program> = (0..2)
        .map(|_| {
            Program::start(&format!(
                "worker --master {address} --records-dir {}",
                folder.path().display()
            ))
        })
        .collect();
    let workers: Vec<Ended> = workers
        .into_iter()
        .map(|worker| worker.wait().expect(0))
        .collect();
    master.wait().expect(0);
    let lines = |name: &str| {
        std::fs::read_to_string(folder.path().join(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(lines("all.1.jsonl") + lines("all.2.jsonl"), 20);
    for worker in workers {
        assert_eq!(
            std::fs::read_dir(worker.folder()).unwrap().count(),
            0,
            "nothing elsewhere"
        );
    }
}

#[test]
fn a_second_run_appends_a_row_to_the_summary_file() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    let mut requests = Vec::new();
    for max in [20, 30] {
        let line = towards(
            &mock,
            &format!("-u 4 -r 4000 --max-requests {max} --summary-file summary.csv"),
        );
        let ended = Program::start_in(Arc::clone(&folder), &format!("run {line}"))
            .wait()
            .expect(0);
        requests.push(ended.result().count("/measured/requests").to_string());
    }
    let text = std::fs::read_to_string(folder.path().join("summary.csv")).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let read: Vec<BTreeMap<String, String>> =
        reader.deserialize().map(|row| row.unwrap()).collect();
    let column: Vec<&String> = read.iter().map(|row| &row["Num Requests"]).collect();
    assert_eq!(column, requests.iter().collect::<Vec<_>>());
    assert_ne!(requests[0], requests[1]);
    assert_eq!(text.matches("Num Requests").count(), 1, "one header");
}
