//! From settings about the server to what is needed to ask it something before a run.

use std::sync::Arc;

use anyhow::Context;
use indexmap::IndexMap;
use rustls::ClientConfig;

use super::failure::Failure;
use crate::client::{Target, TlsSettings};
use crate::config::TargetOptions;
use crate::embed::{Error, address};
use crate::plan::HttpVersion;
use crate::provider;

/// Host, port and base path of a base URL.
pub(super) fn parse(base_url: &str) -> Result<Target, Failure> {
    Ok(address::parse(base_url)?)
}

/// TLS settings for a server that is only asked, with the version of HTTP left open.
pub(super) fn tls(
    target: &TargetOptions,
    ca_pem: Option<&str>,
) -> Result<Arc<ClientConfig>, Failure> {
    let settings = TlsSettings {
        insecure_skip_verify: target.insecure_skip_verify,
        ca_pem: ca_pem.map(str::to_owned),
        http2: target.http == HttpVersion::Http2,
    };
    let config = settings.config().map_err(Error::from)?;
    Ok(config)
}

/// A provider's settings for a request that only asks what a server is.
pub(super) fn plain_spec() -> provider::Spec {
    provider::Spec {
        kind: provider::Kind::OpenAi,
        model: String::new(),
        task: provider::Task::Chat,
        stream: false,
        sampling: provider::Sampling::default(),
        headers: IndexMap::new(),
        fireworks: provider::Fireworks::default(),
        azure: None,
        custom: None,
        place: provider::Place::default(),
    }
}

/// Reads a file whose content goes into a plan.
pub(super) fn read_text(path: &std::path::Path, what: &str, hint: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {what} `{}`", path.display()))
        .map_err(|error| Failure::usage(error).hint(hint))
}
