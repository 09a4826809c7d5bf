//! Google's Gemini: `generateContent` and its stream, at Vertex AI or by an API key, in the same words.
//! What answers mean is in `decode`.

mod decode;

use std::borrow::Cow;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

use self::decode::Answer;
use super::asked::{Takes, base64_in, images_in};
use super::body::{Template, joined_contents, secret_header, set, unsaid};
use super::google::segment;
use super::reader::Reader;
use super::spec::Kind;
use super::{Decoder, Endpoint, Provider, Sampling, ShapeError, Spec, Task};
use crate::domain::{Ask, Message, Part, Prompt, Role, Secret};

/// The API.
#[derive(Debug)]
pub(super) struct Gemini {
    template: Template,
    /// Of `generationConfig`, what does not change.
    config: Map<String, Value>,
    /// A key instead of a token.
    by_key: bool,
    stream: bool,
    candidates: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    generation_config: Config<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Piece<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Piece<'a> {
    Text(Cow<'a, str>),
    #[serde(rename_all = "camelCase")]
    InlineData {
        mime_type: &'a str,
        data: &'a str,
    },
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(rename = "maxOutputTokens")]
    max_output_tokens: u32,
    #[serde(flatten)]
    constants: &'a Map<String, Value>,
}

impl<'a> Content<'a> {
    fn text(role: Option<&'static str>, text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            role,
            parts: vec![Piece::Text(text.into())],
        }
    }

    fn of(message: &'a Message) -> Self {
        let role = match message.role {
            Role::Assistant => "model",
            Role::User | Role::System => "user",
        };
        Self::text(Some(role), &message.content)
    }
}

impl<'a> Piece<'a> {
    /// An image that is none by its address.
    fn of(part: &'a Part) -> Option<Self> {
        Some(match part {
            Part::Text(text) => Self::Text(Cow::Borrowed(text)),
            Part::Image(uri) => {
                let (mime_type, data) = base64_in(uri)?;
                Self::InlineData { mime_type, data }
            }
        })
    }
}

/// The instructions, which stand apart; an empty text is refused there.
fn instructions(prompt: &Prompt) -> Option<String> {
    let Prompt::Messages(messages) = prompt else {
        return None;
    };
    let system = messages.iter().filter(|it| it.role == Role::System);
    Some(joined_contents(system)).filter(|text| !text.is_empty())
}

fn contents(prompt: &Prompt) -> Result<Vec<Content<'_>>, ShapeError> {
    const USER: Option<&str> = Some("user");
    Ok(match prompt {
        Prompt::Text(text) => vec![Content::text(USER, &**text)],
        Prompt::Messages(messages) => {
            let spoken = messages.iter().filter(|it| it.role != Role::System);
            spoken.map(Content::of).collect()
        }
        Prompt::Parts(parts) => vec![Content {
            role: USER,
            parts: parts.iter().filter_map(Piece::of).collect(),
        }],
        Prompt::Tokens(_) | Prompt::Batch(_) | Prompt::Documents(_) => {
            return Err(unsaid(Kind::Gemini, prompt));
        }
    })
}

fn config(sampling: &Sampling) -> Map<String, Value> {
    let mut config = Map::new();
    set(&mut config, "temperature", sampling.temperature);
    set(&mut config, "topK", sampling.top_k);
    set(&mut config, "candidateCount", sampling.n);
    let logprobs = sampling.logprobs;
    set(&mut config, "responseLogprobs", logprobs.map(|_| true));
    set(&mut config, "logprobs", logprobs.filter(|&most| most > 0));
    let effort = sampling.reasoning_effort.as_deref();
    set(&mut config, "thinkingConfig", effort.map(thinking));
    config
}

/// Effort as a budget of tokens, as Google's own layer for OpenAI's words reckons it.
fn thinking(effort: &str) -> Value {
    let budget = match effort {
        "none" => return json!({"thinkingBudget": 0}),
        "low" => 1_024,
        "medium" => 8_192,
        _ => 24_576,
    };
    json!({"thinkingBudget": budget, "includeThoughts": true})
}

/// Of a model that an API key is for; `tunedModels/NAME` and the like keep their collection.
fn keyed_path(model: &str, method: &str) -> String {
    let (collection, name) = model.split_once('/').unwrap_or(("models", model));
    format!("/v1beta/{}/{}{method}", segment(collection), segment(name))
}

impl Gemini {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        Kind::Gemini.refuse(&[
            ("plain completions", spec.task == Task::Completion),
            ("embeddings and ranking here", !spec.task.generates()),
        ])?;
        let method = if spec.stream {
            ":streamGenerateContent?alt=sse"
        } else {
            ":generateContent"
        };
        let path = match &spec.place.google {
            Some(place) => place.method("google", &spec.model, method),
            None => keyed_path(&spec.model, method),
        };
        Ok(Self {
            template: Template::new(path, spec, &[], Map::new())?,
            config: config(&spec.sampling),
            by_key: spec.place.google.is_none(),
            stream: spec.stream,
            candidates: spec.sampling.n.unwrap_or(1),
        })
    }
}

impl Provider for Gemini {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let takes = Takes {
            parts: true,
            ..Takes::default()
        };
        Kind::Gemini.check(ask, takes)?;
        let addressed = images_in(&ask.prompt).any(|uri| base64_in(uri).is_none());
        Kind::Gemini.refuse(&[("images by address", addressed)])?;
        let system = instructions(&ask.prompt);
        let body = Body {
            system_instruction: system.map(|text| Content::text(None, text)),
            contents: contents(&ask.prompt)?,
            generation_config: Config {
                max_output_tokens: ask.max_tokens,
                constants: &self.config,
            },
        };
        self.template.request(&body, ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Answer::new(self.candidates), self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        if self.by_key {
            secret_header(HeaderName::from_static("x-goog-api-key"), "", key)
        } else {
            secret_header(AUTHORIZATION, "Bearer ", key)
        }
    }
}
