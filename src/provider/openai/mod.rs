//! `OpenAI`'s chat, plain completions and embeddings, and the ranking that servers put beside them, as `OpenAI` and those that
//! speak like it take them. What their answers mean is in `decode` and `vectors`.

pub(super) mod decode;
mod vectors;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::body::{AsMessages, Template, as_text, secret_header, set, unsaid};
use super::figures::Figures;
use super::reader::Reader;
use super::spec::Kind;
use super::{Decoder, Endpoint, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, Prompt, Secret};
use decode::Words;
use vectors::Vectors;

/// What a server that speaks like `OpenAI`'s does in its own way.
#[derive(Debug)]
pub(super) struct Manner {
    /// Where it takes requests.
    pub(super) path: Cow<'static, str>,
    /// Constant fields that it takes besides.
    pub(super) more: Map<String, Value>,
    /// What it calls `stream`.
    pub(super) stream: &'static str,
    /// The header that carries the key, and what stands before it there.
    pub(super) key: (HeaderName, &'static str),
}

impl Manner {
    /// `OpenAI`'s own, below `/v1` or where the settings have it.
    pub(super) fn of(spec: &Spec) -> Self {
        let path = match spec.task {
            Task::Chat => "/v1/chat/completions",
            Task::Completion => "/v1/completions",
            Task::Embeddings(_) => "/v1/embeddings",
            Task::Rerank(_) => "/v1/rerank",
        };
        Self {
            path: match (&spec.place.path, &spec.place.root) {
                (Some(whole), _) => Cow::Owned(whole.clone()),
                (None, None) => Cow::Borrowed(path),
                (None, Some(root)) => Cow::Owned(format!("{root}{}", &path["/v1".len()..])),
            },
            more: Map::new(),
            stream: "stream",
            key: (AUTHORIZATION, "Bearer "),
        }
    }
}

/// One of the four APIs.
#[derive(Debug)]
pub(super) struct OpenAi {
    template: Template,
    kind: Kind,
    task: Task,
    stream: bool,
    choices: u32,
    force_min_tokens: bool,
    max_completion_tokens: bool,
    key: (HeaderName, &'static str),
}

/// What changes from request to request.
#[derive(Serialize)]
#[serde(untagged)]
enum Own<'a> {
    Chat {
        #[serde(flatten)]
        length: Length<'a>,
        messages: AsMessages<'a>,
    },
    Completion {
        #[serde(flatten)]
        length: Length<'a>,
        prompt: Input<'a>,
    },
    Embeddings {
        input: Input<'a>,
    },
    Rerank {
        documents: Input<'a>,
    },
}

/// How much is to be said, and what.
#[derive(Serialize)]
struct Length<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forced_generation: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(Cow<'a, str>),
    Texts(&'a [Arc<str>]),
    Paragraphs(Vec<&'a str>),
    Tokens(&'a [u32]),
}

impl OpenAi {
    /// The API for these settings, in this manner.
    pub(super) fn new(spec: &Spec, manner: Manner) -> Result<Self, ShapeError> {
        let mut constants = match &spec.task {
            Task::Chat | Task::Completion => generation(spec, manner.stream),
            task => vectors(spec, task)?,
        };
        constants.extend(manner.more);
        Ok(Self {
            template: Template::new(manner.path, spec, &[], constants)?,
            kind: spec.kind,
            task: spec.task.clone(),
            stream: spec.streams(),
            choices: spec.sampling.n.unwrap_or(1),
            force_min_tokens: spec.fireworks.force_min_tokens,
            max_completion_tokens: spec.place.max_completion_tokens,
            key: manner.key,
        })
    }

    fn own<'a>(&self, ask: &'a Ask) -> Result<Own<'a>, ShapeError> {
        let (kind, prompt) = (self.kind, &ask.prompt);
        Ok(match self.task {
            Task::Chat => Own::Chat {
                length: self.length(ask),
                messages: AsMessages::new(kind, prompt)?,
            },
            Task::Completion => Own::Completion {
                length: self.length(ask),
                prompt: match prompt {
                    Prompt::Tokens(ids) => Input::Tokens(ids),
                    _ => Input::Text(as_text(kind, prompt)?),
                },
            },
            Task::Embeddings(_) => Own::Embeddings {
                input: match prompt {
                    Prompt::Batch(texts) => Input::Texts(texts),
                    Prompt::Tokens(ids) => Input::Tokens(ids),
                    _ => Input::Text(as_text(kind, prompt)?),
                },
            },
            Task::Rerank(_) => Own::Rerank {
                documents: match prompt {
                    Prompt::Documents(texts) => Input::Texts(texts),
                    Prompt::Text(text) => Input::Paragraphs(paragraphs(text)),
                    _ => return Err(unsaid(kind, prompt)),
                },
            },
        })
    }

    /// A row's length under the name that the model takes.
    fn renamed<'a>(&self, row: &'a Map<String, Value>) -> Cow<'a, Map<String, Value>> {
        let mut row = Cow::Borrowed(row);
        if self.max_completion_tokens && row.contains_key("max_tokens") {
            let row = row.to_mut();
            if let Some(most) = row.shift_remove("max_tokens") {
                let _own = row.entry("max_completion_tokens").or_insert(most);
            }
        }
        row
    }

    fn length<'a>(&self, ask: &'a Ask) -> Length<'a> {
        let renamed = self.max_completion_tokens;
        Length {
            max_tokens: (!renamed).then_some(ask.max_tokens),
            max_completion_tokens: renamed.then_some(ask.max_tokens),
            min_tokens: self.force_min_tokens.then_some(ask.max_tokens),
            forced_generation: ask.forced.as_deref(),
        }
    }
}

/// What stands between blank lines.
fn paragraphs(text: &str) -> Vec<&str> {
    text.split("\n\n")
        .map(|paragraph| paragraph.trim_matches('\n'))
        .filter(|paragraph| !paragraph.is_empty())
        .collect()
}

fn generation(spec: &Spec, stream: &str) -> Map<String, Value> {
    let sampling = &spec.sampling;
    let mut body = Map::new();
    set(&mut body, "model", Some(spec.model.as_str()));
    set(&mut body, stream, Some(spec.stream));
    let asks = spec.stream && !spec.place.no_stream_options;
    let usage = asks.then(|| json!({"include_usage": true}));
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
    let effort = sampling.reasoning_effort.as_deref();
    set(&mut body, "reasoning_effort", effort);
    body
}

/// The temperature always has a value, and means nothing here; what was set by hand is refused.
fn vectors(spec: &Spec, task: &Task) -> Result<Map<String, Value>, ShapeError> {
    let sampling = &spec.sampling;
    spec.kind.refuse(&[
        ("n without text", sampling.n.is_some_and(|n| n != 1)),
        ("top_k without text", sampling.top_k.is_some()),
        ("logprobs without text", sampling.logprobs.is_some()),
        (
            "reasoning_effort without text",
            sampling.reasoning_effort.is_some(),
        ),
    ])?;
    let mut body = Map::new();
    set(&mut body, "model", Some(spec.model.as_str()));
    match task {
        Task::Embeddings(fields) => {
            set(&mut body, "dimensions", fields.dimensions);
            let template = fields.prompt_template.as_deref();
            set(&mut body, "prompt_template", template);
            set(&mut body, "return_logits", fields.return_logits.clone());
            let (name, always) = match spec.kind {
                // It refuses the other name by now.
                Kind::Vllm => ("use_activation", true),
                // It refuses every field that it does not know.
                Kind::Azure => ("normalize", false),
                _ => ("normalize", true),
            };
            let said = fields.normalize || always;
            set(&mut body, name, said.then_some(fields.normalize));
        }
        Task::Rerank(fields) => {
            set(&mut body, "query", Some(fields.query.as_str()));
            set(&mut body, "top_n", fields.top_n);
            let unwanted = (!fields.return_documents).then_some(false);
            set(&mut body, "return_documents", unwanted);
        }
        Task::Chat | Task::Completion => {}
    }
    Ok(body)
}

impl Provider for OpenAi {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let can_force = self.kind == Kind::Fireworks && self.task.generates();
        let forced = ask.forced.is_some() && !can_force;
        self.kind.refuse(&[("forced generation", forced)])?;
        let extra = ask.extra.as_deref().map(|row| self.renamed(row));
        self.template.request(&self.own(ask)?, extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        let figures = (self.kind == Kind::Fireworks).then(Box::<Figures>::default);
        if self.task.generates() {
            Box::new(Reader::new(Words::new(self.choices, figures), self.stream))
        } else {
            Box::new(Reader::new(Vectors::new(figures), false))
        }
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        let (name, prefix) = &self.key;
        secret_header(name.clone(), prefix, key)
    }
}
