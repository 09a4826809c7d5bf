//! Where an OpenTelemetry collector is, as options and as the variables of OpenTelemetry's own libraries say it.

use indexmap::IndexMap;

use super::build::{Builder, Result};
use super::error::Fault;
use super::target;
use crate::domain::{Secret, percent_decoded};

/// The variables that `--otlp env` reads.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// A collector that takes OTLP over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// Its address, without the end of the path that differs by kind, and without a slash at its end.
    pub url: String,
    /// Headers that let us in, names in lower case: all count as secrets.
    pub headers: IndexMap<String, Secret>,
}

impl Builder<'_> {
    /// The collector that `--otlp` and `--otlp-header` come to.
    pub(super) fn otlp(&self, said: Option<&str>, lines: &[String]) -> Result<Option<Otlp>> {
        let Some(said) = said else { return Ok(None) };
        let mut headers = IndexMap::new();
        let url = if said.trim().eq_ignore_ascii_case("env") {
            let url = self.check("otlp", self.endpoint_variable())?;
            for line in self.header_variable() {
                let (name, value) = self.check("otlp", target::header(&line))?;
                headers.insert(name, Secret::new(value));
            }
            url
        } else {
            self.check("otlp", collector(said))?
        };
        for line in lines {
            let (name, value) = self.check("otlp_header", target::header(line))?;
            headers.insert(name, Secret::new(value));
        }
        Ok(Some(Otlp { url, headers }))
    }

    fn endpoint_variable(&self) -> std::result::Result<String, Fault> {
        let said = self.around.variable(ENDPOINT);
        let missing = || Fault::new(format!("--otlp env reads {ENDPOINT}, which is not set"));
        collector(&said.ok_or_else(missing)?)
    }

    /// `NAME=VALUE` with commas between them, values percent-encoded, as lines of headers.
    fn header_variable(&self) -> Vec<String> {
        let said = self.around.variable(HEADERS).unwrap_or_default();
        let pairs = said.split(',').filter(|pair| !pair.trim().is_empty());
        let line = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => format!("{name}: {}", percent_decoded(value)),
            None => String::new(),
        };
        pairs.map(line).collect()
    }
}

/// The address of a collector. No message shows it: it may hold a secret.
fn collector(text: &str) -> std::result::Result<String, Fault> {
    let hint = "write one like http://localhost:4318; keys go into --otlp-header";
    let wrong = |words: &str| Fault::new(format!("the collector's address {words}")).hint(hint);
    let text = text.trim().trim_end_matches('/');
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(wrong("has no scheme"));
    };
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(wrong("is not one of HTTP"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') || rest.contains(['?', '#']) {
        return Err(wrong("has a user, a query or a fragment"));
    }
    if rest.ends_with("/v1/metrics") || rest.ends_with("/v1/traces") {
        return Err(wrong("ends in what is added to it"));
    }
    target::check_address(text).map_err(|_| wrong("is none"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_secret_and_a_fault_shows_none() {
        assert_eq!(
            collector(" http://h:4318/ ").as_deref(),
            Ok("http://h:4318")
        );
        assert_eq!(collector("https://h/a").as_deref(), Ok("https://h/a"));
        for wrong in [
            "h:4318",
            "grpc://hunter2",
            "http://u:hunter2@h",
            "http://h?key=hunter2",
            "http://h/v1/traces",
            "http://hunter2:x",
            "",
        ] {
            let fault = collector(wrong).map_err(|fault| format!("{fault:?}"));
            assert!(!fault.unwrap_err().contains("hunter2"), "{wrong}");
        }
    }
}
