//! Google's servers: Gemini's answers, each event an answer in small, and the predictions of deployed models.
//! Anthropic's models behind Vertex AI speak as `messages` does.

use std::ops::Range;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dialect, STREAM_ERROR};
use crate::mock::ask::{Ask, AskError, Words};
use crate::mock::course::Finish;
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// `POST …/models/M:generateContent` and `:streamGenerateContent`.
pub(in crate::mock) struct Gemini;

/// `POST …/endpoints/E:predict`.
pub(in crate::mock) struct Predict;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGemini {
    contents: Option<Words>,
    #[serde(default)]
    system_instruction: Words,
    #[serde(default)]
    generation_config: WireConfig,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireConfig {
    #[serde(alias = "maxNewTokens")]
    max_output_tokens: Option<u32>,
    candidate_count: Option<u32>,
}

#[derive(Deserialize)]
struct WirePredict {
    #[serde(default)]
    instances: Vec<WireInstance>,
    #[serde(default)]
    parameters: WireConfig,
}

#[derive(Deserialize)]
struct WireInstance {
    prompt: String,
}

/// Reads a body for Gemini; whether it streams is told by the path.
pub(in crate::mock) fn read_gemini(body: &[u8], stream: bool) -> Result<Ask, AskError> {
    let wire: WireGemini = serde_json::from_slice(body)?;
    let Words(words) = wire.contents.ok_or(AskError::Missing("contents"))?;
    let config = wire.generation_config;
    let choices = config.candidate_count.unwrap_or(1);
    if choices > 8 {
        let name = "candidateCount";
        return Err(AskError::TooMany { name, most: 8 });
    }
    Ok(Ask {
        prompt_words: words + wire.system_instruction.0,
        max_tokens: config.max_output_tokens,
        choices: choices.max(1),
        stream,
        ..Ask::nothing()
    })
}

/// Reads a body with one instance.
pub(in crate::mock) fn read_predict(body: &[u8]) -> Result<Ask, AskError> {
    let wire: WirePredict = serde_json::from_slice(body)?;
    let instance = wire.instances.into_iter().next();
    let prompt = instance.ok_or(AskError::Missing("instances"))?.prompt;
    Ok(Ask {
        prompt_words: prompt.split_whitespace().count() as u64,
        prompt,
        max_tokens: wire.parameters.max_output_tokens,
        ..Ask::nothing()
    })
}

const fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

/// Google's errors, in every API.
fn error(status: u16, message: &str) -> Value {
    let word = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        402..=499 => "FAILED_PRECONDITION",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status, "message": message, "status": word}})
}

/// Thoughts and other output, of all candidates.
fn counts(talk: &Talk) -> (u64, u64) {
    let thoughts = u64::from(talk.reasoning) * u64::from(talk.choices);
    (thoughts, talk.stated_tokens.saturating_sub(thoughts))
}

/// The counts up to here, behind what is there of an event.
fn write_usage(talk: &Talk, sse: &mut Sse, thoughts: u64, said: u64) {
    sse.text(",\"usageMetadata\":{\"promptTokenCount\":")
        .number(talk.prompt_tokens);
    if said > 0 {
        sse.text(",\"candidatesTokenCount\":").number(said);
    }
    if thoughts > 0 {
        sse.text(",\"thoughtsTokenCount\":").number(thoughts);
    }
    sse.text(",\"totalTokenCount\":")
        .number(talk.prompt_tokens + thoughts + said)
        .text("}");
}

impl Dialect for Gemini {
    fn head(&self, _talk: &Talk) -> String {
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"".to_owned()
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        let thinks = tokens.start < talk.reasoning;
        let so_far = tokens.end;
        sse.begin(&talk.head);
        talk.speech(choice).say(tokens, sse.out());
        sse.text(if thinks { "\",\"thought\":true" } else { "\"" })
            .text("}]},\"index\":")
            .number(choice)
            .text("}]");
        // What several candidates come to, no one of them knows.
        if talk.usage && talk.choices == 1 {
            let thoughts = so_far.min(talk.reasoning);
            write_usage(talk, sse, thoughts.into(), (so_far - thoughts).into());
        }
        sse.close_object();
    }

    /// Each candidate's reason; the body's end is the end.
    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        for choice in 0..talk.choices {
            sse.begin(&talk.head)
                .text("\"}]},\"finishReason\":\"")
                .text(reason(talk.finish))
                .text("\",\"index\":")
                .number(choice)
                .text("}]");
            if talk.usage {
                let (thoughts, said) = counts(talk);
                write_usage(talk, sse, thoughts, said);
            }
            sse.close_object();
        }
    }

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.begin("data: {\"error\":{\"code\":503,\"message\":\"")
            .text(STREAM_ERROR)
            .text("\",\"status\":\"UNAVAILABLE\"}")
            .close_object();
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        sse.begin(&talk.head).close();
    }

    fn whole(&self, talk: &Talk) -> Value {
        let candidate = |choice| {
            let (thoughts, text) = talk.texts(choice);
            let mut parts = Vec::new();
            if talk.reasoning > 0 {
                parts.push(json!({"text": thoughts, "thought": true}));
            }
            if talk.tokens > talk.reasoning {
                parts.push(json!({"text": text}));
            }
            json!({
                "content": {"role": "model", "parts": parts},
                "finishReason": reason(talk.finish),
                "index": choice,
            })
        };
        let candidates: Vec<Value> = (0..talk.choices).map(candidate).collect();
        let mut answer = json!({"candidates": candidates});
        if talk.usage {
            let (thoughts, said) = counts(talk);
            answer["usageMetadata"] = json!({
                "promptTokenCount": talk.prompt_tokens,
                "candidatesTokenCount": said,
                "thoughtsTokenCount": thoughts,
                "totalTokenCount": talk.prompt_tokens + thoughts + said,
            });
        }
        answer
    }

    fn error(&self, status: u16, message: &str) -> Value {
        error(status, message)
    }
}

impl Dialect for Predict {
    fn head(&self, _talk: &Talk) -> String {
        String::new()
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, _talk: &Talk, _sse: &mut Sse, _choice: u32, _tokens: Range<u32>) {}

    fn ending(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn error_event(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn broken_event(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn whole(&self, talk: &Talk) -> Value {
        let said = talk.speech(0).text(0..talk.tokens);
        let text = format!("Prompt:\n{}\nOutput:\n{said}", talk.prompt);
        let mut answer = json!({"predictions": [text], "deployedModelId": "1"});
        if talk.usage {
            answer["metadata"] = json!({"tokenMetadata": {
                "inputTokenCount": {"totalTokens": talk.prompt_tokens},
                "outputTokenCount": {"totalTokens": talk.stated_tokens},
            }});
        }
        answer
    }

    fn error(&self, status: u16, message: &str) -> Value {
        error(status, message)
    }
}
