//! What chats and completions have in common: usage, errors, the end of a stream.
//! Their choices differ and are written by themselves.

use serde_json::{Value, json};

use super::STREAM_ERROR;
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// The bytes up to the first choice of each event.
pub(super) fn head(talk: &Talk, prefix: &str, object: &str) -> String {
    format!(
        "data: {{\"id\":\"{prefix}-mock-{}\",\"object\":\"{object}\",\"created\":{},\"model\":{},\"choices\":[",
        talk.number,
        talk.created,
        talk.model_json()
    )
}

/// Usage as it stands after `completion` tokens; how many were reasoning is told at the end.
fn write_usage(talk: &Talk, sse: &mut Sse, completion: u64, reasoning: u64) {
    let total = talk.prompt_tokens + completion;
    sse.text(",\"usage\":{\"prompt_tokens\":")
        .number(talk.prompt_tokens)
        .text(",\"total_tokens\":")
        .number(total)
        .text(",\"completion_tokens\":")
        .number(completion);
    if let Some(cached) = talk.cached_tokens {
        sse.text(",\"prompt_tokens_details\":{\"cached_tokens\":")
            .number(cached)
            .text("}");
    }
    if reasoning > 0 {
        sse.text(",\"completion_tokens_details\":{\"reasoning_tokens\":")
            .number(reasoning)
            .text("}");
    }
    sse.text("}");
}

/// The running usage of an event, where it is asked for: `upto` tokens of each choice before
/// this one's, and of the ones after it as many as before the event.
pub(super) fn running_usage(talk: &Talk, sse: &mut Sse, choice: u32, from: u32, upto: u32) {
    if !talk.usage_each_event {
        return;
    }
    let ahead = u64::from(choice) + 1;
    let behind = u64::from(talk.choices) - ahead;
    write_usage(
        talk,
        sse,
        u64::from(upto) * ahead + u64::from(from) * behind,
        0,
    );
}

/// The event of the final usage and `[DONE]`; `choice` is what a choice in it looks like.
pub(super) fn ending(talk: &Talk, sse: &mut Sse, choice: &str) {
    if talk.usage {
        sse.begin(&talk.head);
        if talk.usage_with_choice {
            sse.text(choice);
        }
        sse.text("]");
        let reasoning = u64::from(talk.reasoning) * u64::from(talk.choices);
        write_usage(talk, sse, talk.stated_tokens, reasoning);
        if talk.perf_metrics {
            sse.text(",\"perf_metrics\":").text(&perf(talk).to_string());
        }
        sse.close_object();
    }
    done(talk, sse);
}

pub(super) fn done(talk: &Talk, sse: &mut Sse) {
    if talk.done {
        sse.begin("data: [DONE]").close();
    }
}

pub(super) fn error_event(talk: &Talk, sse: &mut Sse) {
    sse.begin("data: {\"error\":")
        .text(&error(500, STREAM_ERROR)["error"].to_string())
        .close_object();
    done(talk, sse);
}

/// An event that breaks off within a string.
pub(super) fn broken_event(talk: &Talk, sse: &mut Sse) {
    sse.begin(&talk.head)
        .text("{\"index\":0,\"delta\":{\"con")
        .close();
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        404 => "NotFoundError",
        429 => "rate_limit_error",
        400..=499 => "BadRequestError",
        503 => "ServiceUnavailableError",
        _ => "InternalServerError",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": status}})
}

/// The whole answer around its choices.
pub(super) fn whole(talk: &Talk, prefix: &str, object: &str, choices: &[Value]) -> Value {
    let mut answer = json!({
        "id": format!("{prefix}-mock-{}", talk.number),
        "object": object,
        "created": talk.created,
        "model": talk.model,
        "choices": choices,
    });
    if talk.usage {
        let mut usage = json!({
            "prompt_tokens": talk.prompt_tokens,
            "total_tokens": talk.prompt_tokens + talk.stated_tokens,
            "completion_tokens": talk.stated_tokens,
        });
        if talk.reasoning > 0 {
            let reasoning = u64::from(talk.reasoning) * u64::from(talk.choices);
            usage["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
        }
        if let Some(cached) = talk.cached_tokens {
            usage["prompt_tokens_details"] = json!({"cached_tokens": cached});
        }
        answer["usage"] = usage;
    }
    if talk.perf_metrics {
        answer["perf_metrics"] = perf(talk);
    }
    answer
}

/// What Fireworks' servers tell of their own work, in seconds.
pub(in crate::mock) fn perf(talk: &Talk) -> Value {
    let seconds = |ns: u64| std::time::Duration::from_nanos(ns).as_secs_f64();
    let mut perf = json!({
        "prompt-tokens": talk.prompt_tokens,
        "cached-prompt-tokens": talk.cached_tokens.unwrap_or(0),
        "server-time-to-first-token": seconds(talk.first_token_ns),
        "server-processing-time": seconds(talk.total_ns),
        "tokenizer-queue-duration": 0.0,
        "tokenizer-duration": 0.0,
        "prefill-queue-duration": 0.0,
        "prefill-duration": seconds(talk.first_token_ns),
        "generation-queue-duration": 0.0,
        "generation-duration": seconds(talk.total_ns - talk.first_token_ns),
    });
    let all = u64::from(talk.tokens) * u64::from(talk.choices);
    if all > 0 {
        // Every second guess of the next token is right, and every fourth of the one after it.
        let rates = format!("1:{}/{all},2:{}/{all}", all / 2, all / 4);
        perf["speculation-acceptance"] = json!(rates);
    }
    perf
}
