//! Token ids of texts, and of what a chat template puts around a message. It counts nothing for a run.

use super::Tokenizer;

/// A content that no template changes and no tokenizer joins with what stands around it: a line of its own.
const MARK: &str = "\u{1}\u{1}";

impl Tokenizer {
    /// The ids of `text`, without special tokens.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        self.encoded(text, false)
    }

    /// The ids that the chat template puts before and after the content of a user message; with the special tokens of plain
    /// text before it where there is no template.
    pub fn ids_around(&self) -> (Vec<u32>, Vec<u32>) {
        let halves = self.rendered(MARK).and_then(|text| {
            let (before, after) = text.split_once(MARK)?;
            Some((self.ids(before), self.ids(after)))
        });
        halves.unwrap_or_else(|| {
            let plain = self.encoded("", true);
            (plain, Vec::new())
        })
    }
}
