//! Estimates another process's monotonic clock from request and reply times, as NTP does.
//! It reads no clock and sends nothing: times come in, an estimate with a bound comes out.

use std::collections::VecDeque;

use super::ClockEstimate;
use crate::domain::Offset;

/// How many samples are kept.
const SAMPLES: usize = 16;

/// How far two quartz clocks may run apart, in parts per million; a sample's bound grows by this with its age.
const DRIFT_PPM: u64 = 250;

/// How fast a reading may move towards a better estimate, in parts per million of the time that passed (NTP's limit).
const SLEW_PPM: u64 = 500;

/// An estimator of (the other clock − one's own).
///
/// Of the last 16 samples the one with the least delay counts: offset = ((t1 − t0) + (t2 − t3)) / 2, off by at most
/// half its delay (RFC 5905, section 8), and by what the clocks may have drifted apart since.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Offset,
    offset_ns: i64,
    delay_ns: u64,
}

impl Sample {
    fn bound_ns(self, now: Offset) -> u64 {
        self.delay_ns.div_ceil(2) + part(now.nanos_since(self.at), DRIFT_PPM)
    }
}

/// `ppm` millionths of `nanos`, rounded up.
fn part(nanos: u64, ppm: u64) -> u64 {
    let share = (u128::from(nanos) * u128::from(ppm)).div_ceil(1_000_000);
    u64::try_from(share).unwrap_or(u64::MAX)
}

impl Clock {
    /// Takes a sample: asked at `t0` (own clock), received at `t1` and answered at `t2` (the other's), answer here at `t3` (own).
    ///
    /// Times that run backwards are no sample and change nothing.
    pub fn sample(&mut self, t0: Offset, t1: Offset, t2: Offset, t3: Offset) {
        let (there, round) = (t2.nanos_since(t1), t3.nanos_since(t0));
        if t2 < t1 || t3 < t0 || there > round {
            return;
        }
        let sum = difference(t1, t0) + difference(t2, t3);
        let Ok(offset_ns) = i64::try_from(sum / 2) else {
            return;
        };
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            at: t3,
            offset_ns,
            delay_ns: round - there,
        });
    }

    /// Whether there is any sample.
    pub fn is_known(&self) -> bool {
        !self.samples.is_empty()
    }

    /// The best estimate at `now`; it jumps when a better sample comes.
    pub fn best(&self, now: Offset) -> Option<ClockEstimate> {
        let sample = self
            .samples
            .iter()
            .min_by_key(|sample| sample.bound_ns(now))?;
        Some(ClockEstimate {
            offset_ns: sample.offset_ns,
            bound_ns: sample.bound_ns(now),
        })
    }
}

/// Keeps a run's time on one clock in step with the master's: an origin that was found once, and how far the run's time
/// has been moved since. It is slewed by at most 500 ppm of the time that passed, never stepped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steering {
    /// Offset zero of the run, on the master's clock.
    at: Offset,
    /// The same on the own clock, as it was known at the start.
    origin: Offset,
    behind_ns: i64,
    since: Offset,
}

impl Steering {
    /// Of a run whose offset zero is when the master's clock shows `at`, by what is known of that clock at `now`.
    pub(super) fn new(now: Offset, at: Offset, clock: ClockEstimate) -> Self {
        Self {
            at,
            origin: clock.to_own(at),
            behind_ns: 0,
            since: now,
        }
    }

    /// Offset zero of the run on the own clock, to which `behind_ns` is added.
    pub(super) const fn origin(&self) -> Offset {
        self.origin
    }

    /// When the run's time, as it is kept here, is what the master's is when its clock shows `there`.
    pub(super) fn own(&self, there: Offset) -> Offset {
        let after = difference(there, self.at) + i128::from(self.behind_ns);
        let own = i128::from(self.origin.as_nanos()) + after;
        Offset::from_nanos(u64::try_from(own.max(0)).unwrap_or(u64::MAX))
    }

    /// By how many nanoseconds the run's time is behind what the origin says.
    pub(super) const fn behind_ns(&self) -> i64 {
        self.behind_ns
    }

    /// Another master may have another idea of the start: from here on that is what is aimed at.
    pub(super) const fn aim(&mut self, at: Offset) {
        self.at = at;
    }

    /// Moves towards what is known of the master's clock at `now`. Tells whether it moved.
    pub(super) fn toward(&mut self, now: Offset, clock: ClockEstimate) -> bool {
        let wanted = difference(clock.to_own(self.at), self.origin) - i128::from(self.behind_ns);
        let most = i128::from(part(now.nanos_since(self.since), SLEW_PPM));
        self.since = now;
        let step = i64::try_from(wanted.clamp(-most, most)).unwrap_or(0);
        self.behind_ns = self.behind_ns.saturating_add(step);
        step != 0
    }
}

impl ClockEstimate {
    /// The own clock's time when the other clock shows `theirs`.
    pub fn to_own(self, theirs: Offset) -> Offset {
        let own = i128::from(theirs.as_nanos()) - i128::from(self.offset_ns);
        Offset::from_nanos(u64::try_from(own.max(0)).unwrap_or(u64::MAX))
    }
}

fn difference(a: Offset, b: Offset) -> i128 {
    i128::from(a.as_nanos()) - i128::from(b.as_nanos())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const AHEAD: u64 = 5 * SECOND;

    fn at(nanos: u64) -> Offset {
        Offset::from_nanos(nanos)
    }

    /// A clock that is 5 s ahead and gains `ppm`.
    fn theirs(own: u64, ppm: u64) -> u64 {
        own + AHEAD + own * ppm / 1_000_000
    }

    fn exchange(clock: &mut Clock, t0: u64, out: u64, back: u64, ppm: u64) {
        let there = at(theirs(t0 + out, ppm));
        clock.sample(at(t0), there, there, at(t0 + out + back));
    }

    #[test]
    fn an_offset_of_five_seconds_is_found_and_the_quickest_exchange_counts() {
        let mut clock = Clock::default();
        assert_eq!(clock.best(at(0)), None);
        exchange(&mut clock, 0, 40_000_000, 2_000_000, 0);
        exchange(&mut clock, SECOND, 1_000_000, 1_000_000, 0);
        let best = clock.best(at(SECOND + 2_000_000)).unwrap();
        assert_eq!((best.offset_ns, best.bound_ns), (5_000_000_000, 1_000_000));
        assert_eq!(best.to_own(at(7 * SECOND)), at(2 * SECOND));
    }

    #[test]
    fn an_asymmetric_delay_is_off_by_no_more_than_the_bound() {
        let mut clock = Clock::default();
        exchange(&mut clock, 0, 30_000_000, 0, 0);
        let best = clock.best(at(30_000_000)).unwrap();
        assert_eq!((best.offset_ns, best.bound_ns), (5_015_000_000, 15_000_000));
    }

    #[test]
    fn times_that_run_backwards_are_no_sample() {
        let mut clock = Clock::default();
        clock.sample(at(10), at(5), at(4), at(20));
        clock.sample(at(10), at(5), at(5), at(9));
        clock.sample(at(10), at(5), at(50), at(20));
        assert!(!clock.is_known());
    }

    #[test]
    fn the_runs_time_is_slewed_and_never_stepped() {
        let estimate = |offset_ns| ClockEstimate {
            offset_ns,
            bound_ns: 0,
        };
        let mut steering = Steering::new(at(0), at(20 * SECOND), estimate(AHEAD.cast_signed()));
        assert_eq!(steering.origin(), at(15 * SECOND));
        // The master's clock turns out to be 3 ms further ahead: the run's start was 3 ms earlier on the own one.
        let better = estimate(AHEAD.cast_signed() + 3_000_000);
        assert!(steering.toward(at(SECOND), better));
        assert_eq!(steering.behind_ns(), -500_000);
        assert!(steering.toward(at(3 * SECOND), better));
        assert_eq!(steering.behind_ns(), -1_500_000);
        assert!(steering.toward(at(60 * SECOND), better));
        assert_eq!(steering.behind_ns(), -3_000_000);
        assert!(!steering.toward(at(61 * SECOND), better));
    }

    proptest! {
        #[test]
        fn a_drift_of_200_ppm_stays_within_the_bound(
            delays in proptest::collection::vec((10_000_u64..20_000_000, 10_000_u64..20_000_000), 20..80),
        ) {
            let mut clock = Clock::default();
            for (second, (out, back)) in delays.into_iter().enumerate() {
                let t0 = second as u64 * SECOND;
                exchange(&mut clock, t0, out, back, 200);
                let now = t0 + out + back;
                let truth = (theirs(now, 200) - now).cast_signed();
                let best = clock.best(at(now)).unwrap();
                prop_assert!(best.offset_ns.abs_diff(truth) <= best.bound_ns, "{best:?} against {truth}");
                prop_assert!(best.bound_ns <= 24_000_000);
            }
        }
    }
}
