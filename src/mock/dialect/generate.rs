//! TGI's own format: one token in each event, the last of which carries the whole text.
//! Its lines have no space after `data:`, and its streams no terminal event of their own.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, STREAM_ERROR};
use crate::mock::sse::Sse;
use crate::mock::talk::{LOGPROB, Talk};

/// `POST /generate` and `POST /generate_stream`.
pub(in crate::mock) struct Generate;

impl Dialect for Generate {
    fn head(&self, _talk: &Talk) -> String {
        String::new()
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        for token in tokens {
            let speech = talk.speech(choice);
            let (space, word) = speech.token(token);
            sse.begin("data:{\"index\":")
                .number(token + 1)
                .text(",\"token\":{\"id\":")
                .number(speech.token_id(token) as u64)
                .text(",\"text\":\"")
                .text(space)
                .text(word)
                .text("\",\"logprob\":")
                .text(LOGPROB)
                .text(",\"special\":false}");
            close(talk, sse, token + 1 == talk.tokens);
        }
    }

    /// The last token has said it all, unless there was none.
    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        if talk.tokens == 0 {
            sse.begin("data:{\"index\":1,\"token\":{\"id\":0,\"text\":\"\",\"logprob\":0.0,\"special\":true}");
            close(talk, sse, true);
        }
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.begin("data:{\"error\":\"")
            .text(STREAM_ERROR)
            .text("\",\"error_type\":\"generation\"")
            .close_object();
    }

    fn broken_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.begin("data:{\"index\":1,\"token\":{\"id\":").close();
    }

    fn whole(&self, talk: &Talk) -> Value {
        let text = talk.speech(0).text(0..talk.tokens);
        let mut answer = json!({ "generated_text": text });
        if talk.details && talk.usage {
            let mut details = details(talk);
            let tokens: Vec<Value> = (0..talk.tokens).map(|token| entry(talk, token)).collect();
            details["prefill"] = json!([]);
            details["tokens"] = json!(tokens);
            answer["details"] = details;
        }
        answer
    }

    fn error(&self, status: u16, message: &str) -> Value {
        let kind = match status {
            422 | 400 => "validation",
            429 => "overloaded",
            _ => "generation",
        };
        json!({"error": message, "error_type": kind})
    }
}

/// The end of a token's event; the last one brings the text and the details.
fn close(talk: &Talk, sse: &mut Sse, last: bool) {
    sse.text(",\"generated_text\":");
    if last && talk.done {
        sse.text("\"");
        talk.speech(0).say(0..talk.tokens, sse.out());
        sse.text("\"");
    } else {
        sse.text("null");
    }
    sse.text(",\"details\":");
    if last && talk.usage {
        sse.text(&details(talk).to_string());
    } else {
        sse.text("null");
    }
    sse.close_object();
}

fn details(talk: &Talk) -> Value {
    json!({
        "finish_reason": match talk.finish.name() { "stop" => "eos_token", other => other },
        "generated_tokens": talk.stated_tokens,
        "seed": null,
        "input_length": talk.prompt_tokens,
    })
}

fn entry(talk: &Talk, token: u32) -> Value {
    let speech = talk.speech(0);
    json!({
        "id": speech.token_id(token),
        "text": speech.text(token..token + 1),
        "logprob": -0.25,
        "special": false,
    })
}
