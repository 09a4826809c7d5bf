//! The engine's end of a worker: the runner, told by commands and heard as events.
//! What a job is made of is somebody else's affair; `llmload run`, workers, and benchmarks from Rust have one each.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::error::Error;
use crate::cluster::{EngineCommand, EngineEnd, EngineEvent, Gauges, Prepare, ProcessClock};
use crate::domain::Offset;
use crate::runner::{Engine, EngineError, Job, Slice, Standby};

/// Makes jobs of the parts that a worker is given.
pub(crate) trait Maker: Send + Sync + 'static {
    /// Why that may fail.
    type Fault: From<Error> + Send + 'static;

    /// Reads files and computes for seconds: called on a thread that may wait.
    fn make(&self, part: &Prepare) -> Result<Made<Self::Fault>, Self::Fault>;

    /// A fault in one line, as it travels to a master.
    fn words(fault: &Self::Fault) -> String;
}

/// A job, and what goes with it.
pub(crate) struct Made<F> {
    pub(crate) job: Job,
    /// What to say about it.
    pub(crate) notes: Vec<String>,
    /// Takes the finished requests out of their queue until it is closed. Blocks: for a thread of its own.
    pub(crate) taking: Option<Taking<F>>,
}

/// Work for a thread that may wait. It is told when the run's offset zero is by this machine's wall clock.
pub(crate) type Taking<F> = Box<dyn FnOnce(SystemTime) -> Result<(), F> + Send>;

/// What an engine leaves behind, beside its events.
#[derive(Debug)]
pub(crate) struct Aftermath<F> {
    /// What to say about the workload.
    pub(crate) notes: Vec<String>,
    /// Why the finished requests are not all taken.
    pub(crate) records_error: Option<F>,
    /// Why there was no run.
    pub(crate) fault: Option<F>,
}

impl<F> Default for Aftermath<F> {
    fn default() -> Self {
        Self {
            notes: Vec::new(),
            records_error: None,
            fault: None,
        }
    }
}

impl<F> Aftermath<F> {
    /// Of an engine that nobody waited for.
    pub(crate) fn unfinished() -> Self {
        let notes = vec![
            "interrupted before the engine had ended: a records file may not be whole".to_owned(),
        ];
        Self {
            notes,
            ..Self::default()
        }
    }
}

/// Serves a worker until it is gone.
pub(crate) async fn serve<M: Maker>(mut end: EngineEnd, maker: Arc<M>) -> Aftermath<M::Fault> {
    let mut aftermath = Aftermath::default();
    let mut prepared: Option<Ready<M::Fault>> = None;
    while let Some(command) = end.commands.recv().await {
        match command {
            EngineCommand::Prepare(part) => {
                let answer = match get_ready(&mut end, &maker, *part).await {
                    Ok(ready) => {
                        aftermath.notes.clone_from(&ready.notes);
                        prepared = Some(ready);
                        EngineEvent::Ready
                    }
                    Err(fault) => {
                        let reason = M::words(&fault);
                        aftermath.fault = Some(fault);
                        EngineEvent::Unable { reason }
                    }
                };
                say(&end, answer).await;
            }
            EngineCommand::Start { at } => {
                let (mut last, mut taking) = (EngineEvent::Drained, None);
                if let Some(ready) = prepared.take() {
                    (last, taking) = send::<M>(&mut end, ready, at).await;
                }
                // Whoever takes the finished requests may be slow, and a worker that says nothing is given up.
                say(&end, last).await;
                aftermath.records_error = match taking {
                    Some(taking) => taken(taking).await,
                    None => None,
                };
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

struct Ready<F> {
    standby: Standby,
    taking: Option<Taking<F>>,
    notes: Vec<String>,
}

impl<F> Ready<F> {
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
async fn get_ready<M: Maker>(
    end: &mut EngineEnd,
    maker: &Arc<M>,
    part: Prepare,
) -> Result<Ready<M::Fault>, M::Fault> {
    // What is told meanwhile waits, and not in the queue: whoever tells must not wait.
    let mut told = Vec::new();
    let mut making = std::pin::pin!(make(maker, part));
    let mut wanted = true;
    let made = loop {
        tokio::select! {
            made = &mut making => break made?,
            heard = hear_until_abort(&mut end.commands, &mut told), if wanted => wanted = heard,
        }
    };
    if !wanted {
        return Err(Error::CalledOff.into());
    }
    let standby = tokio::select! {
        standby = Engine::prepare(made.job) => standby.map_err(Error::from)?,
        _ = hear_until_abort(&mut end.commands, &mut told) => return Err(Error::CalledOff.into()),
    };
    let mut ready = Ready {
        standby,
        taking: made.taking,
        notes: made.notes,
    };
    for command in told {
        ready.hear(end.clock, command);
    }
    Ok(ready)
}

async fn make<M: Maker>(maker: &Arc<M>, part: Prepare) -> Result<Made<M::Fault>, M::Fault> {
    let maker = Arc::clone(maker);
    let made = spawn_blocking(move || maker.make(&part));
    made.await
        .unwrap_or_else(|_| Err(Error::Defect("preparing").into()))
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
/// caller to say, and who takes the finished requests, for the caller to wait for.
async fn send<M: Maker>(
    end: &mut EngineEnd,
    ready: Ready<M::Fault>,
    at: Offset,
) -> (EngineEvent, Option<JoinHandle<Result<(), M::Fault>>>) {
    let unable = |error: EngineError| EngineEvent::Unable {
        reason: M::words(&Error::from(error).into()),
    };
    let start = end.clock.instant(at);
    let zero = on_the_wall(start);
    let taking = ready.taking;
    let taking = taking.map(|taking| spawn_blocking(move || taking(zero)));
    let mut engine = match ready.standby.start(start) {
        Ok(engine) => engine,
        Err(error) => return (unable(error), None),
    };
    carry_out(end, &mut engine).await;
    let last = engine
        .finish()
        .map_or_else(unable, |()| EngineEvent::Drained);
    (last, taking)
}

/// What went wrong for who takes the finished requests, when all are taken.
async fn taken<F: From<Error>>(taking: JoinHandle<Result<(), F>>) -> Option<F> {
    match taking.await {
        Ok(result) => result.err(),
        Err(_) => Some(Error::Defect("taking the records").into()),
    }
}

/// What this machine's wall clock shows at an instant that is near.
#[expect(
    clippy::disallowed_methods,
    reason = "for who writes down finished requests by the time of day; nothing is measured by it"
)]
fn on_the_wall(at: Instant) -> SystemTime {
    let (now, wall) = (Instant::now(), SystemTime::now());
    wall + at.saturating_duration_since(now) - now.saturating_duration_since(at)
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
