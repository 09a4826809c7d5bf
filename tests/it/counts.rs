//! Exact counts: what a run reports is what the server saw, in one process and in clusters, to the last request and token.

use llmload::mock::{MockHandle, Snapshot};

use crate::process::{Cluster, Ended, Program, Report, mock, quick_mock, settled, shared, towards};

/// Who carries a run out: `run`, or a master with so many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Alone,
    Workers(usize),
}

const PARTIES: [Party; 5] = [
    Party::Alone,
    Party::Workers(1),
    Party::Workers(2),
    Party::Workers(3),
    Party::Workers(7),
];

impl Party {
    /// Carries the run out, to the end; every process must exit 0.
    pub(crate) fn carry_out(self, mock: &MockHandle, line: &str) -> Ended {
        let line = towards(mock, line);
        match self {
            Self::Alone => Program::start(&format!("run {line}")).wait().expect(0),
            Self::Workers(count) => {
                let (master, workers) = Cluster::start(&line, count).succeed();
                assert_eq!(
                    master.result().at("/workers").as_array().unwrap().len(),
                    count
                );
                assert_eq!(workers.len(), count);
                master
            }
        }
    }
}

/// Carries the run out with each party at the same time, each against a mock of its own.
fn with_every_party(line: &str, judge: impl Fn(Party, &Report, &Snapshot) + Sync) {
    let _shared = shared();
    let judge = &judge;
    std::thread::scope(|scope| {
        for party in PARTIES {
            scope.spawn(move || {
                let mock = quick_mock();
                let ended = party.carry_out(&mock, line);
                let (report, seen) = (ended.result(), settled(&mock));
                assert_conserved(&report);
                assert_same(&report, &seen);
                judge(party, &report, &seen);
            });
        }
    });
}

/// Both identities, in the report's own numbers.
#[track_caller]
pub(crate) fn assert_conserved(report: &Report) {
    let sum = |names: &[&str]| names.iter().map(|name| report.total(name)).sum::<u64>();
    let totals = report.at("/totals");
    let fates = sum(&["sent", "dropped", "late_cancelled", "lost", "waiting"]);
    assert_eq!(report.total("scheduled"), fates, "{totals:#}");
    let ends = sum(&["completed", "failed", "cancelled", "in_flight"]);
    assert_eq!(report.total("sent"), ends, "{totals:#}");
    assert!(report.at("/totals/imbalance").is_null(), "{totals:#}");
    assert_eq!(sum(&["waiting", "in_flight", "dropped"]), 0, "{totals:#}");
    let workers = report.at("/workers").as_array().unwrap();
    if !workers.is_empty() {
        let requests = workers
            .iter()
            .map(|worker| worker["requests"].as_u64().unwrap());
        assert_eq!(requests.sum::<u64>(), report.total("sent"), "{workers:#?}");
    }
}

/// What the report says of a run without failures is what the mock saw.
#[track_caller]
fn assert_same(report: &Report, seen: &Snapshot) {
    assert_eq!(report.total("sent"), seen.requests.numbered);
    assert_eq!(report.total("completed"), seen.streams.completed);
    assert_eq!(report.total("failed") + report.total("cancelled"), 0);
    assert_eq!(report.total("lost"), 0);
    assert_eq!(report.count("/tokens/whole_run_output"), seen.sent.tokens);
    assert_eq!(seen.sent.tokens, 5 * seen.requests.numbered);
    assert_eq!(report.count("/connections/opened"), opened_by_clients(seen));
}

/// Connections for answers; the list of models, if it was asked for, had one of its own.
fn opened_by_clients(seen: &Snapshot) -> u64 {
    seen.connections.accepted - seen.requests.by_path["/v1/models"]
}

#[test]
fn a_closed_loop_of_a_hundred_requests_sends_a_hundred_on_any_number_of_workers() {
    with_every_party("-u 9 -r 1000 --max-requests 100", |party, report, _| {
        assert_eq!(report.total("scheduled"), 100, "{party:?}");
        assert_eq!(report.total("completed"), 100, "{party:?}");
    });
}

#[test]
fn a_closed_loop_over_time_reports_every_request_that_the_server_saw() {
    with_every_party("-u 9 -r 1000 -t 2s", |party, report, _| {
        // Nine users, and an answer takes at least 6 ms: in 2 s each has had at least a few.
        let sent = report.total("sent");
        assert!((9 * 5..=9 * 340).contains(&sent), "{party:?}: {sent}");
        assert_eq!(report.total("scheduled"), sent, "{party:?}");
    });
}

#[test]
fn an_open_loop_with_a_limit_sends_exactly_so_many() {
    with_every_party(
        "-u 30 -r 30000 --qps 40 --max-requests 60",
        |party, report, _| {
            assert_eq!(report.total("scheduled"), 60, "{party:?}");
            assert_eq!(report.total("sent"), 60, "{party:?}");
        },
    );
}

#[test]
fn a_constant_open_loop_schedules_what_its_rate_and_time_say() {
    with_every_party("-u 30 -r 30000 --qps 40 -t 2s", |party, report, _| {
        // One at 0 s, one each 25 ms, and the last at 2 s: the run time counts from when all users are there, 29/30000 s.
        assert_eq!(report.total("scheduled"), 81, "{party:?}");
    });
}

#[test]
fn random_open_loops_schedule_the_same_number_on_any_number_of_workers() {
    for law in ["uniform", "exponential"] {
        let counts = std::sync::Mutex::new(Vec::new());
        let line = format!("-u 30 -r 30000 --qps 40 --qps-distribution {law} -t 2s");
        with_every_party(&line, |_, report, _| {
            counts.lock().unwrap().push(report.total("scheduled"));
        });
        let counts = counts.into_inner().unwrap();
        assert!((40..=130).contains(&counts[0]), "{law}: {counts:?}");
        assert!(
            counts.iter().all(|count| *count == counts[0]),
            "{law}: {counts:?}"
        );
    }
}

#[test]
fn workers_without_a_user_stay_idle_and_change_no_count() {
    let _shared = shared();
    for pacing in ["-u 2 -r 1000", "-u 2 -r 1000 --qps 50"] {
        let mock = quick_mock();
        let ended = Party::Workers(3).carry_out(&mock, &format!("{pacing} --max-requests 20"));
        let (report, seen) = (ended.result(), settled(&mock));
        assert_conserved(&report);
        assert_same(&report, &seen);
        assert_eq!(report.total("completed"), 20);
        let workers = report.at("/workers").as_array().unwrap();
        let idle = workers.iter().filter(|worker| worker["requests"] == 0);
        assert_eq!(idle.count(), 1, "{workers:#?}");
    }
}

#[test]
fn all_requests_begun_are_waited_for() {
    let _shared = shared();
    // Five tokens in one second.
    let mock = mock("200ms", "200ms");
    let line = "-u 9 -r 9 -t 2s --stop-timeout 20s";
    let ended = Party::Workers(3).carry_out(&mock, line);
    let (report, seen) = (ended.result(), settled(&mock));
    assert_conserved(&report);
    assert_same(&report, &seen);
    // The users start 1/9 s apart, so that at the end each request has another part of its second before it.
    let waited = report.number("/window/run_s") - report.number("/window/end_s");
    assert!(waited > 0.6, "{:#}", report.at("/window"));
    assert!((18..=27).contains(&report.total("sent")));
}

#[test]
fn what_does_not_end_within_the_stop_timeout_is_counted_as_cancelled() {
    let _shared = shared();
    let mock = mock("200ms", "200ms");
    // Due each 200 ms until 2 s, and a second long; at 2.5 s those due from 1.6 s on are still under way.
    let line = "-u 30 -r 30000 --qps 5 -t 2s --stop-timeout 500ms";
    let ended = Party::Workers(3).carry_out(&mock, line);
    let (report, seen) = (ended.result(), settled(&mock));
    assert_conserved(&report);
    assert_eq!(report.total("sent"), seen.requests.numbered);
    let (completed, cancelled) = (report.total("completed"), report.total("cancelled"));
    // Those due at 0 s to 1.4 s have ended by then, with 0.1 s to spare for a busy machine.
    assert_eq!(report.total("scheduled"), 11);
    assert_eq!(completed + cancelled, report.total("sent"));
    assert!((7..=8).contains(&completed), "{completed} completed");
    // A client may leave at the very end of an answer, but never be told of one that did not end.
    assert!(seen.streams.completed >= completed && seen.streams.aborted <= cancelled);
    assert_eq!(
        seen.streams.completed + seen.streams.aborted,
        report.total("sent")
    );
}
