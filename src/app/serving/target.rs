//! The server of a suite: where it is, what it is sent, and where it tells of itself. It asks nothing.

use std::time::Duration;

use anyhow::anyhow;

use super::args::ServerArgs;
use super::backend::{Backend, Speech};
use crate::app::failure::Failure;
use crate::config;
use crate::domain::Secret;

/// The server.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) backend: Backend,
    pub(super) speech: Speech,
    /// Without a slash at its end.
    pub(super) base_url: String,
    /// The path of completions that somebody gave.
    pub(super) completions: Option<String>,
    pub(super) metrics: String,
    pub(super) info: String,
    pub(super) launch_arguments: String,
    /// The model that somebody named.
    pub(super) model: Option<String>,
    /// What it is called in the results.
    pub(super) model_name: Option<String>,
    pub(super) api_key: Option<Secret>,
    /// From one look at the metrics to the next.
    pub(super) step: Duration,
    /// For a whole request.
    pub(super) timeout: Duration,
    /// For what is under way when a benchmark's time is over.
    pub(super) drain: Duration,
    /// The server is a part of this program.
    pub(super) is_mock: bool,
}

impl Target {
    /// What the options say, with the defaults of whom nobody told anything.
    ///
    /// # Errors
    /// An address that is none, a server beside the built-in one.
    pub(super) fn of(args: &ServerArgs, is_mock: bool) -> Result<Self, Failure> {
        let backend = Backend::named(args.backend.as_deref());
        let completions = args.completions_endpoint.clone();
        let speech = backend.speech(completions.as_deref());
        let or = |given: &Option<String>, usual: &str| given.clone().unwrap_or(usual.to_owned());
        let timeout = args.timeout.unwrap_or(Duration::from_secs(300));
        Ok(Self {
            backend,
            speech,
            base_url: base_url(args, is_mock)?,
            completions,
            metrics: or(&args.metrics_endpoint, backend.metrics),
            info: or(&args.info_endpoint, "/v1/info"),
            launch_arguments: or(&args.launch_arguments_endpoint, "/v1/launch_arguments"),
            model: args.model.clone(),
            model_name: args.model_name.clone(),
            api_key: args.api_key.clone().map(Secret::new),
            step: Duration::from_secs_f64(args.step_live_metrics.unwrap_or(0.01)),
            timeout,
            drain: timeout + Duration::from_secs(1),
            is_mock,
        })
    }

    /// The address of a path of the server.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Where it is, for a file: the built-in server's port is another each time.
    pub(super) fn address(&self) -> &str {
        if self.is_mock { "mock" } else { &self.base_url }
    }
}

fn base_url(args: &ServerArgs, is_mock: bool) -> Result<String, Failure> {
    // An empty one has always meant none.
    let given = args.base_url.as_deref().filter(|url| !url.is_empty());
    if is_mock {
        return Ok(String::new());
    }
    let host = args.host.as_deref().unwrap_or("localhost");
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let made = format!("http://{host}:{}", args.port.unwrap_or(8000));
    config::base_url(given.unwrap_or(&made)).map_err(|error| {
        let hint = error.hint();
        Failure::usage(anyhow!("{error}")).with_hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::super::args::{BENCH_SUITE, SuiteArgs, command};
    use super::*;

    fn target(line: &str) -> Result<Target, String> {
        let argv = std::iter::once(BENCH_SUITE).chain(line.split_whitespace());
        let matches = command(BENCH_SUITE).try_get_matches_from(argv).unwrap();
        let args = SuiteArgs::from_arg_matches(&matches).unwrap();
        Target::of(&args.server, false).map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_address_goes_before_host_and_port() {
        let url = |line: &str| target(line).unwrap().base_url;
        assert_eq!(url(""), "http://localhost:8000");
        assert_eq!(url("--host ::1 --port 5"), "http://[::1]:5");
        assert_eq!(url("--base-url= --port 5"), "http://localhost:5");
        assert_eq!(url("--base-url https://h/x/ --port 5"), "https://h/x");
    }

    #[test]
    fn paths_have_defaults_by_backend_and_their_slash() {
        let happy = target("").unwrap();
        assert_eq!(
            (happy.metrics.as_str(), happy.info.as_str()),
            ("/metrics/", "/v1/info")
        );
        let vllm = target("--backend vllm --info-endpoint v2/info").unwrap();
        assert_eq!(
            (vllm.metrics.as_str(), vllm.info.as_str()),
            ("/metrics", "/v2/info")
        );
        let elsewhere = target("--completions-endpoint /ask").unwrap();
        assert_eq!(elsewhere.speech.place.path.as_deref(), Some("/ask"));
    }
}
