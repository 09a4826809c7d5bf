//! vLLM and `SGLang`: `OpenAI`'s APIs with the end token ignored, so that an answer has the length asked for.

use super::body::set;
use super::openai::{Manner, OpenAi};
use super::{ShapeError, Spec};

/// The API for these settings.
pub(super) fn new(spec: &Spec) -> Result<OpenAi, ShapeError> {
    let mut manner = Manner::of(spec);
    let ignored = spec.task.generates().then_some(true);
    set(&mut manner.more, "ignore_eos", ignored);
    OpenAi::new(spec, manner)
}
