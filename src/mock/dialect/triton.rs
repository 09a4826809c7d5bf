//! Triton's two ways to generate: neither tells how many tokens it made, and whole answers repeat the prompt.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Dialect, STREAM_ERROR};
use crate::mock::sse::Sse;
use crate::mock::talk::Talk;

/// `POST /v2/models/M/generate` and `generate_stream`.
pub(in crate::mock) struct TritonGenerate;

/// `POST /v2/models/M/infer`.
pub(in crate::mock) struct TritonInfer;

/// A whole answer as the models of the TensorRT-LLM examples give it: with the prompt before it.
fn echoed(talk: &Talk) -> String {
    format!(
        "<s> {} {}",
        talk.prompt,
        talk.speech(0).text(0..talk.tokens)
    )
}

fn error(message: &str) -> Value {
    json!({ "error": message })
}

impl Dialect for TritonGenerate {
    fn head(&self, talk: &Talk) -> String {
        let model = talk.model_json();
        format!("data: {{\"model_name\":{model},\"model_version\":\"1\",\"text_output\":\"")
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, talk: &Talk, sse: &mut Sse, choice: u32, tokens: Range<u32>) {
        sse.begin(&talk.head);
        talk.speech(choice).say(tokens, sse.out());
        sse.text("\"").close_object();
    }

    /// The end of the body is the end.
    fn ending(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn error_event(&self, _talk: &Talk, sse: &mut Sse) {
        sse.begin("data: {\"error\":\"")
            .text(STREAM_ERROR)
            .text("\"")
            .close_object();
    }

    fn broken_event(&self, talk: &Talk, sse: &mut Sse) {
        sse.begin(&talk.head).close();
    }

    fn whole(&self, talk: &Talk) -> Value {
        json!({"model_name": talk.model, "model_version": "1", "text_output": echoed(talk)})
    }

    fn error(&self, _status: u16, message: &str) -> Value {
        error(message)
    }
}

impl Dialect for TritonInfer {
    fn head(&self, _talk: &Talk) -> String {
        String::new()
    }

    fn opening(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn step(&self, _talk: &Talk, _sse: &mut Sse, _choice: u32, _tokens: Range<u32>) {}

    fn ending(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn error_event(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn broken_event(&self, _talk: &Talk, _sse: &mut Sse) {}

    fn whole(&self, talk: &Talk) -> Value {
        let output = json!({
            "name": "text_output",
            "datatype": "BYTES",
            "shape": [1],
            "data": [echoed(talk)],
        });
        json!({"model_name": talk.model, "model_version": "1", "outputs": [output]})
    }

    fn error(&self, _status: u16, message: &str) -> Value {
        error(message)
    }
}
