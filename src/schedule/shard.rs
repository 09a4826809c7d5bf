//! Who owns which part of a schedule: the split of users, arrivals and request budgets.

use serde::{Deserialize, Serialize};

use super::{Pacing, Spec};

/// Part `index` of `of` equal parts. The parts of a schedule are disjoint and their union is the schedule.
///
/// Users and arrivals are dealt round robin, so no two parts differ by more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// The whole schedule.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Part `index` (from 0) of `of`.
    ///
    /// # Panics
    /// When `index` is not below `of`.
    pub fn new(index: u32, of: u32) -> Self {
        assert!(index < of, "part {index} of {of} does not exist");
        Self { index, of }
    }

    /// The number of this part, from 0: no other part of the same cut has it.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Into how many parts the schedule is cut.
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Part `index` of `of` parts of this part: how a worker deals its share to its cores.
    #[must_use]
    pub fn part(self, index: u32, of: u32) -> Self {
        Self::new(self.index + self.of * index, self.of * of)
    }

    /// Whether `item` (a user, or an arrival) belongs to this part.
    pub fn owns(self, item: u64) -> bool {
        item % u64::from(self.of) == u64::from(self.index)
    }

    /// How many of the items below `count` belong to this part.
    pub fn share(self, count: u64) -> u64 {
        let (of, index) = (u64::from(self.of), u64::from(self.index));
        (count + of - 1 - index) / of
    }

    /// The users of this part, in the order of their start.
    pub fn users(self, spec: &Spec) -> impl Iterator<Item = u32> + use<> {
        (self.index..spec.users).step_by(self.of as usize)
    }

    /// How many requests this part may send of a closed loop's `max_requests`; `None` for no limit.
    ///
    /// The budget is dealt to the users round robin, and a part's users share what they were dealt.
    pub fn budget(self, spec: &Spec) -> Option<u64> {
        Some(self.dealt(spec, spec.max_requests?))
    }

    /// How many requests of a closed loop's `enough` this part has to begin before its time alone ends it; `None` where a run
    /// has no such end. They are dealt as the budget is.
    pub fn target(self, spec: &Spec) -> Option<u64> {
        Some(self.dealt(spec, spec.enough?.requests))
    }

    /// This part of so many requests, dealt to the users round robin.
    fn dealt(self, spec: &Spec, requests: u64) -> u64 {
        let users = u64::from(spec.users);
        self.share(users) * (requests / users) + self.share(requests % users)
    }
}

impl Spec {
    /// How many parts of an open loop can send at all: a part without a user would never send what it owns.
    pub fn parts(&self, wanted: u32) -> u32 {
        wanted.min(self.users).max(1)
    }

    /// Whether a count can end sending in a closed loop: then it is dealt to the users at the start, and they stay where they are.
    pub fn is_counted_closed(&self) -> bool {
        !self.is_open() && (self.max_requests.is_some() || self.enough.is_some())
    }

    /// Whether requests are due whatever the server does.
    pub fn is_open(&self) -> bool {
        !matches!(self.pacing, Pacing::Closed)
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{AT_ONCE, Arrivals, Enough, Law, Stage};
    use super::*;
    use crate::domain::{Offset, Rate, Seed};

    fn spec(users: u32, pacing: Pacing, max: Option<u64>) -> Spec {
        let run_time = Some(Duration::from_secs(20));
        Spec {
            users,
            spawn_rate: Rate::per_second(3),
            pacing,
            run_time,
            warmup: Duration::ZERO,
            measure_ramp: false,
            max_requests: max,
            ramp: None,
            spread: Duration::ZERO,
            think: None,
            burstiness: 1.0,
            enough: None,
        }
    }

    fn arrivals_of(spec: &Spec, seed: Seed, shard: Shard) -> Vec<(u64, Offset)> {
        Arrivals::new(spec, seed)
            .unwrap()
            .filter(|&(i, _)| shard.owns(i))
            .collect()
    }

    /// Schedules of all kinds.
    fn pacings() -> impl Strategy<Value = Pacing> {
        let law = prop_oneof![
            Just(Law::Constant),
            Just(Law::Uniform),
            Just(Law::Exponential),
            Just(Law::Gamma)
        ];
        let stage = (0.0..90.0_f64, 0.0..90.0_f64, 1_u64..12).prop_map(|(from, to, secs)| Stage {
            from,
            to,
            lasts: Duration::from_secs(secs),
        });
        let stages = proptest::collection::vec(stage, 1..5);
        let gaps = proptest::collection::vec(0_u64..200_000, 0..300);
        prop_oneof![
            (0.1_f64..200.0, law.clone()).prop_map(|(rate, law)| Pacing::Open {
                rate: Rate::try_from(rate).unwrap(),
                law
            }),
            (stages, law).prop_map(|(stages, law)| Pacing::Stages { stages, law }),
            (10_u64..3_000).prop_map(|every| Pacing::Burst {
                every: Duration::from_millis(every)
            }),
            gaps.prop_map(|gaps| Pacing::Trace {
                due_us: gaps
                    .iter()
                    .scan(0, |at, gap| {
                        *at += gap;
                        Some(*at)
                    })
                    .collect()
            }),
        ]
    }

    proptest! {
        #[test]
        fn seven_workers_of_three_cores_send_what_one_does(
            seed: u64, pacing in pacings(), users in 1_u32..60, max in proptest::option::of(0_u64..500), burstiness in 0.1..8.0,
        ) {
            let mut spec = spec(users, pacing, max);
            spec.burstiness = burstiness;
            let whole = arrivals_of(&spec, Seed(seed), Shard::WHOLE);
            let mut union = Vec::new();
            let mut owned = Vec::new();
            for worker in 0..7 {
                for core in 0..3 {
                    let shard = Shard::new(worker, 7).part(core, 3);
                    union.extend(arrivals_of(&spec, Seed(seed), shard));
                    owned.extend(shard.users(&spec));
                }
            }
            union.sort_unstable();
            owned.sort_unstable();
            prop_assert_eq!(whole, union);
            prop_assert_eq!((0..users).collect::<Vec<_>>(), owned);
        }

        #[test]
        fn shares_and_budgets_add_up_and_differ_by_at_most_one(users in 1_u32..500, of in 1_u32..40, max in 0_u64..5000) {
            let spec = spec(users, Pacing::Closed, Some(max));
            let shards: Vec<Shard> = (0..of).map(|k| Shard::new(k, of)).collect();
            let shares: Vec<u64> = shards.iter().map(|s| s.share(u64::from(users))).collect();
            prop_assert_eq!(shares.iter().sum::<u64>(), u64::from(users));
            prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
            for shard in &shards {
                prop_assert_eq!(shard.users(&spec).count() as u64, shard.share(u64::from(users)));
            }
            prop_assert_eq!(shards.iter().map(|s| s.budget(&spec).unwrap()).sum::<u64>(), max);
        }

        #[test]
        fn what_is_enough_is_dealt_to_users_as_a_budget_is_and_adds_up(
            users in 1_u32..500, of in 1_u32..40, requests in 0_u64..5000, max in proptest::option::of(0_u64..5000),
        ) {
            let mut spec = spec(users, Pacing::Closed, max);
            prop_assert_eq!(Shard::WHOLE.target(&spec), None);
            spec.enough = Some(Enough { after: Duration::from_secs(3), requests });
            let mut like = spec.clone();
            like.max_requests = Some(requests);
            let shards: Vec<Shard> = (0..of).map(|k| Shard::new(k, of)).collect();
            for shard in &shards {
                prop_assert_eq!(shard.target(&spec), shard.budget(&like));
            }
            prop_assert_eq!(shards.iter().map(|s| s.target(&spec).unwrap()).sum::<u64>(), requests);
            if max.is_some_and(|max| max >= requests) {
                prop_assert!(shards.iter().all(|s| s.target(&spec) <= s.budget(&spec)));
            }
        }

        #[test]
        fn arrivals_never_go_back_and_end_before_the_end(seed: u64, pacing in pacings()) {
            let spec = spec(5, pacing, None);
            let all = arrivals_of(&spec, Seed(seed), Shard::WHOLE);
            prop_assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].1));
            prop_assert!(all.iter().all(|&(_, due)| due < spec.end_of_sending().unwrap()));
        }
    }

    #[test]
    fn the_gaps_have_the_asked_mean_and_spread() {
        for (law, cv) in [
            (Law::Constant, 0.0),
            (Law::Uniform, 1.0 / 3.0_f64.sqrt()),
            (Law::Exponential, 1.0),
        ] {
            let mut spec = spec(
                1,
                Pacing::Open {
                    rate: Rate::per_second(100),
                    law,
                },
                Some(50_000),
            );
            spec.run_time = None;
            let due: Vec<f64> = Arrivals::new(&spec, Seed(7))
                .unwrap()
                .map(|(_, at)| at.as_secs_f64())
                .collect();
            let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance =
                gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            assert!((mean * 100.0 - 1.0).abs() < 0.02, "{law:?}: mean {mean}");
            assert!(
                (variance.sqrt() / mean - cv).abs() < 0.02,
                "{law:?}: cv {}",
                variance.sqrt() / mean
            );
        }
    }

    #[test]
    fn users_that_start_at_once_leave_the_run_its_length() {
        let rate = Rate::per_second(20);
        let mut spec = spec(
            100,
            Pacing::Open {
                rate,
                law: Law::Constant,
            },
            None,
        );
        spec.spawn_rate = AT_ONCE;
        assert_eq!(
            (spec.all_spawned(), spec.spawn_at(99)),
            (Offset::ZERO, Offset::ZERO)
        );
        assert_eq!(
            arrivals_of(&spec, Seed(1), Shard::WHOLE).len(),
            400,
            "20 s of 20 a second"
        );
    }
}
