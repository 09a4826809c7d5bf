//! The arrival times of an open loop, in order, each a function of (seed, index).

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, Uniform};

use super::{Law, Pacing, Spec};
use crate::domain::{Offset, Rate, Seed};

/// Walks the arrivals of the whole cluster from index 0; `None` once the schedule is over.
///
/// Gap `i` is drawn from (seed, i) alone and the times are the sums of whole nanoseconds, so every
/// worker computes the same times. `Constant` needs no sum: arrival `i` is due at floor(i / rate).
#[derive(Clone, Debug)]
pub struct Arrivals {
    rate: Rate,
    law: Law,
    seed: Seed,
    next: u64,
    at: u64,
    limit: u64,
    end: Offset,
}

impl Arrivals {
    /// The arrivals of `spec`, or `None` for a closed loop.
    pub fn new(spec: &Spec, seed: Seed) -> Option<Self> {
        let Pacing::Open { rate, law } = spec.pacing else {
            return None;
        };
        Some(Self {
            rate,
            law,
            seed,
            next: 0,
            at: 0,
            limit: spec.max_requests.unwrap_or(u64::MAX),
            end: spec.end_of_sending().unwrap_or(Offset::MAX),
        })
    }

    /// How long arrival `i` comes after the one before it, in nanoseconds (`Constant` aside).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a gap is positive and far below 2^63 ns"
    )]
    fn gap(&self, i: u64) -> u64 {
        let mut rng: ChaCha8Rng = self.seed.stream("arrival-gap", i);
        let mean = 1e9 / self.rate.as_f64();
        let unit: f64 = match self.law {
            Law::Constant => 1.0,
            Law::Uniform => Uniform::new(0.0, 2.0).map_or(1.0, |law| law.sample(&mut rng)),
            Law::Exponential => Exp1.sample(&mut rng),
        };
        (unit * mean).round() as u64
    }
}

impl Iterator for Arrivals {
    type Item = (u64, Offset);

    fn next(&mut self) -> Option<(u64, Offset)> {
        let i = self.next;
        if i >= self.limit {
            return None;
        }
        let due = match self.law {
            Law::Constant => self.rate.nth(i),
            Law::Uniform | Law::Exponential => {
                self.at = self.at.saturating_add(self.gap(i));
                Offset::from_nanos(self.at)
            }
        };
        if due >= self.end {
            self.limit = i;
            return None;
        }
        self.next += 1;
        Some((i, due))
    }
}
