//! Who owns what, epoch by epoch: arrivals by seats, users by a table. A pure function of the changes in their order,
//! so that a master that reads them from a journal deals as the one before it did.
//! It knows members by number; who is a member when is the master's business.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Offset, Seed};
use crate::schedule::{Arrivals, Load, Placed, Shard, Share, Spec};

/// A change of ownership: from `from` on `members` carry `load`.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// From when, in the run's time.
    pub from: Offset,
    /// What the cluster is to do.
    pub load: Load,
    /// Who takes part, by worker number, ascending.
    pub members: Vec<u32>,
}

/// All epochs of a run so far.
#[derive(Clone, Debug)]
pub(super) struct Deal {
    spec: Spec,
    epochs: Vec<Dealt>,
    /// Where each user of the last epoch lives.
    users: Vec<Home>,
    /// The same by worker, ascending.
    lists: BTreeMap<u32, Vec<u32>>,
}

/// Epochs that a worker may have slept through and still hear of as if it had not: they may all hold yet, one after another.
const REMEMBERED: usize = 16;

#[derive(Clone, Debug)]
struct Dealt {
    epoch: Epoch,
    /// The worker of each seat; arrival `i` belongs to seat `i` modulo their number.
    seats: Vec<u32>,
    /// How it came from the one before; `None` where that is forgotten.
    step: Option<Step>,
}

/// How an epoch came from the one before.
#[derive(Clone, Debug, Default)]
struct Step {
    /// Who starts and ends at a time of its own, by worker.
    moves: BTreeMap<u32, Moves>,
    /// Where each user lived by the epoch before, of those that live elsewhere by this one.
    lived: Vec<(u32, Option<u32>)>,
}

#[derive(Clone, Copy, Debug)]
struct Home {
    /// `None` when there is no member.
    worker: Option<u32>,
    /// When the user starts there.
    since: Offset,
    /// Where it lives until then.
    before: Option<u32>,
}

impl Step {
    fn note_move(&mut self, placed: Placed, from: Option<u32>, to: Option<u32>) {
        if let Some(from) = from {
            self.moves.entry(from).or_default().ends.push(placed);
        }
        if let Some(to) = to {
            self.moves.entry(to).or_default().starts.push(placed);
        }
    }
}

/// Where users lived that live elsewhere, or nowhere, from now on; those that are new lived nowhere.
fn lived(before: &[Home], after: &[Home]) -> Vec<(u32, Option<u32>)> {
    let worker = |homes: &[Home], at: usize| homes.get(at).and_then(|home| home.worker);
    (0..)
        .zip(0..before.len().max(after.len()))
        .map(|(user, at)| (user, worker(before, at), worker(after, at)))
        .filter(|(_, old, new)| old != new)
        .map(|(user, old, _)| (user, old))
        .collect()
}

impl Home {
    /// Whether the user is to start with `worker` at `from` or later, and lives nowhere until then.
    fn is_to_come(&self, from: Offset, worker: Option<u32>) -> bool {
        self.before.is_none()
            && self.worker.is_some()
            && self.worker == worker
            && self.since >= from
    }
}

#[derive(Clone, Debug, Default)]
struct Moves {
    starts: Vec<Placed>,
    ends: Vec<Placed>,
}

impl Deal {
    /// The run's start: user and arrival `i` belong to member `i` modulo their number.
    pub(super) fn first(spec: Spec, members: Vec<u32>) -> Self {
        let load = Load::of(&spec);
        // A member without a user could not send what it owned.
        let seats: Vec<u32> = members.iter().copied().take(load.users as usize).collect();
        let users = (0..load.users).zip(seats.iter().cycle());
        let users: Vec<Home> = users
            .map(|(user, &worker)| Home {
                worker: Some(worker),
                since: spec.spawn_at(user),
                before: None,
            })
            .collect();
        Self {
            lists: lists(&users),
            users,
            epochs: vec![Dealt {
                epoch: Epoch {
                    from: Offset::ZERO,
                    load,
                    members,
                },
                seats,
                step: Some(Step::default()),
            }],
            spec,
        }
    }

    /// The deal that these epochs, the first one included, led to.
    pub(super) fn replay(spec: Spec, epochs: Vec<Epoch>) -> Option<Self> {
        let mut epochs = epochs.into_iter();
        let mut deal = Self::first(spec, epochs.next()?.members);
        epochs.for_each(|epoch| deal.change(epoch));
        Some(deal)
    }

    /// Makes the next epoch. Users stay where they are as far as members' shares stay even to ±1; the others move, one
    /// after another at the spawn rate.
    pub(super) fn change(&mut self, epoch: Epoch) {
        let homes = self.homes(&epoch);
        let mut step = Step::default();
        let before = std::mem::take(&mut self.users);
        let mut place = 0;
        let as_fast = epoch.load.spawn_rate == self.current().load.spawn_rate;
        for (user, worker) in (0..epoch.load.users).zip(homes) {
            let old = before.get(user as usize).copied();
            let present = old.and_then(|home| home.at(epoch.from));
            // Who is still to start for the first time keeps its time: a ramp goes on.
            let waits = old.is_some_and(|home| home.is_to_come(epoch.from, worker)) && as_fast;
            let stays = waits || present.is_some() && present == worker;
            let since = match old {
                Some(home) if waits || stays && home.since < epoch.from => home.since,
                _ if stays => epoch.from,
                _ => epoch.from + epoch.load.spawn_rate.nth(place.into()).since(Offset::ZERO),
            };
            if !stays {
                step.note_move(Placed { user, place }, present, worker);
                place += 1;
            }
            self.users.push(Home {
                worker,
                since,
                before: present.filter(|_| !stays),
            });
        }
        step.lived = lived(&before, &self.users);
        self.lists = lists(&self.users);
        let seats = self.lists.keys().copied().collect();
        let step = Some(step);
        self.epochs.push(Dealt { epoch, seats, step });
        if let Some(old) = self.epochs.iter_mut().rev().nth(REMEMBERED) {
            old.step = None;
        }
    }

    /// Where each user is to live: at home while there is room, else with the member that has the most room.
    fn homes(&self, epoch: &Epoch) -> Vec<Option<u32>> {
        let count = epoch.load.users as usize;
        let mut homes: Vec<Option<u32>> = vec![None; count];
        let mut room = self.room(epoch);
        let old = self.users.iter().take(count);
        for (home, old) in homes.iter_mut().zip(old) {
            // A user that has not moved yet stays where it was, if it may; else its move goes on.
            let kept = [old.at(epoch.from), old.worker].into_iter().flatten();
            let kept = kept
                .into_iter()
                .find(|worker| room.get(worker).is_some_and(|&room| room > 0));
            if let Some(worker) = kept {
                *home = Some(worker);
                room.entry(worker).and_modify(|room| *room -= 1);
            }
        }
        let mut open: Vec<(u32, u32)> = room.into_iter().filter(|&(_, room)| room > 0).collect();
        let mut next = 0;
        for home in homes.iter_mut().filter(|home| home.is_none()) {
            if open.is_empty() {
                break;
            }
            next %= open.len();
            *home = Some(open[next].0);
            open[next].1 -= 1;
            if open[next].1 == 0 {
                open.remove(next);
            } else {
                next += 1;
            }
        }
        homes
    }

    /// How many users each member may have: even shares, the odd ones with those who have most already.
    fn room(&self, epoch: &Epoch) -> BTreeMap<u32, u32> {
        let of = u32::try_from(epoch.members.len()).unwrap_or(u32::MAX);
        let Some(even) = epoch.load.users.checked_div(of) else {
            return BTreeMap::new();
        };
        let mut has: BTreeMap<u32, u32> = epoch.members.iter().map(|&worker| (worker, 0)).collect();
        for home in self.users.iter().take(epoch.load.users as usize) {
            if let Some(worker) = home.at(epoch.from).or(home.worker) {
                has.entry(worker).and_modify(|has| *has += 1);
            }
        }
        let mut order: Vec<(u32, u32)> = has.into_iter().collect();
        order.sort_by_key(|&(worker, has)| (std::cmp::Reverse(has), worker));
        let odd = (epoch.load.users % of) as usize;
        let shares = order.into_iter().enumerate();
        shares
            .map(|(at, (worker, _))| (worker, even + u32::from(at < odd)))
            .collect()
    }

    /// The number of the last epoch.
    pub(super) fn last(&self) -> u32 {
        u32::try_from(self.epochs.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// All epochs from number `first` on.
    pub(super) fn epochs(&self, first: usize) -> impl Iterator<Item = &Epoch> {
        self.epochs.iter().skip(first).map(|dealt| &dealt.epoch)
    }

    /// The last one.
    pub(super) fn current(&self) -> &Epoch {
        // There is a first one from the beginning.
        &self.epochs[self.epochs.len() - 1].epoch
    }

    /// What `worker` owns from epoch `number` on: the same whenever it hears of it, for an epoch may hold yet when others
    /// have been made after it. Of those that are forgotten only the arrivals count any more: their users are those that go
    /// on by the first one that is not, so that nobody ends for a moment, and nobody starts too early.
    pub(super) fn share(&self, worker: u32, number: u32) -> Option<Share> {
        let dealt = self.epochs.get(number as usize)?;
        let seat = dealt.seats.iter().position(|&seat| seat == worker);
        let (index, of) = (seat.map(number_of), number_of(dealt.seats.len()));
        let mut share = Share::nothing(number, dealt.epoch.from, dealt.epoch.load);
        share.arrivals = index.map(|index| Shard::new(index, of));
        share.users = self.users_of(worker, number).into_iter().collect();
        if number == 0
            && let Some(index) = index
        {
            let first = Share::first(&self.spec, index, of);
            (share.budget, share.target) = (first.budget, first.target);
        }
        let step = dealt.step.as_ref();
        if let Some(moves) = step.and_then(|step| step.moves.get(&worker)) {
            share.starts.clone_from(&moves.starts);
            share.ends.clone_from(&moves.ends);
        }
        Some(share)
    }

    /// The users of `worker` by epoch `number`: those by the last one, with all changes since taken back.
    fn users_of(&self, worker: u32, number: u32) -> BTreeSet<u32> {
        let list = self.lists.get(&worker).into_iter().flatten();
        let mut users: BTreeSet<u32> = list.copied().collect();
        let later = self.epochs.iter().skip(number as usize + 1).rev();
        for step in later.map(|dealt| &dealt.step) {
            let Some(step) = step else { break };
            for &(user, lived) in &step.lived {
                if lived == Some(worker) {
                    users.insert(user);
                } else {
                    users.remove(&user);
                }
            }
        }
        users
    }

    /// How many arrivals due before `until` each worker owned; for a closed loop nothing.
    ///
    /// It walks the schedule from its start: for the end of a run, not for each second of it.
    pub(super) fn owed(&self, seed: Seed, until: Offset) -> Option<BTreeMap<u32, u64>> {
        let mut arrivals = Arrivals::new(&self.spec, seed)?;
        for dealt in self.epochs.iter().skip(1) {
            arrivals.change(dealt.epoch.from, dealt.epoch.load.arrivals());
        }
        let mut by_seat: Vec<Vec<u64>> = self
            .epochs
            .iter()
            .map(|of| vec![0; of.seats.len()])
            .collect();
        let mut at = 0;
        for (i, due) in arrivals.take_while(|&(_, due)| due < until) {
            while self
                .epochs
                .get(at + 1)
                .is_some_and(|next| next.epoch.from <= due)
            {
                at += 1;
            }
            let seats = &mut by_seat[at];
            if let Some(seat) = i.checked_rem(seats.len() as u64) {
                seats[usize::try_from(seat).unwrap_or(0)] += 1;
            }
        }
        let mut owed = BTreeMap::new();
        for (dealt, counts) in self.epochs.iter().zip(by_seat) {
            for (&worker, count) in dealt.seats.iter().zip(counts) {
                *owed.entry(worker).or_default() += count;
            }
        }
        Some(owed)
    }

    /// How many requests each worker may send of a closed loop that is limited by count.
    pub(super) fn budgets(&self) -> Option<BTreeMap<u32, u64>> {
        self.counted(|share| share.budget)
    }

    /// How many requests each worker had begun at least when a count ended a closed loop.
    pub(super) fn quotas(&self) -> Option<BTreeMap<u32, u64>> {
        self.counted(|share| [share.budget, share.target].into_iter().flatten().min())
    }

    fn counted(&self, of_share: impl Fn(&Share) -> Option<u64>) -> Option<BTreeMap<u32, u64>> {
        let seats = &self.epochs.first()?.seats;
        let of = number_of(seats.len());
        let count = |(index, &worker): (usize, &u32)| {
            let share = Share::first(&self.spec, number_of(index), of);
            Some((worker, of_share(&share)?))
        };
        seats.iter().enumerate().map(count).collect()
    }
}

impl Home {
    /// Where the user lives at `at`.
    fn at(self, at: Offset) -> Option<u32> {
        if self.since < at {
            self.worker
        } else {
            self.before
        }
    }
}

fn lists(users: &[Home]) -> BTreeMap<u32, Vec<u32>> {
    let mut lists: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (user, home) in (0..).zip(users) {
        if let Some(worker) = home.worker {
            lists.entry(worker).or_default().push(user);
        }
    }
    lists
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "deal_tests.rs"]
mod tests;
