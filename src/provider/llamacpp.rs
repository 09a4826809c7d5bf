//! llama.cpp's own completion API: the words of a request and what its answers mean.
//! Its `OpenAI`-like routes, chat among them, are spoken as `OpenAI`'s.

use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use serde_json::value::RawValue;

use super::asked::{Takes, text_of};
use super::body::{Template, secret_header, set};
use super::errors::{code_of, excerpt, words_of};
use super::json::{Count, Text, parse};
use super::reader::{Dialect, Out, Reader};
use super::reasons::finish_reason;
use super::spec::Kind;
use super::{DecodeError, Decoder, Endpoint, Provider, ShapeError, Spec, Task};
use crate::domain::{Ask, ContentKind, FinishReason, Prompt, Secret, ServerFigures, Usage};

/// The `completion` API.
#[derive(Debug)]
pub(super) struct LlamaCpp {
    template: Template,
    stream: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    n_predict: u32,
    prompt: Words<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Words<'a> {
    Text(&'a str),
    Tokens(&'a [u32]),
}

impl LlamaCpp {
    /// The API for these settings. Whether prompts are cached is left to the server.
    pub(super) fn new(spec: &Spec) -> Result<Self, ShapeError> {
        let sampling = &spec.sampling;
        Kind::LlamaCpp.refuse(&[
            (
                "chat; --no-chat asks it for a completion, --provider openai for a chat",
                spec.task == Task::Chat,
            ),
            (
                "embeddings and ranking; --provider openai asks for them",
                !spec.task.generates(),
            ),
            ("n", sampling.n.is_some_and(|n| n != 1)),
            ("reasoning_effort", sampling.reasoning_effort.is_some()),
        ])?;
        let mut body = Map::new();
        set(&mut body, "model", Some(spec.model.as_str()));
        set(&mut body, "stream", Some(spec.stream));
        set(&mut body, "temperature", sampling.temperature);
        set(&mut body, "top_k", sampling.top_k);
        set(&mut body, "n_probs", sampling.logprobs);
        set(&mut body, "ignore_eos", Some(true));
        Ok(Self {
            template: Template::new("/completion", spec, &[], body)?,
            stream: spec.stream,
        })
    }
}

impl Provider for LlamaCpp {
    fn endpoint(&self) -> &Endpoint {
        &self.template.endpoint
    }

    fn shape(&self, ask: &Ask) -> Result<Request<Bytes>, ShapeError> {
        Kind::LlamaCpp.check(
            ask,
            Takes {
                tokens: true,
                ..Takes::default()
            },
        )?;
        let text = text_of(&ask.prompt);
        let prompt = match &ask.prompt {
            Prompt::Tokens(ids) => Words::Tokens(ids),
            _ => Words::Text(&text),
        };
        let body = Body {
            n_predict: ask.max_tokens,
            prompt,
        };
        self.template.request(&body, ask.extra.as_deref())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Reader::new(Answer::default(), self.stream))
    }

    fn auth(&self, key: &Secret) -> Result<(HeaderName, HeaderValue), ShapeError> {
        secret_header(AUTHORIZATION, "Bearer ", key)
    }
}

/// An event of a stream, or a whole body.
#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the API's own fields")]
struct Chunk<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(default)]
    stop: bool,
    /// So far, in newer servers with each event.
    tokens_predicted: Option<u32>,
    tokens_evaluated: Option<u32>,
    completion_probabilities: Option<Count>,
    #[serde(default, borrow)]
    stop_type: Text<'a>,
    /// What older servers say instead of `stop_type`.
    #[serde(default)]
    stopped_limit: bool,
    #[serde(default)]
    stopped_eos: bool,
    #[serde(default)]
    stopped_word: bool,
    timings: Option<Box<Timings>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Times are in milliseconds.
#[derive(Deserialize)]
struct Timings {
    cache_n: Option<u32>,
    prompt_ms: Option<f64>,
    predicted_ms: Option<f64>,
}

impl Chunk<'_> {
    fn reason(&self) -> FinishReason {
        match finish_reason(self.stop_type.as_str()) {
            Some(reason) => reason,
            None if self.stopped_limit => FinishReason::Length,
            None if self.stopped_eos || self.stopped_word => FinishReason::Stop,
            None => FinishReason::Other,
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.tokens_evaluated,
            completion_tokens: self.tokens_predicted,
            cached_tokens: self.timings.as_ref().and_then(|timings| timings.cache_n),
            reasoning_tokens: None,
        }
    }
}

impl Timings {
    fn figures(&self) -> ServerFigures {
        let (prompt, predicted) = (self.prompt_ms, self.predicted_ms);
        let both = prompt.zip(predicted).map(|(a, b)| a + b);
        ServerFigures {
            total_ns: both.and_then(nanos),
            first_token_ns: prompt.and_then(nanos),
            ..ServerFigures::default()
        }
    }
}

/// Milliseconds as nanoseconds; `None` where they are no time.
fn nanos(ms: f64) -> Option<u64> {
    let time = Duration::try_from_secs_f64(ms / 1e3).ok()?;
    u64::try_from(time.as_nanos()).ok()
}

/// The state of one answer.
#[derive(Debug)]
struct Answer {
    /// The server's count up to the last content event, as long as every content event told.
    counted: Option<u32>,
}

impl Default for Answer {
    fn default() -> Self {
        Self { counted: Some(0) }
    }
}

impl Answer {
    /// Tokens that came with this content event, by the growth of the server's count.
    fn growth(&mut self, now: Option<u32>) -> Option<u32> {
        let before = std::mem::replace(&mut self.counted, now);
        before
            .zip(now)
            .and_then(|(before, now)| now.checked_sub(before))
    }

    fn tell(&mut self, chunk: &Chunk<'_>, out: &mut Out<'_>) {
        if let Some(error) = chunk.error {
            out.coded_error(&words_of(error), code_of(error));
        }
        let text = chunk.content.as_ref().map_or("", Text::as_str);
        let marked = chunk.completion_probabilities.map(|count| count.0);
        if text.is_empty() {
            out.silent_tokens(marked.unwrap_or(0));
        } else {
            out.content(ContentKind::Text, text, marked, 0);
            let told = self.growth(chunk.tokens_predicted);
            out.event_end(told);
        }
        if chunk.stop {
            out.finish(Some(chunk.reason()));
            out.usage(chunk.usage());
            if let Some(timings) = &chunk.timings {
                out.server(&timings.figures());
            }
        }
    }
}

impl Dialect for Answer {
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let chunk: Chunk<'_> = parse(data)?;
        self.tell(&chunk, out);
        if chunk.stop {
            out.end();
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let chunk: Chunk<'_> = parse(body)?;
        if chunk.content.is_none() && chunk.error.is_none() {
            return Err(DecodeError::Missing {
                field: "content",
                excerpt: excerpt(body),
            });
        }
        self.tell(&chunk, out);
        out.end();
        Ok(())
    }

    /// The last event says that it is: without it the stream was cut.
    fn close(&mut self, _out: &mut Out<'_>) {}
}
