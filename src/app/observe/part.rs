//! A worker's own part of a run as it stands, for who watches that worker: what passes between a worker and its engine is read, and
//! passed on as it was. It decides nothing, and knows nothing of the other parts.

use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::fold::Fold;
use crate::app::journal::{Replayed as _, on_the_wall};
use crate::app::prepare::speak;
use crate::app::surroundings::wall_clock;
use crate::cluster::{
    EngineCommand, EngineEnd, EngineEvent, EnginePort, Prepare, ProcessClock, engine_port,
};
use crate::plan::Plan;
use crate::provider::Endpoint;
use crate::report::{LifeStage, Standing};

/// One worker's part, as it stands.
#[derive(Clone)]
pub(in crate::app) struct Part {
    pub(in crate::app) run: u64,
    /// The worker's number in the run, from 0.
    pub(in crate::app) worker: u32,
    pub(in crate::app) plan: Arc<Plan>,
    pub(in crate::app) endpoint: Arc<Endpoint>,
    pub(in crate::app) standing: Arc<Standing>,
}

/// Reads along at `port`, until both of its ends are gone. Returns the port for the worker to use. What stands is put into `shown`:
/// nothing before the worker has a part.
pub(in crate::app) fn read_along(
    port: EnginePort,
    shown: watch::Sender<Option<Part>>,
    tasks: &TaskTracker,
) -> EnginePort {
    let (for_worker, end) = engine_port(port.clock);
    let reader = Arc::new(Mutex::new(Reader {
        clock: port.clock,
        part: None,
        shown,
    }));
    let EnginePort {
        commands,
        mut events,
        ..
    } = port;
    let EngineEnd {
        commands: mut told,
        events: said,
        ..
    } = end;
    let reading = Arc::clone(&reader);
    // Each way for itself: a worker that is slow to hear what was measured must be able to stop it.
    tasks.spawn(async move {
        while let Some(command) = told.recv().await {
            lock(&reading).hear(&command);
            if commands.send(command).await.is_err() {
                return;
            }
        }
    });
    tasks.spawn(async move {
        while let Some(event) = events.recv().await {
            lock(&reader).see(&event);
            if said.send(event).await.is_err() {
                return;
            }
        }
    });
    for_worker
}

fn lock(reader: &Mutex<Reader>) -> std::sync::MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was read so far.
struct Reader {
    clock: ProcessClock,
    part: Option<(Part, Fold)>,
    shown: watch::Sender<Option<Part>>,
}

impl Reader {
    /// What the engine is told.
    fn hear(&mut self, command: &EngineCommand) {
        if let EngineCommand::Prepare(prepare) = command {
            self.part = begun(prepare);
        }
        let Some((_, fold)) = &mut self.part else {
            return;
        };
        match command {
            EngineCommand::Prepare(_) => fold.reach(LifeStage::Preparing),
            EngineCommand::Start { at } => {
                let shown = self.clock.now().since(crate::domain::Offset::ZERO);
                fold.starting(on_the_wall(OffsetDateTime::from(wall_clock()) - shown, *at));
            }
            EngineCommand::Stop { .. } | EngineCommand::Abort => fold.reach(LifeStage::Stopping),
            EngineCommand::Share(_)
            | EngineCommand::Lease { .. }
            | EngineCommand::Correct { .. } => return,
        }
        self.show();
    }

    /// What the engine says.
    fn see(&mut self, event: &EngineEvent) {
        let Some((_, fold)) = &mut self.part else {
            return;
        };
        match event {
            EngineEvent::Ready => return,
            EngineEvent::Interval {
                to, gauges, tally, ..
            } => fold.second(tally, *to, *gauges),
            EngineEvent::Unable { reason } => fold.ended(Some(reason)),
            EngineEvent::Drained => fold.ended(None),
        }
        self.show();
    }

    fn show(&mut self) {
        let Some((part, fold)) = &mut self.part else {
            return;
        };
        part.standing = Arc::new(fold.standing());
        self.shown.send_replace(Some(part.clone()));
    }
}

/// A part that is about to be prepared; `None` when it cannot be, which is the engine's to say.
fn begun(prepare: &Prepare) -> Option<(Part, Fold)> {
    let endpoint = speak(&prepare.plan).ok()?.endpoint().clone();
    let plan = Arc::new(prepare.plan.clone());
    // The clock's zero is told by the start.
    let fold = Fold::new(Arc::clone(&plan), OffsetDateTime::UNIX_EPOCH, &[]);
    let part = Part {
        run: prepare.run,
        worker: prepare.worker,
        plan,
        endpoint: Arc::new(endpoint),
        standing: Arc::new(fold.standing()),
    };
    Some((part, fold))
}

#[cfg(test)]
#[path = "part_tests.rs"]
mod tests;
