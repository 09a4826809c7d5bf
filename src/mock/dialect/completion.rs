//! OpenAI's text completions: no roles, and reasoning is not told apart.
//! Usage, errors and stream ends are in `openai`, shared with chats.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, openai};
use crate::mock::sse::Sse;
use crate::mock::talk::{LOGPROB, Talk};

/// `POST /v1/completions`.
pub(in crate::mock) struct Completion;

const ID: &str = "cmpl";

impl Dialect for Completion {
    fn head(&self, talk: &Talk) -> String {
        openai::head(talk, ID, "text_completion")
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        let (from, upto) = (tokens.start, tokens.end);
        sse.begin(&talk.head)
            .text("{\"index\":")
            .number(choice)
            .text(",\"text\":\"");
        talk.speech(choice).say(tokens.clone(), sse.out());
        sse.text("\",\"logprobs\":");
        logprobs(talk, sse, choice, tokens);
        sse.text(",\"finish_reason\":null}]");
        openai::running_usage(talk, sse, choice, from, upto);
        sse.close_object();
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        for choice in 0..talk.choices {
            sse.begin(&talk.head)
                .text("{\"index\":")
                .number(choice)
                .text(",\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"")
                .text(talk.finish.name())
                .text("\"}]");
            openai::running_usage(talk, sse, choice, talk.tokens, talk.tokens);
            sse.close_object();
        }
        let choice = "{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":null}";
        openai::ending(talk, sse, choice);
    }

    fn error_event(&self, talk: &Talk, sse: &mut Sse) {
        openai::error_event(talk, sse);
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        openai::broken_event(talk, sse);
    }

    fn whole(&self, talk: &Talk) -> Value {
        let choice = |choice| {
            let speech = talk.speech(choice);
            json!({
                "index": choice,
                "text": speech.text(0..talk.tokens),
                "logprobs": talk.logprobs.then(|| whole_logprobs(talk, choice)),
                "finish_reason": talk.finish.name(),
            })
        };
        let choices: Vec<Value> = (0..talk.choices).map(choice).collect();
        openai::whole(talk, ID, "text_completion", &choices)
    }

    fn error(&self, status: u16, message: &str) -> Value {
        openai::error(status, message)
    }
}

fn logprobs(talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
    if !talk.logprobs {
        sse.text("null");
        return;
    }
    let comma = |token: u32| if token > tokens.start { "," } else { "" };
    sse.text("{\"tokens\":[");
    for token in tokens.clone() {
        let (space, word) = talk.speech(choice).token(token);
        sse.text(comma(token))
            .text("\"")
            .text(space)
            .text(word)
            .text("\"");
    }
    sse.text("],\"token_logprobs\":[");
    for token in tokens.clone() {
        sse.text(comma(token)).text(LOGPROB);
    }
    sse.text("],\"top_logprobs\":null}");
}

fn whole_logprobs(talk: &Talk, choice: u32) -> Value {
    let speech = talk.speech(choice);
    let tokens: Vec<String> = (0..talk.tokens)
        .map(|token| speech.text(token..token + 1))
        .collect();
    let logprobs = vec![-0.25; tokens.len()];
    json!({"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": null})
}
