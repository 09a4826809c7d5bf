//! Amazon Bedrock's runtime: Converse, which speaks with all models alike, and their makers' own words.
//! Who lets a request in is not its affair: that is a signature, or a key that stays the same.

mod chunks;
mod events;
mod invoke;
mod makers;

pub(super) use invoke::Invoke;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::asked::{Takes, base64_in};
use super::aws::accept;
use super::aws::place::Places;
use super::body::{Template, path_segment, secret_header, set, unsaid};
use super::reader::Reader;
use super::rows::check_row;
use super::{Decoder, Endpoint, Kind, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, Message, Part, Prompt, Role, Secret};

const PLACES: Places = Places {
    top: &[
        "system",
        "messages",
        "inferenceConfig",
        "toolConfig",
        "guardrailConfig",
        "additionalModelRequestFields",
        "promptVariables",
        "additionalModelResponseFieldPaths",
        "requestMetadata",
        "performanceConfig",
        "serviceTier",
        "outputConfig",
    ],
    names: &[
        ("max_tokens", "maxTokens"),
        ("max_completion_tokens", "maxTokens"),
        ("temperature", "temperature"),
        ("top_p", "topP"),
        ("stop", "stopSequences"),
        ("stop_sequences", "stopSequences"),
    ],
    named_in: Some("inferenceConfig"),
    rest_in: Some("additionalModelRequestFields"),
};

/// Converse.
#[derive(Debug)]
pub(super) struct Converse {
    template: Template,
    temperature: Option<f64>,
    stream: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    messages: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Value>,
    inference_config: InferenceConfig,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig {
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

impl Converse {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let sampling = &spec.sampling;
        Kind::Bedrock.refuse(&[
            ("plain completions", spec.task == Task::Completion),
            ("embeddings and ranking", !spec.task.generates()),
            ("n", sampling.n.is_some_and(|n| n != 1)),
            ("logprobs", sampling.logprobs.is_some()),
        ])?;
        // What only some models take stands apart.
        let mut more = Map::new();
        set(&mut more, "top_k", sampling.top_k);
        set(
            &mut more,
            "reasoning_effort",
            sampling.reasoning_effort.as_deref(),
        );
        let mut constants = Map::new();
        let more = (!more.is_empty()).then_some(more);
        set(&mut constants, "additionalModelRequestFields", more);
        let way = if spec.stream {
            "converse-stream"
        } else {
            "converse"
        };
        let path = format!("/model/{}/{way}", path_segment(&spec.model));
        Ok(Self {
            template: Template::new(path, spec, &[accept(spec.stream)], constants)?,
            temperature: sampling.temperature,
            stream: spec.stream,
        })
    }
}

impl Provider for Converse {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let takes = Takes {
            parts: true,
            ..Takes::default()
        };
        Kind::Bedrock.check(ask, takes)?;
        let extra = ask.extra.as_deref();
        let extra =
            extra.map(|row| check_row(Kind::Bedrock, self.stream, row).map(|()| PLACES.place(row)));
        let body = Body {
            messages: messages(Kind::Bedrock, &ask.prompt)?,
            system: system(&ask.prompt),
            inference_config: InferenceConfig {
                max_tokens: ask.max_tokens,
                temperature: self.temperature,
            },
        };
        self.template.request(&body, extra.transpose()?.as_ref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(events::Words::default(), self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}

/// The messages without the system's: those stand in a field of their own.
fn messages(kind: Kind, prompt: &Prompt) -> Result<Vec<Value>, ShapeError> {
    let user = |content: Value| vec![json!({"role": Role::User, "content": content})];
    Ok(match prompt {
        Prompt::Text(text) => user(json!([{"text": text}])),
        Prompt::Messages(messages) => {
            let said = messages
                .iter()
                .filter(|message| message.role != Role::System);
            let said = said.map(
                |message| json!({"role": message.role, "content": [{"text": message.content}]}),
            );
            said.collect()
        }
        Prompt::Parts(parts) => {
            let blocks: Result<Vec<Value>, ShapeError> =
                parts.iter().map(|part| block(kind, part)).collect();
            user(Value::Array(blocks?))
        }
        _ => return Err(unsaid(kind, prompt)),
    })
}

/// The system's texts; empty ones, which the API refuses, are none.
fn system(prompt: &Prompt) -> Vec<Value> {
    let Prompt::Messages(messages) = prompt else {
        return Vec::new();
    };
    let is_said = |message: &&Message| message.role == Role::System && !message.content.is_empty();
    messages
        .iter()
        .filter(is_said)
        .map(|message| json!({"text": message.content}))
        .collect()
}

fn block(kind: Kind, part: &Part) -> Result<Value, ShapeError> {
    match part {
        Part::Text(text) => Ok(json!({"text": text})),
        Part::Image(uri) => {
            let (media, data) =
                base64_in(uri).ok_or_else(|| kind.lacks("images by their address"))?;
            let format = media.strip_prefix("image/").unwrap_or(media);
            Ok(json!({"image": {"format": format, "source": {"bytes": data}}}))
        }
    }
}
