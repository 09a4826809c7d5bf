//! What a schedule is made of. The settings alone: `arrivals` and `shard` do the work.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::Rate;

/// The spawn rate that means "all at once": one user a nanosecond, the fastest that a rate can say.
pub const AT_ONCE: Rate = Rate::per_second(1_000_000_000);

/// When requests are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Closed loop: concurrent users. Open loop: most requests in flight. Of the whole cluster; at least 1.
    pub users: u32,
    /// Users started per second, over the whole cluster.
    pub spawn_rate: Rate,
    /// What paces the requests.
    pub pacing: Pacing,
    /// How long to send after all users are spawned; `None` sends until stopped.
    pub run_time: Option<Duration>,
    /// Time after all users are spawned that is not measured yet.
    pub warmup: Duration,
    /// Measure from the first request on, the ramp included: `--no-reset-stats`.
    pub measure_ramp: bool,
    /// Requests to send, over the whole cluster; `None` for no limit.
    pub max_requests: Option<u64>,
}

/// Closed or open loop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// Each user sends its next request when its last one is done.
    Closed,
    /// Requests are due at their own times, whatever the server does.
    Open {
        /// Mean arrivals per second, over the whole cluster.
        rate: Rate,
        /// How the gaps between arrivals are distributed.
        law: Law,
    },
}

/// The distribution of the gaps between arrivals; each has the mean 1/rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Law {
    /// Every gap is 1/rate.
    Constant,
    /// Uniform in 0 to 2/rate.
    Uniform,
    /// Exponential: a Poisson process.
    Exponential,
}

impl Law {
    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Uniform => "uniform",
            Self::Exponential => "exponential",
        }
    }
}
