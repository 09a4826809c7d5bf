//! Triton's two ways to text: its inference protocol, which wants typed tensors, and its generate extension.
//! What their answers mean is in `decode`.

mod decode;

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::Serialize;
use serde_json::{Map, Value};

use super::body::{Template, as_text, path_segment, secret_header, set};
use super::reader::Reader;
use super::spec::Kind;
use super::{Decoder, Endpoint, Provider, ShapeError, Spec};
use crate::domain::{Ask, Prompt, Secret};
use decode::{Echo, GenerateWords, InferWords};

/// The inference protocol.
#[derive(Debug)]
pub(super) struct Infer {
    template: Template,
    temperature: Option<f64>,
}

#[derive(Serialize)]
struct Inference<'a> {
    inputs: Vec<Tensor<'a>>,
}

/// A tensor of one element, in a batch of one.
#[derive(Serialize)]
struct Tensor<'a> {
    name: &'static str,
    datatype: &'static str,
    shape: [u32; 2],
    data: [[Element<'a>; 1]; 1],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Element<'a> {
    Bytes(&'a str),
    Uint32(u32),
    Fp32(f64),
}

impl<'a> Tensor<'a> {
    const fn new(name: &'static str, element: Element<'a>) -> Self {
        let datatype = match element {
            Element::Bytes(_) => "BYTES",
            Element::Uint32(_) => "UINT32",
            Element::Fp32(_) => "FP32",
        };
        Self {
            name,
            datatype,
            shape: [1, 1],
            data: [[element]],
        }
    }
}

/// What neither of the two has a field for.
fn refuse(spec: &Spec) -> Result<(), ShapeError> {
    let sampling = &spec.sampling;
    spec.kind.refuse(&[
        ("embeddings and no ranking", !spec.task.generates()),
        ("n", sampling.n.is_some_and(|n| n != 1)),
        ("top_k", sampling.top_k.is_some()),
        ("logprobs", sampling.logprobs.is_some()),
        ("reasoning_effort", sampling.reasoning_effort.is_some()),
    ])
}

impl Infer {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        refuse(spec)?;
        let streams = "streams; --no-stream, or --provider triton-generate";
        spec.kind.refuse(&[(streams, spec.stream)])?;
        let path = format!("/v2/models/{}/infer", path_segment(&spec.model));
        Ok(Self {
            template: Template::new(path, spec, &[], Map::new())?,
            temperature: spec.sampling.temperature,
        })
    }
}

impl Provider for Infer {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let kind = Kind::TritonInfer;
        kind.refuse(&[("forced generation", ask.forced.is_some())])?;
        let text = as_text(kind, &ask.prompt)?;
        let mut inputs = vec![
            Tensor::new("text_input", Element::Bytes(&text)),
            Tensor::new("max_tokens", Element::Uint32(ask.max_tokens)),
            Tensor::new("bad_words", Element::Bytes("")),
            Tensor::new("stop_words", Element::Bytes("")),
        ];
        let temperature = self.temperature.map(Element::Fp32);
        inputs.extend(temperature.map(|element| Tensor::new("temperature", element)));
        self.template
            .request(&Inference { inputs }, ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(InferWords::new(Echo::Unknown), false))
    }

    fn decoder_for(&self, ask: &Ask) -> Box<dyn Decoder> {
        let echo = echo(Kind::TritonInfer, &ask.prompt);
        Box::new(Reader::new(InferWords::new(echo), false))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}

/// What is repeated; of a prompt that cannot be sent, nothing.
fn echo(kind: Kind, prompt: &Prompt) -> Echo {
    match prompt {
        Prompt::Text(text) => Echo::Of(Arc::clone(text)),
        _ => as_text(kind, prompt).map_or(Echo::Unknown, |text| Echo::Of(text.into())),
    }
}

/// The generate extension.
#[derive(Debug)]
pub(super) struct Generate {
    template: Template,
    stream: bool,
}

#[derive(Serialize)]
struct Generation<'a> {
    text_input: &'a str,
    max_tokens: u32,
}

impl Generate {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        refuse(spec)?;
        let way = if spec.stream {
            "generate_stream"
        } else {
            "generate"
        };
        let path = format!("/v2/models/{}/{way}", path_segment(&spec.model));
        Ok(Self {
            template: Template::new(path, spec, &[], constants(spec))?,
            stream: spec.stream,
        })
    }
}

fn constants(spec: &Spec) -> Map<String, Value> {
    let mut body = Map::new();
    set(&mut body, "stream", Some(spec.stream));
    set(&mut body, "temperature", spec.sampling.temperature);
    set(&mut body, "bad_words", Some(""));
    set(&mut body, "stop_words", Some(""));
    body
}

impl Provider for Generate {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let kind = Kind::TritonGenerate;
        kind.refuse(&[("forced generation", ask.forced.is_some())])?;
        let text = as_text(kind, &ask.prompt)?;
        let body = Generation {
            text_input: &text,
            max_tokens: ask.max_tokens,
        };
        self.template.request(&body, ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(GenerateWords::new(Echo::Unknown), self.stream))
    }

    /// A stream has the model's own words alone.
    fn decoder_for(&self, ask: &Ask) -> Box<dyn Decoder> {
        if self.stream {
            return self.decoder();
        }
        let echo = echo(Kind::TritonGenerate, &ask.prompt);
        Box::new(Reader::new(GenerateWords::new(echo), false))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}
