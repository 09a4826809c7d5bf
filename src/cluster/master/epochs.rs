//! A master that deals again: after a loss, a join or a leave, or because the user wants another load.
//! It decides when and for whom; `deal` decides who gets what.

use std::time::Duration;

use super::{Master, MasterEvent, OnLoss, Phase};
use crate::cluster::deal::Epoch;
use crate::cluster::membership::Member;
use crate::cluster::{ToWorker, WorkerState};
use crate::domain::{Offset, Rate};
use crate::schedule::Load;

/// Workers that come or go together are dealt with together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Most users, over the whole cluster, that a change may ask for: what one worker owns must fit into a message.
const MOST_USERS: u32 = 1_000_000;

/// Another load than the one that the run has now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// So many users, or requests in flight.
    Users(u32),
    /// So many users more, or fewer.
    MoreUsers(i32),
    /// Users that start from now on start at this rate.
    SpawnRate(Rate),
    /// The arrivals of an open loop.
    Rate(Rate),
    /// Nothing is begun.
    Pause,
    /// Things are begun again.
    Resume,
}

/// Why a change cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to change yet.
    #[error("the run has not begun")]
    NotRunning,
    /// It is over, or about to be.
    #[error("the run is ending")]
    Ending,
    /// A closed loop's rate follows from its users.
    #[error("the run is a closed loop: its users set its rate")]
    Closed,
    /// Bursts and traces have times and no rate.
    #[error("the run's requests are due at times of their own: it has no rate")]
    Timed,
    /// A run that is limited by count deals the count to its users at its start.
    #[error("the run sends a fixed number of requests, which are dealt to its users")]
    Counted,
    /// More than anybody can be told of.
    #[error("{MOST_USERS} users are the most")]
    TooMany,
}

impl Master {
    /// Takes a wish of the user; tells from when on, in the run's time, it will be so.
    ///
    /// # Errors
    ///
    /// When the run is not one that can be changed now.
    pub fn change(&mut self, now: Offset, change: Change) -> Result<Offset, Refusal> {
        let Phase::Running { halt, .. } = self.phase else {
            return Err(if self.phase == Phase::Ended {
                Refusal::Ending
            } else {
                Refusal::NotRunning
            });
        };
        let from = self.next_epoch_from(now + TOGETHER);
        let Some(from) = from.filter(|_| halt.is_none()) else {
            return Err(Refusal::Ending);
        };
        let mut load = self.load_wanted();
        match change {
            Change::Users(users) => load.users = users,
            Change::MoreUsers(more) => load.users = load.users.saturating_add_signed(more),
            Change::SpawnRate(rate) => load.spawn_rate = rate,
            Change::Rate(_) if !self.config.plan.schedule.is_open() => return Err(Refusal::Closed),
            Change::Rate(_) if !self.config.plan.schedule.has_rate() => return Err(Refusal::Timed),
            Change::Rate(rate) => load.rate = Some(rate),
            Change::Pause => load.paused = true,
            Change::Resume => load.paused = false,
        }
        if self.is_counted_closed() && load.users != self.load_wanted().users {
            return Err(Refusal::Counted);
        }
        if load.users > self.load_wanted().users.max(MOST_USERS) {
            return Err(Refusal::TooMany);
        }
        self.wanted = Some(load);
        self.recruit();
        self.deal_again_soon(now);
        Ok(from)
    }

    pub(super) fn load_wanted(&self) -> Load {
        let current = self.deal.as_ref().map(|deal| deal.current().load);
        let first = || Load::of(&self.config.plan.schedule);
        self.wanted.or(current).unwrap_or_else(first)
    }

    /// What the cluster does at `now`, and what it will do if that is another thing.
    pub(super) fn loads(&self, now: Offset) -> (Option<Load>, Option<(Offset, Load)>) {
        let (Some(time), Some(deal)) = (self.run_time(now), &self.deal) else {
            return (None, None);
        };
        let load = deal.epochs(0).take_while(|of| of.from <= time).last();
        let load = load.map(|of| of.load);
        let last = deal.current();
        let next = (Some(last.load) != load).then_some((last.from, last.load));
        (load, next)
    }

    fn is_counted_closed(&self) -> bool {
        self.config.plan.schedule.is_counted_closed()
    }

    /// Whether shares may be dealt anew when workers come and go.
    pub(super) fn rebalances(&self) -> bool {
        let halted = !matches!(self.phase, Phase::Running { halt: None, .. });
        self.config.on_loss == OnLoss::Rebalance && !halted && !self.is_counted_closed()
    }

    pub(super) fn deal_again_soon(&mut self, now: Offset) {
        let soon = now + TOGETHER;
        self.deal_again_at = Some(self.deal_again_at.map_or(soon, |at| at.min(soon)));
    }

    /// When an epoch that is made at `now` begins; `None` when the run is over by then.
    ///
    /// Whoever has not heard of it by then has had no answer to a heartbeat since, and its lease is over: nobody acts on an
    /// older epoch while others act on this one.
    pub(super) fn next_epoch_from(&self, now: Offset) -> Option<Offset> {
        let after = self.deal.as_ref()?.current().from + Duration::from_nanos(1);
        let from = (self.run_time(now)? + self.config.epoch_lead).max(after);
        let end = self.config.plan.schedule.end_of_sending();
        end.is_none_or(|end| from < end).then_some(from)
    }

    /// Makes an epoch of those who are there, announces it, and lets go who goes.
    pub(super) fn deal_again(&mut self, now: Offset) {
        self.deal_again_at = None;
        self.make_epoch(now);
        self.send_off(now);
    }

    fn make_epoch(&mut self, now: Offset) {
        let halted = !matches!(self.phase, Phase::Running { halt: None, .. });
        let (Some(from), false) = (self.next_epoch_from(now), halted) else {
            return;
        };
        let load = self.load_wanted();
        let members = self.members();
        let Some(deal) = self.deal.as_mut() else {
            return;
        };
        let current = deal.current();
        let same = (current.load, &current.members) == (load, &members);
        if members.is_empty() {
            return;
        }
        if same {
            // One of them may have lost its start with another master.
            self.enlist();
            self.announce();
            return;
        }
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        deal.change(Epoch {
            from,
            load,
            members,
        });
        let epoch = deal.last();
        self.event(MasterEvent::Changed {
            epoch,
            from,
            load,
            members: count,
        });
        // Who carries a share is written down with it.
        self.enlist();
        self.cut(now);
        self.announce();
    }

    /// Those who are new and have a share from now on are told that the run goes on.
    fn enlist(&mut self) {
        let (Some(at), Some(members)) = (
            self.started_at(),
            self.deal
                .as_ref()
                .map(|deal| deal.current().members.clone()),
        ) else {
            return;
        };
        for worker in members {
            let Some(member) = self.roster.member_mut(worker) else {
                continue;
            };
            if member.state == WorkerState::Ready {
                member.state = WorkerState::Running;
                let run = self.config.run;
                self.books.note(worker);
                self.tell(worker, ToWorker::Start { run, at });
            }
        }
    }

    /// Those who can carry a share from now on.
    fn members(&self) -> Vec<u32> {
        let set = |member: &Member| match member.state {
            WorkerState::Ready => member.conn.is_some(),
            WorkerState::Running => !member.left_early && member.last_seq.is_none(),
            _ => false,
        };
        let of = self.roster.iter().filter(|(_, member)| set(member));
        of.map(|(worker, _)| worker).collect()
    }

    /// Tells everybody at work what it owns by the last epoch.
    fn announce(&mut self) {
        for worker in self.at_work() {
            self.tell_shares(worker);
        }
    }

    /// Sends a worker all epochs that it may not have heard of, in their order.
    pub(super) fn tell_shares(&mut self, worker: u32) {
        let (Some(deal), Some(member)) = (&self.deal, self.roster.member(worker)) else {
            return;
        };
        let Some(conn) = member
            .conn
            .filter(|_| member.state != WorkerState::Preparing)
        else {
            return;
        };
        let run = self.config.run;
        let unheard =
            (member.epoch + 1..=deal.last()).filter_map(|epoch| deal.share(worker, epoch));
        let messages: Vec<ToWorker> = unheard
            .map(|share| ToWorker::Share {
                run,
                share: Box::new(share),
            })
            .collect();
        for message in messages {
            self.send(conn, message);
        }
    }

    /// Prepares idle workers while there are users for them.
    pub(super) fn recruit(&mut self) {
        if !self.rebalances() {
            return;
        }
        let wanted = self.load_wanted().users;
        for worker in self.roster.idle() {
            let at_work = u32::try_from(self.at_work().len()).unwrap_or(u32::MAX);
            if at_work >= wanted {
                return;
            }
            self.assign(worker, self.parts);
            self.parts += 1;
        }
    }
}
