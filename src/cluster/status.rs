//! How a run stands, for whoever looks at it from outside: small values that cost the same on a thousand workers as on one.
//! Everything that was measured is in `Snapshot`; here are the few figures of it that a person watches.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ClockEstimate, Gauges, WorkerState};
use crate::domain::Offset;
use crate::schedule::Load;

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPhase {
    /// Workers are waited for.
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

/// A load that is on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coming {
    /// From when, in the run's time.
    pub from: Offset,
    /// What it will be.
    pub load: Load,
}

/// Requests that ended in the last seconds, cancelled ones apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecentRate {
    /// All of them, a second.
    pub requests_per_s: f64,
    /// Those that failed, a second.
    pub failures_per_s: f64,
    /// How long a time that is.
    pub span: Duration,
}

/// A distribution so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// Of how many requests.
    pub count: u64,
    /// The median.
    pub p50: Duration,
    /// 95% are at most this.
    pub p95: Duration,
    /// 99% are at most this.
    pub p99: Duration,
}

/// How a run stands. Figures are those of the last second that all workers have told of.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStatus {
    /// Which run.
    pub run: u64,
    /// Where it is in its life.
    pub phase: RunPhase,
    /// Since its start; `None` before it.
    pub elapsed: Option<Duration>,
    /// Until the planned end of sending; `None` when nothing is planned, or it was told to end.
    pub left: Option<Duration>,
    /// What the cluster does; `None` before the start.
    pub load: Option<Load>,
    /// What it will do, when that is another thing.
    pub next: Option<Coming>,
    /// Of the workers at work, added up.
    pub gauges: Gauges,
    /// Requests that ended, cancelled ones apart.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Requests of workers that went away, as far as nobody knows what became of them.
    pub lost: u64,
    /// The last seconds alone; `None` before anything was merged.
    pub recent: Option<RecentRate>,
    /// Time to first token of the measured requests, of those before the window while there are no others.
    pub ttft: Option<Quantiles>,
    /// From sent to the end, of the same requests.
    pub latency: Option<Quantiles>,
    /// How many workers there are of each state.
    pub workers: BTreeMap<WorkerState, u32>,
}

/// How one worker stands.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerStatus {
    /// Its number in this master's life.
    pub worker: u32,
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// Cores that it sends with.
    pub cores: u32,
    /// What it is doing.
    pub state: WorkerState,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// Its users and requests, as it said last.
    pub gauges: Gauges,
    /// Requests begun.
    pub sent: u64,
    /// Requests that ended, however they did.
    pub finished: u64,
    /// Requests of which nobody knows what became of them.
    pub lost: u64,
    /// Since the master heard of it.
    pub silent: Duration,
    /// Its estimate of the master's clock minus its own.
    pub clock: Option<ClockEstimate>,
}
