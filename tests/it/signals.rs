//! Signals, deaths and waiting: a run that is told to end, workers that go or are killed, workers and masters that come late.

use std::net::{Ipv4Addr, TcpListener};

use rustix::process::Signal;

use crate::counts::assert_conserved;
use crate::process::{
    Cluster, Ended, Program, eventually, faulty_mock, mock, quick_mock, settled, shared, towards,
    wait_for_requests,
};

#[test]
fn the_first_interrupt_ends_a_run_with_everything_measured() {
    let _shared = shared();
    let mock = quick_mock();
    let run = Program::start(&format!("run {}", towards(&mock, "-u 4 -r 1000 -t 50s")));
    wait_for_requests(&mock, 40);
    run.signal(Signal::INT);
    let ended = run.wait().expect(0);
    let (report, seen) = (ended.result(), settled(&mock));
    assert_conserved(&report);
    assert_eq!(report.total("completed"), seen.requests.numbered);
    assert_eq!(report.total("cancelled") + report.total("lost"), 0);
    assert_eq!(report.count("/tokens/whole_run_output"), seen.sent.tokens);
    assert!(ended.stdout.contains("Summary"), "{}", ended.stdout);
    // The window ends when sending did, not at the planned 50 s.
    assert!(
        report.number("/window/length_s") < 40.0,
        "{:#}",
        report.at("/window")
    );
}

#[test]
fn the_second_interrupt_drops_what_is_in_flight_and_counts_it() {
    let _shared = shared();
    // A first token, and then nothing for a minute.
    let mock = mock("1ms", "60s");
    let run = Program::start(&format!("run {}", towards(&mock, "-u 4 -r 1000 -t 50s")));
    wait_for_requests(&mock, 4);
    run.signal(Signal::INT);
    run.wait_for_words("no new requests");
    run.signal(Signal::INT);
    // Nothing was measured by what was dropped, yet the report is there.
    let ended = run.wait().expect(130);
    let report = ended.result();
    assert_conserved(&report);
    assert_eq!((report.total("sent"), report.total("cancelled")), (4, 4));
    assert_eq!(settled(&mock).streams.aborted, 4);
}

#[test]
fn a_master_that_is_interrupted_twice_keeps_what_was_measured_and_counts_the_rest_as_cancelled() {
    let _shared = shared();
    // Every user ends in an answer that never comes.
    let mock = faulty_mock("2ms", "1ms", &["hang=0.1"]);
    let cluster = Cluster::start(&towards(&mock, "-u 9 -r 1000 -t 50s"), 3);
    eventually("all users hang", || {
        (mock.stats().snapshot().faults["hang"] == 9).then_some(())
    });
    cluster.master.signal(Signal::INT);
    cluster.master.wait_for_words("no new requests");
    cluster.master.signal(Signal::INT);
    let (master, _) = cluster.succeed();
    let (report, seen) = (master.result(), settled(&mock));
    assert_conserved(&report);
    assert_eq!(report.total("cancelled"), 9);
    assert_eq!(report.total("completed"), seen.streams.completed);
    assert_eq!(report.total("sent"), seen.requests.numbered);
    assert!(report.total("completed") > 0);
}

#[test]
fn an_interrupt_before_anything_was_measured_is_the_exit_status() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(&mock, "-u 4 -t 50s");
    let master = Program::start(&format!("master --master-bind-port 0 {line}"));
    master.wait_for_words("listening on ");
    master.signal(Signal::INT);
    master.wait().expect(130);
    let master = Program::start(&format!("master --master-bind-port 0 {line}"));
    master.wait_for_words("listening on ");
    master.signal(Signal::TERM);
    master.wait().expect(143);
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}

#[test]
fn an_interrupted_master_drains_its_workers() {
    let _shared = shared();
    let mock = quick_mock();
    let cluster = Cluster::start(&towards(&mock, "-u 9 -r 1000 -t 50s"), 3);
    wait_for_requests(&mock, 90);
    cluster.master.signal(Signal::INT);
    let (master, _) = cluster.succeed();
    let (report, seen) = (master.result(), settled(&mock));
    assert_conserved(&report);
    assert_eq!(report.total("completed"), seen.requests.numbered);
    assert_eq!(report.total("sent"), seen.requests.numbered);
}

/// The workers of a result that are marked as lost, by the process ids in their names.
fn lost(master: &Ended) -> Vec<String> {
    let report = master.result();
    let workers = report.at("/workers").as_array().unwrap().clone();
    workers
        .iter()
        .filter(|worker| worker["lost"] == true)
        .map(|worker| {
            worker["name"]
                .as_str()
                .unwrap()
                .rsplit(':')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn a_terminated_worker_hands_its_share_over_and_nothing_is_lost() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(&mock, "-u 30 -r 30000 --qps 30 -t 8s");
    let mut cluster = Cluster::start(&line, 3);
    wait_for_requests(&mock, 30);
    let leaving = cluster.workers.remove(1);
    leaving.signal(Signal::TERM);
    leaving.wait().expect(0);
    let (master, workers) = cluster.wait();
    for worker in workers {
        worker.expect(0);
    }
    let master = master.expect(0);
    let (report, seen) = (master.result(), settled(&mock));
    assert_conserved(&report);
    assert_eq!(lost(&master), Vec::<String>::new());
    // One each 33.3 ms from 0 s to 8 s, whoever sends it.
    assert_eq!(report.total("scheduled"), 241);
    assert_eq!((report.total("sent"), report.total("lost")), (241, 0));
    assert_eq!(seen.requests.numbered, 241);
    assert!(
        master.stderr.contains("then the others have its share"),
        "{}",
        master.stderr
    );
}

#[test]
fn a_terminated_worker_that_nobody_replaces_drains_and_the_rest_of_its_share_is_lost() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(
        &mock,
        "-u 30 -r 30000 --qps 30 -t 4s --on-worker-loss ignore",
    );
    let mut cluster = Cluster::start(&line, 3);
    wait_for_requests(&mock, 30);
    let leaving = cluster.workers.remove(1);
    leaving.signal(Signal::TERM);
    let gone = leaving.wait().expect(0);
    let (master, workers) = cluster.wait();
    for worker in workers {
        worker.expect(0);
    }
    let master = master.expect(4);
    let (report, seen) = (master.result(), settled(&mock));
    assert_conserved(&report);
    assert_eq!(lost(&master), [gone.pid.to_string()]);
    // One each 33.3 ms from 0 s to 4 s: all of them stay in the books.
    assert_eq!(report.total("scheduled"), 121);
    assert_eq!(report.total("sent"), seen.requests.numbered);
    assert_eq!(report.total("completed"), seen.requests.numbered);
    // A third of the schedule from some time after the first second on.
    assert!(
        (1..=31).contains(&report.total("lost")),
        "{:#}",
        report.at("/totals")
    );
    assert!(
        master.stderr.contains("was told to go"),
        "{}",
        master.stderr
    );
}

#[test]
fn a_closed_loop_that_a_worker_left_has_not_delivered_its_load() {
    let _shared = shared();
    let mock = quick_mock();
    let mut cluster = Cluster::start(
        &towards(&mock, "-u 9 -r 1000 -t 3s --on-worker-loss ignore"),
        3,
    );
    wait_for_requests(&mock, 90);
    let leaving = cluster.workers.remove(2);
    leaving.signal(Signal::TERM);
    let gone = leaving.wait().expect(0);
    let master = cluster.wait().0.expect(4);
    let report = master.result();
    assert_conserved(&report);
    assert_eq!(report.total("completed"), settled(&mock).requests.numbered);
    assert_eq!(lost(&master), [gone.pid.to_string()]);
}

#[test]
fn a_killed_worker_is_reported_as_lost_and_the_figures_of_the_others_stand() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(&mock, "-u 30 -r 30000 --qps 30 -t 5s");
    let mut cluster = Cluster::start(&line, 3);
    wait_for_requests(&mock, 60);
    let victim = cluster.workers.remove(0);
    victim.signal(Signal::KILL);
    let victim = victim.wait().pid;
    let (master, workers) = cluster.wait();
    for worker in workers {
        worker.expect(0);
    }
    let master = master.expect(4);
    let (report, seen) = (master.result(), settled(&mock));
    assert_conserved(&report);
    assert_eq!(lost(&master), [victim.to_string()]);
    assert_eq!(report.total("scheduled"), 151);
    // What the victim sent in its last second, about ten, only the server knows.
    assert!(report.total("sent") <= seen.requests.numbered);
    assert!(
        report.total("sent") >= seen.requests.numbered - 20,
        "{:#}",
        report.at("/totals")
    );
    // The two others did all of theirs, two thirds of 151; the last at 5 s may have come too late.
    let delivered: Vec<u64> = report
        .at("/workers")
        .as_array()
        .unwrap()
        .iter()
        .filter(|worker| worker["lost"] == false)
        .map(|worker| worker["requests"].as_u64().unwrap())
        .collect();
    assert_eq!(delivered.len(), 2);
    assert!(
        delivered.iter().all(|sent| (49..=51).contains(sent)),
        "{delivered:?}"
    );
    assert!(report.count("/metrics/ttft_ms/count") >= 100);
    assert!(master.stderr.contains("is lost"), "{}", master.stderr);
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_worker_that_was_there_before_its_master_waits_for_it() {
    let _shared = shared();
    let mock = quick_mock();
    let port = free_port();
    let worker = Program::start(&format!("worker --master 127.0.0.1:{port}"));
    worker.wait_for_words("no master yet");
    let line = towards(&mock, "-u 3 -r 1000 --max-requests 30");
    let master = Program::start(&format!("master --master-bind-port {port} {line}"));
    let master = master.wait().expect(0);
    worker.wait().expect(0);
    assert_eq!(master.result().total("completed"), 30);
    assert_eq!(settled(&mock).requests.numbered, 30);
}

#[test]
fn a_master_gives_up_when_too_few_workers_come_in_time() {
    let _shared = shared();
    let mock = quick_mock();
    let line = towards(
        &mock,
        "-u 3 -t 50s --expect-workers 2 --expect-workers-max-wait 2s",
    );
    let master = Program::start(&format!("master --master-bind-port 0 {line}"));
    let address = master.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap();
    let worker = Program::start(&format!("worker --master {address}"));
    master.wait_for_words("joined");
    let master = master.wait().expect(3);
    let pid = worker.pid().to_string();
    // It found out that there is nothing to do.
    worker.wait().expect(0);
    assert!(master.stderr.contains("1 of 2"), "{}", master.stderr);
    assert!(
        master.stderr.contains(&pid),
        "who is there is named: {}",
        master.stderr
    );
    assert!(!master.path("result.json").exists(), "nothing was measured");
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}
