//! A master, workers and their engines on virtual time, joined by connections that delay, break, hold back and repeat by a
//! seed. A connection delivers a prefix of what was sent, in order, as TCP does; intervals may also arrive twice.
//! Clocks show other times and run at other speeds, the disk is slow, and a master may die and another go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::Rng;

use super::engine::Engine;
use super::invariants::Witness;
use crate::cluster::{
    Change, ConnId, Gauges, Master, MasterConfig, MasterEvent, MasterInput, Past, Refusal,
    RunResult, ToMaster, ToWorker, Worker, WorkerConfig, WorkerExit, WorkerInput,
};
use crate::domain::{Offset, Seed};
use crate::metrics::Tally;

pub(super) const MILLI: u64 = 1_000_000;

/// Longer than any run of these tests.
const HORIZON: u64 = 200_000 * MILLI;

#[derive(Debug)]
pub(super) enum Happening {
    AtMaster(ConnId, ToMaster),
    MasterSeesClosed(ConnId),
    AtWorker(usize, ConnId, ToWorker),
    WorkerSeesClosed(usize, ConnId),
    Connect(usize),
    Break {
        node: usize,
        back_after: u64,
        seen_by_master: bool,
    },
    /// Everything between this node and the master is held back for so long.
    Hold(usize, u64),
    /// The process of this node stands still for so long.
    Freeze(usize, u64),
    Kill(usize),
    Shutdown(usize),
    Command(MasterInput),
    Change(Change),
    Written(u64),
    BreakDisk,
    KillMaster {
        back_after: Option<u64>,
    },
    NewMaster,
}

pub(super) struct Node {
    pub(super) worker: Worker,
    pub(super) engine: Engine,
    /// Its clock minus the world's at the beginning, and how fast it runs away.
    skew: u64,
    ppm: i64,
    pub(super) conn: Option<ConnId>,
    pub(super) alive: bool,
    frozen_until: u64,
    held_until: u64,
    pub(super) exit: Option<WorkerExit>,
    back_after: u64,
    pub(super) orphaned: usize,
}

impl Node {
    pub(super) fn skew(&self) -> u64 {
        self.skew
    }

    /// What its clock shows when the world's shows `time`.
    pub(super) fn own(&self, time: u64) -> Offset {
        let drift = i128::from(time) * i128::from(self.ppm) / 1_000_000;
        let own = i128::from(time) + i128::from(self.skew) + drift;
        Offset::from_nanos(u64::try_from(own.max(0)).unwrap())
    }

    /// When the world's clock shows a time at which this one shows at least `own`.
    pub(super) fn world(&self, own: Offset) -> u64 {
        let since = i128::from(own.as_nanos()) - i128::from(self.skew);
        let time = since * 1_000_000 / (1_000_000 + i128::from(self.ppm)) + 1;
        u64::try_from(time.max(0)).unwrap_or(u64::MAX)
    }
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) draws: Box<dyn FnMut() -> u64>,
    pub(super) config: MasterConfig,
    pub(super) master: Option<Master>,
    pub(super) nodes: Vec<Node>,
    pub(super) queue: BTreeMap<(u64, u64), Happening>,
    pub(super) sequence: u64,
    pub(super) lanes: BTreeMap<(ConnId, u8), u64>,
    pub(super) dead: BTreeSet<ConnId>,
    pub(super) conns: u64,
    pub(super) latency: u64,
    pub(super) repeats: bool,
    pub(super) disk: u64,
    pub(super) disk_broken: bool,
    /// Tells what happens, for who looks for the cause of a failure.
    pub(super) told: bool,
    pub(super) past: Past,
    pub(super) witness: Witness,
    pub(super) refusals: Vec<Refusal>,
    pub(super) events: Vec<MasterEvent>,
    pub(super) result: Option<RunResult>,
}

/// What breaks things, not what they say to each other.
fn tell(now: Offset, what: &Happening) {
    let spoken = matches!(
        what,
        Happening::AtMaster(_, ToMaster::Heartbeat { .. } | ToMaster::Interval(_))
            | Happening::AtWorker(_, _, ToWorker::Pulse { .. } | ToWorker::Ack { .. })
            | Happening::Written(_)
    );
    if !spoken {
        let words = format!("{what:?}");
        eprintln!("{now} {}", words.chars().take(300).collect::<String>());
    }
}

impl World {
    pub(super) fn new(seed: u64, config: MasterConfig, workers: usize) -> Self {
        let mut rng = Seed(seed).stream("world", 0);
        let mut world = Self {
            now: 0,
            draws: Box::new(move || rng.next_u64()),
            master: Some(Master::new(config.clone(), Offset::ZERO)),
            witness: Witness::new(&config),
            config,
            nodes: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            lanes: BTreeMap::new(),
            dead: BTreeSet::new(),
            conns: 0,
            latency: 0,
            repeats: false,
            disk: 0,
            disk_broken: false,
            told: false,
            past: Past::default(),
            refusals: Vec::new(),
            events: Vec::new(),
            result: None,
        };
        for node in 0..workers {
            world.add_node(node);
        }
        world
    }

    fn add_node(&mut self, node: usize) {
        let takes = Duration::from_millis(self.below(300));
        let skew = self.below(20_000) * MILLI;
        let config = WorkerConfig {
            name: format!("w{node}"),
            incarnation: 1_000 + node as u64,
            cores: 2,
        };
        self.nodes.push(Node {
            worker: Worker::new(config),
            engine: Engine::new(takes),
            skew,
            ppm: 0,
            conn: None,
            alive: true,
            frozen_until: 0,
            held_until: 0,
            exit: None,
            back_after: 100 * MILLI,
            orphaned: 0,
        });
        let at = self.below(400);
        self.later(at, Happening::Connect(node));
    }

    /// A worker that comes late.
    pub(super) fn join_at(&mut self, millis: u64) {
        let node = self.nodes.len();
        self.add_node(node);
        self.queue
            .retain(|_, what| !matches!(what, Happening::Connect(n) if *n == node));
        self.later(millis, Happening::Connect(node));
    }

    pub(super) fn latency_up_to(mut self, millis: u64) -> Self {
        self.latency = millis;
        self
    }

    pub(super) fn with_repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// Clocks run up to 200 ppm fast or slow.
    pub(super) fn with_drift(mut self) -> Self {
        for node in 0..self.nodes.len() {
            self.nodes[node].ppm = i64::try_from(self.below(401)).unwrap() - 200;
        }
        self
    }

    /// A frame takes up to so long to be written.
    pub(super) fn with_disk(mut self, millis: u64) -> Self {
        self.disk = millis;
        self
    }

    pub(super) fn break_at(&mut self, node: usize, millis: u64, back_after: u64, seen: bool) {
        let back_after = back_after * MILLI;
        let what = Happening::Break {
            node,
            back_after,
            seen_by_master: seen,
        };
        self.later(millis, what);
    }

    pub(super) fn hold_at(&mut self, node: usize, millis: u64, span: u64) {
        self.later(millis, Happening::Hold(node, span * MILLI));
    }

    pub(super) fn freeze_at(&mut self, node: usize, millis: u64, span: u64) {
        self.later(millis, Happening::Freeze(node, span * MILLI));
    }

    pub(super) fn kill_at(&mut self, node: usize, millis: u64) {
        self.later(millis, Happening::Kill(node));
    }

    pub(super) fn shutdown_at(&mut self, node: usize, millis: u64) {
        self.later(millis, Happening::Shutdown(node));
    }

    pub(super) fn command_at(&mut self, millis: u64, input: MasterInput) {
        self.later(millis, Happening::Command(input));
    }

    pub(super) fn change_at(&mut self, millis: u64, change: Change) {
        self.later(millis, Happening::Change(change));
    }

    pub(super) fn break_disk_at(&mut self, millis: u64) {
        self.later(millis, Happening::BreakDisk);
    }

    pub(super) fn kill_master_at(&mut self, millis: u64, back_after: Option<u64>) {
        let back_after = back_after.map(|after| after * MILLI);
        self.later(millis, Happening::KillMaster { back_after });
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        (self.draws)() % n.max(1)
    }

    /// Runs until the master has a result and every living worker is through.
    pub(super) fn run(&mut self) -> RunResult {
        loop {
            self.carry();
            let through = |node: &Node| !node.alive || node.exit.is_some() || node.conn.is_none();
            if self.result.is_some() && self.nodes.iter().all(through) {
                return self.result.clone().unwrap();
            }
            let goes_on = self.advance();
            assert!(goes_on, "the run does not end; events: {:?}", self.events);
        }
    }

    /// Runs for so long.
    pub(super) fn run_for(&mut self, millis: u64) {
        let until = self.now + millis * MILLI;
        self.carry();
        while self.next_time().is_some_and(|next| next <= until) && self.advance() {
            self.carry();
        }
        self.now = until;
    }

    fn advance(&mut self) -> bool {
        let Some(next) = self.next_time().filter(|&next| next < HORIZON) else {
            return false;
        };
        self.now = self.now.max(next);
        self.step();
        true
    }

    /// What all engines together really did.
    pub(super) fn truth(&self) -> Tally {
        let mut truth = Tally::default();
        self.nodes
            .iter()
            .for_each(|node| truth.merge(&node.engine.truth));
        truth
    }

    pub(super) fn saw(&self, wanted: impl Fn(&MasterEvent) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    /// What the living engines show of themselves.
    pub(super) fn gauges(&self) -> Vec<Gauges> {
        let living = self.nodes.iter().filter(|node| node.alive);
        living.map(|node| node.engine.gauges()).collect()
    }

    /// Intervals that nobody wants any more, by the workers' own words.
    pub(super) fn orphaned(&self) -> usize {
        self.nodes.iter().map(|node| node.orphaned).sum()
    }

    pub(super) fn later(&mut self, millis: u64, what: Happening) {
        self.at(self.now + millis * MILLI, what);
    }

    pub(super) fn at(&mut self, time: u64, what: Happening) {
        self.sequence += 1;
        self.queue.insert((time, self.sequence), what);
    }

    /// A delivery time on a lane of a connection, never before an earlier one, nor before the network lets things through.
    pub(super) fn arrival(&mut self, node: Option<usize>, conn: ConnId, lane: u8) -> u64 {
        let delay = 50_000 + self.below(self.latency * MILLI);
        let held = node.map_or(0, |node| self.nodes[node].held_until);
        let time = self.now.max(held) + delay;
        let last = self.lanes.entry((conn, lane)).or_default();
        *last = time.max(*last);
        *last
    }

    fn next_time(&mut self) -> Option<u64> {
        let queued = self.queue.keys().next().map(|key| key.0);
        let master = self.master.as_ref().and_then(Master::poll_timeout);
        let mut next = [queued, master.map(Offset::as_nanos)];
        for node in self.nodes.iter_mut().filter(|node| node.alive) {
            let own = [node.worker.poll_timeout(), node.engine.timeout()];
            let own = own.into_iter().flatten().map(|at| node.world(at)).min();
            let own = own.map(|at| at.max(node.frozen_until));
            next[0] = [next[0], own].into_iter().flatten().min();
        }
        next.into_iter().flatten().min()
    }

    fn step(&mut self) {
        let now = Offset::from_nanos(self.now);
        if let Some(master) = &mut self.master
            && master.poll_timeout().is_some_and(|at| at <= now)
        {
            master.handle_timeout(now);
        }
        for node in 0..self.nodes.len() {
            self.step_node(node);
        }
        while let Some(entry) = self
            .queue
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let what = entry.remove();
            self.happen(what);
            self.carry();
        }
    }

    fn step_node(&mut self, at: usize) {
        let (now, node) = (self.now, &mut self.nodes[at]);
        if !node.alive || now < node.frozen_until {
            return;
        }
        let own = node.own(now);
        if node.engine.timeout().is_some_and(|at| at <= own) {
            node.engine.tick(own);
        }
        if node.worker.poll_timeout().is_some_and(|at| at <= own) {
            node.worker.handle_timeout(own);
        }
        self.look_at(at);
    }

    /// Notes what an engine began, and holds it against everything that must hold.
    pub(super) fn look_at(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let begun = std::mem::take(&mut node.engine.begun);
        for begun in begun {
            let time = self.nodes[at].world(Offset::from_nanos(begun.at)) - 1;
            self.witness.begun(at, begun.what, time);
        }
    }

    fn happen(&mut self, what: Happening) {
        let now = Offset::from_nanos(self.now);
        if self.told {
            tell(now, &what);
        }
        match what {
            Happening::AtMaster(conn, message) if !self.dead.contains(&conn) => {
                self.tell_master(MasterInput::Message(conn, message));
            }
            Happening::MasterSeesClosed(conn) => self.tell_master(MasterInput::Closed(conn)),
            Happening::AtWorker(node, conn, message) if !self.dead.contains(&conn) => {
                self.tell_worker_later(node, Happening::AtWorker(node, conn, message));
            }
            Happening::WorkerSeesClosed(node, conn) if self.nodes[node].conn == Some(conn) => {
                self.nodes[node].conn = None;
                self.tell_worker(node, WorkerInput::Disconnected);
                let back = self.nodes[node].back_after;
                self.at(self.now + back, Happening::Connect(node));
            }
            Happening::Connect(node) => self.connect(node),
            Happening::Break {
                node,
                back_after,
                seen_by_master,
            } => {
                self.nodes[node].back_after = back_after;
                self.cut(node, seen_by_master);
            }
            Happening::Hold(node, span) => self.nodes[node].held_until = self.now + span,
            Happening::Freeze(node, span) => self.nodes[node].frozen_until = self.now + span,
            Happening::Kill(node) => {
                self.cut(node, true);
                self.nodes[node].alive = false;
            }
            Happening::Shutdown(node) => self.tell_worker(node, WorkerInput::Shutdown),
            Happening::Command(input) => self.tell_master(input),
            Happening::Change(change) => {
                let changed = self
                    .master
                    .as_mut()
                    .map(|master| master.change(now, change));
                self.refusals.extend(changed.and_then(Result::err));
            }
            Happening::Written(number) => self.tell_master(MasterInput::Persisted(number)),
            Happening::BreakDisk => {
                self.disk_broken = true;
                self.tell_master(MasterInput::JournalBroken);
            }
            Happening::KillMaster { back_after } => self.kill_master(back_after),
            Happening::NewMaster => self.new_master(),
            Happening::AtMaster(..) | Happening::AtWorker(..) | Happening::WorkerSeesClosed(..) => {
            }
        }
    }

    /// A process that stands still hears things when it goes on.
    fn tell_worker_later(&mut self, node: usize, what: Happening) {
        let frozen = self.nodes[node].frozen_until;
        if self.now < frozen {
            self.at(frozen, what);
        } else if let Happening::AtWorker(_, _, message) = what {
            if matches!(message, ToWorker::Pulse { .. }) {
                self.witness.answered(node, self.now);
            }
            self.tell_worker(node, WorkerInput::FromMaster(message));
        }
    }

    fn tell_master(&mut self, input: MasterInput) {
        if let Some(master) = &mut self.master {
            master.handle(Offset::from_nanos(self.now), input);
        }
    }

    pub(super) fn tell_worker(&mut self, at: usize, input: WorkerInput) {
        let node = &mut self.nodes[at];
        if node.alive {
            node.worker.handle(node.own(self.now), input);
        }
    }

    fn connect(&mut self, node: usize) {
        let free = self.nodes[node].conn.is_none() && self.nodes[node].exit.is_none();
        if !free || !self.nodes[node].alive {
            return;
        }
        let held = self.nodes[node]
            .held_until
            .max(self.nodes[node].frozen_until);
        if self.master.is_none() || self.now < held {
            // Whoever listens there does not answer.
            self.at(self.now + 500 * MILLI, Happening::Connect(node));
            return;
        }
        self.conns += 1;
        self.nodes[node].conn = Some(ConnId(self.conns));
        self.nodes[node].back_after = 100 * MILLI;
        self.tell_worker(node, WorkerInput::Connected);
    }

    pub(super) fn cut(&mut self, node: usize, seen_by_master: bool) {
        let Some(conn) = self.nodes[node].conn else {
            return;
        };
        self.dead.insert(conn);
        let delay = self.below(200);
        self.later(delay, Happening::WorkerSeesClosed(node, conn));
        if seen_by_master {
            let delay = self.below(200);
            self.later(delay, Happening::MasterSeesClosed(conn));
        }
    }

    fn kill_master(&mut self, back_after: Option<u64>) {
        self.master = None;
        for node in 0..self.nodes.len() {
            self.cut(node, false);
        }
        if let Some(after) = back_after {
            self.at(self.now + after, Happening::NewMaster);
        }
    }

    fn new_master(&mut self) {
        let (config, past) = (self.config.clone(), self.past.clone());
        let now = Offset::from_nanos(self.now);
        self.master = Master::adopt(config.clone(), past, now);
        if self.master.is_none() {
            // The journal tells of nothing to go on with: another run begins.
            let run = self.config.run + 1;
            self.past = Past::default();
            self.witness = self.witness.of_another_run(&config);
            self.master = Some(Master::new(MasterConfig { run, ..config }, now));
        }
    }
}
