//! Ollama's own API: chat, generate and embed, and what their lines mean.
//! Its `OpenAI`-like routes are spoken as `OpenAI`'s.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderName, HeaderValue, Request};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::asked::{Takes, base64_in, images_in, text_of};
use super::body::{AsMessages, Template, secret_header, set};
use super::errors::{error_code, excerpt, words_of};
use super::json::{Count, Few, Text, parse};
use super::reader::{Dialect, Framing, Out, Reader};
use super::reasons::finish_reason;
use super::spec::Kind;
use super::{DecodeError, Decoder, Embeddings, Endpoint, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, ContentKind, Prompt, Role, Secret, ServerFigures, Usage};

const LINES: (HeaderName, HeaderValue) = (ACCEPT, HeaderValue::from_static("application/x-ndjson"));

/// Chat, generate or embed.
#[derive(Debug)]
pub(super) struct Ollama {
    template: Template,
    task: Way,
    options: Map<String, Value>,
    stream: bool,
}

/// Which of the three routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Chat,
    Generate,
    Embed,
}

impl Way {
    fn of(task: &Task) -> Result<Self, ShapeError> {
        match task {
            Task::Chat => Ok(Self::Chat),
            Task::Completion => Ok(Self::Generate),
            Task::Embeddings(embeddings) => {
                refuse_embeddings(embeddings)?;
                Ok(Self::Embed)
            }
            Task::Rerank(_) => Err(ShapeError::Unsupported {
                kind: Kind::Ollama,
                setting: "ranking",
            }),
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/api/chat",
            Self::Generate => "/api/generate",
            Self::Embed => "/api/embed",
        }
    }
}

/// `normalize` is not one of these: the vectors always have length 1.
fn refuse_embeddings(embeddings: &Embeddings) -> Result<(), ShapeError> {
    Kind::Ollama.refuse(&[
        ("prompt_template", embeddings.prompt_template.is_some()),
        ("return_logits", embeddings.return_logits.is_some()),
    ])
}

impl Ollama {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        Kind::Ollama.refuse(&[("n", spec.sampling.n.is_some_and(|n| n != 1))])?;
        let task = Way::of(&spec.task)?;
        let spec = &Spec {
            stream: spec.stream && spec.task.generates(),
            ..spec.clone()
        };
        let own_headers: &[_] = if spec.stream { &[LINES] } else { &[] };
        let mut options = Map::new();
        set(&mut options, "temperature", spec.sampling.temperature);
        set(&mut options, "top_k", spec.sampling.top_k);
        Ok(Self {
            template: Template::new(task.path(), spec, own_headers, constants(spec))?,
            task,
            options,
            stream: spec.stream,
        })
    }
}

fn constants(spec: &Spec) -> Map<String, Value> {
    let mut body = Map::new();
    set(&mut body, "model", Some(spec.model.as_str()));
    if let Task::Embeddings(embeddings) = &spec.task {
        set(&mut body, "dimensions", embeddings.dimensions);
        return body;
    }
    set(&mut body, "stream", Some(spec.stream));
    let effort = spec.sampling.reasoning_effort.as_deref();
    let think = effort.map(|effort| match effort {
        "none" => json!(false),
        level => json!(level),
    });
    set(&mut body, "think", think);
    set(&mut body, "logprobs", spec.sampling.logprobs.map(|_| true));
    set(&mut body, "top_logprobs", spec.sampling.logprobs);
    body
}

#[derive(Serialize)]
struct Chat<'a> {
    messages: Messages<'a>,
    options: Options<'a>,
}

#[derive(Serialize)]
struct Generate<'a> {
    prompt: &'a str,
    options: Options<'a>,
}

#[derive(Serialize)]
struct Embed<'a> {
    input: Input<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Batch(&'a [std::sync::Arc<str>]),
    One([&'a str; 1]),
}

#[derive(Serialize)]
struct Options<'a> {
    num_predict: u32,
    #[serde(flatten)]
    constants: &'a Map<String, Value>,
}

/// A conversation, where images stand beside a message's text instead of in it.
struct Messages<'a>(&'a Prompt);

#[derive(Serialize)]
struct WithImages<'a> {
    role: Role,
    content: &'a str,
    images: Vec<&'a str>,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !matches!(self.0, Prompt::Parts(_)) {
            return AsMessages(self.0).serialize(serializer);
        }
        serializer.collect_seq([WithImages {
            role: Role::User,
            content: &text_of(self.0),
            images: images_in(self.0)
                .filter_map(|uri| base64_in(uri).map(|(_, data)| data))
                .collect(),
        }])
    }
}

impl Provider for Ollama {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        Kind::Ollama.check(
            ask,
            Takes {
                parts: self.task == Way::Chat,
                batch: self.task == Way::Embed,
                ..Takes::default()
            },
        )?;
        Kind::Ollama.refuse(&[
            (
                "max_tokens of 0: to it that is no limit",
                ask.max_tokens == 0 && self.task != Way::Embed,
            ),
            (
                "images by address",
                images_in(&ask.prompt).any(|uri| base64_in(uri).is_none()),
            ),
        ])?;
        let extra = ask.extra.as_deref();
        let text = text_of(&ask.prompt);
        let options = Options {
            num_predict: ask.max_tokens,
            constants: &self.options,
        };
        match self.task {
            Way::Chat => {
                let messages = Messages(&ask.prompt);
                self.template.request(&Chat { messages, options }, extra)
            }
            Way::Generate => {
                let prompt = &text;
                self.template.request(&Generate { prompt, options }, extra)
            }
            Way::Embed => {
                let input = match &ask.prompt {
                    Prompt::Batch(texts) => Input::Batch(texts),
                    _ => Input::One([&text]),
                };
                self.template.request(&Embed { input }, extra)
            }
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words, self.stream))
    }

    /// Its own servers take no key; those in front of them take this one.
    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}

/// A line of a stream, or a whole body. Chat has a `message`, generate a `response`, embed `embeddings`.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    response: Option<Text<'a>>,
    #[serde(default, borrow)]
    thinking: Text<'a>,
    embeddings: Option<Count>,
    logprobs: Option<Count>,
    #[serde(default)]
    done: bool,
    #[serde(default, borrow)]
    done_reason: Text<'a>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    prompt_eval_count: Option<u32>,
    eval_count: Option<u32>,
    /// Times are in nanoseconds.
    total_duration: Option<u64>,
    load_duration: Option<u64>,
    prompt_eval_duration: Option<u64>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Text<'a>,
    #[serde(default, borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    tool_calls: Option<Few<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    /// An object, which comes in one piece.
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Line<'_> {
    const fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_eval_count,
            completion_tokens: self.eval_count,
            cached_tokens: None,
            reasoning_tokens: None,
        }
    }

    /// The first token follows the reading of the prompt, and that the loading of the model.
    fn figures(&self) -> ServerFigures {
        let load = self.load_duration.unwrap_or(0);
        ServerFigures {
            total_ns: self.total_duration,
            first_token_ns: self
                .prompt_eval_duration
                .map(|read| read.saturating_add(load)),
            ..ServerFigures::default()
        }
    }
}

/// What the lines mean; nothing has to be remembered between them.
#[derive(Debug)]
struct Words;

impl Dialect for Words {
    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let line: Line<'_> = parse(data)?;
        tell_error(&line, data, out);
        tell_content(&line, out);
        out.event_end(None);
        tell_rest(&line, out);
        if line.done {
            out.end();
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let line: Line<'_> = parse(body)?;
        let says_nothing =
            line.message.is_none() && line.response.is_none() && line.embeddings.is_none();
        if says_nothing && line.error.is_none() {
            return Err(DecodeError::Missing {
                field: "message",
                excerpt: excerpt(body),
            });
        }
        tell_error(&line, body, out);
        tell_content(&line, out);
        out.event_end(line.eval_count);
        tell_rest(&line, out);
        out.end();
        Ok(())
    }

    /// The last line says that it is: without it the stream was cut.
    fn close(&mut self, _out: &mut Out<'_>) {}
}

fn tell_error(line: &Line<'_>, data: &[u8], out: &mut Out<'_>) {
    if let Some(error) = line.error {
        out.coded_error(&words_of(error), error_code(data));
    }
}

fn tell_content(line: &Line<'_>, out: &mut Out<'_>) {
    let mut marked = line.logprobs.map(|count| count.0);
    let mut say = |kind, text: &str| {
        if !text.is_empty() {
            out.content(kind, text, marked, 0);
            marked = marked.map(|_| 0);
        }
    };
    say(ContentKind::Reasoning, line.thinking.as_str());
    if let Some(message) = &line.message {
        say(ContentKind::Reasoning, message.thinking.as_str());
        say(ContentKind::Text, message.content.as_str());
        let calls = message.tool_calls.iter().flat_map(Few::iter);
        for function in calls.filter_map(|call| call.function.as_ref()) {
            say(
                ContentKind::ToolCall,
                function.arguments.map_or("", RawValue::get),
            );
        }
    }
    say(
        ContentKind::Text,
        line.response.as_ref().map_or("", Text::as_str),
    );
    out.silent_tokens(marked.unwrap_or(0));
}

fn tell_rest(line: &Line<'_>, out: &mut Out<'_>) {
    out.vectors(line.embeddings.map_or(0, |count| count.0));
    out.finish(finish_reason(line.done_reason.as_str()));
    out.usage(line.usage());
    out.server(&line.figures());
}
