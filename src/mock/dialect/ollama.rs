//! Ollama's own chat and generate: one JSON object a line, the last of which has the counts and the times.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, STREAM_ERROR};
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// `POST /api/chat`, or `POST /api/generate`.
pub(in crate::mock) struct Ollama {
    pub(in crate::mock) chat: bool,
}

const CREATED: &str = "2026-01-01T00:00:00Z";

impl Ollama {
    /// The fields around a text, which is put between the two.
    fn around(&self, thinks: bool) -> (&'static str, &'static str) {
        match (self.chat, thinks) {
            (true, false) => (",\"message\":{\"role\":\"assistant\",\"content\":\"", "\"}"),
            (true, true) => (
                ",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"",
                "\"}",
            ),
            (false, false) => (",\"response\":\"", "\""),
            (false, true) => (",\"response\":\"\",\"thinking\":\"", "\""),
        }
    }

    fn end(talk: &Talk) -> Value {
        let mut end = json!({"done": true, "done_reason": talk.finish.name()});
        if talk.usage {
            end["total_duration"] = json!(talk.total_ns);
            end["load_duration"] = json!(0);
            end["prompt_eval_count"] = json!(talk.prompt_tokens);
            end["prompt_eval_duration"] = json!(talk.first_token_ns);
            end["eval_count"] = json!(talk.stated_tokens);
            end["eval_duration"] = json!(talk.total_ns - talk.first_token_ns);
        }
        end
    }
}

impl Dialect for Ollama {
    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn head(&self, talk: &Talk) -> String {
        let model = talk.model_json();
        format!("{{\"model\":{model},\"created_at\":\"{CREATED}\"")
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        let (before, after) = self.around(tokens.start < talk.reasoning);
        sse.begin(&talk.head).text(before);
        talk.speech(choice).say(tokens, sse.out());
        sse.text(after).text(",\"done\":false").close_line();
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        if !talk.done {
            return;
        }
        let (before, after) = self.around(false);
        let end = Self::end(talk).to_string();
        let fields = end.trim_start_matches('{').trim_end_matches('}');
        sse.begin(&talk.head)
            .text(before)
            .text(after)
            .text(",")
            .text(fields)
            .close_line();
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.begin("{\"error\":\"")
            .text(STREAM_ERROR)
            .text("\"")
            .close_line();
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        sse.begin(&talk.head).text(",\"mess").break_line();
    }

    /// The format has no sign of life.
    fn ping(&self, _sse: &mut Sse) {}

    fn whole(&self, talk: &Talk) -> Value {
        let (thinking, text) = talk.texts(0);
        let mut answer = json!({"model": talk.model, "created_at": CREATED});
        let mut said = json!({});
        if talk.reasoning > 0 {
            said["thinking"] = json!(thinking);
        }
        if self.chat {
            said["role"] = json!("assistant");
            said["content"] = json!(text);
            answer["message"] = said;
        } else {
            said["response"] = json!(text);
            join(&mut answer, said);
        }
        join(&mut answer, Self::end(talk));
        answer
    }

    fn error(&self, _status: u16, message: &str) -> Value {
        json!({ "error": message })
    }
}

fn join(answer: &mut Value, more: Value) {
    if let (Value::Object(answer), Value::Object(more)) = (answer, more) {
        answer.extend(more);
    }
}
