//! How many tokens a server's cache holds: drawn from the share that it says is in use and the tokens that the queries held at that
//! moment. Which files there are, and which of their estimates is believed, is the report's.

use crate::gauges::Look;

use super::Query;
use super::stats::{count, quantity, ratio, whole};

/// Servers give a query whole blocks of so many tokens; which, is found by which fits best.
const BLOCKS: [u32; 6] = [1, 8, 16, 32, 64, 128];
/// A larger block must fit better by so much than the best so far: with noise alone each is as good as the others.
const BETTER: f64 = 0.95;
/// Fewer looks tell nothing.
const FEWEST: usize = 20;
/// Looks that are further off than so many times the usual are left out of the second fit: a gauge that was told late.
const FAR: f64 = 3.0;

/// Shares that are nearer to each other are one.
const LEAST_STEP: f64 = 1e-7;
/// Of fewer shares, 0 among them, no step is known.
const FEWEST_STEPS: usize = 4;
/// The smallest step that was seen may be of so many blocks.
const MOST_IN_A_STEP: u32 = 16;
/// A cache that was fitted is one of so many blocks when it is off by no more than this.
const SAME: f64 = 0.05;
/// A fit that is off by so much more than the nearest one may be the true one, with noise.
const AS_LIKELY: f64 = 1.5;

/// What the looks of one benchmark say of the cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    /// The tokens that it holds.
    pub(super) tokens: f64,
    /// Tokens of a block.
    pub(super) block: u32,
    /// The looks that this was drawn from.
    pub(super) looks: u64,
}

/// A look that can be compared: what the server said is in use, and what the queries held, for each size of block.
#[derive(Clone, Copy, Debug)]
struct Sample {
    share: f64,
    held: [f64; BLOCKS.len()],
}

impl Held {
    /// The size of the cache by which what is held becomes the share that is told, by least squares through 0, for the block by
    /// which it does so best; then once more without the looks that are far off.
    pub(super) fn of(queries: &[Query], looks: &[Look]) -> Option<Self> {
        let samples = samples(queries, looks);
        if samples.len() < FEWEST {
            return None;
        }
        let fits: [Fit; BLOCKS.len()] = std::array::from_fn(|block| Fit::of(&samples, block));
        let nearest = closest(&fits)?;
        if let Some(fit) = steps(&samples).and_then(|blocks| by_blocks(&fits, nearest, blocks)) {
            return Some(Self {
                tokens: fit.tokens,
                block: BLOCKS[fit.block],
                looks: u64::try_from(samples.len()).unwrap_or(u64::MAX),
            });
        }
        let Fit { block, tokens, off } = nearest;
        let near: Vec<Sample> = samples
            .into_iter()
            .filter(|sample| (sample.held[block] / tokens - sample.share).abs() <= FAR * off + 1e-9)
            .collect();
        let tokens = size(&near, block);
        (tokens > 0.0).then_some(Self {
            tokens,
            block: BLOCKS[block],
            looks: u64::try_from(near.len()).unwrap_or(u64::MAX),
        })
    }
}

/// A size of block, and the cache by which the shares are explained best.
#[derive(Clone, Copy, Debug)]
struct Fit {
    block: usize,
    tokens: f64,
    off: f64,
}

impl Fit {
    fn of(samples: &[Sample], block: usize) -> Self {
        let tokens = size(samples, block);
        Self {
            block,
            tokens,
            off: off(samples, block, tokens),
        }
    }
}

/// The fit that is nearest, of two that are about as near the one of the smaller block.
fn closest(fits: &[Fit]) -> Option<Fit> {
    let mut best: Option<Fit> = None;
    for fit in fits {
        if best.is_none_or(|best| fit.off < best.off * BETTER) {
            best = Some(*fit);
        }
    }
    best
}

/// How many blocks the cache has: a share is a number of blocks of so many, so that all shares are multiples of one step. `None`
/// where no such number is found: the server rounds what it tells, or counts otherwise.
fn steps(samples: &[Sample]) -> Option<f64> {
    let mut shares: Vec<f64> = samples.iter().map(|sample| sample.share).collect();
    shares.push(0.0);
    shares.sort_by(f64::total_cmp);
    shares.dedup_by(|a, b| *a - *b < LEAST_STEP);
    if shares.len() < FEWEST_STEPS {
        return None;
    }
    let gaps = shares.windows(2).map(|pair| pair[1] - pair[0]);
    let least = gaps.filter(|gap| *gap > LEAST_STEP).reduce(f64::min)?;
    let is_whole = |number: f64| (number - number.round()).abs() <= 1e-4 * number;
    (1..=MOST_IN_A_STEP)
        .map(|in_a_step| (f64::from(in_a_step) / least).round())
        .find(|blocks| shares.iter().all(|share| is_whole(share * blocks)))
}

/// Of the fits that noise may have put behind the nearest one, that whose cache is of so many blocks, with exactly these.
fn by_blocks(fits: &[Fit], nearest: Fit, blocks: f64) -> Option<Fit> {
    let wanted = |fit: &Fit| blocks * f64::from(BLOCKS[fit.block]);
    let apart = |fit: &Fit| (ratio(fit.tokens, wanted(fit)) - 1.0).abs();
    let likely = |fit: &&Fit| fit.off <= nearest.off * AS_LIKELY + 1e-9 && apart(fit) < SAME;
    let likely = fits.iter().filter(likely);
    let found = likely.min_by(|a, b| apart(a).total_cmp(&apart(b)))?;
    Some(Fit {
        tokens: wanted(found),
        ..*found
    })
}

fn size(samples: &[Sample], block: usize) -> f64 {
    let both = samples.iter().map(|one| one.share * one.held[block]);
    let squares = samples.iter().map(|one| one.share.powi(2));
    ratio(both.sum(), squares.sum())
}

/// How far the shares are off, as the root of the mean square.
fn off(samples: &[Sample], block: usize, tokens: f64) -> f64 {
    let squares = samples
        .iter()
        .map(|one| (ratio(one.held[block], tokens) - one.share).powi(2));
    ratio(squares.sum(), count(samples.len())).sqrt()
}

/// The looks at which what the queries hold is known: as many requests ran as were between their first token and their end. A
/// prompt that is being read has a part of its blocks, which nobody tells, and one that was put back has none; then the numbers
/// differ. Where the server does not tell how many run, no query may be before its first token.
fn samples(queries: &[Query], looks: &[Look]) -> Vec<Sample> {
    let mut queries: Vec<&Query> = queries.iter().collect();
    queries.sort_by(|a, b| a.starting_timestamp.total_cmp(&b.starting_timestamp));
    let mut next = queries.into_iter().peekable();
    let mut open: Vec<&Query> = Vec::new();
    let mut samples = Vec::new();
    let mut looks: Vec<&Look> = looks.iter().collect();
    looks.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    for look in looks {
        while let Some(query) = next.next_if(|query| query.starting_timestamp <= look.at_s) {
            open.push(query);
        }
        open.retain(|query| query.ending_timestamp > look.at_s);
        samples.extend(sample(&open, look));
    }
    samples
}

fn sample(open: &[&Query], look: &Look) -> Option<Sample> {
    let share = look.cache.filter(|share| *share > 0.0)?;
    let writes = |query: &&&Query| query.chunks > 0 && query.timestamp_of_first_token <= look.at_s;
    let writing: Vec<&Query> = open.iter().filter(writes).copied().collect();
    let is_known = look.running.map_or(writing.len() == open.len(), |running| {
        (running - count(writing.len())).abs() < 0.5
    });
    // Whose prompt nobody counted holds nobody knows how much: time-outs, above all, at the fullest looks.
    let is_counted = writing.iter().all(|query| query.prompt_length > 0);
    if !is_known || writing.is_empty() || !is_counted {
        return None;
    }
    let tokens: Vec<f64> = writing
        .iter()
        .map(|query| quantity(query.prompt_length) + query.tokens_at(look.at_s))
        .collect();
    let held = BLOCKS.map(|block| tokens.iter().map(|tokens| rounded_up(*tokens, block)).sum());
    Some(Sample { share, held })
}

/// To whole blocks.
fn rounded_up(tokens: f64, block: u32) -> f64 {
    if block == 1 {
        return tokens;
    }
    quantity(whole(tokens.ceil()).div_ceil(u64::from(block)) * u64::from(block))
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
