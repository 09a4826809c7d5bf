//! The columns of the summary file, as they were before llmload: readers of old files must not notice the difference.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use llmload::mock::{MockHandle, Script, spawn_thread};
use tempfile::TempDir;

use crate::counts::Party;
use crate::process::{Ended, Program, quick_mock, shared};

const SETTINGS: &str =
    "Provider,Model,Prompt Tokens,Generation Tokens,Completion Tokens,Stream,Temperature,Logprobs";
const MEANS: &str = "Concurrency,Time To First Token,Latency Per Token,Overall Latency Per Token,Total Latency,Num Tokens";
const REQUESTS: &str = "Num Requests,Qps";
const TTFT: &str = "P50 Time To First Token,P90 Time To First Token,P95 Time To First Token,P99 Time To First Token,P99.9 Time To First Token";
const TOTAL: &str =
    "P50 Total Latency,P90 Total Latency,P95 Total Latency,P99 Total Latency,P99.9 Total Latency";
const EACH: &str = "P50 Latency Per Embedding,P90 Latency Per Embedding,P95 Latency Per Embedding,P99 Latency Per Embedding,P99.9 Latency Per Embedding";

/// Options, the whole header, and some of the values below it.
type Case = (
    &'static str,
    Vec<&'static str>,
    Vec<(&'static str, &'static str)>,
);

/// Runs that generate text.
fn chats() -> Vec<Case> {
    let chat = vec![SETTINGS, MEANS, REQUESTS, TTFT, TOTAL];
    vec![
        (
            "",
            chat.clone(),
            vec![
                ("Provider", "openai"),
                ("Model", "mock"),
                ("Generation Tokens", "5.0"),
                ("Completion Tokens", "5.0"),
                ("Num Tokens", "5.0"),
                ("Stream", "True"),
                ("Temperature", "1.0"),
                ("Logprobs", ""),
                ("Concurrency", "2"),
                ("Num Requests", "6"),
            ],
        ),
        (
            "--qps 40 --temperature 0.25 --logprobs 3",
            chat.clone(),
            vec![
                ("Concurrency", "QPS 40.0 constant"),
                ("Temperature", "0.25"),
                ("Logprobs", "3"),
            ],
        ),
        (
            "--qps 40 --qps-distribution exponential",
            chat.clone(),
            vec![("Concurrency", "QPS 40.0 exponential")],
        ),
        ("--no-chat", chat.clone(), vec![("Num Tokens", "5.0")]),
        (
            "--no-stream",
            vec![SETTINGS, MEANS, REQUESTS, TOTAL],
            vec![
                ("Stream", "False"),
                ("Time To First Token", ""),
                ("Latency Per Token", ""),
                ("Num Tokens", "5.0"),
            ],
        ),
        (
            "--top-k 7",
            vec![SETTINGS, "Top K", MEANS, REQUESTS, TTFT, TOTAL],
            vec![("Top K", "7"), ("Concurrency", "2")],
        ),
        (
            "--provider fireworks -pcml 9",
            vec![SETTINGS, MEANS, "Cached Tokens", REQUESTS, TTFT, TOTAL],
            vec![("Provider", "fireworks"), ("Cached Tokens", "9.0")],
        ),
    ]
}

/// Runs that do not.
fn vectors() -> Vec<Case> {
    vec![
        (
            "--embeddings --embeddings-batch-size 4 --max-tokens-distribution uniform -o 64 --max-tokens-cap 80",
            vec![
                SETTINGS,
                "Concurrency,Total Latency,Latency Per Embedding",
                REQUESTS,
                TOTAL,
                EACH,
            ],
            vec![
                ("Generation Tokens", "uniform(64 +/- 19) capped at 80"),
                ("Completion Tokens", "uniform(64 +/- 19) capped at 80"),
                ("Num Requests", "6"),
            ],
        ),
        (
            "--rerank",
            vec![SETTINGS, "Concurrency,Total Latency", REQUESTS, TOTAL],
            vec![("Generation Tokens", "5"), ("Num Requests", "6")],
        ),
        (
            "--rerank --num-documents 3",
            vec![
                SETTINGS,
                "Concurrency,Total Latency,Num Documents",
                REQUESTS,
                TOTAL,
            ],
            vec![("Num Documents", "3")],
        ),
        (
            "--rerank --tokens-per-document 20",
            vec![
                SETTINGS,
                "Concurrency,Total Latency,Num Documents,Tokens Per Document",
                REQUESTS,
                TOTAL,
            ],
            vec![("Num Documents", "10"), ("Tokens Per Document", "20")],
        ),
    ]
}

/// A mock that has a cache, as Fireworks' servers do.
fn caching_mock() -> MockHandle {
    let script = Script {
        owned_by: "fireworks".to_owned(),
        ttft: "2ms".parse().unwrap(),
        inter_token: "1ms".parse().unwrap(),
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

fn line(mock: &MockHandle, options: &str) -> String {
    let provider = if options.contains("--provider") {
        ""
    } else {
        "--provider openai"
    };
    let length = if options.contains("-o ") { "" } else { "-o 5" };
    format!(
        "run -H http://{} -m mock {provider} -p 40 {length} -u 2 -r 1000 --max-requests 6 --seed 7 --only-summary \
         --no-reset-stats --summary-file summary.csv {options}",
        mock.addr()
    )
}

/// The only row of a file by its columns.
fn row(text: &str) -> BTreeMap<String, String> {
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let mut rows = rows.deserialize().map(Result::unwrap);
    let row = rows.next().unwrap();
    assert_eq!(rows.next(), None, "{text}");
    row
}

#[test]
fn each_kind_of_run_has_the_columns_that_it_always_had() {
    let _shared = shared();
    std::thread::scope(|scope| {
        for (options, header, values) in chats().into_iter().chain(vectors()) {
            scope.spawn(move || {
                let fireworks = options.contains("fireworks");
                let mock = if fireworks {
                    caching_mock()
                } else {
                    quick_mock()
                };
                let ended = Program::start(&line(&mock, options)).wait().expect(0);
                let text = ended.read("summary.csv");
                assert_eq!(text.lines().next().unwrap(), header.join(","), "{options}");
                let row = row(&text);
                for (name, value) in values {
                    assert_eq!(row[name], value, "{options}: {name}");
                }
                assert_same_as_the_block(&ended, &row);
            });
        }
    });
}

/// The block on standard output has the same entries, with `None` for what was not set.
fn assert_same_as_the_block(ended: &Ended, row: &BTreeMap<String, String>) {
    let (_, block) = ended.stdout.split_once(" Summary ====").unwrap();
    let entries = block.lines().filter_map(|line| line.split_once(':'));
    let entries: Vec<_> = entries
        .map(|(name, value)| (name.trim_end(), value.trim()))
        .collect();
    assert_eq!(entries.len(), row.len(), "{}", ended.stdout);
    for (name, value) in entries {
        let shown = if value == "None" { "" } else { value };
        assert_eq!(row[name], shown, "{name}");
    }
}

#[test]
fn a_cluster_writes_the_same_columns() {
    let _shared = shared();
    let mock = quick_mock();
    let ended = Party::Workers(2).carry_out(
        &mock,
        "-u 4 -r 1000 --max-requests 20 --no-reset-stats --summary-file summary.csv --top-k 3",
    );
    let text = ended.read("summary.csv");
    let header = [SETTINGS, "Top K", MEANS, REQUESTS, TTFT, TOTAL].join(",");
    assert_eq!(text.lines().next().unwrap(), header);
    let row = row(&text);
    assert_eq!(
        (row["Concurrency"].as_str(), row["Num Requests"].as_str()),
        ("4", "20")
    );
}

#[test]
fn a_file_never_has_a_row_that_does_not_fit_its_header() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    let again =
        |options: &str| Program::start_in(Arc::clone(&folder), &line(&mock, options)).wait();
    let read = |name: &Path| std::fs::read_to_string(folder.path().join(name)).unwrap();
    again("--top-k 7").expect(0);
    // Columns that a row lacks stay empty.
    again("").expect(0);
    again("--no-stream").expect(0);
    let text = read(Path::new("summary.csv"));
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = rows.deserialize().map(Result::unwrap).collect();
    let columns = [
        "Top K",
        "Concurrency",
        "Num Tokens",
        "P50 Time To First Token",
    ];
    let found: Vec<_> = rows
        .iter()
        .map(|row| columns.map(|name| !row[name].is_empty()))
        .collect();
    assert_eq!(
        found,
        [
            [true, true, true, true],
            [false, true, true, true],
            [false, true, true, false]
        ]
    );
    // A column that the file lacks is a reason to keep the row elsewhere.
    let refused = again("--embeddings").expect(1);
    for words in [
        "the file has no column `Latency Per Embedding`",
        "the row is kept in `summary.csv.",
    ] {
        assert!(
            refused.stderr.contains(words),
            "{words}\n{}",
            refused.stderr
        );
    }
    assert_eq!(read(Path::new("summary.csv")), text);
    let names = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let beside: Vec<_> = names
        .filter(|name| name.to_string_lossy().starts_with("summary.csv."))
        .collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    assert_eq!(row(&read(Path::new(&beside[0])))["Num Requests"], "6");
}
