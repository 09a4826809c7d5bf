//! `sweep`: every combination of a grid, or a search, played run by run through the code of `run`, and compared.
//! The order and the judgement are `suite`'s; this room plays, keeps and writes.

mod args;
mod find;
mod play;
mod prepare;
mod results;
mod store;

use std::path::Path;

use clap::{ArgMatches, FromArgMatches};
use tokio_util::task::TaskTracker;

use super::console::Console;
use super::failure::{Failure, status};
use super::files::try_writing;
use super::{logging, runtime, signals};
use crate::suite::Row;
use args::{SweepArgs, Wanted, wanted};
use play::{Done, Stage, roughly};
use prepare::{Prepared, Resolved, resolve};
use store::Store;

pub(super) use args::{NAME, command, options_of, words};

/// `llmload sweep`.
pub(super) fn sweep(matches: &ArgMatches) -> Result<u8, Failure> {
    let args = SweepArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    let wanted = wanted(matches, &args)?;
    if let Some(path) = args.html.as_deref().filter(|_| !args.dry_run) {
        try_writing(path, "--html")?;
    }
    let store = Store::open(&args.output_dir, args.restart)?;
    match args.search() {
        Some(spec) => find::find(&args, spec, &wanted, store),
        None => grid(&args, &wanted, store),
    }
}

/// Draws what a sweep's folder holds again: its comparison, its charts and its page.
pub(super) fn redraw(folder: &Path, html: Option<&Path>) -> Result<u8, Failure> {
    results::redraw(&Store::open(folder, false)?, html)
}

fn grid(args: &SweepArgs, wanted: &Wanted, store: Store) -> Result<u8, Failure> {
    let mut runs = Vec::new();
    for combination in wanted.grid.combinations() {
        match resolve(wanted, &combination, 0, &store)? {
            Resolved::Run(prepared) => runs.push(*prepared),
            Resolved::Text(text) => {
                Console::default().print(&text);
                return Ok(status::OK);
            }
        }
    }
    if args.dry_run {
        let mut console = Console::default();
        for (number, run) in (1..).zip(&runs) {
            console.print(&format!("{number}/{}  {}\n", runs.len(), run.command));
        }
        return Ok(status::OK);
    }
    start_logging(runs.first())?;
    runtime()?.block_on(play_all(args, runs, store))
}

/// All runs log alike: as the first one says.
fn start_logging(run: Option<&Prepared>) -> Result<(), Failure> {
    run.map_or(Ok(()), |run| logging::start(&run.options.settings.logging))
}

async fn play_all(args: &SweepArgs, runs: Vec<Prepared>, store: Store) -> Result<u8, Failure> {
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    store.keep_order(&ids)?;
    let tasks = TaskTracker::new();
    let mut stage = Stage::new(store, signals::listen(&tasks), args.cooldown);
    let (mut rows, mut interrupted): (Vec<Row>, Option<u8>) = (Vec::new(), None);
    for (at, run) in runs.iter().enumerate() {
        let rest: Vec<&Prepared> = runs.iter().skip(at).collect();
        let left = stage.left(&rest).map(roughly);
        let name = if run.label.is_empty() {
            "as given"
        } else {
            run.label.as_str()
        };
        let mut which = format!("run {}/{}  {name}", at + 1, runs.len());
        if let Some(left) = left {
            which = format!("{which}  ({left})");
        }
        match stage.run(run.clone(), is_settled, &which).await? {
            Done::Row(row) => {
                let has_failed = row.status != status::OK;
                rows.push(*row);
                if has_failed && args.fail_fast {
                    break;
                }
            }
            Done::Interrupted(signal, row) => {
                rows.extend(row.map(|row| *row));
                interrupted = Some(signal);
                break;
            }
        }
    }
    results::write_grid(&mut stage, &rows, args.html.as_deref())?;
    let worst = rows.iter().map(|row| row.status).max();
    Ok(interrupted.unwrap_or(worst.unwrap_or(status::OK)))
}

/// A result that stands; a run whose requests failed is made again, for the server may have been away.
fn is_settled(row: &Row) -> bool {
    matches!(row.status, status::OK | status::NOT_DELIVERED)
}
