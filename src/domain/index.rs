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
}
