//! `--ml-repo`: a test's run in an ML Repo, made while the test runs. Whatever becomes of it, the results are there without it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::args::MlRepoArgs;
use super::play::Made;
use crate::app::console::complain;
use crate::app::failure::{Failure, status};
use crate::app::surroundings::{draw, wall_clock};
use crate::app::target::read_text;
use crate::chart;
use crate::client::TlsSettings;
use crate::config::{self, Surroundings};
use crate::llmperf::{Benchmark, Individual, file, html_report, ml_run_name, plots};
use crate::mlflow::{Artifact, Content, Ending, Limits, Logging, NewRun, Server, Status};

/// The job's run, where TrueFoundry's platform runs the test.
const JOB: &str = "TFY_INTERNAL_JOB_RUN_NAME";

/// A test that is being logged, if that is wanted.
#[derive(Debug)]
pub(super) struct MlRepo {
    logging: Option<Logging>,
}

impl MlRepoArgs {
    /// Begins to log, where that is wanted. `params` is what the test was asked for. Must be called on a tokio runtime, before
    /// the test: settings that name no server are refused here, and a server that is down is heard of early.
    pub(super) fn start(
        &self,
        model: &str,
        params: Vec<(String, String)>,
        around: &dyn Surroundings,
    ) -> Result<MlRepo, Failure> {
        let Some(experiment) = self.experiment() else {
            return Ok(MlRepo { logging: None });
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
        Ok(MlRepo {
            logging: Some(logging),
        })
    }
}

/// Logs the end of a test, where it is logged at all; what is not there is a warning.
pub(super) async fn finish(
    repo: Option<MlRepo>,
    metrics: Vec<(String, f64)>,
    files: Vec<Artifact>,
    status: Status,
) {
    let Some(repo) = repo else { return };
    for warning in repo.finish(metrics, files, status).await {
        tracing::warn!("{warning}");
    }
}

impl MlRepo {
    /// Whether anything is logged.
    pub(super) const fn is_wanted(&self) -> bool {
        self.logging.is_some()
    }

    /// Logs the end of a test, says where it can be seen, and what is not there and why.
    pub(super) async fn finish(
        self,
        metrics: Vec<(String, f64)>,
        files: Vec<Artifact>,
        status: Status,
    ) {
        let Some(logging) = self.logging else { return };
        let ending = Ending {
            metrics,
            files,
            status,
            time_ms: millis(OffsetDateTime::from(wall_clock())),
        };
        let logged = logging.finish(ending).await;
        for warning in logged.warnings {
            tracing::warn!("{warning}");
        }
        if let Some(page) = logged.page {
            complain(&format!("the run in the ML Repo: {page}"));
        }
    }

    /// Logs that a test came to nothing.
    pub(super) async fn give_up(self, came: &Result<Made, Failure>) {
        let killed = came.as_ref().is_ok_and(|made| made.interrupted);
        let status = if killed {
            Status::Killed
        } else {
            Status::Failed
        };
        self.finish(Vec::new(), Vec::new(), status).await;
    }
}

/// How a test ended that answered something.
pub(super) const fn status_of(made: &Made) -> Status {
    match (made.interrupted, made.status) {
        (true, _) => Status::Killed,
        (false, status::OK) => Status::Finished,
        (false, _) => Status::Failed,
    }
}

/// Both result files of a test, whether they are written here too or not.
pub(super) fn result_files(
    stem: &str,
    summary: &impl Serialize,
    individual: &impl Serialize,
) -> Vec<Artifact> {
    let texts = [
        ("summary.json", file(summary)),
        ("individual_responses.json", file(individual)),
    ];
    let files = texts.into_iter();
    files
        .filter_map(|(ending, text)| Some(artifact(stem, ending, text.ok()?)))
        .collect()
}

/// The plots as PNG and SVG, and the page that has them all.
pub(super) fn pictures(
    bench: &Benchmark,
    summary: &Map<String, Value>,
    responses: &[Individual],
) -> Vec<Artifact> {
    let stem = bench.stem();
    let mut files = Vec::new();
    let mut drawn = Vec::new();
    for (name, figure) in plots(&bench.model, responses) {
        match (chart::png(&figure), chart::svg(&figure)) {
            (Ok(png), Ok(svg)) => {
                files.push(artifact(&stem, &format!("{name}.png"), png));
                files.push(artifact(&stem, &format!("{name}.svg"), svg.clone()));
                drawn.push((name.to_owned(), svg));
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!("the plot `{name}` is not logged: {error}");
            }
        }
    }
    match html_report(bench, summary, responses, &drawn) {
        Ok(page) => files.push(artifact(&stem, "report.html", page)),
        Err(error) => tracing::warn!("the HTML report is not logged: {error}"),
    }
    files
}

fn artifact(stem: &str, ending: &str, content: impl Into<Bytes>) -> Artifact {
    Artifact {
        name: format!("{stem}_{ending}"),
        content: Content::Bytes(content.into()),
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
