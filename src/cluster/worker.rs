//! The worker of one run as a state machine, between a master and an engine.
//! No socket, no clock, no task: `net` and `local` feed it inputs with the time and carry its outputs away.
//!
//! After every call of `handle` or `handle_timeout` take all outputs with `poll_output`, then sleep until
//! `poll_timeout` at the latest. A worker sends by a lease that its master's answers to heartbeats renew; that nothing is
//! begun without one is the engine's duty, which is told of each.

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
use crate::schedule::Share;

/// Between two heartbeats, unless the master says otherwise.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a worker that was told to go waits for its master to say until when it is to send.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

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
    /// Close the connection and try another one: what answers there conducts another run while this one's lease holds.
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
    /// The last epoch that it knows of.
    epoch: u32,
    /// Shares that came before the engine was started.
    shares: Vec<Box<Share>>,
    stage: Stage,
    steering: Option<Steering>,
    /// On the own clock; nothing is begun later.
    lease: Offset,
    outbox: Outbox,
    totals: Totals,
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
}

/// The worker of one run.
#[derive(Clone, Debug)]
pub struct Worker {
    hello: Hello,
    link: Link,
    clock: Clock,
    terms: Terms,
    granted: Option<Grant>,
    beats: u32,
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
            beats: 0,
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
        let waits = [beat, self.stop_overdue(), self.patience_ends()];
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

impl Job {
    fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running { .. })
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

// The master's side.
impl Worker {
    /// A new connection may lead to another master with another clock: what was known of it counts no more.
    fn connected(&mut self) {
        self.link = Link::Greeting;
        self.clock = Clock::default();
        self.granted = None;
        let run = self.job.as_ref().map(|job| job.run);
        let hello = Hello {
            run,
            ..self.hello.clone()
        };
        self.send(ToMaster::Hello(hello));
    }

    fn listen(&mut self, now: Offset, message: ToWorker) {
        match message {
            ToWorker::Welcome { run, terms, .. } => self.welcomed(now, run, terms),
            ToWorker::Refused { reason } => {
                self.abandon();
                self.finish(WorkerExit::Refused { reason });
            }
            ToWorker::Prepare(prepare) => self.prepare(prepare),
            ToWorker::Share { run, share } => self.take_share(run, share),
            ToWorker::Start { run, at } => self.note_start(run, at),
            ToWorker::Ack { run, seq } => {
                if let Some(job) = self.job_of(run) {
                    job.outbox.ack(seq);
                }
            }
            ToWorker::Pulse {
                echo,
                received_at,
                sent_at,
                run,
                epoch,
            } => {
                self.clock.sample(echo, received_at, sent_at, now);
                self.granted = Some(Grant {
                    run,
                    epoch,
                    until: echo + self.terms.lease,
                });
                self.apply_grant();
                self.steer(now);
            }
            ToWorker::Stop { run, at } => {
                self.stop_told = true;
                self.halt(run, Halt::Stop, at);
            }
            ToWorker::Abort { run } => self.halt(run, Halt::Abort, Offset::ZERO),
            ToWorker::Quit => {
                self.abandon();
                self.finish(WorkerExit::Finished);
            }
        }
    }

    fn welcomed(&mut self, now: Offset, run: u64, terms: Terms) {
        if self.is_elsewhere(now, run) {
            self.link = Link::Down;
            self.outputs.push_back(Output::HangUp);
            return;
        }
        self.desert(run);
        self.link = Link::Up;
        self.terms = terms;
        self.beats = 0;
        self.beat(now);
        if self.leaving.is_some() {
            self.send(ToMaster::Leaving);
        }
        if let Some(job) = &mut self.job {
            job.outbox.rewind();
            job.final_said = false;
        }
    }

    /// Whether it works for another run than this master's, by a lease that still holds: then that one's master lives, and
    /// this is another one by mistake.
    fn is_elsewhere(&self, now: Offset, run: u64) -> bool {
        let other = |job: &&Job| job.run != run && job.is_running() && now < job.lease;
        self.job.as_ref().filter(other).is_some()
    }

    /// The master of an older run is gone for good: another one answers in its place.
    fn desert(&mut self, run: u64) {
        let Some(job) = self.job.as_mut().filter(|job| job.run != run) else {
            return;
        };
        let (run, intervals) = (job.run, job.outbox.unacked());
        job.outbox = Outbox::new(run);
        job.deserted = true;
        if intervals > 0 {
            self.outputs.push_back(Output::Orphaned { run, intervals });
        }
        self.halt(run, Halt::Abort, Offset::ZERO);
    }

    /// The answer to a heartbeat grants a lease to who knows the epoch that the master knows.
    fn apply_grant(&mut self) {
        let Some(granted) = self.granted else {
            return;
        };
        let Some(job) = self.job_of(granted.run) else {
            return;
        };
        if granted.epoch > job.epoch || granted.until <= job.lease {
            return;
        }
        job.lease = granted.until;
        if job.is_running() {
            self.tell_lease();
        }
    }

    fn tell_lease(&mut self) {
        if let Some(job) = self.job.as_ref()
            && self.terms.lease < ENDLESS
        {
            let until = job.lease;
            self.tell_engine(EngineCommand::Lease { until });
        }
    }

    /// Keeps the run's time in step with the master's clock.
    fn steer(&mut self, now: Offset) {
        let Some(clock) = self.clock.best(now) else {
            return;
        };
        let Some(job) = self.job.as_mut().filter(|job| job.is_running()) else {
            return;
        };
        if let Some(steering) = &mut job.steering
            && steering.toward(now, clock)
        {
            let behind_ns = steering.behind_ns();
            self.tell_engine(EngineCommand::Correct { behind_ns });
        }
    }

    /// Shares come in their order; one that is known already is a repetition.
    fn take_share(&mut self, run: u64, share: Box<Share>) {
        let Some(job) = self.job_of(run).filter(|job| share.epoch > job.epoch) else {
            return;
        };
        job.epoch = share.epoch;
        if job.is_running() {
            self.tell_engine(EngineCommand::Share(share));
        } else {
            job.shares.push(share);
        }
        self.apply_grant();
    }

    fn beat(&mut self, now: Offset) {
        self.beats = self.beats.saturating_add(1);
        let gap = if self.beats < PROBES {
            PROBE_GAP
        } else {
            self.terms.heartbeat
        };
        self.next_beat = now + gap;
        let clock = self.clock.best(now);
        let epoch = self.job.as_ref().map_or(0, |job| job.epoch);
        self.send(ToMaster::Heartbeat {
            sent_at: now,
            clock,
            gauges: self.gauges,
            epoch,
        });
    }

    /// Takes a part on. The same run again is a repetition; another run's waits until the engine is rid of this one.
    fn prepare(&mut self, prepare: Box<Prepare>) {
        let run = prepare.run;
        let Some(job) = self.job_of(run) else {
            self.next = Some(prepare);
            if let Some(other) = self.job.as_ref().map(|job| job.run) {
                self.halt_running(other);
            }
            return;
        };
        if let Stage::Ready { told, .. } = &mut job.stage {
            *told = false;
        }
        if let Some(reason) = job.unable.clone() {
            self.send(ToMaster::Unable { run, reason });
        }
    }

    fn halt_running(&mut self, run: u64) {
        if self.is_running() {
            self.halt(run, Halt::Abort, Offset::ZERO);
        }
    }

    fn take_on(&mut self, prepare: Box<Prepare>) {
        self.gauges = Gauges::default();
        self.job = Some(Job {
            run: prepare.run,
            digest: prepare.plan.digest(),
            epoch: prepare.share.epoch,
            shares: Vec::new(),
            stage: Stage::Preparing,
            steering: None,
            lease: Offset::ZERO,
            outbox: Outbox::new(prepare.run),
            totals: Totals::default(),
            deserted: false,
            final_said: false,
            unable: None,
            drained_at: Offset::ZERO,
        });
        self.answer_due = true;
        self.tell_engine(EngineCommand::Prepare(prepare));
    }

    fn note_start(&mut self, run: u64, at: Offset) {
        let Some(job) = self.job_of(run) else {
            return;
        };
        if let Stage::Ready { start, .. } = &mut job.stage {
            *start = Some(at);
        }
        if let Some(steering) = &mut job.steering {
            steering.aim(at);
        }
    }

    fn halt(&mut self, run: u64, wanted: Halt, at: Offset) {
        let Some(job) = self.job_of(run) else {
            return;
        };
        match &mut job.stage {
            Stage::Running { halt } if *halt < wanted => {
                *halt = wanted;
                let command = match wanted {
                    Halt::Abort => EngineCommand::Abort,
                    Halt::Stop | Halt::No => EngineCommand::Stop { at },
                };
                self.tell_engine(command);
            }
            Stage::Preparing | Stage::Ready { .. } => {
                job.stage = Stage::Drained;
                self.tell_engine(EngineCommand::Abort);
            }
            Stage::Running { .. } | Stage::Drained => {}
        }
    }
}

// The engine's side.
impl Worker {
    fn engine_says(&mut self, now: Offset, event: EngineEvent) {
        match event {
            EngineEvent::Ready => self.engine_ready(),
            EngineEvent::Unable { reason } => self.engine_unable(now, reason),
            EngineEvent::Interval {
                from,
                to,
                gauges,
                tally,
            } => self.keep(Fresh {
                from,
                to,
                gauges,
                tally,
            }),
            EngineEvent::Drained => {
                if self.is_running() {
                    self.drained(now);
                }
            }
        }
    }

    fn engine_ready(&mut self) {
        self.answer_due = false;
        if let Some(job) = self
            .job
            .as_mut()
            .filter(|job| job.stage == Stage::Preparing)
        {
            job.stage = Stage::Ready {
                told: false,
                start: None,
            };
        }
    }

    fn engine_unable(&mut self, now: Offset, reason: String) {
        self.answer_due = false;
        let Some(job) = self.job.as_mut().filter(|job| job.stage != Stage::Drained) else {
            return;
        };
        job.unable = Some(reason.clone());
        let run = job.run;
        self.send(ToMaster::Unable { run, reason });
        self.drained(now);
    }

    fn keep(&mut self, fresh: Fresh) {
        if let Some(job) = self.job.as_mut().filter(|job| job.is_running()) {
            self.gauges = fresh.gauges;
            job.totals.add(&fresh);
            job.outbox.push(fresh);
        }
    }

    fn drained(&mut self, now: Offset) {
        self.gauges = Gauges::default();
        if let Some(job) = &mut self.job {
            job.stage = Stage::Drained;
            job.drained_at = now;
        }
    }

    /// Makes every step that has become possible.
    fn advance(&mut self, now: Offset) {
        if self.done {
            return;
        }
        self.take_next();
        self.start(now);
        if self.link == Link::Up {
            self.announce();
            self.deliver();
        }
        if self.leaving.is_some() && self.is_delivered() {
            self.depart();
        }
    }

    fn take_next(&mut self) {
        let free = !self.answer_due && !self.is_running();
        if let Some(prepare) = self.next.take_if(|_| free) {
            self.take_on(prepare);
        }
    }

    /// Translates the master's instant and starts, once the master's clock is known.
    fn start(&mut self, now: Offset) {
        let Some(job) = &mut self.job else {
            return;
        };
        let Stage::Ready {
            start: Some(at), ..
        } = job.stage
        else {
            return;
        };
        let Some(clock) = self.clock.best(now) else {
            return;
        };
        job.stage = Stage::Running { halt: Halt::No };
        let steering = Steering::new(now, at, clock);
        let at = steering.origin();
        job.steering = Some(steering);
        let shares = std::mem::take(&mut job.shares);
        self.tell_engine(EngineCommand::Start { at });
        self.apply_grant();
        self.tell_lease();
        for share in shares {
            self.tell_engine(EngineCommand::Share(share));
        }
    }

    /// Says READY once everything is: the engine, and the master's clock, without which no start can be met.
    fn announce(&mut self) {
        let Some(job) = &mut self.job else {
            return;
        };
        let (run, digest) = (job.run, job.digest);
        if let Stage::Ready { told, .. } = &mut job.stage
            && !*told
            && self.clock.is_known()
        {
            *told = true;
            self.send(ToMaster::Ready { run, digest });
        }
    }

    fn deliver(&mut self) {
        let Some(job) = self.job.as_mut().filter(|job| !job.deserted) else {
            return;
        };
        while let Some(interval) = job.outbox.next() {
            let message = ToMaster::Interval(Box::new(interval));
            self.outputs.push_back(Output::Send(message));
        }
        if job.stage == Stage::Drained && job.outbox.is_sent() && !job.final_said {
            job.final_said = true;
            let last = ToMaster::Final {
                run: job.run,
                last_seq: job.outbox.last_seq(),
                totals: job.totals,
            };
            self.send(last);
        }
    }
}

// Going.
impl Worker {
    /// Told to go, a worker asks its master until when it is to send: until others take its share over.
    fn leave(&mut self, now: Offset) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(now);
        let linked = self.link == Link::Up;
        if linked {
            self.send(ToMaster::Leaving);
        }
        match &self.job {
            Some(job) if job.is_running() && linked => {}
            Some(job) if job.is_running() => self.stop_now(),
            Some(job) if job.stage == Stage::Drained => {}
            _ => self.depart(),
        }
    }

    /// Nobody said until when.
    fn stop_now(&mut self) {
        self.stop_told = true;
        if let Some(run) = self.job.as_ref().map(|job| job.run) {
            self.halt(run, Halt::Stop, Offset::ZERO);
        }
    }

    /// Until when a worker that goes waits for its master's word.
    fn stop_overdue(&self) -> Option<Offset> {
        let waits = !self.stop_told && self.is_running();
        self.leaving.filter(|_| waits).map(|at| at + STOP_PATIENCE)
    }

    fn leave_at_once(&mut self, now: Offset) {
        self.leave(now);
        match &self.job {
            Some(job) if job.is_running() => self.halt(job.run, Halt::Abort, Offset::ZERO),
            _ => self.depart(),
        }
    }

    fn is_delivered(&self) -> bool {
        let delivered = |job: &Job| {
            let said = job.final_said && job.outbox.is_empty();
            job.stage == Stage::Drained && (said || job.deserted)
        };
        self.job.as_ref().is_some_and(delivered)
    }

    /// When a worker that drained gives up delivering.
    fn patience_ends(&self) -> Option<Offset> {
        let job = self.job.as_ref()?;
        let since = self.leaving.filter(|_| job.stage == Stage::Drained)?;
        Some(since.max(job.drained_at) + LEAVE_PATIENCE)
    }

    fn depart(&mut self) {
        let undelivered = self.job.as_ref().map_or(0, |job| job.outbox.unacked());
        self.abandon();
        self.finish(WorkerExit::Left { undelivered });
    }

    /// Drops what the engine has, if it has anything.
    fn abandon(&mut self) {
        let busy = |job: &Job| job.stage != Stage::Drained;
        if self.job.as_ref().is_some_and(busy) {
            self.tell_engine(EngineCommand::Abort);
        }
    }

    fn finish(&mut self, exit: WorkerExit) {
        if !self.done {
            self.done = true;
            self.outputs.push_back(Output::Done(exit));
        }
    }

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
