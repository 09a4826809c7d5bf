//! Decides how generated prompts are made: composed by addition where that is proven exact, else from a pool
//! of prompts searched for before the run. It does not deal them out.

use std::collections::BTreeSet;

use super::Corpus;
use super::compose::{Composer, Narrow, shared_prefix};
use super::error::WorkloadError;
use super::ladder::Ladder;
use super::measure::Measure;
use crate::domain::Seed;

/// Prompts that are tokenized to prove that lengths add up: at most, at least, and tokens to spend on it.
const PROOFS: (u32, u32, u32) = (64, 8, 200_000);
/// Most prompts in a pool.
const POOL_SIZE: usize = 256;
/// Tokens to spend on finding them: a few seconds of one core.
const POOL_TOKENS: u64 = 2_000_000;
/// Corrections of one prompt that misses its length.
const CORRECTIONS: u32 = 6;
/// Draws of prompts for a pool.
const POOL_DRAWS: u64 = 4 * POOL_SIZE as u64;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Of which text.
    pub(super) corpus: Corpus,
    /// How long, all in all.
    pub(super) tokens: u32,
    /// How much of it is common to all prompts.
    pub(super) shared_prefix_tokens: u32,
    /// Another instruction than the corpus's own.
    pub(super) instruction: Option<&'a str>,
}

/// How prompts come about.
#[derive(Debug)]
pub(super) enum Made {
    /// Each for itself, of exactly the wanted length if there is a tokenizer.
    Composed(Box<Composer>),
    /// Found before the run, with their lengths.
    Pool(Vec<(String, u32)>),
}

/// Decides, and tells the user in `notes` what is not as asked.
pub(super) fn make(
    wanted: Wanted<'_>,
    seed: Seed,
    measure: &Measure,
    notes: &mut Vec<String>,
) -> Result<Made, WorkloadError> {
    let Wanted { corpus, tokens, .. } = wanted;
    let instruction = wanted.instruction.unwrap_or(corpus.instruction());
    let ladder = Ladder::new(corpus, measure);
    let prefix = prefix(wanted, ladder.as_ref(), seed, measure)?;
    let smallest = measure.whole(&[&prefix, instruction].concat());
    if tokens < smallest {
        return Err(WorkloadError::TooShort { tokens, smallest });
    }
    let exact = ladder.is_some() && measure.is_exact();
    let rule = Measure::new(None, measure.is_chat());
    // Pieces that the tokenizer makes no sense of are measured by rule of thumb, for the search to correct.
    let (ladder, pieces) = match ladder {
        Some(ladder) => (Some(ladder), measure),
        None => (Ladder::new(corpus, &rule), &rule),
    };
    let composer = ladder
        .ok_or(Narrow)
        .and_then(|ladder| Composer::new(corpus, ladder, tokens, &prefix, instruction, pieces));
    let Ok(composer) = composer else {
        let pool = narrow_pool(corpus, &prefix, instruction, tokens, measure);
        notes.push(format!(
            "a prompt of {tokens} tokens leaves {} beside what all prompts share: only {} differ, \
             so a server's prefix cache may help it",
            tokens - smallest,
            pool.len()
        ));
        return Ok(Made::Pool(told(pool, tokens, notes)));
    };
    if !measure.is_exact() || (exact && adds_up(&composer, tokens, seed, measure)) {
        return Ok(Made::Composed(Box::new(composer)));
    }
    let pool = searched_pool(&composer, tokens, seed, measure);
    notes.push(format!(
        "the tokenizer's counts do not add up over paragraphs: {} prompts were searched for, and repeat",
        pool.len()
    ));
    Ok(Made::Pool(told(pool, tokens, notes)))
}

fn prefix(
    wanted: Wanted<'_>,
    ladder: Option<&Ladder>,
    seed: Seed,
    measure: &Measure,
) -> Result<String, WorkloadError> {
    let tokens = wanted.shared_prefix_tokens;
    if tokens == 0 {
        return Ok(String::new());
    }
    if tokens > wanted.tokens {
        let smallest = tokens.saturating_add(measure.whole(""));
        let tokens = wanted.tokens;
        return Err(WorkloadError::TooShort { tokens, smallest });
    }
    ladder
        .and_then(|ladder| shared_prefix(ladder, tokens, seed, measure))
        .ok_or(WorkloadError::SharedPrefix { tokens })
}

/// Adds a note where the prompts of `pool` are not of the wanted length.
fn told(pool: Vec<(String, u32)>, tokens: u32, notes: &mut Vec<String>) -> Vec<(String, u32)> {
    if let Some((_, got)) = pool.iter().find(|(_, got)| *got != tokens) {
        notes.push(format!(
            "could not make prompts of exactly {tokens} tokens: they have {got}"
        ));
    }
    pool
}

/// Tokenizes some prompts whole. Paragraphs may merge into their neighbours under some tokenizers, and then
/// the parts are more than the whole.
fn adds_up(composer: &Composer, tokens: u32, seed: Seed, measure: &Measure) -> bool {
    let (most, least, spend) = PROOFS;
    let proofs = (spend / tokens.max(1)).clamp(least, most);
    (0..u64::from(proofs)).all(|key| {
        let text = composer.compose(&mut seed.stream("prompt", key));
        measure.whole(&text) == tokens
    })
}

/// Distinct prompts of exactly `tokens` tokens by composing, counting and correcting; the closest one if
/// there is none.
fn searched_pool(
    composer: &Composer,
    tokens: u32,
    seed: Seed,
    measure: &Measure,
) -> Vec<(String, u32)> {
    let mut pool = Pool::new(tokens);
    let mut spent = 0_u64;
    for draw in 0..POOL_DRAWS {
        if pool.is_full() || spent >= POOL_TOKENS {
            break;
        }
        let mut correction = 0;
        for _ in 0..CORRECTIONS {
            let text = composer.compose_off(correction, &mut seed.stream("pool", draw));
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

/// Where there is no room for an opening line: a few words of some item before the instruction.
fn narrow_pool(
    corpus: Corpus,
    prefix: &str,
    instruction: &str,
    tokens: u32,
    measure: &Measure,
) -> Vec<(String, u32)> {
    let mut pool = Pool::new(tokens);
    let bare = [prefix, instruction].concat();
    let got = measure.whole(&bare);
    pool.offer(bare, got);
    for item in corpus.items() {
        for (end, _) in item.match_indices(char::is_whitespace) {
            let mut least = u32::MAX;
            for joint in [" ", "\n\n"] {
                let text = [prefix, item[..end].trim_end(), joint, instruction].concat();
                let got = measure.whole(&text);
                least = least.min(got);
                pool.offer(text, got);
            }
            if least > tokens || pool.is_full() {
                break;
            }
        }
    }
    pool.close()
}

/// Distinct texts of one length.
struct Pool {
    tokens: u32,
    seen: BTreeSet<String>,
    closest: Option<(u32, String, u32)>,
}

impl Pool {
    const fn new(tokens: u32) -> Self {
        Self {
            tokens,
            seen: BTreeSet::new(),
            closest: None,
        }
    }

    fn is_full(&self) -> bool {
        self.seen.len() >= POOL_SIZE
    }

    /// Takes `text` if it has the length; says whether it has.
    fn offer(&mut self, text: String, got: u32) -> bool {
        let off = got.abs_diff(self.tokens);
        if off == 0 {
            self.seen.insert(text);
        } else if self.closest.as_ref().is_none_or(|best| off < best.0) {
            self.closest = Some((off, text, got));
        }
        off == 0
    }

    fn close(self) -> Vec<(String, u32)> {
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
