//! The arrival times of an open loop, in order, each a function of (seed, index).

use std::collections::VecDeque;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, Uniform};

use super::{Law, Pacing, Spec};
use crate::domain::{Offset, Rate, Seed};

/// Walks the arrivals of the whole cluster from index 0; `None` once the schedule is over.
///
/// Gap `i` is drawn from (seed, i) alone and the times are the sums of whole nanoseconds, so every
/// worker computes the same times. `Constant` needs no sum: arrival `i` is due at floor(i / rate).
///
/// A change of the rate keeps what is left of the gap that it falls into: a third of a gap before is a third of a gap
/// after, so that a change makes neither a burst nor a hole.
#[derive(Clone, Debug)]
pub struct Arrivals {
    law: Law,
    seed: Seed,
    next: u64,
    limit: u64,
    end: Offset,
    stretch: Stretch,
    /// When arrival `next` is due, once it was asked for.
    due: Option<Offset>,
    changes: VecDeque<(Offset, Option<Rate>)>,
}

/// The run between two changes of the rate.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    rate: Option<Rate>,
    /// `Constant`: arrival `first` is due at `at`. Otherwise the last arrival was due at `at`.
    at: Offset,
    first: u64,
    /// What was left of a gap when the rate became none, in mean gaps.
    rest: f64,
}

impl Arrivals {
    /// The arrivals of `spec`, or `None` for a closed loop.
    pub fn new(spec: &Spec, seed: Seed) -> Option<Self> {
        let Pacing::Open { rate, law } = spec.pacing.clone() else {
            return None;
        };
        let stretch = Stretch {
            rate: Some(rate),
            at: Offset::ZERO,
            first: 0,
            rest: 0.0,
        };
        Some(Self {
            law,
            seed,
            next: 0,
            limit: spec.max_requests.unwrap_or(u64::MAX),
            end: spec.end_of_sending().unwrap_or(Offset::MAX),
            stretch,
            due: None,
            changes: VecDeque::new(),
        })
    }

    /// From `from` on the rate is another one; `None`: no arrivals. Changes come in their order, each before an arrival
    /// from after it was taken.
    pub fn change(&mut self, from: Offset, rate: Option<Rate>) {
        self.changes.push_back((from, rate));
    }

    /// The next arrival, which is not taken yet: a change may still move it.
    pub fn peek(&mut self) -> Option<(u64, Offset)> {
        if self.next >= self.limit {
            return None;
        }
        loop {
            let due = self.candidate();
            match self.changes.front() {
                Some(&(from, rate)) if from <= due => {
                    self.changes.pop_front();
                    self.turn(due, from, rate);
                }
                _ if due >= self.end => return None,
                _ => return Some((self.next, due)),
            }
        }
    }

    /// When the next arrival is due as things stand.
    fn candidate(&mut self) -> Offset {
        if let Some(due) = self.due {
            return due;
        }
        let Some(rate) = self.stretch.rate else {
            return Offset::MAX;
        };
        let after = match self.law {
            Law::Constant => rate.nth(self.next - self.stretch.first),
            Law::Uniform | Law::Exponential | Law::Gamma => {
                Offset::from_nanos(self.gap(rate, self.next))
            }
        };
        let due = self.stretch.at + after.since(Offset::ZERO);
        self.due = Some(due);
        due
    }

    /// Puts the next arrival, due at `due` by the old rate, to where the new one has it.
    fn turn(&mut self, due: Offset, from: Offset, rate: Option<Rate>) {
        let gaps = |span: Offset, rate: Rate| span.as_secs_f64() * rate.as_f64();
        let rest = match self.stretch.rate {
            Some(old) if Some(old) == rate => return,
            Some(old) => gaps(Offset::from_nanos(due.nanos_since(from)), old),
            None => self.stretch.rest,
        };
        let moved = rate.map(|rate| from + Duration::from_secs_f64(rest / rate.as_f64()));
        self.stretch = Stretch {
            rate,
            at: moved.unwrap_or(from),
            first: self.next,
            rest,
        };
        self.due = moved;
    }

    /// How long arrival `i` comes after the one before it, in nanoseconds (`Constant` aside).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a gap is positive and far below 2^63 ns"
    )]
    fn gap(&self, rate: Rate, i: u64) -> u64 {
        let mut rng: ChaCha8Rng = self.seed.stream("arrival-gap", i);
        let mean = 1e9 / rate.as_f64();
        let unit: f64 = match self.law {
            Law::Constant => 1.0,
            Law::Uniform => Uniform::new(0.0, 2.0).map_or(1.0, |law| law.sample(&mut rng)),
            Law::Exponential | Law::Gamma => Exp1.sample(&mut rng),
        };
        (unit * mean).round() as u64
    }
}

impl Iterator for Arrivals {
    type Item = (u64, Offset);

    fn next(&mut self) -> Option<(u64, Offset)> {
        let arrival = self.peek()?;
        if self.law != Law::Constant {
            self.stretch.at = arrival.1;
        }
        self.due = None;
        self.next += 1;
        Some(arrival)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_precision_loss, reason = "counts of a test")]

    use proptest::prelude::*;

    use super::super::AT_ONCE;
    use super::*;

    fn arrivals(law: Law, rate: u32, seed: u64) -> Arrivals {
        let spec = Spec {
            users: 1,
            spawn_rate: AT_ONCE,
            pacing: Pacing::Open {
                rate: Rate::per_second(rate),
                law,
            },
            run_time: Some(Duration::from_secs(100)),
            warmup: Duration::ZERO,
            measure_ramp: false,
            max_requests: None,
            ramp: None,
            spread: Duration::ZERO,
            think: None,
            burstiness: 1.0,
        };
        Arrivals::new(&spec, Seed(seed)).unwrap()
    }

    fn millis(at: u64) -> Offset {
        Offset::from_nanos(at * 1_000_000)
    }

    #[test]
    fn a_change_keeps_what_is_left_of_a_gap() {
        let mut all = arrivals(Law::Constant, 1, 0);
        all.change(millis(2_250), Some(Rate::per_second(10)));
        all.change(millis(3_000), None);
        all.change(millis(9_000), Some(Rate::per_second(2)));
        let due: Vec<u64> = all
            .take(15)
            .map(|(_, at)| at.as_nanos() / 1_000_000)
            .collect();
        // Three quarters of a gap are left at 2.25 s; at 3 s three quarters again.
        let expected = [
            0, 1_000, 2_000, 2_325, 2_425, 2_525, 2_625, 2_725, 2_825, 2_925, 9_125, 9_625, 10_125,
            10_625, 11_125,
        ];
        assert_eq!(due, expected);
    }

    proptest! {
        #[test]
        fn a_change_to_the_same_rate_changes_nothing(seed: u64, at in 0_u64..50_000) {
            for law in [Law::Constant, Law::Uniform, Law::Exponential] {
                let plain: Vec<_> = arrivals(law, 7, seed).collect();
                let mut changed = arrivals(law, 7, seed);
                changed.change(millis(at), Some(Rate::per_second(7)));
                prop_assert_eq!(plain, changed.collect::<Vec<_>>());
            }
        }

        #[test]
        fn before_a_change_nothing_moves_and_after_it_the_new_rate_holds(
            seed: u64, at in 20_000_u64..50_000, rate in 1_u32..100,
        ) {
            for law in [Law::Constant, Law::Uniform, Law::Exponential] {
                let plain: Vec<_> = arrivals(law, 20, seed).take_while(|&(_, due)| due < millis(at)).collect();
                let mut changed = arrivals(law, 20, seed);
                // It may be heard of at any time before it.
                let ahead = plain.len() / 2;
                let mut all: Vec<_> = changed.by_ref().take(ahead).collect();
                changed.peek();
                changed.change(millis(at), Some(Rate::per_second(rate)));
                all.extend(changed);
                prop_assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].1 && pair[0].0 + 1 == pair[1].0));
                let before = all.iter().take_while(|&&(_, due)| due < millis(at)).count();
                prop_assert_eq!(&plain[..], &all[..before]);
                let expected = f64::from(rate) * (100.0 - at as f64 / 1e3);
                let after = (all.len() - before) as f64;
                prop_assert!((after - expected).abs() <= 5.0 * expected.sqrt() + 2.0, "{after} against {expected}");
            }
        }
    }
}
