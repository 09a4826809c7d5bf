//! Texts of exact lengths, of any length by one set of measured pieces: what the files of a bench suite hold.
//! Lengths are of the bare text, without what a server puts before it. It writes no file.

use std::sync::Arc;

use rand::RngExt;

use super::compose::{Composer, Frame};
use super::draw::{Compose, Draw};
use super::error::WorkloadError;
use super::ladder::Ladder;
use super::measure::Measure;
use super::{Corpus, Tokenizer};
use crate::domain::Seed;

/// The text that they are made of.
const CORPUS: Corpus = Corpus::Limericks;
/// What each ends with, for a model to go on from.
const END: &str = "Then";
/// Lengths at which it is proven that pieces add up, and texts of each.
const PROOFS: ([u32; 5], u64) = ([32, 128, 512, 2_048, 4_096], 8);
/// Other draws of a text that misses its length, and corrections of each.
const DRAWS: u64 = 4;
const CORRECTIONS: u32 = 6;
/// Draws of a text without an opening line.
const SHORT_DRAWS: u64 = 64;
/// Counts above the wanted one after which a text is not made shorter again by what follows.
const SLACK: u32 = 3;

/// Makes texts of exact lengths.
#[derive(Debug)]
pub struct ExactTexts {
    composer: Composer,
    /// The length that the composer was made for.
    base: u32,
    measure: Measure,
    seed: Seed,
    added: u32,
    adds_up: bool,
}

impl ExactTexts {
    /// Measures the pieces. Slow: it counts the tokens of the corpus.
    ///
    /// # Errors
    /// A tokenizer that gives no word a length.
    pub fn new(tokenizer: Arc<Tokenizer>, seed: Seed) -> Result<Self, WorkloadError> {
        let measure = Measure::new(Some(tokenizer), false);
        let rule = Measure::new(None, false);
        let (ladder, pieces) = match Ladder::new(CORPUS, &measure) {
            Some(ladder) => (Some(ladder), &measure),
            // Pieces that the tokenizer makes no sense of are measured by rule of thumb, for each text to be corrected.
            None => (Ladder::new(CORPUS, &rule), &rule),
        };
        let base = PROOFS.0.into_iter().max().unwrap_or(0);
        let frame = Frame {
            tokens: base,
            prefixes: &[String::new()],
            instruction: END,
            ahead: false,
        };
        let composer = ladder.and_then(|it| Composer::new(CORPUS, it, frame, pieces).ok());
        let mut texts = Self {
            composer: composer.ok_or(WorkloadError::NoWords)?,
            base,
            added: measure.whole(END).saturating_sub(measure.text(END)),
            measure,
            seed,
            adds_up: false,
        };
        texts.adds_up = texts.is_proven();
        Ok(texts)
    }

    /// Tokens that a server which adds the tokenizer's special tokens counts besides: mostly the one of the beginning.
    pub const fn added(&self) -> u32 {
        self.added
    }

    /// The text of this number and length, and the length that it has: another one alone where none of the wanted length was
    /// found.
    pub fn text(&self, tokens: u32, number: u32) -> (String, u32) {
        if self.adds_up && tokens >= self.roomy() {
            return (self.compose(tokens, draw_key(tokens, number, 0), 0), tokens);
        }
        let mut best = Nearest::new(tokens);
        for draw in 0..DRAWS {
            let (mut correction, key) = (0, draw_key(tokens, number, draw));
            for _ in 0..CORRECTIONS {
                let text = self.compose(tokens, key, correction);
                let got = self.measure.text(&text);
                correction += i64::from(tokens) - i64::from(got);
                if best.offer(text, got) {
                    return best.found;
                }
            }
        }
        for draw in 0..SHORT_DRAWS {
            if self.short(draw_key(tokens, number, DRAWS + draw), &mut best) {
                break;
            }
        }
        best.found
    }

    /// From this length on there is room for every opening line.
    fn roomy(&self) -> u32 {
        self.composer.least().saturating_sub(self.added)
    }

    fn is_proven(&self) -> bool {
        let (lengths, texts) = PROOFS;
        let is_exact = |tokens: u32, number: u64| {
            let text = self.compose(tokens, draw_key(tokens, u32::MAX, number), 0);
            self.measure.text(&text) == tokens
        };
        let mut lengths = lengths.into_iter().filter(|length| *length >= self.roomy());
        lengths.all(|length| (0..texts).all(|number| is_exact(length, number)))
    }

    fn compose(&self, tokens: u32, key: u64, correction: i64) -> String {
        let more = i64::from(tokens) + i64::from(self.added) - i64::from(self.base);
        let draw = Draw::exact(self.seed, key);
        self.composer.compose_off(more + correction, draw)
    }

    /// Offers some words of an item; says whether they have the length.
    fn short(&self, key: u64, best: &mut Nearest) -> bool {
        let mut rng = Draw::exact(self.seed, key).rng();
        let items: Vec<&str> = CORPUS.items().collect();
        let item = items[rng.random_range(0..items.len())];
        let starts: Vec<usize> = item
            .char_indices()
            .zip([' '].into_iter().chain(item.chars()))
            .filter(|((_, letter), before)| before.is_whitespace() && letter.is_alphabetic())
            .map(|((start, _), _)| start)
            .collect();
        let start = starts[rng.random_range(0..starts.len())];
        let text = &item[start..];
        for (end, letter) in text.char_indices() {
            if letter.is_whitespace() {
                continue;
            }
            let words = &text[..end + letter.len_utf8()];
            let got = self.measure.text(words);
            if best.offer(words.to_owned(), got) {
                return true;
            }
            if got > best.tokens + SLACK {
                break;
            }
        }
        false
    }
}

/// No two texts of a seed have the same draw: lengths below 2²⁴, and fewer than 2⁸ draws of each.
fn draw_key(tokens: u32, number: u32, draw: u64) -> u64 {
    (u64::from(tokens) << 40) ^ (u64::from(number) << 8) ^ draw
}

/// The text whose length is the nearest so far.
struct Nearest {
    tokens: u32,
    found: (String, u32),
}

impl Nearest {
    const fn new(tokens: u32) -> Self {
        Self {
            tokens,
            found: (String::new(), 0),
        }
    }

    /// Says whether it has the length.
    fn offer(&mut self, text: String, got: u32) -> bool {
        if got.abs_diff(self.tokens) < self.found.1.abs_diff(self.tokens) {
            self.found = (text, got);
        }
        got == self.tokens
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::workload::tests::{MERGING_FILE, UNIGRAM_FILE, tokenizer};

    static BUILT_IN: LazyLock<ExactTexts> = LazyLock::new(|| {
        let tokenizer = Arc::new(Tokenizer::built_in().unwrap());
        ExactTexts::new(tokenizer, Seed(5)).unwrap()
    });
    /// Letters, and merges over the ends of paragraphs: its counts do not add up.
    static LETTERS: LazyLock<ExactTexts> =
        LazyLock::new(|| ExactTexts::new(tokenizer(&MERGING_FILE, false), Seed(5)).unwrap());

    /// As sentence piece models have it, with a mark before the first word.
    static UNIGRAM: LazyLock<ExactTexts> =
        LazyLock::new(|| ExactTexts::new(tokenizer(&UNIGRAM_FILE, false), Seed(5)).unwrap());

    fn is_exact(texts: &ExactTexts, tokens: u32, number: u32) -> bool {
        let (text, got) = texts.text(tokens, number);
        (got, texts.measure.text(&text)) == (tokens, tokens)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_length_is_met_to_the_token(tokens in 6_u32..5_000, number in 0_u32..1_000) {
            prop_assert!(is_exact(&BUILT_IN, tokens, number), "{tokens}");
            prop_assert!(is_exact(&LETTERS, tokens, number), "{tokens} letters");
            prop_assert!(is_exact(&UNIGRAM, tokens, number), "{tokens} pieces");
        }
    }

    #[test]
    fn a_thousand_short_texts_are_exact_and_none_begins_like_another() {
        assert!(BUILT_IN.adds_up);
        let mut beginnings = BTreeSet::new();
        for number in 0..1_000 {
            let (text, got) = BUILT_IN.text(32, number);
            assert_eq!((got, BUILT_IN.measure.text(&text)), (32, 32), "{text}");
            beginnings.insert(text.split('\n').next().unwrap().to_owned());
        }
        assert_eq!(beginnings.len(), 1_000);
        assert_eq!(BUILT_IN.text(32, 7), BUILT_IN.text(32, 7));
    }

    #[test]
    fn a_length_that_nothing_has_is_told_by_the_nearest() {
        let (text, got) = BUILT_IN.text(0, 0);
        assert_eq!((text.as_str(), got), ("", 0));
    }
}
