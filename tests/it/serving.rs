//! `bench-suite`, `benchmark` and `report DIR` as processes, narrowed to seconds, against mocks.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use llmload::mock::{MockHandle, Script, spawn_thread};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Ended, Program, eventually, quick_mock, shared, wait_for_requests};

/// Narrow enough for a test: one repetition, one profile, two loads.
const NARROW: &str = "--input-lengths 32 --output-lengths 4 --parallel-requests 1,2 --repeats 1 --max-queries 12 \
    --max-duration-prompt-ingestion 10 --max-duration-kv-cache-profile 2 --max-duration-speed-generation 30 \
    --min-duration-speed-generation 0.01 --target-queries-nb-speed-generation 6 --min-number-of-valid-queries 3 \
    --allow-invalid --timeout 20 --output-folder out";

/// What a finished suite has.
const RAWS: [&str; 4] = [
    "prompt_ingestion_0.json",
    "kv_cache_profile_input_32_output_4.json",
    "generation_speed_input_32_output_4_nb_requests_1.json",
    "generation_speed_input_32_output_4_nb_requests_2.json",
];

/// A folder with prompts in the upstream tool's layout.
fn folder() -> Arc<TempDir> {
    let folder = TempDir::new().unwrap();
    let prompts = folder.path().join("datasets");
    std::fs::create_dir(&prompts).unwrap();
    let text = |words: usize, number: usize| format!("{number} {}", "word ".repeat(words));
    let list = |name: &str, texts: Vec<String>| {
        std::fs::write(prompts.join(name), json!(texts).to_string()).unwrap();
    };
    list(
        "growing_prompts.json",
        (0..40).map(|at| text(5 + 20 * at, at)).collect(),
    );
    list(
        "prompts_length_32.json",
        (0..40).map(|at| text(31, at)).collect(),
    );
    Arc::new(folder)
}

fn suite(mock: &MockHandle, words: &str) -> String {
    format!(
        "bench-suite --base-url http://{} {NARROW} {words}",
        mock.addr()
    )
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn raw(ended: &Ended, name: &str) -> Value {
    json_of(&ended.path(&format!("out/raw_results/{name}")))
}

fn queries(raw: &Value) -> u64 {
    raw["general_metrics"]["total_number_of_queries"]
        .as_u64()
        .unwrap()
}

/// Two pairs of lengths, at one load.
const TWO_PAIRS: &str =
    "--output-lengths 4,5 --parallel-requests 1 --min-number-of-valid-queries 1";

/// The content of every file below a folder, but for the lock.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let below = content(&path).into_iter();
            all.extend(below.map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if name != ".lock" {
            all.insert(name, std::fs::read(path).unwrap());
        }
    }
    all
}

/// A server before `mock` that refuses requests whose bodies have these words, and hands on all others. It serves to the end
/// of the process.
fn refusing(mock: SocketAddr, words: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // Who hangs up gets nothing.
            thread::spawn(move || hand_on(client, mock, words).ok());
        }
    });
    addr
}

fn hand_on(mut client: TcpStream, mock: SocketAddr, words: &str) -> io::Result<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !is_whole(&request) {
        match client.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let request = String::from_utf8(request).unwrap();
    if request.contains(words) {
        let refusal = "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(refusal.as_bytes());
    }
    let mut server = TcpStream::connect(mock)?;
    let once = request.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    server.write_all(once.as_bytes())?;
    io::copy(&mut server, &mut client).map(drop)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    body.len() >= length
}

fn asked(mock: &MockHandle) -> u64 {
    mock.stats().snapshot().requests.numbered
}

#[test]
fn a_suite_writes_every_file_and_goes_on_with_what_is_missing() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let ended = Program::start_in(Arc::clone(&folder), &suite(&mock, ""))
        .wait()
        .expect(0);
    for name in RAWS {
        assert!(queries(&raw(&ended, name)) > 0, "{name}");
    }
    let ingestion = raw(&ended, RAWS[0]);
    assert_eq!(queries(&ingestion), 12);
    assert_eq!(ingestion["individual_query"].as_array().unwrap().len(), 12);
    assert_eq!(
        ingestion["parameters"]["query_profile"],
        "constant_number_of_queries"
    );
    assert!(
        !raw(&ended, RAWS[1])["kv_cache_profile"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    // Enough is six queries, and those under way.
    let enough = queries(&raw(&ended, RAWS[2]));
    assert!((6..12).contains(&enough), "{enough}");
    for name in [
        "README.md",
        "raw_results.zip",
        "suite.json",
        "report/thresholds.csv",
        "report/parameters.json",
        "report/report.html",
        "report/prompt_ingestion_graph.png",
        "report/prompt_ingestion_graph.svg",
        "report/total_speed_generation_graph.png",
        "report/speed_generation/speed_generation_graph_input_32_output_4.png",
        "report/kv_cache_profile/graph_kv_cache_profile_input_32_output_4.png",
    ] {
        assert!(ended.path(&format!("out/{name}")).is_file(), "{name}");
    }
    let before = asked(&mock);
    let report = ended.read("out/report/thresholds.csv");
    Program::start_in(Arc::clone(&folder), &suite(&mock, ""))
        .wait()
        .expect(0);
    assert_eq!(asked(&mock), before, "nothing is missing");
    std::fs::remove_file(ended.path(&format!("out/raw_results/{}", RAWS[0]))).unwrap();
    Program::start_in(Arc::clone(&folder), &suite(&mock, ""))
        .wait()
        .expect(0);
    // One to look at the server, one before the benchmark, and its own.
    assert_eq!(asked(&mock), before + 2 + 12);
    assert_eq!(ended.read("out/report/thresholds.csv"), report);
    let other = suite(&mock, "").replace("--max-queries 12", "--max-queries 13");
    let refused = Program::start_in(folder, &other).wait().expect(2);
    assert!(
        refused.stderr.contains("max_queries was 12, now 13"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--restart"), "{}", refused.stderr);
}

#[test]
fn a_folder_or_its_archive_is_drawn_again_to_the_byte() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let words = suite(&mock, "--parallel-requests 1");
    let ended = Program::start_in(Arc::clone(&folder), &words)
        .wait()
        .expect(0);
    let names = [
        "README.md",
        "report/report.html",
        "report/thresholds.csv",
        "report/prompt_ingestion_graph.png",
        "report/README.md",
    ];
    let read = || names.map(|name| std::fs::read(ended.path(&format!("out/{name}"))).unwrap());
    let first = read();
    std::fs::remove_dir_all(ended.path("out/report")).unwrap();
    Program::start_in(Arc::clone(&folder), "report out")
        .wait()
        .expect(0);
    assert!(first == read(), "another report of the same results");
    std::fs::remove_dir_all(ended.path("out/raw_results")).unwrap();
    Program::start_in(Arc::clone(&folder), "report out --html page.html")
        .wait()
        .expect(0);
    assert!(first == read(), "another report of the archive");
    assert_eq!(ended.read("page.html").into_bytes(), first[1]);
    let words = "report out --speed-threshold 1000000";
    Program::start_in(folder, words).wait().expect(0);
    assert!(
        ended
            .read("out/report/thresholds.csv")
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("0,")
    );
}

#[test]
fn an_interrupted_suite_says_so_and_keeps_what_is_finished() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let program = Program::start_in(Arc::clone(&folder), &suite(&mock, ""));
    // The look, the ingestion's own and its 12 queries, and the first of the profile.
    wait_for_requests(&mock, 16);
    program.signal(Signal::INT);
    let ended = program.wait().expect(130);
    assert!(
        ended.stderr.contains("1 of 4 benchmarks are finished"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        std::fs::read_dir(ended.path("out/raw_results"))
            .unwrap()
            .count(),
        1
    );
    let again = Program::start_in(folder, &suite(&mock, ""))
        .wait()
        .expect(0);
    assert!(
        again
            .stderr
            .contains("1 of 4 benchmarks are finished already"),
        "{}",
        again.stderr
    );
}

#[test]
fn two_suites_in_one_folder_and_a_dead_server_are_refused() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let first = Program::start_in(Arc::clone(&folder), &suite(&mock, ""));
    wait_for_requests(&mock, 1);
    let second = Program::start_in(Arc::clone(&folder), &suite(&mock, ""))
        .wait()
        .expect(2);
    assert!(
        second.stderr.contains("another suite is writing"),
        "{}",
        second.stderr
    );
    first.signal(Signal::INT);
    first.wait().expect(130);
    let line = format!("bench-suite --base-url http://127.0.0.1:9 {NARROW}");
    let dead = Program::start_in(Arc::clone(&folder), &line)
        .wait()
        .expect(1);
    assert!(dead.stderr.contains("is the server up"), "{}", dead.stderr);
    // Nothing is forgotten before there is something to put in its place.
    let kept = folder
        .path()
        .join("out/raw_results/prompt_ingestion_0.json");
    std::fs::write(&kept, "{}").unwrap();
    Program::start_in(folder, &format!("{line} --restart"))
        .wait()
        .expect(1);
    assert!(kept.exists());
}

#[test]
fn a_server_that_refuses_everything_ends_the_suite() {
    let _shared = shared();
    let script = Script {
        faults: vec!["status=1:500".parse().unwrap()],
        ..Script::default()
    };
    let (mock, folder) = (spawn_thread(script, 1).unwrap(), folder());
    let ended = Program::start_in(folder, &suite(&mock, ""))
        .wait()
        .expect(1);
    assert!(ended.stderr.contains("does not answer"), "{}", ended.stderr);
    assert!(!ended.path("out/report").exists());
}

#[test]
fn a_server_that_dies_ends_the_suite_and_keeps_what_is_finished() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let program = Program::start_in(Arc::clone(&folder), &suite(&mock, ""));
    // The look, the ingestion's own and its 12 queries, and the first of the profile.
    wait_for_requests(&mock, 16);
    drop(mock);
    let ended = program.wait().expect(1);
    assert!(ended.stderr.contains("does not answer"), "{}", ended.stderr);
    let finished = ended.path("out/raw_results/prompt_ingestion_0.json");
    assert_eq!(queries(&json_of(&finished)), 12);
    assert!(!ended.path("out/report").exists());
    // Another server of the same kind, somewhere else, is another suite.
    let other = quick_mock();
    let refused = Program::start_in(folder, &suite(&other, ""))
        .wait()
        .expect(2);
    assert!(refused.stderr.contains("server was"), "{}", refused.stderr);
}

#[test]
fn a_pair_that_is_finished_outlives_the_server_and_a_restart_without_one() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let line = suite(&mock, TWO_PAIRS);
    let program = Program::start_in(Arc::clone(&folder), &line);
    let raws = folder.path().join("out/raw_results");
    let first = raws.join("generation_speed_input_32_output_4_nb_requests_1.json");
    eventually("the first pair is finished", || {
        first.is_file().then_some(())
    });
    drop(mock);
    let kept = content(&raws);
    let ended = program.wait().expect(1);
    assert!(ended.stderr.contains("does not answer"), "{}", ended.stderr);
    let names: Vec<&String> = kept.keys().collect();
    assert_eq!(
        names,
        [
            "generation_speed_input_32_output_4_nb_requests_1.json",
            "kv_cache_profile_input_32_output_4.json",
            "kv_cache_profile_input_32_output_5.json",
            "prompt_ingestion_0.json"
        ]
    );
    assert_eq!(content(&raws), kept);
    assert!(queries(&json_of(&first)) >= 6);
    let all = content(&folder.path().join("out"));
    let restarted = Program::start_in(Arc::clone(&folder), &format!("{line} --restart"));
    restarted.wait().expect(1);
    assert_eq!(content(&folder.path().join("out")), all);
}

#[test]
fn a_pair_that_fails_alone_is_named_and_the_others_go_on() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let gate = refusing(mock.addr(), r#""max_tokens":5,"#);
    let line = format!("bench-suite --base-url http://{gate} {NARROW} {TWO_PAIRS}");
    let ended = Program::start_in(folder, &line).wait().expect(1);
    let failed = "generation_speed_input_32_output_5_nb_requests_1.json";
    let lost = format!("every query failed of kv_cache_profile_input_32_output_5.json, {failed}");
    assert!(ended.stderr.contains(&lost), "{}", ended.stderr);
    let figure = |name: &str, key: &str| raw(&ended, name)["general_metrics"][key].clone();
    assert_eq!(
        figure(failed, "nb_errored_queries"),
        figure(failed, "total_number_of_queries")
    );
    let other = "generation_speed_input_32_output_4_nb_requests_1.json";
    assert_eq!(figure(other, "nb_errored_queries"), 0);
    let thresholds = ended.read("out/report/thresholds.csv");
    assert!(thresholds.contains(",32,4\n"), "{thresholds}");
    assert!(!thresholds.contains(",32,5"), "{thresholds}");
    assert!(ended.read("out/README.md").contains(failed));
}

#[test]
fn queries_that_time_out_are_counted_as_such_and_the_suite_goes_on() {
    let _shared = shared();
    let script = Script {
        faults: vec!["hang=0.3".parse().unwrap()],
        ..Script::default()
    };
    let (mock, folder) = (spawn_thread(script, 1).unwrap(), folder());
    let line = suite(&mock, "--min-number-of-valid-queries 1 --max-queries 10")
        .replace("--timeout 20", "--timeout 0.5");
    let ended = Program::start_in(folder, &line).wait();
    let raw = raw(&ended, RAWS[0]);
    let timeouts = raw["general_metrics"]["nb_timeout_queries"]
        .as_u64()
        .unwrap();
    assert!((1..10).contains(&timeouts), "{raw}");
    let failed = raw["general_metrics"]["nb_errored_queries"]
        .as_u64()
        .unwrap();
    assert_eq!(failed, timeouts, "time-outs are the only failures");
    assert_eq!(queries(&raw), 10);
    ended.expect(0);
}

#[test]
fn variables_and_dot_env_are_heard_and_a_bad_one_is_named() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    std::fs::write(folder.path().join(".env"), "MAX_QUERIES=many\n").unwrap();
    let line = suite(&mock, "").replace("--max-queries 12", "");
    let refused = Program::start_in(Arc::clone(&folder), &line)
        .wait()
        .expect(2);
    assert!(
        refused.stderr.contains("`MAX_QUERIES` of `.env`"),
        "{}",
        refused.stderr
    );
    assert_eq!(asked(&mock), 0);
}

fn benchmark(mock: &MockHandle, words: &str) -> Value {
    let line = format!(
        "benchmark --base-url http://{} --prompt-length 32 --output-length 4 --allow-invalid --output-file b.json {words}",
        mock.addr()
    );
    let ended = Program::start_in(folder(), &line).wait().expect(0);
    json_of(&ended.path("b.json"))
}

#[test]
fn each_profile_of_a_benchmark_makes_its_queries() {
    let _shared = shared();
    let mock = quick_mock();
    let constant = benchmark(&mock, "--n-workers 3 --max-queries 20 --query-metrics");
    assert_eq!(queries(&constant), 20);
    assert_eq!(constant["individual_query"].as_array().unwrap().len(), 20);
    assert_eq!(constant["parameters"]["n_workers"], 3);
    // Waves of 1, 2 and 3; there are too few for a fourth.
    let growing = benchmark(&mock, "--query-profile growing_requests --max-queries 9");
    assert_eq!(queries(&growing), 6);
    let burst = benchmark(&mock, "--query-profile request_rate --max-queries 15");
    assert_eq!(queries(&burst), 15);
    assert_eq!(burst["parameters"]["request_rate"], "inf");
    let rate = "--query-profile request_rate --request-rate 40 --max-queries 300 --min-duration 1 --target-queries-nb 5";
    let timed = queries(&benchmark(&mock, rate));
    assert!((20..70).contains(&timed), "{timed} in a second of 40");
}

#[test]
fn a_server_that_tells_nothing_still_gets_the_other_benchmarks() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let line = suite(&mock, "--metrics-endpoint /nowhere --backend vllm");
    let ended = Program::start_in(folder, &line).wait().expect(0);
    assert!(
        ended.stderr.contains("no profile of its cache"),
        "{}",
        ended.stderr
    );
    assert!(!ended.path(&format!("out/raw_results/{}", RAWS[1])).exists());
    assert_eq!(queries(&raw(&ended, RAWS[0])), 12);
}

#[test]
fn workers_that_stay_carry_a_whole_suite_out() {
    let _shared = shared();
    let (mock, folder) = (quick_mock(), folder());
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let words = format!(
        "--parallel-requests 2 --expect-workers 2 --master-bind-host 127.0.0.1 --master-bind-port {port}"
    );
    let master = Program::start_in(Arc::clone(&folder), &suite(&mock, &words));
    let worker = format!("worker --stay --master-host 127.0.0.1 --master-port {port}");
    let workers = [0, 1].map(|_| Program::start_in(Arc::clone(&folder), &worker));
    let ended = master.wait().expect(0);
    for name in [RAWS[0], RAWS[1], RAWS[3]] {
        assert!(queries(&raw(&ended, name)) > 0, "{name}");
    }
    for worker in workers {
        worker.signal(Signal::INT);
        worker.wait();
    }
}
