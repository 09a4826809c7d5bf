//! The name of one request in a run. Everything that is drawn for a request is drawn from (seed, index).

use serde::{Deserialize, Serialize};

/// Which request of the run this is: the same on one worker or a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Index {
    /// Open loop: the i-th arrival of the cluster, from 0.
    Arrival(u64),
    /// Closed loop: the n-th request (from 0) of a user (from 0).
    Turn {
        /// The user, counted over the whole cluster.
        user: u32,
        /// How many requests this user sent before.
        turn: u32,
    },
}

impl Index {
    /// A number that differs for any two indices of one run, to draw random values by.
    ///
    /// A run is either open or closed, so the two kinds need not be told apart.
    pub const fn key(self) -> u64 {
        match self {
            Self::Arrival(i) => i,
            Self::Turn { user, turn } => ((user as u64) << 32) | turn as u64,
        }
    }

    /// Where this request stands in an order that has nothing to do with when it is sent, nor by whom: of any requests those with
    /// the least ranks are as good as drawn at random. Within a run no two have the same.
    pub const fn rank(self) -> u64 {
        // The finishing steps of SplitMix64 (Steele, Lea, Flood 2014): each can be undone, so that different keys stay different.
        let mut bits = self.key().wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Which of the things that are dealt in order among `users` it is dealt: arrival i the i-th, and turn t of user u number
    /// u + t · users, so that users in step are never dealt the same one at once.
    pub fn ordinal(self, users: u32) -> u64 {
        match self {
            Self::Arrival(i) => i,
            Self::Turn { user, turn } => u64::from(user) + u64::from(turn) * u64::from(users),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_ranks_are_of_requests_from_everywhere() {
        let mut all: Vec<Index> = (0..10_000).map(Index::Arrival).collect();
        all.sort_by_key(|index| index.rank());
        let least: Vec<u64> = all[..100].iter().map(|index| index.key()).collect();
        for tenth in 0..10 {
            let inside = least.iter().filter(|&&key| key / 1_000 == tenth).count();
            assert!(
                (2..=22).contains(&inside),
                "{inside} of the {tenth}th thousand"
            );
        }
        let turn = |turn| Index::Turn { user: 0, turn };
        assert_ne!(turn(1).rank(), turn(2).rank());
        assert_eq!(
            Index::Arrival(0).rank(),
            0xe220_a839_7b1d_cdaf,
            "as published"
        );
    }

    #[test]
    fn users_in_step_are_dealt_everything_in_order_and_nothing_twice() {
        let users = 7;
        let turns = (0..5).flat_map(|turn| (0..users).map(move |user| Index::Turn { user, turn }));
        let dealt: Vec<u64> = turns.map(|index| index.ordinal(users)).collect();
        assert_eq!(dealt, (0..35).collect::<Vec<_>>());
        assert_eq!(Index::Arrival(u64::MAX).ordinal(users), u64::MAX);
        let last = Index::Turn {
            user: u32::MAX - 1,
            turn: u32::MAX,
        };
        assert_eq!(
            last.ordinal(u32::MAX),
            (1 << 32) * (u64::from(u32::MAX)) - 1
        );
    }
}
