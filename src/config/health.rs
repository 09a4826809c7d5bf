//! `health`: whether a master or a worker is well, for probes. Where the master is comes from the settings that a worker has too.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::build::{Builder, Result, logging, typed};
use super::cli::{LogArgs, SettingArgs};
use super::cluster::{ConnectArgs, Connection};
use super::layers::Merged;
use super::{Logging, Surroundings, value};

/// The settings of `health`.
#[derive(Clone, Debug)]
pub struct HealthOptions {
    /// Whose health is asked for.
    pub patient: Patient,
    /// Whether it is to be ready for work, not merely alive.
    pub ready: bool,
    /// How to log.
    pub logging: Logging,
}

/// Whose health is asked for.
#[derive(Clone, Debug)]
pub enum Patient {
    /// That of the worker which keeps this file.
    Worker {
        /// The file.
        file: PathBuf,
        /// How old what it says may be.
        max_age: Duration,
    },
    /// A master's.
    Master {
        /// Where it is, and how to convince it.
        connection: Box<Connection>,
        /// How long its answer may take.
        timeout: Duration,
    },
}

#[derive(Args)]
pub(super) struct HealthArgs {
    /// The file that `worker --health-file` keeps: that worker's health; absent: the master's
    #[arg(long, value_name = "FILE", help_heading = "Health")]
    pub health_file: Option<PathBuf>,
    /// How old the worker's word may be
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = value::positive_span, help_heading = "Health")]
    pub max_age: Duration,
    /// How long the master's answer may take
    #[arg(id = "health_timeout", long = "timeout", value_name = "SPAN", default_value = "5s", value_parser = value::positive_span, help_heading = "Health")]
    pub timeout: Duration,
    /// Ready for work, not merely alive: a worker that hears of its master, a master whose run is not over
    #[arg(long, help_heading = "Health")]
    pub ready: bool,
    #[command(flatten)]
    pub cluster: ConnectArgs,
    #[command(flatten)]
    pub log: LogArgs,
    #[command(flatten)]
    pub settings: SettingArgs,
}

pub(super) fn build(merged: &Merged, around: &dyn Surroundings) -> Result<HealthOptions> {
    let args: HealthArgs = typed(&merged.matches)?;
    let builder = Builder { merged, around };
    let patient = match args.health_file {
        Some(file) => Patient::Worker {
            file,
            max_age: args.max_age,
        },
        None => Patient::Master {
            connection: Box::new(builder.connection(&args.cluster)?),
            timeout: args.timeout,
        },
    };
    Ok(HealthOptions {
        patient,
        ready: args.ready,
        logging: logging(args.log),
    })
}
