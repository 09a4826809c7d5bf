//! A master, workers and their engines on virtual time, joined by connections that delay, break and repeat by a seed.
//! A connection delivers a prefix of what was sent, in order, as TCP does; intervals may also arrive twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::Rng;

use super::assert_conserved;
use super::engine::Engine;
use crate::cluster::ledger::{finished, waiting};
use crate::cluster::{
    ConnId, Master, MasterConfig, MasterEvent, MasterInput, MasterOutput, RunResult, ToMaster,
    ToWorker, Worker, WorkerConfig, WorkerExit, WorkerInput, WorkerOutput,
};
use crate::domain::{Offset, Seed};
use crate::metrics::Tally;

const MILLI: u64 = 1_000_000;

/// Longer than any run of these tests.
const HORIZON: u64 = 200_000 * MILLI;

#[derive(Debug)]
enum Happening {
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
    Kill(usize),
    Shutdown(usize),
    Command(MasterInput),
}

pub(super) struct Node {
    worker: Worker,
    pub(super) engine: Engine,
    /// Its clock minus the world's.
    skew: u64,
    conn: Option<ConnId>,
    alive: bool,
    pub(super) exit: Option<WorkerExit>,
    back_after: u64,
}

pub(super) struct World {
    now: u64,
    draws: Box<dyn FnMut() -> u64>,
    pub(super) master: Master,
    pub(super) nodes: Vec<Node>,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    lanes: BTreeMap<(ConnId, u8), u64>,
    dead: BTreeSet<ConnId>,
    conns: u64,
    latency: u64,
    repeats: bool,
    pub(super) events: Vec<MasterEvent>,
    pub(super) result: Option<RunResult>,
}

impl Node {
    pub(super) fn skew(&self) -> u64 {
        self.skew
    }
}

impl World {
    pub(super) fn new(seed: u64, config: MasterConfig, workers: usize) -> Self {
        let mut rng = Seed(seed).stream("world", 0);
        let mut world = Self {
            now: 0,
            draws: Box::new(move || rng.next_u64()),
            master: Master::new(config, Offset::ZERO),
            nodes: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            lanes: BTreeMap::new(),
            dead: BTreeSet::new(),
            conns: 0,
            latency: 0,
            repeats: false,
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
            conn: None,
            alive: true,
            exit: None,
            back_after: 100 * MILLI,
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

    pub(super) fn break_at(&mut self, node: usize, millis: u64, back_after: u64, seen: bool) {
        let back_after = back_after * MILLI;
        let what = Happening::Break {
            node,
            back_after,
            seen_by_master: seen,
        };
        self.later(millis, what);
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
            let next = self.next_time().expect("something is always to come");
            assert!(
                next < HORIZON,
                "the run does not end; events: {:?}",
                self.events
            );
            self.now = self.now.max(next);
            self.step();
        }
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

    fn later(&mut self, millis: u64, what: Happening) {
        self.at(self.now + millis * MILLI, what);
    }

    fn at(&mut self, time: u64, what: Happening) {
        self.sequence += 1;
        self.queue.insert((time, self.sequence), what);
    }

    /// A delivery time on a lane of a connection, never before an earlier one.
    fn arrival(&mut self, conn: ConnId, lane: u8) -> u64 {
        let delay = 50_000 + self.below(self.latency * MILLI);
        let time = self.now + delay;
        let last = self.lanes.entry((conn, lane)).or_default();
        *last = time.max(*last);
        *last
    }

    fn next_time(&self) -> Option<u64> {
        let queued = self.queue.keys().next().map(|key| key.0);
        let master = self.master.poll_timeout().map(Offset::as_nanos);
        let nodes = self
            .nodes
            .iter()
            .filter(|node| node.alive)
            .flat_map(|node| {
                let own = [node.worker.poll_timeout(), node.engine.timeout()];
                own.into_iter()
                    .flatten()
                    .map(|at| at.as_nanos().saturating_sub(node.skew))
            });
        nodes.chain(queued).chain(master).min()
    }

    fn step(&mut self) {
        let now = Offset::from_nanos(self.now);
        if self.master.poll_timeout().is_some_and(|at| at <= now) {
            self.master.handle_timeout(now);
        }
        for node in self.nodes.iter_mut().filter(|node| node.alive) {
            let own = Offset::from_nanos(self.now + node.skew);
            if node.worker.poll_timeout().is_some_and(|at| at <= own) {
                node.worker.handle_timeout(own);
            }
            if node.engine.timeout().is_some_and(|at| at <= own) {
                node.engine.tick(own);
            }
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

    fn happen(&mut self, what: Happening) {
        let now = Offset::from_nanos(self.now);
        match what {
            Happening::AtMaster(conn, message) if !self.dead.contains(&conn) => {
                self.master.handle(now, MasterInput::Message(conn, message));
            }
            Happening::MasterSeesClosed(conn) => self.master.handle(now, MasterInput::Closed(conn)),
            Happening::AtWorker(node, conn, message) if !self.dead.contains(&conn) => {
                self.tell_worker(node, WorkerInput::FromMaster(message));
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
            Happening::Kill(node) => {
                self.cut(node, true);
                self.nodes[node].alive = false;
            }
            Happening::Shutdown(node) => self.tell_worker(node, WorkerInput::Shutdown),
            Happening::Command(input) => self.master.handle(now, input),
            Happening::AtMaster(..) | Happening::AtWorker(..) | Happening::WorkerSeesClosed(..) => {
            }
        }
    }

    fn tell_worker(&mut self, node: usize, input: WorkerInput) {
        let node = &mut self.nodes[node];
        if node.alive {
            node.worker
                .handle(Offset::from_nanos(self.now + node.skew), input);
        }
    }

    fn connect(&mut self, node: usize) {
        let free = self.nodes[node].conn.is_none() && self.nodes[node].exit.is_none();
        if free && self.nodes[node].alive {
            self.conns += 1;
            self.nodes[node].conn = Some(ConnId(self.conns));
            self.nodes[node].back_after = 100 * MILLI;
            self.tell_worker(node, WorkerInput::Connected);
        }
    }

    fn cut(&mut self, node: usize, seen_by_master: bool) {
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

    /// Carries all outputs of all machines.
    fn carry(&mut self) {
        while let Some(output) = self.master.poll_output() {
            self.carry_from_master(output);
        }
        for node in 0..self.nodes.len() {
            while let Some(event) = self.nodes[node].engine.poll() {
                self.tell_worker(node, WorkerInput::Engine(event));
            }
            while let Some(output) = self.nodes[node].worker.poll_output() {
                self.carry_from_worker(node, output);
            }
        }
        // An engine may have answered a command at once.
        if self
            .nodes
            .iter()
            .any(|node| node.alive && node.engine.has_words())
        {
            self.carry();
        }
    }

    fn carry_from_master(&mut self, output: MasterOutput) {
        match output {
            MasterOutput::Send(conn, message) => {
                let lane = u8::from(matches!(message, ToWorker::Pulse { .. }));
                if let Some(node) = self.node_of(conn) {
                    let at = self.arrival(conn, lane);
                    self.at(at, Happening::AtWorker(node, conn, message));
                }
            }
            MasterOutput::Close(conn) => {
                if let Some(node) = self.node_of(conn) {
                    let at = self.arrival(conn, 0);
                    self.at(at, Happening::WorkerSeesClosed(node, conn));
                }
            }
            MasterOutput::Event(event) => {
                if matches!(event, MasterEvent::Merged { .. } | MasterEvent::Lost { .. }) {
                    self.check_snapshot();
                }
                self.events.push(event);
            }
            MasterOutput::Finished(result) => {
                assert!(self.result.is_none(), "a run ends once");
                assert_conserved(&result.tally, result.in_flight_at_deadline, 0);
                self.result = Some(*result);
            }
        }
    }

    fn check_snapshot(&self) {
        let tally = self.master.snapshot(Offset::from_nanos(self.now)).tally;
        let in_flight = tally.counts.sent - finished(&tally);
        assert_conserved(&tally, in_flight, waiting(tally.counts));
    }

    fn carry_from_worker(&mut self, node: usize, output: WorkerOutput) {
        match output {
            WorkerOutput::Send(message) => self.send_to_master(node, message),
            WorkerOutput::Engine(command) => {
                let node = &mut self.nodes[node];
                node.engine
                    .handle(Offset::from_nanos(self.now + node.skew), command);
            }
            WorkerOutput::Done(exit) => {
                self.nodes[node].exit = Some(exit);
                if let Some(conn) = self.nodes[node].conn.take() {
                    let at = self.arrival(conn, 2);
                    self.at(at, Happening::MasterSeesClosed(conn));
                }
            }
        }
    }

    fn send_to_master(&mut self, node: usize, message: ToMaster) {
        let Some(conn) = self.nodes[node].conn else {
            return;
        };
        let lane = if matches!(message, ToMaster::Heartbeat { .. }) {
            3
        } else {
            2
        };
        let at = self.arrival(conn, lane);
        if self.repeats && matches!(message, ToMaster::Interval(_)) && self.below(5) == 0 {
            let again = at + self.below(2_000) * MILLI;
            self.at(again, Happening::AtMaster(conn, message.clone()));
        }
        self.at(at, Happening::AtMaster(conn, message));
    }

    fn node_of(&self, conn: ConnId) -> Option<usize> {
        self.nodes.iter().position(|node| node.conn == Some(conn))
    }
}
