//! Which API is spoken and which fields are sent: the settings alone, without secrets.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// How requests are put into words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The API.
    pub kind: Kind,
    /// The model to name.
    pub model: String,
    /// Chat or plain completion.
    pub chat: bool,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Sampling fields; what is `None` is not sent.
    pub sampling: Sampling,
    /// Headers added to every request. Secret ones never stand here.
    pub headers: IndexMap<String, String>,
}

/// Sampling fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `top_k`.
    pub top_k: Option<u32>,
    /// `n`, choices per request.
    pub n: Option<u32>,
    /// `logprobs`.
    pub logprobs: Option<u32>,
    /// `reasoning_effort`.
    pub reasoning_effort: Option<String>,
}

/// The APIs that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// OpenAI's chat and completions.
    OpenAi,
    /// The same with vLLM's fields.
    Vllm,
    /// The same as vLLM's.
    SgLang,
    /// Anthropic's messages.
    Anthropic,
    /// Hugging Face text-generation-inference.
    Tgi,
}
