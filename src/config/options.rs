//! What the settings come to: typed, checked, and free of what only files or a server can tell.
//! It reads neither; [`Settings::plan`] takes what the app found there.

use core::net::IpAddr;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::cluster::{Connection, Heartbeats, Journal, MasterSecurity, OnWorkerLoss};
use super::ctl::CtlOptions;
use super::database::Database;
use super::doctor::DoctorOptions;
use super::health::HealthOptions;
use super::otlp::Otlp;
use super::proxy::ProxyTarget;
use super::telemetry::{Page, Telemetry};
use super::web::WebOptions;
use crate::domain::{AwsSecrets, HttpEngine, Secret, Seed, StampSource};
use crate::plan::{ConnectionReuse, HttpVersion, Limits, Observe, Plan, Target};
use crate::provider::{Azure, Custom, Fireworks, Kind, Place, Sampling, Task};
use crate::workload::{LengthSpec, PromptSource, TokenizerRef};
use crate::{provider, schedule, workload};

/// What the user asked the program to do.
#[derive(Debug)]
pub enum Command {
    /// `run`: a test from this machine alone.
    Run(Box<RunOptions>),
    /// `master`: a test that workers carry out.
    Master(Box<MasterOptions>),
    /// `run --web` or `master --web`: a page that starts runs.
    Web(Box<WebOptions>),
    /// `worker`: carry out what a master asks for.
    Worker(Box<WorkerOptions>),
    /// `ctl`: ask a running master for something.
    Ctl(Box<CtlOptions>),
    /// `health`: whether a master or a worker is well.
    Health(Box<HealthOptions>),
    /// `doctor`: look at everything that a run needs before it is carried out.
    Doctor(Box<DoctorOptions>),
    /// `--show-config`: print this text to standard output and exit with status 0.
    ShowConfig(String),
    /// A subcommand that the app added to [`command`](super::command): its own room reads the matches.
    Other {
        /// Its name.
        name: String,
        /// What clap found.
        matches: clap::ArgMatches,
    },
}

impl Command {
    /// How to log, where the subcommand says so.
    pub fn logging(&self) -> Option<&Logging> {
        match self {
            Self::Run(options) => Some(&options.settings.logging),
            Self::Master(options) => Some(&options.settings.logging),
            Self::Web(options) => Some(&options.logging),
            Self::Worker(options) => Some(&options.logging),
            Self::Ctl(options) => Some(&options.logging),
            Self::Health(options) => Some(&options.logging),
            Self::Doctor(options) => Some(&options.run.settings.logging),
            Self::ShowConfig(_) | Self::Other { .. } => None,
        }
    }
}

/// The settings of `run`.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The test.
    pub settings: Settings,
    /// How this machine sends.
    pub sending: Sending,
    /// Start the built-in mock server and aim at it: its address replaces `settings.target.base_url`.
    pub mock: bool,
    /// A row of each request goes to the database too.
    pub pg_requests: bool,
    /// Where it is written down what was measured.
    pub journal: Journal,
}

/// How one machine sends, whatever is sent.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Cores to send from; `None` for all.
    pub threads: Option<NonZeroU32>,
    /// Local addresses to connect from, in turn; empty leaves it to the system.
    pub source_ips: Vec<IpAddr>,
    /// Who speaks HTTP/1.1.
    pub http_engine: HttpEngine,
    /// Where the stamps of received bytes come from.
    pub stamps: StampSource,
}

/// The settings of `master`.
#[derive(Clone, Debug)]
pub struct MasterOptions {
    /// The test.
    pub settings: Settings,
    /// Where workers connect to.
    pub bind: Endpoint,
    /// Workers to wait for; at least 1.
    pub expect_workers: u32,
    /// How long to wait for them; `None` for ever.
    pub expect_workers_max_wait: Option<Duration>,
    /// Most workers at a time; at least `expect_workers`.
    pub max_workers: u32,
    /// What a silence of a worker means.
    pub heartbeats: Heartbeats,
    /// What becomes of a missing worker's share.
    pub on_worker_loss: OnWorkerLoss,
    /// Where it is written down what was merged.
    pub journal: Journal,
    /// Who may be a worker.
    pub security: MasterSecurity,
}

/// The settings of `worker`.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Where the master is, and how to convince it.
    pub connection: Connection,
    /// How this machine sends.
    pub sending: Sending,
    /// This machine's own secrets; every header given to a worker counts as one.
    /// Proxy credentials depend on the plan's target: see [`proxy_for`](super::proxy_for).
    pub secrets: Secrets,
    /// Where a plan's records file is written; `None` for the working directory.
    pub records_dir: Option<PathBuf>,
    /// Where a row of each request goes.
    pub database: Option<Database>,
    /// The OpenTelemetry collector that this machine's spans go to; `None` for the plan's.
    pub otlp: Option<Otlp>,
    /// Where Prometheus finds a page of this worker's part.
    pub prometheus: Option<Page>,
    /// Wait for the next run when one is over, until told to end.
    pub stay: bool,
    /// A file that says how this worker is.
    pub health_file: Option<PathBuf>,
    /// How to log.
    pub logging: Logging,
}

/// A test: what `run` and `master` share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server and how to reach it.
    pub target: TargetOptions,
    /// The API; `None` to guess it.
    pub provider: Option<Kind>,
    /// The model; `None` for the server's first.
    pub model: Option<String>,
    /// What is asked for.
    pub task: Task,
    /// Fields of Fireworks' servers.
    pub fireworks: Fireworks,
    /// Where a model is deployed at Azure, should it turn out to be Azure's.
    pub azure: Option<Azure>,
    /// Where the API stands that not every server has in the same place.
    pub place: Place,
    /// The file that describes the API of `Kind::Custom`.
    pub provider_file: Option<PathBuf>,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Sampling fields.
    pub sampling: Sampling,
    /// Headers that carry no secret, names in lower case.
    pub headers: IndexMap<String, String>,
    /// What must not be shown, sent to a worker, or written to a file.
    pub secrets: Secrets,
    /// Where prompts come from.
    pub prompts: Prompts,
    /// What is done to each prompt.
    pub shape: workload::Shape,
    /// What one request for embeddings or ranking holds.
    pub batch: workload::Batch,
    /// What stands around each prompt.
    pub around: workload::Around,
    /// What the model is made to say, before files are read.
    pub forced: Option<ForcedOptions>,
    /// How many output tokens to ask for.
    pub output: LengthSpec,
    /// A `tokenizer.json`, a directory, or a hub id, not loaded yet.
    pub tokenizer: Option<String>,
    /// When to ask. A trace's own times take the place of its pacing.
    pub schedule: schedule::Spec,
    /// By what factor a trace's own times are faster.
    pub trace_speed: f64,
    /// Which settings of the load somebody gave: a trace's own times have other defaults.
    pub given: Given,
    /// How long to wait for what.
    pub limits: Limits,
    /// What is kept and shown of each request.
    pub observe: Observe,
    /// Where every random draw comes from; `None` to draw one.
    pub seed: Option<Seed>,
    /// Share of failed requests above which the run has failed.
    pub max_fail_ratio: f64,
    /// The exit status of a run that has failed.
    pub exit_code_on_error: u8,
    /// A run whose figures cannot be trusted ends like any other.
    pub allow_invalid: bool,
    /// The server's own metrics to watch meanwhile.
    pub server_metrics: Option<ServerMetrics>,
    /// Where results go.
    pub outputs: Outputs,
    /// What monitoring systems are told.
    pub telemetry: Telemetry,
    /// Where rows of it go.
    pub database: Option<Database>,
    /// The command line that comes to the same settings, with masks in place of secrets.
    pub command: String,
    /// How to log.
    pub logging: Logging,
}

/// Which settings of the load somebody gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `schedule.users`.
    pub users: bool,
    /// `schedule.spawn_rate`.
    pub spawn_rate: bool,
}

/// The most requests of a trace that are in flight at once, unless a number of users is given: a server that is not kept up with
/// shows in its latencies, not in requests that wait here.
pub const TRACE_USERS: u32 = 1024;

/// The server and how to reach it, before files are read.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetOptions {
    /// `http://host:port/base`, no user info, no trailing slash.
    pub base_url: String,
    /// Which HTTP to speak.
    pub http: HttpVersion,
    /// Do not verify the server's certificate.
    pub insecure_skip_verify: bool,
    /// A PEM file of further certificate authorities.
    pub ca_cert: Option<PathBuf>,
    /// When connections are opened.
    pub connection_reuse: ConnectionReuse,
    /// Open each user's connection before its first request.
    pub warm_connections: bool,
    /// `http://host:port` of a proxy to go through; its credentials are in [`Secrets`].
    pub proxy: Option<String>,
    /// No proxy is to be used for anything.
    pub no_proxy: bool,
}

/// Where prompts come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompts {
    /// All is known.
    Ready(PromptSource),
    /// A file to read: rows when it ends in `.jsonl`, one text otherwise.
    File(PathBuf),
    /// A data set.
    Data(DataOptions),
}

/// A data set, before its file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataOptions {
    /// The file.
    pub path: PathBuf,
    /// How it is written; `None`: by its name and first line.
    pub format: Option<workload::Format>,
    /// The column or field that holds the prompt.
    pub column: Option<String>,
    /// Rows are shuffled by this.
    pub shuffle_seed: Option<u64>,
    /// The first so many rows after the shuffle.
    pub limit: Option<u64>,
}

/// What the model is made to say, before files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForcedOptions {
    /// The lines of a file.
    File(PathBuf),
    /// Text of the corpus.
    Corpus,
}

/// What must not be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Secrets {
    /// Of the API.
    pub api_key: Option<Secret>,
    /// That key is the environment's for any server (`API_KEY`). A cloud's own ways in stand before it, and Amazon never sees it.
    pub is_any_key: bool,
    /// Headers to add to every request, names in lower case; they replace what the provider set.
    pub headers: IndexMap<String, Secret>,
    /// Of Amazon's services, where the API is one of them.
    pub aws: AwsSecrets,
    /// `user:password` of the proxy, percent decoding done.
    pub proxy_credentials: Option<Secret>,
}

/// The server's own metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMetrics {
    /// The address of their page; `None`: `/metrics` at the target.
    pub url: Option<String>,
    /// From one look to the next.
    pub step: Duration,
    /// The proxy for `url`, by that address's own rule; without a `url` the page is reached as the target is.
    pub proxy: Option<ProxyTarget>,
}

/// Where results go.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says by itself whether something is written or kept"
)]
pub struct Outputs {
    /// Append one CSV row to this file.
    pub summary_file: Option<PathBuf>,
    /// Begin the names of Locust's CSV files with this.
    pub csv: Option<String>,
    /// Every row in the history file, not the aggregate alone.
    pub csv_full_history: bool,
    /// Result as JSON on standard output.
    pub json: bool,
    /// Result as JSON in this file.
    pub json_file: Option<PathBuf>,
    /// Result as a page of HTML in this file.
    pub html: Option<PathBuf>,
    /// How the run went is kept step by step, for a page that somebody else makes.
    pub keeps_course: bool,
    /// `run`: the folder of [`Observe::records`]; `None` for the working directory, and for `master`.
    pub records_dir: Option<PathBuf>,
    /// No tables while running.
    pub only_summary: bool,
    /// No view in the terminal while running.
    pub headless: bool,
}

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// How much.
    pub level: LogLevel,
    /// Where to; `None` for standard error.
    pub file: Option<PathBuf>,
}

/// How much is logged, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Errors.
    Error,
    /// And warnings.
    Warning,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The word that `tracing` uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warning => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A host and a port, not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What only files, the server or chance can tell: the rest of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// `settings.seed`, or one that was drawn.
    pub seed: Seed,
    /// `settings.provider`, or the guess.
    pub provider: Kind,
    /// `settings.model`, or the server's first.
    pub model: String,
    /// [`Prompts::Ready`], or what was read.
    pub prompts: PromptSource,
    /// The tokenizer, if `settings.tokenizer` names one.
    pub tokenizer: Option<TokenizerRef>,
    /// What the model is made to say.
    pub forced: Option<workload::Forced>,
    /// When the requests of a trace are due, the speed counted in, in microseconds.
    pub due_us: Option<Arc<[u64]>>,
    /// The text of `settings.provider_file`.
    pub custom: Option<Custom>,
    /// The content of `settings.target.ca_cert`.
    pub ca_pem: Option<String>,
}

impl Settings {
    /// The whole plan. Secrets stay behind.
    pub fn plan(&self, found: Found) -> Plan {
        let mut schedule = self.schedule.clone();
        if let Some(due_us) = found.due_us {
            self.follow_trace(&mut schedule, due_us);
        }
        Plan {
            seed: found.seed,
            target: Target {
                base_url: self.target.base_url.clone(),
                http: self.target.http,
                insecure_skip_verify: self.target.insecure_skip_verify,
                ca_pem: found.ca_pem,
                connection_reuse: self.target.connection_reuse,
                warm_connections: self.target.warm_connections,
                proxy: self.target.proxy.clone(),
                no_proxy: self.target.no_proxy,
            },
            provider: provider::Spec {
                kind: found.provider,
                model: found.model,
                task: self.task.clone(),
                stream: self.stream,
                sampling: self.sampling.clone(),
                headers: self.headers.clone(),
                fireworks: self.fireworks.clone(),
                azure: self.azure.clone().filter(|_| found.provider == Kind::Azure),
                custom: found.custom,
                place: self.place.clone(),
            },
            workload: workload::Spec {
                prompts: found.prompts,
                output: self.output,
                tokenizer: found.tokenizer,
                shape: self.shape.clone(),
                forced: found.forced,
                batch: self.batch,
                around: self.around.clone(),
            },
            schedule,
            limits: self.limits,
            observe: self.observe.clone(),
        }
    }

    /// Paces by a trace's times, with an open loop's defaults where nobody gave others.
    fn follow_trace(&self, schedule: &mut schedule::Spec, due_us: Arc<[u64]>) {
        if !self.given.users {
            let arrivals = u32::try_from(due_us.len()).unwrap_or(u32::MAX);
            schedule.users = arrivals.clamp(1, TRACE_USERS);
        }
        if !self.given.spawn_rate {
            schedule.spawn_rate = schedule::AT_ONCE;
        }
        schedule.spread = Duration::ZERO;
        schedule.pacing = schedule::Pacing::Trace { due_us };
    }
}
