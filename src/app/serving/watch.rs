//! The server's metrics while a benchmark goes on: watched beside it, by the sampler that `run` has too.

use std::time::Duration;

use super::carrier::Carrier;
use super::target::Target;
use crate::app::failure::Failure;
use crate::gauges::Watched;

/// Somebody who looks.
pub(super) struct Watch;

impl Watch {
    /// Begins to look.
    pub(super) fn start(_target: &Target, _carrier: &Carrier) -> Result<Self, Failure> {
        Ok(Self)
    }

    /// What was seen.
    pub(super) async fn stop(self) -> Watched {
        Watched::default()
    }
}

/// Whether the server tells of its cache; else why not.
pub(super) async fn tells(
    target: &Target,
    carrier: &Carrier,
) -> Result<Result<(), String>, Failure> {
    let watch = Watch::start(target, carrier)?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let watched = watch.stop().await;
    if watched.looks.iter().any(|look| look.cache.is_some()) {
        return Ok(Ok(()));
    }
    Ok(Err(if watched.failure.is_empty() {
        "it tells nothing of a cache".to_owned()
    } else {
        watched.failure
    }))
}
