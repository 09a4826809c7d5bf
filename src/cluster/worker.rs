//! The worker of one run as a state machine, between a master and an engine.
//! No socket, no clock, no task: `net` and `local` feed it inputs with the time and carry its outputs away.
//!
//! After every call of `handle` or `handle_timeout` take all outputs with `poll_output`, then sleep until
//! `poll_timeout` at the latest. A lease that fences the worker when its master is silent would be held in
//! `handle_timeout`, and renewed by `pulse`.

use std::collections::VecDeque;
use std::time::Duration;

use super::clock::Clock;
use super::outbox::{Fresh, Outbox};
use super::{
    EngineCommand, EngineEvent, Gauges, Hello, PROTOCOL_VERSION, Prepare, ToMaster, ToWorker,
};
use crate::domain::Offset;

/// Between two heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

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
    part: (u64, u32, u32),
    stage: Stage,
    outbox: Outbox,
    /// Whether `Final` was said on this connection.
    final_said: bool,
    unable: Option<String>,
    drained_at: Offset,
}

/// The worker of one run.
#[derive(Clone, Debug)]
pub struct Worker {
    hello: Hello,
    link: Link,
    clock: Clock,
    beats: u32,
    next_beat: Offset,
    gauges: Gauges,
    job: Option<Job>,
    /// A part that waits for the engine to be rid of an older one.
    next: Option<Box<Prepare>>,
    /// The engine was told to prepare and has not answered; another time it is told only after that.
    answer_due: bool,
    leaving: Option<Offset>,
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
        };
        Self {
            hello,
            link: Link::Down,
            clock: Clock::default(),
            beats: 0,
            next_beat: Offset::ZERO,
            gauges: Gauges::default(),
            job: None,
            next: None,
            answer_due: false,
            leaving: None,
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
        beat.into_iter().chain(self.patience_ends()).min()
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

// The master's side.
impl Worker {
    /// A new connection may lead to another master with another clock: what was known of it counts no more.
    fn connected(&mut self) {
        self.link = Link::Greeting;
        self.clock = Clock::default();
        self.send(ToMaster::Hello(self.hello.clone()));
    }

    fn listen(&mut self, now: Offset, message: ToWorker) {
        match message {
            ToWorker::Welcome { .. } => self.welcomed(now),
            ToWorker::Refused { reason } => {
                self.abandon();
                self.finish(WorkerExit::Refused { reason });
            }
            ToWorker::Prepare(prepare) => self.prepare(prepare),
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
            } => self.clock.sample(echo, received_at, sent_at, now),
            ToWorker::Stop { run } => self.halt(run, Halt::Stop),
            ToWorker::Abort { run } => self.halt(run, Halt::Abort),
            ToWorker::Quit => {
                self.abandon();
                self.finish(WorkerExit::Finished);
            }
        }
    }

    fn welcomed(&mut self, now: Offset) {
        self.link = Link::Up;
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

    fn beat(&mut self, now: Offset) {
        self.beats = self.beats.saturating_add(1);
        let gap = if self.beats < PROBES {
            PROBE_GAP
        } else {
            HEARTBEAT
        };
        self.next_beat = now + gap;
        let clock = self.clock.best(now);
        self.send(ToMaster::Heartbeat {
            sent_at: now,
            clock,
            gauges: self.gauges,
        });
    }

    /// Takes a part on. The same part again is a repetition; another run's waits until the engine is rid of this one.
    fn prepare(&mut self, prepare: Box<Prepare>) {
        let part = (prepare.epoch, prepare.index, prepare.of);
        let run = prepare.run;
        let Some(job) = self
            .job_of(run)
            .filter(|job| job.part == part || job.is_running())
        else {
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
            self.halt(run, Halt::Abort);
        }
    }

    fn take_on(&mut self, prepare: Box<Prepare>) {
        self.gauges = Gauges::default();
        self.job = Some(Job {
            run: prepare.run,
            part: (prepare.epoch, prepare.index, prepare.of),
            stage: Stage::Preparing,
            outbox: Outbox::new(prepare.run),
            final_said: false,
            unable: None,
            drained_at: Offset::ZERO,
        });
        self.answer_due = true;
        self.tell_engine(EngineCommand::Prepare(prepare));
    }

    fn note_start(&mut self, run: u64, at: Offset) {
        if let Some(Stage::Ready { start, .. }) = self.job_of(run).map(|job| &mut job.stage) {
            *start = Some(at);
        }
    }

    fn halt(&mut self, run: u64, wanted: Halt) {
        let Some(job) = self.job_of(run) else {
            return;
        };
        match &mut job.stage {
            Stage::Running { halt } if *halt < wanted => {
                *halt = wanted;
                let command = match wanted {
                    Halt::Abort => EngineCommand::Abort,
                    Halt::Stop | Halt::No => EngineCommand::Stop,
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
        if let Some(clock) = self.clock.reading(now) {
            job.stage = Stage::Running { halt: Halt::No };
            let at = clock.to_own(at);
            self.tell_engine(EngineCommand::Start { at });
        }
    }

    /// Says READY once everything is: the engine, and the master's clock, without which no start can be met.
    fn announce(&mut self) {
        let Some(job) = &mut self.job else {
            return;
        };
        let run = job.run;
        if let Stage::Ready { told, .. } = &mut job.stage
            && !*told
            && self.clock.is_known()
        {
            *told = true;
            self.send(ToMaster::Ready { run });
        }
    }

    fn deliver(&mut self) {
        let Some(job) = &mut self.job else {
            return;
        };
        while let Some(interval) = job.outbox.next() {
            let message = ToMaster::Interval(Box::new(interval));
            self.outputs.push_back(Output::Send(message));
        }
        if job.stage == Stage::Drained && job.outbox.is_sent() && !job.final_said {
            job.final_said = true;
            let (run, last_seq) = (job.run, job.outbox.last_seq());
            self.send(ToMaster::Final { run, last_seq });
        }
    }
}

// Going.
impl Worker {
    fn leave(&mut self, now: Offset) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(now);
        if self.link == Link::Up {
            self.send(ToMaster::Leaving);
        }
        match &self.job {
            Some(job) if job.is_running() => self.halt(job.run, Halt::Stop),
            Some(job) if job.stage == Stage::Drained => {}
            _ => self.depart(),
        }
    }

    fn leave_at_once(&mut self, now: Offset) {
        self.leave(now);
        match &self.job {
            Some(job) if job.is_running() => self.halt(job.run, Halt::Abort),
            _ => self.depart(),
        }
    }

    fn is_delivered(&self) -> bool {
        let delivered =
            |job: &Job| job.stage == Stage::Drained && job.final_said && job.outbox.is_empty();
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
