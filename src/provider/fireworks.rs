//! Fireworks: `OpenAI`'s APIs with fields of its own, and with figures that the server measured beside its answers.

use serde_json::json;

use super::body::set;
use super::openai::{Manner, OpenAi};
use super::{ShapeError, Spec};

/// The API for these settings.
pub(super) fn new(spec: &Spec) -> Result<OpenAi, ShapeError> {
    let mut manner = Manner::of(spec);
    let (more, fields) = (&mut manner.more, &spec.fireworks);
    if spec.task.generates() {
        set(more, "perf_metrics_in_response", Some(true));
        let prefix = Some(fields.prompt_cache_max_len).filter(|&length| length > 0);
        set(more, "prompt_cache_max_len", prefix);
        let probs = fields.acceptance_probs.as_ref().map(|probs| json!(probs));
        set(more, "acceptance_probs_override", probs);
    } else {
        spec.kind.refuse(&[
            ("force_min_tokens without text", fields.force_min_tokens),
            (
                "acceptance_probs_override without text",
                fields.acceptance_probs.is_some(),
            ),
        ])?;
    }
    OpenAi::new(spec, manner)
}
