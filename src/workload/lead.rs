//! The opening line of a prompt: a billion of them, so that a server's prefix cache finds nothing to share.
//! It knows the length of each line by addition; it does not choose the items that follow.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Corpus, corpus};

/// Opening lines with their lengths.
#[derive(Clone, Debug)]
pub(super) struct Leads {
    slots: Vec<Vec<Word>>,
    most: i64,
}

/// One word with its joints.
#[derive(Clone, Debug)]
struct Word {
    text: String,
    /// Tokens more than the first word in this place.
    extra: i64,
}

impl Leads {
    /// The opening lines of `corpus`; `measure` tells the tokens of a line in its place.
    pub(super) fn new(corpus: Corpus, measure: impl Fn(&str) -> u32) -> Self {
        let mut slots = words(corpus);
        let first: Vec<String> = slots.iter().map(|slot| slot[0].text.clone()).collect();
        let base = i64::from(measure(&first.concat()));
        for (place, slot) in slots.iter_mut().enumerate() {
            let mut line = first.clone();
            for word in slot {
                line[place].clone_from(&word.text);
                word.extra = i64::from(measure(&line.concat())) - base;
            }
        }
        let longest = |slot: &Vec<Word>| slot.iter().map(|word| word.extra).max();
        let most = slots.iter().filter_map(longest).sum();
        Self { slots, most }
    }

    /// The line of first words, which `draw` and `most` are relative to.
    pub(super) fn base(corpus: Corpus) -> String {
        let slots = words(corpus);
        slots.iter().map(|slot| slot[0].text.as_str()).collect()
    }

    /// Tokens that the longest line has more than the base.
    pub(super) const fn most(&self) -> i64 {
        self.most
    }

    /// Appends a drawn line and tells how many tokens more than the base it has.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng, out: &mut String) -> i64 {
        self.slots
            .iter()
            .map(|slot| {
                let word = &slot[rng.random_range(0..slot.len())];
                out.push_str(&word.text);
                word.extra
            })
            .sum()
    }
}

fn words(corpus: Corpus) -> Vec<Vec<Word>> {
    let joints = corpus.lead_joints();
    let dress = |place: usize, word: &str| {
        let (before, after) = joints[place];
        let capital = place == 0 && corpus.capitalises();
        let word = if capital {
            capitalised(word)
        } else {
            word.to_owned()
        };
        Word {
            text: [before, &word, after].concat(),
            extra: 0,
        }
    };
    corpus::lead_words()
        .zip(0..joints.len())
        .map(|(list, place)| list.iter().map(|word| dress(place, word)).collect())
        .collect()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
