//! What Gemini's events and bodies mean. Each event is a whole answer in small: candidates, counts up to now, or why there are none.
//! Nothing marks the end of a stream but the reasons of its candidates and the end of the body.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::DecodeError;
use super::super::errors::{code_of, excerpt, words_of};
use super::super::json::{Few, Text, parse};
use super::super::reader::{Dialect, Out};
use super::super::reasons::finish_reason;
use crate::domain::{ContentKind, FinishReason, Usage};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    candidates: Option<Few<Candidate<'a>>>,
    usage_metadata: Option<Counts>,
    #[serde(borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(default, borrow)]
    finish_reason: Text<'a>,
    #[serde(default)]
    index: u32,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Few<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default)]
    thought: bool,
    #[serde(borrow)]
    function_call: Option<Call<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    /// An object, which comes in one piece; a function without any has none.
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(default, borrow)]
    block_reason: Text<'a>,
}

/// Counts up to and with an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the API's own names")]
struct Counts {
    prompt_token_count: Option<u32>,
    /// Results of tools, put before the model with the prompt.
    tool_use_prompt_token_count: Option<u32>,
    candidates_token_count: Option<u32>,
    thoughts_token_count: Option<u32>,
    cached_content_token_count: Option<u32>,
}

/// The sum of what is there; `None` where nothing is.
fn sum(counts: [Option<u32>; 2]) -> Option<u32> {
    counts.into_iter().flatten().reduce(u32::saturating_add)
}

impl Counts {
    /// Thoughts are made like other output and stand beside it.
    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: sum([self.prompt_token_count, self.tool_use_prompt_token_count]),
            completion_tokens: sum([self.candidates_token_count, self.thoughts_token_count]),
            cached_tokens: self.cached_content_token_count,
            reasoning_tokens: self.thoughts_token_count,
        }
    }
}

impl Part<'_> {
    fn tell(&self, choice: u32, out: &mut Out<'_>) {
        let kind = if self.thought {
            ContentKind::Reasoning
        } else {
            ContentKind::Text
        };
        out.content(kind, self.text.as_str(), None, choice);
        if let Some(call) = &self.function_call {
            let arguments = call.args.map_or("{}", RawValue::get);
            out.content(ContentKind::ToolCall, arguments, None, choice);
        }
    }
}

impl<'a> Candidate<'a> {
    fn parts(&self) -> impl Iterator<Item = &Part<'a>> {
        let parts = self.content.iter().filter_map(|it| it.parts.as_ref());
        parts.flat_map(Few::iter)
    }
}

/// The state of one answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// How many candidates were asked for.
    wanted: u32,
    /// Those that were seen, and those that gave a reason to stop: a bit each, of the first 64.
    seen: u64,
    finished: u64,
    /// There will be no candidate.
    blocked: bool,
    /// The thoughts are part of the answer, and not of its counts alone.
    shows_thoughts: bool,
    /// The server's count up to the last content event, as long as every content event told.
    counted: Option<u32>,
}

impl Answer {
    pub(super) const fn new(wanted: u32) -> Self {
        Self {
            wanted,
            seen: 0,
            finished: 0,
            blocked: false,
            shows_thoughts: false,
            counted: Some(0),
        }
    }

    fn tell(&mut self, chunk: &Chunk<'_>, out: &mut Out<'_>) {
        if let Some(error) = chunk.error {
            out.coded_error(&words_of(error), code_of(error));
        }
        for candidate in chunk.candidates.iter().flat_map(Few::iter) {
            for part in candidate.parts() {
                self.shows_thoughts |= part.thought;
                part.tell(candidate.index, out);
            }
        }
        if out.spoke() {
            let told = self.growth(chunk.usage_metadata.as_ref());
            out.event_end(told);
        }
        for candidate in chunk.candidates.iter().flat_map(Few::iter) {
            let reason = finish_reason(candidate.finish_reason.as_str());
            self.note(candidate.index, reason.is_some());
            out.finish(reason);
        }
        self.tell_block(chunk, out);
        let counts = chunk.usage_metadata.as_ref();
        out.usage(counts.map(Counts::usage).unwrap_or_default());
    }

    /// A prompt that is blocked has no candidates.
    fn tell_block(&mut self, chunk: &Chunk<'_>, out: &mut Out<'_>) {
        let feedback = chunk.prompt_feedback.as_ref();
        let reason = feedback.map_or("", |feedback| feedback.block_reason.as_str());
        if !reason.is_empty() {
            self.blocked = true;
            out.error(&format!("the prompt was blocked: {reason}"));
            out.finish(Some(FinishReason::ContentFilter));
        }
    }

    fn note(&mut self, index: u32, finished: bool) {
        let bit = 1_u64.checked_shl(index).unwrap_or(0);
        self.seen |= bit;
        if finished {
            self.finished |= bit;
        }
    }

    const fn is_over(&self) -> bool {
        let all = self.seen.count_ones() >= self.wanted && self.seen == self.finished;
        self.blocked || all && self.seen != 0
    }

    /// Tokens that came with this content event, by the growth of the server's count. Thoughts that are not shown came with none.
    fn growth(&mut self, counts: Option<&Counts>) -> Option<u32> {
        let now = counts.and_then(|counts| {
            let thoughts = counts.thoughts_token_count;
            let thoughts = thoughts.filter(|_| self.shows_thoughts);
            sum([counts.candidates_token_count, thoughts])
        });
        let before = std::mem::replace(&mut self.counted, now);
        before
            .zip(now)
            .and_then(|(before, now)| now.checked_sub(before))
    }
}

impl Dialect for Answer {
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        self.tell(&parse(data)?, out);
        Ok(())
    }

    /// One answer, or the list of them that a stream without events is.
    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let is_list = body.trim_ascii_start().starts_with(b"[");
        let chunks: Few<Chunk<'_>> = if is_list {
            parse(body)?
        } else {
            Few::one(parse(body)?)
        };
        let says_something = |chunk: &Chunk<'_>| {
            chunk.candidates.is_some() || chunk.error.is_some() || chunk.prompt_feedback.is_some()
        };
        if !chunks.iter().any(says_something) {
            return Err(DecodeError::Missing {
                field: "candidates",
                excerpt: excerpt(body),
            });
        }
        for chunk in chunks.iter() {
            self.tell(chunk, out);
        }
        out.end();
        Ok(())
    }

    /// The end of the body is the end, if all candidates had one before.
    fn close(&mut self, out: &mut Out<'_>) {
        if self.is_over() {
            out.end();
        }
    }
}
