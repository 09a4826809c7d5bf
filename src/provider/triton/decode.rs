//! What Triton's bodies and events say, without the prompt that it repeats before an answer.
//! It tells no token counts, and why a model stopped neither.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::errors::{code_of, excerpt, words_of};
use super::super::json::{Few, Text, parse};
use super::super::reader::{Dialect, Out};
use crate::domain::{ContentKind, Warning};
use crate::provider::DecodeError;

/// The name of the tensor, and of the field, that has the answer.
const OUTPUT: &str = "text_output";

/// A start token as a tokenizer writes it out.
const START: &str = "<s> ";

/// How deep lists stand in one another: a batch of rows.
const MAX_DEPTH: u32 = 2;

/// What stands before an answer's own words.
#[derive(Clone, Debug)]
pub(super) enum Echo {
    /// Nothing, or nobody knows what.
    Unknown,
    /// This prompt.
    Of(Arc<str>),
}

impl Echo {
    /// Says what of `text` is the model's own.
    fn tell(&self, text: &str, out: &mut Out<'_>) {
        let own = match self {
            Self::Unknown => text,
            Self::Of(prompt) => {
                let bare = text.strip_prefix(START).unwrap_or(text);
                let own = bare
                    .strip_prefix(prompt.as_ref())
                    .or_else(|| text.strip_prefix(prompt.as_ref()));
                own.unwrap_or_else(|| {
                    out.warn(Warning::EchoMissing);
                    bare
                })
            }
        };
        out.content(ContentKind::Text, own, None, 0);
    }
}

/// The texts of a tensor: servers write them in rows, in one row, or, where there is only one, by itself.
fn each_text(data: &RawValue, depth: u32, on: &mut dyn FnMut(&str)) -> Result<(), DecodeError> {
    let bytes = data.get().as_bytes();
    if depth > 0 && bytes.first() == Some(&b'[') {
        let row: Few<&RawValue> = parse(bytes)?;
        return row
            .iter()
            .try_for_each(|data| each_text(data, depth - 1, on));
    }
    on(parse::<Text<'_>>(bytes)?.as_str());
    Ok(())
}

fn missing(body: &[u8]) -> DecodeError {
    DecodeError::Missing {
        field: OUTPUT,
        excerpt: excerpt(body),
    }
}

/// The inference protocol's answer.
#[derive(Deserialize)]
struct Inference<'a> {
    #[serde(borrow)]
    outputs: Option<Few<Output<'a>>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What a body of the inference protocol means.
#[derive(Debug)]
pub(super) struct InferWords {
    echo: Echo,
}

impl InferWords {
    pub(super) const fn new(echo: Echo) -> Self {
        Self { echo }
    }
}

impl Dialect for InferWords {
    /// It has no streams.
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        self.whole(data, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let answer: Inference<'_> = parse(body)?;
        if let Some(error) = answer.error {
            out.coded_error(&words_of(error), code_of(error));
        } else {
            let data = answer
                .outputs
                .iter()
                .flat_map(Few::iter)
                .find(|output| output.name.as_str() == OUTPUT)
                .and_then(|output| output.data)
                .ok_or_else(|| missing(body))?;
            each_text(data, MAX_DEPTH, &mut |text| self.echo.tell(text, out))?;
            out.event_end(None);
        }
        out.end();
        Ok(())
    }

    fn close(&mut self, _out: &mut Out<'_>) {}
}

/// An event of the generate extension, or its whole body.
#[derive(Deserialize)]
struct Generated<'a> {
    #[serde(borrow)]
    text_output: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What events and bodies of the generate extension mean.
#[derive(Debug)]
pub(super) struct GenerateWords {
    echo: Echo,
}

impl GenerateWords {
    pub(super) const fn new(echo: Echo) -> Self {
        Self { echo }
    }

    fn tell(&self, generated: &Generated<'_>, out: &mut Out<'_>) -> Result<(), DecodeError> {
        if let Some(error) = generated.error {
            out.coded_error(&words_of(error), code_of(error));
        } else if let Some(text) = generated.text_output {
            each_text(text, MAX_DEPTH, &mut |text| self.echo.tell(text, out))?;
            out.event_end(None);
        }
        Ok(())
    }
}

impl Dialect for GenerateWords {
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        if data == b"[DONE]" {
            out.end();
            return Ok(());
        }
        self.tell(&parse(data)?, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let generated: Generated<'_> = parse(body)?;
        if generated.text_output.is_none() && generated.error.is_none() {
            return Err(missing(body));
        }
        self.tell(&generated, out)?;
        out.end();
        Ok(())
    }

    /// It marks no end: a stream is over with its body.
    fn close(&mut self, out: &mut Out<'_>) {
        out.end();
    }
}
