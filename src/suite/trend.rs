//! Whether a server kept up: how latencies grew while a run went on.
//! It counts no request; a growing queue shows in the latencies long before it shows in a count.
//!
//! Where more arrives than is answered, a queue grows and each answer is later than the one before it. Of an answer that
//! ends at `t` the request was sent at `t − W(t)`. While `dt` of answers end, `dt (1 − dW/dt)` of requests were sent, so that
//! answered / sent = 1 − dW/dt: the slope of the latency against the time of the answer is the share of the load that
//! the server falls behind by. It is 0 for a server that keeps up, whatever its latency is.
//!
//! Few answers of very different latencies have a slope by chance. So two standard errors are taken off it, as the scatter of
//! the seconds about the line gives them: what is left has a server behind it that falls behind.

use crate::domain::Offset;
use crate::metrics::{Metric, Tally};

/// Latencies over the time of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    seconds: Vec<Second>,
}

/// What ended in one interval, of about a second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Second {
    middle_s: f64,
    end_s: f64,
    mean_latency_s: f64,
    answers: f64,
}

impl Trend {
    /// Takes in what ended between the last `to` and this one.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a second are far below 2^53"
    )]
    pub fn note(&mut self, to: Offset, delta: &Tally) {
        let series = [&delta.warmup, &delta.measured]
            .into_iter()
            .filter_map(|phase| phase.get(Metric::TotalLatency));
        let (sum, count) = series.fold((0_u128, 0_u64), |(sum, count), series| {
            (sum + series.sum(), count + series.count())
        });
        let end_s = to.as_secs_f64();
        let begin_s = self.seconds.last().map_or(0.0, |last| last.end_s);
        self.seconds.push(Second {
            middle_s: f64::midpoint(begin_s, end_s),
            end_s,
            mean_latency_s: if count == 0 {
                0.0
            } else {
                sum as f64 / count as f64 / 1e9
            },
            answers: count as f64,
        });
    }

    /// The share of what was sent between `from` and `to` that was answered as fast as it was sent, two standard errors
    /// in the server's favour; `None` where fewer than three seconds tell. The first quarter is left out: there the pipeline fills, and short answers end first.
    pub fn kept_up(&self, from: Offset, to: Offset) -> Option<f64> {
        /// The last second's report ends a little after the sending does.
        const SLACK_S: f64 = 0.25;
        let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
        let begin = from + (to - from) / 4.0;
        let seconds: Vec<&Second> = self
            .seconds
            .iter()
            .filter(|second| second.answers > 0.0)
            .filter(|second| second.end_s >= begin && second.end_s <= to + SLACK_S)
            .collect();
        (seconds.len() >= 3)
            .then(|| slope(&seconds))
            .flatten()
            .map(|slope| 1.0 - slope.clamp(0.0, 1.0))
    }
}

/// Weighted least squares, each second by its answers; two standard errors below the line that fits best.
#[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
fn slope(seconds: &[&Second]) -> Option<f64> {
    let sum = |of: &dyn Fn(&Second) -> f64| -> f64 {
        seconds
            .iter()
            .map(|second| of(second) * second.answers)
            .sum()
    };
    let weight = sum(&|_| 1.0);
    let (x, y) = (
        sum(&|second| second.middle_s) / weight,
        sum(&|second| second.mean_latency_s) / weight,
    );
    let across = sum(&|second| (second.middle_s - x).powi(2));
    let along = sum(&|second| (second.middle_s - x) * (second.mean_latency_s - y));
    if across <= 0.0 {
        return None;
    }
    let slope = along / across;
    let off = sum(&|second| {
        let fitted = y + slope * (second.middle_s - x);
        (second.mean_latency_s - fitted).powi(2)
    });
    let freedom = (seconds.len() - 2) as f64;
    Some(slope - 2.0 * (off / freedom / across).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Series;

    /// A queue before a server of `capacity` per s that takes `service_s`, asked at `rate` for `run_s`.
    fn queue(rate: f64, capacity: f64, service_s: f64, run_s: u32) -> Trend {
        let mut free_at = 0.0_f64;
        let mut ends: Vec<(f64, f64)> = Vec::new();
        let mut sent = 0.0;
        while sent < f64::from(run_s) {
            let begun = free_at.max(sent);
            free_at = begun + 1.0 / capacity;
            let end = begun + service_s;
            ends.push((end, end - sent));
            sent += 1.0 / rate;
        }
        trend_of(&ends, run_s)
    }

    /// What ends when, and after how long, as a run's seconds tell it.
    fn trend_of(ends: &[(f64, f64)], run_s: u32) -> Trend {
        let mut trend = Trend::default();
        for second in 1..=run_s {
            let to = f64::from(second);
            let mut tally = Tally::default();
            let mut series = Series::default();
            for (_, latency) in ends.iter().filter(|(end, _)| *end > to - 1.0 && *end <= to) {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a test's latency"
                )]
                series.record((latency * 1e9) as u64);
            }
            tally.measured.series.insert(Metric::TotalLatency, series);
            trend.note(
                Offset::from_nanos(u64::from(second) * 1_000_000_000),
                &tally,
            );
        }
        trend
    }

    fn kept_up(rate: f64, capacity: f64, run_s: u32) -> f64 {
        let trend = queue(rate, capacity, 0.2, run_s);
        let end = Offset::from_nanos(u64::from(run_s) * 1_000_000_000);
        trend.kept_up(Offset::ZERO, end).unwrap()
    }

    #[test]
    fn a_server_that_keeps_up_is_behind_by_nothing() {
        for rate in [1.0, 10.0, 19.0] {
            let share = kept_up(rate, 20.0, 5);
            assert!((share - 1.0).abs() < 1e-6, "{rate}: {share}");
        }
    }

    #[test]
    fn one_that_does_not_is_behind_by_what_it_cannot_answer() {
        for (rate, run_s) in [(21.0, 4), (25.0, 5), (40.0, 20)] {
            let share = kept_up(rate, 20.0, run_s);
            assert!((share - 20.0 / rate).abs() < 0.02, "{rate}: {share}");
        }
    }

    #[test]
    fn two_seconds_tell_nothing() {
        let trend = queue(40.0, 20.0, 0.2, 2);
        let end = Offset::from_nanos(2_000_000_000);
        assert_eq!(trend.kept_up(Offset::ZERO, end), None);
    }

    /// Draws from (0, 1].
    struct Draws(u64);

    impl Draws {
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        fn exponential(&mut self, mean: f64) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let unit = ((mixed ^ (mixed >> 31)) >> 11) as f64 + 1.0;
            -mean * (unit / (1_u64 << 53) as f64).ln()
        }
    }

    /// How many of 200 runs of a minute seem saturated: at `rate`, with services of 5 s on average by so many at once.
    fn seem_saturated(rate: f64, at_once: usize) -> usize {
        let end = Offset::from_nanos(60_000_000_000);
        let seems = |seed: &u64| {
            let mut draws = Draws(seed.wrapping_mul(0x1234_5678_9abc_def1));
            let (mut free, mut ends, mut sent) = (vec![0.0_f64; at_once], Vec::new(), 0.0);
            while sent < 60.0 {
                let first = free.iter_mut().min_by(|a, b| a.total_cmp(b)).unwrap();
                *first = first.max(sent) + draws.exponential(5.0);
                ends.push((*first, *first - sent));
                sent += draws.exponential(1.0 / rate);
            }
            let kept_up = trend_of(&ends, 60).kept_up(Offset::ZERO, end);
            kept_up.is_some_and(|share| share < crate::suite::ENOUGH)
        };
        (0..200_u64).filter(seems).count()
    }

    #[test]
    fn latencies_that_vary_are_no_saturation_and_a_queue_is() {
        // Nobody ever waits.
        let falsely = seem_saturated(1.0, 100);
        assert!(falsely < 10, "{falsely} of 200");
        // 1.5 times what 20 can do at once.
        let truly = seem_saturated(6.0, 20);
        assert!(truly > 190, "{truly} of 200");
    }
}
