//! `bench-self` as a whole, with everything tiny: what it counts adds up, and none of its processes outlives it.
//! What the figures are is not judged: this may be a debug build on a busy machine.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::command::Place;
use crate::process::{Program, eventually, shared};

fn number(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("`{name}` in {value}"))
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// All runs of both clients: what was asked for was sent, and what was sent was seen.
fn assert_counts(report: &Value) {
    let runs = report["runs"].as_array().unwrap();
    for run in runs {
        let asked = number(&run["traffic"], "requests");
        let events = asked * number(&run["traffic"], "events");
        for (name, expected) in [
            ("answers_sent", asked),
            ("answers_seen", asked),
            ("events_sent", events),
            ("events_seen", events),
        ] {
            assert_eq!(number(run, name), expected, "{name} of {run}");
        }
        assert!(number(run, "client_cpu_ns") > 0 && number(run, "wall_ns") > 0);
    }
    let of = |role: &'static str| {
        runs.iter()
            .filter(move |run| run["role"].get(role).is_some() || run["role"] == role)
    };
    assert!(of("worker").count() >= 16);
    assert!(of("bare").count() == of("worker").count());
    // Both send requests of the same size, on as many connections.
    for (bare, worker) in of("bare").zip(of("worker")) {
        assert_eq!(bare["traffic"], worker["traffic"]);
        let (bare_bytes, bytes) = (
            number(bare, "request_bytes"),
            number(worker, "request_bytes"),
        );
        assert!(bare_bytes.abs_diff(bytes) * 10 < bytes, "{bare}\n{worker}");
        if bare["traffic"]["rate"].is_null() {
            assert_eq!(number(bare, "connections"), number(worker, "connections"));
        }
    }
}

/// That every interval is merged once the measurement itself makes sure of.
fn assert_clusters(report: &Value) {
    let runs = report["clusters"].as_array().unwrap();
    let workers = |run: &Value| number(run, "workers");
    assert_eq!(runs.iter().map(workers).collect::<Vec<_>>(), [50, 200]);
    for run in runs {
        // Six seconds, and the rest of the last one.
        let intervals = number(run, "intervals");
        assert!((6..=7).contains(&(intervals / workers(run))), "{run}");
        assert_eq!(number(run, "missed"), 0, "{run}");
        let usage = ["cpu_ns", "wall_ns", "peak_kib"].map(|name| number(run, name));
        assert!(usage.iter().all(|&used| used > 0), "{run}");
        for spread in [&run["round_trip"], &run["delay"]] {
            let [p50, p99, max] = ["p50", "p99", "max"].map(|name| spread[name].as_f64().unwrap());
            assert!(0.0 < p50 && p50 <= p99 && p99 <= max, "{run}");
        }
    }
}

#[test]
fn every_measurement_is_made_and_both_clients_count_what_the_server_sent() {
    let _shared = shared();
    let place = Place::new();
    let ran = place.run(&["bench-self", "--quick", "--json", "bench.json"]);
    ran.expect(0);
    let report = place.json("bench.json");
    assert_counts(&report);
    assert_clusters(&report);
    assert!(ran.stdout.contains("200 workers"), "{}", ran.stdout);
    for name in [
        "paced",
        "saturated",
        "requests",
        "memory",
        "scale",
        "cores",
        "accuracy",
        "lateness",
    ] {
        let figures = report["figures"].as_array().unwrap().iter();
        let own: Vec<_> = figures
            .filter(|figure| figure["measurement"] == name)
            .collect();
        assert!(!own.is_empty(), "nothing of `{name}`");
        assert!(ran.stdout.contains(name), "{}", ran.stdout);
        for figure in own {
            let values = [numbers(&figure["bare"]), numbers(&figure["worker"])].concat();
            let runs = number(&report, "pairs") * if figure["worker"][0].is_null() { 1 } else { 2 };
            assert_eq!(values.len() as u64, runs, "{figure}");
            // Memory comes in pages: of a few streams there may be nothing to see.
            let least = if name == "memory" {
                0.0
            } else {
                f64::MIN_POSITIVE
            };
            assert!(
                values.iter().all(|value| (least..1e12).contains(value)),
                "{figure}"
            );
        }
    }
}

#[test]
fn stamps_come_after_the_server_sent_and_before_the_run_was_over() {
    let _shared = shared();
    let place = Place::new();
    place
        .run(&["bench-self", "accuracy", "--quick", "--json", "bench.json"])
        .expect(0);
    for figure in place.json("bench.json")["figures"].as_array().unwrap() {
        let values = [numbers(&figure["bare"]), numbers(&figure["worker"])].concat();
        // In microseconds; clocks are read some nanoseconds apart.
        assert!(
            values.iter().all(|value| (-1.0..5e6).contains(value)),
            "{figure}"
        );
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_debug_build_does_not_pretend_to_measure() {
    let ran = Place::new().run(&["bench-self", "paced"]);
    ran.expect(2);
    assert!(
        ran.stderr.contains("debug build") && ran.stderr.contains("cargo run --release"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_missed_target_is_a_failure_only_when_asked() {
    let _shared = shared();
    let place = Place::new();
    // Whether it is missed is the machine's affair; what is printed and how it ends must agree.
    let ran = place.run(&["bench-self", "paced", "--quick", "--check"]);
    let missed = ran.stdout.contains("missed");
    assert_eq!(
        ran.status,
        Some(i32::from(missed)),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
    place.run(&["bench-self", "paced", "--quick"]).expect(0);
}

/// Processes whose parent is `parent`.
fn children_of(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// The parent of a process that lives; a zombie does not.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    (rest.next()? != "Z").then_some(())?;
    rest.next()?.parse().ok()
}

#[test]
fn the_processes_of_a_measurement_end_with_the_one_that_started_them() {
    let _shared = shared();
    let program = Program::start("bench-self paced --quick");
    let children = eventually("a server and a client", || {
        let children = children_of(program.pid());
        (children.len() == 2).then_some(children)
    });
    program.signal(Signal::KILL);
    eventually("the children are gone", || {
        children
            .iter()
            .all(|&child| parent_of(child).is_none())
            .then_some(())
    });
}
