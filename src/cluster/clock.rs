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
    steered: Option<(Offset, i64)>,
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

    /// The estimate for those who act by it: the first reading is the best one, and from then on it is slewed
    /// towards the best by at most 500 ppm of the time between readings, never stepped.
    pub fn reading(&mut self, now: Offset) -> Option<ClockEstimate> {
        let best = self.best(now)?;
        let offset_ns = match self.steered {
            None => best.offset_ns,
            Some((since, offset_ns)) => {
                let step =
                    i64::try_from(part(now.nanos_since(since), SLEW_PPM)).unwrap_or(i64::MAX);
                let wanted = best.offset_ns.saturating_sub(offset_ns);
                offset_ns + wanted.clamp(-step, step)
            }
        };
        self.steered = Some((now, offset_ns));
        Some(ClockEstimate {
            offset_ns,
            bound_ns: best.bound_ns + best.offset_ns.abs_diff(offset_ns),
        })
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
    fn a_reading_is_slewed_and_never_stepped() {
        let mut clock = Clock::default();
        exchange(&mut clock, 0, 30_000_000, 0, 0);
        let first = clock.reading(at(30_000_000)).unwrap().offset_ns;
        exchange(&mut clock, SECOND, 100_000, 100_000, 0);
        let now = at(SECOND + 30_000_000);
        let second = clock.reading(now).unwrap();
        assert_eq!(first - second.offset_ns, 500_000);
        assert!(second.offset_ns.abs_diff(5_000_000_000) <= second.bound_ns);
        let third = clock.reading(at(60 * SECOND)).unwrap();
        assert_eq!(third.offset_ns, 5_000_000_000);
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
                let read = clock.reading(at(now)).unwrap();
                prop_assert!(read.offset_ns.abs_diff(truth) <= read.bound_ns);
            }
        }
    }
}
