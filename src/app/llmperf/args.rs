//! The options of `token-benchmark` and `correctness`: their own, and those of `run` and `master` that say how requests
//! travel. It resolves no setting.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::app::failure::Failure;
use crate::app::sweep::{options_of, words};
use crate::domain::parse_span;

/// Names of the subcommands.
pub(in crate::app) const TOKEN_BENCHMARK: &str = "token-benchmark";
pub(in crate::app) const CORRECTNESS: &str = "correctness";

/// The tokenizer that llmperf counts with.
pub(super) const TOKENIZER: &str = "hf-internal-testing/llama-tokenizer";

/// Options of `run` that are the same here: what carries requests, not what they are.
const OF_RUN: [&str; 19] = [
    "http",
    "connection_reuse",
    "warm_connections",
    "no_warm_connections",
    "ca_cert",
    "insecure_skip_verify",
    "no_proxy",
    "header",
    "mock",
    "timeout_first_token",
    "timeout_idle",
    "connect_timeout",
    "allow_invalid",
    "threads",
    "http_engine",
    "stamps",
    "source_ip",
    "loglevel",
    "logfile",
];

/// Options of `master` that are the same here, once workers are expected.
const OF_MASTER: [&str; 16] = [
    "expect_workers",
    "expect_workers_max_wait",
    "max_workers",
    "heartbeat_interval",
    "missing_after",
    "on_worker_loss",
    "journal",
    "no_journal",
    "master_bind_host",
    "master_bind_port",
    "token_file",
    "tls_cert",
    "tls_key",
    "tls_ca",
    "share_secrets",
    "insecure",
];

const ABOUT_TOKENS: &str =
    "llmperf's load test: latencies and throughput of prompts and answers of drawn lengths";
const ABOUT_CORRECTNESS: &str =
    "llmperf's correctness test: whether answers are right while many requests are under way";

const AFTER_TOKENS: &str = "\
Long options may be written with _ for -: --tokenizer_id, --ml_repo, --run_name.
The server and its key come from the environment, as llmperf has it: OPENAI_API_BASE and OPENAI_API_KEY for openai.

Examples:
  llmload token-benchmark --model my-model --max-num-completed-requests 50 --num-concurrent-requests 4 --results-dir results
  Without any server, to see what comes out:
    llmload token-benchmark --model demo --mock --tokenizer-id built-in
  With two workers (`llmload worker` on each machine):
    llmload token-benchmark --model my-model --expect-workers 2

Exit status: 0; also when requests failed. 1: a file could not be written, or nothing was measured, 2: settings, 3: too few
workers, 4: the generator's verdict is INVALID, or requests were lost with a worker. After Ctrl-C with nothing measured 130.";

const AFTER_CORRECTNESS: &str = "\
Long options may be written with _ for -. The server and its key come from the environment, as llmperf has it.

Examples:
  llmload correctness --model my-model --max-num-completed-requests 150 --results-dir results
  As a gate in CI:
    llmload correctness --model my-model --max-mismatch-rate 0.02

Exit status: 0; also when requests failed. 1: above --max-mismatch-rate, a file could not be written, or nothing was measured;
2: settings, 3: too few workers, 4: the generator's verdict is INVALID, or requests were lost with a worker. After Ctrl-C with
nothing measured 130.";

/// What both tests are told.
#[derive(Clone, Debug, Args)]
pub(super) struct TestArgs {
    /// Model to name; with litellm its prefix says whose it is
    #[arg(long, value_name = "NAME")]
    pub(super) model: String,
    /// Client: what the server speaks, and which variables of the environment say where it is
    #[arg(long, value_name = "NAME", default_value = "openai")]
    pub(super) llm_api: String,
    /// Requests in flight
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) num_concurrent_requests: u32,
    /// Seconds (or 90s, 10min) of the whole test: nothing is sent after that
    #[arg(long, value_name = "SPAN", default_value = "90", value_parser = span)]
    pub(super) timeout: Duration,
    /// JSON object of fields that go into every request
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = object)]
    pub(super) additional_sampling_params: Map<String, Value>,
    /// Folder for the result files, made if need be; empty: none are written
    #[arg(long, value_name = "DIR", default_value = "", value_parser = folder)]
    pub(super) results_dir: PathBuf,
    /// Write the result as a page of HTML to this file
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Pairs to keep in the summary: name=value,name=value
    #[arg(long, value_name = "PAIRS", default_value = "", value_parser = pairs)]
    pub(super) metadata: IndexMap<String, String>,
    /// Seed of all draws
    #[arg(long, value_name = "N", default_value_t = 11_111)]
    pub(super) seed: u64,
    /// tokenizer.json, its directory, or a hub id; `built-in` is one that needs no file
    #[arg(long, value_name = "NAME", default_value = TOKENIZER)]
    pub(super) tokenizer_id: String,
    /// How long requests in flight may take once nothing more is sent
    #[arg(long, value_name = "SPAN", default_value = "180s", value_parser = span, help_heading = "Time-outs")]
    pub(super) stop_timeout: Duration,
    /// For a whole request; absent: none
    #[arg(long, value_name = "SPAN", value_parser = span, help_heading = "Time-outs")]
    pub(super) request_timeout: Option<Duration>,
    #[command(flatten)]
    pub(super) ml_repo: MlRepoArgs,
}

/// Options of `token-benchmark`.
#[derive(Clone, Debug, Args)]
pub(super) struct TokenArgs {
    /// Requests to make, whatever becomes of them
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_num_completed_requests: u64,
    #[command(flatten)]
    pub(super) test: TestArgs,
    /// Mean length of the prompts in tokens
    #[arg(
        long,
        value_name = "N",
        default_value_t = 550,
        help_heading = "Lengths"
    )]
    pub(super) mean_input_tokens: u32,
    /// Its standard deviation
    #[arg(
        long,
        value_name = "N",
        default_value_t = 150,
        help_heading = "Lengths"
    )]
    pub(super) stddev_input_tokens: u32,
    /// Mean number of tokens to ask for
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Lengths")]
    pub(super) mean_output_tokens: u32,
    /// Its standard deviation
    #[arg(long, value_name = "N", default_value_t = 80, help_heading = "Lengths")]
    pub(super) stddev_output_tokens: u32,
}

/// Where a run is logged.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "ML Repo")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct MlRepoArgs {
    /// Experiment of the MLflow server at MLFLOW_TRACKING_URI to log the run in; NA: none
    #[arg(long, value_name = "NAME")]
    pub(super) ml_repo: Option<String>,
    /// Name of the run there; NA: one made of the model and the time, or of TFY_INTERNAL_JOB_RUN_NAME
    #[arg(long, value_name = "NAME", requires = "ml_repo")]
    pub(super) run_name: Option<String>,
    /// Seconds (or 90s, 10min) after the results until the logging gives up
    #[arg(long, value_name = "SPAN", default_value = "60", value_parser = span)]
    pub(super) ml_repo_timeout: Duration,
}

impl MlRepoArgs {
    /// The experiment, if the run is to be logged.
    pub(super) fn experiment(&self) -> Option<&str> {
        named(self.ml_repo.as_deref())
    }

    /// The run's name, if it was given one.
    pub(super) fn name(&self) -> Option<&str> {
        named(self.run_name.as_deref())
    }
}

/// `NA` has always meant none.
fn named(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty() && *name != "NA")
}

/// Options of `correctness`.
#[derive(Clone, Debug, Args)]
pub(super) struct CorrectnessArgs {
    /// Requests to make, whatever becomes of them
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_num_completed_requests: u64,
    #[command(flatten)]
    pub(super) test: TestArgs,
    /// Share of wrong ones among the answers above which the exit status is 1, as without any answer; failed requests are none
    #[arg(long, value_name = "F", value_parser = fraction)]
    pub(super) max_mismatch_rate: Option<f64>,
}

/// Both subcommands.
pub(in crate::app) fn commands() -> [clap::Command; 2] {
    let tokens = TokenArgs::augment_args(clap::Command::new(TOKEN_BENCHMARK));
    let correctness = CorrectnessArgs::augment_args(clap::Command::new(CORRECTNESS));
    [
        shared(tokens.about(ABOUT_TOKENS).after_help(AFTER_TOKENS)),
        shared(
            correctness
                .about(ABOUT_CORRECTNESS)
                .after_help(AFTER_CORRECTNESS),
        ),
    ]
}

/// With the options that `run` and `master` have too.
fn shared(own: clap::Command) -> clap::Command {
    with_options_of(own, &OF_RUN, &OF_MASTER)
}

/// With these options of `run`, and these of `master` for when workers are expected.
pub(in crate::app) fn with_options_of(
    own: clap::Command,
    of_run: &[&str],
    of_master: &[&str],
) -> clap::Command {
    let carried = of("run", of_run)
        .into_iter()
        .map(|arg| match arg.get_id().as_str() {
            // Beside a progress bar nobody is to read what goes as it should.
            "loglevel" => {
                let help = "How much to log [default: warning, with --expect-workers info]";
                arg.default_value(None).help(help).long_help(None)
            }
            _ => arg,
        });
    let cluster = of("master", of_master)
        .into_iter()
        .map(|arg| match arg.get_id().as_str() {
            "expect_workers" => {
                let help = "Have this many workers carry the test out; absent: this process does";
                arg.default_value(None).help(help).long_help(None)
            }
            _ => arg,
        });
    carried
        .chain(cluster)
        .fold(own, clap::Command::arg)
        .args_override_self(true)
        .max_term_width(110)
}

/// Options of a subcommand, with those that take a flag of them back.
fn of(command: &str, ids: &[&str]) -> Vec<Arg> {
    let is_meant =
        |id: &str| ids.contains(&id) || id.strip_prefix("no_").is_some_and(|id| ids.contains(&id));
    let options = options_of(command).into_iter();
    let meant = options.filter(|arg| is_meant(arg.get_id().as_str()));
    meant.map(without_variables).collect()
}

/// These tests take no settings from the environment.
fn without_variables(arg: Arg) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let words = help.split(" [env:").next().unwrap_or_default().to_owned();
    arg.help(words).long_help(None)
}

/// Whether workers carry the test out.
pub(in crate::app) fn has_workers(matches: &ArgMatches) -> bool {
    is_given(matches, "expect_workers")
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// What was given of the options that are `run`'s or `master`'s own, in words that mean the same to them.
///
/// # Errors
/// An option that goes with the other of them alone.
pub(super) fn passed_on(matches: &ArgMatches) -> Result<Vec<OsString>, Failure> {
    given_of(matches, &OF_RUN, &OF_MASTER)
}

/// The same of these options of `run` and `master`.
///
/// # Errors
/// An option that goes with the other of them alone.
pub(in crate::app) fn given_of(
    matches: &ArgMatches,
    of_run: &[&str],
    of_master: &[&str],
) -> Result<Vec<OsString>, Failure> {
    let cluster = has_workers(matches);
    let here = ["mock", "threads", "http_engine", "stamps", "source_ip"];
    let mut passed = Vec::new();
    let carried = of("run", of_run).into_iter().map(|arg| (arg, false));
    let clustered = of("master", of_master).into_iter().map(|arg| (arg, true));
    for (arg, is_of_cluster) in carried.chain(clustered) {
        let id = arg.get_id().as_str();
        let Some(long) = arg.get_long().filter(|_| is_given(matches, id)) else {
            continue;
        };
        if !cluster && id == "no_journal" {
            // A test that workers do not carry out has none but a named one.
            continue;
        }
        let misplaced = if cluster {
            here.contains(&id)
        } else {
            is_of_cluster && id != "journal"
        };
        if misplaced {
            let (why, hint) = if cluster {
                (
                    "is of the machine that sends, and workers do",
                    "give it to `llmload worker`, or leave --expect-workers out",
                )
            } else {
                (
                    "is of a test that workers carry out",
                    "--expect-workers N, or leave it out",
                )
            };
            return Err(Failure::usage(anyhow!("--{long} {why}")).hint(hint));
        }
        passed.extend(words(matches, &arg, long));
    }
    Ok(passed)
}

/// Also an empty one, which clap's own parser refuses.
#[expect(clippy::unnecessary_wraps, reason = "a parser may fail")]
fn folder(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

/// Seconds, with or without their unit.
fn span(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse().ok();
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let span = match seconds {
        Some(span) => span,
        None => parse_span(text).map_err(|error| error.to_string())?,
    };
    if span.is_zero() {
        return Err("no time at all".to_owned());
    }
    Ok(span)
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

/// `a=b,c=d`; what stands behind the first = is the value.
fn pairs(text: &str) -> Result<IndexMap<String, String>, String> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(format!("`{pair}` is not name=value")),
        })
        .collect()
}

fn fraction(text: &str) -> Result<f64, String> {
    let share = text.trim().parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "not a number from 0 to 1".to_owned())
}
