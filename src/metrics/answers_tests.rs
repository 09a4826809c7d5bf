//! A bounded number of answers is the same sample however it comes together.

use proptest::prelude::*;

use super::*;
use crate::domain::{Mark, Offset};
use crate::metrics::fold::tests::record;

const fn keeping(keep: Keep, at_most: Option<u32>) -> Keeping {
    Keeping { keep, at_most }
}

fn kept(tally: &Tally) -> Vec<Index> {
    tally.answers.keys().copied().collect()
}

/// One tally for each of `parts`: what was recorded of these arrivals in a second.
fn tally(arrivals: &[u64], at_most: Option<u32>) -> Tally {
    let mut tally = Tally::default();
    for &arrival in arrivals {
        let record = Record {
            index: Index::Arrival(arrival),
            ..record()
        };
        tally.keep(&record, None, keeping(Keep::Figures, at_most));
    }
    tally
}

fn merged(one: &Tally, other: &Tally) -> Tally {
    let mut sum = one.clone();
    sum.merge(other);
    sum
}

/// The same by value.
fn absorbed(mut one: Tally, other: Tally) -> Tally {
    one.absorb(other);
    one
}

/// The least of all, looked for one by one.
fn least(parts: &[Vec<u64>], most: usize) -> Vec<Index> {
    let mut all: Vec<Index> = parts.concat().into_iter().map(Index::Arrival).collect();
    all.sort_by_key(|index| index.rank());
    all.truncate(most);
    all.sort_unstable();
    all
}

/// Arrivals dealt to parts, none twice.
fn parts() -> impl Strategy<Value = Vec<Vec<u64>>> {
    proptest::collection::vec(0_usize..8, 0..200).prop_map(|owners| {
        let mut parts = vec![Vec::new(); 8];
        for (arrival, owner) in (0..).zip(owners) {
            parts[owner].push(arrival);
        }
        parts
    })
}

proptest! {
    #[test]
    fn any_split_and_any_order_of_merging_keep_the_least_of_all(parts in parts(), most in 0_u32..40, turn in 0_usize..8) {
        let tallies: Vec<Tally> = parts.iter().map(|part| tally(part, Some(most))).collect();
        let forth = tallies.iter().fold(Tally::default(), |sum, part| merged(&sum, part));
        let back = tallies.iter().rev().fold(Tally::default(), |sum, part| merged(part, &sum));
        let mut turned = tallies.clone();
        turned.rotate_left(turn);
        let pairs = turned.chunks(2).map(|pair| merged(&pair[0], &pair[1]));
        let tree = pairs.reduce(absorbed).unwrap();
        prop_assert_eq!(kept(&forth), least(&parts, most as usize));
        prop_assert_eq!(&forth, &back);
        prop_assert_eq!(&forth, &tree);
        prop_assert_eq!(&merged(&forth, &Tally::default()), &forth);
        prop_assert_eq!(&merged(&Tally::default(), &forth), &forth);
    }

    #[test]
    fn a_worker_sends_nothing_needlessly_and_nothing_too_little(parts in parts(), most in 0_u32..20) {
        let (mut sum, mut sieve) = (Tally::default(), Sieve::default());
        for (at, part) in parts.iter().enumerate() {
            let mut second = merged(&Tally::default(), &tally(part, Some(most)));
            sieve.strain(&mut second);
            let so_far = least(&parts[..=at], most as usize);
            prop_assert!(kept(&second).iter().all(|index| so_far.contains(index)));
            sum.merge(&second);
            prop_assert_eq!(kept(&sum), so_far);
        }
    }

    #[test]
    fn the_least_of_two_limits_holds_whatever_is_merged_first(
        parts in parts(), limits in proptest::array::uniform3(proptest::option::of(0_u32..30)),
    ) {
        let [a, b, c] = [0, 1, 2].map(|at| merged(&Tally::default(), &tally(&parts[at], limits[at])));
        let left = merged(&merged(&a, &b), &c);
        prop_assert_eq!(&left, &merged(&a, &merged(&b, &c)));
        prop_assert_eq!(&left, &merged(&c, &merged(&b, &a)));
    }
}

#[test]
fn a_tally_that_is_filled_stays_small() {
    let all: Vec<u64> = (0..10_000).collect();
    let tally = tally(&all, Some(50));
    assert!((50..100).contains(&tally.answers.len()));
    assert_eq!(kept(&merged(&Tally::default(), &tally)), least(&[all], 50));
}

#[test]
fn without_a_limit_everything_is_kept_and_passes() {
    let all: Vec<u64> = (0..300).collect();
    let mut tally = tally(&all, None);
    Sieve::default().strain(&mut tally);
    assert_eq!(merged(&Tally::default(), &tally).answers.len(), 300);
}

#[test]
fn times_are_kept_of_whatever_came_and_only_where_they_are_wanted() {
    let at = |at: u64| Offset::from_nanos(at);
    let mark = |nanos| Mark {
        at: at(nanos),
        tokens: 1,
    };
    for outcome in crate::domain::Outcome::ALL {
        let record = Record {
            outcome,
            marks: [5, 9, 9, 12].map(mark).to_vec(),
            ..record()
        };
        let of = |keep| {
            let mut tally = Tally::default();
            tally.keep(&record, Some("text".to_owned()), keeping(keep, None));
            tally.answers.pop_first().unwrap().1
        };
        assert_eq!(of(Keep::Times).arrivals, [5, 9, 9, 12].map(at));
        assert_eq!(of(Keep::Times).text, None);
        assert_eq!(of(Keep::Figures).arrivals, []);
        assert_eq!(of(Keep::Text).text.as_deref(), Some("text"));
        assert_eq!(of(Keep::Text).arrivals, []);
    }
}
