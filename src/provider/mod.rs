//! HOW to say it: the words of each API, for requests and for answers.
//! It opens no connection, reads no clock and holds no secret; bytes go in and come out as values.

mod anthropic;
mod asked;
pub mod aws;
mod azure;
mod bedrock;
mod body;
pub mod custom;
mod errors;
mod figures;
mod fireworks;
mod gemini;
mod google;
mod guess;
mod json;
mod lines;
mod llamacpp;
mod mold;
mod ollama;
mod openai;
mod reader;
mod reasons;
mod responses;
mod rows;
mod sagemaker;
mod spec;
mod sse;
mod tgi;
mod together;
mod triton;
mod vertex_anthropic;
mod vertex_predict;
mod vllm;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};

use crate::domain::{Ask, Secret, Signal};

pub use body::path_segment;
pub use errors::{MAX_ERROR_CHARS, error_text, outcome_of_status};
pub use google::GEMINI_SERVER;
pub use guess::{
    GuessError, Model, ModelList, choose, guess_from_host, read_models, renames_length,
};
pub(crate) use rows::{LENGTHS, check_row};
pub use spec::{
    Azure, Custom, Embeddings, Fireworks, Google, Kind, Place, Rerank, Sampling, Spec, Task,
    UnknownKind,
};
pub use sse::{Event, Framer, MAX_EVENT_BYTES, TooLong};

/// One API: how requests are shaped and answers are read. It can be implemented outside of this crate.
pub trait Provider: Send + Sync + fmt::Debug {
    /// Where requests go: the name in the statistics.
    fn endpoint(&self) -> &Endpoint;

    /// The request for `ask`. Its URI is a path, which the client puts behind the target's base URL, and it
    /// has no key: the client adds what `auth` gives.
    ///
    /// # Errors
    /// The request cannot be put into words.
    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError>;

    /// A decoder for one answer.
    fn decoder(&self) -> Box<dyn Decoder>;

    /// A decoder for the answer to `ask`: of APIs whose answers repeat what was asked.
    fn decoder_for(&self, _ask: &Ask) -> Box<dyn Decoder> {
        self.decoder()
    }

    /// The header that carries the key, its value marked as sensitive.
    ///
    /// # Errors
    /// The key has characters that no header can carry.
    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError>;
}

/// Reads the body of one good answer. After an error it must not be fed again.
///
/// The signals do not depend on how the body is cut into pieces.
pub trait Decoder: Send {
    /// The head of the answer came: `field` gives a header by its name. Called before the first piece of the body.
    fn head(&mut self, _field: &Fields<'_>, _on: &mut dyn FnMut(Signal<'_>)) {}

    /// Takes the next piece of the body, cut anywhere, and calls `on` for each signal, in order.
    ///
    /// # Errors
    /// The body is not what the API sends.
    fn feed(&mut self, bytes: &[u8], on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError>;

    /// The body is complete. If `Signal::End` did not come by now, the answer was cut.
    ///
    /// # Errors
    /// The body is not what the API sends.
    fn finish(&mut self, on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError>;
}

/// Gives an answer's header by its name, in lower case.
pub type Fields<'a> = dyn Fn(&str) -> Option<&'a [u8]> + 'a;

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path behind the target's base URL, from its first slash.
    pub path: Cow<'static, str>,
}

/// Why a request cannot be put into words.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// The API has no such thing.
    #[error("provider `{kind}` has no {setting}")]
    Unsupported {
        /// The API.
        kind: Kind,
        /// What was set.
        setting: &'static str,
    },
    /// A row of a data set has a field that would change how its answer is read, or that its API has nowhere.
    #[error("a row's `{field}` cannot be sent to provider `{kind}`: {why}")]
    Row {
        /// The API.
        kind: Kind,
        /// The row's field.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Which words a model takes is not known.
    #[error(
        "the name of model `{0}` does not tell which words it takes (`bedrock` speaks with any)"
    )]
    UnknownMaker(String),
    /// A path has characters that a path cannot have.
    #[error("`{0}` has characters that a path cannot have")]
    Path(String),
    /// A header's name or value has characters that a header cannot have. The value is not shown.
    #[error("header `{0}` has characters that a header cannot have")]
    Header(String),
    /// The key has characters that a header cannot have.
    #[error("the API key has characters that a header cannot have")]
    Key,
    /// A server's words were not given, or cannot be used.
    #[error("the provider file: {0}")]
    Custom(#[from] custom::FileError),
    /// The body cannot be written as JSON.
    #[error("the request's body cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Anything else, in the words of a provider outside of this crate.
    #[error("{0}")]
    Other(String),
}

/// Why the body of an answer cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// An event, or a body, is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// An event, or a body, is not the JSON that the API sends.
    #[error("unreadable answer: {cause}: `{excerpt}`")]
    Json {
        /// How it starts.
        excerpt: String,
        /// What is wrong.
        cause: String,
        /// Whether it stops short: it may have been cut.
        incomplete: bool,
    },
    /// A frame of a stream is damaged, or none.
    #[error("unreadable answer: {cause}")]
    Frame {
        /// What is wrong with it.
        cause: String,
    },
    /// A body lacks the field that every answer has.
    #[error("unreadable answer: no `{field}` in `{excerpt}`")]
    Missing {
        /// The field.
        field: &'static str,
        /// How the body starts.
        excerpt: String,
    },
    /// Anything else, in the words of a provider outside of this crate.
    #[error("unreadable answer: {0}")]
    Other(String),
}

impl Kind {
    /// Settings that an API has no field for are refused, never dropped in silence.
    fn refuse(self, settings: &[(&'static str, bool)]) -> Result<(), ShapeError> {
        match settings.iter().find(|(_, set)| *set) {
            Some(&(setting, _)) => Err(self.lacks(setting)),
            None => Ok(()),
        }
    }

    /// The API has no such thing.
    const fn lacks(self, setting: &'static str) -> ShapeError {
        ShapeError::Unsupported {
            kind: self,
            setting,
        }
    }
}

/// The API for these settings.
///
/// # Errors
/// A setting that the API has no field for, or a header that cannot be one.
pub fn build(spec: &Spec) -> Result<Arc<dyn Provider>, ShapeError> {
    if spec.kind != Kind::Fireworks {
        spec.kind.refuse(&[
            ("force_min_tokens", spec.fireworks.force_min_tokens),
            (
                "acceptance_probs_override",
                spec.fireworks.acceptance_probs.is_some(),
            ),
        ])?;
    }
    Ok(match spec.kind {
        Kind::OpenAi | Kind::Anyscale => {
            Arc::new(openai::OpenAi::new(spec, openai::Manner::of(spec))?)
        }
        Kind::Fireworks => Arc::new(fireworks::new(spec)?),
        Kind::Vllm | Kind::SgLang => Arc::new(vllm::new(spec)?),
        Kind::Together => Arc::new(together::new(spec)?),
        Kind::Azure => Arc::new(azure::new(spec)?),
        Kind::Anthropic => Arc::new(anthropic::Anthropic::new(spec)?),
        Kind::Tgi => Arc::new(tgi::Tgi::new(spec)?),
        Kind::TritonInfer => Arc::new(triton::Infer::new(spec)?),
        Kind::TritonGenerate => Arc::new(triton::Generate::new(spec)?),
        Kind::Ollama => Arc::new(ollama::Ollama::new(spec)?),
        Kind::LlamaCpp => Arc::new(llamacpp::LlamaCpp::new(spec)?),
        Kind::Responses => Arc::new(responses::Responses::new(spec)?),
        Kind::Custom => Arc::new(custom::Described::new(spec)?),
        Kind::SageMaker => Arc::new(sagemaker::SageMaker::new(spec)?),
        Kind::Bedrock => Arc::new(bedrock::Converse::new(spec)?),
        Kind::BedrockInvoke => Arc::new(bedrock::Invoke::new(spec)?),
        Kind::Gemini => Arc::new(gemini::Gemini::new(spec)?),
        Kind::VertexPredict => Arc::new(vertex_predict::VertexPredict::new(spec)?),
        Kind::VertexAnthropic => Arc::new(vertex_anthropic::VertexAnthropic::new(spec)?),
    })
}
