//! Random prompts: words of the vocabulary without any order, of an exact length.
//! Its length is a sum of lengths measured before; nothing is tokenized here once it is built.

use std::collections::BTreeSet;

use rand::RngExt;

use super::compose::Prefix;
use super::draw::{Compose, Draw};
use super::error::WorkloadError;
use super::generated::{Made, adds_up, told};
use super::measure::Measure;
use super::pool;
use super::words::Words;
use crate::domain::Seed;

/// Words that a text may begin with.
const OPENERS: usize = 256;
/// Tokens that stand before a common prefix which is not to be found in any cache.
const AHEAD: u32 = 8;
/// Attempts to piece together a common prefix of the exact length.
const ATTEMPTS: u64 = 200;
/// Bytes to reserve for each token.
const BYTES_PER_TOKEN: usize = 8;
/// Fewer tokens than this of its own, and a prompt is easily drawn again.
const FEW: u32 = 3;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// How long, all in all.
    pub(super) tokens: u32,
    /// How much of it is common to all prompts of a group.
    pub(super) shared_prefix_tokens: u32,
    /// How many groups there are.
    pub(super) prefix_groups: u32,
    /// Whether words that are drawn for each prompt stand before its prefix, too.
    pub(super) randomize: bool,
}

/// Makes prompts of one length of words in random order.
#[derive(Debug)]
pub(super) struct Scatter {
    words: Words,
    /// Words that have the same length at the start of a text.
    openers: Vec<String>,
    prefixes: Vec<Prefix>,
    /// Tokens to put before a prefix.
    ahead: Option<u32>,
    tokens: u32,
}

/// Makes random prompts, and tells the user in `notes` what is not as asked.
pub(super) fn make(
    wanted: Wanted,
    seed: Seed,
    measure: &Measure,
    notes: &mut Vec<String>,
) -> Result<Made, WorkloadError> {
    let tokens = wanted.tokens;
    let words = Words::of_vocabulary(seed, measure).ok_or(WorkloadError::NoWords)?;
    let mut scatter = Scatter::new(words, tokens, &|text| measure.whole(text));
    if wanted.shared_prefix_tokens > 0 {
        scatter.share(wanted, seed, measure)?;
    }
    let smallest = scatter.smallest();
    if tokens < smallest {
        return Err(WorkloadError::TooShort { tokens, smallest });
    }
    if tokens - smallest < FEW {
        notes.push(format!(
            "a prompt of {tokens} tokens leaves {} to chance: many are equal, so a server's prefix cache may help them",
            tokens - smallest
        ));
    }
    if !measure.is_exact() || adds_up(&scatter, tokens, seed, &|text| measure.whole(text)) {
        return Ok(Made::Composed(Box::new(scatter)));
    }
    let mut found = pool::search(&scatter, tokens, seed, measure);
    pool::shuffle(&mut found, seed);
    notes.push(format!(
        "the tokenizer's counts do not add up over words: {} prompts were searched for, and repeat",
        found.len()
    ));
    Ok(Made::Pool(told(found, tokens, notes)))
}

impl Scatter {
    /// Of `words`, without a common prefix; `whole` tells the tokens of a whole text.
    pub(super) fn new(words: Words, tokens: u32, whole: &dyn Fn(&str) -> u32) -> Self {
        let measured: Vec<(u32, &str)> = words
            .texts()
            .take(OPENERS)
            .map(|word| (whole(word), word))
            .collect();
        let fixed = measured.iter().map(|(tokens, _)| *tokens).min();
        let fixed = fixed.unwrap_or(0);
        let openers = measured
            .iter()
            .filter(|(tokens, _)| *tokens == fixed)
            .map(|(_, word)| (*word).to_owned())
            .collect();
        let none = Prefix {
            text: String::new(),
            fixed: fixed.into(),
        };
        Self {
            openers,
            words,
            prefixes: vec![none],
            ahead: None,
            tokens,
        }
    }

    /// Tokens of a prompt that leaves nothing to fill.
    pub(super) fn smallest(&self) -> u32 {
        let most = self.prefixes.iter().map(|prefix| prefix.fixed).max();
        u32::try_from(most.unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Gives each group its prefix.
    fn share(
        &mut self,
        wanted: Wanted,
        seed: Seed,
        measure: &Measure,
    ) -> Result<(), WorkloadError> {
        let tokens = wanted.shared_prefix_tokens;
        if tokens > wanted.tokens {
            let smallest = tokens.saturating_add(measure.whole(""));
            let tokens = wanted.tokens;
            return Err(WorkloadError::TooShort { tokens, smallest });
        }
        let ahead = self.words.nearest(AHEAD);
        let mut seen = BTreeSet::new();
        let mut prefixes = Vec::new();
        for group in 0..wanted.prefix_groups.max(1) {
            let text = self.prefix(tokens, group, seed, measure, &mut seen);
            let text = text
                .ok_or_else(|| WorkloadError::no_prefixes(tokens, wanted.prefix_groups, group))?;
            let fixed = if wanted.randomize {
                let whole = measure.whole(&[&self.openers[0], " ", &text].concat());
                i64::from(whole) + i64::from(ahead)
            } else {
                measure.whole(&text).into()
            };
            prefixes.push(Prefix { text, fixed });
        }
        self.ahead = wanted.randomize.then_some(ahead);
        self.prefixes = prefixes;
        Ok(())
    }

    fn prefix(
        &self,
        tokens: u32,
        group: u32,
        seed: Seed,
        measure: &Measure,
        seen: &mut BTreeSet<String>,
    ) -> Option<String> {
        let mut room = i64::from(tokens) - i64::from(measure.text(&self.openers[0]));
        for attempt in 0..ATTEMPTS {
            let mut rng = seed.stream("random-prefix", u64::from(group) * ATTEMPTS + attempt);
            let mut text = self.openers[rng.random_range(0..self.openers.len())].clone();
            self.words
                .fill(u32::try_from(room).unwrap_or(0), &mut rng, &mut text);
            let off = i64::from(tokens) - i64::from(measure.text(&text));
            if off == 0 && seen.insert(text.clone()) {
                return Some(text);
            }
            room = (room + off).clamp(0, i64::from(tokens));
        }
        None
    }
}

impl Compose for Scatter {
    fn compose_off(&self, correction: i64, draw: Draw) -> String {
        let mut rng = draw.rng();
        let opener = |rng: &mut _| &self.openers[RngExt::random_range(rng, 0..self.openers.len())];
        let prefix = &self.prefixes[draw.group(self.prefixes.len())];
        let mut text = String::with_capacity(self.tokens as usize * BYTES_PER_TOKEN);
        if prefix.text.is_empty() {
            text.push_str(opener(&mut rng));
        } else if let Some(ahead) = self.ahead {
            let mut first = draw.ahead();
            text.push_str(opener(&mut first));
            self.words.fill(ahead, &mut first, &mut text);
            text.push(' ');
        }
        text.push_str(&prefix.text);
        let room = i64::from(self.tokens) - prefix.fixed + correction;
        self.words
            .fill(u32::try_from(room).unwrap_or(0), &mut rng, &mut text);
        text
    }
}
