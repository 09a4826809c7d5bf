//! The words that every answer is made of: plain ASCII, so that none needs escaping in JSON.
//! Which word stands where is arithmetic on (request, choice, position).

use std::ops::Range;

use bytes::BytesMut;

use super::numerals;

const WORDS: [&str; 64] = [
    "amber", "anchor", "autumn", "basket", "beacon", "birch", "bridge", "candle", "canyon",
    "cedar", "cloud", "copper", "coral", "cotton", "cradle", "dawn", "delta", "desert", "ember",
    "fable", "falcon", "feather", "fern", "field", "flint", "forest", "garden", "glacier",
    "granite", "harbor", "hazel", "hollow", "island", "ivory", "juniper", "kettle", "lantern",
    "linen", "maple", "marble", "meadow", "mirror", "north", "oak", "ocean", "orchard", "pebble",
    "pepper", "prairie", "quartz", "quiet", "raven", "ribbon", "river", "saffron", "shadow",
    "silver", "stone", "summer", "thunder", "timber", "valley", "willow", "winter",
];

/// Which run of words one choice of one request says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speech {
    start: usize,
    /// Tokens before this one are reasoning; the text begins anew here.
    reasoning: u32,
    /// The text begins with its digits, a token each.
    number: Option<u32>,
}

impl Speech {
    pub(super) fn new(number: u64, choice: u32, reasoning: u32) -> Self {
        let start = number.wrapping_mul(23).wrapping_add(u64::from(choice) * 5);
        Self {
            start: usize::try_from(start % 64).unwrap_or(0),
            reasoning,
            number: None,
        }
    }

    /// The same with a number at the beginning of its text.
    pub(super) const fn saying(self, number: Option<u32>) -> Self {
        Self { number, ..self }
    }

    fn digit(self, token: u32) -> Option<&'static str> {
        numerals::digit(self.number?, token.checked_sub(self.reasoning)?)
    }

    /// A number of the word as a tokenizer would have, for dialects that show one.
    pub(super) fn token_id(self, token: u32) -> usize {
        // 27 is odd, so a walk meets all 64 words before it repeats.
        (self.start + token as usize * 27) % WORDS.len()
    }

    /// The token's text: all but the first of a text bring the space before them.
    pub(super) fn token(self, token: u32) -> (&'static str, &'static str) {
        if let Some(digit) = self.digit(token) {
            return ("", digit);
        }
        let first = token == 0 || token == self.reasoning;
        (if first { "" } else { " " }, WORDS[self.token_id(token)])
    }

    /// Appends the text of some tokens.
    pub(super) fn say(self, tokens: Range<u32>, out: &mut BytesMut) {
        for token in tokens {
            let (space, word) = self.token(token);
            out.extend_from_slice(space.as_bytes());
            out.extend_from_slice(word.as_bytes());
        }
    }

    /// The text of some tokens.
    pub(super) fn text(self, tokens: Range<u32>) -> String {
        let mut text = String::new();
        for token in tokens {
            let (space, word) = self.token(token);
            text.push_str(space);
            text.push_str(word);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_token_is_one_word() {
        let text = Speech::new(3, 0, 5).text(5..25);
        assert_eq!(text.split_whitespace().count(), 20);
        assert!(!text.starts_with(' '));
    }

    #[test]
    fn a_number_is_said_by_its_digits_behind_the_reasoning() {
        let speech = Speech::new(3, 0, 2).saying(Some(405));
        assert_eq!(speech.text(2..5), "405");
        assert!(speech.text(0..2).contains(' '));
        assert!(speech.text(2..6).starts_with("405 "));
    }

    #[test]
    fn a_walk_meets_every_word() {
        let speech = Speech::new(0, 0, 0);
        let seen: BTreeSet<usize> = (0..64).map(|token| speech.token_id(token)).collect();
        assert_eq!(seen.len(), 64);
    }
}
