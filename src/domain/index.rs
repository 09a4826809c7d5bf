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
