//! A worker's intervals on their way to the master: numbered once, kept until acknowledged, sent again after a reconnect.
//! It is bounded: under pressure intervals that were never numbered are merged, and nothing is ever dropped.

use std::collections::VecDeque;

use super::{Gauges, Interval};
use crate::domain::Offset;
use crate::metrics::Tally;

/// Numbered intervals that may be unacknowledged. A number may have been merged already, so these never change.
pub(super) const WINDOW: usize = 32;

/// Intervals without a number; one more merges the two oldest.
const BACKLOG: usize = 32;

/// The intervals of one run that are not acknowledged yet.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    run: u64,
    last_seq: u64,
    numbered: VecDeque<Interval>,
    /// How many of `numbered` were sent on this connection.
    sent: usize,
    backlog: VecDeque<Fresh>,
}

/// An interval that has no number yet.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    pub(super) from: Offset,
    pub(super) to: Offset,
    pub(super) gauges: Gauges,
    pub(super) tally: Box<Tally>,
}

impl Fresh {
    fn extend(&mut self, later: &Self) {
        self.to = later.to;
        self.gauges = later.gauges;
        self.tally.merge(&later.tally);
    }
}

impl Outbox {
    pub(super) fn new(run: u64) -> Self {
        Self {
            run,
            last_seq: 0,
            numbered: VecDeque::new(),
            sent: 0,
            backlog: VecDeque::new(),
        }
    }

    /// Takes an interval in; merges the two oldest without a number when there are too many.
    pub(super) fn push(&mut self, fresh: Fresh) {
        self.backlog.push_back(fresh);
        if self.backlog.len() <= BACKLOG {
            return;
        }
        if let Some(mut oldest) = self.backlog.pop_front()
            && let Some(next) = self.backlog.pop_front()
        {
            oldest.extend(&next);
            self.backlog.push_front(oldest);
        }
    }

    /// What to send next on this connection; `None` while the window is full or nothing is left.
    pub(super) fn next(&mut self) -> Option<Interval> {
        if self.sent == self.numbered.len() && self.numbered.len() < WINDOW {
            let fresh = self.backlog.pop_front()?;
            self.number(fresh);
        }
        let interval = self.numbered.get(self.sent).cloned()?;
        self.sent += 1;
        Some(interval)
    }

    fn number(&mut self, fresh: Fresh) {
        self.last_seq += 1;
        let mut tally = *fresh.tally;
        // It is copied for each sending and kept until acknowledged.
        tally.pack();
        self.numbered.push_back(Interval {
            run: self.run,
            seq: self.last_seq,
            from: fresh.from,
            to: fresh.to,
            gauges: fresh.gauges,
            tally,
        });
    }

    /// Forgets what is acknowledged. Numbers that were never given are ignored.
    pub(super) fn ack(&mut self, seq: u64) {
        if seq > self.last_seq {
            return;
        }
        while self.numbered.front().is_some_and(|front| front.seq <= seq) {
            self.numbered.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// A new connection: everything that is unacknowledged is sent again.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// Whether everything was sent on this connection.
    pub(super) fn is_sent(&self) -> bool {
        self.backlog.is_empty() && self.sent == self.numbered.len()
    }

    /// Whether everything is acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.backlog.is_empty() && self.numbered.is_empty()
    }

    /// How many intervals are not acknowledged.
    pub(super) fn unacked(&self) -> usize {
        self.backlog.len() + self.numbered.len()
    }

    /// The last number given.
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(second: u64) -> Fresh {
        let mut tally = Tally::default();
        tally.counts.sent = 1;
        Fresh {
            from: Offset::from_nanos(second),
            to: Offset::from_nanos(second + 1),
            gauges: Gauges::default(),
            tally: Box::new(tally),
        }
    }

    #[test]
    fn a_numbered_interval_never_changes_and_is_sent_again_until_acknowledged() {
        let mut outbox = Outbox::new(1);
        outbox.push(fresh(0));
        let first = outbox.next().unwrap();
        for second in 1..200 {
            outbox.push(fresh(second));
        }
        outbox.rewind();
        assert_eq!(outbox.next(), Some(first));
        outbox.ack(1);
        outbox.rewind();
        assert_eq!(outbox.next().unwrap().seq, 2);
    }

    #[test]
    fn under_pressure_intervals_merge_and_nothing_is_dropped() {
        let mut outbox = Outbox::new(1);
        for second in 0..500 {
            outbox.push(fresh(second));
            assert!(outbox.unacked() <= WINDOW + BACKLOG);
            if second == 10 {
                while outbox.next().is_some() {}
            }
        }
        let (mut sent, mut next_from) = (0, 0);
        outbox.rewind();
        while !outbox.is_empty() {
            let interval = outbox.next().unwrap();
            assert_eq!(interval.from.as_nanos(), next_from);
            next_from = interval.to.as_nanos();
            sent += interval.tally.counts.sent;
            outbox.ack(interval.seq);
        }
        assert_eq!((sent, next_from), (500, 500));
    }

    #[test]
    fn the_window_holds_back_and_an_ack_opens_it() {
        let mut outbox = Outbox::new(1);
        let mut sent = 0;
        for second in 0..40 {
            outbox.push(fresh(second));
            sent += std::iter::from_fn(|| outbox.next()).count();
        }
        assert_eq!(sent, WINDOW);
        assert!(!outbox.is_sent());
        outbox.ack(3);
        outbox.ack(1_000);
        assert_eq!(std::iter::from_fn(|| outbox.next()).count(), 3);
    }
}
