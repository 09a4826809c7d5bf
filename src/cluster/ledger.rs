//! What one worker's intervals add up to: which were merged, what they count, and what is missing when it goes away.
//! It holds no histogram and merges no tally; the master does.

use std::collections::BTreeSet;

use super::Interval;
use super::journal::Standing;
use crate::domain::Offset;
use crate::metrics::{Counts, Tally};

/// Intervals that may be merged ahead of a missing one. Ours never leaves a gap; who does is not ours.
const MOST_AHEAD: u64 = 1_024;

/// The books of one worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    merged_to: u64,
    ahead: BTreeSet<u64>,
    intervals: u64,
    counts: Counts,
    finished: u64,
    confirmed_to: Offset,
}

/// What to do with an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Merge it.
    New,
    /// It was merged before.
    Seen,
    /// Its number cannot be right.
    Absurd,
}

/// What a worker's departure takes out of the merged counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loss {
    /// Its part of the schedule that it never reported as due.
    pub(super) unreported: u64,
    /// Due, and waiting for a user when it was last heard of.
    pub(super) waiting: u64,
    /// In flight when it was last heard of; nobody knows what became of them.
    pub(super) in_flight: u64,
}

impl Ledger {
    /// Books an interval, unless its number was booked before.
    pub(super) fn admit(&mut self, interval: &Interval) -> Admission {
        let seq = interval.seq;
        if seq == 0 || seq > self.merged_to + MOST_AHEAD {
            return Admission::Absurd;
        }
        if seq <= self.merged_to || !self.ahead.insert(seq) {
            return Admission::Seen;
        }
        while self.ahead.remove(&(self.merged_to + 1)) {
            self.merged_to += 1;
        }
        self.book(interval);
        Admission::New
    }

    fn book(&mut self, interval: &Interval) {
        self.intervals += 1;
        self.confirmed_to = self.confirmed_to.max(interval.to);
        let more = interval.tally.counts;
        let sum = &mut self.counts;
        sum.scheduled = sum.scheduled.saturating_add(more.scheduled);
        sum.sent = sum.sent.saturating_add(more.sent);
        sum.dropped = sum.dropped.saturating_add(more.dropped);
        sum.late_cancelled = sum.late_cancelled.saturating_add(more.late_cancelled);
        sum.lost = sum.lost.saturating_add(more.lost);
        self.finished = self.finished.saturating_add(finished(&interval.tally));
    }

    /// The books as another master wrote them down.
    pub(super) fn restored(standing: &Standing) -> Self {
        Self {
            merged_to: standing.merged_to,
            ahead: standing.ahead.iter().copied().collect(),
            intervals: standing.intervals,
            counts: standing.counts,
            finished: standing.finished,
            confirmed_to: standing.confirmed_to,
        }
    }

    /// Numbers that were merged beyond a missing one.
    pub(super) fn ahead(&self) -> Vec<u64> {
        self.ahead.iter().copied().collect()
    }

    /// The highest number up to which none is missing.
    pub(super) fn merged_to(&self) -> u64 {
        self.merged_to
    }

    /// How many intervals were merged.
    pub(super) fn intervals(&self) -> u64 {
        self.intervals
    }

    /// What they count.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Requests that ended.
    pub(super) fn finished(&self) -> u64 {
        self.finished
    }

    /// Until when the worker's measurements are known.
    pub(super) fn confirmed_to(&self) -> Offset {
        self.confirmed_to
    }

    /// What is unknown about a worker that went away and owned `owed` arrivals (open loop) of the time that was run.
    pub(super) fn loss(&self, owed: Option<u64>) -> Loss {
        Loss {
            unreported: self.unreported(owed),
            waiting: waiting(self.counts),
            in_flight: self.counts.sent.saturating_sub(self.finished),
        }
    }

    /// The arrivals of `owed` that were never reported as due.
    pub(super) fn unreported(&self, owed: Option<u64>) -> u64 {
        owed.unwrap_or(0).saturating_sub(self.counts.scheduled)
    }
}

impl Loss {
    /// Moves the loss into `counts`, so that scheduled = sent + dropped + late-cancelled + lost holds, and
    /// sent = finished + in flight: requests of an unknown end are lost ones, no longer sent ones.
    pub(super) fn apply(self, counts: &mut Counts) {
        counts.scheduled += self.unreported;
        counts.lost += self.unreported + self.waiting + self.in_flight;
        counts.sent = counts.sent.saturating_sub(self.in_flight);
    }
}

/// Requests that ended, however they did.
pub(super) fn finished(tally: &Tally) -> u64 {
    let outcomes = [&tally.warmup.outcomes, &tally.measured.outcomes];
    outcomes.into_iter().flat_map(|of| of.values()).sum()
}

/// Requests that were due and that nothing became of yet.
pub(super) fn waiting(counts: Counts) -> u64 {
    let known = counts.sent + counts.dropped + counts.late_cancelled + counts.lost;
    counts.scheduled.saturating_sub(known)
}

#[cfg(test)]
mod tests {
    use super::super::Gauges;
    use super::*;
    use crate::domain::Outcome;

    fn interval(seq: u64, scheduled: u64, sent: u64, ok: u64) -> Interval {
        let mut tally = Tally::default();
        tally.counts.scheduled = scheduled;
        tally.counts.sent = sent;
        tally.measured.outcomes.insert(Outcome::Ok, ok);
        let to = Offset::from_nanos(seq * 1_000_000_000);
        Interval {
            run: 1,
            seq,
            from: Offset::ZERO,
            to,
            gauges: Gauges::default(),
            tally,
        }
    }

    #[test]
    fn a_number_counts_once_in_any_order_and_the_ack_waits_for_gaps() {
        let mut ledger = Ledger::default();
        let mut admit = |seq| {
            let admission = ledger.admit(&interval(seq, 1, 1, 1));
            (admission, ledger.merged_to())
        };
        assert_eq!(admit(2), (Admission::New, 0));
        assert_eq!(admit(2), (Admission::Seen, 0));
        assert_eq!(admit(1), (Admission::New, 2));
        assert_eq!(admit(1), (Admission::Seen, 2));
        assert_eq!(admit(0), (Admission::Absurd, 2));
        assert_eq!(admit(5_000), (Admission::Absurd, 2));
        assert_eq!(ledger.counts().sent, 2);
    }

    #[test]
    fn a_loss_keeps_both_identities() {
        let mut ledger = Ledger::default();
        ledger.admit(&interval(1, 10, 8, 5));
        let loss = ledger.loss(Some(30));
        assert_eq!((loss.unreported, loss.waiting, loss.in_flight), (20, 2, 3));
        let mut counts = ledger.counts();
        loss.apply(&mut counts);
        assert_eq!((counts.scheduled, counts.sent, counts.lost), (30, 5, 25));
    }
}
