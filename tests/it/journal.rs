//! The journal: what a killed master knew is not lost, a restarted one goes on, and a disk that fails costs the journal alone.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::command::{Place, Running, binary};
use crate::counts::assert_conserved;
use crate::process::{
    Ended, Program, Report, eventually, mock, quick_mock, settled, shared, towards,
    wait_for_requests,
};
use crate::schedule::records_file;

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn folder() -> Arc<TempDir> {
    Arc::new(TempDir::new().unwrap())
}

fn report(folder: &Arc<TempDir>, line: &str) -> Ended {
    Program::start_in(Arc::clone(folder), &format!("report {line}")).wait()
}

fn json(folder: &TempDir, name: &str) -> Report {
    let text = fs::read_to_string(folder.path().join(name)).unwrap();
    Report(serde_json::from_str(&text).unwrap())
}

fn workers(address: &str, count: usize) -> Vec<Program> {
    let line = format!("worker --master {address} --threads 1");
    (0..count).map(|_| Program::start(&line)).collect()
}

/// The files of `folder` whose names begin with `prefix`, by the rest of their names.
fn files(folder: &Path, prefix: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let rest = name.strip_prefix(prefix)?.to_owned();
            Some((rest, fs::read_to_string(entry.path()).unwrap()))
        })
        .collect();
    files.sort();
    files
}

/// The master's own words and files are those that its journal makes again.
#[track_caller]
fn assert_told_again(folder: &Arc<TempDir>, told: &Ended, status: i32) {
    let outputs = "--json-file again.json --csv again --csv-full-history --summary-file again_row";
    let again = report(folder, &format!("run.journal {outputs}")).expect(status);
    assert_eq!(again.stdout, told.stdout);
    assert_eq!(again.read("again.json"), again.read("result.json"));
    let (first, second) = (
        files(folder.path(), "first_"),
        files(folder.path(), "again_"),
    );
    assert_eq!(first.len(), 5, "{first:?}");
    assert_eq!(first, second);
}

const FILES: &str = "--journal run.journal --csv first --csv-full-history --summary-file first_row";

#[test]
fn the_journal_of_a_finished_run_tells_what_the_run_told_to_the_byte() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = folder();
    let line = towards(&mock, &format!("-u 5 -r 1000 -t 3s {FILES}"));
    let run = Program::start_in(Arc::clone(&folder), &format!("run {line}"));
    let run = run.wait().expect(0);
    assert!(run.stdout.contains("rule of thumb"), "a note to be kept");
    assert_told_again(&folder, &run, 0);
}

#[test]
fn the_journal_of_a_cluster_and_of_an_interrupted_run_tells_the_same_too() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = folder();
    let line = towards(&mock, &format!("-u 2 -r 1000 -t 50s {FILES}"));
    let line = format!("master --master-bind-port 0 --expect-workers 3 {line}");
    let master = Program::start_in(Arc::clone(&folder), &line);
    let address = master.wait_for_words("listening on ");
    let workers = workers(address.split(';').next().unwrap(), 3);
    wait_for_requests(&mock, 200);
    master.signal(Signal::INT);
    let master = master.wait().expect(0);
    drop(workers);
    let result = master.result();
    assert_eq!(result.at("/workers").as_array().unwrap().len(), 3);
    assert_told_again(&folder, &master, 0);
}

#[test]
fn what_a_killed_master_had_merged_is_reported_and_what_is_missing_is_said() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = folder();
    let line = towards(
        &mock,
        "-u 30 -r 30000 --qps 40 -t 50s --journal run.journal",
    );
    let line = format!("master --master-bind-port 0 --expect-workers 2 {line}");
    let master = Program::start_in(Arc::clone(&folder), &line);
    let address = master.wait_for_words("listening on ");
    let workers = workers(address.split(';').next().unwrap(), 2);
    wait_for_requests(&mock, 200);
    // Meanwhile it may be looked at.
    let early = report(&folder, "run.journal").expect(4);
    assert!(
        early.stderr.contains("its master is still writing"),
        "{}",
        early.stderr
    );
    master.signal(Signal::KILL);
    let seen = mock.stats().snapshot().requests.numbered;
    drop(master);
    drop(workers);
    let ended = report(&folder, "run.journal --json-file killed.json").expect(4);
    let result = json(&folder, "killed.json");
    assert_conserved(&result);
    let sent = result.total("sent") + result.total("lost");
    // A second of 40 requests, and what it takes to close and to merge it.
    assert!(
        sent <= seen + 1 && sent + 40 * 5 / 2 >= seen,
        "{sent} of {seen}"
    );
    assert!(result.total("completed") > 60, "{:#}", result.at("/totals"));
    let failure = result.at("/failure").as_str().unwrap();
    assert!(failure.contains("ended without a word after"), "{failure}");
    assert!(
        failure.contains("nothing of that is in these figures"),
        "{failure}"
    );
    for words in ["begun at 2", "frames, to ", ": at work, known to "] {
        assert!(
            ended.stderr.contains(words),
            "no {words:?} in {}",
            ended.stderr
        );
    }
}

#[test]
fn a_restarted_master_adopts_its_workers_and_the_run_ends_as_planned() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = folder();
    let port = free_port();
    let line = towards(
        &mock,
        "-u 30 -r 30000 --qps 40 -t 16s --csv locust --records sent.jsonl --journal run.journal",
    );
    let line = format!("master --master-bind-port {port} --expect-workers 2 {line}");
    let start = || Program::start_in(Arc::clone(&folder), &line);
    let first = start();
    first.wait_for_words("listening on ");
    let workers = workers(&format!("127.0.0.1:{port}"), 2);
    wait_for_requests(&mock, 120);
    first.signal(Signal::KILL);
    let killed_at = mock.stats().snapshot().requests.numbered;
    drop(first);
    // Longer than any lease: nobody sends, and nobody catches up later. The gap is some three to seven seconds long.
    sleep(Duration::from_secs(5));
    let silent = mock.stats().snapshot().requests.numbered;
    sleep(Duration::from_millis(500));
    assert_eq!(mock.stats().snapshot().requests.numbered, silent);
    assert!(
        silent <= killed_at + 40 * 7 / 2,
        "{killed_at} and then {silent}"
    );
    let second = start();
    second.wait_for_words("a run goes on");
    let second = second.wait();
    let workers: Vec<Ended> = workers.into_iter().map(|it| it.wait().expect(0)).collect();
    let (result, seen) = (second.result(), settled(&mock));
    let totals = format!("{:#}\n{}", result.at("/totals"), second.stderr);
    // One each 25 ms, from 0 s to 16 s.
    assert_eq!(result.total("scheduled"), 641, "{totals}");
    assert_eq!(result.total("sent"), seen.requests.numbered, "{totals}");
    assert_eq!(
        result.total("completed"),
        seen.requests.numbered,
        "{totals}"
    );
    assert_eq!(result.total("lost"), 0, "{totals}");
    assert!((60..=300).contains(&result.total("dropped")), "{totals}");
    let mut indices = BTreeSet::new();
    for worker in &workers {
        for record in worker.records(&records_file(worker.folder())) {
            let index = record["index"]["arrival"].as_u64().unwrap();
            assert!(indices.insert(index), "{index} was sent twice");
        }
    }
    assert_eq!(indices.len() as u64, seen.requests.numbered);
    second.expect(0);
    // The history has the first master's seconds, too.
    let history = fs::read_to_string(folder.path().join("locust_stats_history.csv")).unwrap();
    assert!((10..=18).contains(&history.lines().count()), "{history}");
    report(&folder, "run.journal --json-file again.json").expect(0);
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(text("again.json"), text("result.json"));
}

#[test]
fn a_second_master_on_the_same_journal_is_refused() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = folder();
    let line = towards(&mock, "-u 2 -t 50s --journal run.journal");
    let line = format!("master --master-bind-port 0 {line}");
    let first = Program::start_in(Arc::clone(&folder), &line);
    first.wait_for_words("listening on ");
    let second = Program::start_in(Arc::clone(&folder), &line)
        .wait()
        .expect(2);
    let words = "another master is writing the journal `run.journal`";
    assert!(second.stderr.contains(words), "{}", second.stderr);
    assert!(second.stderr.contains("hint: "), "{}", second.stderr);
}

#[test]
fn a_journal_that_is_over_is_set_aside_and_can_still_be_read() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = folder();
    let line = towards(
        &mock,
        "-u 2 -r 1000 --max-requests 10 --journal run.journal",
    );
    let run = || {
        Program::start_in(Arc::clone(&folder), &format!("run {line}"))
            .wait()
            .expect(0)
    };
    run();
    let second = run();
    assert!(
        second.stderr.contains("`run.journal.1` from now on"),
        "{}",
        second.stderr
    );
    for name in ["run.journal", "run.journal.1"] {
        let told = report(&folder, &format!("{name} --json-file again.json")).expect(0);
        assert_eq!(json(&folder, "again.json").total("completed"), 10);
        assert!(told.stderr.contains("the run is over"), "{}", told.stderr);
    }
    let other = report(&folder, "result.json").expect(2);
    assert!(
        other.stderr.contains("it is no journal"),
        "{}",
        other.stderr
    );
    let absent = report(&folder, "none.journal").expect(2);
    assert!(absent.stderr.contains("No such file"), "{}", absent.stderr);
}

/// The journals that masters named themselves in `home`.
fn unnamed(home: &Path) -> Vec<PathBuf> {
    let folder = home.join(".local/state/llmload");
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_master_keeps_a_journal_by_itself_until_its_results_are_delivered() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = folder();
    let line = towards(&mock, "-u 2 -r 1000 -t 50s");
    let line = format!("master --master-bind-port 0 {line}");
    let start = || {
        let master = Program::start_in(Arc::clone(&folder), &line);
        let address = master.wait_for_words("listening on ");
        let workers = workers(address.split(';').next().unwrap(), 1);
        let before = mock.stats().snapshot().requests.numbered;
        wait_for_requests(&mock, before + 50);
        (master, workers)
    };
    let (master, _workers) = start();
    let path = PathBuf::from(master.wait_for_words("journal: "));
    assert_eq!(unnamed(folder.path()), [path]);
    master.signal(Signal::INT);
    master.wait().expect(0);
    assert_eq!(unnamed(folder.path()), Vec::<PathBuf>::new());
    let (master, _workers) = start();
    let path = master.wait_for_words("journal: ");
    eventually("a frame with figures", || {
        let early = report(&folder, &format!("{path} --json-file early.json")).expect(4);
        (!early.stderr.contains("to 0.000 s of the run")).then_some(())
    });
    master.signal(Signal::KILL);
    drop(master);
    report(&folder, &path).expect(4);
}

#[test]
fn a_disk_that_is_full_costs_the_journal_and_no_figure() {
    let _shared = shared();
    let (place, mock) = (Place::new(), mock("2ms", "1ms"));
    // What is beyond the limit meets an error, as on a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 24
        exec '{}' run -H http://{} -m mock --provider openai -u 9 -r 9000 --qps 20 -o 5 -p 40 -t 14s --only-summary --journal j",
        binary().display(),
        mock.addr()
    );
    let ran = Running::start(place.command("sh").args(["-c", &script])).wait();
    ran.expect(1);
    let seen = settled(&mock).requests.numbered;
    let figures = format!("sent {seen} = completed {seen} + failed 0 + cancelled 0 + in flight 0");
    assert!(
        ran.stdout.contains(&figures),
        "no {figures:?} in {}",
        ran.stdout
    );
    let complaint = ran.complaint();
    assert!(
        complaint.contains("the journal `j` ends early: File too large"),
        "{complaint}"
    );
    assert!(
        complaint.contains("hint: all figures are whole"),
        "{complaint}"
    );
    let warnings = ran.stderr.matches("the journal `j` ends here").count();
    assert_eq!(warnings, 1, "{}", ran.stderr);
    let told = place.run(&["report", "j", "--json-file", "result.json"]);
    told.expect(4);
    // Only whole records are left behind.
    assert!(!told.stderr.contains("left out"), "{}", told.stderr);
    let known = Report(place.json("result.json"));
    assert_conserved(&known);
    let sent = known.total("sent");
    assert!(sent > 0 && sent < seen, "{sent} of {seen}: {}", told.stderr);
}
