//! The master of one run as a state machine: gathers workers, deals parts, starts, merges, ends.
//! No socket, no clock, no task, no disk: `net` and `local` feed it inputs with the time and carry its outputs away.
//!
//! After every call of `handle` or `handle_timeout` take all outputs with `poll_output`, then sleep until
//! `poll_timeout` at the latest.

mod adopt;
mod books;
mod end;
mod epochs;
mod gather;
mod leave;
mod run;
mod status;

use std::collections::VecDeque;
use std::time::Duration;

use super::deal::Deal;
use super::journal::Frame;
use super::membership::{ConnId, Roster};
use super::{EndedBy, MasterEvent, RunResult, SharedSecrets, Snapshot, Terms, ToMaster, ToWorker};
use crate::domain::Offset;
use crate::plan::Plan;
use crate::schedule::Load;
use books::Books;

pub use epochs::{Change, Refusal};

/// A worker is lost after so long without a word; they beat each second.
const MISSING_AFTER: Duration = Duration::from_secs(3);

/// How much earlier than it is called missing a worker falls silent: what clocks may drift and schedulers may tarry.
const FENCE_MARGIN: Duration = Duration::from_millis(250);

/// From an epoch's announcement to its start, beyond the time in which everybody has heard of it or fallen silent.
const EPOCH_LEAD: Duration = Duration::from_millis(100);

/// The same where everybody hears at once: what a busy machine may need to pass it on to its cores.
const LOCAL_LEAD: Duration = Duration::from_millis(300);

/// From the order to stop to the instant: far enough for all to stop at the same one.
const STOP_LEAD: Duration = Duration::from_millis(100);

/// From the last READY to offset zero, beside what the clocks may be off.
const START_LEAD: Duration = Duration::from_millis(500);

/// The same where no message is on its way: what cores need to get their memory.
const LOCAL_START_LEAD: Duration = Duration::from_millis(100);

/// Being called so long after `poll_timeout` means that the master itself stood still.
const OWN_STALL: Duration = Duration::from_secs(1);

/// How long a worker may be silent about statistics after the drain's deadline.
const FINAL_GRACE: Duration = Duration::from_secs(10);

/// What becomes of a lost worker's share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// The others take it over. Workers that come during the run take their share, too.
    #[default]
    Rebalance,
    /// The run ends.
    Fail,
    /// The run goes on without it.
    Ignore,
}

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
    /// Most workers at a time.
    pub max_workers: u32,
    /// `MISSING_AFTER`.
    pub missing_after: Duration,
    /// Between two heartbeats of a worker.
    pub heartbeat: Duration,
    /// `START_LEAD`.
    pub start_lead: Duration,
    /// From the order to stop to the instant.
    pub stop_lead: Duration,
    /// From an epoch's announcement to its start.
    pub epoch_lead: Duration,
    /// What becomes of a lost worker's share.
    pub on_loss: OnLoss,
    /// Say what is to be written down, and acknowledge only what was.
    pub journal: bool,
    /// Keys that the workers get. Only for encrypted connections.
    pub secrets: Option<SharedSecrets>,
}

impl MasterConfig {
    /// A run of `plan` on `expect_workers` workers, waiting for ever.
    pub fn new(run: u64, plan: Plan, expect_workers: u32) -> Self {
        Self {
            run,
            plan,
            expect_workers: expect_workers.max(1),
            max_wait: None,
            max_workers: u32::MAX,
            missing_after: MISSING_AFTER,
            heartbeat: super::HEARTBEAT,
            start_lead: START_LEAD,
            stop_lead: STOP_LEAD,
            epoch_lead: MISSING_AFTER + EPOCH_LEAD,
            on_loss: OnLoss::default(),
            journal: false,
            secrets: None,
        }
    }

    /// A worker is missing after `span` without a word.
    #[must_use]
    pub fn missing_after(mut self, span: Duration) -> Self {
        self.missing_after = span;
        self.epoch_lead = span + EPOCH_LEAD;
        self
    }

    /// The one worker lives and stalls with its master, in the same process: it cannot go missing, and hears at once.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.missing_after = Duration::from_secs(86_400 * 365);
        self.epoch_lead = LOCAL_LEAD;
        self.stop_lead = Duration::ZERO;
        self.start_lead = LOCAL_START_LEAD;
        self
    }

    fn terms(&self) -> Terms {
        Terms {
            heartbeat: self.heartbeat,
            lease: self.missing_after.saturating_sub(FENCE_MARGIN),
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
    /// The frame of this number, and all before it, are on disk.
    Persisted(u64),
    /// No frame can be written any more.
    JournalBroken,
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
    /// Write this down and say when it is.
    Persist(Box<Frame>),
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

/// The order to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt {
    /// On the master's clock: nothing is begun later.
    pub at: Offset,
    /// What is in flight is dropped.
    pub abort: bool,
}

/// The master of one run.
#[derive(Clone, Debug)]
pub struct Master {
    config: MasterConfig,
    phase: Phase,
    roster: Roster,
    parts: u32,
    deal: Option<Deal>,
    /// What the cluster is to do; the next epoch makes it so.
    wanted: Option<Load>,
    /// When the next epoch is to be made.
    deal_again_at: Option<Offset>,
    books: Books,
    last_progress: Offset,
    cut_short: bool,
    /// Since when nobody is at work and somebody may come back.
    forsaken_since: Option<Offset>,
    verdict: Option<EndedBy>,
    outputs: VecDeque<Output>,
}

impl Master {
    /// A master that waits for workers since `now`.
    pub fn new(config: MasterConfig, now: Offset) -> Self {
        let books = Books::new(config.journal);
        Self {
            config,
            phase: Phase::Gathering { since: now },
            roster: Roster::default(),
            parts: 0,
            deal: None,
            wanted: None,
            deal_again_at: None,
            books,
            last_progress: now,
            cut_short: false,
            forsaken_since: None,
            verdict: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input at time `now`.
    pub fn handle(&mut self, now: Offset, input: Input) {
        let is_routine = self.is_routine(&input);
        match input {
            Input::Message(conn, ToMaster::Hello(hello)) => self.greet(now, conn, hello),
            Input::Message(conn, message) => self.listen(now, conn, message),
            Input::Closed(conn) => self.roster.disconnect(conn),
            Input::Stop => self.halt(now, false),
            Input::Abort => self.halt(now, true),
            Input::Persisted(number) => self.persisted(number),
            Input::JournalBroken => self.journal_broken(),
        }
        if !is_routine {
            self.advance(now);
        }
    }

    /// Whether an input makes no step possible: what comes of every worker each second must not cost a look at all of them.
    fn is_routine(&self, input: &Input) -> bool {
        if !matches!(self.phase, Phase::Running { .. }) {
            return false;
        }
        let ends = |conn| {
            let worker = self.roster.worker(conn)?;
            self.roster.member(worker)?.last_seq
        };
        match input {
            Input::Message(_, ToMaster::Heartbeat { .. }) => true,
            Input::Message(conn, ToMaster::Interval(_)) => ends(*conn).is_none(),
            _ => false,
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Offset) {
        self.forgive_own_stall(now);
        for worker in self.roster.silent(now, self.config.missing_after) {
            self.lose(now, worker);
        }
        self.roster.look_again();
        if self.gathering_until().is_some_and(|until| now >= until) {
            self.give_up(now);
        }
        if self.overdue_at().is_some_and(|at| now >= at) {
            self.cut_short(now);
        }
        if self.deal_again_at.is_some_and(|at| now >= at) {
            self.deal_again(now);
        }
        if self.books.cut_at().is_some_and(|at| now >= at) {
            self.cut(now);
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
        let waits = [
            silence,
            self.gathering_until(),
            self.overdue_at(),
            self.deal_again_at,
            self.books.cut_at(),
            self.forsaken_until(),
        ];
        waits.into_iter().flatten().min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The run as it stands at `now`.
    pub fn snapshot(&self, now: Offset) -> Snapshot {
        let mut tally = self.books.merged();
        for (_, member) in self.roster.iter() {
            Self::loss(member, None).apply(&mut tally.counts);
        }
        let (load, next) = self.loads(now);
        Snapshot {
            elapsed: self.started_at().map(|at| now.since(at)),
            tally,
            workers: self.summaries(None),
            gauges: self.roster.gauges(),
            window: self.window(None),
            load,
            next,
            stopping: matches!(self.phase, Phase::Running { halt: Some(_), .. }),
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

    /// The number of the last epoch that was announced.
    fn last_epoch(&self) -> u32 {
        self.deal.as_ref().map_or(0, Deal::last)
    }

    /// The run's time at `now`.
    fn run_time(&self, now: Offset) -> Option<Offset> {
        self.started_at().map(|at| Offset::from(now.since(at)))
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
