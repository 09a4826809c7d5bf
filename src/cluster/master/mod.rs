//! The master of one run as a state machine: gathers workers, deals parts, starts, merges, ends.
//! No socket, no clock, no task: `net` and `local` feed it inputs with the time and carry its outputs away.
//!
//! After every call of `handle` or `handle_timeout` take all outputs with `poll_output`, then sleep until
//! `poll_timeout` at the latest. Later epochs (rebalancing) would be decided in `run::lose` and `gather::greet`.

mod end;
mod gather;
mod run;

use std::collections::VecDeque;
use std::time::Duration;

use super::membership::{ConnId, Roster};
use super::{EndedBy, MasterEvent, RunResult, Snapshot, ToMaster, ToWorker};
use crate::domain::Offset;
use crate::metrics::Tally;
use crate::plan::Plan;

/// A worker is lost after so long without a word; they beat each second.
pub const MISSING_AFTER: Duration = Duration::from_secs(3);

/// From the last READY to offset zero, beside what the clocks may be off.
pub const START_LEAD: Duration = Duration::from_millis(500);

/// Being called so long after `poll_timeout` means that the master itself stood still.
const OWN_STALL: Duration = Duration::from_secs(1);

/// How long a worker may be silent about statistics after the drain's deadline.
pub const FINAL_GRACE: Duration = Duration::from_secs(10);

/// What a master is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct MasterConfig {
    /// A number drawn for the run.
    pub run: u64,
    /// The run.
    pub plan: Plan,
    /// Workers to wait for; 0 means 1.
    pub expect_workers: u32,
    /// How long to wait for them; `None` waits for ever.
    pub max_wait: Option<Duration>,
    /// `MISSING_AFTER`.
    pub missing_after: Duration,
    /// `START_LEAD`.
    pub start_lead: Duration,
}

impl MasterConfig {
    /// A run of `plan` on `expect_workers` workers, waiting for ever.
    pub fn new(run: u64, plan: Plan, expect_workers: u32) -> Self {
        Self {
            run,
            plan,
            expect_workers: expect_workers.max(1),
            max_wait: None,
            missing_after: MISSING_AFTER,
            start_lead: START_LEAD,
        }
    }
}

/// What happens to a master.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A worker says something.
    Message(ConnId, ToMaster),
    /// A connection is gone.
    Closed(ConnId),
    /// The user wants no new requests.
    Stop,
    /// The user wants no requests at all.
    Abort,
}

/// What a master wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Tell a worker.
    Send(ConnId, ToWorker),
    /// Close a connection that does not keep to the protocol or was replaced.
    Close(ConnId),
    /// Tell the user.
    Event(MasterEvent),
    /// The run is over; always the last output but for answers to latecomers.
    Finished(Box<RunResult>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Gathering { since: Offset },
    Preparing { vacant_since: Option<Offset> },
    Running { at: Offset, halt: Option<Halt> },
    Ended,
}

/// The user's order to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Halt {
    at: Offset,
    abort: bool,
}

/// The master of one run.
#[derive(Clone, Debug)]
pub struct Master {
    config: MasterConfig,
    phase: Phase,
    roster: Roster,
    parts: u32,
    tally: Tally,
    last_progress: Offset,
    cut_short: bool,
    unable: Option<EndedBy>,
    outputs: VecDeque<Output>,
}

impl Master {
    /// A master that waits for workers since `now`.
    pub fn new(config: MasterConfig, now: Offset) -> Self {
        Self {
            config,
            phase: Phase::Gathering { since: now },
            roster: Roster::default(),
            parts: 0,
            tally: Tally::default(),
            last_progress: now,
            cut_short: false,
            unable: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input at time `now`.
    pub fn handle(&mut self, now: Offset, input: Input) {
        match input {
            Input::Message(conn, ToMaster::Hello(hello)) => self.greet(now, conn, hello),
            Input::Message(conn, message) => self.listen(now, conn, message),
            Input::Closed(conn) => self.roster.disconnect(conn),
            Input::Stop => self.halt(now, false),
            Input::Abort => self.halt(now, true),
        }
        self.advance(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Offset) {
        self.forgive_own_stall(now);
        for worker in self.roster.silent(now, self.config.missing_after) {
            self.lose(now, worker);
        }
        if self.gathering_until().is_some_and(|until| now >= until) {
            self.give_up(now);
        }
        if self.overdue_at().is_some_and(|at| now >= at) {
            self.cut_short(now);
        }
        self.advance(now);
    }

    /// A master that did not run (a stopped process, a blocked terminal) heard nobody: that is not the workers' silence.
    fn forgive_own_stall(&mut self, now: Offset) {
        let late = self
            .poll_timeout()
            .map_or(Duration::ZERO, |due| now.since(due));
        if late >= OWN_STALL {
            self.roster.forgive(late);
        }
    }

    /// When `handle_timeout` wants to be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Offset> {
        if self.phase == Phase::Ended {
            return None;
        }
        let silence = self.roster.next_silence(self.config.missing_after);
        [silence, self.gathering_until(), self.overdue_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The run as it stands at `now`.
    pub fn snapshot(&self, now: Offset) -> Snapshot {
        let mut tally = self.tally.clone();
        for (_, member) in self.roster.iter() {
            Self::loss(member, None).apply(&mut tally.counts);
        }
        Snapshot {
            elapsed: self.started_at().map(|at| now.since(at)),
            tally,
            workers: self.summaries(None),
            gauges: self.roster.gauges(),
            window: self.window(None),
        }
    }
}

impl Master {
    fn started_at(&self) -> Option<Offset> {
        match self.phase {
            Phase::Running { at, .. } => Some(at),
            _ => None,
        }
    }

    fn participants(&self) -> Vec<u32> {
        let of = self
            .roster
            .iter()
            .filter(|(_, member)| member.part.is_some());
        of.map(|(worker, _)| worker).collect()
    }

    fn at_work(&self) -> Vec<u32> {
        let of = self.roster.iter().filter(|(_, member)| member.is_at_work());
        of.map(|(worker, _)| worker).collect()
    }

    fn tell(&mut self, worker: u32, message: ToWorker) {
        if let Some(conn) = self.roster.member(worker).and_then(|member| member.conn) {
            self.send(conn, message);
        }
    }

    fn send(&mut self, conn: ConnId, message: ToWorker) {
        self.output(Output::Send(conn, message));
    }

    fn close(&mut self, conn: ConnId) {
        self.roster.disconnect(conn);
        self.output(Output::Close(conn));
    }

    fn event(&mut self, event: MasterEvent) {
        self.output(Output::Event(event));
    }

    fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}

impl Halt {
    fn message(self, run: u64) -> ToWorker {
        if self.abort {
            ToWorker::Abort { run }
        } else {
            ToWorker::Stop { run }
        }
    }
}
