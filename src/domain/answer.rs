//! What is kept of one finished request by itself, where a plan wants each answer and not their distributions alone.
//! It computes no figure.

use serde::{Deserialize, Serialize};

use super::{Offset, Outcome, Record};

/// How much is kept of each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Times and counts.
    Figures,
    /// And when each content event came.
    Times,
    /// And the visible text, up to `MAX_ANSWER_TEXT` bytes.
    Text,
}

/// Most bytes of an answer's text that are kept; the rest is cut off at a character.
pub const MAX_ANSWER_TEXT: usize = 64 * 1024;

/// Most content events of an answer whose times are kept: the first ones.
pub const MAX_ARRIVALS: usize = 256 * 1024;

/// One finished request. Times are offsets from the start of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// When it was sent; `None` if it never was.
    pub sent: Option<Offset>,
    /// The first content event; `None` where the answer was not streamed, or had none.
    pub first_content: Option<Offset>,
    /// The last content event; of an answer that was not streamed, the end of its body.
    pub last_content: Option<Offset>,
    /// When the body was complete, or the failure was known.
    pub end: Offset,
    /// How it ended.
    pub outcome: Outcome,
    /// The server's number for a failure: the status of a refusal, or the code of an error inside a good answer.
    pub code: Option<i32>,
    /// The words of a failure, without secrets; empty when good.
    pub error: String,
    /// Prompt tokens that the settings asked for.
    pub requested_prompt_tokens: Option<u32>,
    /// Prompt tokens as the tokenizer counted them before the run.
    pub counted_prompt_tokens: Option<u32>,
    /// Prompt tokens as the server counted them.
    pub server_prompt_tokens: Option<u32>,
    /// Output tokens asked for.
    pub max_tokens: u32,
    /// Output tokens as the tokenizer counted them over the text.
    pub counted_output_tokens: Option<u32>,
    /// Output tokens as the server counted them.
    pub server_output_tokens: Option<u32>,
    /// The visible text, where it is wanted.
    pub text: Option<String>,
    /// When each content event of a stream came (of whichever choice), in order, at most `MAX_ARRIVALS` of them, where that is
    /// wanted; else none.
    pub arrivals: Vec<Offset>,
}

impl Answer {
    /// What is kept of `record`, whose visible text was `text`. Of one that failed, what had come is kept all the same.
    pub fn new(record: &Record, keep: Keep, text: Option<String>) -> Self {
        let refused = record.status.filter(|status| *status >= 400);
        let arrivals = match keep {
            Keep::Times => record.marks.iter().take(MAX_ARRIVALS),
            Keep::Figures | Keep::Text => [].iter().take(0),
        };
        Self {
            sent: record.sent,
            first_content: record.first_content(),
            last_content: record.last_content(),
            end: record.end,
            outcome: record.outcome,
            code: record.server_code.or(refused.map(i32::from)),
            error: record.error.clone(),
            requested_prompt_tokens: record.requested_prompt_tokens,
            counted_prompt_tokens: record.counted_prompt_tokens,
            server_prompt_tokens: record.usage.prompt_tokens,
            max_tokens: record.max_tokens,
            counted_output_tokens: record.tokenizer_tokens,
            server_output_tokens: record.usage.completion_tokens,
            text: text.filter(|_| keep == Keep::Text).map(shortened),
            arrivals: arrivals.map(|mark| mark.at).collect(),
        }
    }
}

fn shortened(mut text: String) -> String {
    let most = MAX_ANSWER_TEXT.min(text.len());
    let edge = (0..=most).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(edge.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let long = "\u{e9}".repeat(MAX_ANSWER_TEXT);
        assert_eq!(shortened(format!("a{long}")).len(), MAX_ANSWER_TEXT - 1);
        assert_eq!(shortened("short".to_owned()), "short");
    }
}
