//! What a workload is made of: the settings alone, as they travel to the workers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::Message;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Where prompts come from.
    pub prompts: PromptSource,
    /// How many output tokens each request asks for.
    pub output: LengthSpec,
    /// The tokenizer for exact lengths and output counts. Its file is read by each worker for itself.
    pub tokenizer: Option<TokenizerRef>,
}

/// Where prompts come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptSource {
    /// Made of a corpus, of a wanted length.
    Generated {
        /// The text that prompts are made of.
        corpus: Corpus,
        /// Length of the prompt in tokens, the chat template's overhead and the instruction counted in.
        tokens: u32,
        /// Tokens of common prefix shared by all prompts.
        shared_prefix_tokens: u32,
        /// The instruction that ends the prompt; `None` for the corpus's own.
        instruction: Option<String>,
    },
    /// One text, as it is.
    Text(String),
    /// Rows of a file, dealt by index; each is one line of JSON.
    Rows(Vec<Row>),
}

/// One row of a JSONL file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its `prompt`, if it has one.
    pub prompt: Option<String>,
    /// Its `messages`, if it has plain text ones.
    pub messages: Option<Vec<Message>>,
    /// All other fields (and messages that are not plain text): merged into the request body.
    pub extra: Map<String, Value>,
}

/// A text that the product ships, of its own writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Corpus {
    /// Limericks; the instruction asks for a translation to Spanish.
    Limericks,
    /// Source code; the instruction asks for a translation to C++.
    Code,
}

/// How many output tokens to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LengthSpec {
    /// The mean; for `Constant` the value.
    pub mean: u32,
    /// The shape.
    pub law: LengthLaw,
    /// Width relative to the mean (`--max-tokens-range`).
    pub range: f64,
    /// Most tokens to ask for.
    pub cap: Option<u32>,
    /// Uniform in mean ± this, drawn on top of the law (`--max-tokens-jitter`).
    pub jitter: u32,
}

/// The distribution of output lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LengthLaw {
    /// The mean, always.
    Constant,
    /// Integers in mean ± trunc(range · mean).
    Uniform,
    /// Exponential with that mean.
    Exponential,
    /// Normal with standard deviation range · mean.
    Normal,
}

/// Names a tokenizer and pins its content, so that workers with another file refuse the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerRef {
    /// A `tokenizer.json`, a directory that holds one, or a hub id found in the local hub cache.
    pub name: String,
    /// SHA-256 of `tokenizer.json`, in hex; empty until it was loaded once.
    pub sha256: String,
}
