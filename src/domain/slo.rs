//! A service level objective in the words of `--slo`. Who meets it is decided elsewhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{format_span, parse_span};

/// A limit of one figure: `ttft<500ms` of each request, `ttft:p95<500ms` of 95 in a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// What is limited.
    pub figure: SloFigure,
    /// The share of the requests that must be below the limit, from 0 to 1; `None`: each request is looked at alone.
    pub quantile: Option<f64>,
    /// The limit, in nanoseconds; a figure equal to it is too much.
    pub limit_ns: u64,
}

/// What a service level objective can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SloFigure {
    /// Time to first token, from sent.
    Ttft,
    /// Time per output token of one request.
    Tpot,
    /// The longest gap between two tokens of one request; over all requests, the gaps.
    Itl,
    /// End-to-end latency, from sent.
    Latency,
}

/// Words that are no objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no objective: write one like ttft:p95<500ms or latency<2s (ttft, tpot, itl, latency)"
)]
pub struct SloError(String);

impl SloFigure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ttft, Self::Tpot, Self::Itl, Self::Latency];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Tpot => "tpot",
            Self::Itl => "itl",
            Self::Latency => "latency",
        }
    }
}

impl FromStr for Slo {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Self, SloError> {
        read(text).ok_or_else(|| SloError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Slo> {
    let (left, limit) = text.split_once('<')?;
    let (name, quantile) = match left.trim().split_once(':') {
        Some((name, quantile)) => (name, Some(read_quantile(quantile)?)),
        None => (left, None),
    };
    let named = |figure: &SloFigure| figure.name().eq_ignore_ascii_case(name.trim());
    let limit = parse_span(limit.trim())
        .ok()
        .filter(|limit| !limit.is_zero())?;
    Some(Slo {
        figure: SloFigure::ALL.into_iter().find(named)?,
        quantile,
        limit_ns: u64::try_from(limit.as_nanos()).ok()?,
    })
}

fn read_quantile(text: &str) -> Option<f64> {
    let percent: f64 = text.trim().strip_prefix(['p', 'P'])?.parse().ok()?;
    (percent > 0.0 && percent < 100.0).then_some(percent / 100.0)
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.figure.name())?;
        if let Some(quantile) = self.quantile {
            // 0.999 times 100 is not 99.9.
            write!(f, ":p{}", (quantile * 1e5).round() / 1e3)?;
        }
        // A span is written in whole milliseconds, and 12.5 ms are a limit that people ask for.
        let (millis, rest) = (self.limit_ns / 1_000_000, self.limit_ns % 1_000_000);
        if rest > 0 {
            let digits = format!("{rest:06}");
            return write!(f, "<{millis}.{}ms", digits.trim_end_matches('0'));
        }
        let limit = std::time::Duration::from_nanos(self.limit_ns);
        write!(f, "<{}", format_span(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_and_written_alike() {
        for text in [
            "ttft:p95<500ms",
            "tpot<50ms",
            "latency:p99.9<2s",
            "itl:p50<20ms",
            "tpot<12.5ms",
            "ttft:p50<1010.1ms",
            "itl<0.000001ms",
        ] {
            assert_eq!(text.parse::<Slo>().unwrap().to_string(), text);
        }
        let slo: Slo = " TTFT : p95 < 0.5s".parse().unwrap();
        assert_eq!((slo.quantile, slo.limit_ns), (Some(0.95), 500_000_000));
    }

    #[test]
    fn what_is_no_objective_is_refused() {
        for text in [
            "",
            "ttft",
            "ttft<",
            "ttft<0s",
            "ttft:p0<1s",
            "ttft:p100<1s",
            "ttft:95<1s",
            "x<1s",
            "ttft>1s",
        ] {
            assert!(text.parse::<Slo>().is_err(), "{text}");
        }
    }
}
