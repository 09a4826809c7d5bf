//! What a master has merged: the whole, what came since the last second, and what of it is written down.
//! An interval is acknowledged when it can no longer be lost: when it is merged, or, with a journal, when that is on disk.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::status::Pace;
use super::{Halt, Master, MasterEvent, Output, Phase};
use crate::cluster::journal::Frame;
use crate::cluster::{EndedBy, Gauges, Interval, ToWorker};
use crate::domain::Offset;
use crate::metrics::Tally;

/// How long the intervals of a second are waited for, from the first one on.
const SECOND_BY: Duration = Duration::from_millis(900);

/// The sums of a run.
#[derive(Clone, Debug)]
pub(super) struct Books {
    journal: bool,
    total: Tally,
    delta: Tally,
    /// Until when, since the run's start.
    to: Offset,
    /// Which second of the run the delta is of, from 1.
    second: u64,
    /// Intervals of that second that came.
    came: usize,
    /// Workers that were at work when the first of them came.
    expected: usize,
    /// When the first interval of the delta came.
    since: Option<Offset>,
    /// What ended in the last seconds.
    pace: Pace,
    /// Workers of which something is not written down.
    changed: BTreeSet<u32>,
    epochs_written: usize,
    halt_written: Option<Halt>,
    frames: u64,
    /// Frames that are on their way to the disk, and what is acknowledged once they are there.
    unwritten: VecDeque<(u64, Vec<(u32, u64)>)>,
}

impl Books {
    pub(super) fn new(journal: bool) -> Self {
        Self {
            journal,
            total: Tally::default(),
            delta: Tally::default(),
            to: Offset::ZERO,
            second: 0,
            came: 0,
            expected: 0,
            since: None,
            pace: Pace::default(),
            changed: BTreeSet::new(),
            epochs_written: 0,
            halt_written: None,
            frames: 0,
            unwritten: VecDeque::new(),
        }
    }

    /// Those of a run that goes on where another master left it.
    pub(super) fn continued(
        journal: bool,
        total: Tally,
        to: Offset,
        frames: u64,
        epochs: usize,
    ) -> Self {
        Self {
            total,
            to,
            frames,
            epochs_written: epochs,
            ..Self::new(journal)
        }
    }

    /// Everything merged so far.
    pub(super) fn merged(&self) -> Tally {
        let mut all = self.total.clone();
        all.merge(&self.delta);
        all
    }

    /// Everything merged until the last cut.
    pub(super) const fn total(&self) -> &Tally {
        &self.total
    }

    /// Until when something is merged, since the run's start.
    pub(super) const fn to(&self) -> Offset {
        self.to
    }

    /// What ended in the last seconds.
    pub(super) const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// When what came since the last time is to be told, at the latest.
    pub(super) fn cut_at(&self) -> Option<Offset> {
        self.since.map(|since| since + SECOND_BY)
    }

    /// Something about a worker is new.
    pub(super) fn note(&mut self, worker: u32) {
        if self.journal {
            self.changed.insert(worker);
        }
    }

    /// Whether an interval belongs to a later second than those merged since the last cut.
    fn is_later(&self, interval: &Interval) -> bool {
        self.since.is_some() && second_of(interval.to) > self.second
    }

    fn add(&mut self, now: Offset, worker: u32, interval: &Interval) {
        let second = second_of(interval.to);
        if self.since.is_none() {
            self.since = Some(now);
            self.second = second.max(self.second);
            self.came = 0;
        }
        self.came += usize::from(second == self.second);
        self.to = self.to.max(interval.to);
        self.delta.merge(&interval.tally);
        self.note(worker);
    }
}

/// An interval's second; the last ones end somewhere within theirs.
fn second_of(to: Offset) -> u64 {
    to.as_nanos().div_ceil(1_000_000_000)
}

impl Master {
    /// Seconds are told one by one. To be called before a worker's ledger knows of the interval: a frame holds what the
    /// ledgers in it know of, and nothing less.
    pub(super) fn cut_before(&mut self, now: Offset, interval: &Interval) {
        if self.books.is_later(interval) {
            self.cut(now);
        }
    }

    /// Merges an interval that was not merged before.
    pub(super) fn enter(&mut self, now: Offset, worker: u32, interval: &Interval) {
        if self.books.since.is_none() {
            self.books.expected = self.at_work().len();
        }
        self.books.add(now, worker, interval);
    }

    /// Tells a second once all workers have told theirs.
    pub(super) fn cut_if_complete(&mut self, now: Offset) {
        let books = &self.books;
        // Workers that went away meanwhile are waited for no longer than `SECOND_BY`.
        if books.since.is_some()
            && books.came >= books.expected
            && books.came >= self.at_work().len()
        {
            self.cut(now);
        }
    }

    /// Adds what came since the last time to the whole, tells it, and has it written down.
    pub(super) fn cut(&mut self, now: Offset) {
        if self.books.since.take().is_some() {
            let mut delta = std::mem::take(&mut self.books.delta);
            self.books.total.merge(&delta);
            // It may wait for a slow terminal or disk.
            delta.pack();
            let delta = Arc::new(delta);
            self.books.pace.note(self.books.to, &delta);
            let (to, gauges) = (self.books.to, self.roster.gauges());
            self.event(MasterEvent::Merged {
                delta: Arc::clone(&delta),
                to,
                gauges,
            });
            self.persist(now, &delta, Some(gauges), None);
        } else {
            self.persist(now, &Tally::default(), None, None);
        }
    }

    /// Writes the end down.
    pub(super) fn persist_end(&mut self, now: Offset, ended_by: &EndedBy) {
        self.cut(now);
        // Also those who only waited, and what heartbeats alone brought.
        for worker in self.roster.iter().map(|(worker, _)| worker) {
            self.books.note(worker);
        }
        self.persist(now, &Tally::default(), None, Some(ended_by.clone()));
    }

    fn persist(
        &mut self,
        now: Offset,
        delta: &Tally,
        gauges: Option<Gauges>,
        ended: Option<EndedBy>,
    ) {
        let is_new = self.deal.as_ref().map_or(0, |deal| deal.epochs(0).count());
        let (started_at, halt) = match self.phase {
            Phase::Running { at, halt } => (Some(at), halt),
            _ => (None, None),
        };
        let same_halt = halt == self.books.halt_written;
        let same_epochs = is_new == self.books.epochs_written;
        let nothing = self.books.changed.is_empty() && same_epochs && same_halt;
        if !self.books.journal || (nothing && ended.is_none()) {
            return;
        }
        let epochs = self
            .deal
            .iter()
            .flat_map(|deal| deal.epochs(self.books.epochs_written));
        let epochs = epochs.cloned().collect();
        let changed = std::mem::take(&mut self.books.changed);
        let of = changed.iter().filter_map(|&worker| {
            let member = self.roster.member(worker)?;
            Some((worker, member))
        });
        let acks = of
            .clone()
            .map(|(worker, member)| (worker, member.ledger.merged_to()));
        self.books.frames += 1;
        let number = self.books.frames;
        let unwritten = (number, acks.collect());
        self.books.halt_written = halt;
        let frame = Frame {
            number,
            run: self.config.run,
            at: now,
            started_at,
            halt,
            epochs,
            members: of
                .map(|(worker, member)| (worker, member.standing()))
                .collect(),
            delta: delta.clone(),
            to: self.books.to,
            gauges,
            ended,
        };
        self.books.epochs_written = is_new;
        self.books.unwritten.push_back(unwritten);
        self.output(Output::Persist(Box::new(frame)));
    }

    /// A frame is on disk: what is in it is acknowledged.
    pub(super) fn persisted(&mut self, number: u64) {
        let mut acks = Vec::new();
        let unwritten = &mut self.books.unwritten;
        while let Some((_, of)) = unwritten.front().filter(|(first, _)| *first <= number) {
            acks.extend(of);
            unwritten.pop_front();
        }
        self.acknowledge(acks);
    }

    /// Nothing can be written down any more: what is merged is acknowledged as if there were no journal.
    pub(super) fn journal_broken(&mut self) {
        if !std::mem::take(&mut self.books.journal) {
            return;
        }
        self.books.unwritten.clear();
        self.books.changed.clear();
        let all = self.roster.iter();
        let acks = all.map(|(worker, member)| (worker, member.ledger.merged_to()));
        let acks = acks.collect();
        self.acknowledge(acks);
        self.event(MasterEvent::JournalBroken);
    }

    /// Acknowledges what is merged of a worker, unless that has to be written down first.
    pub(super) fn acknowledge_merged(&mut self, worker: u32) {
        if !self.books.journal
            && let Some(member) = self.roster.member(worker)
        {
            let seq = member.ledger.merged_to();
            self.acknowledge(vec![(worker, seq)]);
        }
    }

    fn acknowledge(&mut self, acks: Vec<(u32, u64)>) {
        let run = self.config.run;
        for (worker, seq) in acks.into_iter().filter(|&(_, seq)| seq > 0) {
            if let Some(member) = self.roster.member_mut(worker) {
                member.acked = member.acked.max(seq);
            }
            self.tell(worker, ToWorker::Ack { run, seq });
        }
    }
}
