//! What a master says about a run: while it goes on (`MasterEvent`, `Snapshot`) and when it is over (`RunResult`).
//! Values alone; figures and words are made of them elsewhere.

use std::sync::Arc;
use std::time::Duration;

use super::{ClockEstimate, Gauges};
use crate::domain::Offset;
use crate::metrics::{Counts, Tally, Window};
use crate::schedule::Load;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Its run time was over.
    Time,
    /// All requests that it may send were sent.
    MaxRequests,
    /// It was told to stop, and drained.
    Stopped,
    /// It was told to drop what was in flight.
    Aborted,
    /// No worker with a part in it was left.
    WorkersLost,
    /// A worker was lost, and that was to end the run.
    WorkerLost {
        /// Its name.
        worker: String,
    },
    /// Its master ended without a word; this is what its journal knows.
    MasterGone,
    /// Fewer workers than expected came within the time to wait for them; nothing was measured.
    TooFewWorkers {
        /// Names of those who are there.
        present: Vec<String>,
        /// How many were expected.
        expected: u32,
    },
    /// A worker cannot carry the run out, or cannot go on.
    Unable {
        /// Its name.
        worker: String,
        /// Its reason.
        reason: String,
    },
}

impl EndedBy {
    /// The exit status that this alone calls for: 0, 2 (settings), 3 (too few workers or none left).
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Time | Self::MaxRequests | Self::Stopped | Self::Aborted | Self::MasterGone => 0,
            Self::Unable { .. } => 2,
            Self::WorkersLost | Self::WorkerLost { .. } | Self::TooFewWorkers { .. } => 3,
        }
    }
}

/// What a worker is doing, as its master knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkerState {
    /// Connected, without a part: there are more workers than users, or it came after the start.
    Idle,
    /// Told to prepare.
    Preparing,
    /// Prepared.
    Ready,
    /// Sending or draining.
    Running,
    /// All of its statistics are merged.
    Done,
    /// Not heard of for too long; what is unknown of its part counts as lost.
    Lost,
}

/// One worker's part in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerSummary {
    /// Its number in this master's life.
    pub worker: u32,
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// Cores that it sends with.
    pub cores: u32,
    /// Its place among those who have a part in the run; `None` when it had none.
    pub part: Option<u32>,
    /// What it was doing last.
    pub state: WorkerState,
    /// Whether it was told to go before the run was over.
    pub left_early: bool,
    /// It went, and others had its share from then on.
    pub handed_over: bool,
    /// It was not heard of for too long at some time, also if it came back.
    pub was_missing: bool,
    /// Its counts, its losses included.
    pub counts: Counts,
    /// Requests that ended, however they did.
    pub finished: u64,
    /// Until when its measurements are known, since the run's start.
    pub confirmed_to: Offset,
    /// Intervals merged.
    pub intervals: u64,
    /// Its estimate of the master's clock minus its own.
    pub clock: Option<ClockEstimate>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult {
    /// Which run.
    pub run: u64,
    /// Everything that was measured, losses counted.
    pub tally: Tally,
    /// Every worker that had a part or was there at the end.
    pub workers: Vec<WorkerSummary>,
    /// How it ended.
    pub ended_by: EndedBy,
    /// The measured part of the run; its end is when sending ended, `None` when it never began.
    pub window: Window,
    /// Requests sent that had not ended when the drain was over.
    pub in_flight_at_deadline: u64,
    /// Where a worker's own books differ from what was merged of it, in words. Nothing of the kind ever happens.
    pub discrepancies: Vec<String>,
    /// Changes of ownership or load after the start.
    pub epochs: u32,
}

/// A run as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Since the run's start; `None` before it.
    pub elapsed: Option<Duration>,
    /// What was merged so far. What is lost for certain is counted; what lost workers still owe is not.
    pub tally: Tally,
    /// All workers.
    pub workers: Vec<WorkerSummary>,
    /// Of the workers at work, added up.
    pub gauges: Gauges,
    /// The measured part of the run, as planned.
    pub window: Window,
    /// What the cluster does now; `None` before the start.
    pub load: Option<Load>,
    /// What it will do, and from when in the run's time, when that is another thing.
    pub next: Option<(Offset, Load)>,
    /// It was told to end.
    pub stopping: bool,
}

/// What happens, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum MasterEvent {
    /// A worker came.
    Joined {
        /// Its number.
        worker: u32,
        /// Its name.
        name: String,
        /// Its cores.
        cores: u32,
        /// Workers that are there now.
        connected: u32,
        /// Workers that the run waits for.
        expected: u32,
        /// It came after the parts were dealt and stays idle.
        late: bool,
    },
    /// A worker was turned away.
    Refused {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A worker went away before the start; its part is given to another.
    Gone {
        /// Its number.
        worker: u32,
        /// Its name.
        name: String,
    },
    /// The parts are dealt.
    Dealt {
        /// Into how many.
        parts: u32,
        /// Workers without one: there are more workers than users.
        idle: u32,
    },
    /// A worker is prepared.
    Ready {
        /// Its number.
        worker: u32,
        /// How many are prepared.
        ready: u32,
        /// Of how many.
        parts: u32,
    },
    /// All are prepared, and offset zero of the run is an instant of the master's clock.
    Starting {
        /// That instant.
        at: Offset,
    },
    /// What came of all workers since the last time was merged: about once a second, and nothing twice.
    Merged {
        /// What was measured.
        delta: Arc<Tally>,
        /// Until when, since the run's start.
        to: Offset,
        /// Of all workers at work, added up.
        gauges: Gauges,
    },
    /// From an instant on the workers own other parts, or do another load.
    Changed {
        /// The epoch's number.
        epoch: u32,
        /// From when, in the run's time.
        from: Offset,
        /// The cluster's load.
        load: Load,
        /// How many workers carry it.
        members: u32,
    },
    /// The run of a master that is gone goes on under this one.
    Adopted {
        /// Offset zero of the run on this master's clock.
        at: Offset,
        /// Workers that are expected to come back.
        workers: u32,
    },
    /// What is merged can no longer be written to the journal; the run goes on.
    JournalBroken,
    /// A worker with a part was not heard of for too long.
    Lost {
        /// Its number.
        worker: u32,
        /// Its name.
        name: String,
        /// Since the run's start.
        at: Offset,
        /// Until when its measurements are known.
        confirmed_to: Offset,
    },
    /// A lost worker is back; what it did meanwhile counts after all.
    Returned {
        /// Its number.
        worker: u32,
        /// Its name.
        name: String,
    },
    /// A worker was told to go; it sends until `until` and drains.
    Leaving {
        /// Its number.
        worker: u32,
        /// Its name.
        name: String,
        /// In the run's time.
        until: Offset,
        /// Others take its share over; else the rest of it counts as lost.
        handed_over: bool,
    },
    /// All of a worker's statistics are merged.
    Done {
        /// Its number.
        worker: u32,
    },
    /// The run was told to end.
    Stopping {
        /// Dropping what is in flight.
        abort: bool,
    },
    /// Workers did not finish in time after the end of sending, and are told to drop what they have.
    Overdue {
        /// Their names.
        workers: Vec<String>,
    },
    /// Nobody took the events in time and so many were left out. No statistics are lost by that.
    Missed {
        /// How many.
        events: u64,
    },
}
