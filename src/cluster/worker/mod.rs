//! The worker of one run as a state machine, between a master and an engine.
//! No socket, no clock, no task: `net` and `local` feed it inputs with the time and carry its outputs away.
//!
//! After every call of `handle` or `handle_timeout` take all outputs with `poll_output`, then sleep until
//! `poll_timeout` at the latest. A worker sends by a lease that its master's answers to heartbeats renew; that nothing is
//! begun without one is the engine's duty, which is told of each.

mod leave;
mod listen;
mod work;

use std::collections::VecDeque;
use std::time::Duration;

use super::clock::{Clock, Steering};
use super::ledger::finished;
use super::outbox::{Fresh, Outbox};
use super::{
    EngineCommand, EngineEvent, Gauges, Hello, PROTOCOL_VERSION, Prepare, Terms, ToMaster,
    ToWorker, Totals,
};
use crate::domain::Offset;
use crate::metrics::Sieve;
use crate::schedule::Share;

/// Between two heartbeats, unless the master says otherwise.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a worker that was told to go waits for its master to say until when it is to send.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// A connection without an answer to a heartbeat for so long is given up for another one: half of it may be dead.
const PULSE_PATIENCE: Duration = Duration::from_secs(6);

/// A lease that is so long is none: the master is in the same process.
const ENDLESS: Duration = Duration::from_secs(86_400);

/// The first heartbeats of a connection come faster, to know the master's clock before the start.
const PROBES: u32 = 8;
const PROBE_GAP: Duration = Duration::from_millis(25);

/// How long a worker that was told to go keeps trying to deliver what it measured.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);

/// Who a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// A name for people: host name and process id.
    pub name: String,
    /// A number drawn at the process's start. The worker is known again by it, so it is never shown.
    pub incarnation: u64,
    /// Cores that it sends with.
    pub cores: u32,
}

/// What happens to a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// There is a connection to a master.
    Connected,
    /// It is gone; another will be tried.
    Disconnected,
    /// The master says something.
    FromMaster(ToWorker),
    /// The engine says something.
    Engine(EngineEvent),
    /// The process was told to end: drain, deliver, go.
    Shutdown,
    /// It was told so again: drop what is in flight, deliver, go.
    Abort,
}

/// What a worker wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Tell the master; only while connected.
    Send(ToMaster),
    /// Tell the engine.
    Engine(EngineCommand),
    /// Close the connection and try another one: nothing answers there any more, or a master of another run does while this
    /// one's lease holds.
    HangUp,
    /// Intervals of a run cannot be delivered any more: its master is gone, and another one wants another run.
    Orphaned {
        /// Which run.
        run: u64,
        /// How many.
        intervals: usize,
    },
    /// The worker is through; always the last output.
    Done(WorkerExit),
}

/// How a worker's life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerExit {
    /// The run is over and everything is merged, or there was no part for it.
    Finished,
    /// It was told to go and drained.
    Left {
        /// Intervals that could not be delivered.
        undelivered: usize,
    },
    /// The master does not work with it.
    Refused {
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    /// A hello is on its way.
    Greeting,
    Up,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Preparing,
    /// Prepared; `told` says whether this connection's master knows, `start` is the master's instant once it is known.
    Ready {
        told: bool,
        start: Option<Offset>,
    },
    Running {
        halt: Halt,
    },
    /// The engine has said its last word.
    Drained,
}

/// What the engine was told about ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Halt {
    No,
    Stop,
    Abort,
}

/// A part of a run and how far it is.
#[derive(Clone, Debug)]
struct Job {
    run: u64,
    digest: u64,
    /// What it begins with.
    share: Share,
    /// This connection's master said that it is to be this part.
    asked: bool,
    /// The last epoch that it knows of.
    epoch: u32,
    /// Shares that came before the engine was started.
    shares: Vec<Share>,
    stage: Stage,
    steering: Option<Steering>,
    /// On the own clock; nothing is begun later.
    lease: Offset,
    outbox: Outbox,
    totals: Totals,
    /// Lets those answers through that may be kept in the end.
    sieve: Sieve,
    /// Nobody wants its figures any more.
    deserted: bool,
    /// Whether `Final` was said on this connection.
    final_said: bool,
    unable: Option<String>,
    drained_at: Offset,
}

/// What the last answer to a heartbeat lets a worker do.
#[derive(Clone, Copy, Debug)]
struct Grant {
    run: u64,
    /// The last epoch that the master announced.
    epoch: u32,
    /// On the own clock.
    until: Offset,
    /// On the master's clock, by when it answered.
    until_there: Offset,
}

/// The worker of one run.
#[derive(Clone, Debug)]
pub struct Worker {
    hello: Hello,
    link: Link,
    clock: Clock,
    terms: Terms,
    granted: Option<Grant>,
    /// When the last answer to a heartbeat came, or the connection was there.
    last_pulse: Offset,
    beats: u32,
    beat_at: Offset,
    next_beat: Offset,
    gauges: Gauges,
    job: Option<Job>,
    /// A part that waits for the engine to be rid of an older one.
    next: Option<Box<Prepare>>,
    /// The engine was told to prepare and has not answered; another time it is told only after that.
    answer_due: bool,
    leaving: Option<Offset>,
    /// The master said until when to send.
    stop_told: bool,
    done: bool,
    outputs: VecDeque<Output>,
}

impl Worker {
    /// A worker without a connection.
    pub fn new(config: WorkerConfig) -> Self {
        let hello = Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL_VERSION,
            name: config.name,
            incarnation: config.incarnation,
            cores: config.cores,
            run: None,
        };
        Self {
            hello,
            link: Link::Down,
            clock: Clock::default(),
            terms: Terms {
                heartbeat: HEARTBEAT,
                lease: HEARTBEAT,
            },
            granted: None,
            last_pulse: Offset::ZERO,
            beats: 0,
            beat_at: Offset::ZERO,
            next_beat: Offset::ZERO,
            gauges: Gauges::default(),
            job: None,
            next: None,
            answer_due: false,
            leaving: None,
            stop_told: false,
            done: false,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input at time `now` of the process's own clock.
    pub fn handle(&mut self, now: Offset, input: Input) {
        if self.done {
            return;
        }
        match input {
            Input::Connected => self.connected(),
            Input::Disconnected => self.link = Link::Down,
            Input::FromMaster(message) => self.listen(now, message),
            Input::Engine(event) => self.engine_says(now, event),
            Input::Shutdown => self.leave(now),
            Input::Abort => self.leave_at_once(now),
        }
        self.advance(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Offset) {
        if self.done {
            return;
        }
        if self.link == Link::Up && now >= self.next_beat {
            self.beat(now);
        }
        if self.pulse_overdue().is_some_and(|at| now >= at) {
            self.hang_up();
        }
        if self.stop_overdue().is_some_and(|at| now >= at) {
            self.stop_now();
        }
        if self.patience_ends().is_some_and(|at| now >= at) {
            self.depart();
        }
        self.advance(now);
    }

    /// When `handle_timeout` wants to be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Offset> {
        if self.done {
            return None;
        }
        let beat = (self.link == Link::Up).then_some(self.next_beat);
        let waits = [
            beat,
            self.pulse_overdue(),
            self.stop_overdue(),
            self.patience_ends(),
        ];
        waits.into_iter().flatten().min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the engine is at work, so that its silence would be a loss.
    pub fn is_running(&self) -> bool {
        self.job.as_ref().is_some_and(Job::is_running)
    }
}

impl Worker {
    fn job_of(&mut self, run: u64) -> Option<&mut Job> {
        self.job.as_mut().filter(|job| job.run == run)
    }

    fn send(&mut self, message: ToMaster) {
        if self.link != Link::Down {
            self.outputs.push_back(Output::Send(message));
        }
    }

    fn tell_engine(&mut self, command: EngineCommand) {
        self.outputs.push_back(Output::Engine(command));
    }
}

impl Job {
    fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running { .. })
    }

    /// Whether it is another part than `prepare` wants, and may still become that one.
    fn gives_way_to(&self, prepare: &Prepare) -> bool {
        let waits = matches!(self.stage, Stage::Preparing | Stage::Ready { .. });
        self.run != prepare.run || waits && self.share != prepare.share
    }
}

impl Totals {
    fn add(&mut self, fresh: &Fresh) {
        let counts = fresh.tally.counts;
        self.scheduled = self.scheduled.saturating_add(counts.scheduled);
        self.sent = self.sent.saturating_add(counts.sent);
        self.finished = self.finished.saturating_add(finished(&fresh.tally));
    }
}
