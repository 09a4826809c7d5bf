//! The engine's end of a worker: the runner, told by commands and heard as events.

use std::sync::Arc;

use anyhow::anyhow;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::failure::Failure;
use super::prepare::{Machine, Prepared};
use super::records::{self, RecordsFile};
use crate::cluster::{EngineCommand, EngineEnd, EngineEvent, Gauges, Prepare, ProcessClock};
use crate::domain::Offset;
use crate::runner::{Engine, Slice, Standby};

/// What an engine leaves behind, beside its events.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// What to say about the workload.
    pub(super) notes: Vec<String>,
    /// Why a records file is not whole.
    pub(super) records_error: Option<Failure>,
}

impl Aftermath {
    /// Of an engine that nobody waited for.
    pub(super) fn unfinished() -> Self {
        let notes = vec![
            "interrupted before the engine had ended: a records file may not be whole".to_owned(),
        ];
        Self {
            notes,
            records_error: None,
        }
    }
}

/// Serves a worker until it is gone.
pub(super) async fn serve(mut end: EngineEnd, machine: Arc<Machine>) -> Aftermath {
    let mut aftermath = Aftermath::default();
    let mut prepared: Option<Ready> = None;
    while let Some(command) = end.commands.recv().await {
        match command {
            EngineCommand::Prepare(part) => {
                let answer = match get_ready(&mut end, &machine, *part).await {
                    Ok(ready) => {
                        aftermath.notes.clone_from(&ready.notes);
                        for note in &ready.notes {
                            tracing::info!("{note}");
                        }
                        prepared = Some(ready);
                        EngineEvent::Ready
                    }
                    Err(failure) => EngineEvent::Unable {
                        reason: in_words(&failure),
                    },
                };
                say(&end, answer).await;
            }
            EngineCommand::Start { at } => {
                let mut last = EngineEvent::Drained;
                if let Some(ready) = prepared.take() {
                    (last, aftermath.records_error) = send(&mut end, ready, at).await;
                }
                say(&end, last).await;
            }
            EngineCommand::Abort => prepared = None,
            told => {
                if let Some(ready) = &mut prepared {
                    ready.hear(end.clock, told);
                }
            }
        }
    }
    aftermath
}

/// The worker's end lives as long as the process does; when it is gone nobody wants to know.
async fn say(end: &EngineEnd, event: EngineEvent) {
    let _ = end.events.send(event).await;
}

fn in_words(failure: &Failure) -> String {
    match &failure.hint {
        Some(hint) => format!("{:#}; hint: {hint}", failure.error),
        None => format!("{:#}", failure.error),
    }
}

struct Ready {
    standby: Standby,
    records: Option<RecordsFile>,
    notes: Vec<String>,
}

impl Ready {
    /// Takes what a run is told before its start.
    fn hear(&mut self, clock: ProcessClock, command: EngineCommand) {
        let standby = &mut self.standby;
        match command {
            EngineCommand::Share(share) => standby.share(&share),
            EngineCommand::Lease { until } => standby.lease(clock.instant(until)),
            EngineCommand::Correct { behind_ns } => standby.correct(behind_ns),
            EngineCommand::Stop { at } => standby.stop(at),
            EngineCommand::Prepare(_) | EngineCommand::Start { .. } | EngineCommand::Abort => {}
        }
    }
}

/// Everything but the start: what is read and computed, then the connections, which an abort calls off.
async fn get_ready(
    end: &mut EngineEnd,
    machine: &Arc<Machine>,
    part: Prepare,
) -> Result<Ready, Failure> {
    // What is told meanwhile waits, and not in the queue: whoever tells must not wait.
    let mut told = Vec::new();
    let mut making = std::pin::pin!(prepare(machine, part));
    let mut wanted = true;
    let (prepared, records) = loop {
        tokio::select! {
            made = &mut making => break made?,
            heard = hear_until_abort(&mut end.commands, &mut told), if wanted => wanted = heard,
        }
    };
    let called_off = || Failure::failed(anyhow!("called off"));
    if !wanted {
        return Err(called_off());
    }
    let standby = tokio::select! {
        standby = Engine::prepare(prepared.job) => standby.map_err(Failure::failed)?,
        _ = hear_until_abort(&mut end.commands, &mut told) => return Err(called_off()),
    };
    let mut ready = Ready {
        standby,
        records,
        notes: prepared.notes,
    };
    for command in told {
        ready.hear(end.clock, command);
    }
    Ok(ready)
}

async fn prepare(
    machine: &Arc<Machine>,
    part: Prepare,
) -> Result<(Prepared, Option<RecordsFile>), Failure> {
    let machine = Arc::clone(machine);
    let made = spawn_blocking(move || {
        let mut prepared = machine.prepare(&part)?;
        let records = prepared
            .records
            .take()
            .map(|(path, queue)| records::create(&path, queue))
            .transpose()?;
        Ok((prepared, records))
    });
    made.await
        .unwrap_or_else(|_| Err(Failure::failed(anyhow!("preparing ended by a defect"))))
}

/// Collects what is told. Returns, with `false`, when nobody wants the run any more. Safe to cancel.
async fn hear_until_abort(
    commands: &mut mpsc::Receiver<EngineCommand>,
    told: &mut Vec<EngineCommand>,
) -> bool {
    while let Some(command) = commands.recv().await {
        match command {
            EngineCommand::Abort => return false,
            // The last lease and the last correction hold alone.
            EngineCommand::Lease { .. } => {
                told.retain(|old| !matches!(old, EngineCommand::Lease { .. }));
            }
            EngineCommand::Correct { .. } => {
                told.retain(|old| !matches!(old, EngineCommand::Correct { .. }));
            }
            _ => {}
        }
        told.push(command);
    }
    false
}

/// Runs an engine to its end and hands over everything that it measured. Returns its last word, which is for the
/// caller to say, and what became of the records file.
async fn send(end: &mut EngineEnd, ready: Ready, at: Offset) -> (EngineEvent, Option<Failure>) {
    let Ready {
        standby, records, ..
    } = ready;
    let unable = |error| EngineEvent::Unable {
        reason: in_words(&Failure::failed(error)),
    };
    let writing = records.map(|file| spawn_blocking(move || file.write_all()));
    let mut engine = match standby.start(end.clock.instant(at)) {
        Ok(engine) => engine,
        Err(error) => return (unable(error), None),
    };
    carry_out(end, &mut engine).await;
    let last = engine
        .finish()
        .map_or_else(unable, |()| EngineEvent::Drained);
    let written = match writing {
        None => None,
        Some(writing) => match writing.await {
            Ok(result) => result.err(),
            Err(_) => Some(Failure::failed(anyhow!(
                "writing the records ended by a defect"
            ))),
        },
    };
    (last, written)
}

/// Passes measurements on and commands in, until there is nothing left to measure.
async fn carry_out(end: &mut EngineEnd, engine: &mut Engine) {
    let mut orphaned = false;
    loop {
        tokio::select! {
            slice = engine.next() => match slice {
                Some(slice) => say(end, interval(slice)).await,
                None => return,
            },
            command = end.commands.recv(), if !orphaned => match command {
                Some(command) => obey(engine, end.clock, command),
                None => {
                    orphaned = true;
                    engine.abort();
                }
            },
        }
    }
}

fn obey(engine: &mut Engine, clock: ProcessClock, command: EngineCommand) {
    match command {
        EngineCommand::Share(share) => engine.share(&share),
        EngineCommand::Lease { until } => engine.lease(clock.instant(until)),
        EngineCommand::Correct { behind_ns } => engine.correct(behind_ns),
        EngineCommand::Stop { at } => engine.stop(at),
        EngineCommand::Abort => engine.abort(),
        EngineCommand::Prepare(_) | EngineCommand::Start { .. } => {}
    }
}

fn interval(slice: Slice) -> EngineEvent {
    let gauges = Gauges {
        users: slice.users,
        in_flight: slice.in_flight,
        waiting: slice.waiting,
    };
    EngineEvent::Interval {
        from: slice.from,
        to: slice.to,
        gauges,
        tally: Box::new(slice.tally),
    }
}
