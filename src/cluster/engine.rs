//! What a worker tells the engine that sends the requests, and what it hears from it.
//! Plain values; `port` carries them, and the engine itself is somebody else's room.

use super::{Gauges, Prepare};
use crate::domain::Offset;
use crate::metrics::Tally;

/// From a worker to its engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineCommand {
    /// Make everything ready for this part of this run; answered by exactly one `Ready` or `Unable`, also when
    /// an `Abort` comes before the answer. It replaces an earlier one that was not started.
    Prepare(Box<Prepare>),
    /// Offset zero of the run is when the process's own clock shows `at`; answered by intervals.
    Start {
        /// An instant of this process's clock.
        at: Offset,
    },
    /// Begin no more requests; let those in flight finish within the plan's stop time.
    Stop,
    /// Drop what is in flight and count it as cancelled; forget a run that was only prepared.
    Abort,
}

/// From an engine to its worker.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineEvent {
    /// Everything is prepared.
    Ready,
    /// It cannot be done here; of a started run, that it cannot go on: then this is the last word, after the last
    /// interval, and no `Drained` follows.
    Unable {
        /// Why, in words for the master's user.
        reason: String,
    },
    /// About a second of measurements, each in exactly one interval.
    Interval {
        /// From when, since the run's start.
        from: Offset,
        /// Until when.
        to: Offset,
        /// Users alive and requests in flight at its end.
        gauges: Gauges,
        /// What was measured.
        tally: Box<Tally>,
    },
    /// Nothing is in flight any more and the last interval was said. The last word about a started run.
    Drained,
}
