//! Distinct prompts of one length, searched for before the run: where lengths do not add up.
//! It does not deal them out.

use std::collections::BTreeSet;

use rand::RngExt;

use super::draw::{Compose, Draw};
use super::measure::Measure;
use crate::domain::Seed;

/// Most prompts in a pool.
pub(super) const SIZE: usize = 256;
/// Tokens to spend on finding them: a few seconds of one core.
const TOKENS: u64 = 2_000_000;
/// Corrections of one prompt that misses its length.
const CORRECTIONS: u32 = 6;
/// Draws of prompts for a pool.
const DRAWS: u64 = 4 * SIZE as u64;

/// Distinct prompts of exactly `tokens` tokens by composing, counting and correcting; the closest one if
/// there is none.
pub(super) fn search(
    composer: &dyn Compose,
    tokens: u32,
    seed: Seed,
    measure: &Measure,
) -> Vec<(String, u32)> {
    let mut pool = Pool::new(tokens, SIZE);
    let mut spent = 0_u64;
    for draw in 0..DRAWS {
        if pool.is_full() || spent >= TOKENS {
            break;
        }
        let mut correction = 0;
        for _ in 0..CORRECTIONS {
            let text = composer.compose_off(correction, Draw::pool(seed, draw));
            let got = measure.whole(&text);
            spent += u64::from(got);
            correction += i64::from(tokens) - i64::from(got);
            if pool.offer(text, got) {
                break;
            }
        }
    }
    pool.close()
}

/// Puts a pool into random order, so that the prompts of a group do not stand together.
pub(super) fn shuffle(pool: &mut [(String, u32)], seed: Seed) {
    let mut rng = seed.stream("pool-order", 0);
    for place in (1..pool.len()).rev() {
        pool.swap(place, rng.random_range(0..=place));
    }
}

/// Distinct texts of one length.
pub(super) struct Pool {
    tokens: u32,
    most: usize,
    seen: BTreeSet<String>,
    closest: Option<(u32, String, u32)>,
}

impl Pool {
    /// An empty one for at most `most` texts of `tokens` tokens.
    pub(super) const fn new(tokens: u32, most: usize) -> Self {
        Self {
            tokens,
            most,
            seen: BTreeSet::new(),
            closest: None,
        }
    }

    /// Whether nothing more need be searched for.
    pub(super) fn is_full(&self) -> bool {
        self.seen.len() >= self.most
    }

    /// Takes `text` if it has the length; says whether it has.
    pub(super) fn offer(&mut self, text: String, got: u32) -> bool {
        let off = got.abs_diff(self.tokens);
        if off == 0 {
            self.seen.insert(text);
        } else if self.closest.as_ref().is_none_or(|best| off < best.0) {
            self.closest = Some((off, text, got));
        }
        off == 0
    }

    /// The texts with their lengths; the closest one if none has the wanted one.
    pub(super) fn close(self) -> Vec<(String, u32)> {
        let found: Vec<_> = self
            .seen
            .into_iter()
            .map(|text| (text, self.tokens))
            .collect();
        match (found.is_empty(), self.closest) {
            (true, Some((_, text, got))) => vec![(text, got)],
            _ => found,
        }
    }
}
