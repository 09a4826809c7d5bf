//! `llmload pg-load`: brings what waits in spools into a database, each batch once, however often it is told to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{ArgMatches, Args, FromArgMatches};

use super::connect::{Connection, Connector};
use super::load::load;
use super::writer::{open, unreachable};
use crate::app::console::Console;
use crate::app::failure::{Failure, status};
use crate::app::surroundings::Process;
use crate::app::{logging, runtime};
use crate::config;
use crate::database::Frames;

/// The name of the subcommand.
pub(in crate::app) const NAME: &str = "pg-load";
/// How long the database may take to let us in.
const PATIENCE: Duration = Duration::from_secs(10);

pub(in crate::app) fn command() -> clap::Command {
    let about = "Load what waits in a spool into the PostgreSQL database, each row once";
    let command = LoadArgs::augment_args(clap::Command::new(NAME));
    config::database_options(command).about(about)
}

/// Options of `pg-load`, beside those that say where the database is.
#[derive(Clone, Debug, Args)]
struct LoadArgs {
    /// Spools, or folders of them
    #[arg(value_name = "SPOOL", required = true)]
    spools: Vec<PathBuf>,
}

/// `llmload pg-load`.
pub(in crate::app) fn pg_load(matches: &ArgMatches) -> Result<u8, Failure> {
    logging::start_plain()?;
    runtime()?.block_on(load_all(matches))
}

async fn load_all(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = LoadArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    let database = config::database_of(matches, &Process)
        .map_err(|words| Failure::usage(anyhow!("{words}")))?;
    let connector = Connector::new(&database, PATIENCE).map_err(Failure::usage)?;
    let opened = open(&connector, &database.schema).await;
    let mut connection = opened.map_err(|error| unreachable(&connector, error))?;
    let (mut console, mut is_whole) = (Console::default(), true);
    for path in spools(&args.spools)? {
        is_whole &= bring_in(&path, &mut connection, &mut console).await?;
    }
    Ok(if is_whole { status::OK } else { status::FAILED })
}

/// The files, those in folders included.
fn spools(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for path in named {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.with_context(|| format!("cannot read `{}`", path.display()));
        let entries = entries
            .map_err(Failure::usage)?
            .into_iter()
            .map(|entry| entry.path());
        all.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "spool")));
    }
    all.sort();
    Ok(all)
}

/// Brings in all of one file that is whole, and takes the file away if that is all of it.
async fn bring_in(
    path: &Path,
    connection: &mut Connection,
    console: &mut Console,
) -> Result<bool, Failure> {
    let shown = path.display();
    let bytes = fs::read(path)
        .with_context(|| format!("cannot read `{shown}`"))
        .map_err(Failure::usage)?;
    let frames = Frames::new(&bytes)
        .with_context(|| format!("`{shown}`"))
        .map_err(Failure::usage)?;
    let (mut batches, mut rows) = (0_u64, 0);
    for batch in frames {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                console.print(&format!("{shown}: {batches} batches, {rows} rows are in the database; {error}: the file stays\n"));
                return Ok(false);
            }
        };
        load(&mut connection.client, &batch)
            .await
            .with_context(|| format!("`{shown}` is loaded up to batch {batches}"))
            .map_err(|error| {
                Failure::failed(error)
                    .hint("the file is as it was: load it again when the database is well")
            })?;
        batches += 1;
        rows += batch.rows();
    }
    fs::remove_file(path)
        .with_context(|| format!("cannot remove `{shown}`"))
        .map_err(Failure::failed)?;
    console.print(&format!(
        "{shown}: {batches} batches, {rows} rows are in the database; the file is removed\n"
    ));
    Ok(true)
}
