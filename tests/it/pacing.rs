//! When requests are sent: stages, ramps, bursts, traces, think times, and what is sent beside the run. Held to the plan by
//! the records' own times, and to the server's counts.

use std::collections::BTreeSet;
use std::time::Duration;

use llmload::domain::{Index, Offset, Record, Warning};
use llmload::mock::MockHandle;
use llmload::schedule::{Curve, Law, Load, Pacing, Placed, Ramp, Share, Spec, Stage, Think};

use crate::counts::{Party, assert_conserved};
use crate::process::{Report, alone, faulty_mock, mock, quick_mock, settled, shared};
use crate::rig::{
    LATE, Ran, SEED, Worker, closed, expected, load, ms, open, rate, run, share_at, soon, span,
    whole,
};
use crate::schedule::records_file;

/// A timer's own lateness, which is nobody's delay.
const COARSE: Duration = Duration::from_millis(2);

fn carried(mock: &MockHandle, spec: &Spec) -> Ran {
    run(async {
        let worker = Worker::new(mock, spec, Share::first(spec, 0, 1)).await;
        worker.run(soon(), vec![]).await
    })
}

/// By two workers at once.
fn carried_by_two(mock: &MockHandle, spec: &Spec) -> [Ran; 2] {
    run(async {
        let one = Worker::new(mock, spec, Share::first(spec, 0, 2)).await;
        let other = Worker::new(mock, spec, Share::first(spec, 1, 2)).await;
        let origin = soon();
        tokio::join!(one.run(origin, vec![]), other.run(origin, vec![])).into()
    })
}

fn stages(law: Law) -> Spec {
    let stage = |from, to, millis| Stage {
        from,
        to,
        lasts: span(millis),
    };
    let stages = vec![
        stage(20.0, 20.0, 500),
        stage(0.0, 0.0, 300),
        stage(0.0, 100.0, 600),
        stage(50.0, 50.0, 400),
    ];
    Spec {
        pacing: Pacing::Stages { stages, law },
        run_time: None,
        ..open(30, 1, law, 0)
    }
}

fn bursts() -> Spec {
    Spec {
        pacing: Pacing::Burst { every: span(400) },
        ..open(8, 1, Law::Constant, 1_500)
    }
}

fn trace() -> Spec {
    let due_us = [0, 10, 150_000, 150_000, 700_001, 1_200_000];
    Spec {
        pacing: Pacing::Trace {
            due_us: due_us.into(),
        },
        run_time: None,
        ..open(6, 1, Law::Constant, 0)
    }
}

fn ramped() -> Spec {
    Spec {
        ramp: Some(Ramp {
            warmup: span(300),
            time: span(800),
            curve: Curve::Geometric,
        }),
        ..open(30, 80, Law::Constant, 400)
    }
}

fn gamma() -> Spec {
    Spec {
        burstiness: 0.3,
        ..open(40, 60, Law::Gamma, 1_500)
    }
}

#[test]
fn every_pacing_keeps_its_own_times_on_one_worker_and_on_two() {
    let _alone = alone();
    let specs = [
        stages(Law::Constant),
        stages(Law::Gamma),
        bursts(),
        trace(),
        ramped(),
        gamma(),
    ];
    for spec in specs {
        let mock = quick_mock();
        let planned = expected(&spec, &[]);
        assert!(!planned.is_empty());
        let ran = carried(&mock, &spec);
        assert_eq!(ran.arrivals(), planned, "{:?}", spec.pacing);
        ran.assert_no_burst();
        let [one, other] = carried_by_two(&mock, &spec);
        let mut all = [one.arrivals(), other.arrivals()].concat();
        all.sort_unstable();
        assert_eq!(all, planned, "{:?}", spec.pacing);
        let seen = settled(&mock).requests.numbered;
        assert_eq!(seen, 2 * planned.len() as u64);
    }
}

#[test]
fn stages_send_what_each_has_and_bursts_come_together() {
    let _alone = alone();
    let planned = expected(&stages(Law::Constant), &[]);
    let within = |from, to| {
        let due = planned.iter().map(|of| of.1);
        due.filter(|&due| due >= ms(from) && due < ms(to)).count()
    };
    let counts = [
        within(0, 500),
        within(500, 800),
        within(800, 1_400),
        within(1_400, 1_800),
    ];
    assert_eq!(counts, [10, 0, 30, 20]);
    let mock = quick_mock();
    let ran = carried(&mock, &bursts());
    let due: Vec<Offset> = ran.arrivals().iter().map(|of| of.1).collect();
    let expected: Vec<Offset> = (0..4).flat_map(|burst| [ms(burst * 400); 8]).collect();
    assert_eq!(due, expected);
    // As many users as a burst has, there from its first moment on.
    let short = ran.tally.warnings.get(&Warning::UsersTooFew);
    assert_eq!(short, None);
    let at = settled(&mock).arrivals.at_ns;
    for burst in at.chunks(8) {
        let took = Duration::from_nanos(burst[7] - burst[0]);
        assert!(took < span(200), "{took:?}");
    }
}

#[test]
fn a_pause_leaves_out_what_falls_into_it_and_a_worker_more_changes_nothing() {
    let _alone = alone();
    for spec in [stages(Law::Constant), trace(), bursts()] {
        let mock = quick_mock();
        let paused = Load {
            paused: true,
            ..load(&spec)
        };
        let told = vec![
            share_at(0, whole(1, 140, load(&spec))),
            share_at(40, whole(2, 350, paused)),
            share_at(300, whole(3, 1_000, load(&spec))),
        ];
        let ran = run(async {
            let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
            worker.run(soon(), told).await
        });
        let mut planned = expected(&spec, &[]);
        planned.retain(|of| of.1 < ms(350) || of.1 >= ms(1_000));
        assert_eq!(ran.arrivals(), planned, "{:?}", spec.pacing);
    }
}

#[test]
fn a_rate_that_is_set_takes_the_place_of_the_plans() {
    let _alone = alone();
    let mock = quick_mock();
    let spec = stages(Law::Constant);
    let fixed = Load {
        rate: Some(rate(100)),
        ..load(&spec)
    };
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        let told = vec![share_at(100, whole(1, 475, fixed))];
        worker.run(soon(), told).await
    });
    assert_eq!(ran.arrivals(), expected(&spec, &[(475, Some(rate(100)))]));
    // Ten until then, and one each hundredth of a second to the end of the last stage, from half a gap on; the integral
    // stood at 9.5 of the 10 at which the next one was due.
    assert_eq!(ran.arrivals()[10], (10, ms(480)));
    assert_eq!(ran.records.len(), 10 + 132);
}

/// The first request of each user, by user.
fn firsts(ran: &Ran) -> Vec<&Record> {
    let first = |record: &&Record| matches!(record.index, Index::Turn { turn: 0, .. });
    ran.records.iter().filter(first).collect()
}

#[test]
fn users_start_along_the_ramp_and_their_first_requests_are_spread() {
    let _alone = alone();
    for curve in [Curve::Geometric, Curve::Linear] {
        let mock = mock("20ms", "1ms");
        let spec = Spec {
            ramp: Some(Ramp {
                warmup: span(400),
                time: span(1_200),
                curve,
            }),
            spread: span(300),
            ..closed(6, 200)
        };
        let ran = carried(&mock, &spec);
        let firsts = firsts(&ran);
        assert_eq!(firsts.len(), 6);
        for (user, record) in (0..).zip(firsts) {
            let start = spec.first_request_at(user, SEED);
            assert!(
                record.due >= start && record.due.since(start) < LATE,
                "{user}"
            );
            assert!(start >= spec.spawn_at(user));
            assert!(start.since(spec.spawn_at(user)) < span(300));
        }
        assert!(spec.spawn_at(1) >= ms(500), "the first of the others");
        assert!(spec.window_start() == Offset::ZERO && spec.full_load() == ms(1_900));
        let last = ran.records.iter().map(|record| record.due).max().unwrap();
        assert!(last < spec.end_of_sending().unwrap());
    }
}

#[test]
fn users_think_for_their_time_and_it_is_nobodys_delay() {
    let _alone = alone();
    let mock = quick_mock();
    for think in [
        Think::Between(span(100), span(100)),
        Think::Exponential(span(60)),
    ] {
        let spec = Spec {
            think: Some(think),
            ..closed(4, 1_500)
        };
        let ran = carried(&mock, &spec);
        let pairs = ran.records.windows(2);
        let mut thoughts = 0;
        for pair in pairs.filter(|pair| user_of(&pair[0]) == user_of(&pair[1])) {
            let thought = think.draw(SEED, pair[0].index.key());
            let waited = pair[1].due.since(pair[0].end);
            assert!(
                waited >= thought && waited <= thought + COARSE,
                "{waited:?} for {thought:?}"
            );
            assert_eq!(pair[1].ready, pair[1].due);
            thoughts += 1;
        }
        assert!(thoughts >= 8, "{thoughts}");
        assert_eq!(ran.records.len(), thoughts + 4);
    }
}

fn user_of(record: &Record) -> u32 {
    match record.index {
        Index::Turn { user, .. } => user,
        Index::Arrival(_) => panic!("an open loop"),
    }
}

#[test]
fn who_thinks_for_hours_hears_of_its_end_and_of_the_runs() {
    let _alone = alone();
    let mock = quick_mock();
    let hour = Duration::from_secs(3_600);
    let spec = Spec {
        think: Some(Think::Between(hour, hour)),
        ..closed(4, 1_700)
    };
    let mut fewer = whole(
        1,
        500,
        Load {
            users: 1,
            ..load(&spec)
        },
    );
    fewer.ends = (1..4).map(|user| Placed { user, place: 0 }).collect();
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        worker.run(soon(), vec![share_at(300, fewer)]).await
    });
    assert_eq!(ran.records.len(), 4, "one each");
    let users: Vec<u32> = ran.slices.iter().map(|slice| slice.users).collect();
    assert_eq!(users, [1, 0], "at 1 s, and at the end");
}

#[test]
fn who_reaches_nobody_waits_longer_each_time() {
    let _alone = alone();
    let mock = quick_mock();
    let spec = closed(2, 2_000);
    let ran = run(async {
        let worker = Worker::new(&mock, &spec, Share::first(&spec, 0, 1)).await;
        drop(mock);
        worker.run(soon(), vec![]).await
    });
    for user in 0..2 {
        let own = ran.records.iter().filter(|record| user_of(record) == user);
        let own: Vec<&Record> = own.collect();
        assert!((2..=6).contains(&own.len()), "{}", own.len());
        // The first may have met its connection, and the close of it.
        let failures: Vec<_> = own.iter().skip_while(|of| of.begun.is_some()).collect();
        for (pair, rest) in failures.windows(2).zip([100, 200, 400, 800, 1_000]) {
            let waited = pair[1].due.since(pair[0].end);
            assert!(
                waited >= span(rest) && waited <= span(rest) + COARSE,
                "{waited:?}"
            );
        }
    }
}

const PARTIES: [Party; 3] = [Party::Alone, Party::Workers(1), Party::Workers(3)];

#[test]
fn warm_up_requests_are_sent_and_counted_nowhere() {
    let _shared = shared();
    for line in [
        "--warmup-requests 20 -u 5 -r 1000 --max-requests 31",
        "--warmup-requests 20 -u 5 --qps 60 --max-requests 31",
    ] {
        for party in PARTIES {
            let mock = quick_mock();
            let report = party.carry_out(&mock, line).result();
            assert_conserved(&report);
            let seen = settled(&mock);
            assert_eq!(seen.requests.numbered, 51, "{party:?}");
            assert_eq!(
                (report.total("scheduled"), report.total("completed")),
                (31, 31)
            );
            assert_eq!(report.count("/tokens/whole_run_output"), 5 * 31);
            let bodies = seen.last_requests.iter().map(|note| &note.body_sha256);
            assert_eq!(
                bodies.collect::<BTreeSet<_>>().len(),
                51,
                "none is asked twice"
            );
            let opened = seen.connections.accepted - seen.requests.by_path["/v1/models"];
            assert_eq!(report.count("/connections/opened"), opened, "{party:?}");
        }
    }
}

#[test]
fn a_warm_up_that_fails_is_told_of_once_and_the_run_begins() {
    let _shared = shared();
    let mock = faulty_mock("2ms", "1ms", &["status=1:503"]);
    let line = crate::process::towards(&mock, "--warmup-requests 7 -u 2 -r 1000 --max-requests 9");
    let ended = crate::process::Program::start(&format!("run {line}")).wait();
    let ended = ended.expect(1);
    assert_eq!(settled(&mock).requests.numbered, 16);
    assert_eq!(ended.result().total("failed"), 9);
    assert_eq!(
        ended.stderr.matches("a warm-up request failed").count(),
        1,
        "{}",
        ended.stderr
    );
}

/// The arrivals that were cancelled, and how many there were in all.
fn cancelled(records: &[serde_json::Value]) -> BTreeSet<u64> {
    let is = |record: &&serde_json::Value| record["outcome"] == "cancelled";
    let index = |record: &serde_json::Value| record["index"]["arrival"].as_u64().unwrap();
    records.iter().filter(is).map(index).collect()
}

#[test]
fn the_same_streams_are_dropped_after_their_first_token_whoever_sends_them() {
    let _shared = shared();
    let line = "--cancel-rate 0.4 -u 80 --qps 100 --max-requests 80 --records sent.jsonl";
    let judge = |mock: &MockHandle, report: &Report, of: &BTreeSet<u64>| {
        assert_conserved(report);
        let seen = settled(mock);
        assert!((15..=50).contains(&of.len()), "{}", of.len());
        let count = of.len() as u64;
        assert_eq!((report.total("sent"), report.total("failed")), (80, 0));
        assert_eq!(report.total("cancelled"), count);
        assert_eq!(report.total("completed"), 80 - count);
        assert_eq!(
            (seen.streams.aborted, seen.streams.completed),
            (count, 80 - count)
        );
    };
    let mut sets = BTreeSet::new();
    for engine in ["lean", "hyper"] {
        let mock = mock("2ms", "200ms");
        let line = crate::process::towards(&mock, &format!("{line} --http-engine {engine}"));
        let ended = crate::process::Program::start(&format!("run {line}")).wait();
        let ended = ended.expect(0);
        let set = cancelled(&ended.records("sent.jsonl"));
        judge(&mock, &ended.result(), &set);
        sets.insert(set);
    }
    let mock = mock("2ms", "200ms");
    let line = crate::process::towards(&mock, line);
    let (master, workers) = crate::process::Cluster::start(&line, 3).succeed();
    let records: Vec<_> = workers
        .iter()
        .flat_map(|worker| worker.records(&records_file(worker.folder())))
        .collect();
    let set = cancelled(&records);
    judge(&mock, &master.result(), &set);
    sets.insert(set);
    assert_eq!(sets.len(), 1, "{sets:?}");
}

#[test]
fn stages_bursts_and_ramps_of_the_command_line_end_by_themselves_and_count_to_the_last() {
    let _shared = shared();
    for (line, count) in [
        ("-u 20 --stages 20qps:500ms,0qps:300ms,0-100qps:600ms", 40),
        ("-u 8 --burst 300ms -t 1", 32),
        (
            "-u 30 --qps 40 --ramping-time 500ms --ramping-warmup-time 1s --ramping-curve linear -t 1",
            52,
        ),
    ] {
        for party in [Party::Alone, Party::Workers(3)] {
            let mock = quick_mock();
            let report = party.carry_out(&mock, line).result();
            assert_conserved(&report);
            assert_eq!(report.total("scheduled"), count, "{line}, {party:?}");
            assert_eq!(settled(&mock).requests.numbered, report.total("sent"));
        }
    }
}
