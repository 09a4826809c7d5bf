//! What monitoring systems are told of a run: the options, and what they come to. Nothing is listened on or connected.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::Endpoint;
use super::build::{Builder, Result};
use super::error::Fault;
use super::otlp::Otlp;
use super::{target, value};
use crate::plan::Tracing;

/// Who may look at a page that no host is named for.
const LOOPBACK: &str = "127.0.0.1";

#[derive(Args)]
#[command(next_help_heading = "Telemetry")]
pub(super) struct TelemetryArgs {
    #[command(flatten)]
    pub page: PageArgs,
    #[command(flatten)]
    pub collector: CollectorArgs,
    /// Tell the collector how the run stands this often
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = value::positive_span)]
    pub otlp_step: Duration,
    /// Share of the requests that have a span there, and a header traceparent; absent: none
    #[arg(long, value_name = "F", value_parser = value::fraction)]
    pub trace_sample: Option<f64>,
}

/// Workers have a page too, of their own part.
#[derive(Args)]
#[command(next_help_heading = "Telemetry")]
pub(super) struct PageArgs {
    /// Serve the run's metrics for Prometheus at /metrics here, a worker those of its part; a port alone is on 127.0.0.1
    #[arg(long, value_name = "[HOST:]PORT")]
    pub prometheus: Option<String>,
    /// Keep that page for so long after the end, for a last scrape
    #[arg(long, value_name = "SPAN", default_value = "0", value_parser = value::span)]
    pub prometheus_linger: Duration,
}

/// What workers take too.
#[derive(Args)]
#[command(next_help_heading = "Telemetry")]
pub(super) struct CollectorArgs {
    /// Send the run's metrics and spans to the OpenTelemetry collector at this address (OTLP over HTTP); env: as its own variables say
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Header that lets in there; repeatable, and kept as a secret
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    pub otlp_header: Vec<String>,
}

/// A page for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it is.
    pub bind: Endpoint,
    /// How long it is there after the end.
    pub linger: Duration,
}

/// What monitoring systems are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// Where Prometheus finds a page of the run.
    pub prometheus: Option<Page>,
    /// The OpenTelemetry collector that is told.
    pub otlp: Option<Otlp>,
    /// How often it is told how the run stands.
    pub otlp_step: Duration,
    /// Share of the requests that have a span there.
    pub trace_sample: Option<f64>,
}

impl Telemetry {
    /// What a plan says of it: nothing secret.
    pub(super) fn tracing(&self) -> Option<Tracing> {
        let (otlp, sample) = self.otlp.as_ref().zip(self.trace_sample)?;
        (sample > 0.0).then(|| Tracing {
            sample,
            collector: otlp.url.clone(),
        })
    }
}

impl Builder<'_> {
    /// What the options come to.
    pub(super) fn telemetry(&self, args: &TelemetryArgs) -> Result<Telemetry> {
        Ok(Telemetry {
            prometheus: self.page(&args.page)?,
            otlp: self.collector(&args.collector)?,
            otlp_step: args.otlp_step,
            trace_sample: args.trace_sample,
        })
    }

    /// The page that the options ask for.
    pub(super) fn page(&self, args: &PageArgs) -> Result<Option<Page>> {
        let bind = args.prometheus.as_deref().map(bound);
        let bind = self.check("prometheus", bind.transpose())?;
        Ok(bind.map(|bind| Page {
            bind,
            linger: args.prometheus_linger,
        }))
    }

    /// The collector that the options name.
    pub(super) fn collector(&self, args: &CollectorArgs) -> Result<Option<Otlp>> {
        self.otlp(args.otlp.as_deref(), &args.otlp_header)
    }
}

/// Where to listen: `PORT`, or `HOST:PORT`, in which `*` is every address.
fn bound(text: &str) -> std::result::Result<Endpoint, Fault> {
    let text = text.trim();
    if let Ok(port) = text.parse() {
        let host = LOOPBACK.to_owned();
        return Ok(Endpoint { host, port });
    }
    let hint = "write --prometheus 9464, or a host and a port like 0.0.0.0:9464 or [::1]:9464";
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let is_bare = text.parse::<core::net::Ipv6Addr>().is_ok();
    if is_bare || port.parse::<u16>().is_err() || host.is_empty() {
        let fault = Fault::new(format!("`{text}` does not end in a port to listen on"));
        return Err(fault.hint(hint));
    }
    let text = match host {
        "*" => format!("0.0.0.0:{port}"),
        _ => text.to_owned(),
    };
    target::endpoint(&text, 0).map_err(|fault| fault.hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_for_this_machine() {
        let read = |text: &str| bound(text).map(|bound| bound.to_string());
        assert_eq!(read("9464").as_deref(), Ok("127.0.0.1:9464"));
        assert_eq!(read("0").as_deref(), Ok("127.0.0.1:0"));
        assert_eq!(read("0.0.0.0:9464").as_deref(), Ok("0.0.0.0:9464"));
        assert_eq!(read("*:9464").as_deref(), Ok("0.0.0.0:9464"));
        assert_eq!(read("[::1]:9464").as_deref(), Ok("[::1]:9464"));
        assert_eq!(read("host:1").as_deref(), Ok("host:1"));
        for wrong in [
            "",
            "host",
            ":1",
            "host:",
            "65536",
            "::1",
            "http://h:1",
            "a:b",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
