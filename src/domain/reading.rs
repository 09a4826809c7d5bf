//! What a decoder reports while it reads an answer.

use serde::{Deserialize, Serialize};

use super::{FinishReason, Warning};

/// One thing that an answer said. Borrowed from the read buffer: nothing is allocated for a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal<'a> {
    /// A non-empty piece of output. One event of the stream can give several (reasoning and text, several
    /// choices); they come one after another, and `EventEnd` closes them.
    Content {
        /// Which kind of output.
        kind: ContentKind,
        /// The text, unescaped, never empty.
        text: &'a str,
        /// Tokens that the server marked one by one in this piece (logprobs, TGI's one a chunk), else `None`.
        /// Where several pieces share one count, the first has it and the others have 0: the sum is right.
        tokens: Option<u32>,
        /// Which of `n` choices.
        choice: u32,
    },
    /// The `Content` signals since the last `EventEnd` were one content event: one mark. A body that is not a
    /// stream is one event. It comes before the `Finish`, `Usage` and `End` of the same event.
    EventEnd {
        /// Tokens that arrived since the content event before: the growth of a usage count sent with every
        /// event, else the marked tokens, textless ones included; `None` where the server does not tell.
        tokens: Option<u32>,
    },
    /// Tokens that the server marked one by one and that have no text of their own (an end token, a part of a
    /// character): output, but no content. The sum of these and of `Content`'s is the marked count.
    SilentTokens(u32),
    /// Token counts so far; later ones replace earlier ones field by field.
    Usage(Usage),
    /// A choice is complete.
    Finish(FinishReason),
    /// The dialect's terminal event (`[DONE]`, `message_stop`, a whole body that parsed).
    End,
    /// An error that arrived inside a 200 answer.
    ServerError {
        /// The server's own words.
        text: &'a str,
        /// Its number for it, where it gives one.
        code: Option<i32>,
    },
    /// A content event came after the terminal one; warned about, otherwise ignored.
    AfterEnd,
    /// Embeddings, or ranked documents, in an answer that has no text.
    Vectors(u32),
    /// What the server measured itself; later figures replace earlier ones field by field.
    Server(&'a ServerFigures),
    /// Something about the answer that a person should know of, and that does not make it a bad one.
    Warning(Warning),
}

/// What a server tells of its own work on one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerFigures {
    /// Time from its receipt of the request to the end, in nanoseconds.
    pub total_ns: Option<u64>,
    /// The same to its first token.
    pub first_token_ns: Option<u64>,
    /// How often speculated tokens were right, by how far ahead they were.
    pub speculation: Vec<HitRate>,
}

/// How often speculated tokens of one position were right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HitRate {
    /// How far ahead, as the server numbers it.
    pub position: u32,
    /// Right ones.
    pub hits: u32,
    /// All of them; above 0.
    pub total: u32,
}

/// What kind of output a content event holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// The visible answer.
    Text,
    /// `reasoning_content`, `reasoning`, `thinking`: output, but not visible.
    Reasoning,
    /// Tool-call arguments.
    ToolCall,
    /// A refusal's text.
    Refusal,
}

/// The server's own token counts; a field that it did not send is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u32>,
    /// Tokens of the output, reasoning included.
    pub completion_tokens: Option<u32>,
    /// Prompt tokens that came from a cache.
    pub cached_tokens: Option<u32>,
    /// Output tokens that were reasoning.
    pub reasoning_tokens: Option<u32>,
}

impl Usage {
    /// `self` with the fields that `later` knows replaced.
    #[must_use]
    pub fn updated(self, later: Self) -> Self {
        Self {
            prompt_tokens: later.prompt_tokens.or(self.prompt_tokens),
            completion_tokens: later.completion_tokens.or(self.completion_tokens),
            cached_tokens: later.cached_tokens.or(self.cached_tokens),
            reasoning_tokens: later.reasoning_tokens.or(self.reasoning_tokens),
        }
    }
}

/// Where an output token count came from, best first. Never the number of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// `usage.completion_tokens` or the dialect's equivalent.
    Usage,
    /// The number of log probabilities, or tokens that the server marked one by one.
    Logprobs,
    /// The tokenizer over the joined text.
    Tokenizer,
}
