//! How many tokens a text has when there is no tokenizer to ask: a rule of thumb for the texts we ship.
//! It is never called a count.
//!
//! The weights put our corpora in the middle between what the tokenizers of Llama 2, Llama 3.1, Qwen 3 and
//! GPT-4o count, which differ from each other by 20 % for verse and by 25 % for code. So the mean length of
//! prompts is off by at most 10 % (limericks) or 12 % (code, sonnets) for these, and a single prompt of 512 tokens by
//! some 4 % more; the older the tokenizer, the more tokens it finds.

/// Tokens that a chat template adds around one message: between 8 and 12 for most models.
pub(super) const CHAT_OVERHEAD: u32 = 10;

/// Weights in hundredths of a token.
const WORD: u64 = 100;
/// Words up to this many letters are mostly one token.
const SHORT_WORD: u32 = 6;
const FURTHER_LETTER: u64 = 12;
const FOREIGN_LETTER: u64 = 60;
const MARK: u64 = 100;
const FURTHER_MARK: u64 = 8;
const LINE_BREAK: u64 = 108;
const INDENT: u64 = 35;
const DIGIT: u64 = 90;

/// What the character before was.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Letter(u32),
    Mark,
    Break,
    Other,
}

/// About how many tokens `text` has, by rule of thumb.
pub fn tokens(text: &str) -> u32 {
    let mut last = Last::Other;
    let mut hundredths = 0;
    for letter in text.chars() {
        let (weight, now) = weigh(letter, last);
        hundredths += weight;
        last = now;
    }
    u32::try_from((hundredths + 50) / 100).unwrap_or(u32::MAX)
}

/// What `letter` adds after `last`.
fn weigh(letter: char, last: Last) -> (u64, Last) {
    match (letter, last) {
        ('a'..='z' | 'A'..='Z', Last::Letter(before)) => {
            let weight = if before < SHORT_WORD {
                0
            } else {
                FURTHER_LETTER
            };
            (weight, Last::Letter(before + 1))
        }
        ('a'..='z' | 'A'..='Z', _) => (WORD, Last::Letter(1)),
        ('0'..='9', _) => (DIGIT, Last::Other),
        ('\n' | '\r', Last::Break) => (0, Last::Break),
        ('\n' | '\r', _) => (LINE_BREAK, Last::Break),
        (space, Last::Break) if space.is_whitespace() => (INDENT, Last::Other),
        (space, _) if space.is_whitespace() => (0, Last::Other),
        (foreign, _) if foreign.is_alphanumeric() => (FOREIGN_LETTER, Last::Other),
        (_, Last::Mark) => (FURTHER_MARK, Last::Mark),
        (_, _) => (MARK, Last::Mark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Corpus;

    /// All items with their blank lines.
    fn whole(corpus: Corpus) -> f64 {
        let items = corpus.items().map(|item| tokens(&format!("{item}\n\n")));
        f64::from(items.sum::<u32>())
    }

    #[test]
    fn the_corpora_are_within_reach_of_four_tokenizers() {
        // Counted with Llama 2, Llama 3.1, Qwen 3 and GPT-4o. New items need new counts.
        for (corpus, counts, most) in [
            (Corpus::Limericks, [4_798, 4_054, 4_055, 3_992], 0.10),
            (Corpus::Sonnets, [13_329, 11_332, 11_335, 11_218], 0.12),
            (Corpus::Code, [5_328, 4_267, 4_302, 4_284], 0.12),
        ] {
            for count in counts.map(f64::from) {
                let off = (count / whole(corpus) - 1.0).abs();
                assert!(off < most, "{corpus:?}: {count} tokens, off by {off:.3}");
            }
        }
    }

    #[test]
    fn words_marks_and_lines_count() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("one two three"), 3);
        assert_eq!(tokens("one, two."), 4);
        assert_eq!(tokens("one\n\ntwo"), 3);
    }
}
