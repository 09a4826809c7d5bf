//! Token ids of texts, and of what a chat template puts around a message. It counts nothing for a run.

use super::Tokenizer;
use super::tokenizer::{joined, user_message};
use crate::domain::Prompt;

/// A content that no template changes and no tokenizer joins with what stands around it: a line of its own.
const MARK: &str = "\u{1}\u{1}";

impl Tokenizer {
    /// The ids of `text`, without special tokens.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        self.encoded(text, false)
    }

    /// The ids of `prompt` as the server reads it: those that [`count_prompt`](Self::count_prompt) counts. `None` where that
    /// counts nothing.
    pub fn prompt_ids(&self, prompt: &Prompt, chat: bool) -> Option<Vec<u32>> {
        let chatted = |messages: &_| Some(self.ids(&self.rendered(messages)?));
        match prompt {
            Prompt::Text(text) if chat => chatted(&[user_message(text)][..]),
            Prompt::Text(text) => Some(self.encoded(text, true)),
            Prompt::Messages(messages) if chat => chatted(messages),
            Prompt::Messages(messages) => Some(self.encoded(&joined(messages), true)),
            _ => None,
        }
    }

    /// The ids that the chat template puts before and after the content of a user message; with the special tokens of plain
    /// text before it where there is no template.
    pub fn ids_around(&self) -> (Vec<u32>, Vec<u32>) {
        let halves = self.rendered(&[user_message(MARK)]).and_then(|text| {
            let (before, after) = text.split_once(MARK)?;
            Some((self.ids(before), self.ids(after)))
        });
        halves.unwrap_or_else(|| {
            let plain = self.encoded("", true);
            (plain, Vec::new())
        })
    }
}
