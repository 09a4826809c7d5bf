//! Models deployed at Vertex AI's endpoints (`:predict`): one instance a request, one prediction an answer.
//! Nothing is streamed. Endpoints that speak like OpenAI's are spoken to as OpenAI's.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::asked::Takes;
use super::body::{Template, as_text, secret_header, set};
use super::errors::{code_of, excerpt, words_of};
use super::json::{Few, Text, parse};
use super::reader::{Dialect, Out, Reader};
use super::spec::Kind;
use super::{DecodeError, Decoder, Endpoint, Provider, ShapeError, Spec};
use crate::domain::{Ask, ContentKind, Secret, Usage};

/// What containers put between the prompt, which they repeat, and their answer to it.
const ANSWER_MARK: &str = "\nOutput:\n";

/// The predict method.
#[derive(Debug)]
pub(super) struct VertexPredict {
    template: Template,
    parameters: Map<String, Value>,
}

#[derive(Serialize)]
struct Body<'a> {
    instances: [Instance<'a>; 1],
    parameters: Parameters<'a>,
}

#[derive(Serialize)]
struct Instance<'a> {
    prompt: &'a str,
}

#[derive(Serialize)]
struct Parameters<'a> {
    #[serde(rename = "maxOutputTokens")]
    max_output_tokens: u32,
    #[serde(flatten)]
    constants: &'a Map<String, Value>,
}

impl VertexPredict {
    /// The API for these settings.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let sampling = &spec.sampling;
        let place = spec.place.google.as_ref();
        let endpoint = place.is_some_and(|place| place.endpoint.is_some());
        Kind::VertexPredict.refuse(&[
            (
                "place without a project, a region and an endpoint",
                !endpoint,
            ),
            (
                "streams: --no-stream asks for whole answers",
                spec.streams(),
            ),
            ("embeddings and ranking", !spec.task.generates()),
            ("n", sampling.n.is_some_and(|n| n != 1)),
            ("logprobs", sampling.logprobs.is_some()),
            ("reasoning_effort", sampling.reasoning_effort.is_some()),
        ])?;
        let path = place.map(|place| place.method("", &spec.model, ":predict"));
        let mut parameters = Map::new();
        set(&mut parameters, "temperature", sampling.temperature);
        set(&mut parameters, "topK", sampling.top_k);
        Ok(Self {
            template: Template::new(path.unwrap_or_default(), spec, &[], Map::new())?,
            parameters,
        })
    }
}

impl Provider for VertexPredict {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        Kind::VertexPredict.check(ask, Takes::default())?;
        let prompt = as_text(Kind::VertexPredict, &ask.prompt)?;
        let body = Body {
            instances: [Instance { prompt: &prompt }],
            parameters: Parameters {
                max_output_tokens: ask.max_tokens,
                constants: &self.parameters,
            },
        };
        self.template.request(&body, ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Words, false))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    predictions: Option<Few<&'a RawValue>>,
    /// What some models add; others add other things.
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A prediction that is no text itself.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    generated_text: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    token_metadata: TokenMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenMetadata {
    input_token_count: Option<Total>,
    output_token_count: Option<Total>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Total {
    total_tokens: Number,
}

impl TokenMetadata {
    fn usage(&self) -> Usage {
        let total = |count: &Option<Total>| {
            let total = count.as_ref()?.total_tokens.as_u64()?;
            u32::try_from(total).ok()
        };
        Usage {
            prompt_tokens: total(&self.input_token_count),
            completion_tokens: total(&self.output_token_count),
            ..Usage::default()
        }
    }
}

/// The text of a prediction: itself, or a field of it, or of the first in a list of them.
fn text_of(prediction: &RawValue) -> Option<Text<'_>> {
    let json = prediction.get();
    if let Ok(text) = serde_json::from_str::<Text<'_>>(json) {
        return Some(text);
    }
    if let Ok(object) = serde_json::from_str::<Object<'_>>(json) {
        return object.content.or(object.generated_text);
    }
    let list: Few<&RawValue> = serde_json::from_str(json).ok()?;
    let first: &RawValue = list.iter().next()?;
    text_of(first)
}

/// What the model said: behind the mark, or all of it.
fn answer_in(text: &str) -> &str {
    text.split_once(ANSWER_MARK)
        .map_or(text, |(_, answer)| answer)
}

/// What a body means.
#[derive(Debug)]
struct Words;

impl Dialect for Words {
    /// Never asked for.
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        self.whole(data, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let document: Document<'_> = parse(body)?;
        if let Some(error) = document.error {
            out.coded_error(&words_of(error), code_of(error));
        } else {
            let first = document
                .predictions
                .as_ref()
                .and_then(|all| all.iter().next());
            let text = first.and_then(|prediction| text_of(prediction));
            let text = text.ok_or_else(|| DecodeError::Missing {
                field: "predictions",
                excerpt: excerpt(body),
            })?;
            out.content(ContentKind::Text, answer_in(text.as_str()), None, 0);
        }
        let metadata = document
            .metadata
            .and_then(|metadata| serde_json::from_str::<Metadata>(metadata.get()).ok());
        let usage = metadata.map(|metadata| metadata.token_metadata.usage());
        let usage = usage.unwrap_or_default();
        out.event_end(usage.completion_tokens);
        out.usage(usage);
        out.end();
        Ok(())
    }

    fn close(&mut self, _out: &mut Out<'_>) {}
}
