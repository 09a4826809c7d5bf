//! `OpenAI`'s chat and plain completions, as `OpenAI` and the servers that speak like it take them.
//! What their answers mean is in `decode`.

mod decode;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::body::{AsMessages, Template, as_text, secret_header, set};
use super::reader::Reader;
use super::{Decoder, Endpoint, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, Secret};
use bytes::Bytes;
use decode::Words;

/// One of the two completion APIs.
#[derive(Debug)]
pub(super) struct OpenAi {
    template: Template,
    chat: bool,
    stream: bool,
    choices: u32,
}

#[derive(Serialize)]
struct Chat<'a> {
    max_tokens: u32,
    messages: AsMessages<'a>,
}

#[derive(Serialize)]
struct Completion<'a> {
    max_tokens: u32,
    prompt: &'a str,
}

impl OpenAi {
    /// The API for these settings; `more` are the constant fields of a server that takes more.
    pub(super) fn new(spec: &Spec, more: Map<String, Value>) -> Result<Self, ShapeError> {
        let chat = spec.task == Task::Chat;
        let path = if chat {
            "/v1/chat/completions"
        } else {
            "/v1/completions"
        };
        let mut constants = constants(spec);
        constants.extend(more);
        Ok(Self {
            template: Template::new(path, spec, &[], constants)?,
            chat,
            stream: spec.stream,
            choices: spec.sampling.n.unwrap_or(1),
        })
    }
}

fn constants(spec: &Spec) -> Map<String, Value> {
    let sampling = &spec.sampling;
    let mut body = Map::new();
    set(&mut body, "model", Some(spec.model.as_str()));
    set(&mut body, "stream", Some(spec.stream));
    let usage = spec.stream.then(|| json!({"include_usage": true}));
    set(&mut body, "stream_options", usage);
    set(&mut body, "temperature", sampling.temperature);
    set(&mut body, "top_k", sampling.top_k);
    set(&mut body, "n", sampling.n);
    if spec.task == Task::Chat {
        set(&mut body, "logprobs", sampling.logprobs.map(|_| true));
        set(&mut body, "top_logprobs", sampling.logprobs);
    } else {
        set(&mut body, "logprobs", sampling.logprobs);
    }
    set(
        &mut body,
        "reasoning_effort",
        sampling.reasoning_effort.as_deref(),
    );
    body
}

impl Provider for OpenAi {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let max_tokens = ask.max_tokens;
        let extra = ask.extra.as_deref();
        if self.chat {
            let messages = AsMessages(&ask.prompt);
            self.template.request(
                &Chat {
                    max_tokens,
                    messages,
                },
                extra,
            )
        } else {
            let prompt = as_text(&ask.prompt);
            self.template.request(
                &Completion {
                    max_tokens,
                    prompt: &prompt,
                },
                extra,
            )
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words::new(self.choices), self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}
