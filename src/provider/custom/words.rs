//! What the events and bodies of a described API mean.
//! Which places count is in the description; here they are told in the order that readers expect.

use std::ops::Range;
use std::sync::Arc;

use super::fields::{Fields, Found, Use};
use super::{Answers, End, Reasons, Scalar, Stream};
use crate::domain::{ContentKind, FinishReason, Usage};
use crate::provider::DecodeError;
use crate::provider::errors::{code_of, excerpt, words_of};
use crate::provider::json::{Count, Text, parse};
use crate::provider::reader::{Dialect, Framing, Out};
use crate::provider::reasons::finish_reason;

/// The state of one answer.
#[derive(Debug)]
pub(super) struct Words {
    answers: Arc<Answers>,
    /// Where the values of the event at hand stand; kept from event to event for its memory alone.
    found: Vec<Option<Range<usize>>>,
}

impl Words {
    pub(super) fn new(answers: &Arc<Answers>) -> Self {
        let streamed = answers.stream.as_ref();
        let most = streamed.map_or(0, |stream| stream.fields.uses.len());
        Self {
            answers: Arc::clone(answers),
            found: vec![None; most.max(answers.whole.uses.len())],
        }
    }
}

impl Dialect for Words {
    fn framing(&self) -> Framing {
        match &self.answers.stream {
            Some(Stream { lines: true, .. }) => Framing::Lines,
            _ => Framing::Events,
        }
    }

    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let Some(stream) = &self.answers.stream else {
            return Ok(());
        };
        if let End::Data(word) = &stream.end
            && data == word.as_bytes()
        {
            out.end();
            return Ok(());
        }
        let values = Values::read(&stream.fields, data, &mut self.found)?;
        values.tell(&self.answers.reasons, false, out)?;
        if let End::Field(wanted) = &stream.end
            && values.ends(wanted.as_ref())
        {
            out.end();
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let values = Values::read(&self.answers.whole, body, &mut self.found)?;
        if !values.answers() {
            return Err(DecodeError::Missing {
                field: "text",
                excerpt: excerpt(body),
            });
        }
        values.tell(&self.answers.reasons, true, out)?;
        out.end();
        Ok(())
    }

    fn close(&mut self, out: &mut Out<'_>) {
        if let Some(Stream {
            end: End::Close, ..
        }) = &self.answers.stream
        {
            out.end();
        }
    }
}

/// The values of one event, as they stand in it.
struct Values<'a> {
    uses: &'a [Use],
    data: &'a [u8],
    found: &'a Found,
}

impl<'a> Values<'a> {
    fn read(fields: &'a Fields, data: &'a [u8], found: &'a mut Found) -> Result<Self, DecodeError> {
        fields.find(data, found)?;
        Ok(Self {
            uses: &fields.uses,
            data,
            found,
        })
    }

    /// Each value that is there and not `null`, and what it is for.
    fn iter(&self) -> impl Iterator<Item = (Use, &'a [u8])> {
        let (data, uses, found) = (self.data, self.uses, self.found);
        uses.iter()
            .zip(found)
            .filter_map(move |(&purpose, range)| Some((purpose, data.get(range.clone()?)?)))
            .filter(|(_, raw)| *raw != b"null")
    }

    fn of(&self, purpose: Use) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter_map(move |(its, raw)| (its == purpose).then_some(raw))
    }

    /// Whether a document is an answer at all: one of the places where its output stands is there, be it empty.
    fn answers(&self) -> bool {
        let output = [
            Use::Error,
            Use::Text,
            Use::Reasoning,
            Use::ToolCall,
            Use::Vectors,
        ];
        let mut places = self.uses.iter().zip(self.found);
        places.any(|(purpose, range)| output.contains(purpose) && range.is_some())
    }

    fn tell(&self, reasons: &Reasons, whole: bool, out: &mut Out<'_>) -> Result<(), DecodeError> {
        for (purpose, raw) in self.iter() {
            match purpose {
                Use::Error => tell_error(raw, out)?,
                Use::Reasoning => tell_text(ContentKind::Reasoning, raw, out)?,
                Use::Text => tell_text(ContentKind::Text, raw, out)?,
                Use::ToolCall => tell_call(raw, out)?,
                _ => {}
            }
        }
        let usage = self.usage();
        out.event_end(usage.completion_tokens.filter(|_| whole));
        for list in self.of(Use::Vectors) {
            out.vectors(parse::<Count>(list)?.0);
        }
        for word in self.of(Use::Finish) {
            // Some say `false` until they say why.
            if word.starts_with(b"\"") {
                out.finish(reasons.of(parse::<Text<'_>>(word)?.as_str()));
            }
        }
        out.usage(usage);
        Ok(())
    }

    fn usage(&self) -> Usage {
        let count = |purpose| self.of(purpose).find_map(number);
        Usage {
            prompt_tokens: count(Use::PromptTokens),
            completion_tokens: count(Use::CompletionTokens),
            cached_tokens: count(Use::CachedTokens),
            reasoning_tokens: count(Use::ReasoningTokens),
        }
    }

    fn ends(&self, wanted: Option<&Scalar>) -> bool {
        let mut values = self.of(Use::End);
        values.any(|raw| match wanted {
            None => raw != b"false",
            Some(scalar) => scalar.is(raw),
        })
    }
}

fn tell_text(kind: ContentKind, raw: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
    let text: Text<'_> = parse(raw)?;
    out.content(kind, text.as_str(), None, 0);
    Ok(())
}

/// A call's arguments come as text, or as the JSON that they are.
fn tell_call(raw: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
    match str::from_utf8(raw) {
        Ok(json) if !json.starts_with('"') => {
            out.content(ContentKind::ToolCall, json, None, 0);
            Ok(())
        }
        _ => tell_text(ContentKind::ToolCall, raw, out),
    }
}

fn tell_error(raw: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
    if !matches!(raw, b"false" | b"\"\"") {
        let error = parse(raw)?;
        out.coded_error(&words_of(error), code_of(error));
    }
    Ok(())
}

fn number(raw: &[u8]) -> Option<u32> {
    str::from_utf8(raw).ok()?.parse().ok()
}

impl Scalar {
    fn is(&self, raw: &[u8]) -> bool {
        match self {
            Self::Bool(value) => raw == if *value { &b"true"[..] } else { b"false" },
            Self::Number(value) => str::from_utf8(raw)
                .ok()
                .and_then(|raw| raw.parse::<f64>().ok())
                .is_some_and(|raw| raw.total_cmp(value).is_eq()),
            Self::Text(value) => {
                raw.starts_with(b"\"")
                    && parse::<Text<'_>>(raw).is_ok_and(|text| text.as_str() == value)
            }
        }
    }
}

impl Reasons {
    fn of(&self, word: &str) -> Option<FinishReason> {
        let own = self.0.iter().find(|(own, _)| own == word);
        own.map(|(_, reason)| *reason)
            .or_else(|| finish_reason(word))
    }
}
