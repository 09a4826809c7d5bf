//! `llmload export`: what a run left behind, in the formats of others, held against the run's own result; damage and contradictions.
//! What other programs make of these files, `tests/peers/export.py` tells.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{
    Cluster, Ended, Program, Report, faulty_mock, quick_mock, shared, towards, wait_for_requests,
};
use crate::schedule::records_file;

const FILES: &str = "--records sent.jsonl --journal run.journal";

/// What tells all of a run, in three ways.
const SUMMARY_SOURCES: [&str; 3] = [
    "--journal run.journal",
    "--json-file result.json",
    "--records sent.jsonl --json-file result.json",
];

fn folder() -> Arc<TempDir> {
    Arc::new(TempDir::new().unwrap())
}

/// A run of `line` against a mock where every tenth request fails, with all that it leaves behind.
fn run(line: &str) -> (Arc<TempDir>, Report) {
    let mock = faulty_mock("3ms", "1ms", &["status=0.1:500"]);
    let folder = folder();
    let line = towards(&mock, &format!("{line} --max-fail-ratio 1 {FILES}"));
    let ended = Program::start_in(Arc::clone(&folder), &format!("run {line}"));
    let result = ended.wait().expect(0).result();
    (folder, result)
}

fn export(folder: &Arc<TempDir>, line: &str) -> Ended {
    Program::start_in(Arc::clone(folder), &format!("export --format {line}")).wait()
}

fn json(folder: &TempDir, name: &str) -> Report {
    let text = fs::read_to_string(folder.path().join(name)).unwrap();
    Report(serde_json::from_str(&text).unwrap())
}

/// The rows of a table by the names of its columns.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize().map(Result::unwrap);
    rows.collect()
}

/// Histograms by tag, of all intervals together.
fn histograms(log: &str) -> BTreeMap<String, Histogram<u64>> {
    let mut found = BTreeMap::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        let LogEntry::Interval(line) = entry.unwrap() else {
            continue;
        };
        let bytes = STANDARD.decode(line.encoded_histogram()).unwrap();
        let one: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        let tag = line.tag().unwrap().as_str().to_owned();
        let whole = found
            .entry(tag)
            .or_insert_with(|| Histogram::new_from(&one));
        whole.add(&one).unwrap();
    }
    found
}

/// The values of a detail log by their keys.
fn detail(text: &str) -> BTreeMap<String, Value> {
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line.strip_prefix(":::MLLOG ").unwrap()).unwrap();
        (
            line["key"].as_str().unwrap().to_owned(),
            line["value"].clone(),
        )
    });
    lines.collect()
}

#[test]
fn every_format_counts_what_the_run_counted() {
    let _shared = shared();
    let (folder, result) = run("-u 40 --qps 80 -t 3s --warmup 1s");
    let finished = result.total("completed") + result.total("failed");
    let (good, failures) = measured(&result);
    assert!(good > 0 && failures > 0 && finished > good + failures);
    tables_count(&folder, &result);
    summaries_count(&folder, &result);
    logs_count(&folder, &result);
}

fn tables_count(folder: &Arc<TempDir>, result: &Report) {
    let finished = result.total("completed") + result.total("failed");
    let table = export(folder, "csv --records sent.jsonl").expect(0);
    let rows = rows(&table.stdout);
    assert_eq!(rows.len() as u64, finished);
    let completed = rows.iter().filter(|row| row["good"] == "true").count();
    assert_eq!(completed as u64, result.total("completed"));
    let tokens: u64 = rows
        .iter()
        .filter_map(|row| row["output_tokens"].parse::<u64>().ok())
        .sum();
    assert_eq!(tokens, result.count("/tokens/whole_run_output"));

    export(folder, "parquet --records sent.jsonl -o requests.parquet").expect(0);
    let file = fs::File::open(folder.path().join("requests.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let events: usize = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_list(rows[0].len()).unwrap().len())
        .sum();
    let in_the_table: usize = rows
        .iter()
        .map(|row| row["content_events"].parse::<usize>().unwrap())
        .sum();
    assert_eq!(
        u64::try_from(reader.metadata().file_metadata().num_rows()),
        Ok(finished)
    );
    assert_eq!(events, in_the_table);
}

fn summaries_count(folder: &Arc<TempDir>, result: &Report) {
    let (good, failures) = measured(result);
    for source in SUMMARY_SOURCES {
        export(folder, &format!("llm-d {source} -o report.json")).expect(0);
        let report = json(folder, "report.json");
        let requests = "/results/request_performance/aggregate/requests";
        assert_eq!(
            report.count(&format!("{requests}/total")),
            good + failures,
            "{source}"
        );
        assert_eq!(
            report.count(&format!("{requests}/failures")),
            failures,
            "{source}"
        );
        let ttft = report
            .number("/results/request_performance/aggregate/latency/time_to_first_token/mean");
        assert!(
            (ttft - result.number("/metrics/ttft_ms/mean")).abs() < 1e-6,
            "{source}"
        );
        output_rate_is_the_results(&report, result, source);

        export(folder, &format!("mlperf {source} -o logs")).expect(0);
        let text = fs::read_to_string(folder.path().join("logs/mlperf_log_detail.txt")).unwrap();
        let log = detail(&text);
        assert_eq!(log["result_query_count"], good, "{source}");
        assert_eq!(log["effective_scenario"], "Server");
        assert_eq!(log["failed_requests"]["count"], failures);
    }
}

fn output_rate_is_the_results(report: &Report, result: &Report, source: &str) {
    let throughput = "/results/request_performance/aggregate/throughput";
    let found = report.number(&format!("{throughput}/output_token_rate/mean"));
    let wanted = result.number("/tokens/output_per_s");
    assert!(
        (found / wanted - 1.0).abs() < 1e-9,
        "{source}: {found} and {wanted}"
    );
}

#[test]
fn the_last_tokens_of_a_counted_run_are_in_its_window() {
    let _shared = shared();
    let (folder, result) = run("-u 3 -r 1000 --max-requests 60");
    for source in SUMMARY_SOURCES {
        export(&folder, &format!("llm-d {source} -o report.json")).expect(0);
        output_rate_is_the_results(&json(&folder, "report.json"), &result, source);
    }
}

fn logs_count(folder: &Arc<TempDir>, result: &Report) {
    let (good, failures) = measured(result);
    for source in [
        "--journal run.journal",
        "--records sent.jsonl --json-file result.json",
    ] {
        let log = histograms(&export(folder, &format!("hlog {source}")).expect(0).stdout);
        assert_eq!(log["total_latency"].len(), good, "{source}");
        assert_eq!(log["failed_time"].len(), failures);
        let before = result.count("/measured/left_out_before_the_window");
        let early =
            log["before_window_total_latency"].len() + log["before_window_failed_time"].len();
        assert_eq!(early, before);
        let found = log["total_latency"].value_at_quantile(0.5);
        let wanted = result.number("/metrics/total_latency_ms/p50") * 1e6;
        #[expect(clippy::cast_precision_loss, reason = "a time in nanoseconds")]
        let off = (found as f64 / wanted - 1.0).abs();
        assert!(off < 0.0015, "{found} and {wanted}");
    }
}

/// Good and failed requests of the measured window.
fn measured(result: &Report) -> (u64, u64) {
    (
        result.count("/measured/good"),
        result.count("/measured/failures"),
    )
}

#[test]
fn the_records_of_all_workers_are_one_table() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(&mock, "-u 6 -r 1000 --max-requests 90 --records sent.jsonl");
    let (master, workers) = Cluster::start(&line, 2).succeed();
    let files: Vec<_> = workers
        .iter()
        .map(|worker| worker.path(&records_file(worker.folder())))
        .collect();
    let names: Vec<_> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let all = names.join(" ");
    let folder = folder();
    let rows = rows(
        &export(&folder, &format!("csv --records {all}"))
            .expect(0)
            .stdout,
    );
    assert_eq!(rows.len() as u64, master.result().total("completed"));
    let users: std::collections::BTreeSet<_> = rows.iter().map(|row| row["user"].clone()).collect();
    assert_eq!(users.len(), 6);
    let twice = export(&folder, &format!("csv --records {all} {}", names[0])).expect(2);
    assert!(twice.stderr.contains("is given twice"), "{}", twice.stderr);
}

#[test]
fn a_cut_line_is_named_and_the_rest_exported() {
    let _shared = shared();
    let (folder, result) = run("-u 3 -r 1000 --max-requests 40");
    let path = folder.path().join("sent.jsonl");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 30]).unwrap();
    let finished = result.total("completed") + result.total("failed");
    for format in ["csv", "hlog", "llm-d"] {
        let ended = export(&folder, &format!("{format} --records sent.jsonl -o out")).expect(1);
        let words = format!("line {finished} of `sent.jsonl`: cut off in the middle");
        assert!(ended.stderr.contains(&words), "{}", ended.stderr);
    }
    let report = json(&folder, "out");
    let total = report.count("/results/request_performance/aggregate/requests/total");
    assert_eq!(total, finished - 1);
    let ended = export(&folder, "parquet --records sent.jsonl -o requests.parquet").expect(1);
    assert!(
        ended
            .stderr
            .contains(&format!("{} requests are exported", finished - 1))
    );
    let file = fs::File::open(folder.path().join("requests.parquet")).unwrap();
    let rows = SerializedFileReader::new(file)
        .unwrap()
        .metadata()
        .file_metadata()
        .num_rows();
    assert_eq!(u64::try_from(rows), Ok(finished - 1));
}

#[test]
fn a_dead_masters_journal_gives_what_it_holds() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = folder();
    let line = towards(
        &mock,
        "-u 30 -r 30000 --qps 40 -t 50s --journal run.journal",
    );
    let run = Program::start_in(Arc::clone(&folder), &format!("run {line}"));
    wait_for_requests(&mock, 120);
    run.signal(Signal::KILL);
    drop(run);
    let ended = export(&folder, "llm-d --journal run.journal -o report.json").expect(0);
    assert!(
        ended.stderr.contains("ended without a word after"),
        "{}",
        ended.stderr
    );
    let total = "/results/request_performance/aggregate/requests/total";
    let before = json(&folder, "report.json").count(total);
    assert!(before > 30, "{before}");
    let log = histograms(
        &export(&folder, "hlog --journal run.journal")
            .expect(0)
            .stdout,
    );
    assert_eq!(log["total_latency"].len(), before);
    // A disk that lost the end of it: that is said, and the status tells.
    let path = folder.path().join("run.journal");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let ended = export(&folder, "llm-d --journal run.journal -o report.json").expect(1);
    assert!(
        ended
            .stderr
            .contains("of the journal `run.journal` are left out"),
        "{}",
        ended.stderr
    );
    assert!(json(&folder, "report.json").count(total) < before);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_give_instead() {
    let _shared = shared();
    let (folder, _) = run("-u 3 -r 1000 --max-requests 20");
    for (line, words) in [
        ("parquet --journal run.journal -o x", "hint: --records FILE"),
        ("csv --json-file result.json", "hint: --records FILE"),
        (
            "hlog --json-file result.json",
            "a result has percentiles alone",
        ),
        ("parquet --records sent.jsonl", "hint: -o FILE.parquet"),
        ("mlperf --journal run.journal -o -", "hint: -o DIR"),
        (
            "mlperf --journal run.journal -o logs",
            "a closed loop of `3` users is no scenario",
        ),
        (
            "mlperf --journal run.journal -o logs --scenario server",
            "does not fit",
        ),
        (
            "csv --records sent.jsonl -o sent.jsonl",
            "would be overwritten",
        ),
        ("csv --records result.json", "holds no record"),
        ("csv --records none.jsonl", "cannot read the records"),
        ("llm-d --journal sent.jsonl", "cannot read the journal"),
        ("llm-d --json-file sent.jsonl", "cannot read the result"),
        (
            "csv --records sent.jsonl -o no/such/folder.csv",
            "cannot write",
        ),
    ] {
        let ended = export(&folder, line).expect(2);
        assert!(ended.stderr.contains(words), "{line}: {}", ended.stderr);
    }
    assert!(!folder.path().join("logs").exists());
    let offline = export(
        &folder,
        "mlperf --journal run.journal -o logs --scenario offline",
    );
    offline.expect(0);
    let full = export(&folder, "csv --records sent.jsonl -o /dev/full").expect(1);
    assert!(
        full.stderr.contains("cannot write `/dev/full`"),
        "{}",
        full.stderr
    );
}
