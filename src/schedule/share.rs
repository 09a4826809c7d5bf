//! What one worker owns of a run from an instant on: arrivals, users, a budget. Ownership changes by epochs.
//! Values alone: who deals them is the cluster's business, and who carries them out the runner's.

use serde::{Deserialize, Serialize};

use super::{Pace, Pacing, Shard, Spec};
use crate::domain::{Offset, Rate};

/// What the whole cluster is to do from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Closed loop: concurrent users. Open loop: most requests in flight. 0 sends nothing.
    pub users: u32,
    /// Users started per second, over the whole cluster.
    pub spawn_rate: Rate,
    /// Open loop: mean arrivals per second, over the whole cluster. `None` in a closed one, and where the times are the
    /// plan's own: of a ramp, stages, bursts, or a trace.
    pub rate: Option<Rate>,
    /// Nothing is due, and no user begins a request.
    pub paused: bool,
}

/// A worker's part of a run from `from` on, until a later epoch says otherwise.
///
/// Arrival times do not depend on it: they follow from the plan and the loads of all epochs, which every worker knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Its number: 0 at the start of the run, then one more at each change.
    pub epoch: u32,
    /// From when, in the run's time. Arrivals due from then on are dealt by it.
    pub from: Offset,
    /// What the whole cluster is to do.
    pub load: Load,
    /// Which arrivals are this worker's: those whose index the part owns; `None`: none.
    pub arrivals: Option<Shard>,
    /// Its users.
    pub users: UserSet,
    /// Users of `users` that begin here, each with its place in the order of starting: it starts at
    /// `from` + place / spawn rate. One of `users` that is not named goes on (who is still to start keeps its time), or starts at `from`.
    pub starts: Vec<Placed>,
    /// Users that live here and are not in `users` any more, each with its place: it begins no request from
    /// `from` + place / spawn rate on. One that is not named ends at `from`.
    pub ends: Vec<Placed>,
    /// How many requests this worker may send in the whole of a closed loop that is limited by count.
    pub budget: Option<u64>,
    /// How many requests of a closed loop that ends when enough was sent (`Spec::enough`) this worker has to begin: after that
    /// time it begins none beyond them.
    #[serde(default)]
    pub target: Option<u64>,
}

/// A user and its place in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Placed {
    /// The user, counted over the whole cluster.
    pub user: u32,
    /// Its place, from 0.
    pub place: u32,
}

impl Load {
    /// The load that a run begins with.
    pub fn of(spec: &Spec) -> Self {
        let rate = match spec.pacing {
            Pacing::Open { rate, .. } if spec.ramp.is_none() => Some(rate),
            _ => None,
        };
        Self {
            users: spec.users,
            spawn_rate: spec.spawn_rate,
            rate,
            paused: false,
        }
    }

    /// What sets the times of an open loop's arrivals.
    pub fn arrivals(&self) -> Pace {
        if self.paused || self.users == 0 {
            Pace::Still
        } else {
            self.rate.map_or(Pace::Planned, Pace::Fixed)
        }
    }
}

impl Share {
    /// Part `index` of `of` of a run at its start: users start as `Spec::spawn_at` says.
    pub fn first(spec: &Spec, index: u32, of: u32) -> Self {
        let shard = Shard::new(index, of);
        Self {
            users: UserSet::strided(index, of, spec.users),
            arrivals: Some(shard),
            budget: shard.budget(spec).filter(|_| !spec.is_open()),
            target: shard.target(spec).filter(|_| !spec.is_open()),
            ..Self::nothing(0, Offset::ZERO, Load::of(spec))
        }
    }

    /// No part at all.
    pub const fn nothing(epoch: u32, from: Offset, load: Load) -> Self {
        Self {
            epoch,
            from,
            load,
            arrivals: None,
            users: UserSet { runs: Vec::new() },
            starts: Vec::new(),
            ends: Vec::new(),
            budget: None,
            target: None,
        }
    }

    /// When a user at `place` begins or ends.
    pub fn at(&self, place: u32) -> Offset {
        let after = self.load.spawn_rate.nth(u64::from(place));
        self.from + after.since(Offset::ZERO)
    }

    /// The first turn of a user that begins by this share. Nobody knows how far a user was that moved: its turns go on
    /// where no earlier epoch's can have come, so that no request is sent twice.
    pub const fn first_turn(&self) -> u32 {
        (self.epoch % 256) << 24
    }
}

/// A set of users, in runs of even steps: `first`, `first + step`, ….
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSet {
    runs: Vec<UserRun>,
}

/// `count` users, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRun {
    /// The first user.
    pub first: u32,
    /// From one to the next; at least 1.
    pub step: u32,
    /// How many.
    pub count: u32,
}

impl UserRun {
    fn iter(self) -> impl Iterator<Item = u32> + use<> {
        (0..self.count).map(move |k| self.first + k * self.step)
    }

    fn last(self) -> u64 {
        u64::from(self.first) + u64::from(self.step) * u64::from(self.count.saturating_sub(1))
    }
}

impl UserSet {
    /// Every `of`-th of `users` users, from `index` on.
    pub fn strided(index: u32, of: u32, users: u32) -> Self {
        let count = users.saturating_sub(index).div_ceil(of.max(1));
        let run = UserRun {
            first: index,
            step: of.max(1),
            count,
        };
        Self {
            runs: Vec::from_iter((count > 0).then_some(run)),
        }
    }

    /// The set in runs as they came from elsewhere; `None` when they are not ascending, or reach beyond the last user number.
    pub fn from_runs(runs: Vec<UserRun>) -> Option<Self> {
        let mut least = 0;
        for run in &runs {
            let possible = run.count > 0 && run.step > 0 && u64::from(run.first) >= least;
            if !possible || run.last() > u64::from(u32::MAX) {
                return None;
            }
            least = run.last() + 1;
        }
        Some(Self { runs })
    }

    /// Its runs, ascending.
    pub fn runs(&self) -> &[UserRun] {
        &self.runs
    }

    /// All users, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|run| run.iter())
    }

    /// How many.
    pub fn len(&self) -> u32 {
        self.runs.iter().map(|run| run.count).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

impl FromIterator<u32> for UserSet {
    /// Of ascending users; one that does not ascend is left out.
    fn from_iter<I: IntoIterator<Item = u32>>(users: I) -> Self {
        let mut runs: Vec<UserRun> = Vec::new();
        for user in users {
            let Some(run) = runs.last_mut() else {
                runs.push(single(user));
                continue;
            };
            let last = run.last();
            let Some(gap) = u64::from(user).checked_sub(last).filter(|&gap| gap > 0) else {
                continue;
            };
            if run.count == 1 || gap == u64::from(run.step) {
                run.step = u32::try_from(gap).unwrap_or(u32::MAX);
                run.count += 1;
            } else {
                runs.push(single(user));
            }
        }
        Self { runs }
    }
}

const fn single(first: u32) -> UserRun {
    UserRun {
        first,
        step: 1,
        count: 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(users in proptest::collection::btree_set(0_u32..400, 0..200)) {
            let set: UserSet = users.iter().copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), users.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len() as usize, users.len());
            prop_assert_eq!(UserSet::from_runs(set.runs().to_vec()), Some(set));
        }

        #[test]
        fn strided_sets_are_a_partition_in_one_run_each(users in 0_u32..300, of in 1_u32..20) {
            let sets: Vec<UserSet> = (0..of).map(|k| UserSet::strided(k, of, users)).collect();
            let mut all: Vec<u32> = sets.iter().flat_map(UserSet::iter).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..users).collect::<Vec<_>>());
            prop_assert!(sets.iter().all(|set| set.runs().len() <= 1));
        }
    }

    #[test]
    fn runs_that_overlap_or_run_out_of_numbers_are_refused() {
        let run = |first, step, count| UserRun { first, step, count };
        assert_eq!(UserSet::from_runs(vec![run(0, 2, 5), run(8, 1, 1)]), None);
        assert_eq!(UserSet::from_runs(vec![run(1, u32::MAX, 2)]), None);
        assert_eq!(UserSet::from_runs(vec![run(0, 1, 0)]), None);
    }
}
