//! Merged options into typed settings: what two values mean beside each other is decided here.
//! Where they came from matters only for the words of an error.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, FromArgMatches};
use indexmap::IndexMap;

use crate::domain::{Keep, Secret, Seed};
use crate::plan::{Limits, Observe};
use crate::provider::Sampling;
use crate::workload::{Around, LengthLaw, LengthSpec};

use super::again::command_line;
use super::asking;
use super::aws::aws_secrets;
use super::cli::{
    LengthArgs, LoadArgs, LogArgs, MasterArgs, OutputArgs, RunArgs, SamplingArgs, SecretArgs,
    SendingArgs, TargetArgs, TestArgs, TimeoutArgs, WorkerArgs,
};
use super::cluster::journal;
use super::contradictions::Wanted;
use super::error::{ConfigError, Fault};
use super::layers::Merged;
use super::pacing::PacingArgs;
use super::proxy::{ProxyTarget, proxy_for};
use super::target::{self, Headers};
use super::telemetry::Telemetry;
use super::value::Patience;
use super::{
    Endpoint, Given, Journal, Logging, MasterOptions, Outputs, RunOptions, Secrets, Sending,
    ServerMetrics, Settings, Surroundings, TargetOptions, WorkerOptions,
};

/// So many requests stand on a page as points: enough to see a cloud, few enough to draw on a phone.
pub(super) const ANSWERS_OF_A_PAGE: u32 = 2_000;

pub(super) type Result<T> = std::result::Result<T, ConfigError>;

pub(super) fn run(merged: &Merged, around: &dyn Surroundings) -> Result<RunOptions> {
    let args: RunArgs = typed(&merged.matches)?;
    let builder = Builder { merged, around };
    let records = args.test.output.records.clone();
    let mut settings = builder.settings(args.test, args.mock)?;
    settings.command = command_line("run", merged);
    if let Some(path) = records {
        (settings.outputs.records_dir, settings.observe.records) = builder.split(&path)?;
    }
    Ok(RunOptions {
        settings,
        sending: sending(args.sending),
        mock: args.mock,
        pg_requests: args.pg_requests,
        journal: args.journal.map_or(Journal::Off, Journal::Named),
    })
}

pub(super) fn master(merged: &Merged, around: &dyn Surroundings) -> Result<MasterOptions> {
    let args: MasterArgs = typed(&merged.matches)?;
    let builder = Builder { merged, around };
    let records = args.test.output.records.clone();
    let mut settings = builder.settings(args.test, false)?;
    settings.command = command_line("master", merged);
    if let Some(path) = records {
        let (folder, name) = builder.split(&path)?;
        if folder.is_some() {
            let fault = Fault::new("--records of a master is a name, not a path")
                .hint("each worker chooses its folder with --records-dir");
            return builder.check("records", Err(fault));
        }
        settings.observe.records = name;
    }
    let cluster = args.cluster;
    let wait = cluster.expect_workers_max_wait;
    let bind = builder.bind(&cluster)?;
    Ok(MasterOptions {
        settings,
        security: builder.security(&cluster, &bind)?,
        bind,
        expect_workers: builder.expected(&cluster)?,
        expect_workers_max_wait: (!wait.is_zero()).then_some(wait),
        max_workers: cluster.max_workers,
        heartbeats: builder.heartbeats(&cluster)?,
        // Locust's flag says the default, and took the other's place where it is the stronger one.
        on_worker_loss: cluster.on_worker_loss,
        journal: journal(&cluster),
    })
}

pub(super) fn worker(merged: &Merged, around: &dyn Surroundings) -> Result<WorkerOptions> {
    let args: WorkerArgs = typed(&merged.matches)?;
    let builder = Builder { merged, around };
    let headers = builder.headers(&args.secrets)?;
    let api_key = builder.api_key(&args.secrets)?;
    let plain = headers.plain.into_iter();
    let mut all: IndexMap<String, Secret> = plain
        .map(|(name, value)| (name, Secret::new(value)))
        .collect();
    all.extend(headers.secret);
    Ok(WorkerOptions {
        connection: builder.connection(&args.cluster)?,
        sending: sending(args.sending),
        secrets: Secrets {
            is_any_key: api_key.is_some() && !builder.is_said("api_key"),
            api_key,
            headers: all,
            // Which API it will be asked to speak is not known yet.
            aws: aws_secrets(around),
            proxy_credentials: None,
        },
        records_dir: args.records_dir,
        database: builder.database(args.database)?,
        otlp: builder.collector(&args.collector)?,
        prometheus: builder.page(&args.page)?,
        stay: args.stay,
        health_file: args.health_file,
        logging: logging(args.log),
    })
}

fn sending(args: SendingArgs) -> Sending {
    Sending {
        source_ips: args.source_ip,
        threads: args.threads.and_then(|threads| threads.0),
        http_engine: args.http_engine,
        stamps: args.stamps,
    }
}

pub(super) fn typed<T: FromArgMatches>(matches: &ArgMatches) -> Result<T> {
    Ok(T::from_arg_matches(matches)?)
}

/// Knows where values came from, for errors.
pub(super) struct Builder<'a> {
    pub(super) merged: &'a Merged,
    pub(super) around: &'a dyn Surroundings,
}

impl Builder<'_> {
    fn settings(&self, args: TestArgs, mock: bool) -> Result<Settings> {
        let place = self.place(&args.target, args.provider.aws_region.as_deref())?;
        let place = self.with_google(&args, place)?;
        let base_url = self.address(&args.target, &place)?;
        let proxy = if mock || args.target.no_proxy {
            None
        } else {
            proxy_for(&base_url, self.around)?
        };
        let task = Self::task(&args.target, &args.vectors);
        let schedule = self.schedule(&args.load, &args.pacing)?;
        // An answer without text comes as a whole.
        let stream = task.generates() && (args.target.stream || !args.target.no_stream);
        self.refuse_contradictions(&Wanted {
            args: &args,
            task: &task,
            pacing: &schedule.pacing,
            stream,
        })?;
        let headers = self.headers(&args.secrets)?;
        let api_key = self.api_key(&args.secrets)?;
        let (api_key, is_any_key) = self.key_for(args.target.provider, &place, api_key);
        let aws = self.aws_secrets(args.target.provider);
        let (url, proxy_credentials) = proxy.map_or((None, None), ProxyTarget::into_parts);
        let server_metrics = self.server_metrics(&args.output, args.target.no_proxy)?;
        let telemetry = self.telemetry(&args.telemetry)?;
        Ok(Settings {
            provider: args.target.provider,
            model: args.target.model.clone(),
            task,
            fireworks: self.fireworks(&args.provider, &args.prompt)?,
            azure: asking::azure(args.target.provider, &args.provider),
            place,
            provider_file: args.provider.provider_file.clone(),
            shape: asking::shape(&args.dataset),
            batch: asking::batch(&args.vectors),
            around: Around::default(),
            forced: asking::forced(&args.provider),
            trace_speed: args.pacing.trace_speed,
            given: Given {
                users: self.merged.is_given("users"),
                spawn_rate: self.merged.is_given("spawn_rate"),
            },
            stream,
            target: target(args.target, base_url, url),
            sampling: sampling(args.sampling),
            headers: headers.plain,
            secrets: Secrets {
                api_key,
                is_any_key,
                headers: headers.secret,
                aws,
                proxy_credentials,
            },
            output: self.output(&args.length)?,
            tokenizer: args.prompt.tokenizer.clone(),
            prompts: self.prompts(args.prompt, &args.dataset)?,
            schedule,
            limits: limits(&args.timeout, &args.load),
            observe: observe(&args.output, &args.pacing, &telemetry),
            seed: args.load.seed.map(Seed),
            max_fail_ratio: args.load.max_fail_ratio,
            exit_code_on_error: args.load.exit_code_on_error,
            allow_invalid: args.load.allow_invalid,
            server_metrics,
            database: self.database(args.database)?,
            telemetry,
            outputs: outputs(args.output),
            command: String::new(),
            logging: logging(args.log),
        })
    }

    fn headers(&self, args: &SecretArgs) -> Result<Headers> {
        self.check("header", target::headers(&args.header))
    }

    fn server_metrics(&self, args: &OutputArgs, no_proxy: bool) -> Result<Option<ServerMetrics>> {
        let Some(page) = &args.server_metrics else {
            return Ok(None);
        };
        let url = self.check("server_metrics", target::page(page))?;
        let proxy = match &url {
            Some(url) if !no_proxy => proxy_for(url, self.around)?,
            _ => None,
        };
        Ok(Some(ServerMetrics {
            url,
            step: args.server_metrics_step,
            proxy,
        }))
    }

    fn api_key(&self, args: &SecretArgs) -> Result<Option<Secret>> {
        let key = args.api_key.as_deref().map(target::api_key);
        self.check("api_key", key.transpose())
    }

    fn output(&self, args: &LengthArgs) -> Result<LengthSpec> {
        let spec = LengthSpec {
            mean: args.max_tokens,
            law: args.max_tokens_distribution,
            range: args.max_tokens_range,
            cap: args.max_tokens_cap,
            jitter: args.max_tokens_jitter,
        };
        let capped = self.merged.is_given("max_tokens_cap");
        let at = if capped {
            "max_tokens_cap"
        } else {
            "max_tokens"
        };
        self.check(at, drawable(spec))
    }

    /// The folder and the name of the records file.
    fn split(&self, path: &Path) -> Result<(Option<PathBuf>, Option<String>)> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned);
        if name.is_none() {
            let fault = Fault::new(format!("`{}` does not name a file", path.display()));
            return self.check("records", Err(fault.hint("write --records records.jsonl")));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        Ok((folder.map(Path::to_owned), name))
    }

    pub(super) fn check<T>(&self, id: &str, value: std::result::Result<T, Fault>) -> Result<T> {
        value.map_err(|fault| fault.at(self.merged.source(id)))
    }
}

fn target(args: TargetArgs, base_url: String, proxy: Option<String>) -> TargetOptions {
    TargetOptions {
        base_url,
        http: args.http,
        insecure_skip_verify: args.insecure_skip_verify,
        ca_cert: args.ca_cert,
        connection_reuse: args.connection_reuse,
        warm_connections: args.warm_connections || !args.no_warm_connections,
        proxy,
        no_proxy: args.no_proxy,
    }
}

/// A host that has no port of its own.
pub(super) fn host_alone(host: &str, port: u16) -> std::result::Result<Endpoint, Fault> {
    const NO_PORT: u16 = 0;
    let found = target::endpoint(host, NO_PORT)?;
    if found.port != NO_PORT {
        return Err(
            Fault::new(format!("`{host}` has a port where a host is wanted"))
                .hint("the port has an option of its own"),
        );
    }
    Ok(Endpoint { port, ..found })
}

/// Refuses lengths that no draw can have.
fn drawable(spec: LengthSpec) -> std::result::Result<LengthSpec, Fault> {
    if spec.mean == 0 && (spec.law != LengthLaw::Constant || spec.jitter > 0) {
        return Err(Fault::new("--max-tokens 0 asks for no output, and cannot vary")
            .hint("leave --max-tokens-distribution and --max-tokens-jitter out, or ask for some output"));
    }
    let least = match spec.law {
        LengthLaw::Constant => f64::from(spec.mean),
        LengthLaw::Uniform => f64::from(spec.mean) - (spec.range * f64::from(spec.mean)).trunc(),
        LengthLaw::Exponential | LengthLaw::Normal => 0.0,
    } - f64::from(spec.jitter);
    match spec.cap {
        Some(cap) if f64::from(cap) < least => Err(Fault::new(format!(
            "--max-tokens-cap {cap} is below every length that could be drawn"
        ))
        .hint("raise it, or lower --max-tokens")),
        _ => Ok(spec),
    }
}

fn sampling(args: SamplingArgs) -> Sampling {
    Sampling {
        temperature: Some(args.temperature),
        top_k: args.top_k,
        n: args.n,
        logprobs: args.logprobs,
        reasoning_effort: args.reasoning_effort,
    }
}

fn limits(args: &TimeoutArgs, load: &LoadArgs) -> Limits {
    let span = |patience: Option<Patience>| patience.and_then(|patience| patience.0);
    Limits {
        total: span(args.timeout),
        first_token: span(args.timeout_first_token),
        idle: span(args.timeout_idle),
        connect: args.connect_timeout.0,
        stop: load.stop_timeout,
    }
}

fn observe(args: &OutputArgs, pacing: &PacingArgs, telemetry: &Telemetry) -> Observe {
    Observe {
        show_request: args.show_request,
        show_response: args.show_response,
        records: None,
        first_visible_token: args.first_visible_token,
        cancel_rate: pacing.cancel_rate,
        warmup_requests: pacing.warmup_requests,
        slos: pacing.slo.clone(),
        answers: args.html.as_ref().map(|_| Keep::Figures),
        answers_at_most: args.html.as_ref().map(|_| ANSWERS_OF_A_PAGE),
        tracing: telemetry.tracing(),
    }
}

fn outputs(args: OutputArgs) -> Outputs {
    Outputs {
        summary_file: args.summary_file,
        csv: args.csv,
        csv_full_history: args.csv_full_history,
        json: args.json,
        json_file: args.json_file,
        html: args.html,
        keeps_course: false,
        records_dir: None,
        only_summary: args.only_summary,
        headless: args.headless,
    }
}

pub(super) fn logging(args: LogArgs) -> Logging {
    Logging {
        level: args.loglevel,
        file: args.logfile,
    }
}
