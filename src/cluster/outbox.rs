//! A worker's intervals on their way to the master: numbered once, kept until acknowledged, sent again after a reconnect.
//! It is bounded: under pressure intervals that were never numbered are merged, and nothing is ever dropped. Answers that are
//! kept one by one do not get fewer by that: they are dealt to intervals that fit into a message, and those wait in full. How
//! many can come is bounded by the lease: who hears nothing of its master sends nothing.

use std::collections::VecDeque;

use super::wire::bytes_of_times;
use super::{Gauges, Interval};
use crate::domain::{Answer, Offset};
use crate::metrics::Tally;

/// Numbered intervals that may be unacknowledged. A number may have been merged already, so these never change.
pub(super) const WINDOW: usize = 32;

/// Intervals without a number; one more merges the two oldest.
const BACKLOG: usize = 32;

/// Most bytes of answers in one interval: with everything else far less than a message may have.
const PORTION: usize = 4 << 20;

/// Bytes of an answer beside its words, at most.
const PLAIN: usize = 168;

/// The intervals of one run that are not acknowledged yet.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    run: u64,
    last_seq: u64,
    numbered: VecDeque<Interval>,
    /// How many of `numbered` were sent on this connection.
    sent: usize,
    backlog: VecDeque<Waiting>,
}

/// An interval and about how many bytes its answers have.
#[derive(Clone, Debug)]
struct Waiting {
    fresh: Fresh,
    weight: usize,
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
    /// Takes `later` in.
    fn extend(&mut self, later: Self) {
        self.to = later.to;
        self.gauges = later.gauges;
        self.tally.absorb(*later.tally);
    }

    /// Answers that are too many for a message, as intervals of no length before this one; what is left stays.
    fn portions(&mut self) -> Vec<Waiting> {
        let mut portions = Vec::new();
        if self.tally.answers.is_empty() {
            return portions;
        }
        let mut portion = Tally::default();
        let mut weight = 0;
        for (index, answer) in std::mem::take(&mut self.tally.answers) {
            let more = bytes_of(&answer);
            if weight + more > PORTION {
                let mut tally = std::mem::take(&mut portion);
                tally.answers_at_most = self.tally.answers_at_most;
                portions.push(self.portion(tally, std::mem::take(&mut weight)));
            }
            weight += more;
            portion.answers.insert(index, answer);
        }
        self.tally.answers = portion.answers;
        portions
    }

    fn portion(&self, tally: Tally, weight: usize) -> Waiting {
        let fresh = Self {
            from: self.from,
            to: self.from,
            gauges: self.gauges,
            tally: Box::new(tally),
        };
        Waiting { fresh, weight }
    }
}

fn weight_of(tally: &Tally) -> usize {
    tally.answers.values().map(bytes_of).sum()
}

fn bytes_of(answer: &Answer) -> usize {
    let text = answer.text.as_ref().map_or(0, String::len);
    PLAIN + answer.error.len() + text + bytes_of_times(answer)
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

    /// Takes an interval in; when there are too many without a number, merges the two oldest whose answers fit into one message.
    pub(super) fn push(&mut self, mut fresh: Fresh) {
        self.backlog.extend(fresh.portions());
        let weight = weight_of(&fresh.tally);
        self.backlog.push_back(Waiting { fresh, weight });
        while self.backlog.len() > BACKLOG && self.merge_two() {}
    }

    /// Says whether there were two to merge.
    fn merge_two(&mut self) -> bool {
        let next = self.backlog.iter().skip(1);
        let pairs = self.backlog.iter().zip(next);
        let light = |(one, other): (&Waiting, &Waiting)| one.weight + other.weight <= PORTION;
        let Some(at) = pairs.map(light).position(|is_light| is_light) else {
            return false;
        };
        if let Some(later) = self.backlog.remove(at + 1)
            && let Some(earlier) = self.backlog.get_mut(at)
        {
            earlier.weight += later.weight;
            earlier.fresh.extend(later.fresh);
        }
        true
    }

    /// What to send next on this connection; `None` while the window is full or nothing is left.
    pub(super) fn next(&mut self) -> Option<Interval> {
        if self.sent == self.numbered.len() && self.numbered.len() < WINDOW {
            let waiting = self.backlog.pop_front()?;
            self.number(waiting.fresh);
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
    use crate::cluster::ToMaster;
    use crate::cluster::tests::answer;
    use crate::cluster::wire::encode_to_master;
    use crate::domain::Index;

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

    fn answered(second: u64, answers: u64, bytes: usize) -> Fresh {
        let mut fresh = fresh(second);
        for nth in 0..answers {
            let answer = answer(second, "x".repeat(bytes));
            let index = Index::Arrival(second * 1_000 + nth);
            fresh.tally.answers.insert(index, answer);
        }
        fresh
    }

    /// How many answers come out, and how many intervals; each of them fits into a message.
    fn delivered(outbox: &mut Outbox) -> (usize, usize, u64) {
        let (mut answers, mut intervals, mut sent, mut at) = (0, 0, 0, 0);
        while let Some(interval) = outbox.next() {
            assert!(interval.from.as_nanos() >= at && interval.to >= interval.from);
            at = interval.to.as_nanos();
            answers += interval.tally.answers.len();
            intervals += 1;
            sent += interval.tally.counts.sent;
            outbox.ack(interval.seq);
            let message = ToMaster::Interval(Box::new(interval));
            assert!(encode_to_master(message).is_ok());
        }
        (answers, intervals, sent)
    }

    #[test]
    fn more_answers_than_a_message_holds_are_dealt_to_several() {
        let mut outbox = Outbox::new(1);
        // 19 MiB and 300 bytes each.
        outbox.push(answered(0, 300, 64 << 10));
        assert_eq!(delivered(&mut outbox), (300, 5, 1));
    }

    #[test]
    fn times_of_events_count_as_what_they_take_in_a_message() {
        let mut outbox = Outbox::new(1);
        let mut fresh = answered(0, 60, 0);
        for answer in fresh.tally.answers.values_mut() {
            answer.end = Offset::from_nanos(u64::MAX);
            // 20 ms apart: four bytes each, 256 KiB.
            let times = (1..=64 << 10).map(|nth| Offset::from_nanos(nth * 20_000_000));
            answer.arrivals = times.collect();
        }
        fresh.tally.answers_at_most = Some(1_000);
        outbox.push(fresh);
        assert!(outbox.backlog.iter().all(|it| it.weight <= PORTION));
        let limits = outbox
            .backlog
            .iter()
            .map(|it| it.fresh.tally.answers_at_most);
        assert!(limits.clone().all(|most| most == Some(1_000)));
        // 15 MiB, 15 answers to a portion.
        assert_eq!(delivered(&mut outbox), (60, 4, 1));
    }

    #[test]
    fn under_pressure_answers_wait_one_by_one_where_they_do_not_fit_together() {
        let mut outbox = Outbox::new(1);
        for second in 0..200 {
            outbox.push(answered(
                second,
                3,
                if second % 2 == 0 { 1 << 10 } else { 60 << 10 },
            ));
            assert!(
                outbox
                    .backlog
                    .iter()
                    .all(|waiting| waiting.weight == weight_of(&waiting.fresh.tally))
            );
        }
        assert!(outbox.backlog.len() <= BACKLOG);
        assert_eq!(delivered(&mut outbox).0, 600);
        for second in 0..60 {
            outbox.push(answered(second, 50, 60 << 10));
        }
        // 176 MiB: 3 MiB each, and no two of them in one.
        assert_eq!(outbox.backlog.len(), 60);
        outbox.push(fresh(60));
        outbox.push(fresh(61));
        // These two can be merged, with each other and into the last.
        assert_eq!(outbox.backlog.len(), 60);
        assert_eq!(delivered(&mut outbox), (3_000, 60, 62));
    }
}
