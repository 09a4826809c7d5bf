//! The wire formats: each says how an answer's parts are written, as a stream and as a whole.
//! When the parts are sent is `stream`'s matter.

mod amazon;
mod chat;
mod completion;
mod generate;
pub(super) mod google;
mod llamacpp;
mod messages;
mod ollama;
pub(super) mod openai;
mod responses;
mod together;
mod triton;
mod vectors;

use std::ops::Range;

use serde_json::Value;

pub(super) use self::amazon::{Converse, Invoke, SageMaker};
pub(super) use self::chat::Chat;
pub(super) use self::completion::Completion;
pub(super) use self::generate::Generate;
pub(super) use self::llamacpp::LlamaCpp;
pub(super) use self::messages::Messages;
pub(super) use self::ollama::Ollama;
pub(super) use self::responses::Responses;
pub(super) use self::together::Together;
pub(super) use self::triton::{TritonGenerate, TritonInfer};
pub(super) use self::vectors::{Embeddings, Rerank};
use super::sse::Sse;
use super::talk::Talk;

/// What an `error` in the middle of a stream says.
const STREAM_ERROR: &str = "the engine failed in the middle of this answer";

/// A wire format.
pub(super) trait Dialect: Sync {
    /// The media type of a stream.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// The bytes that every event begins with.
    fn head(&self, talk: &Talk) -> String;

    /// Events that go out as soon as the stream begins.
    fn opening(&self, talk: &Talk, sse: &mut Sse);

    /// The event of some tokens of a choice; all of them are reasoning, or none is.
    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>);

    /// Everything after the last token.
    fn ending(&self, talk: &Talk, sse: &mut Sse);

    /// An error inside a stream of status 200, and what ends the stream after it.
    fn error_event(&self, talk: &Talk, sse: &mut Sse);

    /// An event whose data is not JSON.
    fn broken_event(&self, talk: &Talk, sse: &mut Sse);

    /// A sign of life that says nothing.
    fn ping(&self, sse: &mut Sse) {
        sse.comment("ping");
    }

    /// The whole answer in one object.
    fn whole(&self, talk: &Talk) -> Value;

    /// The body of an answer with an error status.
    fn error(&self, status: u16, message: &str) -> Value;

    /// The error that comes with status 200.
    fn hidden_error(&self) -> Value {
        self.error(500, STREAM_ERROR)
    }
}
