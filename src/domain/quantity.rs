//! Quantities with a unit of their own: rates. Integers inside, so that sums do not drift.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Offset;

/// Events per second, held as billionths of an event per second. Always above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(u64);

/// Why a number is not a rate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RateError {
    /// Not a number at all.
    #[error("`{0}` is not a number of events per second")]
    NotANumber(String),
    /// Zero, negative, not finite, or beyond what a billionth of an event per second can hold.
    #[error("a rate of {0} per second is outside of 1e-9 to 1e9")]
    OutOfRange(f64),
}

impl Rate {
    const SCALE: f64 = 1e9;

    /// `events` per second, for whole numbers.
    ///
    /// # Panics
    /// When `events` is 0.
    pub const fn per_second(events: u32) -> Self {
        assert!(events > 0, "a rate is above zero");
        Self(events as u64 * 1_000_000_000)
    }

    /// Events per second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate has at most 15 digits that matter"
    )]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / Self::SCALE
    }

    /// When event `i` (from 0) of an even schedule is due: floor(i / rate), in whole nanoseconds.
    ///
    /// Integer arithmetic on the index, never a sum of gaps: event one billion is as exact as event one.
    pub fn nth(self, i: u64) -> Offset {
        let nanos = u128::from(i) * 1_000_000_000_000_000_000 / u128::from(self.0);
        Offset::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The mean gap between two events.
    pub fn gap(self) -> Duration {
        self.nth(1).since(Offset::ZERO)
    }
}

impl TryFrom<f64> for Rate {
    type Error = RateError;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first"
    )]
    fn try_from(events: f64) -> Result<Self, RateError> {
        let scaled = (events * Self::SCALE).round();
        if (1.0..=1e18).contains(&scaled) {
            Ok(Self(scaled as u64))
        } else {
            Err(RateError::OutOfRange(events))
        }
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.as_f64()
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number: f64 = text
            .trim()
            .parse()
            .map_err(|_| RateError::NotANumber(text.to_owned()))?;
        Self::try_from(number)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_f64(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_schedule_never_drifts() {
        let rate: Rate = "0.3".parse().unwrap();
        assert_eq!(rate.nth(3).as_nanos(), 10_000_000_000);
        assert_eq!(
            rate.nth(3_000_000_000).as_nanos(),
            10_000_000_000_000_000_000
        );
    }

    #[test]
    fn nonsense_is_refused_by_value() {
        assert_eq!("0".parse::<Rate>(), Err(RateError::OutOfRange(0.0)));
        assert!(
            "-1".parse::<Rate>().is_err()
                && "NaN".parse::<Rate>().is_err()
                && "x".parse::<Rate>().is_err()
        );
    }
}
