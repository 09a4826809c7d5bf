//! What Converse's events and bodies say. Amazon's own models say the same in their own words' streams.
//! It knows nothing of requests or framing.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{ContentKind, ServerFigures, Usage};
use crate::provider::DecodeError;
use crate::provider::errors::excerpt;
use crate::provider::json::{Few, Text, parse};
use crate::provider::reader::{Dialect, Framing, Out};
use crate::provider::reasons::finish_reason;

/// Any event; which fields are there depends on its name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    delta: Option<Block<'a>>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    usage: Option<Counts>,
    metrics: Option<Metrics>,
}

/// A piece of content, whole or in part.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    reasoning_content: Option<Reasoning<'a>>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    /// Of a whole answer.
    #[serde(borrow)]
    reasoning_text: Option<ReasoningText<'a>>,
}

#[derive(Deserialize)]
struct ReasoningText<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
}

#[derive(Deserialize)]
struct ToolUse<'a> {
    /// A piece of JSON as text, or an object.
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(borrow)]
    output: Option<Output<'a>>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    usage: Option<Counts>,
    metrics: Option<Metrics>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Option<Content<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(default, borrow)]
    content: Few<Block<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the API's own names")]
struct Counts {
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    #[serde(alias = "cacheReadInputTokenCount")]
    cache_read_input_tokens: Option<u32>,
    #[serde(alias = "cacheWriteInputTokenCount")]
    cache_write_input_tokens: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    latency_ms: Option<u64>,
}

impl Counts {
    /// `inputTokens` leaves out what was read from or written to the cache: the prompt is all three.
    fn usage(&self) -> Usage {
        let cached = [self.cache_read_input_tokens, self.cache_write_input_tokens];
        Usage {
            prompt_tokens: self.input_tokens.map(|fresh| whole_prompt(fresh, cached)),
            cached_tokens: self.cache_read_input_tokens,
            completion_tokens: self.output_tokens,
            ..Usage::default()
        }
    }
}

pub(super) fn whole_prompt(fresh: u32, cached: [Option<u32>; 2]) -> u32 {
    cached
        .into_iter()
        .flatten()
        .fold(fresh, u32::saturating_add)
}

pub(super) const fn nanoseconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(1_000_000)
}

/// What the events mean.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// The message is complete; what follows tells of it.
    stopped: bool,
}

impl Words {
    /// The event of this name.
    pub(super) fn tell(
        &mut self,
        name: &str,
        payload: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), DecodeError> {
        if !matches!(name, "contentBlockDelta" | "messageStop" | "metadata") {
            return Ok(());
        }
        let event: Event<'_> = parse(payload)?;
        match name {
            "contentBlockDelta" => {
                if let Some(block) = &event.delta {
                    tell_block(block, out);
                }
                out.event_end(None);
            }
            "messageStop" => {
                out.finish(finish_reason(event.stop_reason.as_str()));
                self.stopped = true;
            }
            _ => {
                tell_figures(event.usage.as_ref(), event.metrics.as_ref(), out);
                out.end();
            }
        }
        Ok(())
    }

    /// The stream is complete.
    pub(super) fn over(&self, out: &mut Out<'_>) {
        if self.stopped {
            out.end();
        }
    }
}

impl Dialect for Words {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    /// Events have names here.
    fn event(&mut self, _data: &[u8], _out: &mut Out<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn message(
        &mut self,
        name: &str,
        payload: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), DecodeError> {
        self.tell(name, payload, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        whole(body, out)
    }

    /// `metadata` follows the message's end, but a gateway may leave it out.
    fn close(&mut self, out: &mut Out<'_>) {
        self.over(out);
    }
}

/// A whole answer.
pub(super) fn whole(body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
    let document: Document<'_> = parse(body)?;
    let Some(message) = document.output.and_then(|output| output.message) else {
        return Err(DecodeError::Missing {
            field: "output",
            excerpt: excerpt(body),
        });
    };
    for block in message.content.iter() {
        tell_block(block, out);
    }
    let counts = document.usage.as_ref();
    out.event_end(counts.and_then(|counts| counts.output_tokens));
    out.finish(finish_reason(document.stop_reason.as_str()));
    tell_figures(counts, document.metrics.as_ref(), out);
    out.end();
    Ok(())
}

fn tell_block(block: &Block<'_>, out: &mut Out<'_>) {
    if let Some(reasoning) = &block.reasoning_content {
        out.content(ContentKind::Reasoning, reasoning.text.as_str(), None, 0);
        if let Some(whole) = &reasoning.reasoning_text {
            out.content(ContentKind::Reasoning, whole.text.as_str(), None, 0);
        }
    }
    out.content(ContentKind::Text, block.text.as_str(), None, 0);
    if let Some(input) = block.tool_use.as_ref().and_then(|tool| tool.input) {
        match serde_json::from_str::<Text<'_>>(input.get()) {
            Ok(piece) => out.content(ContentKind::ToolCall, piece.as_str(), None, 0),
            Err(_) => out.content(ContentKind::ToolCall, input.get(), None, 0),
        }
    }
}

fn tell_figures(counts: Option<&Counts>, metrics: Option<&Metrics>, out: &mut Out<'_>) {
    out.usage(counts.map(Counts::usage).unwrap_or_default());
    out.server(&ServerFigures {
        total_ns: metrics
            .and_then(|metrics| metrics.latency_ms)
            .map(nanoseconds),
        ..ServerFigures::default()
    });
}
