//! The times that a plan itself gives to the arrivals of an open loop, whatever is changed later.

use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, Gamma, Uniform};

use super::profile::Profile;
use super::{Law, Pacing, Spec};
use crate::domain::{Offset, Rate, Seed};

/// A plan's own times. They are asked for in ascending order.
#[derive(Clone, Debug)]
pub(super) enum Planned {
    /// One rate, which a walk keeps by itself.
    Even(Rate),
    /// A rate that changes.
    Profile(Along),
    /// All users at once, again and again, from when all of them are there.
    Burst {
        every: Duration,
        users: u64,
        first: Offset,
    },
    /// At times of their own, in microseconds.
    Trace(Arc<[u64]>),
}

/// A walk along a profile: arrival `i` is due where the rate's integral is the sum of the gaps 0 to `i`, or `i` itself
/// where the gaps are even.
#[derive(Clone, Debug)]
pub(super) struct Along {
    profile: Arc<Profile>,
    even: bool,
    /// The gaps that are summed up.
    drawn: u64,
    units: f64,
}

impl Planned {
    /// Of an open loop.
    pub(super) fn new(spec: &Spec) -> Option<Self> {
        if let (Some(profile), Some(law)) = (Profile::of(spec), spec.pacing.law()) {
            return Some(Self::Profile(Along {
                profile: Arc::new(profile),
                even: law == Law::Constant,
                drawn: 0,
                units: 0.0,
            }));
        }
        match &spec.pacing {
            Pacing::Closed | Pacing::Stages { .. } => None,
            Pacing::Open { rate, .. } => Some(Self::Even(*rate)),
            Pacing::Burst { every } => Some(Self::Burst {
                every: *every,
                users: u64::from(spec.users.max(1)),
                first: spec.all_spawned(),
            }),
            Pacing::Trace { due_us } => Some(Self::Trace(Arc::clone(due_us))),
        }
    }

    /// When arrival `i` is due, `gap` being what lies between it and the one before it in units of a mean gap.
    /// `Offset::MAX` for never.
    pub(super) fn due(&mut self, i: u64, gap: impl Fn(u64) -> f64) -> Offset {
        match self {
            Self::Even(rate) => rate.nth(i),
            Self::Profile(along) => along.due(i, gap),
            Self::Burst {
                every,
                users,
                first,
            } => {
                let nanos = every.as_nanos().saturating_mul(u128::from(i / *users));
                let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
                Offset::from_nanos(nanos.saturating_add(first.as_nanos()))
            }
            Self::Trace(due_us) => {
                let due = usize::try_from(i).ok().and_then(|i| due_us.get(i));
                due.map_or(Offset::MAX, |us| {
                    Offset::from_nanos(us.saturating_mul(1_000))
                })
            }
        }
    }

    /// How much of the gap before the arrival that was asked for last lies after `from`, in mean gaps. A burst and a
    /// trace have no mean gap.
    pub(super) fn left(&self, from: Offset) -> f64 {
        match self {
            Self::Profile(along) => (along.units - along.profile.units_at(from)).max(0.0),
            Self::Even(_) | Self::Burst { .. } | Self::Trace(_) => 0.0,
        }
    }
}

impl Along {
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^53 requests")]
    fn due(&mut self, i: u64, gap: impl Fn(u64) -> f64) -> Offset {
        if self.even {
            self.units = i as f64;
        } else {
            while self.drawn <= i {
                self.units += gap(self.drawn);
                self.drawn += 1;
            }
        }
        self.profile.when(self.units).unwrap_or(Offset::MAX)
    }
}

impl Pacing {
    /// The law of the gaps, where there is a rate.
    pub(super) const fn law(&self) -> Option<Law> {
        match self {
            Self::Open { law, .. } | Self::Stages { law, .. } => Some(*law),
            Self::Closed | Self::Burst { .. } | Self::Trace { .. } => None,
        }
    }
}

impl Law {
    /// The gap before arrival `i`, in mean gaps.
    pub(super) fn unit_gap(self, shape: f64, seed: Seed, i: u64) -> f64 {
        let mut rng: ChaCha8Rng = seed.stream("arrival-gap", i);
        match self {
            Self::Constant => 1.0,
            Self::Uniform => Uniform::new(0.0, 2.0).map_or(1.0, |law| law.sample(&mut rng)),
            Self::Exponential => Exp1.sample(&mut rng),
            Self::Gamma => Gamma::new(shape, 1.0 / shape).map_or(1.0, |law| law.sample(&mut rng)),
        }
    }
}

impl Spec {
    /// How many arrivals an open loop has at most: `max_requests`, or what a trace has; `None` for no limit.
    pub fn most_arrivals(&self) -> Option<u64> {
        let trace = match &self.pacing {
            Pacing::Trace { due_us } => Some(due_us.len() as u64),
            _ => None,
        };
        [self.max_requests, trace].into_iter().flatten().min()
    }

    /// Whether another rate can be asked for while it runs: a closed loop, bursts and traces have none.
    pub const fn has_rate(&self) -> bool {
        matches!(self.pacing, Pacing::Open { .. } | Pacing::Stages { .. })
    }

    /// The arrivals per second that the plan wants at `at`, where it wants a rate.
    pub fn rate_at(&self, at: Offset) -> Option<f64> {
        match (Profile::of(self), &self.pacing) {
            (Some(profile), _) => Some(profile.rate_at(at)),
            (None, Pacing::Open { rate, .. }) => Some(rate.as_f64()),
            _ => None,
        }
    }

    /// When the last stage ends.
    pub(super) fn end_of_stages(&self) -> Option<Offset> {
        match &self.pacing {
            Pacing::Stages { stages, .. } => {
                let whole: Duration = stages.iter().map(|stage| stage.lasts).sum();
                Some(Offset::from(whole))
            }
            _ => None,
        }
    }

    /// From when on an open loop has its whole rate.
    pub(super) fn end_of_ramp(&self) -> Offset {
        match (&self.pacing, self.ramp) {
            (Pacing::Open { .. }, Some(ramp)) => Offset::ZERO + ramp.warmup + ramp.time,
            _ => Offset::ZERO,
        }
    }
}
