//! What a worker tells the engine that sends the requests, and what it hears from it.
//! Plain values; `port` carries them, and the engine itself is somebody else's room.

use super::{Gauges, Prepare};
use crate::domain::Offset;
use crate::metrics::Tally;
use crate::schedule::Share;

/// From a worker to its engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineCommand {
    /// Make everything ready for this part of this run; answered by exactly one `Ready` or `Unable`, also when
    /// an `Abort` comes before the answer. It replaces an earlier one that was not started.
    Prepare(Box<Prepare>),
    /// Offset zero of the run is when the process's own clock shows `at`; answered by intervals. The instant is past for
    /// who joins a run under way: nothing from before now is reported, sent or counted as due.
    Start {
        /// An instant of this process's clock.
        at: Offset,
    },
    /// Own this from its own start on. A share whose start is past holds at once.
    Share(Box<Share>),
    /// Requests may be begun until the process's clock shows `until`. Then nothing is begun until a later lease comes;
    /// what came due meanwhile is not sent any more, and counts as dropped once that lease is there. Until then it is not
    /// counted at all: who owned it is not known. Without any lease there is no limit.
    Lease {
        /// An instant of this process's clock.
        until: Offset,
    },
    /// The run's time is so much behind what the process's clock and `Start` say: positive, and what is due is due later.
    /// It changes by less than a thousandth of the time between two.
    Correct {
        /// In nanoseconds.
        behind_ns: i64,
    },
    /// Begin no more requests from `at` on, in the run's time, or at once when it is past; let those in flight finish
    /// within the plan's stop time.
    Stop {
        /// In the run's time.
        at: Offset,
    },
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
