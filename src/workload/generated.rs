//! Decides how generated prompts are made: composed by addition where that is proven exact, else from a pool
//! of prompts searched for before the run. It does not deal them out.

use super::Corpus;
use super::compose::{Composer, Frame, Narrow};
use super::draw::{Compose, Draw};
use super::error::WorkloadError;
use super::ladder::Ladder;
use super::measure::Measure;
use super::pool::{self, Pool};
use super::prefix::Prefixes;
use crate::domain::Seed;

/// Prompts that are tokenized to prove that lengths add up: at most, at least, and tokens to spend on it.
const PROOFS: (u32, u32, u32) = (64, 8, 200_000);
/// What to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Of which text.
    pub(super) corpus: Corpus,
    /// How long, all in all.
    pub(super) tokens: u32,
    /// How much of it is common to all prompts of a group.
    pub(super) shared_prefix_tokens: u32,
    /// How many groups there are.
    pub(super) prefix_groups: u32,
    /// Whether a line that is drawn for each prompt stands before its prefix, too.
    pub(super) randomize: bool,
    /// Another instruction than the corpus's own.
    pub(super) instruction: Option<&'a str>,
}

/// How prompts come about.
#[derive(Debug)]
pub(super) enum Made {
    /// Each for itself, of exactly the wanted length if there is a tokenizer.
    Composed(Box<dyn Compose>),
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
    let ladder = Ladder::new(corpus, measure);
    let prefixes = prefixes(wanted, ladder.as_ref(), seed, measure)?;
    let frame = Frame {
        tokens,
        prefixes: &prefixes,
        instruction: wanted.instruction.unwrap_or(corpus.instruction()),
        ahead: wanted.randomize && wanted.shared_prefix_tokens > 0,
    };
    let smallest = measure.whole(&[&prefixes[0], frame.instruction].concat());
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
        .and_then(|ladder| Composer::new(corpus, ladder, frame, pieces));
    let Ok(composer) = composer else {
        let pool = narrow_pools(corpus, frame, seed, measure);
        notes.push(format!(
            "a prompt of {tokens} tokens leaves {} beside what all prompts share: only {} differ, \
             so a server's prefix cache may help it",
            tokens - smallest,
            pool.len()
        ));
        return Ok(Made::Pool(told(pool, tokens, notes)));
    };
    if !measure.is_exact() || (exact && adds_up(&composer, tokens, seed, &|t| measure.whole(t))) {
        return Ok(Made::Composed(Box::new(composer)));
    }
    let mut pool = pool::search(&composer, tokens, seed, measure);
    if prefixes.len() > 1 {
        pool::shuffle(&mut pool, seed);
    }
    notes.push(format!(
        "the tokenizer's counts do not add up over paragraphs: {} prompts were searched for, and repeat",
        pool.len()
    ));
    Ok(Made::Pool(told(pool, tokens, notes)))
}

fn prefixes(
    wanted: Wanted<'_>,
    ladder: Option<&Ladder>,
    seed: Seed,
    measure: &Measure,
) -> Result<Vec<String>, WorkloadError> {
    let tokens = wanted.shared_prefix_tokens;
    if tokens == 0 {
        return Ok(vec![String::new()]);
    }
    if tokens > wanted.tokens {
        let smallest = tokens.saturating_add(measure.whole(""));
        let tokens = wanted.tokens;
        return Err(WorkloadError::TooShort { tokens, smallest });
    }
    let groups = wanted.prefix_groups;
    let made = ladder.map(|ladder| {
        let prefixes = Prefixes {
            corpus: wanted.corpus,
            ladder,
            tokens,
            seed,
            measure,
        };
        prefixes.make(groups)
    });
    made.unwrap_or(Err(0))
        .map_err(|found| WorkloadError::no_prefixes(tokens, groups, found))
}

/// Adds a note where the prompts of `pool` are not of the wanted length.
pub(super) fn told(
    pool: Vec<(String, u32)>,
    tokens: u32,
    notes: &mut Vec<String>,
) -> Vec<(String, u32)> {
    if let Some((_, got)) = pool.iter().find(|(_, got)| *got != tokens) {
        notes.push(format!(
            "could not make prompts of exactly {tokens} tokens: they have {got}"
        ));
    }
    pool
}

/// Counts some prompts whole. Paragraphs may merge into their neighbours under some tokenizers, and then
/// the parts are more than the whole.
pub(super) fn adds_up(
    composer: &dyn Compose,
    tokens: u32,
    seed: Seed,
    count: &dyn Fn(&str) -> u32,
) -> bool {
    let (most, least, spend) = PROOFS;
    let proofs = (spend / tokens.max(1)).clamp(least, most);
    (0..u64::from(proofs)).all(|key| count(&composer.compose(Draw::prompt(seed, key))) == tokens)
}

/// Pools of the groups in equal parts.
fn narrow_pools(
    corpus: Corpus,
    frame: Frame<'_>,
    seed: Seed,
    measure: &Measure,
) -> Vec<(String, u32)> {
    let groups = frame.prefixes.len();
    let share = (pool::SIZE / groups).max(1);
    let mut all: Vec<_> = frame
        .prefixes
        .iter()
        .take(pool::SIZE)
        .flat_map(|prefix| narrow_pool(corpus, prefix, frame, share, measure))
        .collect();
    if groups > 1 {
        pool::shuffle(&mut all, seed);
    }
    all
}

/// Where there is no room for an opening line: a few words of some item before the instruction, or at the very start.
fn narrow_pool(
    corpus: Corpus,
    prefix: &str,
    frame: Frame<'_>,
    most: usize,
    measure: &Measure,
) -> Vec<(String, u32)> {
    let Frame {
        tokens,
        instruction,
        ahead,
        ..
    } = frame;
    let mut pool = Pool::new(tokens, most);
    let bare = [prefix, instruction].concat();
    let got = measure.whole(&bare);
    pool.offer(bare, got);
    for item in corpus.items() {
        for (end, _) in item.match_indices(char::is_whitespace) {
            let mut least = u32::MAX;
            for joint in [" ", "\n\n"] {
                let words = item[..end].trim_end();
                let text = if ahead {
                    [words, joint, prefix, instruction].concat()
                } else {
                    [prefix, words, joint, instruction].concat()
                };
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
