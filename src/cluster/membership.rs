//! Who is there: workers by number, by connection and by incarnation, and when each was last heard of.
//! It sends nothing and merges nothing; what a loss means is the master's business.

use std::collections::BTreeMap;
use std::time::Duration;

use super::journal::Standing;
use super::ledger::Ledger;
use super::{ClockEstimate, Gauges, Hello, Totals, WorkerState};
use crate::domain::Offset;

/// A connection, numbered by whoever accepts them. Identity belongs to it, not to a field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// One worker, over all of its connections.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that has happened to it, in any combination"
)]
pub(super) struct Member {
    pub(super) hello: Hello,
    pub(super) conn: Option<ConnId>,
    pub(super) last_heard: Offset,
    pub(super) state: WorkerState,
    /// Its place among those who have a part in the run.
    pub(super) part: Option<u32>,
    /// The last epoch that it knew of.
    pub(super) epoch: u32,
    /// Its own books, once it said that there will be no more.
    pub(super) totals: Option<Totals>,
    /// The last interval that was acknowledged.
    pub(super) acked: u64,
    /// It was lost at some time, also if it came back.
    pub(super) was_missing: bool,
    /// It fell silent on a connection that is still open: it may be behind a broken network, and come back.
    pub(super) cut_off: bool,
    pub(super) clock: Option<ClockEstimate>,
    pub(super) gauges: Gauges,
    pub(super) ledger: Ledger,
    /// The last interval's number, once it said that there will be no more.
    pub(super) last_seq: Option<u64>,
    /// It was told to go and did so before the run was over.
    pub(super) left_early: bool,
    /// It was told until when it is to send.
    pub(super) sent_off: bool,
    /// Others have its share from then on.
    pub(super) handed_over: bool,
}

impl Member {
    /// Whether it was told to begin and more is to come from it.
    pub(super) fn is_at_work(&self) -> bool {
        self.state == WorkerState::Running
    }

    /// What is to be written down of it.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            hello: self.hello.clone(),
            state: self.state,
            part: self.part,
            left_early: self.left_early,
            handed_over: self.handed_over,
            was_missing: self.was_missing,
            last: self.last_seq.zip(self.totals),
            clock: self.clock,
            merged_to: self.ledger.merged_to(),
            ahead: self.ledger.ahead(),
            intervals: self.ledger.intervals(),
            counts: self.ledger.counts(),
            finished: self.ledger.finished(),
            confirmed_to: self.ledger.confirmed_to(),
        }
    }

    /// A worker as another master wrote it down, without a connection.
    pub(super) fn standing_as(standing: Standing, now: Offset) -> Self {
        let ledger = Ledger::restored(&standing);
        Self {
            part: standing.part,
            state: standing.state,
            left_early: standing.left_early,
            handed_over: standing.handed_over,
            was_missing: standing.was_missing,
            last_seq: standing.last.map(|(seq, _)| seq),
            totals: standing.last.map(|(_, totals)| totals),
            clock: standing.clock,
            acked: standing.merged_to,
            ledger,
            conn: None,
            ..newcomer(now, ConnId(0), standing.hello)
        }
    }

    /// Whether all of its intervals are merged and no more will come.
    pub(super) fn is_complete(&self) -> bool {
        self.last_seq
            .is_some_and(|last| self.ledger.merged_to() >= last)
    }
}

/// All workers of a master's life.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    members: BTreeMap<u32, Member>,
    by_conn: BTreeMap<ConnId, u32>,
    next: u32,
    /// Nobody who is watched was last heard of before this; `None` when nobody was watched at the last look.
    heard_since: Option<Offset>,
}

/// What a hello turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A worker that was not known.
    New(u32),
    /// A known one on another connection; the connection that it had before, if it was still open.
    Again(u32, Option<ConnId>),
}

impl Roster {
    /// Ties `conn` to the worker that says `hello`.
    ///
    /// A worker is known again by its incarnation, 64 random bits that only it and its master know.
    pub(super) fn arrive(&mut self, now: Offset, conn: ConnId, hello: Hello) -> Arrival {
        self.watch_from(now);
        let known = self
            .members
            .iter()
            .find(|(_, member)| member.hello.incarnation == hello.incarnation)
            .map(|(&worker, _)| worker);
        if let Some(worker) = known {
            let before = self.reconnect(now, worker, conn);
            return Arrival::Again(worker, before);
        }
        let worker = self.next;
        self.next += 1;
        self.by_conn.insert(conn, worker);
        self.members.insert(worker, newcomer(now, conn, hello));
        Arrival::New(worker)
    }

    /// Whether this worker was here before.
    pub(super) fn knows(&self, hello: &Hello) -> bool {
        self.members
            .values()
            .any(|member| member.hello.incarnation == hello.incarnation)
    }

    /// Notes that a worker was heard of.
    pub(super) fn heard(&mut self, now: Offset, worker: u32) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.last_heard = now;
            self.watch_from(now);
        }
    }

    fn watch_from(&mut self, at: Offset) {
        self.heard_since = Some(self.heard_since.map_or(at, |since| since.min(at)));
    }

    fn reconnect(&mut self, now: Offset, worker: u32, conn: ConnId) -> Option<ConnId> {
        let member = self.members.get_mut(&worker)?;
        member.last_heard = now;
        let before = member.conn.replace(conn);
        if let Some(before) = before {
            self.by_conn.remove(&before);
        }
        self.by_conn.insert(conn, worker);
        before.filter(|&before| before != conn)
    }

    /// Takes back a silence that was not the workers' own.
    pub(super) fn forgive(&mut self, span: Duration) {
        for member in self.members.values_mut() {
            member.last_heard = member.last_heard + span;
        }
    }

    /// The worker behind a connection.
    pub(super) fn worker(&self, conn: ConnId) -> Option<u32> {
        self.by_conn.get(&conn).copied()
    }

    /// Notes that a connection is gone; the worker may come back on another.
    pub(super) fn disconnect(&mut self, conn: ConnId) {
        if let Some(worker) = self.by_conn.remove(&conn)
            && let Some(member) = self.members.get_mut(&worker)
        {
            member.conn = None;
        }
    }

    /// Puts a worker in that another master knew, without a connection.
    pub(super) fn restore(&mut self, worker: u32, member: Member) {
        self.next = self.next.max(worker + 1);
        self.watch_from(member.last_heard);
        self.members.insert(worker, member);
    }

    /// Numbers up to `highest` are not given to anybody new.
    pub(super) fn reserve(&mut self, highest: u32) {
        self.next = self.next.max(highest.saturating_add(1));
    }

    /// Forgets a worker that had no part in a run.
    pub(super) fn forget(&mut self, worker: u32) -> Option<Member> {
        let member = self.members.remove(&worker)?;
        if let Some(conn) = member.conn {
            self.by_conn.remove(&conn);
        }
        Some(member)
    }

    pub(super) fn member(&self, worker: u32) -> Option<&Member> {
        self.members.get(&worker)
    }

    pub(super) fn member_mut(&mut self, worker: u32) -> Option<&mut Member> {
        self.members.get_mut(&worker)
    }

    /// All of them, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Member)> {
        self.members
            .iter()
            .map(|(&worker, member)| (worker, member))
    }

    /// The open connections of workers.
    pub(super) fn conns(&self) -> Vec<ConnId> {
        self.by_conn.keys().copied().collect()
    }

    /// How many are connected.
    pub(super) fn connected(&self) -> u32 {
        u32::try_from(self.by_conn.len()).unwrap_or(u32::MAX)
    }

    /// Connected workers without a part, by number.
    pub(super) fn idle(&self) -> Vec<u32> {
        self.iter()
            .filter(|(_, member)| member.part.is_none() && member.conn.is_some())
            .map(|(worker, _)| worker)
            .collect()
    }

    /// Workers that were not heard of for `span`, and that anybody waits for.
    pub(super) fn silent(&self, now: Offset, span: Duration) -> Vec<u32> {
        self.watched()
            .filter(|(_, member)| now >= member.last_heard + span)
            .map(|(worker, _)| worker)
            .collect()
    }

    /// No worker will have been silent for `span` before this. It is asked with every message, so it does not look at all
    /// workers: `look_again` does, when the time has come.
    pub(super) fn next_silence(&self, span: Duration) -> Option<Offset> {
        self.heard_since.map(|since| since + span)
    }

    /// Finds out who was not heard of for the longest time.
    pub(super) fn look_again(&mut self) {
        self.heard_since = self.watched().map(|(_, member)| member.last_heard).min();
    }

    fn watched(&self) -> impl Iterator<Item = (u32, &Member)> {
        self.iter()
            .filter(|(_, member)| !matches!(member.state, WorkerState::Done | WorkerState::Lost))
    }

    /// The gauges of all workers that are at work, added up.
    pub(super) fn gauges(&self) -> Gauges {
        self.members
            .values()
            .filter(|member| member.is_at_work())
            .fold(Gauges::default(), |sum, member| Gauges {
                users: sum.users.saturating_add(member.gauges.users),
                in_flight: sum.in_flight.saturating_add(member.gauges.in_flight),
                waiting: sum.waiting.saturating_add(member.gauges.waiting),
            })
    }
}

fn newcomer(now: Offset, conn: ConnId, hello: Hello) -> Member {
    Member {
        hello,
        conn: Some(conn),
        last_heard: now,
        state: WorkerState::Idle,
        part: None,
        epoch: 0,
        totals: None,
        acked: 0,
        was_missing: false,
        cut_off: false,
        clock: None,
        gauges: Gauges::default(),
        ledger: Ledger::default(),
        last_seq: None,
        left_early: false,
        sent_off: false,
        handed_over: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(incarnation: u64) -> Hello {
        Hello {
            version: "1".to_owned(),
            protocol: 1,
            name: format!("w{incarnation}"),
            incarnation,
            cores: 1,
            run: None,
        }
    }

    #[test]
    fn a_worker_is_known_again_on_another_connection_and_its_old_one_is_named() {
        let mut roster = Roster::default();
        let at = Offset::ZERO;
        assert_eq!(roster.arrive(at, ConnId(1), hello(7)), Arrival::New(0));
        assert_eq!(roster.arrive(at, ConnId(2), hello(8)), Arrival::New(1));
        let again = roster.arrive(at, ConnId(3), hello(7));
        assert_eq!(again, Arrival::Again(0, Some(ConnId(1))));
        assert_eq!(
            (roster.worker(ConnId(1)), roster.worker(ConnId(3))),
            (None, Some(0))
        );
        roster.disconnect(ConnId(1));
        assert_eq!(roster.connected(), 2);
    }

    #[test]
    fn silence_is_measured_from_the_last_word() {
        let mut roster = Roster::default();
        let second = |s: u64| Offset::from_nanos(s * 1_000_000_000);
        roster.arrive(second(1), ConnId(1), hello(7));
        let span = Duration::from_secs(3);
        assert_eq!(roster.next_silence(span), Some(second(4)));
        assert!(roster.silent(second(3), span).is_empty());
        assert_eq!(roster.silent(second(4), span), vec![0]);
    }
}
