//! `InvokeModel`: requests in the words of a model's maker.
//! Which words those are is `makers`' affair.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde_json::Map;

use super::chunks::Words;
use super::makers::Maker;
use crate::domain::{Ask, Secret};
use crate::provider::asked::Takes;
use crate::provider::aws::accept;
use crate::provider::body::{Template, path_segment, secret_header};
use crate::provider::reader::Reader;
use crate::provider::rows::check_row;
use crate::provider::{Decoder, Endpoint, Kind, Provider, Sampling, ShapeError, Spec, Task};

const KIND: Kind = Kind::BedrockInvoke;

/// `InvokeModel` and its stream.
#[derive(Debug)]
pub(in crate::provider) struct Invoke {
    template: Template,
    maker: Maker,
    sampling: Sampling,
    chat: bool,
    stream: bool,
}

impl Invoke {
    /// The API for these settings.
    pub(in crate::provider) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let sampling = &spec.sampling;
        let maker =
            Maker::of(&spec.model).ok_or_else(|| ShapeError::UnknownMaker(spec.model.clone()))?;
        let (texts, chats) = maker.takes();
        KIND.refuse(&[
            (
                "plain completions for this model",
                spec.task == Task::Completion && !texts,
            ),
            ("chat for this model", spec.task == Task::Chat && !chats),
            ("embeddings and ranking", !spec.task.generates()),
            ("n", sampling.n.is_some_and(|n| n != 1)),
            ("logprobs", sampling.logprobs.is_some()),
            (
                "top_k for this model",
                sampling.top_k.is_some() && !maker.has_top_k(),
            ),
            (
                "reasoning_effort for this model",
                sampling.reasoning_effort.is_some() && !maker.takes_effort(),
            ),
        ])?;
        let way = if spec.stream {
            "invoke-with-response-stream"
        } else {
            "invoke"
        };
        let path = format!("/model/{}/{way}", path_segment(&spec.model));
        Ok(Self {
            template: Template::new(path, spec, &[accept(spec.stream)], Map::new())?,
            maker,
            sampling: sampling.clone(),
            chat: spec.task == Task::Chat,
            stream: spec.stream,
        })
    }
}

impl Provider for Invoke {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        let takes = Takes {
            parts: matches!(self.maker, Maker::Claude | Maker::Nova),
            ..Takes::default()
        };
        KIND.check(ask, takes)?;
        let places = self.maker.places();
        let extra = ask.extra.as_deref();
        let extra = extra.map(|row| check_row(KIND, self.stream, row).map(|()| places.place(row)));
        let body = self
            .maker
            .body(ask, self.chat, self.stream, &self.sampling)?;
        self.template.request(&body, extra.transpose()?.as_ref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words::new(self.maker), self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}
