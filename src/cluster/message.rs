//! What master and worker say to each other, as plain values. `wire` puts them into protobuf;
//! a local run hands them over a channel as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{AwsSecrets, Offset, Secret};
use crate::metrics::Tally;
use crate::plan::Plan;
use crate::schedule::Share;

/// What master and worker must agree on. Raised when a message changes its meaning.
pub const PROTOCOL_VERSION: u32 = 2;

/// From a worker to its master.
#[derive(Clone, Debug, PartialEq)]
pub enum ToMaster {
    /// The first message on a connection.
    Hello(Hello),
    /// The plan was understood and everything is prepared: data, tokenizer, connections.
    Ready {
        /// Which run.
        run: u64,
        /// The plan as this worker understood it: a setting that it does not know makes another digest.
        digest: u64,
    },
    /// The plan cannot be carried out here.
    Unable {
        /// Which run.
        run: u64,
        /// Why, in words for the master's user.
        reason: String,
    },
    /// Each second, on a stream of its own; also a clock probe.
    Heartbeat {
        /// The worker's clock when it was sent.
        sent_at: Offset,
        /// The worker's estimate of the master's clock minus its own, and its bound, in nanoseconds.
        clock: Option<ClockEstimate>,
        /// Users alive and requests in flight.
        gauges: Gauges,
        /// The last epoch that it knows of.
        epoch: u32,
    },
    /// A closed interval of statistics; kept by the worker until acknowledged.
    Interval(Box<Interval>),
    /// Everything is over for this worker: the last interval was `last_seq`.
    Final {
        /// Which run.
        run: u64,
        /// The last interval's sequence number; 0 when there was none.
        last_seq: u64,
        /// What all of its intervals add up to, by its own books.
        totals: Totals,
    },
    /// The worker was told to go: it begins no more requests, whatever the schedule says.
    Leaving,
}

/// Who a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The program's version; master and worker must agree on `PROTOCOL_VERSION`, not on this.
    pub version: String,
    /// The protocol's version.
    pub protocol: u32,
    /// A name for people: host name and process id.
    pub name: String,
    /// A number drawn at the process's start: a restarted worker is another one.
    pub incarnation: u64,
    /// Cores that it sends with.
    pub cores: u32,
    /// The run that it has a part in, if it has one.
    pub run: Option<u64>,
}

/// A worker's own books at its end; the master's must be the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that were due.
    pub scheduled: u64,
    /// Requests that were begun.
    pub sent: u64,
    /// Requests that ended, however they did.
    pub finished: u64,
}

/// One second of a worker's statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Which run.
    pub run: u64,
    /// From 1, without gaps. The master merges each number once.
    pub seq: u64,
    /// From when, since the run's start.
    pub from: Offset,
    /// Until when.
    pub to: Offset,
    /// Users alive and requests in flight at its end.
    pub gauges: Gauges,
    /// What was measured.
    pub tally: Tally,
}

/// What is so at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Users started (closed loop), or in-flight slots open (open loop).
    pub users: u32,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests that are due and wait for a free user.
    pub waiting: u32,
}

/// An estimate of another clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockEstimate {
    /// The other clock minus one's own, in nanoseconds.
    pub offset_ns: i64,
    /// The estimate is off by at most this, in nanoseconds.
    pub bound_ns: u64,
}

/// From a master to a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// The answer to a hello.
    Welcome {
        /// The worker's number in this master's life, from 0.
        worker: u32,
        /// The run that this master conducts.
        run: u64,
        /// How often it wants to hear a heartbeat, and for how long the answer lets a worker send.
        terms: Terms,
    },
    /// The answer to a hello that cannot be worked with.
    Refused {
        /// Why, naming versions where they are the reason.
        reason: String,
    },
    /// Get ready for a run, and say so.
    Prepare(Box<Prepare>),
    /// Own this from its own start on.
    Share {
        /// Which run.
        run: u64,
        /// What is owned.
        share: Box<Share>,
    },
    /// Begin when the master's clock shows `at`; the instant may be past for who joins a run under way.
    Start {
        /// Which run.
        run: u64,
        /// An instant of the master's clock: the run's offset zero.
        at: Offset,
    },
    /// Intervals up to this one are merged and may be forgotten.
    Ack {
        /// Which run.
        run: u64,
        /// The highest sequence number up to which none is missing.
        seq: u64,
    },
    /// The answer to a heartbeat.
    Pulse {
        /// The heartbeat's `sent_at`.
        echo: Offset,
        /// The master's clock when the heartbeat arrived.
        received_at: Offset,
        /// The master's clock when this was sent.
        sent_at: Offset,
        /// The run that the master conducts, and the last epoch that it announced: who knows both may send on.
        run: u64,
        /// See `run`.
        epoch: u32,
    },
    /// Send nothing from `at` on; let what is in flight finish within the plan's stop time, then say `Final`.
    Stop {
        /// Which run.
        run: u64,
        /// In the run's time; at once when it is past.
        at: Offset,
    },
    /// Drop what is in flight now, count it as cancelled, then say `Final`.
    Abort {
        /// Which run.
        run: u64,
    },
    /// The final interval is merged: go.
    Quit,
}

/// What a master wants of its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// For how long after a heartbeat was sent its answer lets a worker send. Shorter than the time after which the
    /// master calls it missing: a worker falls silent before others take over.
    pub lease: Duration,
}

/// A run and a worker's part in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepare {
    /// A number drawn for the run.
    pub run: u64,
    /// The worker's number.
    pub worker: u32,
    /// It is the only one of the run so far.
    pub alone: bool,
    /// The run.
    pub plan: Plan,
    /// The part that it begins with; nothing for one that joins a run under way.
    pub share: Share,
    /// Keys and secret headers, where the master shares its own.
    pub secrets: Option<SharedSecrets>,
}

/// What a master may let its workers have: only over an encrypted connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedSecrets {
    /// The API key.
    pub api_key: Option<Secret>,
    /// Headers that carry secrets, by name.
    pub headers: BTreeMap<String, Secret>,
    /// Of Amazon's services.
    pub aws: AwsSecrets,
}
