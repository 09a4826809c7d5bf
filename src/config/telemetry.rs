//! What monitoring systems are told of a run: the options, and what they come to. Nothing is listened on or connected.

use std::time::Duration;

use clap::Args;

use super::Endpoint;
use super::build::{Builder, Result};
use super::error::Fault;
use super::{target, value};

/// Who may look at a page that no host is named for.
const LOOPBACK: &str = "127.0.0.1";

#[derive(Args)]
#[command(next_help_heading = "Telemetry")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct TelemetryArgs {
    /// Serve the run's metrics for Prometheus at /metrics here; a port alone is on 127.0.0.1
    #[arg(long, value_name = "[HOST:]PORT")]
    pub prometheus: Option<String>,
    /// Keep that page for so long after the end, for a last scrape
    #[arg(long, value_name = "SPAN", default_value = "0", value_parser = value::span)]
    pub prometheus_linger: Duration,
}

/// What monitoring systems are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// Where Prometheus finds a page of the run.
    pub prometheus: Option<Endpoint>,
    /// How long it is there after the end.
    pub prometheus_linger: Duration,
}

impl Builder<'_> {
    /// What the options come to.
    pub(super) fn telemetry(&self, args: &TelemetryArgs) -> Result<Telemetry> {
        let page = args.prometheus.as_deref().map(bound);
        Ok(Telemetry {
            prometheus: self.check("prometheus", page.transpose())?,
            prometheus_linger: args.prometheus_linger,
        })
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
