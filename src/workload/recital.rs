//! The task to go on with lines of the sonnets: prompts whose lengths are drawn one by one, each of exactly its length as the
//! tokenizer counts its text. Lines are measured before the run; then lengths are sums.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal as Law};

use super::error::WorkloadError;
use super::measure::Measure;
use super::{Corpus, Normal};
use crate::domain::Seed;

/// What stands before a line when it is measured.
const BEFORE: &str = "From fairest creatures we desire increase,\n";
/// What stands after it: the first word of a line.
const AFTER: &str = "When";
/// Draws of a length before it is given up.
const MOST_DRAWS: u32 = 1_000;
/// Requests whose lengths are tried before the run.
const PROBES: u64 = 64;
/// Requests whose prompts are counted whole before the run.
const PROOFS: u64 = 24;
/// Lines of which beginnings are measured: enough for one of every length.
const CUT_LINES: usize = 256;
/// Output lengths whose beginnings of a prompt are measured before the run.
const MOST_HEADS: u32 = 4_096;
/// Attempts to correct a prompt whose parts do not add up.
const CORRECTIONS: u32 = 8;
/// From this mean length on nearly every draw covers the fixed part.
const LEAST_MEAN: f64 = 40.0;

/// Makes the prompts.
#[derive(Debug)]
pub(super) struct Recital {
    seed: Seed,
    law: Law<f64>,
    measure: Measure,
    lines: Vec<Line>,
    /// For each number of tokens, beginnings of lines of that length at a text's end.
    cuts: Vec<Vec<Cut>>,
    /// Tokens of what stands before the lines, by the output length that it names, from 1.
    heads: Vec<u32>,
    /// Parts add up under this tokenizer.
    adds_up: bool,
}

#[derive(Debug)]
struct Line {
    /// With its line feed.
    text: &'static str,
    tokens: u32,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    line: usize,
    end: usize,
}

/// A prompt, and how long it was to be and is, in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recited {
    pub(super) text: String,
    pub(super) requested: u32,
    pub(super) counted: Option<u32>,
}

impl Recital {
    /// Measures everything. `outputs` are the output lengths of the first requests.
    pub(super) fn new(
        tokens: Normal,
        seed: Seed,
        outputs: impl Fn(u64) -> u32,
        measure: &Measure,
        notes: &mut Vec<String>,
    ) -> Result<Self, WorkloadError> {
        let lines = lines(measure);
        if lines.is_empty() {
            return Err(WorkloadError::NoWords);
        }
        let law = Law::new(tokens.mean, tokens.stddev).ok();
        let law = law.filter(|_| tokens.mean.is_finite() && tokens.stddev >= 0.0);
        let unusable = |smallest| WorkloadError::NoRecital {
            mean: tokens.mean,
            stddev: tokens.stddev,
            smallest,
        };
        let mut recital = Self {
            seed,
            law: law.ok_or_else(|| unusable(1))?,
            cuts: cuts(&lines, measure),
            lines,
            heads: Vec::new(),
            measure: measure.clone(),
            adds_up: true,
        };
        let longest = (0..PROBES).map(&outputs).max().unwrap_or(1);
        recital.heads = (1..=longest.min(MOST_HEADS))
            .map(|n| recital.measured_head(n))
            .collect();
        for key in 0..PROBES {
            let head = recital.head(outputs(key));
            if recital.draw(head, key).is_none() {
                return Err(unusable(head + 1));
            }
        }
        recital.prove(&outputs, notes);
        if tokens.mean < LEAST_MEAN {
            notes.push(format!(
                "a mean of {} prompt tokens is under what the task alone takes; 41 is the least that makes sense: shorter draws \
                 are drawn again, so that prompts are longer than asked for",
                tokens.mean
            ));
        }
        Ok(recital)
    }

    /// Counts some prompts whole.
    fn prove(&mut self, outputs: &impl Fn(u64) -> u32, notes: &mut Vec<String>) {
        if !self.measure.is_exact() {
            notes.push(
                "no tokenizer: prompts have about their lengths, by rule of thumb".to_owned(),
            );
            return;
        }
        let is_exact = |key| {
            let recited = self.compose(outputs(key), key, 0);
            self.measure.text(&recited.text) == recited.requested
        };
        self.adds_up = (0..PROOFS).all(is_exact);
        if !self.adds_up {
            notes.push(
                "the tokenizer's counts do not add up over lines: each prompt is counted when it is made, which takes time \
                 between requests, and may miss its length; hint: --tokenizer-id with another one"
                    .to_owned(),
            );
        }
    }

    /// What counts prompts that are not counted when they are made: their lengths are sums.
    pub(super) fn uncounted(&self) -> Option<&Measure> {
        (self.adds_up && self.measure.is_exact()).then_some(&self.measure)
    }

    /// The prompt of the request of this key, which asks for `output` tokens.
    pub(super) fn at(&self, output: u32, key: u64) -> Recited {
        let mut recited = self.compose(output, key, 0);
        if !self.measure.is_exact() {
            recited.counted = None;
            return recited;
        }
        if self.adds_up {
            return recited;
        }
        let (mut correction, mut nearest) = (0, i64::MAX);
        for _ in 0..CORRECTIONS {
            let mut other = self.compose(output, key, correction);
            let counted = self.measure.text(&other.text);
            let off = i64::from(other.requested) - i64::from(counted);
            if off.abs() < nearest {
                nearest = off.abs();
                other.counted = Some(counted);
                recited = other;
            }
            if off == 0 {
                break;
            }
            correction += off;
        }
        recited
    }

    /// The same with `correction` tokens more than the sums say.
    fn compose(&self, output: u32, key: u64, correction: i64) -> Recited {
        let head = self.head(output);
        let requested = self.draw(head, key).unwrap_or(head + 1);
        let room = i64::from(requested) - i64::from(head) + correction;
        let mut text = task(output);
        let mut rng = self.seed.stream("recital", key);
        self.fill(u32::try_from(room).unwrap_or(0), &mut rng, &mut text);
        Recited {
            text,
            requested,
            counted: Some(requested),
        }
    }

    /// Appends lines and the beginning of one, together of `room` tokens.
    fn fill(&self, mut room: u32, rng: &mut ChaCha8Rng, text: &mut String) {
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        let mut dealt = 0;
        while room > 0 {
            if dealt == order.len() {
                // A prompt longer than all sonnets says them again.
                dealt = 0;
            }
            let pick = rng.random_range(dealt..order.len());
            order.swap(dealt, pick);
            let line = &self.lines[order[dealt]];
            dealt += 1;
            match room.checked_sub(line.tokens) {
                Some(left) if left > 0 => {
                    text.push_str(line.text);
                    room = left;
                }
                _ => return self.end(room, rng, text),
            }
        }
    }

    /// The rest, of at most one line's tokens.
    fn end(&self, room: u32, rng: &mut ChaCha8Rng, text: &mut String) {
        let of = |room: u32| self.cuts.get(room as usize).filter(|cuts| !cuts.is_empty());
        let mut push = |cuts: &Vec<Cut>, text: &mut String| {
            let cut = cuts[rng.random_range(0..cuts.len())];
            text.push_str(&self.lines[cut.line].text[..cut.end]);
        };
        if let Some(cuts) = of(room) {
            return push(cuts, text);
        }
        // A length that no beginning has: a whole line first, or as near as can be.
        let split = self.lines.iter().find_map(|line| {
            let left = room.checked_sub(line.tokens)?;
            of(left).map(|cuts| (line, cuts))
        });
        if let Some((line, cuts)) = split {
            text.push_str(line.text);
            push(cuts, text);
        } else if let Some(cuts) = (1..room).rev().find_map(of) {
            push(cuts, text);
        }
    }

    /// A length of at least one token more than the task itself; `None` where none comes.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates, and what is out of range is drawn again"
    )]
    fn draw(&self, head: u32, key: u64) -> Option<u32> {
        let mut rng = self.seed.stream("recital-length", key);
        (0..MOST_DRAWS)
            .map(|_| self.law.sample(&mut rng).round() as i64)
            .find(|length| *length > i64::from(head))
            .and_then(|length| u32::try_from(length).ok())
    }

    /// Tokens of the task itself.
    fn head(&self, output: u32) -> u32 {
        let known = (output as usize)
            .checked_sub(1)
            .and_then(|at| self.heads.get(at));
        known.copied().unwrap_or_else(|| self.measured_head(output))
    }

    fn measured_head(&self, output: u32) -> u32 {
        let measure = &self.measure;
        let after = measure
            .text(&[BEFORE, AFTER].concat())
            .saturating_sub(measure.text(BEFORE));
        measure
            .text(&[&task(output), AFTER].concat())
            .saturating_sub(after)
    }
}

/// What stands before the lines.
fn task(output: u32) -> String {
    format!(
        "Randomly stream lines from the following text with {output} output tokens. Don't generate eos tokens:\n\n"
    )
}

/// All lines of the sonnets that have a length.
fn lines(measure: &Measure) -> Vec<Line> {
    let around = measure.text(&[BEFORE, AFTER].concat());
    let lines = Corpus::Sonnets.lines().map(|text| {
        let all = measure.text(&[BEFORE, text, AFTER].concat());
        Line {
            text,
            tokens: all.saturating_sub(around),
        }
    });
    // One without a length would be appended for ever.
    lines.filter(|line| line.tokens > 0).collect()
}

/// Beginnings of lines, cut at the ends of words.
fn cuts(lines: &[Line], measure: &Measure) -> Vec<Vec<Cut>> {
    let longest = lines.iter().map(|line| line.tokens).max().unwrap_or(0);
    let before = measure.text(BEFORE);
    let mut cuts = vec![Vec::new(); longest as usize + 1];
    for (line, of) in lines.iter().take(CUT_LINES).enumerate() {
        for (end, _) in of.text.match_indices(char::is_whitespace) {
            let all = measure.text(&[BEFORE, &of.text[..end]].concat());
            let tokens = all.saturating_sub(before) as usize;
            if let Some(found) = cuts.get_mut(tokens).filter(|_| tokens > 0) {
                found.push(Cut { line, end });
            }
        }
    }
    cuts
}

#[cfg(test)]
#[path = "recital_tests.rs"]
mod tests;
