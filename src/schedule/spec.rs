//! What a schedule is made of. The settings alone: `arrivals` and `shard` do the work.

use std::sync::Arc;
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
    /// How the load grows to what `users` (closed loop) or the rate (open loop) say; `None`: at `spawn_rate`, or at once.
    #[serde(default)]
    pub ramp: Option<Ramp>,
    /// Closed loop: each user's first request is later by a time uniform from 0 to this, drawn from (seed, user).
    #[serde(default)]
    pub spread: Duration,
    /// Closed loop: what a user waits between an answer's end and its next request.
    #[serde(default)]
    pub think: Option<Think>,
    /// The shape of `Law::Gamma`: 1 is a Poisson process, less is burstier, more is evener.
    #[serde(default = "poisson")]
    pub burstiness: f64,
    /// Closed loop: when enough was sent, before `run_time` and `max_requests`. It is dealt to users as `max_requests` is.
    #[serde(default)]
    pub enough: Option<Enough>,
}

/// An end that takes both a time and a number: no request begins any more once `after` has passed and `requests` were begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enough {
    /// From the start of the run on.
    pub after: Duration,
    /// Over the whole cluster.
    pub requests: u64,
}

const fn poisson() -> f64 {
    1.0
}

/// Growth of the load at the start of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ramp {
    /// How long one user (closed loop), or one request a second (open loop), is held first.
    pub warmup: Duration,
    /// How long it takes from there to the whole load, if that is not faster than 10 users a second.
    pub time: Duration,
    /// Along which curve.
    pub curve: Curve,
}

/// A way from one rate, or number of users, to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// By the same factor in equal times.
    Geometric,
    /// By the same amount in equal times.
    Linear,
}

/// How long a user thinks before its next request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Think {
    /// Uniform from the first to the second; equal ends are a constant.
    Between(Duration, Duration),
    /// Exponential with this mean.
    Exponential(Duration),
}

/// A stretch of an open loop's schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Arrivals per second at its start; 0 for none.
    pub from: f64,
    /// The same at its end; the way between is straight.
    pub to: f64,
    /// How long it lasts; above zero.
    pub lasts: Duration,
}

/// Closed or open loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// An open loop whose rate goes through stages, and ends with the last.
    Stages {
        /// One after another.
        stages: Vec<Stage>,
        /// How the gaps between arrivals are distributed.
        law: Law,
    },
    /// All users at once, again and again: arrival i is due at floor(i / users) × `every` after all users are there.
    Burst {
        /// From one burst to the next.
        every: Duration,
    },
    /// An open loop at a trace's own times.
    Trace {
        /// When each request is due, in microseconds, in order, the speed counted in.
        due_us: Arc<[u64]>,
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
    /// Gamma, of the shape that `Spec::burstiness` gives.
    Gamma,
}

impl Law {
    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Uniform => "uniform",
            Self::Exponential => "exponential",
            Self::Gamma => "gamma",
        }
    }
}
