//! Words of the vocabulary with their lengths, which add up: what random prompts are filled with.
//! It measures once, before the run; then everything is addition.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::corpus;
use super::measure::Measure;
use crate::domain::Seed;

/// Words to look for: two of them in a row are hardly ever drawn twice.
const MOST_WORDS: usize = 4_096;
/// Words to measure at most.
const MOST_TRIED: usize = 20_000;
/// So many words of one token are enough to do without any others.
const ENOUGH: usize = 64;
/// Most letters of a word of our own.
const SHORT: usize = 6;

/// Words to fill a text with.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// Each with the space before it.
    list: Vec<Word>,
    /// For each number of tokens, words of that length.
    by_length: Vec<Vec<usize>>,
    /// For each number of tokens, the length of a word to begin with so that words fill it exactly.
    steps: Vec<Option<u32>>,
}

#[derive(Clone, Debug)]
struct Word {
    text: String,
    tokens: u32,
}

impl Words {
    /// Words of the tokenizer's vocabulary in an order that `seed` draws; our own without a tokenizer, or where its
    /// vocabulary has none. `None` where no word has a length.
    pub(super) fn of_vocabulary(seed: Seed, measure: &Measure) -> Option<Self> {
        let mut words = measure.vocabulary();
        let mut rng = seed.stream("vocabulary", 0);
        for place in (1..words.len()).rev() {
            words.swap(place, rng.random_range(0..=place));
        }
        words.truncate(MOST_TRIED);
        words.extend(ours());
        Self::new(&words, measure)
    }

    /// Common words of our own.
    pub(super) fn ours(measure: &Measure) -> Option<Self> {
        Self::new(&ours().collect::<Vec<_>>(), measure)
    }

    fn new(words: &[String], measure: &Measure) -> Option<Self> {
        let mut list = Vec::new();
        let mut short = 0;
        for word in words {
            let text = [" ", word].concat();
            let tokens = measure.word(&text);
            short += usize::from(tokens == 1);
            if tokens > 0 {
                list.push(Word { text, tokens });
            }
            if short == MOST_WORDS {
                break;
            }
        }
        if short >= ENOUGH {
            list.retain(|word| word.tokens == 1);
        }
        let longest = list.iter().map(|word| word.tokens).max()?;
        let mut by_length = vec![Vec::new(); longest as usize + 1];
        for (place, word) in list.iter().enumerate() {
            by_length[word.tokens as usize].push(place);
        }
        Some(Self {
            steps: steps(&by_length),
            list,
            by_length,
        })
    }

    /// The words themselves.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|word| word.text.trim_start())
    }

    /// The greatest length up to `room` that words fill exactly.
    pub(super) fn nearest(&self, room: u32) -> u32 {
        (1..=room)
            .rev()
            .find(|room| self.is_filled(*room))
            .unwrap_or(0)
    }

    /// Appends words, each with a space before it, of exactly `room` tokens; of fewer where words leave gaps.
    pub(super) fn fill(&self, room: u32, rng: &mut ChaCha8Rng, out: &mut String) {
        let mut room = self.nearest(room);
        while room > 0 {
            let mut word = &self.list[rng.random_range(0..self.list.len())];
            let left = room.checked_sub(word.tokens);
            if !left.is_some_and(|left| self.is_filled(left)) {
                let Some(step) = self.steps[self.place(room)] else {
                    return;
                };
                let fitting = &self.by_length[step as usize];
                word = &self.list[fitting[rng.random_range(0..fitting.len())]];
            }
            out.push_str(&word.text);
            room -= word.tokens;
        }
    }

    fn is_filled(&self, room: u32) -> bool {
        room == 0 || self.steps[self.place(room)].is_some()
    }

    /// Where the table tells about `room`: beyond its end it goes on as in its last part.
    fn place(&self, room: u32) -> usize {
        let longest = self.by_length.len() - 1;
        let last = self.steps.len() - longest;
        match (room as usize).checked_sub(last) {
            Some(beyond) => last + beyond % longest,
            None => room as usize,
        }
    }
}

/// What can be filled, up to the square of the longest word: from there on all multiples of the lengths' greatest
/// common divisor can (Frobenius' coins), of which the longest word is one.
fn steps(by_length: &[Vec<usize>]) -> Vec<Option<u32>> {
    let longest = by_length.len() - 1;
    let mut steps: Vec<Option<u32>> = vec![None; longest * longest + longest + 1];
    for room in 1..steps.len() {
        let fits = |step: &usize| room == *step || steps[room - step].is_some();
        let step = (1..=longest.min(room))
            .filter(|step| !by_length[*step].is_empty())
            .find(fits);
        steps[room] = step.and_then(|step| u32::try_from(step).ok());
    }
    steps
}

/// Short ones, which are one token to most tokenizers and to the rule of thumb.
fn ours() -> impl Iterator<Item = String> {
    let short = |word: &&str| word.len() <= SHORT;
    let mut words: Vec<&str> = corpus::lead_words().flatten().filter(short).collect();
    words.sort_unstable();
    words.dedup();
    words.into_iter().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words `a` of the given lengths: `aaa` is one of 3 tokens.
    fn words(lengths: &[u32]) -> Words {
        let list: Vec<Word> = lengths
            .iter()
            .map(|tokens| Word {
                text: format!(" {}", "a".repeat(*tokens as usize)),
                tokens: *tokens,
            })
            .collect();
        let longest = lengths.iter().max().copied().unwrap();
        let mut by_length = vec![Vec::new(); longest as usize + 1];
        for (place, word) in list.iter().enumerate() {
            by_length[word.tokens as usize].push(place);
        }
        Words {
            steps: steps(&by_length),
            list,
            by_length,
        }
    }

    fn filled(words: &Words, room: u32) -> usize {
        let mut text = String::new();
        words.fill(room, &mut Seed(3).stream("test", room.into()), &mut text);
        text.matches('a').count()
    }

    #[test]
    fn lengths_that_no_words_make_are_filled_as_far_as_they_go() {
        let words = words(&[4, 6]);
        assert_eq!(
            [3, 5, 7, 9, 99].map(|room| filled(&words, room)),
            [0, 4, 6, 8, 98]
        );
    }

    proptest! {
        #[test]
        fn any_length_that_words_can_make_is_made(room in 0_u32..400, lengths in prop::collection::vec(1_u32..9, 1..5)) {
            let words = words(&lengths);
            let mut can = vec![false; room as usize + 1];
            can[0] = true;
            for at in 1..can.len() {
                can[at] = lengths.iter().any(|l| at >= *l as usize && can[at - *l as usize]);
            }
            let most = can.iter().rposition(|can| *can).unwrap();
            prop_assert_eq!(filled(&words, room), most);
        }
    }

    #[test]
    fn our_own_words_are_single_tokens_by_rule_of_thumb() {
        let words = Words::ours(&Measure::new(None, false)).unwrap();
        assert!(words.list.len() > 200 && words.list.iter().all(|word| word.tokens == 1));
    }
}
