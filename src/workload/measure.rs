//! How long texts are as parts of a prompt: exact with a tokenizer, estimated without one.
//! It composes nothing.

use std::sync::Arc;

use super::{Tokenizer, estimate};
use crate::domain::Prompt;

/// What stands before a part when it is counted: any paragraph.
const BEFORE: &str = "Once.\n\n";
/// What stands after it: the first word of any paragraph.
const AFTER: &str = "Once";
/// What stands after a word: another word.
const WORD: &str = " once";

/// Counts, or estimates.
#[derive(Clone, Debug)]
pub(super) enum Measure {
    /// By the model's own tokenizer.
    Exact {
        /// The tokenizer.
        tokenizer: Arc<Tokenizer>,
        /// Whether the chat template is counted.
        chat: bool,
        /// Tokens of the surroundings of a part: before it, and both together.
        around: (usize, usize),
    },
    /// By rule of thumb.
    Estimate {
        /// Whether a chat template's overhead is added.
        chat: bool,
    },
}

impl Measure {
    /// Exact where there is a tokenizer.
    pub(super) fn new(tokenizer: Option<Arc<Tokenizer>>, chat: bool) -> Self {
        match tokenizer {
            Some(tokenizer) => Self::Exact {
                around: (
                    tokenizer.count(BEFORE),
                    tokenizer.count(&[BEFORE, AFTER].concat()),
                ),
                tokenizer,
                chat,
            },
            None => Self::Estimate { chat },
        }
    }

    /// Whether the figures are counts.
    pub(super) const fn is_exact(&self) -> bool {
        matches!(self, Self::Exact { .. })
    }

    /// Whether the figures are what the server counts: a chat needs its template for that.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Exact {
                tokenizer, chat, ..
            } => !chat || tokenizer.chat_overhead().is_some(),
            Self::Estimate { .. } => false,
        }
    }

    /// Whether prompts are for a chat API.
    pub(super) const fn is_chat(&self) -> bool {
        match self {
            Self::Exact { chat, .. } | Self::Estimate { chat } => *chat,
        }
    }

    /// Tokens of `prompt` as the server counts them, where that can be told.
    pub(super) fn count(&self, prompt: &Prompt) -> Option<u32> {
        match self {
            Self::Exact {
                tokenizer, chat, ..
            } => tokenizer.count_prompt(prompt, *chat),
            Self::Estimate { .. } => None,
        }
    }

    /// Tokens of a whole prompt as the server counts them; without what a template adds where nobody knows that.
    pub(super) fn whole(&self, text: &str) -> u32 {
        match self {
            Self::Exact { tokenizer, .. } => self
                .count(&Prompt::Text(text.into()))
                .unwrap_or_else(|| difference(tokenizer.count(text), 0)),
            Self::Estimate { chat } => {
                estimate::tokens(text) + if *chat { estimate::CHAT_OVERHEAD } else { 0 }
            }
        }
    }

    /// Tokens that `text` (paragraphs with their closing blank line) adds between two paragraphs.
    pub(super) fn part(&self, text: &str) -> u32 {
        match self {
            Self::Exact {
                tokenizer,
                around: (_, both),
                ..
            } => difference(tokenizer.count(&[BEFORE, text, AFTER].concat()), *both),
            Self::Estimate { .. } => estimate::tokens(text),
        }
    }

    /// Tokens that `text` (a word after its space) adds between two words.
    pub(super) fn word(&self, text: &str) -> u32 {
        match self {
            Self::Exact { tokenizer, .. } => difference(
                tokenizer.count(&[AFTER, text, WORD].concat()),
                tokenizer.count(&[AFTER, WORD].concat()),
            ),
            Self::Estimate { .. } => estimate::tokens(text),
        }
    }

    /// Tokens of `text` alone: what no server adds anything to.
    pub(super) fn text(&self, text: &str) -> u32 {
        match self {
            Self::Exact { tokenizer, .. } => difference(tokenizer.count(text), 0),
            Self::Estimate { .. } => estimate::tokens(text),
        }
    }

    /// Tokens that `text` as the last paragraph of a text has more than the one word that `first` counts in its place.
    pub(super) fn ending(&self, text: &str) -> i64 {
        match self {
            Self::Exact {
                tokenizer,
                around: (_, both),
                ..
            } => {
                let all = tokenizer.count(&[BEFORE, text].concat());
                i64::from(difference(all, 0)) - i64::from(difference(*both, 0))
            }
            Self::Estimate { .. } => {
                i64::from(estimate::tokens(text)) - i64::from(estimate::tokens(AFTER))
            }
        }
    }

    /// Tokens of `text` as the first paragraphs of a text that goes on with one word.
    pub(super) fn first(&self, text: &str) -> u32 {
        self.text(&[text, AFTER].concat())
    }

    /// Words that a model's vocabulary holds, in the order of their ids; none without a tokenizer.
    pub(super) fn vocabulary(&self) -> Vec<String> {
        match self {
            Self::Exact { tokenizer, .. } => tokenizer.words(),
            Self::Estimate { .. } => Vec::new(),
        }
    }

    /// Tokens of `text` as the first paragraphs of a prompt.
    pub(super) fn opening(&self, text: &str) -> u32 {
        match self {
            Self::Exact {
                tokenizer,
                around: (before, both),
                ..
            } => {
                let after = both.saturating_sub(*before);
                difference(tokenizer.count(&[text, AFTER].concat()), after)
            }
            Self::Estimate { .. } => estimate::tokens(text),
        }
    }
}

fn difference(all: usize, rest: usize) -> u32 {
    u32::try_from(all.saturating_sub(rest)).unwrap_or(u32::MAX)
}
