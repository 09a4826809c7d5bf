//! OpenAI's chat completions.
//! Usage, errors and stream ends are in `openai`, shared with completions.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, openai};
use crate::mock::script::ReasoningField;
use crate::mock::sse::Sse;
use crate::mock::talk::{LOGPROB, Talk};

/// `POST /v1/chat/completions`.
pub(in crate::mock) struct Chat;

const ID: &str = "chatcmpl";

impl Dialect for Chat {
    fn head(&self, talk: &Talk) -> String {
        openai::head(talk, ID, "chat.completion.chunk")
    }

    fn opening(&self, talk: &Talk, sse: &mut Sse) {
        if !talk.role_first {
            return;
        }
        for choice in 0..talk.choices {
            sse.begin(&talk.head)
                .text("{\"index\":")
                .number(choice)
                .text(",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]");
            openai::running_usage(talk, sse, choice, 0, 0);
            sse.close_object();
        }
    }

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        let (from, upto) = (tokens.start, tokens.end);
        sse.begin(&talk.head)
            .text("{\"index\":")
            .number(choice)
            .text(",\"delta\":{");
        if from < talk.reasoning {
            reasoning(talk, sse, choice, tokens.clone());
        } else {
            field(talk, sse, "content", choice, tokens.clone());
        }
        sse.text("},\"logprobs\":");
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
                .text(",\"delta\":{},\"logprobs\":null,\"finish_reason\":\"")
                .text(talk.finish.name())
                .text("\"}]");
            openai::running_usage(talk, sse, choice, talk.tokens, talk.tokens);
            sse.close_object();
        }
        let choice = "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":null}";
        openai::ending(talk, sse, choice);
    }

    fn error_event(&self, talk: &Talk, sse: &mut Sse) {
        openai::error_event(talk, sse);
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        openai::broken_event(talk, sse);
    }

    fn whole(&self, talk: &Talk) -> Value {
        let choices = (0..talk.choices).map(|choice| whole_choice(talk, choice));
        openai::whole(talk, ID, "chat.completion", &choices.collect::<Vec<_>>())
    }

    fn error(&self, status: u16, message: &str) -> Value {
        openai::error(status, message)
    }
}

/// `"name":"text"`.
fn field(talk: &Talk, sse: &mut Sse, name: &str, choice: u32, tokens: Range<u32>) {
    sse.text("\"").text(name).text("\":\"");
    talk.speech(choice).say(tokens, sse.out());
    sse.text("\"");
}

fn reasoning(talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
    match talk.reasoning_field {
        ReasoningField::ReasoningContent => field(talk, sse, "reasoning_content", choice, tokens),
        ReasoningField::Reasoning => field(talk, sse, "reasoning", choice, tokens),
        ReasoningField::Both => {
            field(talk, sse, "reasoning_content", choice, tokens.clone());
            sse.text(",");
            field(talk, sse, "reasoning", choice, tokens);
        }
    }
}

fn logprobs(talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
    if !talk.logprobs {
        sse.text("null");
        return;
    }
    sse.text("{\"content\":[");
    for token in tokens.clone() {
        if token > tokens.start {
            sse.text(",");
        }
        let (space, word) = talk.speech(choice).token(token);
        sse.text("{\"token\":\"")
            .text(space)
            .text(word)
            .text("\",\"logprob\":")
            .text(LOGPROB)
            .text(",\"bytes\":null,\"top_logprobs\":[]}");
    }
    sse.text("]}");
}

fn whole_choice(talk: &Talk, choice: u32) -> Value {
    let (reasoning, content) = talk.texts(choice);
    let mut message = json!({"role": "assistant", "content": content});
    if talk.reasoning > 0 {
        if talk.reasoning_field != ReasoningField::Reasoning {
            message["reasoning_content"] = json!(reasoning);
        }
        if talk.reasoning_field != ReasoningField::ReasoningContent {
            message["reasoning"] = json!(reasoning);
        }
    }
    json!({
        "index": choice,
        "message": message,
        "logprobs": talk.logprobs.then(|| whole_logprobs(talk, choice)),
        "finish_reason": talk.finish.name(),
    })
}

fn whole_logprobs(talk: &Talk, choice: u32) -> Value {
    let entry = |token| {
        let (space, word) = talk.speech(choice).token(token);
        json!({"token": format!("{space}{word}"), "logprob": -0.25, "bytes": null, "top_logprobs": []})
    };
    let content: Vec<Value> = (0..talk.tokens).map(entry).collect();
    json!({ "content": content })
}
