//! What must hold after every step of every history, whoever dies and whatever the network does.
//! It sees requests as they are begun, what the master says, and the result; it decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::assert_conserved;
use super::world::MILLI;
use crate::cluster::ledger::{finished, waiting};
use crate::cluster::{MasterConfig, MasterEvent, RunResult, Snapshot, WorkerState, WorkerSummary};
use crate::domain::Offset;
use crate::metrics::Tally;
use crate::schedule::{Arrivals, Load};

/// How far clocks may be off each other in these histories: half of the longest round trip, and what they drift.
const OFF: u64 = 260 * MILLI;

/// Holds a history against the rules.
pub(super) struct Witness {
    open: bool,
    seed: crate::domain::Seed,
    spec: crate::schedule::Spec,
    missing_after: u64,
    /// Open loop: who sent an arrival, and when. Closed loop: who begins for a user, and when it did last.
    by: BTreeMap<u64, (usize, u64)>,
    /// When an answer to a heartbeat reached a worker.
    answers: BTreeMap<usize, u64>,
    pub(super) sent: Vec<(u64, u64)>,
    at: u64,
    /// From when which load holds, in the run's time.
    pub(super) loads: Vec<(Offset, Load)>,
    merged: u64,
    /// Whether each answer is kept by itself.
    keeps: bool,
    /// How many of them.
    at_most: u64,
}

impl Witness {
    pub(super) fn new(config: &MasterConfig) -> Self {
        let spec = config.plan.schedule.clone();
        Self {
            open: spec.is_open(),
            seed: config.plan.seed,
            missing_after: Offset::from(config.missing_after).as_nanos(),
            by: BTreeMap::new(),
            answers: BTreeMap::new(),
            sent: Vec::new(),
            at: 0,
            loads: vec![(Offset::ZERO, Load::of(&spec))],
            spec,
            merged: 0,
            keeps: config.plan.observe.answers.is_some(),
            at_most: config
                .plan
                .observe
                .answers_at_most
                .map_or(u64::MAX, u64::from),
        }
    }

    /// A witness of another run on the same workers.
    pub(super) fn of_another_run(&self, config: &MasterConfig) -> Self {
        Self {
            answers: self.answers.clone(),
            ..Self::new(config)
        }
    }

    /// The master's answer reached a worker.
    pub(super) fn answered(&mut self, worker: usize, time: u64) {
        self.answers.insert(worker, time);
    }

    /// A request was begun.
    pub(super) fn begun(&mut self, worker: usize, what: u64, time: u64) {
        if self.at == 0 {
            // The last of another run, by its last lease.
            return;
        }
        self.sent.push((what, time));
        let heard = self.answers.get(&worker).copied().unwrap_or(0);
        assert!(
            time <= heard + self.missing_after,
            "worker {worker} sends at {time}, its master was last heard of at {heard}"
        );
        if self.open {
            if let Some((other, before)) = self.by.insert(what, (worker, time)) {
                panic!("arrival {what} is sent by {other} at {before} and by {worker} at {time}");
            }
            return;
        }
        let users = self.most_users(time);
        assert!(
            what < users,
            "user {what} begins at {time}, there are {users}"
        );
        if let Some(&(other, before)) = self.by.get(&what)
            && other != worker
        {
            assert!(
                time + OFF >= before,
                "user {what} is on {other} at {before} and on {worker} at {time}"
            );
        }
        self.by.insert(what, (worker, time));
    }

    /// The most users of any load that holds about now.
    fn most_users(&self, time: u64) -> u64 {
        let about = |from: Offset| self.at + from.as_nanos();
        let mut most = 0;
        for (n, (from, load)) in self.loads.iter().enumerate() {
            let until = self
                .loads
                .get(n + 1)
                .map_or(u64::MAX, |next| about(next.0) + OFF);
            if about(*from) <= time + OFF && time <= until {
                most = most.max(u64::from(load.users));
            }
        }
        most
    }

    /// The master says something; `snapshot` is how the run stands for it.
    pub(super) fn saw(&mut self, event: &MasterEvent, snapshot: &Snapshot) {
        match event {
            MasterEvent::Starting { at } => self.at = at.as_nanos(),
            MasterEvent::Changed { from, load, .. } => {
                assert!(self.loads.last().is_none_or(|last| last.0 < *from));
                self.loads.push((*from, *load));
            }
            // What was not on disk is known again when the workers send it again.
            MasterEvent::Adopted { .. } => self.merged = 0,
            _ => {}
        }
        let tally = &snapshot.tally;
        self.assert_kept(tally);
        let in_flight = tally.counts.sent - finished(tally);
        assert_conserved(tally, in_flight, waiting(tally.counts));
        // Nothing that was counted is ever taken back, but for what a lost worker had in flight.
        let merged = tally.counts.sent + tally.counts.lost + tally.counts.dropped;
        assert!(
            merged >= self.merged || snapshot.stopping,
            "{merged} after {}",
            self.merged
        );
        self.merged = merged;
        assert!(tally.counts.sent <= self.sent.len() as u64);
    }

    /// Each request that ended is there by itself, once, as long as a plan wants that.
    fn assert_kept(&self, tally: &Tally) {
        let ended = if self.keeps { finished(tally) } else { 0 };
        let kept = ended.min(self.at_most);
        assert_eq!(tally.answers.len() as u64, kept, "answers kept");
        for (index, answer) in &tally.answers {
            assert_eq!(answer.text.as_deref(), Some(&*format!("{index:?}")));
        }
    }

    /// The run is over.
    pub(super) fn ended(&self, result: &RunResult) {
        assert_conserved(&result.tally, result.in_flight_at_deadline, 0);
        self.assert_kept(&result.tally);
        assert_eq!(result.discrepancies, Vec::<String>::new());
        let sum = |of: fn(&crate::metrics::Counts) -> u64| -> u64 {
            result.workers.iter().map(|worker| of(&worker.counts)).sum()
        };
        let counts = result.tally.counts;
        assert_eq!(
            sum(|of| of.scheduled),
            counts.scheduled,
            "the sum of the workers"
        );
        assert_eq!(sum(|of| of.sent), counts.sent);
        assert_eq!(sum(|of| of.lost), counts.lost);
        assert_eq!(sum(|of| of.dropped), counts.dropped);
        // Every request that was really begun is counted as sent, or as lost with its worker.
        let begun = self.sent.len() as u64;
        assert!(counts.sent <= begun, "{counts:?} of {begun}");
        // Of a closed loop nobody can say what a lost worker began after it was last heard of.
        let lost = |worker: &WorkerSummary| worker.state == WorkerState::Lost;
        if self.open || !result.workers.iter().any(lost) {
            assert!(begun <= counts.sent + counts.lost, "{counts:?} of {begun}");
        }
    }

    /// How many arrivals of the run were due until `until`, by the loads that were announced.
    pub(super) fn due(&self, until: Duration) -> u64 {
        let mut arrivals = Arrivals::new(&self.spec, self.seed).unwrap();
        for (from, load) in self.loads.iter().skip(1) {
            arrivals.change(*from, load.arrivals());
        }
        arrivals
            .take_while(|&(_, due)| due < Offset::from(until))
            .count() as u64
    }

    /// Each arrival was begun when it was due, as far as clocks can tell.
    pub(super) fn assert_on_time(&self, off: u64) {
        let mut arrivals = Arrivals::new(&self.spec, self.seed).unwrap();
        for (from, load) in self.loads.iter().skip(1) {
            arrivals.change(*from, load.arrivals());
        }
        let due: BTreeMap<u64, u64> = arrivals.map(|(i, due)| (i, due.as_nanos())).collect();
        for (what, time) in &self.sent {
            let due = self.at + due[what];
            assert!(
                time.abs_diff(due) <= off,
                "arrival {what} is begun {} us off",
                time.abs_diff(due) / 1_000
            );
        }
    }

    /// The coefficient of variation of the gaps between requests, over all workers.
    pub(super) fn gap_variation(&self) -> f64 {
        let mut times: Vec<u64> = self.sent.iter().map(|&(_, time)| time).collect();
        times.sort_unstable();
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        variance.sqrt() / mean
    }
}
