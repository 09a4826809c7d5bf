//! vLLM and `SGLang`: `OpenAI`'s APIs with the end token ignored, so that an answer has the length asked for.

use serde_json::{Map, Value};

use super::openai::OpenAi;
use super::{ShapeError, Spec};

/// The API for these settings.
pub(super) fn new(spec: &Spec) -> Result<OpenAi, ShapeError> {
    let more = Map::from_iter([("ignore_eos".to_owned(), Value::Bool(true))]);
    OpenAi::new(spec, more)
}
