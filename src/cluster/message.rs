//! What master and worker say to each other, as plain values. `wire` puts them into protobuf;
//! a local run hands them over a channel as they are.

use crate::domain::Offset;
use crate::metrics::Tally;
use crate::plan::Plan;

/// What master and worker must agree on. Raised when a message changes its meaning.
pub const PROTOCOL_VERSION: u32 = 1;

/// From a worker to its master.
#[derive(Clone, Debug, PartialEq)]
pub enum ToMaster {
    /// The first message on a connection.
    Hello(Hello),
    /// The plan was understood and everything is prepared: data, tokenizer, connections.
    Ready {
        /// Which run.
        run: u64,
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
    },
    /// A closed interval of statistics; kept by the worker until acknowledged.
    Interval(Box<Interval>),
    /// Everything is over for this worker: the last interval was `last_seq`.
    Final {
        /// Which run.
        run: u64,
        /// The last interval's sequence number; 0 when there was none.
        last_seq: u64,
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
    },
    /// The answer to a hello that cannot be worked with.
    Refused {
        /// Why, naming versions where they are the reason.
        reason: String,
    },
    /// Get ready for a run, and say so.
    Prepare(Box<Prepare>),
    /// Begin when the master's clock shows `at`.
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
    },
    /// Send nothing more; let what is in flight finish within the plan's stop time, then say `Final`.
    Stop {
        /// Which run.
        run: u64,
    },
    /// Drop what is in flight now, count it as cancelled, then say `Final`.
    Abort {
        /// Which run.
        run: u64,
    },
    /// The final interval is merged: go.
    Quit,
}

/// A run and a worker's part in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepare {
    /// A number drawn for the run.
    pub run: u64,
    /// From 0; ownership changes by epochs, and this master makes the first one only.
    pub epoch: u64,
    /// The part of the schedule: `index` of `of`.
    pub index: u32,
    /// Into how many parts the schedule is split.
    pub of: u32,
    /// The run.
    pub plan: Plan,
}
