//! `--ml-repo`: a test's run in an ML Repo, made while the test runs. Whatever becomes of it, the results are there without it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::args::MlRepoArgs;
use super::conduct::Told;
use crate::app::console::complain;
use crate::app::failure::Failure;
use crate::app::signals::Signal;
use crate::app::surroundings::{draw, wall_clock};
use crate::app::target::read_text;
use crate::client::TlsSettings;
use crate::config::{self, Surroundings};
use crate::llmperf::ml_run_name;
use crate::mlflow::{Ending, Limits, Logging, NewRun, Server, Status};

/// The job's run, where TrueFoundry's platform runs the test.
const JOB: &str = "TFY_INTERNAL_JOB_RUN_NAME";

/// A test that is being logged.
#[derive(Debug)]
pub(super) struct MlRepo {
    logging: Logging,
}

impl MlRepoArgs {
    /// Begins to log, if that is wanted. `params` is what the test was asked for. Must be called on a tokio runtime, before
    /// the test: settings that name no server are refused here, and a server that is down is heard of early.
    pub(super) fn start(
        &self,
        model: &str,
        params: Vec<(String, String)>,
        around: &dyn Surroundings,
    ) -> Result<Option<MlRepo>, Failure> {
        let Some(experiment) = self.experiment() else {
            return Ok(None);
        };
        let server = Server::from_variables(&|name| around.variable(name)).map_err(|error| {
            let hint = error.hint();
            Failure::usage(error).hint(hint)
        })?;
        let client = client(&server, around)?;
        let now = OffsetDateTime::from(wall_clock());
        let job = around.variable(JOB).filter(|job| !job.is_empty());
        let run = NewRun {
            experiment: experiment.to_owned(),
            name: self
                .name()
                .map_or_else(|| ml_run_name(model, job.as_deref(), now), str::to_owned),
            tags: user(around).into_iter().collect(),
            params,
            start_time_ms: millis(now),
            key: key()?,
        };
        let limits = Limits::new(self.ml_repo_timeout);
        let logging = Logging::start(client, server, run, limits);
        Ok(Some(MlRepo { logging }))
    }
}

/// Logs the end of a test, where it is logged at all; what is not there is a warning. A signal ends the waiting.
pub(super) async fn finish(
    repo: Option<MlRepo>,
    told: Told,
    status: Status,
    signals: &mut mpsc::Receiver<Signal>,
) {
    let Some(repo) = repo else { return };
    tokio::select! {
        warnings = repo.finish(told, status) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
        }
        Some(_) = signals.recv() => {
            tracing::warn!("the ML Repo is not waited for any longer: what it has not got yet is not there");
        }
    }
}

impl MlRepo {
    /// Logs the end of the test, says where it can be seen, and returns what is not there and why.
    async fn finish(self, told: Told, status: Status) -> Vec<String> {
        let ending = Ending {
            metrics: told.metrics,
            files: told.files,
            status,
            time_ms: millis(OffsetDateTime::from(wall_clock())),
        };
        let logged = self.logging.finish(ending).await;
        if let Some(page) = logged.page {
            complain(&format!("the run in the ML Repo: {page}"));
        }
        logged.warnings
    }
}

fn user(around: &dyn Surroundings) -> Option<(String, String)> {
    let name = ["LOGNAME", "USER"]
        .into_iter()
        .find_map(|name| around.variable(name))?;
    (!name.is_empty()).then(|| ("mlflow.user".to_owned(), name))
}

/// A text that no other run has.
fn key() -> Result<String, Failure> {
    let draw = || draw().map_err(Failure::failed);
    Ok(format!("{:016x}{:016x}", draw()?, draw()?))
}

fn millis(time: OffsetDateTime) -> i64 {
    // Milliseconds since 1970 pass 63 bits in 292 million years.
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// A client that reaches the server, by a proxy where the environment names one.
fn client(server: &Server, around: &dyn Surroundings) -> Result<reqwest::Client, Failure> {
    let hint = "MLFLOW_TRACKING_SERVER_CERT_PATH takes a PEM file";
    let read = |path: &Path| read_text(path, "the certificate file", hint);
    let tls = TlsSettings {
        insecure_skip_verify: server.insecure_tls,
        ca_pem: server.ca_file.as_deref().map(read).transpose()?,
        http2: false,
    };
    let tls = tls
        .config()
        .map_err(|error| Failure::usage(error).hint(hint))?;
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .user_agent(concat!("llmload/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        // A redirect would carry the token to another host.
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured((*tls).clone());
    if let Some(proxy) = proxy(server, around)? {
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .context("cannot set up a client for the ML Repo")
        .map_err(Failure::failed)
}

fn proxy(server: &Server, around: &dyn Surroundings) -> Result<Option<reqwest::Proxy>, Failure> {
    let found = config::proxy_for(server.address(), around).map_err(|error| {
        let hint = error.hint();
        Failure::usage(error).with_hint(hint)
    })?;
    let Some(found) = found else { return Ok(None) };
    let mut proxy = reqwest::Proxy::all(&found.url)
        .context("the proxy")
        .map_err(Failure::usage)?;
    let credentials = found.credentials.as_ref();
    if let Some((user, password)) = credentials.and_then(|pair| pair.expose().split_once(':')) {
        proxy = proxy.basic_auth(user, password);
    }
    Ok(Some(proxy))
}
