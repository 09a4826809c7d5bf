//! A run as it stands, for whoever watches it while it goes on: one value a second, from which every view makes its own
//! text. It says what was seen last and is no result: the report is made of the run's own tally.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::{Crowd, Load, LoadChange};
use crate::domain::Offset;
use crate::metrics::{Phase, Summary, Verdict};

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LifeStage {
    /// Workers are waited for.
    #[default]
    Waiting,
    /// They prepare.
    Preparing,
    /// It runs, or is about to.
    Running,
    /// Nothing is begun any more; what is in flight is waited for.
    Stopping,
    /// It is over.
    Ended,
}

impl LifeStage {
    /// The word for people and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }
}

/// What finished in the last seconds, of all phases of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lately {
    /// All of it.
    pub phase: Phase,
    /// How long a time that is, in seconds: shorter while the run is young, 0 before it.
    pub span_s: f64,
    /// Requests that ended a second, cancelled ones apart.
    pub requests_per_s: f64,
    /// Those of them that failed, a second.
    pub failures_per_s: f64,
}

/// How one worker stands.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerStanding {
    /// Its number in this master's life.
    pub worker: u32,
    /// Its name: host name and process id.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// Cores that it sends with.
    pub cores: u32,
    /// What it is doing: `idle`, `preparing`, `ready`, `running`, `done` or `lost`.
    pub state: &'static str,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// Its users and requests, as it said last.
    pub crowd: Crowd,
    /// Requests begun.
    pub sent: u64,
    /// Requests that ended, however they did.
    pub finished: u64,
    /// Requests of which nobody knows what became of them.
    pub lost: u64,
    /// Since the master heard of it.
    pub silent: Duration,
    /// The master's clock minus its own, in nanoseconds, and how far off that may be; `None` within one process.
    pub clock: Option<(i64, u64)>,
}

/// A run as it stands. Figures are those of the last second that all workers have told of.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Where it is in its life.
    pub stage: LifeStage,
    /// The wall-clock time of the run's offset zero, in UTC; `None` before the start.
    pub started_at: Option<OffsetDateTime>,
    /// Until when the figures go, in the run's time.
    pub now: Offset,
    /// Until the planned end of sending; `None` when nothing is planned, or it was told to end.
    pub left: Option<Duration>,
    /// What the cluster does, or will do when it starts.
    pub load: Load,
    /// Requests a second that are asked for now; `None` in a closed loop.
    pub asked_per_s: Option<f64>,
    /// Users and requests now.
    pub crowd: Crowd,
    /// The run so far.
    pub summary: Arc<Summary>,
    /// Its last seconds.
    pub lately: Arc<Lately>,
    /// All workers, by number.
    pub workers: Arc<Vec<WorkerStanding>>,
    /// What was changed while it went on, in order.
    pub changes: Arc<Vec<LoadChange>>,
    /// How far the figures so far can be trusted; `None` while nothing can be judged.
    pub verdict: Option<Arc<Verdict>>,
    /// Why it did not do what was asked, once it is over.
    pub failure: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_named_in_its_order() {
        use LifeStage::{Ended, Preparing, Running, Stopping, Waiting};
        let life = [Waiting, Preparing, Running, Stopping, Ended];
        assert!(life.is_sorted());
        let names = life.map(LifeStage::name);
        assert_eq!(
            names,
            ["waiting", "preparing", "running", "stopping", "ended"]
        );
    }
}
