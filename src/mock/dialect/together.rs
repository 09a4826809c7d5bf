//! Together's completions: a stream like OpenAI's, and a whole answer that stands under `output`.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Completion, Dialect};
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// `POST /`.
pub(in crate::mock) struct Together;

impl Dialect for Together {
    fn head(&self, talk: &Talk) -> String {
        Completion.head(talk)
    }

    fn opening(&self, talk: &Talk, sse: &mut Sse) {
        Completion.opening(talk, sse);
    }

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        Completion.step(talk, sse, choice, tokens);
    }

    fn ending(&self, talk: &Talk, sse: &mut Sse) {
        Completion.ending(talk, sse);
    }

    fn error_event(&self, talk: &Talk, sse: &mut Sse) {
        Completion.error_event(talk, sse);
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        Completion.broken_event(talk, sse);
    }

    fn whole(&self, talk: &Talk) -> Value {
        json!({"status": "finished", "output": Completion.whole(talk)})
    }

    fn error(&self, status: u16, message: &str) -> Value {
        Completion.error(status, message)
    }
}
