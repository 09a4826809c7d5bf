//! OpenAI's Responses: named events around one output item, and the usage in the last of them.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, STREAM_ERROR, openai};
use crate::mock::course::Finish;
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// `POST /v1/responses`.
pub(in crate::mock) struct Responses;

fn response(talk: &Talk, output: &Value) -> Value {
    let (status, incomplete) = match talk.finish {
        Finish::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        Finish::Stop => ("completed", Value::Null),
    };
    let mut response = json!({
        "id": format!("resp_mock_{}", talk.number),
        "object": "response",
        "status": status,
        "error": null,
        "incomplete_details": incomplete,
        "model": talk.model,
        "output": output,
    });
    if talk.usage {
        response["usage"] = json!({
            "input_tokens": talk.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": talk.stated_tokens,
            "output_tokens_details": {"reasoning_tokens": talk.reasoning},
            "total_tokens": talk.prompt_tokens + talk.stated_tokens,
        });
    }
    response
}

fn event(sse: &mut Sse, name: &str, fields: &str) {
    sse.name(name)
        .text("data: {\"type\":\"")
        .text(name)
        .text("\"")
        .text(fields)
        .close_object();
}

impl Dialect for Responses {
    fn head(&self, _talk: &Talk) -> String {
        String::new()
    }

    fn opening(&self, talk: &Talk, sse: &mut Sse) {
        let id = talk.number;
        let begun =
            format!(",\"response\":{{\"id\":\"resp_mock_{id}\",\"status\":\"in_progress\"}}");
        event(sse, "response.created", &begun);
        let item = ",\"output_index\":0,\"item\":{\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}";
        event(sse, "response.output_item.added", item);
    }

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        let name = if tokens.start < talk.reasoning {
            "response.reasoning_text.delta"
        } else {
            "response.output_text.delta"
        };
        sse.name(name)
            .text("data: {\"type\":\"")
            .text(name)
            .text("\",\"item_id\":\"msg_0\",\"output_index\":0,\"content_index\":0,\"delta\":\"");
        talk.speech(choice).say(tokens, sse.out());
        sse.text("\"").close_object();
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        if talk.done {
            let name = match talk.finish {
                Finish::Length => "response.incomplete",
                Finish::Stop => "response.completed",
            };
            let whole = format!(",\"response\":{}", response(talk, &json!([])));
            event(sse, name, &whole);
        }
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        let fields = format!(",\"code\":\"server_error\",\"message\":\"{STREAM_ERROR}\"");
        event(sse, "error", &fields);
    }

    fn broken_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.name("response.output_text.delta")
            .text("data: {\"type\":\"respo")
            .close();
    }

    fn whole(&self, talk: &Talk) -> Value {
        let (thinking, text) = talk.texts(0);
        let mut output = Vec::new();
        if talk.reasoning > 0 {
            output.push(json!({"type": "reasoning", "content": [{"type": "reasoning_text", "text": thinking}]}));
        }
        output.push(json!({
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }));
        response(talk, &json!(output))
    }

    fn error(&self, status: u16, message: &str) -> Value {
        openai::error(status, message)
    }
}
