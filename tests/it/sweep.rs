//! `llmload sweep` as a process: grids that are resumed, searches against servers of a known capacity, and their files.

use std::path::Path;
use std::sync::Arc;

use llmload::mock::{MockHandle, Script, spawn_thread};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, Program, alone, quick_mock, shared, wait_for_requests};

/// What all sweeps here share; the server comes behind it.
fn line(mock: &MockHandle, words: &str) -> String {
    format!(
        "sweep -H http://{} -m mock --provider openai -p 40 --seed 7 -r 1000 --start-spread 0s -L warning {words}",
        mock.addr()
    )
}

fn sweep_in(folder: &Arc<TempDir>, mock: &MockHandle, words: &str) -> Ended {
    Program::start_in(Arc::clone(folder), &line(mock, words)).wait()
}

/// A server that answers `running` requests at a time, each in 50 ms + 15 × 10 ms: running / 0.2 s of them a second.
fn limited_mock(running: u32) -> MockHandle {
    let script = Script {
        ttft: "50ms".parse().unwrap(),
        inter_token: "10ms".parse().unwrap(),
        max_running: Some(running),
        precise: true,
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_grid_compares_its_runs_and_goes_on_where_it_was() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    let words = "-u 1,2 --vary stream=true,false -o 5 -t 1s --slo latency:p95<10s";
    let ended = sweep_in(&folder, &mock, words).expect(0);
    assert!(
        ended.stdout.contains("run 4/4  users=2 stream=false"),
        "{}",
        ended.stdout
    );
    let runs: Vec<_> = std::fs::read_dir(ended.path("sweep/runs"))
        .unwrap()
        .collect();
    assert_eq!(runs.len(), 4);
    assert_eq!(ended.read("sweep/sweep.csv").lines().count(), 1 + 4);
    let table = ended.read("sweep/comparison.csv");
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 1 + 4);
    assert!(rows[3].contains("users=2 stream=true"), "{table}");
    let upstream = ended.read("sweep/comparative_summary.csv");
    assert!(upstream.starts_with("Model,Provider,Average QPS,Average Response Time,"));
    assert!(upstream.lines().nth(1).unwrap().starts_with("mock,openai,"));
    for chart in ["comparative_performance_metrics", "throughput_latency"] {
        let png = std::fs::read(ended.path(&format!("sweep/{chart}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000);
        assert!(ended.read(&format!("sweep/{chart}.svg")).contains("</svg>"));
        assert!(
            ended
                .read("sweep/comparison.md")
                .contains(&format!("({chart}.png)"))
        );
    }
    // Again: nothing is asked of the server but what is new.
    let before = mock.stats().snapshot().requests.numbered;
    let again = sweep_in(&folder, &mock, words).expect(0);
    assert_eq!(
        again.stdout.matches("made before").count(),
        4,
        "{}",
        again.stdout
    );
    assert_eq!(mock.stats().snapshot().requests.numbered, before);
    let more = sweep_in(&folder, &mock, &words.replace("-u 1,2", "-u 2,3")).expect(0);
    assert_eq!(
        more.stdout.matches("made before").count(),
        2,
        "{}",
        more.stdout
    );
    assert!(mock.stats().snapshot().requests.numbered > before);
    let anew = sweep_in(&folder, &mock, "-u 1,2 -o 5 -t 1s --restart").expect(0);
    assert!(!anew.stdout.contains("made before"), "{}", anew.stdout);
}

#[test]
fn a_run_that_fails_is_noted_and_the_others_are_made() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    let words = format!(
        "--vary host=http://127.0.0.1:9,http://{} -o 5 -t 1s",
        mock.addr()
    );
    let ended = sweep_in(&folder, &mock, &words);
    let ended = ended.expect(1);
    let text = ended.read("sweep/comparison.md");
    assert!(
        text.contains("failed: more than --max-fail-ratio"),
        "{text}"
    );
    let table = ended.read("sweep/comparison.csv");
    assert_eq!(table.lines().count(), 1 + 2, "{table}");
    let fast = sweep_in(&folder, &mock, &format!("{words} --fail-fast --restart")).expect(1);
    assert!(!fast.stdout.contains("run 2/2"), "{}", fast.stdout);
}

#[test]
fn what_cannot_be_run_is_refused_before_the_first_run() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    for (words, said) in [
        ("-u 1,x -t 1s", "users=x"),
        ("-u 1,2", "must end by itself"),
        ("-u 1,2 -t 1s --json-file x", "--json-file is of one run"),
        ("--vary nothing=1,2 -t 1s", "--nothing"),
        ("--find max-users -t 1s", "give an objective"),
        ("--find max-qps --qps 3 -t 1s", "chooses --qps itself"),
        ("--find max-qps -m a,b -t 1s", "nothing else that varies"),
    ] {
        let ended = sweep_in(&folder, &mock, words).expect(2);
        assert!(ended.stderr.contains(said), "{words}: {}", ended.stderr);
    }
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}

#[test]
fn an_interrupt_ends_the_sweep_and_reports_what_is_there() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    let words = "-u 1,2 -o 5 --vary run-time=1s,600s";
    let program = Program::start_in(Arc::clone(&folder), &line(&mock, words));
    // The second run is under way when its requests are counted beyond the first one's.
    wait_for_requests(&mock, 1);
    let list = folder.path().join("sweep/runs.jsonl");
    crate::process::eventually("the first run is kept", || {
        std::fs::read_to_string(&list)
            .ok()
            .filter(|text| text.lines().count() == 1)
    });
    wait_for_requests(&mock, mock.stats().snapshot().requests.numbered + 20);
    program.signal(Signal::INT);
    let ended = program.wait().expect(130);
    let rows = ended.read("sweep/comparison.csv");
    assert_eq!(rows.lines().count(), 1 + 2, "{rows}");
    let again = Program::start_in(
        Arc::clone(&folder),
        &line(&mock, "-u 1 -o 5 --vary run-time=1s"),
    );
    assert!(again.wait().expect(0).stdout.contains("made before"));
}

#[test]
fn an_interrupt_ends_a_sweep_that_still_waits_for_its_servers_models() {
    let _shared = shared();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let folder = Arc::new(TempDir::new().unwrap());
    let words = format!("sweep -H http://{address} -u 1,2 -t 1s -p 40 -L warning");
    let program = Program::start_in(folder, &words);
    let asked = silent.accept().unwrap();
    program.signal(Signal::INT);
    let ended = program.wait().expect(130);
    assert!(ended.stdout.contains("interrupted"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("run 2/2"), "{}", ended.stdout);
    drop(asked);
}

#[test]
fn the_highest_rate_is_the_servers_capacity() {
    let _alone = alone();
    let mock = limited_mock(8);
    let folder = Arc::new(TempDir::new().unwrap());
    // 8 / 0.2 s = 40 requests/s.
    let words = "--find max-qps --from 30 --repeats 1 -o 16 -t 3s --slo ttft:p95<130ms";
    let ended = sweep_in(&folder, &mock, words).expect(0);
    let found = json(&ended.path("sweep/search.json"));
    let maximum = found["maximum"].as_f64().unwrap();
    assert!(
        (maximum / 40.0 - 1.0).abs() <= 0.05,
        "{}\n{}",
        ended.stdout,
        ended.stderr
    );
    assert_eq!(found["outcome"]["outcome"], "limited", "{found:#}");
    let (low, high) = (
        found["low"].as_f64().unwrap(),
        found["high"].as_f64().unwrap(),
    );
    assert!(
        low <= maximum && maximum < high && high / low < 1.04,
        "{low} {high}"
    );
    assert!(ended.stdout.contains("Found maximum"), "{}", ended.stdout);
    assert!(ended.path("sweep/throughput_latency.png").is_file());
    // The same search asks nothing of the server.
    let before = mock.stats().snapshot().requests.numbered;
    let again = sweep_in(&folder, &mock, words).expect(0);
    assert_eq!(mock.stats().snapshot().requests.numbered, before);
    assert_eq!(json(&again.path("sweep/search.json")), found);
}

#[test]
fn a_search_that_fails_at_once_says_so() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    let words = "--find max-users --repeats 1 -o 5 -t 1s --slo ttft:p50<1ms";
    let ended = sweep_in(&folder, &mock, words).expect(1);
    assert!(
        ended.stdout.contains("at the smallest load"),
        "{}",
        ended.stdout
    );
}
