//! The words that APIs have for why a model stopped.
//! One list for all of them: gateways pass on each other's words.

use crate::domain::FinishReason;

/// The reason behind a word; `None` for the empty one, which says that the choice goes on.
pub(super) fn finish_reason(word: &str) -> Option<FinishReason> {
    Some(match word {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "stop" | "eos" | "eos_token" | "word" | "stop_sequence" | "end_turn" | "STOP" => {
            FinishReason::Stop
        }
        "length"
        | "limit"
        | "max_tokens"
        | "max_output_tokens"
        | "MAX_TOKENS"
        | "model_context_window_exceeded" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "content_filter"
        | "refusal"
        | "content_filtered"
        | "guardrail_intervened"
        | "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "SPII"
        | "PROHIBITED_CONTENT"
        | "IMAGE_SAFETY" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    })
}
