//! What answers without text say: how many vectors came, or how many documents were ranked.
//! The numbers in them are passed over, not read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::errors::{error_code, excerpt, words_of};
use super::super::figures::Figures;
use super::super::json::{Count, Text, parse};
use super::super::reader::{Dialect, Out};
use crate::domain::Usage;
use crate::provider::{DecodeError, Fields};

/// Embeddings stand in `data`; ranked documents in `results`, or in `data` as well.
#[derive(Deserialize)]
struct Answer<'a> {
    data: Option<Count>,
    results: Option<Count>,
    usage: Option<Counts>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u32>,
    /// Some that rank tell nothing else; without output it is the prompt's.
    total_tokens: Option<u32>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u32>,
}

impl Counts {
    fn usage(&self) -> Usage {
        let details = self.prompt_tokens_details.as_ref();
        Usage {
            prompt_tokens: self.prompt_tokens.or(self.total_tokens),
            cached_tokens: details.and_then(|details| details.cached_tokens),
            ..Usage::default()
        }
    }
}

/// The state of one answer.
#[derive(Debug)]
pub(super) struct Vectors {
    figures: Option<Box<Figures>>,
}

impl Vectors {
    /// For one answer; `figures` gathers what the server measured, where it tells.
    pub(super) const fn new(figures: Option<Box<Figures>>) -> Self {
        Self { figures }
    }
}

impl Dialect for Vectors {
    fn head(&mut self, field: &Fields<'_>) {
        if let Some(figures) = &mut self.figures {
            figures.read_head(field);
        }
    }

    /// Such an answer is never a stream.
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        self.whole(data, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let answer: Answer<'_> = parse(body)?;
        if answer.error.is_some() || answer.object.as_str() == "error" {
            let words = answer.error.or(answer.message).map(words_of);
            let words = words.as_deref().unwrap_or("error without a message");
            out.coded_error(words, error_code(body));
        } else {
            let count = answer
                .results
                .or(answer.data)
                .ok_or_else(|| DecodeError::Missing {
                    field: "data",
                    excerpt: excerpt(body),
                })?;
            out.vectors(count.0);
        }
        let usage = answer.usage.as_ref().map(Counts::usage).unwrap_or_default();
        out.usage(usage);
        if let Some(mut figures) = self.figures.take() {
            figures.note_usage(usage);
            figures.tell(out);
        }
        out.end();
        Ok(())
    }

    fn close(&mut self, _out: &mut Out<'_>) {}
}
