//! A run told to an OpenTelemetry collector: its metrics by whoever merges them, its spans by whoever sent the requests. What is
//! said is made in `telemetry`; whatever a collector does, the run waits for nothing of it.

mod courier;
mod figures;
mod spans;

use http::{HeaderName, HeaderValue};

use super::failure::Failure;
use crate::config::Otlp;
use crate::domain::Secret;

pub(super) use figures::Figures;
pub(super) use spans::Spans;

/// Where a collector is, and what lets us in there.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    /// Without a path's end: `/v1/metrics` and `/v1/traces` come behind it.
    url: String,
    headers: Vec<(HeaderName, Secret)>,
}

impl Collector {
    /// The one of this machine's own settings.
    pub(super) fn own(otlp: &Otlp) -> Result<Self, Failure> {
        let header = |(name, value): (&String, &Secret)| {
            let name = HeaderName::try_from(name).map_err(Failure::usage)?;
            Ok((name, value.clone()))
        };
        let headers: Result<_, Failure> = otlp.headers.iter().map(header).collect();
        Ok(Self {
            url: otlp.url.clone(),
            headers: headers?,
        })
    }

    /// One that a plan names: it has no secrets.
    pub(super) fn of_plan(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            headers: Vec::new(),
        }
    }

    fn headers(&self) -> http::HeaderMap {
        let header = |(name, secret): &(HeaderName, Secret)| {
            let mut value = HeaderValue::try_from(secret.expose()).ok()?;
            value.set_sensitive(true);
            Some((name.clone(), value))
        };
        self.headers.iter().filter_map(header).collect()
    }

    fn secrets(&self) -> Vec<Secret> {
        self.headers
            .iter()
            .map(|(_, secret)| secret.clone())
            .collect()
    }
}
