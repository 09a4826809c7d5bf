//! Anthropic's messages: the words of a request and what its events and bodies mean.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use serde::Serialize;
use serde::{Deserialize, Serializer};
use serde_json::Map;
use serde_json::value::RawValue;

use super::asked::{Takes, base64_in};
use super::body::{AsMessages, Template, joined_contents, secret_header, set};
use super::errors::{excerpt, words_of};
use super::json::{Few, Text, parse};
use super::reader::{Dialect, Out, Reader};
use super::reasons::finish_reason;
use super::spec::Kind;
use super::{DecodeError, Decoder, Endpoint, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, ContentKind, Message, Part, Prompt, Role, Secret, Usage};

const VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("anthropic-version"),
    HeaderValue::from_static("2023-06-01"),
);

/// The messages API.
#[derive(Debug)]
pub(super) struct Anthropic {
    template: Template,
    stream: bool,
}

/// What of a request is the ask's own.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    messages: Turns<'a>,
}

impl<'a> Body<'a> {
    pub(super) fn of(ask: &'a Ask) -> Self {
        Self {
            max_tokens: ask.max_tokens,
            system: system_of(&ask.prompt),
            messages: Turns(&ask.prompt),
        }
    }
}

/// The messages without the system's: those stand in a field of their own.
struct Turns<'a>(&'a Prompt);

impl Serialize for Turns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Prompt::Messages(messages) => {
                serializer.collect_seq(messages.iter().filter(|message| !is_system(message)))
            }
            Prompt::Parts(parts) => serializer.collect_seq([Blocks {
                role: Role::User,
                content: parts.iter().map(Piece::of).collect(),
            }]),
            _ => AsMessages(self.0).serialize(serializer),
        }
    }
}

/// A message of texts and images.
#[derive(Serialize)]
struct Blocks<'a> {
    role: Role,
    content: Vec<Piece<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Piece<'a> {
    Text { text: &'a str },
    Image { source: Source<'a> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
}

impl<'a> Piece<'a> {
    fn of(part: &'a Part) -> Self {
        match part {
            Part::Text(text) => Self::Text { text },
            Part::Image(uri) => Self::Image {
                source: match base64_in(uri) {
                    Some((media_type, data)) => Source::Base64 { media_type, data },
                    None => Source::Url { url: uri },
                },
            },
        }
    }
}

fn is_system(message: &Message) -> bool {
    message.role == Role::System
}

fn system_of(prompt: &Prompt) -> Option<String> {
    let Prompt::Messages(messages) = prompt else {
        return None;
    };
    let mut system = messages
        .iter()
        .filter(|message| is_system(message))
        .peekable();
    system.peek()?;
    Some(joined_contents(system))
}

impl Anthropic {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let sampling = &spec.sampling;
        Kind::Anthropic.refuse(&[
            ("plain completions", spec.task == Task::Completion),
            ("embeddings and ranking", !spec.task.generates()),
            ("n", sampling.n.is_some_and(|n| n != 1)),
            ("logprobs", sampling.logprobs.is_some()),
            ("reasoning_effort", sampling.reasoning_effort.is_some()),
        ])?;
        let mut body = Map::new();
        set(&mut body, "model", Some(spec.model.as_str()));
        set(&mut body, "stream", Some(spec.stream));
        set(&mut body, "temperature", sampling.temperature);
        set(&mut body, "top_k", sampling.top_k);
        let template = Template::new("/v1/messages", spec, &[VERSION], body)?;
        Ok(Self {
            template,
            stream: spec.stream,
        })
    }
}

impl Provider for Anthropic {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        Kind::Anthropic.check(
            ask,
            Takes {
                parts: true,
                ..Takes::default()
            },
        )?;
        self.template.request(&Body::of(ask), ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words, self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(HeaderName::from_static("x-api-key"), "", key)
    }
}

/// Any event; which fields are there depends on `kind`.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    message: Option<Document<'a>>,
    /// A block's start with text in it, as some gateways send it.
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    usage: Option<Counts>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    thinking: Text<'a>,
    #[serde(default, borrow)]
    partial_json: Text<'a>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
}

/// A whole body, and the `message` of the first event.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    content: Option<Few<Block<'a>>>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    usage: Option<Counts>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the API's own names")]
struct Counts {
    input_tokens: Option<u32>,
    cache_creation_input_tokens: Option<u32>,
    cache_read_input_tokens: Option<u32>,
    output_tokens: Option<u32>,
}

impl Counts {
    /// `input_tokens` leaves out what was read from or written to the cache: the prompt is all three.
    fn prompt(&self) -> Usage {
        let cached = [
            self.cache_creation_input_tokens,
            self.cache_read_input_tokens,
        ];
        let whole = |fresh: u32| {
            cached
                .into_iter()
                .flatten()
                .fold(fresh, u32::saturating_add)
        };
        Usage {
            prompt_tokens: self.input_tokens.map(whole),
            cached_tokens: self.cache_read_input_tokens,
            ..Usage::default()
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            completion_tokens: self.output_tokens,
            ..self.prompt()
        }
    }
}

/// What the events mean; nothing has to be remembered between them.
#[derive(Debug)]
pub(super) struct Words;

impl Dialect for Words {
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let event: Event<'_> = parse(data)?;
        if let Some(error) = event.error {
            out.error(&words_of(error));
        }
        match event.kind.as_str() {
            "message_start" => {
                // Its output count is a placeholder: in a cut answer it would pass for the real one.
                let counts = event.message.and_then(|message| message.usage);
                out.usage(counts.map(|counts| counts.prompt()).unwrap_or_default());
            }
            "content_block_start" => {
                if let Some(block) = &event.content_block {
                    out.content(ContentKind::Reasoning, block.thinking.as_str(), None, 0);
                    out.content(ContentKind::Text, block.text.as_str(), None, 0);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = &event.delta {
                    out.content(ContentKind::Reasoning, delta.thinking.as_str(), None, 0);
                    out.content(ContentKind::Text, delta.text.as_str(), None, 0);
                    out.content(ContentKind::ToolCall, delta.partial_json.as_str(), None, 0);
                }
            }
            "message_delta" => {
                let word = event
                    .delta
                    .as_ref()
                    .map_or("", |delta| delta.stop_reason.as_str());
                out.finish(finish_reason(word));
                out.usage(event.usage.map(|counts| counts.usage()).unwrap_or_default());
            }
            "message_stop" => out.end(),
            _ => {}
        }
        out.event_end(None);
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let document: Document<'_> = parse(body)?;
        if let Some(error) = document.error {
            out.error(&words_of(error));
        } else if document.content.is_none() {
            return Err(DecodeError::Missing {
                field: "content",
                excerpt: excerpt(body),
            });
        }
        for block in document.content.iter().flat_map(Few::iter) {
            out.content(ContentKind::Reasoning, block.thinking.as_str(), None, 0);
            out.content(ContentKind::Text, block.text.as_str(), None, 0);
            out.content(
                ContentKind::ToolCall,
                block.input.map_or("", RawValue::get),
                None,
                0,
            );
        }
        let usage = document
            .usage
            .map(|counts| counts.usage())
            .unwrap_or_default();
        out.event_end(usage.completion_tokens);
        out.finish(finish_reason(document.stop_reason.as_str()));
        out.usage(usage);
        out.end();
        Ok(())
    }

    /// `message_stop` always comes: without it the stream was cut.
    fn close(&mut self, _out: &mut Out<'_>) {}
}
