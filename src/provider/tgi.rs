//! Hugging Face text-generation-inference's own API: the words of a request and what its answers mean.
//! Its `OpenAI`-like routes are spoken as `OpenAI`'s.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::body::{Template, as_text, secret_header, set};
use super::errors::{code_of, error_code, excerpt, words_of};
use super::json::{Count, Few, Text, parse};
use super::reader::{Dialect, Out, Reader};
use super::reasons::finish_reason;
use super::spec::Kind;
use super::{DecodeError, Decoder, Endpoint, Provider, ShapeError, Spec};
use crate::domain::{Ask, ContentKind, Secret, Usage};

/// The `generate` API.
#[derive(Debug)]
pub(super) struct Tgi {
    template: Template,
    parameters: Map<String, Value>,
    stream: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    inputs: &'a str,
    parameters: Parameters<'a>,
}

#[derive(Serialize)]
struct Parameters<'a> {
    max_new_tokens: u32,
    #[serde(flatten)]
    constants: &'a Map<String, Value>,
}

impl Tgi {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        Kind::Tgi.refuse(&[
            ("embeddings and no ranking", !spec.task.generates()),
            ("n", spec.sampling.n.is_some_and(|n| n != 1)),
            ("reasoning_effort", spec.sampling.reasoning_effort.is_some()),
        ])?;
        let path = if spec.stream {
            "/generate_stream"
        } else {
            "/generate"
        };
        Ok(Self {
            template: Template::new(
                spec.place.path.clone().unwrap_or_else(|| path.to_owned()),
                spec,
                &[],
                Map::new(),
            )?,
            parameters: parameters(spec),
            stream: spec.stream,
        })
    }
}

fn parameters(spec: &Spec) -> Map<String, Value> {
    let sampling = &spec.sampling;
    let mut parameters = Map::new();
    set(&mut parameters, "details", Some(true));
    // It refuses a temperature of 0, and with one of 1 it samples only when told to.
    let sample = sampling.temperature.map(|temperature| temperature > 0.0);
    set(&mut parameters, "do_sample", sample);
    let temperature = sampling
        .temperature
        .filter(|&temperature| temperature > 0.0);
    set(&mut parameters, "temperature", temperature);
    set(&mut parameters, "top_k", sampling.top_k);
    set(&mut parameters, "top_n_tokens", sampling.logprobs);
    parameters
}

impl Provider for Tgi {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let parameters = Parameters {
            max_new_tokens: ask.max_tokens,
            constants: &self.parameters,
        };
        Kind::Tgi.refuse(&[("forced generation", ask.forced.is_some())])?;
        let inputs = as_text(Kind::Tgi, &ask.prompt)?;
        let body = Body {
            inputs: &inputs,
            parameters,
        };
        self.template.request(&body, ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words, self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}

/// An event of a stream, or a whole body: that has no `token`.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    token: Option<Token<'a>>,
    #[serde(borrow)]
    generated_text: Option<Text<'a>>,
    #[serde(borrow)]
    details: Option<Details<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Token<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
pub(super) struct Details<'a> {
    #[serde(default, borrow)]
    finish_reason: Text<'a>,
    pub(super) generated_tokens: Option<u32>,
    input_length: Option<u32>,
    tokens: Option<Count>,
}

/// What the events mean; nothing has to be remembered between them.
#[derive(Debug)]
struct Words;

pub(super) fn tell_token(token: &Token<'_>, out: &mut Out<'_>) {
    // An end token's text is a name for it, not output.
    if token.special || token.text.as_str().is_empty() {
        out.silent_tokens(1);
    } else {
        out.content(ContentKind::Text, token.text.as_str(), Some(1), 0);
        out.event_end(None);
    }
}

pub(super) fn tell_details(details: &Details<'_>, out: &mut Out<'_>) {
    out.finish(finish_reason(details.finish_reason.as_str()));
    out.usage(Usage {
        prompt_tokens: details.input_length,
        completion_tokens: details.generated_tokens,
        ..Usage::default()
    });
}

impl Dialect for Words {
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        if data == b"[DONE]" {
            out.end();
            return Ok(());
        }
        let chunk: Chunk<'_> = parse(data)?;
        if let Some(error) = chunk.error {
            out.coded_error(&words_of(error), error_code(data));
        }
        if let Some(token) = &chunk.token {
            tell_token(token, out);
        }
        if let Some(details) = &chunk.details {
            tell_details(details, out);
        }
        // The event with the whole text is the last one; the body just ends after it.
        if chunk.generated_text.is_some() {
            out.end();
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        // A list of one is what its compatibility route answers.
        let list: Few<Chunk<'_>> = if body.trim_ascii_start().first() == Some(&b'[') {
            parse(body)?
        } else {
            Few::one(parse(body)?)
        };
        for chunk in list.iter() {
            tell_whole(chunk, body, out)?;
        }
        out.end();
        Ok(())
    }

    /// The end was seen in the last event, or the stream was cut.
    fn close(&mut self, _out: &mut Out<'_>) {}
}

fn tell_whole(chunk: &Chunk<'_>, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
    if let Some(error) = chunk.error {
        out.coded_error(
            &words_of(error),
            code_of(error).or_else(|| error_code(body)),
        );
        return Ok(());
    }
    let Some(text) = &chunk.generated_text else {
        return Err(DecodeError::Missing {
            field: "generated_text",
            excerpt: excerpt(body),
        });
    };
    let details = chunk.details.as_ref();
    let marked = details
        .and_then(|details| details.tokens)
        .map(|count| count.0);
    out.content(ContentKind::Text, text.as_str(), marked, 0);
    out.event_end(details.and_then(|details| details.generated_tokens));
    if let Some(details) = details {
        tell_details(details, out);
    }
    Ok(())
}
