//! What the two shells of a master share: commands from outside, events to outside, and sleeping until a machine's timeout.
//! It moves values; what happens is decided in the machines.

use tokio::sync::{mpsc, oneshot};

use super::master::{Input, Master};
use super::{MasterEvent, ProcessClock, RunResult, Snapshot, WireError};
use crate::domain::Offset;

/// From the user to a running master.
#[derive(Debug)]
pub enum MasterCommand {
    /// Begin no more requests; the first signal.
    Stop,
    /// Drop those in flight; the second signal.
    Abort,
    /// Say how the run stands.
    Snapshot(oneshot::Sender<Snapshot>),
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

/// Carries a command to the machine; a snapshot is answered at once.
pub(super) fn command(master: &mut Master, now: Offset, command: MasterCommand) {
    match command {
        MasterCommand::Stop => master.handle(now, Input::Stop),
        MasterCommand::Abort => master.handle(now, Input::Abort),
        MasterCommand::Snapshot(answer) => {
            // Who asked may be gone by now, and then nobody needs it.
            let _gone = answer.send(master.snapshot(now));
        }
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
