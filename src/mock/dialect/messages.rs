//! Anthropic's messages: named events, blocks that open and close, usage at both ends.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, STREAM_ERROR};
use crate::mock::course::Finish;
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// `POST /v1/messages`.
pub(in crate::mock) struct Messages;

impl Dialect for Messages {
    fn head(&self, _talk: &Talk) -> String {
        String::new()
    }

    fn opening(&self, talk: &Talk, sse: &mut Sse) {
        sse.name("message_start")
            .text("data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_mock_")
            .number(talk.number)
            .text("\",\"type\":\"message\",\"role\":\"assistant\",\"model\":")
            .text(&talk.model_json())
            .text(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null");
        if talk.usage {
            sse.text(",\"usage\":{\"input_tokens\":")
                .number(talk.prompt_tokens)
                .text(",\"output_tokens\":0}");
        }
        sse.text("}").close_object();
        if talk.reasoning > 0 {
            block_start(
                sse,
                0,
                "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}",
            );
        } else {
            block_start(sse, 0, "{\"type\":\"text\",\"text\":\"\"}");
        }
    }

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        let thinks = tokens.start < talk.reasoning;
        if talk.reasoning > 0 && tokens.start == talk.reasoning {
            block_stop(sse, 0);
            block_start(sse, 1, "{\"type\":\"text\",\"text\":\"\"}");
        }
        sse.name("content_block_delta")
            .text("data: {\"type\":\"content_block_delta\",\"index\":")
            .number(u32::from(talk.reasoning > 0 && !thinks))
            .text(if thinks {
                ",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\""
            } else {
                ",\"delta\":{\"type\":\"text_delta\",\"text\":\""
            });
        talk.speech(choice).say(tokens, sse.out());
        sse.text("\"}").close_object();
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        block_stop(
            sse,
            u32::from(talk.reasoning > 0 && talk.reasoning < talk.tokens),
        );
        sse.name("message_delta")
            .text("data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"")
            .text(stop_reason(talk.finish))
            .text("\",\"stop_sequence\":null}");
        if talk.usage {
            sse.text(",\"usage\":{\"output_tokens\":")
                .number(talk.stated_tokens)
                .text("}");
        }
        sse.close_object();
        if talk.done {
            sse.name("message_stop")
                .text("data: {\"type\":\"message_stop\"")
                .close_object();
        }
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.name("error")
            .text("data: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"")
            .text(STREAM_ERROR)
            .text("\"}")
            .close_object();
    }

    fn broken_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.name("content_block_delta")
            .text("data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"ty")
            .close();
    }

    /// Pings are events here; being no part of the answer, they bear no stamp.
    fn ping(&self, sse: &mut Sse) {
        sse.name("ping").text("data: {\"type\":\"ping\"}").close();
    }

    fn whole(&self, talk: &Talk) -> Value {
        let (thinking, text) = talk.texts(0);
        let mut content = Vec::new();
        if talk.reasoning > 0 {
            content.push(json!({"type": "thinking", "thinking": thinking, "signature": ""}));
        }
        if talk.tokens > talk.reasoning {
            content.push(json!({"type": "text", "text": text}));
        }
        let mut answer = json!({
            "id": format!("msg_mock_{}", talk.number),
            "type": "message",
            "role": "assistant",
            "model": talk.model,
            "content": content,
            "stop_reason": stop_reason(talk.finish),
            "stop_sequence": null,
        });
        if talk.usage {
            answer["usage"] =
                json!({"input_tokens": talk.prompt_tokens, "output_tokens": talk.stated_tokens});
        }
        answer
    }

    fn error(&self, status: u16, message: &str) -> Value {
        let kind = match status {
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            503 | 529 => "overloaded_error",
            _ => "api_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": message}})
    }
}

fn block_start(sse: &mut Sse, index: u32, block: &str) {
    sse.name("content_block_start")
        .text("data: {\"type\":\"content_block_start\",\"index\":")
        .number(index)
        .text(",\"content_block\":")
        .text(block)
        .close_object();
}

fn block_stop(sse: &mut Sse, index: u32) {
    sse.name("content_block_stop")
        .text("data: {\"type\":\"content_block_stop\",\"index\":")
        .number(index)
        .close_object();
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
    }
}
