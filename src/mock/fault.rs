//! The faults that a request can meet, as they are written: `stall=0.1:8,500ms` or, in a header, `stall:8,500ms`.
//! Acting them out is the work of `service` and `stream`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::law::parse_duration;

/// Tokens before a fault in mid-stream, where none are given.
const DEFAULT_AFTER: u32 = 3;
/// How long a stall or a slow start takes, where nothing is given.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);
/// By how much a wrong usage is off, where nothing is given.
const DEFAULT_OFFSET: i64 = 1;

/// A fault that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such kind.
    #[error("`{0}` is not a kind of fault")]
    Kind(String),
    /// The parameter does not fit the kind.
    #[error("`{0}` does not fit this kind of fault")]
    Parameter(String),
    /// The share is missing or outside 0..=1.
    #[error("`{0}` is not a fault with its share (like cut=0.05:8)")]
    Share(String),
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this HTTP status and an error object (default 500).
    Status(u16),
    /// Answered with 429 and `Retry-After` (seconds, default 1).
    RateLimit(u32),
    /// Nothing, not even the response head, before this time has passed.
    SlowStart(Duration),
    /// A pause after so many tokens, then on as if nothing was.
    Stall {
        /// Tokens sent before it.
        after: u32,
        /// Its length.
        wait: Duration,
    },
    /// The body ends properly, without its terminal event, after so many tokens.
    Cut(u32),
    /// The connection closes in the middle of the body after so many tokens.
    Drop(u32),
    /// The connection closes before any byte of an answer.
    DropBefore,
    /// An event of broken JSON after so many tokens; the stream goes on.
    Malformed(u32),
    /// An `error` object in a stream of status 200 after so many tokens, which ends it.
    ErrorInStream(u32),
    /// A 200 without text, of 0 completion tokens.
    Empty,
    /// Completion tokens in the usage are off by this (never below 0).
    WrongUsage(i64),
    /// It stops by itself after so many tokens.
    Short(u32),
    /// No answer, ever.
    Hang,
}

/// The kinds of fault, without their parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[expect(
    missing_docs,
    reason = "each is told at the variant of `Fault` of the same name"
)]
pub enum FaultKind {
    Status,
    RateLimit,
    SlowStart,
    Stall,
    Cut,
    Drop,
    DropBefore,
    Malformed,
    ErrorInStream,
    Empty,
    WrongUsage,
    Short,
    Hang,
}

impl FaultKind {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 13] = [
        Self::Status,
        Self::RateLimit,
        Self::SlowStart,
        Self::Stall,
        Self::Cut,
        Self::Drop,
        Self::DropBefore,
        Self::Malformed,
        Self::ErrorInStream,
        Self::Empty,
        Self::WrongUsage,
        Self::Short,
        Self::Hang,
    ];

    /// The name in options, headers and counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::RateLimit => "rate-limit",
            Self::SlowStart => "slow-start",
            Self::Stall => "stall",
            Self::Cut => "cut",
            Self::Drop => "drop",
            Self::DropBefore => "drop-before",
            Self::Malformed => "malformed",
            Self::ErrorInStream => "error-in-stream",
            Self::Empty => "empty",
            Self::WrongUsage => "wrong-usage",
            Self::Short => "short",
            Self::Hang => "hang",
        }
    }

    fn named(name: &str) -> Option<Self> {
        if name == "429" {
            return Some(Self::RateLimit);
        }
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The fault of this kind with a parameter, or with the defaults.
    fn with(self, parameter: Option<&str>) -> Result<Fault, FaultError> {
        let text = parameter.unwrap_or_default();
        let wrong = || FaultError::Parameter(text.to_owned());
        let after = || match parameter {
            None => Ok(DEFAULT_AFTER),
            Some(text) => text.parse().map_err(|_| wrong()),
        };
        let bare = |fault| {
            if parameter.is_none() {
                Ok(fault)
            } else {
                Err(wrong())
            }
        };
        Ok(match self {
            Self::Status => Fault::Status(status(parameter).ok_or_else(wrong)?),
            Self::RateLimit if parameter.is_none() => Fault::RateLimit(1),
            Self::RateLimit => Fault::RateLimit(text.parse().map_err(|_| wrong())?),
            Self::SlowStart if parameter.is_none() => Fault::SlowStart(DEFAULT_WAIT),
            Self::SlowStart => Fault::SlowStart(parse_duration(text).map_err(|_| wrong())?),
            Self::Stall => stall(parameter).ok_or_else(wrong)?,
            Self::Cut => Fault::Cut(after()?),
            Self::Drop => Fault::Drop(after()?),
            Self::DropBefore => bare(Fault::DropBefore)?,
            Self::Malformed => Fault::Malformed(after()?),
            Self::ErrorInStream => Fault::ErrorInStream(after()?),
            Self::Empty => bare(Fault::Empty)?,
            Self::WrongUsage if parameter.is_none() => Fault::WrongUsage(DEFAULT_OFFSET),
            Self::WrongUsage => Fault::WrongUsage(text.parse().map_err(|_| wrong())?),
            Self::Short => Fault::Short(after()?),
            Self::Hang => bare(Fault::Hang)?,
        })
    }
}

fn status(parameter: Option<&str>) -> Option<u16> {
    let Some(text) = parameter else {
        return Some(500);
    };
    text.parse().ok().filter(|code| (400..=599).contains(code))
}

/// `8,500ms`, `8`, or nothing.
fn stall(parameter: Option<&str>) -> Option<Fault> {
    let (after, wait) = match parameter {
        None => (DEFAULT_AFTER, DEFAULT_WAIT),
        Some(text) => match text.split_once(',') {
            None => (text.parse().ok()?, DEFAULT_WAIT),
            Some((after, wait)) => (after.parse().ok()?, parse_duration(wait).ok()?),
        },
    };
    Some(Fault::Stall { after, wait })
}

impl Fault {
    /// Its kind.
    pub fn kind(self) -> FaultKind {
        match self {
            Self::Status(_) => FaultKind::Status,
            Self::RateLimit(_) => FaultKind::RateLimit,
            Self::SlowStart(_) => FaultKind::SlowStart,
            Self::Stall { .. } => FaultKind::Stall,
            Self::Cut(_) => FaultKind::Cut,
            Self::Drop(_) => FaultKind::Drop,
            Self::DropBefore => FaultKind::DropBefore,
            Self::Malformed(_) => FaultKind::Malformed,
            Self::ErrorInStream(_) => FaultKind::ErrorInStream,
            Self::Empty => FaultKind::Empty,
            Self::WrongUsage(_) => FaultKind::WrongUsage,
            Self::Short(_) => FaultKind::Short,
            Self::Hang => FaultKind::Hang,
        }
    }

    /// How many tokens of a choice go before it, for those that strike in mid-stream.
    pub(super) fn strikes_after(self) -> Option<u32> {
        match self {
            Self::Stall { after, .. }
            | Self::Cut(after)
            | Self::Drop(after)
            | Self::Malformed(after)
            | Self::ErrorInStream(after) => Some(after),
            _ => None,
        }
    }
}

/// `KIND[:PARAM]`, as in the header `x-mock-fault`.
impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let text = text.trim();
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        FaultKind::named(name)
            .ok_or_else(|| FaultError::Kind(name.to_owned()))?
            .with(parameter)
    }
}

/// A fault and the share of requests that meet it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultShare {
    /// What they meet.
    pub fault: Fault,
    /// 0 to 1.
    pub share: f64,
}

/// `KIND=SHARE[:PARAM]`.
impl FromStr for FaultShare {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError::Share(text.to_owned());
        let (name, rest) = text.trim().split_once('=').ok_or_else(wrong)?;
        let (share, parameter) = match rest.split_once(':') {
            Some((share, parameter)) => (share, Some(parameter)),
            None => (rest, None),
        };
        let share: f64 = share.parse().map_err(|_| wrong())?;
        if !(0.0..=1.0).contains(&share) {
            return Err(wrong());
        }
        let kind = FaultKind::named(name).ok_or_else(|| FaultError::Kind(name.to_owned()))?;
        Ok(Self {
            fault: kind.with(parameter)?,
            share,
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        let read = |text: &str| text.parse::<Fault>();
        assert_eq!(read("status"), Ok(Fault::Status(500)));
        assert_eq!(read("status:503"), Ok(Fault::Status(503)));
        assert_eq!(read("429:7"), Ok(Fault::RateLimit(7)));
        assert_eq!(read("cut:0"), Ok(Fault::Cut(0)));
        assert_eq!(read("wrong-usage:-4"), Ok(Fault::WrongUsage(-4)));
        assert_eq!(read("hang"), Ok(Fault::Hang));
        let stall = Fault::Stall {
            after: 8,
            wait: Duration::from_millis(500),
        };
        assert_eq!(read("stall:8,500ms"), Ok(stall));
        let share = "stall=0.1:8,500ms".parse();
        assert_eq!(
            share,
            Ok(FaultShare {
                fault: stall,
                share: 0.1
            })
        );
    }

    #[test]
    fn every_kind_is_found_by_its_name_and_has_its_place() {
        for (place, kind) in FaultKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            let fault: Fault = kind.name().parse().unwrap();
            assert_eq!(fault.kind(), kind);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for text in [
            "burn",
            "status:200",
            "status:x",
            "hang:3",
            "stall:x",
            "slow-start:soon",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
        for text in [
            "cut",
            "cut=",
            "cut=1.5",
            "cut=-0.1:3",
            "cut=NaN",
            "burn=0.1",
        ] {
            assert!(text.parse::<FaultShare>().is_err(), "{text}");
        }
    }
}
