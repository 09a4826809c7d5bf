//! `--web`: a page that starts runs one after another, shows each live, changes its load and keeps what came of it.
//! The runs are those of the command line, played as ever; nothing that a browser does holds them up.

mod api;
mod documents;
mod events;
mod files;
mod guard;
mod recorder;
mod server;
mod site;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::console::complain;
use super::door::Door;
use super::failure::{Failure, chain, status};
use super::played::{Played, Showing};
use super::session::{play_master_at, play_run};
use super::signals::{self, Signal};
use super::surroundings::Process;
use crate::config::{Command, ConfigError, Form, Settings, WebOptions};
use server::Server;

pub(super) use documents::Documents;
pub(super) use site::Site;

/// `llmload run --web` and `llmload master --web`. Ends with the status of the last run.
pub(super) async fn web(options: WebOptions) -> Result<u8, Failure> {
    let mut signals = signals::listen(&TaskTracker::new());
    let (starts, mut wanted) = mpsc::channel(1);
    let site = Arc::new(Site::new(options.base.clone(), starts));
    let _server = Server::open(&options, &site)?;
    if options.autostart {
        let first = options
            .base
            .run(&Form::new(), &Process)
            .map_err(|error| refused(&error))?;
        site.open();
        site.start(first);
    }
    let (door, mut last) = (Door::default(), None);
    loop {
        let quit = options.autoquit.filter(|_| last.is_some());
        let next = tokio::select! {
            Some(command) = wanted.recv() => Some(command),
            Some(_) = signals.recv() => None,
            () = after(quit) => None,
        };
        let Some(command) = next else { break };
        let ended = play(&site, &door, command, &mut signals).await;
        last = Some(ended.status);
        if ended.is_last {
            break;
        }
    }
    Ok(last.unwrap_or(status::OK))
}

async fn after(span: Option<Duration>) {
    match span {
        Some(span) => sleep(span).await,
        None => std::future::pending().await,
    }
}

fn refused(error: &ConfigError) -> Failure {
    let hint = error.hint();
    Failure::usage(anyhow::anyhow!("{}", chain(error))).with_hint(hint)
}

/// What a run leaves to the process.
struct Ended {
    status: u8,
    /// Somebody at the terminal has enough.
    is_last: bool,
}

/// Plays one run. A signal before it is shown leaves it; later ones are the run's own.
async fn play(
    site: &Arc<Site>,
    door: &Door,
    command: Command,
    signals: &mut mpsc::Receiver<Signal>,
) -> Ended {
    let records = records(&command);
    let mut playing = Box::pin(played(site, door, command));
    let mut signalled = None;
    let played = loop {
        tokio::select! {
            biased;
            played = &mut playing => break played,
            Some(signal) = signals.recv() => {
                signalled = Some(signal);
                if matches!(site.phase(), site::Phase::Opening) {
                    break Ok(Played::left(signal.exit_status()));
                }
            }
        }
    };
    drop(playing);
    let status = match played {
        Ok(mut played) => {
            let status = played.status;
            signalled = signalled.or_else(|| signals.try_recv().ok());
            let is_interrupted = played.interrupted.is_some();
            site.over(&mut played, records);
            return Ended {
                status,
                is_last: is_interrupted || signalled.is_some(),
            };
        }
        Err(failure) => {
            complain(&failure);
            site.broke_off(&failure);
            failure.status
        }
    };
    Ended {
        status,
        is_last: signalled.is_some(),
    }
}

async fn played(site: &Arc<Site>, door: &Door, command: Command) -> Result<Played, Failure> {
    let showing = Showing::Web(Arc::clone(site));
    match command {
        Command::Run(options) => Box::pin(play_run(*options, showing)).await,
        Command::Master(options) => Box::pin(play_master_at(door, *options, showing)).await,
        _ => Err(Failure::failed(anyhow::anyhow!(
            "the form came to something else than a run"
        ))),
    }
}

/// Where this process writes each request of the run, if it does.
fn records(command: &Command) -> Option<PathBuf> {
    let Command::Run(options) = command else {
        return None;
    };
    let Settings {
        observe, outputs, ..
    } = &options.settings;
    let name = observe.records.as_ref()?;
    let folder = outputs.records_dir.clone().unwrap_or_default();
    Some(folder.join(name))
}
