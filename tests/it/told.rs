//! What `token-benchmark` says beside its figures, what it refuses, and whether its throughput is the server's.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::llmperf::{CALM, benchmark, individual, start, summary};
use crate::process::{Program, eventually, mock, quick_mock, settled, shared};

#[test]
fn additional_fields_that_change_how_answers_are_read_are_refused_by_their_option() {
    let _shared = shared();
    let mock = quick_mock();
    let line = benchmark("--additional-sampling-params {\"stream\":false}");
    let words = start(&mock, &line).wait().expect(2).stderr;
    assert!(
        words
            .contains("--additional-sampling-params: `stream` cannot be sent to provider `openai`")
            && !words.contains("row"),
        "{words}"
    );
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
    let line = "--additional-sampling-params {\"stream\":true} --no-journal --max-num-completed-requests 2";
    start(&mock, &benchmark(line)).wait().expect(0);
}

#[test]
fn what_is_to_be_known_of_the_prompts_is_a_warning() {
    let _shared = shared();
    let line = format!(
        "token-benchmark {CALM} --tokenizer-id built-in --mean-input-tokens 39 --stddev-input-tokens 30 \
         --max-num-completed-requests 2"
    );
    let ended = start(&quick_mock(), &line).wait().expect(0);
    for words in [
        "41 is the least that makes sense",
        "built-in tokenizer, whose counts are no model's",
        "hint: --tokenizer-id with the model's own",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[test]
fn throughput_is_by_the_time_from_the_first_request_to_the_last_answer() {
    let _shared = shared();
    let mock = mock("300ms", "20ms");
    let line = "--max-num-completed-requests 6 --num-concurrent-requests 3";
    let ended = start(&mock, &benchmark(line)).wait().expect(0);
    let notes = settled(&mock).last_requests;
    assert_eq!(notes.len(), 6);
    let first = notes.iter().map(|note| note.received_ns).min().unwrap();
    let last = notes.iter().filter_map(|note| note.last_sent_ns).max();
    let span_s = Duration::from_nanos(last.unwrap() - first).as_secs_f64();
    assert!(span_s > 0.6, "{span_s}");
    let summary = summary(&ended);
    let wall_s = 6.0 * 60.0
        / summary["results_num_completed_requests_per_min"]
            .as_f64()
            .unwrap();
    // The client's clock begins before the server's, and ends behind it.
    assert!(
        (0.99..1.15).contains(&(wall_s / span_s)),
        "{wall_s} s by the client, {span_s} s by the server"
    );
    let tokens: u64 = individual(&ended)
        .iter()
        .map(|it| it["number_output_tokens"].as_u64().unwrap())
        .sum();
    let rate = summary["results_mean_output_throughput_token_per_s"]
        .as_f64()
        .unwrap();
    let counted = f64::from(u32::try_from(tokens).unwrap());
    assert!((rate * wall_s / counted - 1.0).abs() < 1e-9, "{rate}");
}

#[test]
fn an_interrupt_ends_the_waiting_for_an_ml_repo_that_does_not_answer() {
    let _shared = shared();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Arc::new(TempDir::new().unwrap());
    let line = format!(
        "correctness {CALM} --mock --tokenizer-id built-in --max-num-completed-requests 4 --ml-repo r"
    );
    let mut command = Command::new("/usr/bin/env");
    command.args([
        &format!(
            "MLFLOW_TRACKING_URI=http://{}",
            silent.local_addr().unwrap()
        ),
        env!("CARGO_BIN_EXE_llmload"),
    ]);
    command.args(line.split_whitespace()).stdin(Stdio::null());
    let summary = folder.path().join("out/m-x-1_correctness_summary.json");
    let run = Program::launch(Arc::clone(&folder), &line, command);
    eventually("the summary is written", || {
        let is_written = summary.metadata().is_ok_and(|file| file.len() > 0);
        is_written.then_some(())
    });
    let interrupted = Instant::now();
    run.signal(Signal::INT);
    let ended = run.wait().expect(0);
    assert!(interrupted.elapsed() < Duration::from_secs(5));
    let words = "the ML Repo is not waited for any longer";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}
