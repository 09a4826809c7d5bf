//! Probes: what `health` says of masters and workers that are well, gone, or stand still.

use rustix::process::Signal;

use crate::process::{Program, eventually, quick_mock, towards};

/// Asks; returns the exit status and what was said, wherever.
fn asked(line: &str) -> (i32, String) {
    let ended = Program::start(&format!("health {line}")).wait();
    let words = format!("{}{}", ended.stdout, ended.stderr);
    (ended.status().unwrap_or(-1), words)
}

#[test]
fn a_master_and_its_worker_are_well_until_they_stand_still() {
    let mock = quick_mock();
    let load = towards(&mock, "-u 2 -t 10min --no-journal");
    let master = Program::start(&format!("master --master-bind-port 0 {load}"));
    let address = master.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap().to_owned();
    let (status, words) = asked(&format!("--master {address} --ready"));
    assert_eq!(status, 0, "{words}");
    assert!(words.contains("is waiting, 0 workers are there"), "{words}");

    let worker = Program::start(&format!(
        "worker --master {address} --threads 1 --health-file health"
    ));
    let file = worker.folder().join("health").display().to_string();
    let ready = eventually("a worker that hears of its master", || {
        let (status, words) = asked(&format!("--health-file {file} --ready"));
        (status == 0).then_some(words)
    });
    assert!(ready.contains("is well: it heard of its master"), "{ready}");
    eventually("a run that goes on", || {
        let (status, words) = asked(&format!("--master {address}"));
        (status == 0 && words.contains("is running, 1 workers are there")).then_some(())
    });

    // A master that stands still does not answer, and its worker is alive and not ready.
    master.signal(Signal::STOP);
    let (status, words) = asked(&format!("--master {address} --timeout 1s"));
    assert_eq!(status, 1, "{words}");
    assert!(words.contains("does not answer within 1.0 s"), "{words}");
    eventually("a worker that is not ready any more", || {
        let (status, words) = asked(&format!("--health-file {file} --ready --max-age 3s"));
        (status == 1 && words.contains("is not ready")).then_some(())
    });
    let (status, words) = asked(&format!("--health-file {file} --max-age 30s"));
    assert_eq!(status, 0, "{words}");

    // A worker that stands still says nothing.
    worker.signal(Signal::STOP);
    eventually("a worker that is not well any more", || {
        let (status, words) = asked(&format!("--health-file {file} --max-age 2s"));
        (status == 1 && words.contains("more than 2.0 s")).then_some(())
    });
    worker.signal(Signal::CONT);
    master.signal(Signal::CONT);
    worker.signal(Signal::KILL);
    master.signal(Signal::KILL);
}

#[test]
fn who_is_not_there_is_not_well_and_a_question_without_sense_is_another_status() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let (status, words) = asked(&format!("--master {address}"));
    assert_eq!(status, 1, "{words}");
    assert!(words.contains("hint: "), "{words}");
    let (status, words) = asked("--health-file nowhere/health");
    assert_eq!(status, 1, "{words}");
    assert!(words.contains("--health-file FILE` keeps"), "{words}");
    assert_eq!(asked("--max-age soon").0, 2);
    let worker = "worker --master 127.0.0.1:9 --health-file nowhere/health";
    let ended = Program::start(worker).wait().expect(2);
    assert!(ended.stderr.contains("cannot write the health file"));
}
