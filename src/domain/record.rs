//! Everything that was measured of one request. Folded into tallies where it is born; written out only on request.

use super::{FinishReason, Index, Offset, Outcome, ServerFigures, TokenSource, Turn, Usage};

/// One content event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When the read that completed the event arrived.
    pub at: Offset,
    /// Tokens in it where the server told, else 0.
    pub tokens: u32,
}

/// One request, complete. Times are offsets from the start of the run, in nanoseconds, on the clock of who sent it.
///
/// due ≤ ready ≤ begun ≤ sent ≤ headers ≤ first content ≤ last content ≤ end, where each is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which request of the run.
    pub index: Index,
    /// When the schedule wanted it sent.
    pub due: Offset,
    /// By how much the run's time was behind that clock when it was due: `due` less this is a function of (seed, index).
    pub behind_ns: i64,
    /// From when it could have been sent: it was due and a user was free. In a closed loop, when its user's last answer ended.
    /// Of a request that went out once more: when it had to.
    pub ready: Offset,
    /// When the first of its bytes were handed to the socket; `None` if they never were (no connection).
    pub begun: Option<Offset>,
    /// When the last of its bytes were handed to the socket, of those that it took until the answer came.
    pub sent: Option<Offset>,
    /// When the response head arrived.
    pub headers: Option<Offset>,
    /// The content events, in order of arrival; for an answer that is not streamed, none.
    pub marks: Vec<Mark>,
    /// First content event that is not reasoning.
    pub first_visible: Option<Offset>,
    /// When the body was complete, or the failure was known.
    pub end: Offset,
    /// Whether the answer was asked for as a stream.
    pub streamed: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// The words for the error report: without secrets, at most 256 characters; empty when good.
    pub error: String,
    /// The response's status, if one came.
    pub status: Option<u16>,
    /// The number that the server gave an error inside a good answer, where it gave one.
    pub server_code: Option<i32>,
    /// `Retry-After` of a 429 or 503, in seconds.
    pub retry_after_s: Option<f64>,
    /// Answers asked for in the one request (`n`).
    pub choices: u32,
    /// Embeddings, or ranked documents, of an answer that has no text.
    pub vectors: u32,
    /// What the server measured itself, where it tells.
    pub server: Option<Box<ServerFigures>>,
    /// Which turn of which conversation it was.
    pub turn: Option<Turn>,
    /// Why the model stopped.
    pub finish: Option<FinishReason>,
    /// The server's counts.
    pub usage: Usage,
    /// Tokens counted by log probabilities, where every content event told.
    pub logprob_tokens: Option<u32>,
    /// Tokens counted by the tokenizer.
    pub tokenizer_tokens: Option<u32>,
    /// Output tokens asked for.
    pub max_tokens: u32,
    /// Prompt tokens asked for by the settings.
    pub requested_prompt_tokens: Option<u32>,
    /// Prompt tokens counted before the run.
    pub counted_prompt_tokens: Option<u32>,
    /// Characters (Unicode scalar values) of output.
    pub output_chars: u64,
    /// Bytes of the response body.
    pub body_bytes: u64,
    /// Whether a new connection was opened for it.
    pub new_connection: bool,
    /// Nanoseconds from asking for a connection to having it, whoever opened it; 0 when one was there.
    pub connect_ns: u64,
}

impl Record {
    /// Output tokens and where the count came from: usage, else log probabilities, else the tokenizer.
    pub fn output_tokens(&self) -> Option<(u32, TokenSource)> {
        let from = |count: Option<u32>, source| count.map(|n| (n, source));
        from(self.usage.completion_tokens, TokenSource::Usage)
            .or_else(|| from(self.logprob_tokens, TokenSource::Logprobs))
            .or_else(|| from(self.tokenizer_tokens, TokenSource::Tokenizer))
    }

    /// Prompt tokens as the server counted them, else as counted before the run.
    pub fn prompt_tokens(&self) -> Option<u32> {
        self.usage.prompt_tokens.or(self.counted_prompt_tokens)
    }

    /// The first content event.
    pub fn first_content(&self) -> Option<Offset> {
        self.marks.first().map(|mark| mark.at)
    }

    /// The last content event; for an answer that was not streamed, the end of the body.
    pub fn last_content(&self) -> Option<Offset> {
        if self.streamed {
            self.marks.last().map(|mark| mark.at)
        } else {
            Some(self.end)
        }
    }
}
