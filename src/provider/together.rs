//! Together's own completions: `OpenAI`'s words with another name for streams, at the root of the host.
//! Its `OpenAI`-like routes are spoken as `OpenAI`'s.

use std::borrow::Cow;

use super::body::set;
use super::openai::{Manner, OpenAi};
use super::{ShapeError, Spec, Task};

/// The API for these settings.
pub(super) fn new(spec: &Spec) -> Result<OpenAi, ShapeError> {
    spec.kind.refuse(&[
        (
            "chat; --no-chat asks for plain completions",
            spec.task == Task::Chat,
        ),
        ("embeddings", matches!(spec.task, Task::Embeddings(_))),
        ("ranking", matches!(spec.task, Task::Rerank(_))),
    ])?;
    let mut manner = Manner {
        path: Cow::Borrowed("/"),
        stream: "stream_tokens",
        ..Manner::of(spec)
    };
    set(&mut manner.more, "ignore_eos", Some(true));
    OpenAi::new(spec, manner)
}
