//! The options of `bench-suite` and `benchmark`: their own, and those of `run` and `master` that say how requests travel.
//! No option has its default here: `settings` knows them, and tells what somebody gave from what nobody did.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ValueParser;
use clap::{Arg, Args, ValueEnum};

use super::backend::BACKENDS;
use crate::app::llmperf::with_options_of;
use crate::domain::parse_span;

/// Names of the subcommands.
pub(in crate::app) const BENCH_SUITE: &str = "bench-suite";
pub(in crate::app) const BENCHMARK: &str = "benchmark";

/// Options of `run` that are the same here: what carries requests, not what they are.
pub(super) const OF_RUN: [&str; 17] = [
    "http",
    "connection_reuse",
    "warm_connections",
    "no_warm_connections",
    "ca_cert",
    "insecure_skip_verify",
    "no_proxy",
    "header",
    "mock",
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
pub(super) const OF_MASTER: [&str; 14] = [
    "expect_workers",
    "expect_workers_max_wait",
    "max_workers",
    "heartbeat_interval",
    "missing_after",
    "on_worker_loss",
    "master_bind_host",
    "master_bind_port",
    "token_file",
    "tls_cert",
    "tls_key",
    "tls_ca",
    "share_secrets",
    "insecure",
];

const ABOUT_SUITE: &str = "The bench suite of a serving API: how fast it reads prompts, how its cache fills, how fast it writes under load";
const ABOUT_SINGLE: &str =
    "One benchmark of a serving API: so many requests at once, more and more of them, or a rate";

const AFTER_SUITE: &str = "\
Each option with a value may also be set by a variable of its name in capitals (MAX_QUERIES=200), in the environment or in a
file .env of the working directory; what stands on the command line goes before the environment, and that before the file.
Long options may be written with _ for -.

Examples:
  llmload bench-suite --host 127.0.0.1 --port 8000
  Narrowed to one pair of lengths and three loads:
    llmload bench-suite --backend vllm --input-lengths 1024 --output-lengths 128 --parallel-requests 1,4,10
  A first look, in five minutes:
    llmload bench-suite --quick --output-folder first-look
  Without any server, to see what comes out:
    llmload bench-suite --mock --quick
  With two workers (`llmload worker --stay` on each machine):
    llmload bench-suite --port 8000 --expect-workers 2

With the defaults a suite takes hours. Whatever is finished stays: the same command line goes on with what is missing.

Exit status: 0; also when single requests failed. 1: a file could not be written, the server answered nothing, or nothing could
be reported; 2: settings, 3: too few workers, 4: the generator's verdict on some benchmark is INVALID. After Ctrl-C 130.";

const AFTER_SINGLE: &str = "\
Long options may be written with _ for -. What stands on the command line goes before --json-parameters, and that before the
defaults. Without --min-duration it is --max-duration, and without --target-queries-nb it is --max-queries.

Examples:
  llmload benchmark --prompt-length 1024 --output-length 128 --n-workers 10 --max-queries 200 --output-file ten.json
  llmload benchmark --query-profile growing_requests --output-length 16 --with-kv-cache-profile
  llmload benchmark --query-profile request_rate --request-rate 2.5 --output-length 16 --max-duration 60

Exit status: 0; also when single requests failed. 1: the file could not be written, or no request was answered; 2: settings,
3: too few workers, 4: the generator's verdict is INVALID. After Ctrl-C 130.";

/// Where the server is, and what it is asked with.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct ServerArgs {
    /// Address of the API; takes the place of --host and --port
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
    /// Host of the API [default: localhost]
    #[arg(long, value_name = "NAME")]
    pub(super) host: Option<String>,
    /// Port of the API [default: 8000]
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// What serves there [default: happy_vllm]
    #[arg(long, value_name = "NAME", value_parser = backends())]
    pub(super) backend: Option<String>,
    /// Model to name [default: what the server says that it serves]
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// Name of the model in the results [default: the server's, or --model]
    #[arg(long, value_name = "NAME")]
    pub(super) model_name: Option<String>,
    /// Key of the API
    #[arg(long, value_name = "KEY")]
    pub(super) api_key: Option<String>,
    /// Path of the completions [default: by backend]
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(super) completions_endpoint: Option<String>,
    /// Path of the server's metrics [default: by backend]
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(super) metrics_endpoint: Option<String>,
    /// Path where the server says what it is [default: /v1/info]
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(super) info_endpoint: Option<String>,
    /// Path of the arguments that the server was launched with [default: /v1/launch_arguments]
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(super) launch_arguments_endpoint: Option<String>,
    /// From one look at the server's metrics to the next, in seconds [default: 0.01]
    #[arg(long, value_name = "SECONDS", value_parser = step)]
    pub(super) step_live_metrics: Option<f64>,
    /// Seconds (or 90s, 5min) that a request may take [default: 300]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(super) timeout: Option<Duration>,
}

/// What is sent.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Prompts")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct PromptArgs {
    /// Folder of growing_prompts.json and prompts_length_N.json; what is missing there is made [default: datasets]
    #[arg(long, value_name = "DIR")]
    pub(super) dataset_folder: Option<PathBuf>,
    /// tokenizer.json, its directory, a hub id, or built-in: counts the prompts that are made [default: the model's, or built-in]
    #[arg(long, value_name = "NAME")]
    pub(super) tokenizer: Option<String>,
    /// Most queries of one benchmark [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_queries: Option<u64>,
    /// Seed of all draws [default: 0]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}

/// Options of `bench-suite`.
#[derive(Clone, Debug, Args)]
pub(super) struct SuiteArgs {
    /// Folder of the results; what is finished there is not run again [default: results]
    #[arg(long, value_name = "DIR")]
    pub(super) output_folder: Option<PathBuf>,
    /// Narrow everything so that it fits in five minutes; other options still stand
    #[arg(long)]
    pub(super) quick: bool,
    /// Forget what is in the folder and run everything
    #[arg(long)]
    pub(super) restart: bool,
    /// Write the suite's page also to this file
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Lengths of prompts in tokens [default: 32,1024,4096]
    #[arg(long, value_name = "LIST", value_parser = list, help_heading = "Benchmarks")]
    pub(super) input_lengths: Option<List>,
    /// Lengths of answers in tokens [default: 16,128,1024]
    #[arg(long, value_name = "LIST", value_parser = list, help_heading = "Benchmarks")]
    pub(super) output_lengths: Option<List>,
    /// Requests under way in the benchmarks of the speed [default: 1,2,3,4,6,8,10,14 to 38 by 4]
    #[arg(long, value_name = "LIST", value_parser = list, help_heading = "Benchmarks")]
    pub(super) parallel_requests: Option<List>,
    /// Repetitions of the prompt ingestion [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Benchmarks")]
    pub(super) repeats: Option<u32>,
    /// Most seconds of one repetition of the prompt ingestion [default: 900]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Benchmarks")]
    pub(super) max_duration_prompt_ingestion: Option<f64>,
    /// Most seconds of one profile of the cache [default: 900]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Benchmarks")]
    pub(super) max_duration_kv_cache_profile: Option<f64>,
    /// Most seconds of one benchmark of the speed, and of all of one pair of lengths [default: 900]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Benchmarks")]
    pub(super) max_duration_speed_generation: Option<f64>,
    /// A benchmark of the speed may end after so many seconds, if it has its target of queries [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Benchmarks")]
    pub(super) min_duration_speed_generation: Option<f64>,
    /// A benchmark of the speed may end with so many queries, if it has its shortest time [default: 100]
    #[arg(long, value_name = "N", help_heading = "Benchmarks")]
    pub(super) target_queries_nb_speed_generation: Option<u64>,
    #[command(flatten)]
    pub(super) report: ReportingArgs,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) prompts: PromptArgs,
}

/// What decides how a suite is reported, not what it measures.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Report of a suite")]
pub(in crate::app) struct ReportingArgs {
    /// Tokens per second that a request's median speed must reach for thresholds.csv [default: 20]
    #[arg(long, value_name = "TOKENS/S", value_parser = seconds)]
    pub(super) speed_threshold: Option<f64>,
    /// Leave benchmarks with fewer good queries out of the report [default: 50]
    #[arg(long, value_name = "N")]
    pub(super) min_number_of_valid_queries: Option<u64>,
    /// Name of the GPU, for the report
    #[arg(long, value_name = "NAME")]
    pub(super) gpu_name: Option<String>,
}

impl ReportingArgs {
    /// Which of them somebody gave.
    pub(in crate::app) const fn given(&self) -> [(&'static str, bool); 3] {
        [
            ("--speed-threshold", self.speed_threshold.is_some()),
            (
                "--min-number-of-valid-queries",
                self.min_number_of_valid_queries.is_some(),
            ),
            ("--gpu-name", self.gpu_name.is_some()),
        ]
    }
}

/// Numbers with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List(pub(super) Vec<u32>);

/// How the queries of a single benchmark follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Profile {
    /// So many under way all the time: --n-workers
    ConstantNumberOfQueries,
    /// One, then two at once, then three
    GrowingRequests,
    /// At random times: --request-rate
    RequestRate,
}

impl Profile {
    /// As it is written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ConstantNumberOfQueries => "constant_number_of_queries",
            Self::GrowingRequests => "growing_requests",
            Self::RequestRate => "request_rate",
        }
    }
}

/// Options of `benchmark`.
#[derive(Clone, Debug, Args)]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct SingleArgs {
    /// How queries follow each other [default: constant_number_of_queries]
    #[arg(long, value_name = "NAME", value_enum)]
    pub(super) query_profile: Option<Profile>,
    /// Queries under way all the time [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) n_workers: Option<u32>,
    /// Queries per second at random times (a Poisson process); inf: all at once [default: inf]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(super) request_rate: Option<f64>,
    /// Length of the prompts in tokens: which file of the folder; 0: growing_prompts.json [default: 0]
    #[arg(long, value_name = "N")]
    pub(super) prompt_length: Option<u32>,
    /// Length of the answers in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) output_length: Option<u32>,
    /// Most seconds [default: 900]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) max_duration: Option<f64>,
    /// It may end after so many seconds, if it has its target of queries [default: --max-duration]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) min_duration: Option<f64>,
    /// It may end with so many queries, if it has its shortest time [default: --max-queries]
    #[arg(long, value_name = "N")]
    pub(super) target_queries_nb: Option<u64>,
    /// Keep every query in the file
    #[arg(long)]
    pub(super) query_metrics: bool,
    /// Keep every look at the server's cache in the file
    #[arg(long)]
    pub(super) with_kv_cache_profile: bool,
    /// JSON object of options by their names with _
    #[arg(long, value_name = "FILE")]
    pub(super) json_parameters: Option<PathBuf>,
    /// File of the results [default: benchmark.json]
    #[arg(long, value_name = "FILE")]
    pub(super) output_file: Option<PathBuf>,
    /// Write the result as a page of HTML to this file
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) prompts: PromptArgs,
}

/// Both subcommands.
pub(in crate::app) fn commands() -> [clap::Command; 2] {
    [command(BENCH_SUITE), command(BENCHMARK)]
}

/// One of them.
pub(super) fn command(name: &'static str) -> clap::Command {
    let own = own_command(name);
    with_options_of(own, &OF_RUN, &OF_MASTER)
}

fn own_command(name: &'static str) -> clap::Command {
    let command = clap::Command::new(name);
    if name == BENCH_SUITE {
        let own = SuiteArgs::augment_args(command);
        own.about(ABOUT_SUITE).after_help(AFTER_SUITE)
    } else {
        let own = SingleArgs::augment_args(command);
        own.about(ABOUT_SINGLE).after_help(AFTER_SINGLE)
    }
}

/// The options that are one subcommand's own.
pub(super) fn own_options(name: &'static str) -> Vec<Arg> {
    own_command(name).get_arguments().cloned().collect()
}

fn backends() -> ValueParser {
    let names = BACKENDS.iter().map(|backend| backend.name);
    clap::builder::PossibleValuesParser::new(names).into()
}

/// A path of the server, with its slash.
fn path(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("not a path".to_owned());
    }
    Ok(format!("/{}", text.trim_start_matches('/')))
}

fn list(text: &str) -> Result<List, String> {
    let number = |word: &str| {
        let number = word.trim().parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| format!("`{}` is not a whole number above 0", word.trim()))
    };
    text.split(',')
        .map(number)
        .collect::<Result<_, _>>()
        .map(List)
}

fn positive(text: &str) -> Option<f64> {
    let value: Option<f64> = text.trim().parse().ok();
    value.filter(|value| *value > 0.0)
}

fn seconds(text: &str) -> Result<f64, String> {
    let value = positive(text).filter(|value| value.is_finite());
    value.ok_or_else(|| "not a number above 0".to_owned())
}

fn step(text: &str) -> Result<f64, String> {
    let step = positive(text).filter(|step| (0.001..=60.0).contains(step));
    step.ok_or_else(|| "not a number of seconds from 0.001 to 60".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    positive(text).ok_or_else(|| "neither a number above 0 nor inf".to_owned())
}

/// Seconds, with or without their unit.
fn span(text: &str) -> Result<Duration, String> {
    match positive(text).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(span) => Ok(span),
        None => parse_span(text).map_err(|error| error.to_string()),
    }
}
