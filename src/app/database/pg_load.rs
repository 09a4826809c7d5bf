//! `llmload pg-load`: brings what waits in spools into a database, each batch once, however often it is told to.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{ArgMatches, Args, FromArgMatches};
use fs4::{FileExt, TryLockError};
use tokio::time::timeout;

use super::connect::{Connection, Connector};
use super::load::load;
use super::spool::frame_at;
use super::writer::{open, unreachable};
use crate::app::console::Console;
use crate::app::failure::{Failure, status};
use crate::app::surroundings::Process;
use crate::app::{logging, runtime};
use crate::config;
use crate::database::{SPOOL_HEAD, SpoolError};

/// The name of the subcommand.
pub(in crate::app) const NAME: &str = "pg-load";
/// How long the database may take to let us in.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take for a batch: nobody waits for anything else here.
const FOR_A_BATCH: Duration = Duration::from_secs(120);

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
    let opened = timeout(FOR_A_BATCH, open(&connector, &database.schema, FOR_A_BATCH))
        .await
        .unwrap_or_else(|_| Err(anyhow!("it does not answer")));
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

/// Brings in all of one file that is whole, and takes the file away if that is all of it. Tells whether it was; one that a run still
/// writes to is passed over.
async fn bring_in(
    path: &Path,
    connection: &mut Connection,
    console: &mut Console,
) -> Result<bool, Failure> {
    let shown = path.display();
    let usage = |error: io::Error| {
        Failure::usage(anyhow::Error::new(error).context(format!("cannot read `{shown}`")))
    };
    let file = File::open(path).map_err(usage)?;
    match FileExt::try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            console.print(&format!(
                "{shown}: a run still writes to it: the file stays\n"
            ));
            return Ok(false);
        }
        Err(TryLockError::Error(error)) => return Err(usage(error)),
    }
    let end = file.metadata().map_err(usage)?.len();
    if !is_spool(&file).map_err(usage)? {
        console.print(&format!(
            "{shown}: {}: the file stays\n",
            SpoolError::NotASpool
        ));
        return Ok(false);
    }
    let (mut at, mut batches, mut rows) = (SPOOL_HEAD.len() as u64, 0_u64, 0);
    while at < end {
        let (batch, length) = match frame_at(&file, at, end).map_err(usage)? {
            Ok(read) => read,
            Err(error) => {
                console.print(&format!("{shown}: {batches} batches, {rows} rows are in the database; {error}: the file stays\n"));
                return Ok(false);
            }
        };
        let loaded = timeout(FOR_A_BATCH, load(&mut connection.client, &batch)).await;
        loaded
            .map_err(|_| anyhow!("no answer for {} s", FOR_A_BATCH.as_secs()))
            .and_then(|loaded| loaded.map_err(Into::into))
            .with_context(|| format!("`{shown}` is loaded up to batch {batches}"))
            .map_err(|error| {
                Failure::failed(error)
                    .hint("the file is as it was: load it again when the database is well")
            })?;
        at += length;
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

fn is_spool(file: &File) -> io::Result<bool> {
    let mut head = Vec::new();
    let most = SPOOL_HEAD.len() as u64;
    file.take(most).read_to_end(&mut head)?;
    Ok(head == SPOOL_HEAD)
}
