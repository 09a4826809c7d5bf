//! Deals a worker's share to its cores. Who stays stays where it is: connections and turns are a core's own.
//! It carries nothing out.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Offset, Seed};
use crate::schedule::{Pace, Shard, Share, Spec};

/// A share as the cores carry it out.
#[derive(Debug)]
pub(super) struct Dealt {
    /// From when it holds, in the run's time: arrivals due from then on, and what users may do.
    pub(super) from: Offset,
    /// From when its users live or end, if nothing else is said of them. Before `from` where the share came late.
    pub(super) since: Offset,
    /// Of all arrivals of the cluster.
    pub(super) pace: Pace,
    /// No user begins a request.
    pub(super) paused: bool,
    /// Requests that all cores together may send in the whole of a counted closed loop.
    pub(super) budget: Option<u64>,
    /// Requests that they have to begin together before the time of `Spec::enough` ends them.
    pub(super) target: Option<u64>,
    /// Where the turns of users that begin by it start.
    pub(super) first_turn: u32,
    /// What each core has of it.
    pub(super) cores: Vec<CorePart>,
    /// Users that end at a time of their own.
    pub(super) ends: BTreeMap<u32, Offset>,
}

/// A core's part of a share.
#[derive(Debug, Default)]
pub(super) struct CorePart {
    /// Its part of all arrivals.
    pub(super) arrivals: Option<Shard>,
    /// Its users, in the order of their numbers.
    pub(super) users: Vec<Place>,
}

/// A user's place in a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) user: u32,
    /// When it starts if it does not live already, in the run's time.
    pub(super) start: Offset,
    /// The start is its own: it replaces one that was not reached yet.
    pub(super) named: bool,
    /// A connection is opened ahead for it.
    pub(super) warm: bool,
}

/// Remembers which core each user lives on.
#[derive(Debug)]
pub(super) struct Dealer {
    spec: Spec,
    seed: Seed,
    homes: BTreeMap<u32, u32>,
    cores: u32,
    /// Users of the first share that will send anything at all.
    warm: usize,
}

impl Dealer {
    /// For `cores` cores; of the first share's users the first `warm` have connections opened ahead.
    pub(super) fn new(spec: Spec, seed: Seed, cores: u32, warm: usize) -> Self {
        Self {
            spec,
            seed,
            homes: BTreeMap::new(),
            cores,
            warm,
        }
    }

    /// Deals `share`, which holds from `from` on.
    pub(super) fn deal(&mut self, share: &Share, from: Offset) -> Dealt {
        self.house(share);
        let mut cores: Vec<CorePart> = (0..self.cores).map(|_| CorePart::default()).collect();
        let starts: BTreeMap<u32, u32> =
            share.starts.iter().map(|it| (it.user, it.place)).collect();
        let first = share.epoch == 0;
        for (position, (&user, &home)) in self.homes.iter().enumerate() {
            let named = starts.get(&user);
            let start = match named {
                Some(&place) => share.at(place),
                None if first => self.spec.first_request_at(user, self.seed),
                None => share.from,
            };
            cores[home as usize].users.push(Place {
                user,
                start,
                named: named.is_some(),
                warm: !first || position < self.warm,
            });
        }
        deal_arrivals(share.arrivals, &mut cores);
        let ends = share.ends.iter();
        Dealt {
            from,
            since: share.from,
            pace: share.load.arrivals(),
            paused: share.load.paused,
            budget: share.budget,
            target: share.target,
            first_turn: share.first_turn(),
            cores,
            ends: ends.map(|it| (it.user, share.at(it.place))).collect(),
        }
    }

    /// Gives the new users of `share` a core each, the one with the fewest, and forgets those that are gone.
    fn house(&mut self, share: &Share) {
        let before = std::mem::take(&mut self.homes);
        let mut counts = vec![0_u32; self.cores as usize];
        for user in share.users.iter() {
            if let Some(&home) = before.get(&user) {
                counts[home as usize] += 1;
                self.homes.insert(user, home);
            }
        }
        let mut fewest: BTreeSet<(u32, u32)> = counts.into_iter().zip(0..).collect();
        for user in share.users.iter() {
            if let std::collections::btree_map::Entry::Vacant(place) = self.homes.entry(user)
                && let Some((count, home)) = fewest.pop_first()
            {
                fewest.insert((count + 1, home));
                place.insert(home);
            }
        }
    }
}

/// Among the cores that have users; without any, all to the first one, which counts them.
fn deal_arrivals(arrivals: Option<Shard>, cores: &mut [CorePart]) {
    let Some(whole) = arrivals else { return };
    let with_users = cores.iter().filter(|core| !core.users.is_empty()).count();
    let of = u32::try_from(with_users.max(1)).unwrap_or(u32::MAX);
    let alone = with_users == 0;
    let owners = cores
        .iter_mut()
        .filter(|core| alone || !core.users.is_empty());
    for (core, index) in owners.zip(0..of) {
        core.arrivals = Some(whole.part(index, of));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::Rate;
    use crate::schedule::{AT_ONCE, Law, Load, Pacing, Placed, UserSet};

    fn spec(users: u32) -> Spec {
        Spec {
            users,
            spawn_rate: AT_ONCE,
            pacing: Pacing::Open {
                rate: Rate::per_second(10),
                law: Law::Constant,
            },
            run_time: Some(Duration::from_secs(10)),
            warmup: Duration::ZERO,
            measure_ramp: false,
            max_requests: None,
            ramp: None,
            spread: Duration::ZERO,
            think: None,
            burstiness: 1.0,
            enough: None,
        }
    }

    fn share(epoch: u32, users: impl IntoIterator<Item = u32>) -> Share {
        let from = Offset::from_nanos(u64::from(epoch) * 1_000_000_000);
        let mut share = Share::nothing(epoch, from, Load::of(&spec(10)));
        share.users = users.into_iter().collect::<UserSet>();
        share.arrivals = Some(Shard::new(1, 2));
        share
    }

    fn users(dealt: &Dealt) -> Vec<Vec<u32>> {
        let of = |core: &CorePart| core.users.iter().map(|place| place.user).collect();
        dealt.cores.iter().map(of).collect()
    }

    #[test]
    fn the_first_users_are_dealt_in_turn_and_later_ones_to_who_has_the_fewest() {
        let mut dealer = Dealer::new(spec(10), Seed(1), 3, 2);
        let first = dealer.deal(&share(0, [1, 3, 5, 7, 9]), Offset::ZERO);
        assert_eq!(users(&first), [vec![1, 7], vec![3, 9], vec![5]]);
        let warm = first
            .cores
            .iter()
            .flat_map(|core| &core.users)
            .filter(|it| it.warm);
        assert_eq!(warm.map(|it| it.user).collect::<Vec<_>>(), [1, 3]);
        let mut second = share(1, [2, 3, 4, 5, 9]);
        second.starts = vec![Placed { user: 4, place: 0 }];
        let second = dealer.deal(&second, Offset::ZERO);
        assert_eq!(users(&second), [vec![2, 4], vec![3, 9], vec![5]]);
        assert_eq!(second.first_turn, 1 << 24);
    }

    proptest! {
        #[test]
        fn each_arrival_of_the_worker_has_one_core_and_that_core_has_users(
            shares in proptest::collection::vec(proptest::collection::btree_set(0_u32..12, 0..8), 1..5),
            cores in 1_u32..6,
        ) {
            let mut dealer = Dealer::new(spec(12), Seed(1), cores, 0);
            for (epoch, set) in (0..).zip(shares) {
                let dealt = dealer.deal(&share(epoch, set.iter().copied()), Offset::ZERO);
                for index in 0..200 {
                    let owners = dealt.cores.iter().filter(|core| {
                        core.arrivals.is_some_and(|part| part.owns(index))
                            && (set.is_empty() || !core.users.is_empty())
                    });
                    prop_assert_eq!(owners.count() as u64, index % 2);
                }
                let mut all: Vec<u32> = users(&dealt).concat();
                all.sort_unstable();
                prop_assert_eq!(all, set.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
