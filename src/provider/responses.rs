//! `OpenAI`'s Responses: the words of a request and what its events and bodies mean.
//! Answers are not stored at the server, so each request carries its whole conversation.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, json};

use super::asked::Takes;
use super::body::{Template, secret_header, set};
use super::errors::{code_of, error_code, error_text, excerpt, words_of};
use super::json::{Few, Text, parse};
use super::reader::{Dialect, Out, Reader};
use super::reasons::finish_reason;
use super::spec::Kind;
use super::{DecodeError, Decoder, Endpoint, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, ContentKind, FinishReason, Part, Prompt, Role, Secret, Usage};

/// The Responses API.
#[derive(Debug)]
pub(super) struct Responses {
    template: Template,
    stream: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    max_output_tokens: u32,
    input: Input<'a>,
}

/// A text, or a conversation.
struct Input<'a>(&'a Prompt);

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Prompt::Text(text) => serializer.serialize_str(text),
            Prompt::Messages(messages) => serializer.collect_seq(messages.iter()),
            Prompt::Parts(parts) => serializer.collect_seq([Parts {
                role: Role::User,
                content: parts.iter().map(Piece::of).collect(),
            }]),
            Prompt::Tokens(_) | Prompt::Batch(_) | Prompt::Documents(_) => {
                Err(serde::ser::Error::custom("a prompt without words"))
            }
        }
    }
}

#[derive(Serialize)]
struct Parts<'a> {
    role: Role,
    content: Vec<Piece<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'a> {
    InputText { text: &'a str },
    InputImage { image_url: &'a str },
}

impl<'a> Piece<'a> {
    fn of(part: &'a Part) -> Self {
        match part {
            Part::Text(text) => Self::InputText { text },
            Part::Image(image_url) => Self::InputImage { image_url },
        }
    }
}

impl Responses {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let sampling = &spec.sampling;
        Kind::Responses.refuse(&[
            ("plain completions", spec.task == Task::Completion),
            ("embeddings and ranking", !spec.task.generates()),
            ("n", sampling.n.is_some_and(|n| n != 1)),
            ("logprobs", sampling.logprobs.is_some()),
            ("top_k", sampling.top_k.is_some()),
        ])?;
        let mut body = Map::new();
        set(&mut body, "model", Some(spec.model.as_str()));
        set(&mut body, "stream", Some(spec.stream));
        set(&mut body, "store", Some(false));
        set(&mut body, "temperature", sampling.temperature);
        let effort = sampling.reasoning_effort.as_deref();
        let reasoning = effort.map(|effort| json!({"effort": effort}));
        set(&mut body, "reasoning", reasoning);
        Ok(Self {
            template: Template::new("/v1/responses", spec, &[], body)?,
            stream: spec.stream,
        })
    }
}

impl Provider for Responses {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        Kind::Responses.check(
            ask,
            Takes {
                parts: true,
                ..Takes::default()
            },
        )?;
        let body = Body {
            max_output_tokens: ask.max_tokens,
            input: Input(&ask.prompt),
        };
        self.template.request(&body, ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words::default(), self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}

/// Any event; which fields are there depends on `kind`.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Text<'a>,
    /// A text in the events that are known; objects in others.
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<Box<Tail<'a>>>,
}

/// How an answer ended: in the last event and in a whole body.
#[derive(Deserialize)]
struct Tail<'a> {
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    usage: Option<Counts>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(default, borrow)]
    reason: Text<'a>,
}

/// A whole body, its `Tail` apart.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    output: Option<Few<Item<'a>>>,
}

/// A message, a piece of reasoning, or a call.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    summary: Option<Few<Block<'a>>>,
    #[serde(borrow)]
    content: Option<Few<Block<'a>>>,
    #[serde(default, borrow)]
    arguments: Text<'a>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Text<'a>,
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    refusal: Text<'a>,
}

#[derive(Deserialize)]
struct Counts {
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u32>,
}

impl Counts {
    fn usage(&self) -> Usage {
        let cached = self.input_tokens_details.as_ref();
        let reasoning = self.output_tokens_details.as_ref();
        Usage {
            prompt_tokens: self.input_tokens,
            completion_tokens: self.output_tokens,
            cached_tokens: cached.and_then(|details| details.cached_tokens),
            reasoning_tokens: reasoning.and_then(|details| details.reasoning_tokens),
        }
    }
}

/// The state of one answer.
#[derive(Debug, Default)]
struct Words {
    /// It holds a call: a complete answer then ended with one.
    called: bool,
}

/// What kind of output an event's `delta` is; `None` for events without any.
fn kind_of(event: &str) -> Option<ContentKind> {
    Some(match event {
        "response.output_text.delta" => ContentKind::Text,
        "response.refusal.delta" => ContentKind::Refusal,
        "response.reasoning_text.delta"
        | "response.reasoning_summary_text.delta"
        | "response.reasoning.delta" => ContentKind::Reasoning,
        "response.function_call_arguments.delta"
        | "response.mcp_call_arguments.delta"
        | "response.custom_tool_call_input.delta" => ContentKind::ToolCall,
        _ => return None,
    })
}

impl Words {
    fn tell_delta(
        &mut self,
        kind: ContentKind,
        delta: &RawValue,
        out: &mut Out<'_>,
    ) -> Result<(), DecodeError> {
        let text: Text<'_> = parse(delta.get().as_bytes())?;
        self.called |= kind == ContentKind::ToolCall;
        out.content(kind, text.as_str(), None, 0);
        out.event_end(None);
        Ok(())
    }

    fn tell_item(&mut self, item: &Item<'_>, out: &mut Out<'_>) {
        for block in item.summary.iter().flat_map(Few::iter) {
            out.content(ContentKind::Reasoning, block.text.as_str(), None, 0);
        }
        for block in item.content.iter().flat_map(Few::iter) {
            let kind = match block.kind.as_str() {
                "reasoning_text" => ContentKind::Reasoning,
                _ => ContentKind::Text,
            };
            out.content(kind, block.text.as_str(), None, 0);
            out.content(ContentKind::Refusal, block.refusal.as_str(), None, 0);
        }
        let arguments = item.arguments.as_str();
        self.called |= !arguments.is_empty();
        out.content(ContentKind::ToolCall, arguments, None, 0);
    }

    fn tell_tail(&self, tail: &Tail<'_>, out: &mut Out<'_>) {
        let stopped = if self.called {
            FinishReason::ToolCalls
        } else {
            FinishReason::Stop
        };
        let incomplete = tail.incomplete_details.as_ref();
        let reason = incomplete.map_or(Some(stopped), |why| {
            finish_reason(why.reason.as_str()).or(Some(FinishReason::Other))
        });
        out.finish(reason);
        out.usage(tail.usage.as_ref().map(Counts::usage).unwrap_or_default());
    }
}

impl Dialect for Words {
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        // None is sent by `OpenAI`; servers that speak like it close all their streams with it.
        if data == b"[DONE]" {
            return Ok(());
        }
        let event: Event<'_> = parse(data)?;
        if let (Some(kind), Some(delta)) = (kind_of(event.kind.as_str()), event.delta) {
            return self.tell_delta(kind, delta, out);
        }
        match event.kind.as_str() {
            "response.completed" | "response.incomplete" => {
                if let Some(tail) = &event.response {
                    self.tell_tail(tail, out);
                }
                out.end();
            }
            "response.failed" => {
                let error = event.response.as_ref().and_then(|tail| tail.error);
                let words = error.map(words_of);
                let words = words.as_deref().unwrap_or("error without a message");
                out.coded_error(words, error.and_then(code_of));
            }
            "error" => out.coded_error(&error_text(data), error_code(data)),
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let document: Document<'_> = parse(body)?;
        let tail: Tail<'_> = parse(body)?;
        if let Some(error) = tail.error {
            out.coded_error(&words_of(error), code_of(error));
            out.end();
            return Ok(());
        }
        if document.output.is_none() {
            return Err(DecodeError::Missing {
                field: "output",
                excerpt: excerpt(body),
            });
        }
        for item in document.output.iter().flat_map(Few::iter) {
            self.tell_item(item, out);
        }
        let counts = tail.usage.as_ref();
        out.event_end(counts.and_then(|counts| counts.output_tokens));
        self.tell_tail(&tail, out);
        out.end();
        Ok(())
    }

    /// The last event says that it is: without it the stream was cut.
    fn close(&mut self, _out: &mut Out<'_>) {}
}
