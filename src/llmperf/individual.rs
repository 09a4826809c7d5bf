//! One line of the file of individual responses. It is read back by `compare` and by the plots.

use serde::{Deserialize, Serialize};

/// One finished request, with exactly the keys that llmperf's file has, in their order. What is not known is `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Individual {
    /// The server's number for a failure, or -1 where it gave none; `null` when good.
    pub error_code: Option<i64>,
    /// The words of a failure; empty when good.
    pub error_msg: String,
    /// From sent to the last content, by output token, the first one counted in; in seconds.
    pub inter_token_latency_s: Option<f64>,
    /// From sent to the first content, in seconds.
    pub ttft_s: Option<f64>,
    /// From sent to the end of the answer, in seconds.
    pub end_to_end_latency_s: Option<f64>,
    /// Output tokens by the end-to-end latency.
    pub request_output_throughput_token_per_s: Option<f64>,
    /// Input and output tokens.
    pub number_total_tokens: Option<u64>,
    /// Tokens of the answer, as the tokenizer counts its text.
    pub number_output_tokens: Option<u64>,
    /// Tokens of the prompt, as the tokenizer counted them before the run.
    pub number_input_tokens: Option<u64>,
}
