//! llama.cpp's own completion: the last event has the counts and the times.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, STREAM_ERROR};
use crate::mock::course::Finish;
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// `POST /completion`.
pub(in crate::mock) struct LlamaCpp;

#[expect(clippy::cast_precision_loss, reason = "times of a mock's answers")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn end(talk: &Talk) -> Value {
    let mut end = json!({
        "stop": true,
        "stop_type": match talk.finish { Finish::Length => "limit", Finish::Stop => "eos" },
        "model": talk.model,
        "truncated": false,
    });
    if talk.usage {
        end["tokens_predicted"] = json!(talk.stated_tokens);
        end["tokens_evaluated"] = json!(talk.prompt_tokens);
        end["timings"] = json!({
            "prompt_n": talk.prompt_tokens,
            "prompt_ms": ms(talk.first_token_ns),
            "predicted_n": talk.stated_tokens,
            "predicted_ms": ms(talk.total_ns - talk.first_token_ns),
        });
    }
    end
}

impl Dialect for LlamaCpp {
    fn head(&self, _talk: &Talk) -> String {
        "data: {\"index\":0,\"content\":\"".to_owned()
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        sse.begin(&talk.head);
        talk.speech(choice).say(tokens, sse.out());
        sse.text("\",\"tokens\":[],\"stop\":false").close_object();
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        if talk.done {
            let end = end(talk).to_string();
            sse.begin(&talk.head)
                .text("\",")
                .text(
                    end.trim_start_matches('{')
                        .strip_suffix('}')
                        .unwrap_or(&end),
                )
                .close_object();
        }
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.begin("error: {\"code\":500,\"message\":\"")
            .text(STREAM_ERROR)
            .text("\",\"type\":\"server_error\"")
            .close_object();
        sse.begin("data: {\"error\":{\"code\":500,\"message\":\"")
            .text(STREAM_ERROR)
            .text("\"}")
            .close_object();
    }

    fn broken_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.begin("data: {\"index\":0,\"cont").close();
    }

    fn whole(&self, talk: &Talk) -> Value {
        let mut answer = json!({"index": 0, "content": talk.speech(0).text(0..talk.tokens)});
        if let (Value::Object(answer), Value::Object(end)) = (&mut answer, end(talk)) {
            answer.extend(end);
        }
        answer
    }

    fn error(&self, status: u16, message: &str) -> Value {
        json!({"error": {"code": status, "message": message, "type": "invalid_request_error"}})
    }
}
