//! What the two shells of a master share: commands from outside, events to outside, and sleeping until a machine's timeout.
//! It moves values; what happens is decided in the machines.

use std::collections::VecDeque;

use tokio::sync::{mpsc, oneshot};

use super::journal::Frame;
use super::master::{Change, Input, Master, Refusal};
use super::{
    Coming, EngineCommand, MasterEvent, ProcessClock, Rejection, RunResult, RunStatus, Snapshot,
    WireError, WorkerStatus,
};
use crate::domain::Offset;

/// From the user to a running master.
#[derive(Debug)]
pub enum MasterCommand {
    /// Begin no more requests; the first signal.
    Stop,
    /// Drop those in flight; the second signal.
    Abort,
    /// Another load; answered by what it will be, and from when.
    Change(Change, oneshot::Sender<Result<Coming, Refusal>>),
    /// Say how the run stands, in a few figures.
    Status(oneshot::Sender<Box<RunStatus>>),
    /// Say how each worker stands.
    Workers(oneshot::Sender<Vec<WorkerStatus>>),
    /// Say everything that was measured so far.
    Snapshot(oneshot::Sender<Box<Snapshot>>),
}

/// From the user to a running worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerCommand {
    /// Begin no more requests, drain, deliver, go; the first signal.
    Leave,
    /// Drop those in flight, deliver, go; the second signal.
    Abort,
}

/// Why a cluster's shell could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The address of the master is none.
    #[error("`{address}` is no address of a master (host:port)")]
    Address {
        /// The address.
        address: String,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// The server failed.
    #[error("cannot serve workers")]
    Serve(#[source] tonic::transport::Error),
    /// The master will not have this worker, or this worker that master.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// A message cannot be put into protobuf.
    #[error("cannot say something to a worker or master")]
    Wire(#[from] WireError),
    /// The engine stopped taking commands or saying anything.
    #[error("the engine is gone")]
    EngineGone,
    /// The machine of the other side ended without a result.
    #[error("the run ended without a result")]
    NoResult,
}

/// Hands events on without ever waiting: a slow reader must not delay heartbeats.
#[derive(Debug)]
pub(super) struct EventSink {
    events: mpsc::Sender<MasterEvent>,
    missed: u64,
}

impl EventSink {
    pub(super) fn new(events: mpsc::Sender<MasterEvent>) -> Self {
        Self { events, missed: 0 }
    }

    /// Hands one on, or counts it; the count is said as soon as there is room.
    pub(super) fn push(&mut self, event: MasterEvent) {
        if self.missed > 0 {
            let missed = MasterEvent::Missed {
                events: self.missed,
            };
            if self.events.try_send(missed).is_err() {
                self.missed += 1;
                return;
            }
            self.missed = 0;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            self.missed = 1;
        }
    }
}

/// Where a master's frames go: somebody with a disk.
#[derive(Debug)]
pub struct JournalPort {
    /// Frames to write, in order.
    pub frames: mpsc::Sender<Box<Frame>>,
    /// What became of them; closed when nothing can be written any more.
    pub written: mpsc::Receiver<u64>,
}

/// Frames that may wait for a slow disk, one a second: beyond that it counts as broken.
const MOST_WAITING: usize = 600;

/// Hands frames on without ever waiting: a slow disk must not delay heartbeats.
#[derive(Debug)]
pub(super) struct JournalSink {
    port: Option<JournalPort>,
    waiting: VecDeque<Box<Frame>>,
    broken: bool,
}

impl JournalSink {
    pub(super) const fn new(port: Option<JournalPort>) -> Self {
        Self {
            port,
            waiting: VecDeque::new(),
            broken: false,
        }
    }

    /// Takes the next frame.
    pub(super) fn push(&mut self, frame: Box<Frame>) {
        if self.port.is_none() {
            return;
        }
        self.waiting.push_back(frame);
        self.pass_on();
        if self.waiting.len() > MOST_WAITING {
            self.give_up();
        }
    }

    fn pass_on(&mut self) {
        while let Some(port) = &self.port
            && !self.waiting.is_empty()
        {
            let Ok(place) = port.frames.try_reserve() else {
                return;
            };
            if let Some(frame) = self.waiting.pop_front() {
                place.send(frame);
            }
        }
    }

    fn give_up(&mut self) {
        self.port = None;
        self.waiting.clear();
        self.broken = true;
    }

    /// What a master is to hear of its journal; never, without one. Safe to cancel.
    pub(super) async fn next(&mut self) -> Input {
        if std::mem::take(&mut self.broken) {
            return Input::JournalBroken;
        }
        let Some(port) = &mut self.port else {
            return std::future::pending().await;
        };
        let Some(number) = port.written.recv().await else {
            self.give_up();
            self.broken = false;
            return Input::JournalBroken;
        };
        self.pass_on();
        Input::Persisted(number)
    }
}

/// Carries a command to the machine; a snapshot is answered at once.
pub(super) fn command(master: &mut Master, now: Offset, command: MasterCommand) {
    match command {
        MasterCommand::Stop => master.handle(now, Input::Stop),
        MasterCommand::Abort => master.handle(now, Input::Abort),
        MasterCommand::Snapshot(answer) => {
            // Who asked may be gone by now, and then nobody needs it.
            let _gone = answer.send(Box::new(master.snapshot(now)));
        }
        MasterCommand::Change(change, answer) => {
            let from = master.change(now, change);
            let load = master.load_to_come();
            let _gone = answer.send(from.map(|from| Coming { from, load }));
        }
        MasterCommand::Status(answer) => {
            let _gone = answer.send(Box::new(master.status(now)));
        }
        MasterCommand::Workers(answer) => {
            let _gone = answer.send(master.worker_status(now));
        }
    }
}

/// Tells an engine without waiting for it. One that is behind hears of the next lease and the next correction.
pub(super) fn tell_engine(
    engine: &mpsc::Sender<EngineCommand>,
    command: EngineCommand,
) -> Result<(), ClusterError> {
    use mpsc::error::TrySendError::Full;
    match engine.try_send(command) {
        Ok(()) | Err(Full(EngineCommand::Lease { .. } | EngineCommand::Correct { .. })) => Ok(()),
        Err(_) => Err(ClusterError::EngineGone),
    }
}

/// Sleeps until the clock shows `at`; for ever without one.
pub(super) async fn sleep_until(clock: ProcessClock, at: Option<Offset>) {
    match at {
        Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
        None => std::future::pending().await,
    }
}

/// A finished run, or the error that there is none.
pub(super) fn finished(result: Option<Box<RunResult>>) -> Result<RunResult, ClusterError> {
    result.map(|result| *result).ok_or(ClusterError::NoResult)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_nobody_took_are_counted_and_said() {
        let (sender, mut events) = mpsc::channel(2);
        let mut sink = EventSink::new(sender);
        let event = |worker| MasterEvent::Done { worker };
        (0..5).for_each(|worker| sink.push(event(worker)));
        assert_eq!(events.try_recv().unwrap(), event(0));
        assert_eq!(events.try_recv().unwrap(), event(1));
        sink.push(event(5));
        assert_eq!(
            events.try_recv().unwrap(),
            MasterEvent::Missed { events: 3 }
        );
        assert_eq!(events.try_recv().unwrap(), event(5));
    }
}
