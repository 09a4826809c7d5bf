//! `llmload ctl` against a real master with workers: what arrives at the server is the judge of what was changed.

use std::net::{Ipv4Addr, TcpListener};

use llmload::mock::MockHandle;
use serde_json::Value;

use crate::counts::assert_conserved;
use crate::process::{
    Cluster, Ended, Program, alone, eventually, faulty_mock, mock, quick_mock, settled, shared,
    towards, wait_for_requests,
};

fn ctl(cluster: &Cluster, words: &str) -> Ended {
    Program::start(&format!("ctl {words} --master {}", cluster.address)).wait()
}

/// What a change is answered with: from when, in seconds of the run, and what it is then.
#[track_caller]
fn change(cluster: &Cluster, words: &str) -> (f64, String) {
    let said = ctl(cluster, words).expect(0).stdout;
    let said = said.trim_end().strip_prefix("from ").unwrap();
    let (from, load) = said.split_once(" s of the run on: ").unwrap();
    (from.parse().unwrap(), load.to_owned())
}

fn status(cluster: &Cluster) -> Value {
    serde_json::from_str(&ctl(cluster, "status --json").expect(0).stdout).unwrap()
}

/// Arrivals at the mock, in seconds since the first one. The first one is due at the run's start.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53 ns")]
fn arrivals(mock: &MockHandle) -> Vec<f64> {
    let mut at = settled(mock).arrivals.at_ns;
    at.sort_unstable();
    at.iter().map(|ns| (ns - at[0]) as f64 / 1e9).collect()
}

fn between(arrivals: &[f64], from: f64, to: f64) -> f64 {
    let inside = arrivals.iter().filter(|&&at| at >= from && at < to);
    f64::from(u32::try_from(inside.count()).unwrap())
}

#[test]
fn another_rate_is_another_rate_at_the_server_from_when_it_was_promised() {
    let _alone = alone();
    let mock = quick_mock();
    let cluster = Cluster::start(&towards(&mock, "-u 50 --qps 20 -t 12s"), 2);
    wait_for_requests(&mock, 20);
    let (from, load) = change(&cluster, "qps 50");
    assert_eq!(load, "50 requests/s, at most 50 in flight");
    let (master, _) = cluster.succeed();
    let report = master.result();
    assert_conserved(&report);
    let arrivals = arrivals(&mock);
    let (early, late) = (
        between(&arrivals, 0.0, from - 0.1),
        between(&arrivals, from + 0.1, 11.9),
    );
    let wanted = ((from - 0.1) * 20.0, (11.8 - from) * 50.0);
    println!(
        "20/s: {early} of {:.1}; 50/s: {late} of {:.1}",
        wanted.0, wanted.1
    );
    assert!((early - wanted.0).abs() <= 2.0, "{early} {wanted:?}");
    assert!((late - wanted.1).abs() <= 3.0, "{late} {wanted:?}");
    let said = master
        .stdout
        .contains("on: 50 requests/s, at most 50 in flight");
    assert!(said, "{}", master.stdout);
    let changes = report.at("/changes").as_array().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["asked_per_s"], 50.0);
    assert_eq!(report.at("/measured/asked_per_s"), &Value::Null);
}

#[test]
fn users_come_and_go_at_the_rate_that_was_asked_for() {
    let _shared = shared();
    let mock = mock("20ms", "1ms");
    let cluster = Cluster::start(&towards(&mock, "-u 2 -r 1000 -t 50s"), 2);
    wait_for_requests(&mock, 10);
    let users = |wanted: u64| {
        eventually(&format!("{wanted} users"), || {
            let status = status(&cluster);
            (status["users"] == wanted && status["load"]["users"] == wanted).then_some(status)
        })
    };
    let running = users(2);
    assert_eq!(running["phase"], "running");
    assert_eq!(running["workers"], serde_json::json!({"running": 2}));
    assert_eq!(change(&cluster, "users 7 --spawn-rate 100").1, "7 users");
    assert!(users(7)["requests"].as_u64().unwrap() > 0);
    assert_eq!(change(&cluster, "users -4").1, "3 users");
    users(3);
    assert_eq!(change(&cluster, "users +1").1, "4 users");
    users(4);
    let table = ctl(&cluster, "workers").expect(0).stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    let stopped = ctl(&cluster, "stop").expect(0).stdout;
    assert!(
        stopped.starts_with("the run ends: no new requests"),
        "{stopped}"
    );
    let (master, _) = cluster.succeed();
    let report = master.result();
    assert_conserved(&report);
    assert_eq!(report.total("completed"), settled(&mock).requests.numbered);
    assert!(
        master.stdout.contains("all of these loads together"),
        "{}",
        master.stdout
    );
}

#[test]
fn nothing_arrives_in_a_pause() {
    let _alone = alone();
    let mock = quick_mock();
    let cluster = Cluster::start(&towards(&mock, "-u 50 --qps 50 -t 50s"), 2);
    wait_for_requests(&mock, 25);
    let (from, load) = change(&cluster, "pause");
    assert_eq!(load, "paused");
    eventually("the pause", || {
        (status(&cluster)["load"]["paused"] == true).then_some(())
    });
    let (until, _) = change(&cluster, "resume");
    assert!(until > from + 1.0, "{from} {until}");
    eventually("the end of the pause", || {
        (status(&cluster)["load"]["paused"] == false).then_some(())
    });
    let before = mock.stats().snapshot().requests.numbered;
    wait_for_requests(&mock, before + 25);
    ctl(&cluster, "stop").expect(0);
    let (master, _) = cluster.succeed();
    assert_conserved(&master.result());
    let arrivals = arrivals(&mock);
    let paused = between(&arrivals, from + 0.1, until - 0.1);
    assert!(paused < 1.0, "{paused} {from} {until}");
    let early = between(&arrivals, 0.0, from - 0.1);
    assert!((early - (from - 0.1) * 50.0).abs() <= 3.0, "{early} {from}");
    assert!(between(&arrivals, until + 0.1, f64::MAX) >= 20.0);
}

#[test]
fn what_a_run_does_not_allow_is_refused_with_a_way_out() {
    let _shared = shared();
    let mock = faulty_mock("2ms", "1ms", &["hang=0.2"]);
    let line = towards(&mock, "-u 4 -r 1000 -t 50s");
    let mut cluster = Cluster::start(&line, 0);
    let early = ctl(&cluster, "users 9").expect(1).stderr;
    assert!(early.contains("the run has not begun\nhint: "), "{early}");
    let waiting = ctl(&cluster, "").expect(0).stdout;
    assert!(waiting.contains(" is waiting\n"), "{waiting}");
    let worker = Program::start(&format!("worker --master {}", cluster.address));
    cluster.workers.push(worker);
    eventually("all users hang", || {
        (mock.stats().snapshot().faults["hang"] == 4).then_some(())
    });
    let closed = ctl(&cluster, "qps 5").expect(1).stderr;
    assert!(
        closed.contains("closed loop") && closed.contains("hint: "),
        "{closed}"
    );
    let many = ctl(&cluster, "users 2000000").expect(1).stderr;
    assert!(many.contains("1000000 users are the most"), "{many}");
    ctl(&cluster, "stop").expect(0);
    let ending = ctl(&cluster, "users 9").expect(1).stderr;
    assert!(ending.contains("the run is ending"), "{ending}");
    assert_eq!(status(&cluster)["phase"], "stopping");
    let dropped = ctl(&cluster, "stop --abort").expect(0).stdout;
    assert!(dropped.contains("dropped"), "{dropped}");
    let (master, _) = cluster.wait();
    assert_eq!(master.result().total("cancelled"), 4);
}

#[test]
fn a_counted_closed_loop_keeps_its_users() {
    let _shared = shared();
    let mock = mock("50ms", "1ms");
    let cluster = Cluster::start(&towards(&mock, "-u 2 -r 1000 --max-requests 100"), 1);
    wait_for_requests(&mock, 4);
    let refused = ctl(&cluster, "users 9").expect(1).stderr;
    assert!(refused.contains("a fixed number of requests"), "{refused}");
    let (master, _) = cluster.succeed();
    assert_eq!(master.result().total("completed"), 100);
}

#[test]
fn without_a_master_the_exit_status_is_3_and_nonsense_is_2() {
    let _shared = shared();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let run = |words: &str| Program::start(&format!("ctl {words}")).wait();
    let nobody = run(&format!("status --master 127.0.0.1:{port}"))
        .expect(3)
        .stderr;
    assert!(
        nobody.contains("there is no master at") && nobody.contains("hint: "),
        "{nobody}"
    );
    for words in [
        "dance",
        "users",
        "users many",
        "qps 0",
        "pause 3",
        "stop --json",
    ] {
        run(words).expect(2);
    }
}
