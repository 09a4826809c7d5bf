//! `doctor`: the options of a run, to be looked at before it is carried out, and a master that may be asked too.

use clap::Args;

use super::build::{self, Builder, Result, typed};
use super::cli::RunArgs;
use super::cluster::{ConnectArgs, Connection};
use super::layers::Merged;
use super::options::RunOptions;
use super::{LogLevel, Surroundings};

/// The settings of `doctor`.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// The run.
    pub run: RunOptions,
    /// The master that workers of this machine will connect to, where one is named.
    pub master: Option<Box<Connection>>,
    /// Warnings are held against it too.
    pub strict: bool,
}

#[derive(Args)]
pub(super) struct DoctorArgs {
    /// Fail because of warnings, too
    #[arg(long, help_heading = "Doctor")]
    pub strict: bool,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub cluster: ConnectArgs,
}

pub(super) fn build(merged: &Merged, around: &dyn Surroundings) -> Result<DoctorOptions> {
    let args: DoctorArgs = typed(&merged.matches)?;
    let mut run = build::run(merged, around)?;
    // What is found is told in its own words.
    if !merged.is_given("loglevel") {
        run.settings.logging.level = LogLevel::Error;
    }
    let names_master = ["master", "master_host", "master_port"];
    let master = match names_master.iter().any(|id| merged.is_given(id)) {
        true => {
            let builder = Builder { merged, around };
            Some(Box::new(builder.connection(&args.cluster)?))
        }
        false => None,
    };
    Ok(DoctorOptions {
        run,
        master,
        strict: args.strict,
    })
}
