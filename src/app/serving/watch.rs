//! The server's metrics while a benchmark goes on: watched beside it, by the sampler that `run` has too.

use std::time::Duration;

use super::carrier::Carrier;
use super::server::ca_pem;
use super::target::Target;
use crate::app::discover::Way;
use crate::app::failure::Failure;
use crate::app::sampler::Sampler;
use crate::gauges::Watched;

/// How long a server is looked at to see whether it tells of its cache.
const GLANCE: Duration = Duration::from_millis(50);

/// Begins to look.
///
/// # Errors
/// Settings that no look can be made with.
pub(super) fn start(target: &Target, carrier: &Carrier) -> Result<Sampler, Failure> {
    let settings = carrier.settings();
    let ca_pem = ca_pem(settings)?;
    let way = Way {
        ca_pem: ca_pem.as_deref(),
        source: carrier.source(),
    };
    Sampler::start(&target.url(&target.metrics), target.step, settings, way)
}

/// What a server tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// How full its cache is, too.
    OfItsCache,
    /// How many requests it has, and nothing of a cache.
    OfRequests,
}

/// What the server tells of itself; else why nothing.
///
/// # Errors
/// Settings that no look can be made with.
pub(super) async fn tells(
    target: &Target,
    carrier: &Carrier,
) -> Result<Result<Tells, String>, Failure> {
    let sampler = start(target, carrier)?;
    tokio::time::sleep(GLANCE).await;
    Ok(told(&sampler.stop().await))
}

fn told(watched: &Watched) -> Result<Tells, String> {
    if watched.looks.iter().any(|look| look.cache.is_some()) {
        return Ok(Tells::OfItsCache);
    }
    if !watched.looks.is_empty() {
        return Ok(Tells::OfRequests);
    }
    Err(match watched.failure.as_str() {
        "" => "it does not answer".to_owned(),
        failure => failure.to_owned(),
    })
}
