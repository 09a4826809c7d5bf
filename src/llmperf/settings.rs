//! What a token benchmark was asked for: the part of a summary that nothing measured.

use indexmap::IndexMap;
use serde_json::{Map, Value};

/// The settings of one token benchmark, as its files and its entry in an ML Repo name them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Benchmark {
    /// The model, as it was given.
    pub model: String,
    /// The name of the client.
    pub llm_api: String,
    /// Mean of the prompts' lengths, in tokens.
    pub mean_input_tokens: u32,
    /// Their standard deviation.
    pub stddev_input_tokens: u32,
    /// Mean of the lengths that are asked for, in tokens.
    pub mean_output_tokens: u32,
    /// Their standard deviation.
    pub stddev_output_tokens: u32,
    /// Requests in flight.
    pub num_concurrent_requests: u32,
    /// Fields merged into each request.
    pub additional_sampling_params: Map<String, Value>,
    /// The user's own pairs.
    pub metadata: IndexMap<String, String>,
    /// What counted the tokens.
    pub tokenizer_id: String,
}

impl Benchmark {
    /// What the names of its files begin with: `{model}_{mean input}_{mean output}`, without characters that paths lack.
    pub fn stem(&self) -> String {
        let lengths = (self.mean_input_tokens, self.mean_output_tokens);
        super::stem(&format!("{}_{}_{}", self.model, lengths.0, lengths.1))
    }
}
