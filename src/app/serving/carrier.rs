//! Who carries a suite out, this process or workers, and how one load of a benchmark becomes a run of theirs. It starts nothing.

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use clap::ArgMatches;

use super::args::{OF_MASTER, OF_RUN};
use super::target::Target;
use crate::app::failure::{Failure, chain};
use crate::app::llmperf::{given_of, has_workers};
use crate::app::surroundings::variable;
use crate::config::{
    self, Command, Journal, MasterOptions, Outputs, Prompts, RunOptions, Settings, Surroundings,
};
use crate::domain::{Keep, Rate, Seed, format_span};
use crate::provider::Sampling;
use crate::schedule::{AT_ONCE, Enough, Law, Pacing, Think};
use crate::workload::{LengthLaw, LengthSpec, PromptSource, Shape};

/// Random letters before each prompt.
const LETTERS: u32 = 4;

/// The first requests of several users are dealt over so long, and each of the next waits up to so long.
const SPREAD: Duration = Duration::from_millis(100);
const THINK: Duration = Duration::from_millis(20);

/// Who carries it out.
#[derive(Clone)]
pub(super) enum Carrier {
    /// This process.
    Here(Box<RunOptions>),
    /// Workers.
    Workers(Box<MasterOptions>),
}

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// Each of so many users goes on when it has its answer, and rests a little where there are several.
    Users(u32),
    /// So many at once, and no more.
    Wave(u32),
    /// At random times, so many a second.
    Poisson(Rate),
}

/// One load.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) pace: Pace,
    pub(super) prompts: PromptSource,
    /// Each prompt is to begin like no other.
    pub(super) has_letters: bool,
    /// Tokens of each answer.
    pub(super) output: u32,
    pub(super) seed: u64,
    pub(super) max_requests: u64,
    pub(super) max_duration: Option<Duration>,
    pub(super) enough: Option<Enough>,
}

/// What surrounds the process as far as a suite is told by it: its own settings were read before.
struct Alone;

impl Surroundings for Alone {
    fn variable(&self, name: &str) -> Option<String> {
        let name_in_small = name.to_ascii_lowercase();
        let is_heard =
            matches!(name, "LLMLOAD_TOKEN" | "API_KEY") || name_in_small.ends_with("_proxy");
        variable(name).filter(|_| is_heard)
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Carrier {
    /// What `run` or `master` make of the options that they share with a suite.
    ///
    /// # Errors
    /// Options that they refuse.
    pub(super) fn of(matches: &ArgMatches, target: &Target, seed: u64) -> Result<Self, Failure> {
        let subcommand = if has_workers(matches) {
            "master"
        } else {
            "run"
        };
        let mut words: Vec<OsString> = ["llmload", subcommand].map(OsString::from).into();
        words.push(format!("--host={}", target.base_url).into());
        words.push("--users=1".into());
        words.push(format!("--seed={seed}").into());
        words.push(format!("--timeout={}", format_span(target.timeout)).into());
        let shared = given_of(matches, &OF_RUN, &OF_MASTER)?;
        words.extend(shared.into_iter().filter(|word| word != "--mock"));
        let command = config::resolve(&config::command(), words, &Alone).map_err(|error| {
            let hint = error.hint();
            Failure::usage(anyhow!("{}", chain(&error).trim_end().to_owned())).with_hint(hint)
        })?;
        let mut carrier = match command {
            Command::Run(options) => Self::Here(options),
            Command::Master(options) => Self::Workers(options),
            _ => return Err(Failure::failed(anyhow!("the suite came to something else"))),
        };
        carrier.keep_no_journal();
        let settings = carrier.settings_mut();
        if target.api_key.is_some() {
            settings.secrets.api_key.clone_from(&target.api_key);
            settings.secrets.is_any_key = false;
        }
        settings.provider = Some(target.speech.kind);
        settings.task = target.speech.task.clone();
        settings.place = target.speech.place.clone();
        settings.stream = true;
        Ok(carrier)
    }

    /// What it was told.
    pub(super) const fn settings(&self) -> &Settings {
        match self {
            Self::Here(options) => &options.settings,
            Self::Workers(options) => &options.settings,
        }
    }

    /// The address to ask from.
    pub(super) fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Here(options) => options.sending.source_ips.first().copied(),
            Self::Workers(_) => None,
        }
    }

    fn settings_mut(&mut self) -> &mut Settings {
        match self {
            Self::Here(options) => &mut options.settings,
            Self::Workers(options) => &mut options.settings,
        }
    }

    /// Each benchmark's file is its journal.
    fn keep_no_journal(&mut self) {
        let journal = match self {
            Self::Here(options) => &mut options.journal,
            Self::Workers(options) => &mut options.journal,
        };
        *journal = Journal::Off;
    }

    /// The run that sends `load` to `model`.
    pub(super) fn carrying(&self, target: &Target, model: &str, load: &Load) -> Self {
        let mut carrier = self.clone();
        let settings = carrier.settings_mut();
        settings.model = Some(model.to_owned());
        ask(settings, target, load);
        pace(settings, load);
        settings.seed = Some(Seed(load.seed));
        settings.limits.total = Some(target.timeout);
        settings.limits.stop = target.drain;
        // A failed request is a result, and no reason for another exit status.
        settings.max_fail_ratio = 1.0;
        settings.outputs = Outputs {
            only_summary: true,
            headless: true,
            ..Outputs::default()
        };
        settings.observe.answers = Some(Keep::Times);
        carrier
    }
}

/// What requests are.
fn ask(settings: &mut Settings, target: &Target, load: &Load) {
    settings.prompts = Prompts::Ready(load.prompts.clone());
    settings.shape = Shape {
        letters: if load.has_letters { LETTERS } else { 0 },
        ..Shape::default()
    };
    settings.output = LengthSpec {
        mean: load.output,
        law: LengthLaw::Constant,
        range: 0.0,
        cap: None,
        jitter: 0,
    };
    settings.around.extra = target.backend.fields(load.output, target.speech.kind);
    settings.sampling = Sampling {
        temperature: Some(0.0),
        ..Sampling::default()
    };
}

/// When they are sent; everything is measured.
fn pace(settings: &mut Settings, load: &Load) {
    let schedule = &mut settings.schedule;
    let (users, pacing, rests) = match load.pace {
        Pace::Users(users) => (users, Pacing::Closed, users > 1),
        Pace::Wave(users) => (users, Pacing::Closed, false),
        Pace::Poisson(rate) => {
            let law = Law::Exponential;
            let users = u32::try_from(load.max_requests).unwrap_or(u32::MAX);
            (users, Pacing::Open { rate, law }, false)
        }
    };
    schedule.users = users;
    schedule.pacing = pacing;
    schedule.spawn_rate = AT_ONCE;
    schedule.spread = if rests { SPREAD } else { Duration::ZERO };
    schedule.think = rests.then_some(Think::Between(Duration::ZERO, THINK));
    schedule.warmup = Duration::ZERO;
    schedule.ramp = None;
    schedule.measure_ramp = true;
    schedule.run_time = load.max_duration;
    schedule.max_requests = Some(load.max_requests);
    schedule.enough = load.enough;
}

#[cfg(test)]
#[path = "carrier_tests.rs"]
mod tests;
