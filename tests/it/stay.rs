//! A worker that stays: one run after another, whatever became of the last, until it is told to end.

use llmload::mock::MockHandle;
use rustix::process::Signal;

use crate::process::{Ended, Program, quick_mock, settled, shared, towards};

fn master(mock: &MockHandle, port: &str, more: &str) -> Program {
    let line = towards(mock, &format!("-u 3 -r 100 --max-requests 12 {more}"));
    Program::start(&format!("master --master-bind-port {port} {line}"))
}

/// A run that was whole, by the report and by the records of its worker.
#[track_caller]
fn assert_whole(run: Ended) {
    let report = run.expect(0).result();
    assert_eq!(report.total("completed"), 12);
    assert_eq!(report.total("lost"), 0);
    assert_eq!(report.at("/workers").as_array().unwrap().len(), 1);
}

#[test]
fn a_worker_that_stays_carries_out_one_run_after_another_and_a_signal_ends_it() {
    let _shared = shared();
    let mock = quick_mock();
    let first = master(&mock, "0", "");
    let address = first.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap().to_owned();
    let port = address.rsplit(':').next().unwrap();
    let worker = Program::start(&format!(
        "worker --master {address} --threads 1 --stay --records-dir records"
    ));
    assert_whole(first.wait());
    assert_eq!(settled(&mock).requests.numbered, 12);

    // There is no such folder: the worker cannot carry this out, and says so.
    let failed = master(&mock, port, "--records second.jsonl").wait();
    assert!(
        failed.stderr.contains("cannot create the records file"),
        "{}",
        failed.stderr
    );
    worker.wait_for_words("this worker could not carry out its part");
    assert_eq!(settled(&mock).requests.numbered, 12);

    std::fs::create_dir(worker.folder().join("records")).unwrap();
    assert_whole(master(&mock, port, "--records third.jsonl").wait());
    assert_whole(master(&mock, port, "--records fourth.jsonl").wait());
    assert_eq!(settled(&mock).requests.numbered, 36);

    worker.signal(Signal::TERM);
    let worker = worker.wait().expect(0);
    for name in ["third", "fourth"] {
        assert_eq!(worker.records(&format!("records/{name}.jsonl")).len(), 12);
    }
    assert!(!worker.path("records/second.jsonl").exists());
}

#[test]
fn a_worker_that_stays_ends_with_the_run_in_which_it_is_told_to() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(&mock, "-u 2 -r 100 -t 20s");
    let run = Program::start(&format!("master --master-bind-port 0 {line}"));
    let address = run.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap();
    let worker = Program::start(&format!("worker --master {address} --threads 1 --stay"));
    crate::process::wait_for_requests(&mock, 20);
    worker.signal(Signal::INT);
    worker.wait().expect(0);
    let seen = settled(&mock).requests.numbered;
    run.signal(Signal::INT);
    let run = run.wait();
    assert_eq!(
        run.result().total("sent"),
        seen,
        "nothing that it sent is lost"
    );
}
