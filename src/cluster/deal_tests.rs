//! What must hold for any history of joins, losses and changes of the load.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::Rate;
use crate::schedule::{Curve, Law, Pacing, Ramp};

const SECOND: u64 = 1_000_000_000;

fn spec(users: u32, rate: Option<u32>) -> Spec {
    let open = |rate| Pacing::Open {
        rate: Rate::per_second(rate),
        law: Law::Exponential,
    };
    Spec {
        users,
        spawn_rate: Rate::per_second(2),
        pacing: rate.map_or(Pacing::Closed, open),
        run_time: Some(Duration::from_secs(60)),
        warmup: Duration::ZERO,
        measure_ramp: true,
        max_requests: None,
        ramp: None,
        spread: Duration::ZERO,
        think: None,
        burstiness: 1.0,
        enough: None,
    }
}

fn epoch(deal: &Deal, second: u64, members: &BTreeSet<u32>, users: u32) -> Epoch {
    Epoch {
        from: Offset::from_nanos(second * SECOND),
        load: Load {
            users,
            ..deal.current().load
        },
        members: members.iter().copied().collect(),
    }
}

/// The users of each member, by the last epoch.
fn users(deal: &Deal) -> BTreeMap<u32, BTreeSet<u32>> {
    let members = deal.current().members.iter();
    members
        .map(|&worker| {
            let share = deal.share(worker, deal.last()).unwrap();
            (worker, share.users.iter().collect())
        })
        .collect()
}

fn history() -> impl Strategy<Value = Vec<(u64, BTreeSet<u32>, u32)>> {
    let change = (
        1_u64..9,
        prop::collection::btree_set(0_u32..9, 0..7),
        0_u32..50,
    );
    prop::collection::vec(change, 1..8)
}

proptest! {
    #[test]
    fn every_user_lives_with_one_member_and_shares_differ_by_at_most_one(start in 1_u32..40, settled: bool, changes in history()) {
        let mut deal = Deal::first(spec(start, None), vec![0, 1, 2]);
        let mut second = 0;
        for (after, members, count) in changes {
            // Long enough for all moves of the change before to be over, or not.
            second += after + if settled { 60 } else { 0 };
            let before = users(&deal);
            let next = epoch(&deal, second, &members, count);
            deal.change(next);
            let now = users(&deal);
            let all: Vec<u32> = now.values().flatten().copied().collect();
            let distinct: BTreeSet<u32> = all.iter().copied().collect();
            let expected = if members.is_empty() { 0 } else { count };
            prop_assert_eq!((all.len(), distinct.len()), (expected as usize, expected as usize));
            prop_assert!(distinct.iter().all(|&user| user < count));
            let (least, most) = (now.values().map(BTreeSet::len).min(), now.values().map(BTreeSet::len).max());
            prop_assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1);
            // Nobody who could stay moves: what a member gave up is what it had above its share.
            for (worker, its) in &now {
                let had = before.get(worker).map_or(0, |had| had.iter().filter(|&&user| user < count).count());
                let kept = before.get(worker).map_or(0, |had| had.intersection(its).count());
                let leaving = before.contains_key(worker) && kept < had.min(its.len());
                prop_assert!(!leaving || !settled, "worker {worker} kept {kept} of {had}, has {}", its.len());
            }
        }
    }

    #[test]
    fn a_user_that_moves_ends_there_when_it_starts_here(changes in history()) {
        let mut deal = Deal::first(spec(20, None), vec![0, 1, 2]);
        let mut second = 60;
        for (after, members, count) in changes {
            // Long enough for all moves of the change before to be over.
            second += after + 60;
            let was = users(&deal);
            deal.change(epoch(&deal, second, &members, count));
            let shares: Vec<Share> = (0..9).map(|worker| deal.share(worker, deal.last()).unwrap()).collect();
            let starts: BTreeMap<u32, u32> = shares.iter().flat_map(|of| &of.starts).map(|of| (of.user, of.place)).collect();
            let ends: BTreeMap<u32, u32> = shares.iter().flat_map(|of| &of.ends).map(|of| (of.user, of.place)).collect();
            for (user, place) in &ends {
                prop_assert!(members.is_empty() || starts.get(user) == Some(place));
                prop_assert!(was.values().any(|its| its.contains(user)));
            }
            let places: BTreeSet<u32> = starts.values().copied().collect();
            prop_assert_eq!(places.len(), starts.len());
            prop_assert!(places.iter().next_back().is_none_or(|&last| last as usize == places.len() - 1));
        }
    }

    #[test]
    fn every_arrival_has_one_owner_while_there_is_a_member(seed: u64, changes in history()) {
        let spec = spec(6, Some(20));
        let mut deal = Deal::first(spec.clone(), vec![0, 1, 2]);
        let mut second = 0;
        for (after, members, count) in changes {
            second += after;
            deal.change(epoch(&deal, second, &members, count));
        }
        let until = spec.end_of_sending().unwrap();
        let owed = deal.owed(Seed(seed), until).unwrap();
        let mut arrivals = Arrivals::new(&spec, Seed(seed)).unwrap();
        deal.epochs(1).for_each(|of| arrivals.change(of.from, of.load.arrivals()));
        let mut counted: BTreeMap<u32, u64> = BTreeMap::new();
        for (i, due) in arrivals {
            let number = deal.epochs(0).take_while(|of| of.from <= due).count() - 1;
            let owners: Vec<u32> = (0..9)
                .filter(|&worker| {
                    let share = deal.share(worker, u32::try_from(number).unwrap()).unwrap();
                    share.arrivals.is_some_and(|shard| shard.owns(i))
                })
                .collect();
            let anybody = deal.epochs(number).next().unwrap().members.len();
            prop_assert_eq!(owners.len(), anybody.min(1));
            for worker in owners {
                *counted.entry(worker).or_default() += 1;
            }
        }
        let owed: BTreeMap<u32, u64> = owed.into_iter().filter(|&(_, count)| count > 0).collect();
        prop_assert_eq!(owed, counted);
    }

    #[test]
    fn a_deal_that_is_replayed_is_the_same(changes in history()) {
        let spec = spec(11, Some(3));
        let mut deal = Deal::first(spec.clone(), vec![0, 1, 2]);
        let mut second = 0;
        for (after, members, count) in changes {
            second += after;
            deal.change(epoch(&deal, second, &members, count));
        }
        let again = Deal::replay(spec, deal.epochs(0).cloned().collect()).unwrap();
        for number in 0..=deal.last() {
            for worker in 0..9 {
                prop_assert_eq!(deal.share(worker, number), again.share(worker, number));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_share_is_the_same_whenever_a_worker_hears_of_it(start in 1_u32..40, open: bool, changes in history()) {
        let mut deal = Deal::first(spec(start, open.then_some(5)), vec![0, 1, 2]);
        let told = |deal: &Deal, number| (0..9).map(|worker| deal.share(worker, number)).collect::<Vec<_>>();
        let mut on_time = vec![told(&deal, 0)];
        let mut second = 0;
        for (after, members, count) in changes {
            second += after;
            let next = epoch(&deal, second, &members, count);
            deal.change(next);
            on_time.push(told(&deal, deal.last()));
        }
        for (number, shares) in (0..).zip(on_time) {
            prop_assert_eq!(told(&deal, number), shares);
        }
    }
}

#[test]
fn who_owns_arrivals_for_a_while_has_users_for_them_however_late_it_hears_of_it() {
    let members = |list: &[u32]| list.iter().copied().collect::<BTreeSet<u32>>();
    let mut deal = Deal::first(spec(90, Some(30)), vec![0, 1, 2]);
    for (second, list) in [(100, &[2][..]), (200, &[0, 1]), (300, &[0, 1, 2])] {
        deal.change(epoch(&deal, second, &members(list), 90));
    }
    let share = |number| deal.share(2, number).unwrap();
    let users = |number| share(number).users.iter().count();
    assert!(share(1).arrivals.is_some() && share(2).arrivals.is_none());
    assert_eq!((users(1), users(2), users(3)), (90, 0, 30));
}

#[test]
fn what_was_long_ago_is_forgotten_but_for_the_arrivals() {
    let mut deal = Deal::first(spec(4, Some(30)), vec![0, 1]);
    let alone = BTreeSet::from([0]);
    deal.change(epoch(&deal, 10, &alone, 4));
    for second in 0..20 {
        let all = BTreeSet::from([0, 1]);
        let members = if second % 2 == 0 { &all } else { &alone };
        deal.change(epoch(&deal, 20 + second, members, 4));
    }
    let forgotten = deal.epochs.iter().filter(|dealt| dealt.step.is_none());
    assert_eq!(forgotten.count(), deal.epochs.len() - REMEMBERED);
    assert!(deal.share(1, 1).unwrap().arrivals.is_none());
    assert!(deal.share(0, 1).unwrap().arrivals.is_some());
}

#[test]
fn the_first_deal_is_the_plain_split() {
    for rate in [None, Some(5)] {
        let spec = spec(8, rate);
        let deal = Deal::first(spec.clone(), vec![3, 5, 9]);
        for (index, worker) in (0..).zip([3, 5, 9]) {
            assert_eq!(deal.share(worker, 0), Some(Share::first(&spec, index, 3)));
        }
    }
}

#[test]
fn a_hundred_thousand_users_are_dealt_to_a_thousand_members_in_well_under_a_second() {
    let members: Vec<u32> = (0..1_000).collect();
    let mut deal = Deal::first(spec(1, None), members.clone());
    let began = tokio::time::Instant::now();
    deal.change(Epoch {
        from: Offset::from_nanos(SECOND),
        load: Load {
            users: 100_000,
            ..deal.current().load
        },
        members: members.clone(),
    });
    let shares: Vec<Share> = members
        .iter()
        .map(|&worker| deal.share(worker, 1).unwrap())
        .collect();
    assert_eq!(shares.iter().map(|of| of.users.len()).sum::<u32>(), 100_000);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_ramp_goes_on_through_a_change_of_owners_and_yields_to_another_spawn_rate() {
    let mut spec = spec(11, None);
    spec.ramp = Some(Ramp {
        warmup: Duration::ZERO,
        time: Duration::from_secs(100),
        curve: Curve::Linear,
    });
    let mut deal = Deal::first(spec, vec![0, 1]);
    let planned: Vec<Offset> = deal.users.iter().map(|home| home.since).collect();
    assert_eq!(planned[10], Offset::from_nanos(100 * SECOND));
    let both = BTreeSet::from([0, 1]);
    deal.change(epoch(&deal, 25, &both, 11));
    let since: Vec<Offset> = deal.users.iter().map(|home| home.since).collect();
    assert_eq!(since, planned);
    let step = deal.epochs.last().unwrap().step.as_ref().unwrap();
    assert!(step.moves.is_empty(), "nobody is told of another start");
    let mut faster = epoch(&deal, 45, &both, 11);
    faster.load.spawn_rate = Rate::per_second(5);
    deal.change(faster);
    // Users 5 to 10 were still to come.
    let last = deal.users[10].since;
    assert_eq!(last, Offset::from_nanos(46 * SECOND));
}
