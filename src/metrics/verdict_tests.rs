//! Tests of `judge`: each rule at its limits, and alone.

use super::super::{Generator, Machine, Observation, Tally, Window};
use super::*;
use crate::domain::{Offset, Outcome};

const MS: u64 = 1_000_000;

/// A run of 200 good requests with a median time to first token of `ttft_ms`, and whatever `change` makes of it.
fn run(ttft_ms: u64, change: impl FnOnce(&mut Tally)) -> Summary {
    let mut tally = Tally::default();
    tally.counts.scheduled = 200;
    tally.counts.sent = 200;
    tally.measured.outcomes.insert(Outcome::Ok, 200);
    put(&mut tally, Metric::TimeToFirstToken, ttft_ms * MS, 200);
    put(&mut tally, Metric::TotalLatency, 10 * ttft_ms * MS, 200);
    put(&mut tally, Metric::SendDelay, MS / 50, 200);
    change(&mut tally);
    let end = Offset::from_nanos(10_000 * MS);
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

fn put(tally: &mut Tally, metric: Metric, value: u64, times: u64) {
    let mut series = Series::default();
    series.record_n(value, times);
    tally.measured.series.insert(metric, series);
}

fn levels(summary: &Summary) -> Vec<(&'static str, Level)> {
    let verdict = judge(summary).unwrap();
    let gravest = verdict.reasons.iter().map(|reason| reason.level).max();
    assert_eq!(verdict.level, gravest.unwrap_or(Level::Ok));
    let reasons = verdict.reasons.into_iter();
    reasons.map(|reason| (reason.name, reason.level)).collect()
}

fn busy(percent: u64, waiting: u64, wall_ms: u64) -> Summary {
    run(100, |tally| {
        let load = CoreLoad {
            wall_ns: wall_ms * MS,
            cpu_ns: wall_ms * MS / 100 * (percent - waiting),
            kept_waiting_ns: wall_ms * MS / 100 * waiting,
        };
        tally.generator.cores.insert(7, load);
        let idle = CoreLoad { cpu_ns: 0, ..load };
        tally.generator.cores.insert(2, idle);
    })
}

#[test]
fn a_run_at_ease_is_ok() {
    assert_eq!(levels(&run(100, |_| {})), []);
    assert_eq!(levels(&busy(74, 0, 10_000)), []);
}

#[test]
fn a_run_that_measured_nothing_is_not_judged() {
    let nothing = run(100, |tally| {
        tally.measured = super::super::Phase::default();
    });
    assert_eq!(judge(&nothing), None);
    let ramp = run(100, |tally| {
        tally.warmup = std::mem::take(&mut tally.measured);
    });
    assert!(ramp.ramp_included);
    assert_eq!(judge(&ramp), None);
}

#[test]
fn load_that_was_not_sent_invalidates_a_run_even_before_its_window() {
    let unsent = |late_cancelled| {
        run(100, |tally| {
            tally.counts.late_cancelled = late_cancelled;
            tally.counts.scheduled = 200 + late_cancelled;
        })
    };
    assert_eq!(levels(&unsent(2)), []);
    assert_eq!(levels(&unsent(3)), [("not_sent", Level::Invalid)]);
    let mut before = unsent(3);
    before.ramp_included = true;
    assert_eq!(levels(&before), [("not_sent", Level::Invalid)]);
}

#[test]
fn the_busiest_core_is_held_to_three_quarters_and_to_nineteen_twentieths() {
    let strained = [("saturated", Level::Strained)];
    assert_eq!(levels(&busy(75, 0, 10_000)), strained);
    assert_eq!(levels(&busy(94, 94, 10_000)), strained);
    let invalid = [("saturated", Level::Invalid)];
    assert_eq!(levels(&busy(95, 0, 10_000)), invalid);
    assert_eq!(levels(&busy(95, 40, 10_000)), invalid);
    assert_eq!(levels(&busy(100, 0, 890)), [], "too short to tell");
}

#[test]
fn what_the_busiest_core_lacks_is_named() {
    let reason = |summary: Summary| judge(&summary).unwrap().reasons.remove(0);
    let worn = reason(busy(97, 12, 10_000));
    assert_eq!(
        worn.words,
        "core 7 was busy for 97.0% of 10.0 s: running 85.0%, waiting for a processor 12.0%"
    );
    assert_eq!(worn.remedy, MORE_CORES);
    assert_eq!(reason(busy(97, 50, 10_000)).remedy, OTHERS_COMPETE);
}

#[test]
fn the_limit_of_delays_is_a_millisecond_or_a_hundredth_of_the_latency() {
    let delayed = |ttft_ms, delay, times| {
        run(ttft_ms, |tally| {
            put(tally, Metric::SendDelay, delay, times);
        })
    };
    let strained = [("send_delay", Level::Strained)];
    let invalid = [("send_delay", Level::Invalid)];
    assert_eq!(levels(&delayed(20, MS / 2, 200)), []);
    assert_eq!(levels(&delayed(20, MS * 6 / 10, 200)), strained);
    assert_eq!(levels(&delayed(20, MS * 11 / 10, 200)), invalid);
    assert_eq!(levels(&delayed(20, MS * 11 / 10, 99)), strained);
    assert_eq!(levels(&delayed(400, MS * 19 / 10, 200)), []);
    assert_eq!(levels(&delayed(400, MS * 21 / 10, 200)), strained);
    assert_eq!(levels(&delayed(400, MS * 41 / 10, 200)), invalid);
    let reason = |summary: Summary| judge(&summary).unwrap().reasons.remove(0).words;
    assert!(
        reason(delayed(20, MS * 6 / 10, 200))
            .ends_with(", more than half of 1.00 ms (the limit where latencies are short)")
    );
    assert!(reason(delayed(20, MS * 11 / 10, 99)).ends_with(
        ", more than 1.00 ms (the limit where latencies are short), as far as 99 values can tell"
    ));
    let whole = run(100, |tally| {
        tally.measured.series.remove(&Metric::TimeToFirstToken);
        put(tally, Metric::SendDelay, 11 * MS, 200);
    });
    assert_eq!(
        reason(whole),
        "99% of the requests were sent within 11.00 ms of the moment from which they could have been, \
         more than 10.00 ms (1% of the median total latency)"
    );
}

fn lagging(lag: u64, kernel_stamped: u64, shared: u64) -> Summary {
    run(20, |tally| {
        put(tally, Metric::ReceiveLag, lag, 1_000);
        tally.generator = Generator {
            reads: 1_000,
            kernel_stamped,
            events: 1_000,
            shared,
            ..Generator::default()
        };
    })
}

#[test]
fn a_late_read_spoils_a_stamp_that_a_clock_made() {
    for stamped in [0, 989] {
        let lag = |lag| levels(&lagging(lag, stamped, 0));
        assert_eq!(lag(MS / 2), []);
        assert_eq!(lag(MS * 6 / 10), [("receive_lag", Level::Strained)]);
        assert_eq!(lag(MS * 11 / 10), [("receive_lag", Level::Invalid)]);
    }
}

#[test]
fn a_late_read_spoils_the_kernels_stamps_only_where_events_came_to_share_one() {
    let lag = |lag, shared| levels(&lagging(lag, 990, shared));
    assert_eq!(lag(MS * 9 / 10, 1_000), [], "the server's own doing");
    assert_eq!(lag(MS * 11 / 10, 50), [("receive_lag", Level::Strained)]);
    assert_eq!(lag(MS * 11 / 10, 51), [("receive_lag", Level::Invalid)]);
}

#[test]
fn reads_are_held_to_a_tenth_of_the_time_between_chunks() {
    let lag = |gap, lag, kernel_stamped| {
        let summary = run(2_000, |tally| {
            put(tally, Metric::ReceiveLag, lag, 1_000);
            put(tally, Metric::InterChunkLatency, gap, 1_000);
            tally.generator = Generator {
                reads: 1_000,
                kernel_stamped,
                events: 1_000,
                shared: 60,
                ..Generator::default()
            };
        });
        judge(&summary).unwrap().reasons
    };
    // 1% of the time to first token is 20 ms.
    assert_eq!(lag(500 * MS, 19 * MS, 1_000), []);
    let reason = lag(30 * MS, 4 * MS, 1_000).remove(0);
    assert_eq!(reason.level, Level::Invalid);
    let words = "within 4.00 ms of what they read, more than 3.00 ms (10% of the median time between chunks)";
    assert!(reason.words.contains(words), "{}", reason.words);
    assert_eq!(lag(30 * MS, 2 * MS, 1_000), []);
    let floor = "more than 1.00 ms (the limit where chunks come fast)";
    assert_eq!(lag(MS / 10, MS * 9 / 10, 1_000), []);
    assert!(lag(MS / 10, 2 * MS, 1_000)[0].words.contains(floor));
    let reason = lag(30 * MS, 4 * MS, 0).remove(0);
    let words = "99% of the event loop's timers were served within 4.00 ms of their time, more than 3.00 ms";
    assert!(reason.words.starts_with(words), "{}", reason.words);
}

#[test]
fn a_stolen_twentieth_strains_and_the_gravest_reason_comes_first() {
    let stolen = |stolen| {
        move |tally: &mut Tally| {
            tally.generator.machine = Machine {
                ticks: 1_000,
                stolen,
                mhz: None,
            };
        }
    };
    assert_eq!(levels(&run(100, stolen(50))), []);
    assert_eq!(levels(&run(100, stolen(51))), [("stolen", Level::Strained)]);
    let want = [
        ("receive_lag", Level::Invalid),
        ("send_delay", Level::Strained),
        ("stolen", Level::Strained),
    ];
    let all = run(100, |tally| {
        stolen(51)(tally);
        put(tally, Metric::SendDelay, 8 * MS / 10, 200);
        put(tally, Metric::ReceiveLag, 3 * MS, 200);
    });
    assert_eq!(levels(&all), want);
}
