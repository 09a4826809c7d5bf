//! A rate that changes along straight and geometric ways, its integral over time, and when that reaches a given number.
//! It draws nothing: gaps are counted in units of one over the rate, and this maps the units to times.

use std::time::Duration;

use super::{Curve, Pacing, Ramp, Spec, Stage};
use crate::domain::{Offset, Rate};

/// Rates closer together than this part of each other are one.
const SAME: f64 = 1e-9;

/// The rate of a whole run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Profile {
    pieces: Vec<Piece>,
    /// The integral over all of them.
    units: f64,
}

/// A piece of a profile: the rate goes from one to another along a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    start: Offset,
    /// The integral of the rate until here.
    units: f64,
    from: f64,
    to: f64,
    /// In seconds; infinite for the last one of a rate that never ends.
    lasts: f64,
    curve: Curve,
}

impl Profile {
    /// The rate of `spec` where it is not the same all the time.
    pub(super) fn of(spec: &Spec) -> Option<Self> {
        match (&spec.pacing, spec.ramp) {
            (Pacing::Stages { stages, .. }, _) => Some(Self::stages(stages)),
            (&Pacing::Open { rate, .. }, Some(ramp)) => Some(Self::ramp(rate, ramp)),
            _ => None,
        }
    }

    fn stages(stages: &[Stage]) -> Self {
        let mut profile = Self::nothing();
        for stage in stages {
            profile.push(stage.from, stage.to, Some(stage.lasts), Curve::Linear);
        }
        profile
    }

    /// One request a second (or the rate, if it is below that), then the growth, then the rate for ever.
    fn ramp(rate: Rate, ramp: Ramp) -> Self {
        let rate = rate.as_f64();
        let held = rate.min(1.0);
        let mut profile = Self::nothing();
        profile.push(held, held, Some(ramp.warmup), Curve::Linear);
        profile.push(held, rate, Some(ramp.time), ramp.curve);
        profile.push(rate, rate, None, Curve::Linear);
        profile
    }

    const fn nothing() -> Self {
        Self {
            pieces: Vec::new(),
            units: 0.0,
        }
    }

    fn push(&mut self, from: f64, to: f64, lasts: Option<Duration>, curve: Curve) {
        let piece = Piece {
            start: self.end(),
            units: self.units,
            from,
            to,
            lasts: lasts.map_or(f64::INFINITY, |span| span.as_secs_f64()),
            curve,
        };
        // Where nothing is due, the integral stays as it is, however long that lasts.
        self.units += piece.gained(piece.lasts);
        self.pieces.push(piece);
    }

    /// When the last piece ends; `Offset::MAX` for never.
    pub(super) fn end(&self) -> Offset {
        self.pieces.last().map_or(Offset::ZERO, |last| {
            last.start + Duration::try_from_secs_f64(last.lasts).unwrap_or(Duration::MAX)
        })
    }

    /// When the integral goes beyond `units`: at the end of a time without any rate, not at its start. `None` when it
    /// never does.
    pub(super) fn when(&self, units: f64) -> Option<Offset> {
        if units >= self.units {
            return None;
        }
        let after = self.pieces.partition_point(|piece| piece.units <= units);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        let seconds = piece.reaches(units - piece.units);
        Some(piece.start + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// The integral of the rate until `at`.
    pub(super) fn units_at(&self, at: Offset) -> f64 {
        self.piece_at(at).map_or(0.0, |piece| {
            let seconds = at.since(piece.start).as_secs_f64().min(piece.lasts);
            piece.units + piece.gained(seconds)
        })
    }

    /// The rate at `at`; 0 after the end.
    pub(super) fn rate_at(&self, at: Offset) -> f64 {
        let piece = self.piece_at(at).filter(|_| at < self.end());
        piece.map_or(0.0, |piece| piece.rate(at.since(piece.start).as_secs_f64()))
    }

    fn piece_at(&self, at: Offset) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.start <= at);
        self.pieces.get(after.checked_sub(1)?)
    }
}

impl Piece {
    /// The logarithm of the growth, where the rate grows by factors.
    fn growth(&self) -> Option<f64> {
        let flat = (self.to - self.from).abs() <= SAME * self.to;
        let by_factors = self.curve == Curve::Geometric && !flat && self.from > 0.0;
        by_factors.then(|| (self.to / self.from).ln())
    }

    /// How fast the rate grows along a straight way, in 1/s².
    fn slope(&self) -> f64 {
        (self.to - self.from) / self.lasts
    }

    fn rate(&self, seconds: f64) -> f64 {
        match self.growth() {
            Some(growth) => self.from * (growth * seconds / self.lasts).exp(),
            None => self.from + self.slope() * seconds,
        }
    }

    /// The integral over the first `seconds` of it.
    fn gained(&self, seconds: f64) -> f64 {
        if seconds <= 0.0 {
            return 0.0;
        }
        match self.growth() {
            Some(growth) => {
                self.from * self.lasts / growth * (growth * seconds / self.lasts).exp_m1()
            }
            None if self.from.max(self.to) <= 0.0 => 0.0,
            None if self.lasts.is_infinite() => self.from * seconds,
            None => (self.from + self.slope() * seconds / 2.0) * seconds,
        }
    }

    /// After how many seconds the integral over it is `units`.
    fn reaches(&self, units: f64) -> f64 {
        if units <= 0.0 {
            return 0.0;
        }
        let seconds = match self.growth() {
            Some(growth) => {
                (units * growth / (self.from * self.lasts)).ln_1p() * self.lasts / growth
            }
            None => {
                // The root of from·t + slope·t²/2 = units that is stable for a slope of 0.
                let root = (self.from * self.from + 2.0 * self.slope() * units).max(0.0);
                2.0 * units / (self.from + root.sqrt())
            }
        };
        seconds.min(self.lasts)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "these are exact")]

    use proptest::prelude::*;

    use super::*;

    fn stage(from: f64, to: f64, seconds: u64) -> Stage {
        Stage {
            from,
            to,
            lasts: Duration::from_secs(seconds),
        }
    }

    fn seconds(at: f64) -> Offset {
        Offset::from(Duration::from_secs_f64(at))
    }

    #[test]
    fn stages_add_up_and_nothing_is_reached_where_the_rate_is_zero() {
        let profile = Profile::stages(&[
            stage(0.0, 0.0, 5),
            stage(10.0, 10.0, 2),
            stage(0.0, 0.0, 3),
            stage(0.0, 20.0, 4),
        ]);
        assert_eq!(profile.when(0.0), Some(seconds(5.0)));
        assert_eq!(profile.when(19.0), Some(seconds(6.9)));
        assert_eq!(profile.when(20.0), Some(seconds(10.0)));
        // 5 t²/2 = 10.
        assert_eq!(profile.when(30.0), Some(seconds(12.0)));
        assert_eq!(profile.when(60.0), None);
        assert_eq!(profile.end(), seconds(14.0));
        assert_eq!(profile.rate_at(seconds(13.0)), 15.0);
        assert_eq!(profile.rate_at(seconds(14.0)), 0.0);
    }

    #[test]
    fn a_ramp_holds_one_then_grows_then_stays() {
        let ramp = |curve| Ramp {
            warmup: Duration::from_secs(10),
            time: Duration::from_secs(20),
            curve,
        };
        let linear = Profile::ramp(Rate::per_second(101), ramp(Curve::Linear));
        assert_eq!(linear.rate_at(seconds(9.0)), 1.0);
        assert_eq!(linear.rate_at(seconds(20.0)), 51.0);
        assert_eq!(linear.rate_at(seconds(500.0)), 101.0);
        assert_eq!(linear.units_at(seconds(31.0)), 10.0 + 51.0 * 20.0 + 101.0);
        let geometric = Profile::ramp(Rate::per_second(100), ramp(Curve::Geometric));
        assert!((geometric.rate_at(seconds(20.0)) - 10.0).abs() < 1e-9);
        let slow = Profile::ramp("0.5".parse().unwrap(), ramp(Curve::Geometric));
        assert_eq!(slow.rate_at(seconds(15.0)), 0.5);
        assert_eq!(slow.when(1.0), Some(seconds(2.0)));
    }

    fn stages() -> impl Strategy<Value = Vec<Stage>> {
        let rate = prop_oneof![Just(0.0), 0.1..300.0_f64];
        let stage = (rate.clone(), rate, 1_u64..40_000);
        let stage = stage.prop_map(|(from, to, millis)| Stage {
            from,
            to,
            lasts: Duration::from_millis(millis),
        });
        proptest::collection::vec(stage, 1..6)
    }

    proptest! {
        #[test]
        fn when_is_the_inverse_of_the_integral(stages in stages(), part in 0.0..1.0_f64) {
            let profile = Profile::stages(&stages);
            let units = profile.units * part;
            if let Some(at) = profile.when(units) {
                let found = profile.units_at(at);
                // A nanosecond of the highest rate, and what is lost by rounding.
                prop_assert!((found - units).abs() <= 1e-6 * (1.0 + profile.units), "{found} for {units}");
                prop_assert!(at <= profile.end());
            } else {
                prop_assert!(profile.units == 0.0);
            }
        }

        #[test]
        fn a_geometric_ramp_is_inverted_too(rate in 0.01..5_000.0_f64, warmup in 0_u64..60, time in 1_u64..600, units in 0.0..1e5_f64) {
            let ramp = Ramp {
                warmup: Duration::from_secs(warmup),
                time: Duration::from_secs(time),
                curve: Curve::Geometric,
            };
            let profile = Profile::ramp(Rate::try_from(rate).unwrap(), ramp);
            let at = profile.when(units).unwrap();
            let found = profile.units_at(at);
            prop_assert!((found - units).abs() <= 1e-5 * (1.0 + units), "{found} for {units}");
        }
    }
}
