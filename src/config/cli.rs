//! The options as clap knows them: names, help, defaults and the parsers of single values.
//! What two values mean beside each other is decided in `build`; where they come from, in `layers`.

use core::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, Args};

use crate::domain::{HttpEngine, Rate, StampSource};
use crate::plan::{ConnectionReuse, HttpVersion};
use crate::provider::Kind;
use crate::workload::LengthLaw;

use super::LogLevel;
use super::asking::{DatasetArgs, ProviderArgs, VectorArgs};
use super::catalogue::{is_order, variables_of};
use super::cluster::{BindArgs, ConnectArgs};
use super::ctl::CtlArgs;
use super::database::DatabaseArgs;
use super::doctor::DoctorArgs;
use super::health::HealthArgs;
use super::pacing::PacingArgs;
use super::telemetry::{CollectorArgs, PageArgs, TelemetryArgs};
use super::value::{self, Dataset, Patience, Threads};
use super::web::WebArgs;

const SETTINGS_HELP: &str = "\
Settings, weakest first: defaults, ~/.locust.conf, ./locust.conf, --config FILE, environment, command line.
Long options may be written with _ for -. Any option can stand in a file by its long name (see
locust.conf.example) and in the environment by the name that --help shows. A flag set there is
turned off by --no-FLAG.";

/// The whole command line but for the subcommands of other rooms, which the app adds.
pub fn command() -> clap::Command {
    clap::Command::new("llmload")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A distributed load generator for LLM APIs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .subcommand(subcommand::<RunArgs>(
            "run",
            "Test a server from this machine",
        ))
        .subcommand(subcommand::<MasterArgs>(
            "master",
            "Test a server from many machines: wait for workers, then direct them",
        ))
        .subcommand(subcommand::<WorkerArgs>(
            "worker",
            "Send requests for a master; the test's settings come from there",
        ))
        .subcommand(subcommand::<CtlArgs>(
            "ctl",
            "Look at a running master, change its load, stop it",
        ))
        .subcommand(subcommand::<HealthArgs>(
            "health",
            "Tell by the exit status whether a master or a worker is well, for probes",
        ))
        .subcommand(subcommand::<DoctorArgs>(
            "doctor",
            "Look at this machine, the server and the way to it before a run with the same options",
        ))
}

fn subcommand<T: Args>(name: &'static str, about: &'static str) -> clap::Command {
    let bare = T::augment_args(clap::Command::new(name).about(about)).about(about);
    with_negatives(bare)
        .args_override_self(true)
        .max_term_width(100)
        .after_help(SETTINGS_HELP)
        .mut_args(annotated)
}

/// Gives every flag a hidden `--no-` twin, so that the command line can take back what a file says.
fn with_negatives(command: clap::Command) -> clap::Command {
    let takes_back = |id: &str| !id.starts_with("no_") && id != "show_config" && !is_order(id);
    let ids: Vec<String> = command
        .get_arguments()
        .map(|arg| arg.get_id().to_string())
        .collect();
    let lonely: Vec<String> = command
        .get_arguments()
        .filter(|arg| matches!(arg.get_action(), ArgAction::SetTrue))
        .map(|arg| arg.get_id().to_string())
        .filter(|id| takes_back(id) && !ids.contains(&format!("no_{id}")))
        .collect();
    lonely.into_iter().fold(command, |command, id| {
        let twin = format!("no_{id}");
        let arg = Arg::new(twin.clone())
            .long(twin.replace('_', "-"))
            .action(ArgAction::SetTrue)
            .overrides_with(id.clone())
            .hide(true);
        command.mut_arg(id, |arg| arg.overrides_with(twin)).arg(arg)
    })
}

/// Adds the environment variables to the help: old tools' names to both, the regular ones to `--help`.
fn annotated(arg: Arg) -> Arg {
    let id = arg.get_id().to_string();
    let Some(help) = arg.get_help().map(ToString::to_string) else {
        return arg;
    };
    let variables = variables_of(&id);
    if variables.is_empty() {
        return arg;
    }
    let long = arg
        .get_long_help()
        .map_or_else(|| help.clone(), ToString::to_string);
    let shown = format!("[env: {}]", variables.join(", "));
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let arg = if variables.iter().any(|name| !name.starts_with("LLMLOAD_")) {
        arg.help(format!("{help} {shown}"))
    } else {
        arg
    };
    arg.long_help(format!("{long} {shown}"))
        .allow_negative_numbers(takes_value)
}

/// `run`.
#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub test: TestArgs,
    #[command(flatten)]
    pub sending: SendingArgs,
    /// Start the built-in mock server and test it
    #[arg(long, help_heading = "Target")]
    pub mock: bool,
    /// Write a row of each request to the database too
    #[arg(long, help_heading = "Database")]
    pub pg_requests: bool,
    /// Write down what is measured here, as it comes: `llmload report` reads it, whatever became of the run
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub journal: Option<PathBuf>,
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `master`.
#[derive(Args)]
pub(super) struct MasterArgs {
    #[command(flatten)]
    pub test: TestArgs,
    #[command(flatten)]
    pub cluster: BindArgs,
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `worker`.
#[derive(Args)]
pub(super) struct WorkerArgs {
    #[command(flatten)]
    pub cluster: ConnectArgs,
    /// Wait for the next run when one is over, until a signal; a run that fails ends nothing
    #[arg(long, help_heading = "Cluster")]
    pub stay: bool,
    /// Keep a file that says how this worker is, for `llmload health`
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub health_file: Option<PathBuf>,
    /// Folder for the records file that the master names
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub records_dir: Option<PathBuf>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub sending: SendingArgs,
    #[command(flatten)]
    pub secrets: SecretArgs,
    #[command(flatten)]
    pub page: PageArgs,
    #[command(flatten)]
    pub collector: CollectorArgs,
    #[command(flatten)]
    pub log: LogArgs,
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// What `run` and `master` share.
#[derive(Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub secrets: SecretArgs,
    #[command(flatten)]
    pub load: LoadArgs,
    #[command(flatten)]
    pub pacing: PacingArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub dataset: DatasetArgs,
    #[command(flatten)]
    pub length: LengthArgs,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub vectors: VectorArgs,
    #[command(flatten)]
    pub provider: ProviderArgs,
    #[command(flatten)]
    pub timeout: TimeoutArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub web: WebArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Target")]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct TargetArgs {
    /// Server address, the part before /v1/...
    #[arg(
        short = 'H',
        long,
        value_name = "URL",
        default_value = "http://localhost:80"
    )]
    pub host: String,
    /// Model to name; absent: the first that the server lists
    #[arg(short, long, value_name = "NAME")]
    pub model: Option<String>,
    /// API that the server speaks; absent: guessed
    #[arg(long, value_name = "NAME", ignore_case = true, value_parser = value::choice(value::PROVIDERS))]
    pub provider: Option<Kind>,
    /// Use the chat API (the default)
    #[arg(long, overrides_with = "no_chat")]
    pub chat: bool,
    /// Use the plain completion API
    #[arg(long, overrides_with = "chat")]
    pub no_chat: bool,
    /// Stream the answers (the default)
    #[arg(long, overrides_with = "no_stream")]
    pub stream: bool,
    /// Ask for each answer as a whole; there is no time to first token then
    #[arg(long, overrides_with = "stream")]
    pub no_stream: bool,
    /// HTTP version
    #[arg(long, value_name = "VERSION", default_value = "1", value_parser = value::choice(value::HTTP_VERSIONS))]
    pub http: HttpVersion,
    /// When to open connections: kept and shared, one a request, or one a user
    #[arg(long, value_name = "HOW", default_value = "pooled", value_parser = value::choice(value::REUSES))]
    pub connection_reuse: ConnectionReuse,
    /// Open each user's connection before its first request (the default)
    #[arg(long, overrides_with = "no_warm_connections")]
    pub warm_connections: bool,
    /// Open connections with the requests that need them
    #[arg(long, overrides_with = "warm_connections")]
    pub no_warm_connections: bool,
    /// Trust the certificate authorities of this PEM file too
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Do not verify the server's certificate
    #[arg(long)]
    pub insecure_skip_verify: bool,
    /// Ignore HTTP_PROXY, HTTPS_PROXY and ALL_PROXY
    #[arg(long)]
    pub no_proxy: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Target")]
pub(super) struct SecretArgs {
    /// API key; never shown, and kept from the workers of a master but for --share-secrets
    #[arg(short = 'k', long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Header to add to every request; repeatable. One that carries a secret is kept as one
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    pub header: Vec<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArgs {
    /// Concurrent users; with --qps the most requests in flight
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = value::count)]
    pub users: u32,
    /// Users to start per second; absent: 1, with --qps all at once
    #[arg(short = 'r', long, value_name = "RATE")]
    pub spawn_rate: Option<Rate>,
    /// Stop after this time, counted from when all users are started (20s, 5min, 1h20m)
    #[arg(short = 't', long, value_name = "SPAN", value_parser = value::positive_span)]
    pub run_time: Option<Duration>,
    /// Open loop: send this many requests per second, whatever the server does
    #[arg(long, value_name = "RATE")]
    pub qps: Option<Rate>,
    /// Stop after this many requests
    #[arg(long, value_name = "N", value_parser = value::large_count)]
    pub max_requests: Option<u64>,
    /// Leave this time after the start of all users out of the figures
    #[arg(long, value_name = "SPAN", default_value = "0s", value_parser = value::span)]
    pub warmup: Duration,
    /// Measure from when all users are started (the default)
    #[arg(long, overrides_with = "no_reset_stats")]
    pub reset_stats: bool,
    /// Measure from the first request, the ramp included
    #[arg(long, overrides_with = "reset_stats")]
    pub no_reset_stats: bool,
    /// How long requests in flight may take at the end before they are cancelled
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = value::span)]
    pub stop_timeout: Duration,
    /// Seed of all random draws; absent: drawn, and reported
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Share of failed requests above which the run has failed
    #[arg(long, value_name = "F", default_value = "0.01", value_parser = value::fraction)]
    pub max_fail_ratio: f64,
    /// Exit status of a run that has failed
    #[arg(long, value_name = "N", default_value = "1")]
    pub exit_code_on_error: u8,
    /// Let a run whose verdict is INVALID end with status 0
    #[arg(long)]
    pub allow_invalid: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Prompts")]
pub(super) struct PromptArgs {
    /// What prompts are made of: limericks, code, sonnets, random (tokens), or @FILE (a data set)
    #[arg(short, long, value_name = "NAME|@FILE", default_value = "limericks", value_parser = value::dataset)]
    pub dataset: Dataset,
    /// Length of a prompt in tokens
    #[arg(short, long, value_name = "N", default_value = "512", value_parser = value::count)]
    pub prompt_tokens: u32,
    /// Tokens of common prefix that all prompts share [also: -pcml]
    #[arg(long, value_name = "N", default_value = "0", value_parser = value::tokens)]
    pub prompt_cache_max_len: u32,
    /// Instruction that ends a prompt; absent: the data set's own
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Use this prompt as it is, or @FILE: its text, or the rows of a .jsonl
    #[arg(long, value_name = "TEXT|@FILE")]
    pub prompt_text: Option<String>,
    /// tokenizer.json, its directory, a hub id, or built-in: exact prompt lengths, output counts
    #[arg(long, value_name = "NAME")]
    pub tokenizer: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Answers")]
#[expect(clippy::struct_field_names, reason = "the names are the options'")]
pub(super) struct LengthArgs {
    /// Output tokens to ask for; the mean, if they vary
    #[arg(short = 'o', long, value_name = "N", default_value = "64", value_parser = value::tokens)]
    pub max_tokens: u32,
    /// How the number of output tokens varies
    #[arg(long, value_name = "LAW", default_value = "constant", value_parser = value::choice(value::LENGTH_LAWS))]
    pub max_tokens_distribution: LengthLaw,
    /// Width relative to the mean: half the range of uniform, the deviation of normal
    #[arg(long, value_name = "F", default_value = "0.3", value_parser = value::non_negative)]
    pub max_tokens_range: f64,
    /// Never ask for more output tokens than this
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub max_tokens_cap: Option<u32>,
    /// Vary the number of output tokens by up to this many either way
    #[arg(long, value_name = "N", default_value = "0", value_parser = value::tokens)]
    pub max_tokens_jitter: u32,
}

#[derive(Args)]
#[command(next_help_heading = "Sampling")]
pub(super) struct SamplingArgs {
    /// Sampling temperature
    #[arg(long, value_name = "F", default_value = "1.0", value_parser = value::non_negative)]
    pub temperature: f64,
    /// Sample from the k most likely tokens
    #[arg(long, value_name = "K", value_parser = value::tokens)]
    pub top_k: Option<u32>,
    /// Answers to ask for in one request
    #[arg(short, long = "n", value_name = "N", value_parser = value::count)]
    pub n: Option<u32>,
    /// Log probabilities to ask for
    #[arg(long, value_name = "N", value_parser = value::tokens)]
    pub logprobs: Option<u32>,
    /// How much the model is to think
    #[arg(long, value_name = "WORD", value_parser = ["none", "low", "medium", "high"])]
    pub reasoning_effort: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Time-outs")]
pub(super) struct TimeoutArgs {
    /// For a whole request; absent: none
    #[arg(long, value_name = "SPAN", value_parser = value::patience)]
    pub timeout: Option<Patience>,
    /// For the first token; absent: none
    #[arg(long, value_name = "SPAN", value_parser = value::patience)]
    pub timeout_first_token: Option<Patience>,
    /// Between two reads of an answer; absent: none
    #[arg(long, value_name = "SPAN", value_parser = value::patience)]
    pub timeout_idle: Option<Patience>,
    /// To have a connection
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = value::patience)]
    pub connect_timeout: Patience,
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct OutputArgs {
    /// Append a row with the result to this CSV file
    #[arg(long, value_name = "FILE")]
    pub summary_file: Option<PathBuf>,
    /// Write Locust's PREFIX_stats.csv, PREFIX_stats_history.csv, PREFIX_failures.csv ...
    #[arg(long, value_name = "PREFIX")]
    pub csv: Option<String>,
    /// Every row in PREFIX_stats_history.csv, not the aggregate alone
    #[arg(long)]
    pub csv_full_history: bool,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Write the result as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json_file: Option<PathBuf>,
    /// Write the result as a page of HTML to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write one line a request to this file; a master names it, its workers write it
    #[arg(long, value_name = "FILE")]
    pub records: Option<PathBuf>,
    /// Print each request's body
    #[arg(long)]
    pub show_request: bool,
    /// Print each answer's text
    #[arg(long)]
    pub show_response: bool,
    /// Count the time to first token up to the first that is no reasoning (chat and stream only)
    #[arg(long)]
    pub first_visible_token: bool,
    /// Watch the server's own metrics: the address of their page, or auto for /metrics at --host
    #[arg(long, value_name = "URL")]
    pub server_metrics: Option<String>,
    /// Look at them this often
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = value::look)]
    pub server_metrics_step: Duration,
    /// No tables while the run goes on
    #[arg(long)]
    pub only_summary: bool,
    /// Print tables instead of showing the run live, on a terminal too; not with --web
    #[arg(long)]
    pub headless: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Log")]
pub(super) struct LogArgs {
    /// How much to log
    #[arg(short = 'L', long, value_name = "LEVEL", default_value = "info", ignore_case = true, value_parser = value::choice(value::LOG_LEVELS))]
    pub loglevel: LogLevel,
    /// Log to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    pub logfile: Option<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "Load")]
pub(super) struct SendingArgs {
    /// Cores to send from; absent or -1: all
    #[arg(long, visible_alias = "processes", value_name = "N", value_parser = value::threads)]
    pub threads: Option<Threads>,
    /// Who speaks HTTP/1.1: the lean engine, or hyper as the reference
    #[arg(long, value_name = "ENGINE", default_value = "lean", value_parser = value::choice(value::ENGINES), help_heading = "Target")]
    pub http_engine: HttpEngine,
    /// What stamps received bytes: the kernel where it can, or a clock read after each read
    #[arg(long, value_name = "SOURCE", default_value = "kernel", value_parser = value::choice(value::STAMPS), help_heading = "Target")]
    pub stamps: StampSource,
    /// Local addresses to connect from in turn, with commas or repeated
    #[arg(long, value_name = "IP", action = ArgAction::Append, value_delimiter = ',', value_parser = value::address, help_heading = "Target")]
    pub source_ip: Vec<IpAddr>,
}

#[derive(Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct SettingArgs {
    /// Read this settings file too
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print every setting and where it came from, then exit
    #[arg(long)]
    pub show_config: bool,
}
