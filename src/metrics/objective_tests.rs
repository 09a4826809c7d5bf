//! Tests of objectives: which request meets them, and which run.

use super::super::{Observation, Tally, Window};
use super::*;
use crate::domain::{Offset, Outcome};

fn ms(at: u64) -> Offset {
    Offset::from_nanos(at * 1_000_000)
}

/// Sent at 1 ms, content at 11, 21 and 41, end at 43; four tokens.
fn record() -> Record {
    let mut record = super::super::fold::tests::record();
    for (mark, tokens) in record.marks.iter_mut().zip([1, 1, 2]) {
        mark.tokens = tokens;
    }
    record
}

fn rules(slos: &[&str]) -> Rules {
    Rules {
        slos: slos.iter().map(|slo| slo.parse().unwrap()).collect(),
        ..Rules::default()
    }
}

fn folded(records: &[Record], rules: &Rules) -> Tally {
    let mut tally = Tally::default();
    for record in records {
        tally.record(record, &Window::default(), rules);
    }
    tally
}

fn summary(tally: Tally) -> Summary {
    let end = ms(10_000);
    let seen = Observation {
        window: Window {
            start: Offset::ZERO,
            end: Some(end),
        },
        until: end,
        ..Observation::default()
    };
    Summary::new(tally, seen)
}

/// Whether `change`d, the request meets `slo`.
fn meets(slo: &str, change: fn(&mut Record)) -> bool {
    let mut record = record();
    change(&mut record);
    let tally = folded(&[record], &rules(&[slo]));
    assert_eq!(tally.measured.met_all, tally.measured.met[0]);
    tally.measured.met_all == 1
}

#[test]
fn a_request_meets_an_objective_below_its_limit_and_not_at_it() {
    for (figure, nanos) in [
        ("ttft", 10_000_000),
        ("tpot", 10_000_000),
        ("itl", 10_000_000),
        ("latency", 40_000_000),
    ] {
        assert!(!meets(&format!("{figure}<{nanos}ns"), |_| ()), "{figure}");
        assert!(
            meets(&format!("{figure}<{}ns", nanos + 1), |_| ()),
            "{figure}"
        );
        assert!(
            meets(&format!("{figure}:p1<{}ns", nanos + 1), |_| ()),
            "{figure}"
        );
    }
    // Without the tokens of each event the gap itself counts.
    let untold = |record: &mut Record| record.marks.iter_mut().for_each(|mark| mark.tokens = 0);
    assert!(!meets("itl<20ms", untold) && meets("itl<20000001ns", untold));
}

#[test]
fn no_time_between_tokens_is_no_failure_and_what_nobody_could_measure_is() {
    assert!(meets("tpot<1ns", |record| record.usage.completion_tokens =
        Some(1)));
    assert!(meets("itl<1ns", |record| record.marks.truncate(1)));
    let whole = |record: &mut Record| {
        record.streamed = false;
        record.marks.clear();
    };
    assert!(!meets("ttft<1h", whole) && !meets("tpot<1h", whole) && !meets("itl<1h", whole));
    let uncounted = |record: &mut Record| record.usage.completion_tokens = None;
    assert!(!meets("tpot<1h", uncounted));
    assert!(!meets("latency<42ms", whole) && meets("latency<43ms", whole));
}

#[test]
fn what_failed_or_was_cancelled_meets_nothing() {
    assert!(!meets("latency<1h", |record| record.outcome = Outcome::Cut));
    assert!(!meets("latency<1h", |record| record.outcome = Outcome::Cancelled));
}

#[test]
fn a_good_request_meets_all_objectives_at_once() {
    let slow = Record {
        end: ms(900),
        streamed: false,
        marks: vec![],
        ..record()
    };
    let failed = Record {
        outcome: Outcome::Cut,
        ..record()
    };
    let cancelled = Record {
        outcome: Outcome::Cancelled,
        ..record()
    };
    let rules = rules(&["ttft<10ms", "latency<50ms", "ttft<11ms"]);
    let tally = folded(&[record(), slow, failed, cancelled], &rules);
    assert_eq!(
        (tally.measured.met_all, &tally.measured.met),
        (0, &vec![0, 1, 1])
    );
    let rules = self::rules(&["ttft<11ms", "latency<50ms"]);
    let failed = Record {
        outcome: Outcome::Cut,
        ..record()
    };
    let summary = summary(folded(&[record(), record(), record(), failed], &rules));
    assert_eq!(summary.goodput_per_s, Some(0.3));
    assert_eq!(summary.goodput_ratio(), Some(0.75));
}

#[test]
fn goodput_is_there_only_where_something_was_wanted() {
    let all = [record()];
    let none = summary(folded(&all, &Rules::default()));
    assert_eq!((none.goodput_per_s, none.goodput_ratio()), (None, None));
    assert_eq!(none.objectives(&[]), []);
    let failed = Record {
        outcome: Outcome::Cut,
        ..record()
    };
    let bad = summary(folded(&[failed], &rules(&["ttft<1s"])));
    assert_eq!(
        (bad.goodput_per_s, bad.goodput_ratio()),
        (Some(0.0), Some(0.0))
    );
}

#[test]
fn a_run_meets_a_percentile_by_its_distribution_and_a_limit_by_every_request() {
    let slos = [
        "ttft:p50<10000100ns",
        "ttft:p50<10ms",
        "latency<41ms",
        "itl:p99<11ms",
    ];
    let rules = rules(&slos);
    let run = summary(folded(&[record(), record()], &rules));
    let met: Vec<_> = run
        .objectives(&rules.slos)
        .iter()
        .map(Objective::is_met)
        .collect();
    assert_eq!(met, [Some(true), Some(false), Some(true), Some(true)]);
    assert_eq!(
        run.objectives(&rules.slos)[0].measured,
        Some(Measured::Percentile {
            metric: Metric::TimeToFirstToken,
            nanos: 10_000_000,
            is_supported: true
        })
    );
    let late = Record {
        end: ms(60),
        marks: vec![],
        streamed: false,
        ..record()
    };
    let run = summary(folded(&[record(), late], &rules));
    let latency = run.objectives(&rules.slos)[2];
    assert_eq!(latency.measured, Some(Measured::Requests { met: 1, of: 2 }));
    assert_eq!(latency.is_met(), Some(false));
}

#[test]
fn gaps_between_chunks_stand_in_where_tokens_are_not_told() {
    let mut record = record();
    for mark in &mut record.marks {
        mark.tokens = 0;
    }
    let rules = rules(&["itl:p99<1s", "ttft:p50<1s"]);
    let run = summary(folded(std::slice::from_ref(&record), &rules));
    assert!(matches!(
        run.objectives(&rules.slos)[0].measured,
        Some(Measured::Percentile {
            metric: Metric::InterChunkLatency,
            ..
        })
    ));
    (record.streamed, record.marks) = (false, Vec::new());
    let run = summary(folded(&[record], &rules));
    assert!(
        run.objectives(&rules.slos)
            .iter()
            .all(|of| of.is_met().is_none())
    );
}

#[test]
fn a_first_token_that_must_be_visible_is_the_one_that_counts() {
    let rules = Rules {
        first_visible: true,
        ..rules(&["ttft<11ms"])
    };
    let thought = Record {
        first_visible: Some(ms(21)),
        ..record()
    };
    let tally = folded(std::slice::from_ref(&thought), &rules);
    let sum = |tally: &Tally, metric| {
        tally
            .measured
            .get(metric)
            .map(|series| series.sum() / 1_000)
    };
    assert_eq!(sum(&tally, Metric::TimeToFirstToken), Some(20_000));
    assert_eq!(sum(&tally, Metric::TimeToFirstTokenFromDue), Some(21_000));
    assert_eq!(sum(&tally, Metric::LatencyPerToken), Some(5_500));
    assert_eq!(tally.measured.met_all, 0);
    let silent = Record {
        first_visible: None,
        ..thought
    };
    let tally = folded(&[silent], &rules);
    assert_eq!(sum(&tally, Metric::TimeToFirstToken), Some(10_000));
    assert_eq!(sum(&tally, Metric::LatencyPerToken), Some(8_000));
}
