//! Distributions as people write them, `lognormal(20ms,0.3)`, and draws from them.
//! Which draw belongs to which request is not known here: the generator comes in.

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StandardUniform};

/// A distribution that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LawError {
    /// No such distribution, or the wrong number of parameters.
    #[error(
        "`{0}` is not a distribution (like 20, uniform(10,30), exp(5), normal(20,3), lognormal(20,0.3))"
    )]
    Unknown(String),
    /// A time that cannot be read.
    #[error("`{0}` is not a span of time (like 20ms, 1.5s, 300us)")]
    Span(String),
    /// A number that cannot be read.
    #[error("`{0}` is not a number from 0 up")]
    Number(String),
    /// The bounds of a uniform distribution are the wrong way round.
    #[error("`{0}` ends before it begins")]
    Backwards(String),
}

/// A distribution of a quantity that is never negative: draws below 0 become 0.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    Constant(f64),
    Uniform {
        low: f64,
        high: f64,
    },
    Exponential {
        mean: f64,
    },
    Normal {
        mean: f64,
        deviation: f64,
    },
    /// exp(N(ln median, sigma²)): its mean is median · exp(sigma² / 2).
    LogNormal {
        median: f64,
        sigma: f64,
    },
}

impl Law {
    fn parse(text: &str, unit: fn(&str) -> Result<f64, LawError>) -> Result<Self, LawError> {
        let unknown = || LawError::Unknown(text.to_owned());
        let Some((name, rest)) = text.trim().split_once('(') else {
            return unit(text.trim()).map(Self::Constant);
        };
        let inner = rest.strip_suffix(')').ok_or_else(unknown)?;
        let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
        match (name.trim(), parts.as_slice()) {
            ("constant", [value]) => unit(value).map(Self::Constant),
            ("uniform", [low, high]) => {
                let (low, high) = (unit(low)?, unit(high)?);
                if low > high {
                    return Err(LawError::Backwards(text.to_owned()));
                }
                Ok(Self::Uniform { low, high })
            }
            ("exp" | "exponential", [mean]) => Ok(Self::Exponential { mean: unit(mean)? }),
            ("normal", [mean, deviation]) => Ok(Self::Normal {
                mean: unit(mean)?,
                deviation: unit(deviation)?,
            }),
            ("lognormal", [median, sigma]) => Ok(Self::LogNormal {
                median: unit(median)?,
                sigma: number(sigma)?,
            }),
            _ => Err(unknown()),
        }
    }

    fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        let value = match self {
            Self::Constant(value) => value,
            Self::Uniform { low, high } => {
                let unit: f64 = StandardUniform.sample(rng);
                low + unit * (high - low)
            }
            Self::Exponential { mean } => {
                let unit: f64 = Exp1.sample(rng);
                unit * mean
            }
            Self::Normal { mean, deviation } => mean + normal(rng) * deviation,
            Self::LogNormal { median, sigma } => median * (normal(rng) * sigma).exp(),
        };
        value.max(0.0)
    }

    fn constant(self) -> Option<f64> {
        match self {
            Self::Constant(value) => Some(value),
            _ => None,
        }
    }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// A distribution of times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delay(Law);

impl Delay {
    /// Always this many nanoseconds.
    pub fn constant(time: std::time::Duration) -> Self {
        Self(Law::Constant(time.as_secs_f64() * 1e9))
    }

    /// The next draw, in nanoseconds.
    pub(super) fn draw(self, rng: &mut ChaCha8Rng) -> u64 {
        whole(self.0.draw(rng))
    }

    /// The value where it is always the same, in nanoseconds: no generator is needed then.
    pub(super) fn always(self) -> Option<u64> {
        self.0.constant().map(whole)
    }
}

impl FromStr for Delay {
    type Err = LawError;

    fn from_str(text: &str) -> Result<Self, LawError> {
        Law::parse(text, span).map(Self)
    }
}

/// A distribution of counts of tokens, rounded to whole ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length(Law);

impl Length {
    /// Always this many.
    pub fn constant(tokens: u32) -> Self {
        Self(Law::Constant(f64::from(tokens)))
    }

    pub(super) fn draw(self, rng: &mut ChaCha8Rng) -> u32 {
        u32::try_from(whole(self.0.draw(rng))).unwrap_or(u32::MAX)
    }
}

impl FromStr for Length {
    type Err = LawError;

    fn from_str(text: &str) -> Result<Self, LawError> {
        Law::parse(text, number).map(Self)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "draws are not negative, and a float cast saturates"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn number(text: &str) -> Result<f64, LawError> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(LawError::Number(text.to_owned())),
    }
}

/// A span in nanoseconds; a number alone is seconds.
fn span(text: &str) -> Result<f64, LawError> {
    let wrong = |_| LawError::Span(text.to_owned());
    let end = text.find(|c: char| c.is_ascii_alphabetic() || c == 'µ');
    let (value, unit) = text.split_at(end.unwrap_or(text.len()));
    let scale = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "" | "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3_600e9,
        _ => return Err(LawError::Span(text.to_owned())),
    };
    number(value.trim())
        .map(|value| value * scale)
        .map_err(wrong)
}

/// A span in whole nanoseconds.
pub(super) fn span_nanos(text: &str) -> Result<u64, LawError> {
    span(text).map(whole)
}

/// A span read for an option.
pub(super) fn parse_duration(text: &str) -> Result<std::time::Duration, LawError> {
    span_nanos(text).map(std::time::Duration::from_nanos)
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_law(f, self.0, |ns| format!("{}ms", ns / 1e6))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_law(f, self.0, |count| format!("{count}"))
    }
}

fn write_law(f: &mut fmt::Formatter<'_>, law: Law, unit: fn(f64) -> String) -> fmt::Result {
    match law {
        Law::Constant(value) => f.write_str(&unit(value)),
        Law::Uniform { low, high } => write!(f, "uniform({},{})", unit(low), unit(high)),
        Law::Exponential { mean } => write!(f, "exp({})", unit(mean)),
        Law::Normal { mean, deviation } => {
            write!(f, "normal({},{})", unit(mean), unit(deviation))
        }
        Law::LogNormal { median, sigma } => write!(f, "lognormal({},{sigma})", unit(median)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    fn mean(text: &str) -> f64 {
        let law: Delay = text.parse().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let total: u64 = (0..20_000).map(|_| law.draw(&mut rng)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a test's mean")]
        let mean = total as f64 / 20_000.0;
        mean / 1e6
    }

    #[test]
    fn the_mean_of_each_law_is_the_one_it_states() {
        for (text, wanted) in [
            ("20ms", 20.0),
            ("uniform(10ms,30ms)", 20.0),
            ("exp(5ms)", 5.0),
            ("normal(20ms,3ms)", 20.0),
            ("lognormal(20ms,0.3)", 20.0 * (0.3_f64 * 0.3 / 2.0).exp()),
        ] {
            let got = mean(text);
            assert!((got / wanted - 1.0).abs() < 0.03, "{text}: {got}");
        }
    }

    #[test]
    fn spans_carry_their_units() {
        for (text, nanos) in [
            ("5", 5_000_000_000),
            ("20ms", 20_000_000),
            ("1.5 ms", 1_500_000),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("3ns", 3),
            ("2min", 120_000_000_000),
        ] {
            assert_eq!(span_nanos(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for text in [
            "",
            "x",
            "-5ms",
            "5 parsecs",
            "uniform(1ms)",
            "exp(5ms",
            "beta(1,2)",
            "NaN",
        ] {
            assert!(text.parse::<Delay>().is_err(), "{text}");
        }
        let backwards = "uniform(30ms,10ms)".parse::<Delay>();
        assert_eq!(
            backwards,
            Err(LawError::Backwards("uniform(30ms,10ms)".to_owned()))
        );
        assert!("5ms".parse::<Length>().is_err());
    }

    #[test]
    fn a_law_is_written_as_it_is_read() {
        for text in [
            "20ms",
            "uniform(10ms,30ms)",
            "exp(5ms)",
            "normal(20ms,3ms)",
            "lognormal(20ms,0.3)",
        ] {
            let law: Delay = text.parse().unwrap();
            assert_eq!(law.to_string(), text);
        }
    }

    #[test]
    fn draws_are_never_negative() {
        let law: Delay = "normal(1ms,50ms)".parse().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert!((0..100).any(|_| law.draw(&mut rng) == 0));
        let count: Length = "normal(2,1)".parse().unwrap();
        assert!((0..100).all(|_| count.draw(&mut rng) < 10));
    }
}
