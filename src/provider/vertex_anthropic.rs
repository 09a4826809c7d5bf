//! Anthropic's models at Vertex AI (`:rawPredict`, `:streamRawPredict`): the model stands in the path, the version in the body.
//! What the answers mean is Anthropic's, and read there.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde_json::Map;

use super::anthropic::{Body, Words};
use super::asked::Takes;
use super::body::{Template, secret_header, set};
use super::reader::Reader;
use super::spec::Kind;
use super::{Decoder, Endpoint, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, Secret};

const VERSION: &str = "vertex-2023-10-16";

/// The messages API behind Vertex AI.
#[derive(Debug)]
pub(super) struct VertexAnthropic {
    template: Template,
    stream: bool,
}

impl VertexAnthropic {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let sampling = &spec.sampling;
        let place = spec.place.google.as_ref();
        Kind::VertexAnthropic.refuse(&[
            ("place without a project and a region", place.is_none()),
            ("plain completions", spec.task == Task::Completion),
            ("embeddings and ranking", !spec.task.generates()),
            ("n", sampling.n.is_some_and(|n| n != 1)),
            ("logprobs", sampling.logprobs.is_some()),
            ("reasoning_effort", sampling.reasoning_effort.is_some()),
        ])?;
        let method = if spec.stream {
            ":streamRawPredict"
        } else {
            ":rawPredict"
        };
        let path = place.map(|place| place.method("anthropic", &spec.model, method));
        let mut body = Map::new();
        set(&mut body, "anthropic_version", Some(VERSION));
        set(&mut body, "stream", Some(spec.stream));
        set(&mut body, "temperature", sampling.temperature);
        set(&mut body, "top_k", sampling.top_k);
        Ok(Self {
            template: Template::new(path.unwrap_or_default(), spec, &[], body)?,
            stream: spec.stream,
        })
    }
}

impl Provider for VertexAnthropic {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let takes = Takes {
            parts: true,
            ..Takes::default()
        };
        Kind::VertexAnthropic.check(ask, takes)?;
        self.template.request(&Body::of(ask), ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words, self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}
