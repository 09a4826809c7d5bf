//! Tests of `Summary`: identities, ratios, rates, and runs that measured nothing.

use super::super::COUNT_SCALE;
use super::*;

fn second(s: u64) -> Offset {
    Offset::from_nanos(s * 1_000_000_000)
}

fn tally(warmup: &[(Outcome, u64)], measured: &[(Outcome, u64)]) -> Tally {
    let mut tally = Tally::default();
    tally.warmup.outcomes.extend(warmup.iter().copied());
    tally.measured.outcomes.extend(measured.iter().copied());
    tally.counts.sent = tally.warmup.finished() + tally.measured.finished();
    tally.counts.scheduled = tally.counts.sent;
    tally.first_sent = Some(second(1));
    tally.last_end = Some(second(21));
    tally
}

fn seen(start: u64, end: u64, until: u64) -> Observation {
    Observation {
        window: Window {
            start: second(start),
            end: Some(second(end)),
        },
        until: second(until),
        ..Observation::default()
    }
}

#[test]
fn each_identity_is_held_on_its_own() {
    let mut tally = tally(&[(Outcome::Ok, 2)], &[(Outcome::Cut, 1)]);
    tally.counts.scheduled += 4;
    tally.counts.dropped = 1;
    tally.counts.late_cancelled = 1;
    tally.counts.lost = 1;
    assert_eq!(tally.check(0, 1), Ok(()));
    assert_eq!(
        tally.check(0, 0),
        Err(Imbalance::Scheduled {
            scheduled: 7,
            accounted: 6
        })
    );
    assert_eq!(
        tally.check(1, 1),
        Err(Imbalance::Sent {
            sent: 3,
            accounted: 4
        })
    );
}

#[test]
fn cancelled_requests_are_in_no_ratio() {
    let tally = tally(
        &[(Outcome::Http5xx, 9)],
        &[
            (Outcome::Ok, 2),
            (Outcome::Truncated, 1),
            (Outcome::Cut, 1),
            (Outcome::Cancelled, 96),
        ],
    );
    let summary = Summary::new(tally, seen(2, 12, 21));
    assert_eq!((summary.requests(), summary.failures()), (4, 1));
    assert!((summary.fail_ratio() - 0.25).abs() < 1e-12);
    assert_eq!(summary.requests_per_s(), Some(0.4));
    assert_eq!(summary.sent_per_s(), Some(10.0));
    assert_eq!(summary.warmup_requests, 9);
    assert_eq!(summary.whole_run(Outcome::is_failure), 10);
}

#[test]
fn throughput_is_that_of_the_window_and_the_whole_runs_stands_beside_it() {
    let mut tally = tally(&[(Outcome::Ok, 1)], &[(Outcome::Ok, 1)]);
    tally.window_tokens = 50.0;
    tally.warmup.output_tokens = 60;
    tally.measured.output_tokens = 40;
    let summary = Summary::new(tally, seen(2, 12, 21));
    assert_eq!(summary.output_tokens_per_s(), Some(5.0));
    assert_eq!(summary.whole_run_tokens_per_s(), Some(5.0));
    assert!((summary.run_s - 20.0).abs() < 1e-12);
}

#[test]
fn a_run_that_measured_nothing_shows_its_ramp_and_says_so() {
    let mut tally = tally(&[(Outcome::Ok, 6)], &[]);
    tally.warmup.output_tokens = 40;
    let summary = Summary::new(tally, seen(60, 13, 21));
    assert!(summary.ramp_included);
    assert_eq!((summary.good(), summary.warmup_requests), (6, 0));
    assert_eq!(summary.requests_per_s(), Some(0.5));
    assert_eq!(summary.output_tokens_per_s(), Some(2.0));
}

#[test]
fn an_empty_run_has_no_rates() {
    let summary = Summary::new(Tally::default(), Observation::default());
    assert_eq!(summary.requests_per_s(), None);
    assert_eq!(summary.output_tokens_per_s(), None);
    assert!(!summary.ramp_included && summary.fail_ratio().abs() < 1e-12);
}

#[test]
fn a_window_that_is_still_open_ends_now() {
    let tally = tally(&[], &[(Outcome::Ok, 6)]);
    let mut seen = seen(2, 0, 5);
    seen.window.end = None;
    assert_eq!(Summary::new(tally, seen).requests_per_s(), Some(2.0));
}

#[test]
fn littles_law_rounds_up() {
    assert_eq!(users_needed(10.0, 2.51), 26);
    assert_eq!(users_needed(0.1, 0.1), 1);
    let mut tally = tally(&[], &[(Outcome::Ok, 1)]);
    let series = tally
        .measured
        .series
        .entry(Metric::TotalLatency)
        .or_default();
    series.record(3_000 * COUNT_SCALE);
    assert_eq!(
        Summary::new(tally, seen(0, 1, 1)).users_needed(2.5),
        Some(8)
    );
}
