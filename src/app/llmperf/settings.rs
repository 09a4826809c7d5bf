//! From a test's options to a run's or a master's: in words where `run` has words for it, the rest set in what these come to.
//! It starts nothing and asks no server.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use clap::ArgMatches;
use serde_json::Value;

use super::args::{TOKENIZER, TestArgs, commands, has_workers, passed_on};
use crate::app::failure::{Failure, chain};
use crate::app::prepare::load_tokenizer;
use crate::app::surroundings::{Process, hub_paths, variable};
use crate::config::{
    self, Client, Command, LogLevel, Logging, MasterOptions, Outputs, Prompts, RunOptions,
    Settings, Surroundings,
};
use crate::domain::{Keep, format_span};
use crate::provider::{LENGTHS, Sampling, ShapeError, check_row};
use crate::schedule::AT_ONCE;
use crate::workload::{BUILT_IN, LengthSpec, PromptSource};

/// What `--llm-api` calls the API of the mock.
const OPENAI: &str = "openai";

/// Where `--mock` seems to be before it is.
const MOCK: &str = "http://127.0.0.1";

/// Who carries a test out.
pub(super) enum Carrier {
    /// This process.
    Here(Box<RunOptions>),
    /// Workers.
    Workers(Box<MasterOptions>),
}

/// What tells the two tests apart.
pub(super) struct Wanted {
    pub(super) prompts: PromptSource,
    pub(super) output: LengthSpec,
    /// That length is sent; else none is, unless the additional fields have one.
    pub(super) has_length: bool,
    pub(super) requests: u64,
    pub(super) temperature: Option<f64>,
    pub(super) keep: Keep,
}

/// What surrounds the process as far as these tests are told by it: llmperf has no settings files, and no variables but its
/// clients' own.
struct Alone;

impl Surroundings for Alone {
    fn variable(&self, name: &str) -> Option<String> {
        let is_heard = name == "LLMLOAD_TOKEN" || name.to_ascii_lowercase().ends_with("_proxy");
        variable(name).filter(|_| is_heard)
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The client that the options and the environment name.
pub(super) fn client(args: &TestArgs, is_mock: bool) -> Result<Client, Failure> {
    if is_mock {
        return mock(args);
    }
    config::client(&args.llm_api, &args.model, &Process).map_err(|error| {
        let hint = error.hint();
        Failure::usage(anyhow!("{}", chain(&error))).with_hint(hint)
    })
}

/// The built-in mock speaks as OpenAI does, and asks for no key.
fn mock(args: &TestArgs) -> Result<Client, Failure> {
    let api = &args.llm_api;
    if api != OPENAI {
        let error = anyhow!("--mock answers as {OPENAI} does, and not as `{api}`");
        return Err(Failure::usage(error).hint("leave one of --mock and --llm-api out"));
    }
    Ok(Client::of_anybody(args.model.clone(), MOCK))
}

/// The tokenizer's name: the one that was asked for, or the built-in one where nobody asked for any and the usual one
/// cannot be had.
pub(super) fn tokenizer(args: &TestArgs) -> Result<String, Failure> {
    let name = &args.tokenizer_id;
    let Err(failure) = load_tokenizer(name, &hub_paths()) else {
        return Ok(name.clone());
    };
    if name != TOKENIZER {
        let hint = format!("--tokenizer-id {BUILT_IN} counts with one that needs no file");
        return Err(failure.hint(hint));
    }
    tracing::warn!(
        "the tokenizer {TOKENIZER} cannot be had ({:#}): tokens are counted with the built-in one instead, which finds other \
         numbers; --tokenizer-id takes the path of a tokenizer.json",
        failure.error
    );
    Ok(BUILT_IN.to_owned())
}

/// How to log: beside a progress bar only what does not go as it should, while workers are waited for also who comes.
pub(in crate::app) fn logging(matches: &ArgMatches) -> Logging {
    let level = match matches.get_one::<LogLevel>("loglevel") {
        Some(level) => *level,
        None if has_workers(matches) => LogLevel::Info,
        None => LogLevel::Warning,
    };
    Logging {
        level,
        file: matches.get_one::<PathBuf>("logfile").cloned(),
    }
}

/// The whole of a test's settings.
pub(super) fn options(
    name: &str,
    args: &TestArgs,
    matches: &ArgMatches,
    client: Client,
    tokenizer: &str,
    wanted: &Wanted,
) -> Result<Carrier, Failure> {
    may_be_sent(args, &client)?;
    let command = resolved(args, matches, &client.base_url)?;
    let adjust = |settings: &mut Settings| {
        settings.command = again(name, matches);
        aim(settings, client);
        ask(settings, args, tokenizer, wanted);
        pace(settings, args, wanted.requests);
    };
    match command {
        Command::Run(mut options) => {
            adjust(&mut options.settings);
            Ok(Carrier::Here(options))
        }
        Command::Master(mut options) => {
            adjust(&mut options.settings);
            Ok(Carrier::Workers(options))
        }
        _ => Err(Failure::failed(anyhow!("the test came to something else"))),
    }
}

/// The test's own command line.
fn again(name: &str, matches: &ArgMatches) -> String {
    let own = commands()
        .into_iter()
        .find(|command| command.get_name() == name);
    own.map_or_else(String::new, |own| config::typed(name, &own, matches))
}

/// Whether the additional fields leave answers as they are read.
fn may_be_sent(args: &TestArgs, client: &Client) -> Result<(), Failure> {
    match check_row(client.kind, client.stream, &args.additional_sampling_params) {
        Err(ShapeError::Row { kind, field, .. }) => {
            let error = anyhow!(
                "--additional-sampling-params: `{field}` cannot be sent to provider `{kind}`"
            );
            let streams = if client.stream { "are" } else { "are not" };
            let hint = format!("leave it out: answers of this client {streams} streamed");
            Err(Failure::usage(error).with_hint(field.starts_with("stream").then_some(hint)))
        }
        other => other.map_err(Failure::usage),
    }
}

/// What `run` or `master` makes of the words that these tests share with them.
fn resolved(args: &TestArgs, matches: &ArgMatches, base_url: &str) -> Result<Command, Failure> {
    let cluster = has_workers(matches);
    let subcommand = if cluster { "master" } else { "run" };
    let mut words: Vec<OsString> = ["llmload", subcommand].map(OsString::from).into();
    if !matches.get_flag("mock") {
        // Only for its proxy; the rest of where requests go is the client's.
        words.push(format!("--host={base_url}").into());
    }
    words.push(format!("--users={}", args.num_concurrent_requests).into());
    words.push(format!("--seed={}", args.seed).into());
    if let Some(timeout) = args.request_timeout {
        words.push(format!("--timeout={}", format_span(timeout)).into());
    }
    words.extend(passed_on(matches)?);
    config::resolve(&config::command(), words, &Alone).map_err(|error| {
        let hint = error.hint();
        Failure::usage(anyhow!("{}", chain(&error).trim_end().to_owned())).with_hint(hint)
    })
}

/// Where requests go, and in which words.
fn aim(settings: &mut Settings, client: Client) {
    settings.target.base_url = client.base_url;
    settings.provider = Some(client.kind);
    settings.model = Some(client.model);
    settings.task = client.task;
    settings.place = client.place;
    settings.azure = client.azure;
    settings.stream = client.stream;
    settings.secrets.api_key = client.api_key;
    settings.secrets.aws = client.aws;
    for (name, value) in client.secret_headers {
        settings.secrets.headers.entry(name).or_insert(value);
    }
    settings.around.system = client.has_system_message.then(String::new);
}

/// What requests are.
fn ask(settings: &mut Settings, args: &TestArgs, tokenizer: &str, wanted: &Wanted) {
    settings.prompts = Prompts::Ready(wanted.prompts.clone());
    settings.output = wanted.output;
    let mut extra = args.additional_sampling_params.clone();
    if !wanted.has_length && !LENGTHS.iter().any(|name| extra.contains_key(*name)) {
        // What is sent as `null` elsewhere is left out there.
        extra.insert(LENGTHS[0].to_owned(), Value::Null);
    }
    settings.around.extra = extra;
    // What nobody asked for is not sent.
    settings.sampling = Sampling {
        temperature: wanted.temperature,
        ..Sampling::default()
    };
    settings.tokenizer = Some(tokenizer.to_owned());
    settings.observe.answers = Some(wanted.keep);
}

/// When they are sent: all users from the start on, everything measured.
fn pace(settings: &mut Settings, args: &TestArgs, requests: u64) {
    let schedule = &mut settings.schedule;
    schedule.spawn_rate = AT_ONCE;
    schedule.spread = Duration::ZERO;
    schedule.warmup = Duration::ZERO;
    schedule.measure_ramp = true;
    schedule.run_time = Some(args.timeout);
    schedule.max_requests = Some(requests);
    settings.limits.stop = args.stop_timeout;
    // A failed request is a result, and no reason for another exit status.
    settings.max_fail_ratio = 1.0;
    settings.outputs = Outputs {
        only_summary: true,
        headless: true,
        keeps_course: true,
        ..Outputs::default()
    };
}
