//! One line of the file of individual responses. It is read back by `compare` and by the plots.

use serde::{Deserialize, Serialize};

use crate::domain::{Answer, Offset, Outcome};

/// What stands for the number of a failure that has none: nobody answered, or not with a number.
const NO_NUMBER: i64 = -1;

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

impl Individual {
    /// What is reported of `answer`; `None` of a request that was ended on purpose: it neither failed nor was it answered.
    ///
    /// Tokens are those that the tokenizer counted, else those that the server counted (of a prompt: that were asked for).
    /// A failure has no latencies.
    pub fn of(answer: &Answer) -> Option<Self> {
        if answer.outcome == Outcome::Cancelled {
            return None;
        }
        let counts = Self::counts(answer);
        Some(if answer.outcome.is_good() {
            counts.timed(answer)
        } else {
            Self {
                error_code: Some(answer.code.map_or(NO_NUMBER, i64::from)),
                error_msg: answer.error.clone(),
                ..counts
            }
        })
    }

    /// Whether it is an answer, and not a failure.
    pub const fn is_good(&self) -> bool {
        self.error_code.is_none()
    }

    fn counts(answer: &Answer) -> Self {
        let output = answer
            .counted_output_tokens
            .or(answer.server_output_tokens)
            .map(u64::from);
        let input = answer
            .counted_prompt_tokens
            .or(answer.requested_prompt_tokens)
            .or(answer.server_prompt_tokens)
            .map(u64::from);
        Self {
            number_total_tokens: input.zip(output).map(|(input, output)| input + output),
            number_output_tokens: output,
            number_input_tokens: input,
            ..Self::default()
        }
    }

    fn timed(self, answer: &Answer) -> Self {
        let since = |at: Offset| Some(at.since(answer.sent?).as_secs_f64());
        let tokens = self.number_output_tokens.map(quantity);
        let whole = since(answer.end);
        Self {
            inter_token_latency_s: answer
                .last_content
                .and_then(since)
                .zip(tokens)
                .and_then(|(time, tokens)| finite(time / tokens)),
            ttft_s: answer.first_content.and_then(since),
            end_to_end_latency_s: whole,
            request_output_throughput_token_per_s: tokens
                .zip(whole)
                .and_then(|(tokens, time)| finite(tokens / time)),
            ..self
        }
    }
}

/// A quotient by nothing is no figure.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A count as the divisor that it is.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 tokens are more than any answer has"
)]
pub(super) const fn quantity(count: u64) -> f64 {
    count as f64
}
