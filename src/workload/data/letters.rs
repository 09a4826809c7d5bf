//! Letters before the rows of a data set, so that no two prompts begin alike: another word for each row, and the number of
//! the time where a row comes again. It reads no row.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::domain::Seed;

const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Letters that tell rows apart; 52 to the tenth is below 2^63.
const TELLING: u32 = 10;

/// What rows begin with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letters {
    seed: Seed,
    count: u32,
    /// How many words there are of the telling letters.
    words: u64,
    /// Row r has word r · factor + shift, which no other row has: the factor shares no divisor with the number of words.
    factor: u64,
    shift: u64,
}

impl Letters {
    /// So many letters, drawn by `seed`; `None` for none.
    pub(super) fn new(count: u32, seed: Seed) -> Option<Self> {
        let words = 52_u64.pow(count.min(TELLING));
        let mut rng = seed.stream("prompt-letters", 0);
        (count > 0).then(|| Self {
            seed,
            count,
            words,
            factor: factor(&mut rng, words),
            shift: rng.random_range(0..words),
        })
    }

    /// What stands before the text of `row` when it is sent for the `time`-th time, from 0.
    pub(super) fn before(&self, row: u64, time: u64) -> String {
        let mut text = match time.checked_sub(1) {
            Some(copy) => format!("{copy} "),
            None => String::new(),
        };
        let mut word = self.word(row);
        let mut letters = Vec::new();
        for _ in 0..self.count.min(TELLING) {
            letters.push(letter(word % 52));
            word /= 52;
        }
        text.extend(letters.iter().rev());
        let more = self.count.saturating_sub(TELLING);
        if more > 0 {
            let mut rng = self.seed.stream("prompt-letters", row.wrapping_add(1));
            text.extend((0..more).map(|_| letter(rng.random_range(0..52))));
        }
        text
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder of a 64-bit number"
    )]
    fn word(&self, row: u64) -> u64 {
        let at = u128::from(row) * u128::from(self.factor) + u128::from(self.shift);
        (at % u128::from(self.words)) as u64
    }
}

/// 52 is 2 · 2 · 13.
fn factor(rng: &mut ChaCha8Rng, words: u64) -> u64 {
    loop {
        let drawn = rng.random_range(0..words);
        if !drawn.is_multiple_of(2) && !drawn.is_multiple_of(13) {
            return drawn;
        }
    }
}

fn letter(digit: u64) -> char {
    usize::try_from(digit)
        .ok()
        .and_then(|at| LETTERS.get(at))
        .map_or('A', |&letter| char::from(letter))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_two_rows_and_no_two_times_have_the_same_letters(seed: u64, count in 2_u32..14, from in 0_u64..1_000_000) {
            let letters = Letters::new(count, Seed(seed)).unwrap();
            let rows = || from..from + 500;
            let all: BTreeSet<String> = (0..4)
                .flat_map(|time| rows().map(move |row| letters.before(row, time)))
                .collect();
            prop_assert_eq!(all.len(), 2_000);
            for row in rows().take(3) {
                let word = letters.before(row, 0);
                prop_assert_eq!(word.len(), count as usize);
                prop_assert!(word.bytes().all(|byte| byte.is_ascii_alphabetic()));
                prop_assert_eq!(letters.before(row, 1), format!("0 {word}"));
                prop_assert_eq!(letters.before(row, 11), format!("10 {word}"));
            }
        }
    }

    #[test]
    fn another_seed_has_other_letters_and_none_are_none() {
        let words = |seed| {
            let letters = Letters::new(4, Seed(seed)).unwrap();
            (0..20)
                .map(|row| letters.before(row, 0))
                .collect::<Vec<_>>()
        };
        assert_eq!(words(1), words(1));
        assert!(
            words(1)
                .iter()
                .zip(words(2))
                .all(|(one, other)| *one != other)
        );
        assert!(Letters::new(0, Seed(1)).is_none());
    }
}
