//! When users start, when all of them have, and how long each waits before and between its requests.
//! The window of a run follows from it.

use std::time::Duration;

use rand::RngExt as _;
use rand_distr::{Distribution as _, Exp1};

use super::{AT_ONCE, Curve, Pacing, Ramp, Spec, Think};
use crate::domain::{Offset, Seed};

/// Most users that a ramp starts a second.
const MOST_A_SECOND: f64 = 10.0;

impl Spec {
    /// When `user` (from 0) starts: user k at floor(k / spawn rate), or all at the start, or as the ramp has it.
    pub fn spawn_at(&self, user: u32) -> Offset {
        if let Some(ramp) = self.ramp_of_users() {
            return ramp.starts(user, self.users);
        }
        if self.spawn_rate >= AT_ONCE {
            return Offset::ZERO;
        }
        self.spawn_rate.nth(u64::from(user))
    }

    fn ramp_of_users(&self) -> Option<&Ramp> {
        self.ramp.as_ref().filter(|_| !self.is_open())
    }

    /// When a user that starts with the run begins its first request: a draw from (seed, user) after its start.
    pub fn first_request_at(&self, user: u32, seed: Seed) -> Offset {
        let spread = self.spread_of_users();
        let start = self.spawn_at(user);
        if spread.is_zero() {
            return start;
        }
        let mut rng = seed.stream("start-spread", u64::from(user));
        start + spread.mul_f64(rng.random::<f64>())
    }

    const fn spread_of_users(&self) -> Duration {
        match self.pacing {
            Pacing::Closed => self.spread,
            _ => Duration::ZERO,
        }
    }

    /// When the last user starts, and an open loop has its whole rate.
    pub fn all_spawned(&self) -> Offset {
        let last = self.spawn_at(self.users.saturating_sub(1));
        last.max(self.end_of_ramp())
    }

    /// From when on the whole load is there: all users have started, and had the time in which their first requests are
    /// spread. The warm-up and the run time count from it.
    pub fn full_load(&self) -> Offset {
        self.all_spawned() + self.spread_of_users()
    }

    /// Start of the measured window: the whole load is there, and the warm-up over; or the run's own start.
    pub fn window_start(&self) -> Offset {
        if self.measure_ramp {
            Offset::ZERO
        } else {
            self.full_load() + self.warmup
        }
    }

    /// When sending ends by itself: the run time counts from the moment at which the whole load is there. Nothing is due
    /// after the last stage.
    pub fn end_of_sending(&self) -> Option<Offset> {
        let end = self.run_time.map(|span| self.full_load() + span);
        [end, self.end_of_stages()].into_iter().flatten().min()
    }

    /// How long a user waits before its next request after the one that `key` names.
    pub fn think_after(&self, seed: Seed, key: u64) -> Duration {
        self.think
            .map_or(Duration::ZERO, |think| think.draw(seed, key))
    }
}

impl Ramp {
    /// When user `user` of `users` starts. The first one is there from the beginning.
    fn starts(&self, user: u32, users: u32) -> Offset {
        if user == 0 {
            return Offset::ZERO;
        }
        let (k, all) = (f64::from(user), f64::from(users.max(2)));
        let part = match self.curve {
            Curve::Geometric => k.ln_1p() / all.ln(),
            Curve::Linear => k / (all - 1.0),
        };
        let grown = (part * self.time.as_secs_f64()).max(k / MOST_A_SECOND);
        Offset::ZERO + self.warmup + Duration::from_secs_f64(grown)
    }
}

impl Think {
    /// A time drawn from (seed, key).
    pub fn draw(self, seed: Seed, key: u64) -> Duration {
        let mut rng = seed.stream("think", key);
        match self {
            Self::Between(least, most) => {
                let more = most.saturating_sub(least);
                least + more.mul_f64(rng.random::<f64>())
            }
            Self::Exponential(mean) => {
                let factor: f64 = Exp1.sample(&mut rng);
                mean.mul_f64(factor)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "these are exact")]

    use super::*;
    use crate::domain::Rate;

    fn closed(users: u32) -> Spec {
        Spec {
            users,
            spawn_rate: Rate::per_second(1),
            pacing: Pacing::Closed,
            run_time: Some(Duration::from_secs(60)),
            warmup: Duration::from_secs(5),
            measure_ramp: false,
            max_requests: None,
            ramp: None,
            spread: Duration::from_secs(2),
            think: None,
            burstiness: 1.0,
            enough: None,
        }
    }

    fn secs(at: f64) -> Offset {
        Offset::from(Duration::from_secs_f64(at))
    }

    const fn ramp(curve: Curve, time: u64) -> Ramp {
        Ramp {
            warmup: Duration::from_secs(30),
            time: Duration::from_secs(time),
            curve,
        }
    }

    #[test]
    fn the_run_counts_from_the_last_users_first_request() {
        let spec = closed(11);
        assert_eq!(spec.all_spawned(), secs(10.0));
        assert_eq!(spec.window_start(), secs(17.0));
        assert_eq!(spec.end_of_sending(), Some(secs(72.0)));
    }

    #[test]
    fn a_ramp_starts_users_along_its_curve_and_never_faster_than_ten_a_second() {
        let mut spec = closed(64);
        spec.ramp = Some(ramp(Curve::Geometric, 60));
        let starts = |spec: &Spec| [0, 1, 7, 63].map(|user| spec.spawn_at(user).as_secs_f64());
        assert_eq!(starts(&spec), [0.0, 40.0, 60.0, 90.0]);
        spec.ramp = Some(ramp(Curve::Linear, 63));
        assert_eq!(starts(&spec), [0.0, 31.0, 37.0, 93.0]);
        spec.ramp = Some(ramp(Curve::Linear, 1));
        assert_eq!(starts(&spec), [0.0, 30.1, 30.7, 36.3]);
        assert_eq!(spec.all_spawned(), secs(36.3));
        spec.users = 1;
        assert_eq!(spec.all_spawned(), Offset::ZERO);
    }

    #[test]
    fn first_requests_are_spread_over_the_whole_of_it_after_the_users_start() {
        let spec = closed(2_000);
        let later = |user| {
            spec.first_request_at(user, Seed(3))
                .since(spec.spawn_at(user))
        };
        let all: Vec<Duration> = (0..2_000).map(later).collect();
        assert!(all.iter().all(|&span| span < Duration::from_secs(2)));
        let mean = all.iter().sum::<Duration>().as_secs_f64() / 2_000.0;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        assert!(all.iter().min() < Some(&Duration::from_millis(20)));
        assert!(all.iter().max() > Some(&Duration::from_millis(1_980)));
    }

    #[test]
    fn users_think_for_times_of_their_law() {
        let mean = |think: Think| {
            let sum: Duration = (0..4_000).map(|key| think.draw(Seed(3), key)).sum();
            sum.as_secs_f64() / 4_000.0
        };
        let (one, three) = (Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(Think::Between(one, one).draw(Seed(1), 9), one);
        assert!((mean(Think::Between(one, three)) - 2.0).abs() < 0.05);
        assert!((mean(Think::Exponential(three)) - 3.0).abs() < 0.2);
    }
}
