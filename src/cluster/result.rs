//! What a master says about a run: while it goes on (`MasterEvent`, `Snapshot`) and when it is over (`RunResult`).
//! Values alone; figures and words are made of them elsewhere.

use std::time::Duration;

use super::{ClockEstimate, Gauges, Interval};
use crate::domain::Offset;
use crate::metrics::{Counts, Tally, Window};

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
            Self::Time | Self::MaxRequests | Self::Stopped | Self::Aborted => 0,
            Self::Unable { .. } => 2,
            Self::WorkersLost | Self::TooFewWorkers { .. } => 3,
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
    /// Its part of the schedule, from 0; `None` when it had none.
    pub part: Option<u32>,
    /// What it was doing last.
    pub state: WorkerState,
    /// Whether it was told to go before the run was over.
    pub left_early: bool,
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
    /// An interval was merged. Each is said once.
    Merged {
        /// Whose.
        worker: u32,
        /// The interval.
        interval: Box<Interval>,
        /// Of all workers at work, added up.
        gauges: Gauges,
    },
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
    /// A worker was told to go; it drains, and the rest of its part counts as lost.
    Leaving {
        /// Its number.
        worker: u32,
        /// Its name.
        name: String,
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
