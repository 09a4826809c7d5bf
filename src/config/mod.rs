//! Command line, environment and settings files into one typed [`Command`].
//! It reads neither files nor the environment itself: the app hands both over as [`Surroundings`].
//!
//! The app, in order:
//!
//! 1. adds the subcommands of other rooms to [`command`] and calls [`resolve`];
//! 2. prints a [`ConfigError`] (a [`ConfigError::Usage`] prints itself) and exits with its status;
//! 3. for a test fills in what only files, the server or chance can tell, as [`Found`]: the
//!    provider and the model (from the server's list), the prompt of a [`Prompts::File`], the
//!    tokenizer with its checksum, the certificate authorities, and a seed; with `--mock` it puts
//!    the mock's address into `settings.target.base_url` first;
//! 4. calls [`Settings::plan`], and keeps [`Secrets`], [`Outputs`], `max_fail_ratio` and
//!    `exit_code_on_error` for itself.

mod again;
mod argv;
mod asking;
mod aws;
mod build;
mod catalogue;
mod cli;
mod client;
mod cluster;
mod conf;
mod contradictions;
mod ctl;
mod database;
mod doctor;
mod error;
mod google;
mod health;
mod layers;
mod options;
mod otlp;
mod pacing;
mod proxy;
mod rules;
mod show;
mod source;
mod target;
mod telemetry;
#[cfg(test)]
mod tests;
pub(crate) mod value;
mod web;

use std::ffi::OsString;
use std::io;
use std::path::Path;

pub(crate) use again::{is_output, option, typed};
pub use aws::aws_secrets;
pub use cli::command;
pub use client::{APIS, Client, client};
pub use cluster::{
    ClientTlsFiles, Connection, Heartbeats, Journal, MasterSecurity, OnWorkerLoss, SHORTEST_TOKEN,
    ServerTlsFiles, TokenError, TokenSource, token,
};
pub use ctl::{CtlOptions, Order, Users};
pub use database::{Database, database_of, database_options};
pub use doctor::DoctorOptions;
pub use error::ConfigError;
pub use google::google_key;
pub use health::{HealthOptions, Patient};
pub use options::{
    Command, DataOptions, Endpoint, ForcedOptions, Found, Given, LogLevel, Logging, MasterOptions,
    Outputs, Prompts, RunOptions, Secrets, Sending, ServerMetrics, Settings, TRACE_USERS,
    TargetOptions, WorkerOptions,
};
pub use otlp::Otlp;
pub use proxy::{ProxyTarget, proxy_for};
pub use source::{Layer, Source};
pub use telemetry::{Page, Telemetry};
pub use web::{Base, Form, FormField, WebOptions};

/// The address of a server, `http://host:port/base` without a trailing slash, as `--host` takes it.
///
/// # Errors
/// It is none, or has a password in it.
pub fn base_url(text: &str) -> Result<String, ConfigError> {
    target::base_url(text).map_err(|fault| fault.at(Source::CommandLine))
}

/// What surrounds the process, as the app hands it over.
pub trait Surroundings {
    /// The environment variable `name`, if it is set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of the settings file at `path`.
    ///
    /// # Errors
    /// As reading a file has them; `NotFound` is no error for the two files that need not exist.
    fn file(&self, path: &Path) -> io::Result<String>;
}

/// What `argv` (the program's name first) asks for. `cli` is [`command`], with the subcommands of
/// other rooms added: those come back as [`Command::Other`], and take no settings from elsewhere.
///
/// # Errors
/// Help and version, which are no failures; a command line, a variable or a line of a settings file
/// that cannot be used.
pub fn resolve(
    cli: &clap::Command,
    argv: impl IntoIterator<Item = impl Into<OsString>>,
    around: &dyn Surroundings,
) -> Result<Command, ConfigError> {
    let argv = argv::respell(argv.into_iter().map(Into::into).collect());
    let mut matches = cli.clone().try_get_matches_from(&argv)?;
    let Some((name, typed)) = matches.remove_subcommand() else {
        return Err(cli
            .clone()
            .error(clap::error::ErrorKind::MissingSubcommand, "no subcommand")
            .into());
    };
    if !layers::SHARING.contains(&name.as_str()) {
        return Ok(Command::Other {
            name,
            matches: typed,
        });
    }
    let words = argv.get(2..).unwrap_or_default();
    let merged = layers::merge(cli, &name, &typed, words, around)?;
    if merged.matches.get_flag("show_config") {
        return show::show(&name, &merged, around).map(Command::ShowConfig);
    }
    if let Some(web) = web::wanted(&name, words, &merged)? {
        return Ok(Command::Web(Box::new(web)));
    }
    Ok(match name.as_str() {
        "run" => Command::Run(Box::new(build::run(&merged, around)?)),
        "master" => Command::Master(Box::new(build::master(&merged, around)?)),
        "ctl" => Command::Ctl(Box::new(ctl::build(&merged, around)?)),
        "doctor" => Command::Doctor(Box::new(doctor::build(&merged, around)?)),
        "health" => Command::Health(Box::new(health::build(&merged, around)?)),
        _ => Command::Worker(Box::new(build::worker(&merged, around)?)),
    })
}
