//! `--html`: the page of a run has its figures, whoever writes it, however the run ended, and no secret.

use std::fs;
use std::sync::Arc;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::counts::Party;
use crate::process::{Program, mock, quick_mock, shared, towards, wait_for_requests};

const KEY: &str = "sk-planted-in-the-page";

/// A page is HTML, in which some signs are written otherwise.
fn words_of(html: &str) -> String {
    html.replace("&#x2f;", "/")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
}

#[test]
fn the_page_has_the_counts_of_the_result_and_the_command_without_its_key() {
    let _shared = shared();
    for party in [Party::Alone, Party::Workers(2)] {
        let mock = quick_mock();
        let line = format!("-u 4 -r 1000 --max-requests 60 --html page.html -k {KEY} --seed 5");
        let ended = party.carry_out(&mock, &line);
        let result = ended.result();
        let page = words_of(&ended.read("page.html"));
        let (sent, good) = (result.total("sent"), result.total("completed"));
        assert!(sent >= 60);
        for words in [
            format!("scheduled {sent} = sent {sent} + dropped 0 + late-cancelled 0 + lost 0"),
            format!("{sent} requests sent, {good} answered, 0 failed over the whole run"),
            format!("{good} of the {good} good requests of the run"),
            "No request failed.".to_owned(),
            "--max-requests 60".to_owned(),
            "--seed 5".to_owned(),
            "--api-key=\"$API_KEY\"".to_owned(),
        ] {
            assert!(page.contains(&words), "{party:?}: {words}\n{page}");
        }
        assert!(!page.contains("sk-planted"), "{party:?}");
        assert!(!page.contains("--html"), "{party:?}");
        assert!(!page.contains("in no step"), "{party:?}");
    }
}

#[test]
fn a_journal_makes_the_same_page_to_the_byte() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    let files = "--journal run.journal --html first.html";
    let line = towards(&mock, &format!("-u 5 -r 1000 -t 3s {files}"));
    let run = Program::start_in(Arc::clone(&folder), &format!("run {line}"));
    let run = run.wait().expect(0);
    let line = "report run.journal --html again.html";
    Program::start_in(Arc::clone(&folder), line)
        .wait()
        .expect(0);
    let first = run.read("first.html");
    assert!(first.contains("llmload run ") && first.contains("--seed 7"));
    assert!(first == run.read("again.html"), "the pages differ");
}

#[test]
fn an_interrupted_run_and_a_failed_one_have_a_page_too() {
    let _shared = shared();
    let mock = quick_mock();
    let folder = Arc::new(TempDir::new().unwrap());
    let line = towards(&mock, "-u 2 -r 1000 -t 50s --html page.html");
    let run = Program::start_in(Arc::clone(&folder), &format!("run {line}"));
    wait_for_requests(&mock, 50);
    run.signal(Signal::INT);
    let run = run.wait().expect(0);
    let sent = run.result().total("sent");
    assert!(
        run.read("page.html")
            .contains(&format!("scheduled {sent} = sent {sent}"))
    );

    let failing = crate::process::faulty_mock("2ms", "1ms", &["status=1:503"]);
    let line = towards(&failing, "-u 2 -r 1000 --max-requests 20 --html page.html");
    let run = Program::start(&format!("run {line}")).wait().expect(1);
    let page = run.read("page.html");
    for words in ["FAILED", "20 of 20 requests failed", "http_5xx", "100.00%"] {
        assert!(page.contains(words), "{words}\n{page}");
    }
}

#[test]
fn a_page_that_cannot_be_written_is_found_before_the_run() {
    let _shared = shared();
    let mock = mock("2ms", "1ms");
    let line = towards(&mock, "-u 2 --max-requests 20 --html no/such/page.html");
    let run = Program::start(&format!("run {line}")).wait().expect(2);
    assert!(
        run.stderr
            .contains("--html takes a file in a folder that can be written"),
        "{}",
        run.stderr
    );
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}

#[test]
fn llmperfs_two_tests_have_pages() {
    let _shared = shared();
    for test in ["token-benchmark", "correctness"] {
        let line = format!(
            "{test} --model m --mock --tokenizer-id built-in --max-num-completed-requests 6 --num-concurrent-requests 3 \
             --allow-invalid --html page.html"
        );
        let run = Program::start(&line).wait().expect(0);
        let page = fs::read_to_string(run.path("page.html")).unwrap();
        let heading = match test {
            "correctness" => "Wrong answers",
            _ => "Figures of good requests",
        };
        for words in [
            heading,
            "End-to-end latencies",
            "num_concurrent_requests",
            "Settings",
        ] {
            assert!(page.contains(words), "{test}: {words}\n{page}");
        }
    }
}
