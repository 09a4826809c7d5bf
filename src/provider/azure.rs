//! `OpenAI`'s APIs as Azure deploys them: the deployment stands in the path, and the key in a header of its own.

use std::borrow::Cow;

use http::HeaderName;

use super::body::path_segment;
use super::openai::{Manner, OpenAi};
use super::{ShapeError, Spec, Task};

/// The version that is asked for when the settings have none.
const API_VERSION: &str = "2024-10-21";

/// The API for these settings.
pub(super) fn new(spec: &Spec) -> Result<OpenAi, ShapeError> {
    let ranks = matches!(spec.task, Task::Rerank(_));
    spec.kind.refuse(&[("ranking", ranks)])?;
    OpenAi::new(
        spec,
        Manner {
            path: Cow::Owned(path(spec)),
            key: (HeaderName::from_static("api-key"), ""),
            ..Manner::of(spec)
        },
    )
}

fn path(spec: &Spec) -> String {
    let settings = spec.azure.as_ref();
    let deployment = settings
        .and_then(|azure| azure.deployment.as_deref())
        .unwrap_or(&spec.model);
    let version = settings.map_or(API_VERSION, |azure| &azure.api_version);
    let operation = match spec.task {
        Task::Completion => "completions",
        Task::Embeddings(_) => "embeddings",
        Task::Chat | Task::Rerank(_) => "chat/completions",
    };
    format!(
        "/openai/deployments/{}/{operation}?api-version={}",
        path_segment(deployment),
        path_segment(version)
    )
}
