//! One process and a cluster of seven workers ask for the same: body by body, as the server sees them.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use crate::process::{Cluster, Program, faulty_mock, settled, shared, towards};
use crate::tiny;

/// How often a server that answers after `ttft` saw each body.
fn asked_of(ttft: &str, line: &str, workers: usize) -> BTreeMap<String, usize> {
    let mock = faulty_mock(ttft, "0ms", &[]);
    let line = towards(&mock, line).replace("-p 40 ", "");
    if workers == 0 {
        Program::start(&format!("run {line}")).wait().expect(0);
    } else {
        Cluster::start(&line, workers).succeed();
    }
    let seen = settled(&mock);
    let mut bodies = BTreeMap::new();
    for note in &seen.last_requests {
        *bodies.entry(note.body_sha256.clone()).or_default() += 1;
    }
    assert_eq!(
        bodies.values().sum::<usize>() as u64,
        seen.requests.numbered,
        "{line}"
    );
    bodies
}

fn asked(line: &str, workers: usize) -> BTreeMap<String, usize> {
    asked_of("1ms", line, workers)
}

/// Twenty-one users, so that each of seven workers has three; 60 requests in half a second.
const OPEN: &str = "-u 21 -r 21000 --qps 120 --max-requests 60";

fn rows(folder: &TempDir) -> String {
    let row = |row: usize| {
        format!(
            "{{\"prompt\":\"row {row}\",\"max_tokens\":{},\"top_p\":0.{row}}}\n",
            row + 1
        )
    };
    let path = folder.path().join("rows.jsonl");
    fs::write(&path, (1..50).map(row).collect::<String>()).unwrap();
    path.display().to_string()
}

#[test]
fn seven_workers_ask_for_what_one_process_does() {
    let _shared = shared();
    let folder = TempDir::new().unwrap();
    tiny::write(folder.path());
    let rows = rows(&folder);
    let said = folder.path().join("said.txt");
    fs::write(&said, "one\ntwo\nthree\n").unwrap();
    let (tiny, said) = (folder.path().join("tiny"), said.display());
    let tiny = tiny.display();
    let lines = [
        (format!("--dataset @{rows} --dataset-shuffle-seed 3"), 49),
        (format!("--dataset @{rows} --prompt-randomize"), 60),
        ("-p 80".to_owned(), 60),
        (
            "-p 80 -pcml 40 --prefix-groups 4 --prompt-randomize".to_owned(),
            60,
        ),
        (
            format!("-p 300 -pcml 120 --prefix-groups 5 --tokenizer {tiny}"),
            60,
        ),
        (
            format!("-d random -p 120 -pcml 60 --prefix-groups 3 --tokenizer {tiny}"),
            60,
        ),
        ("-d sonnets -p 80 --prompt-chars 200".to_owned(), 60),
        (
            "-p 60 --max-tokens-distribution normal --max-tokens-jitter 2".to_owned(),
            60,
        ),
        (
            format!("-p 60 --provider fireworks --forced-generation-file {said}"),
            60,
        ),
        (
            format!(
                "-p 60 --provider fireworks --forced-generation-from-dataset --tokenizer {tiny} -o 40"
            ),
            60,
        ),
        (
            "--embeddings --embeddings-batch-size 3 -p 30".to_owned(),
            60,
        ),
        ("--rerank --num-documents 3 -p 60".to_owned(), 60),
        ("--prompt-images-with-resolutions 9x9 -p 60".to_owned(), 60),
        ("-p 60 --qps-distribution exponential".to_owned(), 60),
    ];
    let lines: Vec<_> = lines.iter().collect();
    std::thread::scope(|scope| {
        for half in lines.chunks(lines.len().div_ceil(2)) {
            scope.spawn(move || {
                for (line, distinct) in half {
                    let line = format!("{OPEN} {line}");
                    let one = asked(&line, 0);
                    assert_eq!(one.values().sum::<usize>(), 60, "{line}");
                    assert_eq!(one.len(), *distinct, "{line}");
                    assert_eq!(one, asked(&line, 7), "{line}");
                }
            });
        }
    });
}

#[test]
fn the_users_of_seven_workers_ask_for_what_those_of_one_process_do() {
    let _shared = shared();
    let folder = TempDir::new().unwrap();
    let rows = rows(&folder);
    // Nobody has an answer before all have asked.
    let closed = "-u 21 -r 21000 --max-requests 21";
    let lines = [
        format!("{closed} --dataset @{rows}"),
        format!("{closed} -p 80 -pcml 40 --prefix-groups 4"),
    ];
    std::thread::scope(|scope| {
        for line in &lines {
            scope.spawn(move || {
                let one = asked_of("2s", line, 0);
                assert_eq!(one.len(), 21, "{line}: no two users ask for the same");
                assert_eq!(one, asked_of("2s", line, 7), "{line}");
            });
        }
    });
}

#[test]
fn another_seed_asks_for_something_else() {
    let _shared = shared();
    let one = asked(&format!("{OPEN} -p 80"), 0);
    let other = asked(&format!("{OPEN} -p 80 --seed 8"), 0);
    let common = one.keys().filter(|body| other.contains_key(*body));
    assert!(common.count() < 6);
}
