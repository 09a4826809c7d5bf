//! Models at Amazon `SageMaker`'s endpoints: the words of their containers' requests and what their answers mean.
//! Who lets a request in is not its affair: that is a signature, which names the time.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use serde::Deserialize;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::asked::Takes;
use super::aws::accept;
use super::aws::place::Places;
use super::body::{AsMessages, Template, as_text, path_segment, set};
use super::errors::{error_code, excerpt, words_of};
use super::json::{Few, Text, parse};
use super::lines::Lines;
use super::openai;
use super::reader::{Dialect, Framing, Out, Reader};
use super::rows::check_row;
use super::sse::{MAX_EVENT_BYTES, TooLong};
use super::tgi::{Details, Token, tell_details, tell_token};
use super::{DecodeError, Decoder, Endpoint, Kind, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, ContentKind, Secret};

/// Who sends a request accepts the licence of the model, as some containers want it said.
const LICENCE: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-amzn-sagemaker-custom-attributes"),
    HeaderValue::from_static("accept_eula=true"),
);

const PLACES: Places = Places {
    top: &["inputs", "parameters"],
    names: &[
        ("max_tokens", "max_new_tokens"),
        ("max_completion_tokens", "max_new_tokens"),
    ],
    named_in: Some("parameters"),
    rest_in: Some("parameters"),
};

/// Of a body that is `OpenAI`'s: all of them at the top.
const AT_THE_TOP: Places = Places {
    top: &[],
    names: &[("max_completion_tokens", "max_tokens")],
    named_in: None,
    rest_in: None,
};

/// The runtime's API.
#[derive(Debug)]
pub(super) struct SageMaker {
    template: Template,
    parameters: Map<String, Value>,
    form: Form,
    stream: bool,
}

/// What a container takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A text to go on with.
    Text,
    /// A list of conversations, as Llama's containers had it. These know by the path alone whether to stream.
    Lists,
    /// `OpenAI`'s chat.
    Chat,
}

impl Form {
    fn of(spec: &Spec) -> Self {
        match spec.task {
            Task::Chat if spec.place.lists_of_messages => Self::Lists,
            Task::Chat => Self::Chat,
            _ => Self::Text,
        }
    }

    /// The fields that stand at the top of every body. text-generation-inference looks there for whether to stream.
    fn constants(self, spec: &Spec) -> Map<String, Value> {
        let mut top = Map::new();
        if self != Self::Lists {
            set(&mut top, "stream", spec.stream.then_some(true));
        }
        if self == Self::Chat {
            let asks = spec.stream && !spec.place.no_stream_options;
            let usage = asks.then(|| json!({"include_usage": true}));
            set(&mut top, "stream_options", usage);
            sample(&mut top, spec);
        }
        top
    }
}

fn sample(fields: &mut Map<String, Value>, spec: &Spec) {
    set(fields, "temperature", spec.sampling.temperature);
    set(fields, "top_k", spec.sampling.top_k);
}

#[derive(Serialize)]
struct Body<T> {
    inputs: T,
    parameters: Map<String, Value>,
}

#[derive(Serialize)]
struct Chat<'a> {
    messages: AsMessages<'a>,
    max_tokens: u32,
}

impl SageMaker {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let sampling = &spec.sampling;
        Kind::SageMaker.refuse(&[
            ("embeddings and no ranking", !spec.task.generates()),
            ("n", sampling.n.is_some_and(|n| n != 1)),
            ("logprobs", sampling.logprobs.is_some()),
            ("reasoning_effort", sampling.reasoning_effort.is_some()),
        ])?;
        let way = if spec.stream {
            "invocations-response-stream"
        } else {
            "invocations"
        };
        let path = format!("/endpoints/{}/{way}", path_segment(&spec.model));
        let form = Form::of(spec);
        let mut parameters = Map::new();
        // Without `details` text-generation-inference counts no tokens; the containers of chats know no such thing.
        let counted = (form == Form::Text).then_some(true);
        set(&mut parameters, "details", counted);
        sample(&mut parameters, spec);
        let headers = [accept(spec.stream), LICENCE];
        Ok(Self {
            template: Template::new(path, spec, &headers, form.constants(spec))?,
            parameters,
            form,
            stream: spec.stream,
        })
    }
}

impl Provider for SageMaker {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        Kind::SageMaker.check(ask, Takes::default())?;
        let extra = ask.extra.as_deref();
        let places = if self.form == Form::Chat {
            AT_THE_TOP
        } else {
            PLACES
        };
        let extra = extra
            .map(|row| check_row(Kind::SageMaker, self.stream, row).map(|()| places.place(row)));
        let extra = extra.transpose()?;
        let extra = extra.as_ref();
        let messages = || AsMessages::new(Kind::SageMaker, &ask.prompt);
        let parameters = || {
            let mut parameters = Map::new();
            set(&mut parameters, "max_new_tokens", Some(ask.max_tokens));
            parameters.extend(self.parameters.clone());
            parameters
        };
        match self.form {
            Form::Chat => {
                let (messages, max_tokens) = (messages()?, ask.max_tokens);
                let chat = Chat {
                    messages,
                    max_tokens,
                };
                self.template.request(&chat, extra)
            }
            Form::Lists => {
                let (inputs, parameters) = ([messages()?], parameters());
                self.template.request(&Body { inputs, parameters }, extra)
            }
            Form::Text => {
                let inputs = as_text(Kind::SageMaker, &ask.prompt)?;
                let parameters = parameters();
                self.template.request(&Body { inputs, parameters }, extra)
            }
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words::default(), self.stream))
    }

    fn auth(&self, _key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        Err(Kind::SageMaker
            .lacks("API key; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY sign its requests"))
    }
}

/// One document of an answer, whichever container wrote it.
#[derive(Deserialize)]
struct Document<'a> {
    /// Of text-generation-inference and Amazon's large-model container.
    #[serde(borrow)]
    token: Option<Token<'a>>,
    #[serde(borrow)]
    generated_text: Option<Text<'a>>,
    #[serde(borrow)]
    details: Option<Details<'a>>,
    /// Of the Llama containers: a text, or a message.
    #[serde(borrow)]
    generation: Option<&'a RawValue>,
    /// Of older large-model containers.
    #[serde(borrow)]
    outputs: Option<&'a RawValue>,
    /// Of containers that speak as `OpenAI`.
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Text<'a>,
}

/// What the answers mean: the payloads of a stream joined are lines, each of them a document, an event's `data:`, or a part
/// of one document that is written over several lines.
#[derive(Debug, Default)]
struct Words {
    lines: Lines,
    inside: Inside,
}

/// What is inside of the messages.
#[derive(Debug, Default)]
struct Inside {
    /// The start of a document that has more than one line.
    document: Option<Vec<u8>>,
    openai: Option<Box<openai::decode::Words>>,
    /// There was text, so that a last document with all of it repeats it.
    heard: bool,
    /// There was a document of a kind of stream whose last one is like the others.
    unmarked: bool,
}

impl Dialect for Words {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let Self { lines, inside } = self;
        lines.feed(data, &mut |line| inside.line(line.trim_ascii(), out))
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        if !self.inside.say(body, out)? {
            return Err(DecodeError::Missing {
                field: "generated_text",
                excerpt: excerpt(body),
            });
        }
        out.end();
        Ok(())
    }

    /// A last line needs no end; what does not read was cut.
    fn close(&mut self, out: &mut Out<'_>) {
        let Self { lines, inside } = self;
        let mut whole = lines.finish(&mut |line| inside.line(line.trim_ascii(), out));
        if let Some(document) = inside.document.take() {
            whole = inside.say(&document, out).map(drop);
        }
        if whole.is_ok() && inside.unmarked {
            out.end();
        } else if let Some(openai) = &mut inside.openai {
            openai.close(out);
        }
    }
}

impl Inside {
    fn line(&mut self, line: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        if let Some(document) = &mut self.document {
            if document.len() + line.len() >= MAX_EVENT_BYTES {
                return Err(TooLong.into());
            }
            document.push(b'\n');
            document.extend_from_slice(line);
            return Ok(());
        }
        match line {
            [] | [b':', ..] => return Ok(()),
            [b'{' | b'[', ..] => {}
            _ => {
                return match line.strip_prefix(b"data:") {
                    Some(data) => self.data(data.trim_ascii(), out),
                    None if is_field(line) => Ok(()),
                    None => self.say(line, out).map(drop),
                };
            }
        }
        match self.say(line, out) {
            Err(DecodeError::Json {
                incomplete: true, ..
            }) => self.document = Some(line.to_vec()),
            other => return other.map(drop),
        }
        Ok(())
    }

    /// The data of an event.
    fn data(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        match data {
            [] => {}
            b"[DONE]" => out.end(),
            _ => _ = self.say(data, out)?,
        }
        Ok(())
    }

    /// Reads a document, or a list of them; `false` if nothing in it is known.
    fn say(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<bool, DecodeError> {
        let documents: Few<Document<'_>> = if data.trim_ascii_start().first() == Some(&b'[') {
            parse(data)?
        } else {
            Few::one(parse(data)?)
        };
        let mut known = false;
        for document in documents.iter() {
            if document.choices.is_some() {
                let words = || Box::new(openai::decode::Words::new(1, None));
                self.openai.get_or_insert_with(words).event(data, out)?;
                known = true;
            } else {
                known |= self.tell(document, data, out);
            }
        }
        Ok(known)
    }

    /// Says what a document tells; `false` if that is nothing known.
    fn tell(&mut self, document: &Document<'_>, data: &[u8], out: &mut Out<'_>) -> bool {
        if let Some(error) = document.error {
            out.coded_error(&words_of(error), error_code(data));
            return true;
        }
        if let Some(token) = &document.token {
            self.heard = true;
            tell_token(token, out);
        }
        let text = document.generated_text.as_ref().map(Text::as_str);
        if let Some(text) = text.filter(|_| !self.heard) {
            out.content(ContentKind::Text, text, None, 0);
            out.event_end(
                document
                    .details
                    .as_ref()
                    .and_then(|details| details.generated_tokens),
            );
        }
        let generation = document.generation.map(text_in);
        if let Some(text) = &generation {
            out.content(ContentKind::Text, text, None, 0);
            out.event_end(None);
        }
        for text in document.outputs.map(texts_in).unwrap_or_default() {
            self.unmarked = true;
            out.content(ContentKind::Text, &text, None, 0);
            out.event_end(None);
        }
        if let Some(details) = &document.details {
            tell_details(details, out);
        }
        if text.is_some() || generation.is_some() {
            out.end();
        }
        document.token.is_some()
            || text.is_some()
            || generation.is_some()
            || document.outputs.is_some()
    }
}

/// Whether a line is a field of an event other than its data.
fn is_field(line: &[u8]) -> bool {
    [&b"event:"[..], b"id:", b"retry:"]
        .iter()
        .any(|field| line.starts_with(field))
}

/// A text, or that of a message.
fn text_in(value: &RawValue) -> String {
    let message =
        || serde_json::from_str::<Message<'_>>(value.get()).map(|message| message.content);
    let text = serde_json::from_str::<Text<'_>>(value.get()).or_else(|_| message());
    text.map(|text| text.as_str().to_owned())
        .unwrap_or_default()
}

fn texts_in(value: &RawValue) -> Vec<String> {
    serde_json::from_str(value.get()).unwrap_or_else(|_| vec![text_in(value)])
}
