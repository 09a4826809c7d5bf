//! How a request ended. Every request that was sent ends in exactly one of these.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// An end token or stop sequence.
    Stop,
    /// The asked-for number of tokens was reached.
    Length,
    /// A tool call.
    ToolCalls,
    /// A content filter.
    ContentFilter,
    /// Any other word.
    Other,
}

/// The fate of one request. The first two are good; `Cancelled` is neither good nor a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Complete.
    Ok,
    /// Complete, stopped by the asked-for length.
    Truncated,
    /// A status from 400 to 499 other than 429, or any other status that is neither 2xx nor 5xx.
    #[serde(rename = "http_4xx")]
    Http4xx,
    /// Too many requests.
    #[serde(rename = "http_429")]
    Http429,
    /// A status from 500 to 599.
    #[serde(rename = "http_5xx")]
    Http5xx,
    /// The connection was refused, reset, or failed otherwise before a response head came.
    Connect,
    /// The host name could not be resolved.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// No connection within `--connect-timeout`.
    TimeoutConnect,
    /// No content event within `--timeout-first-token`.
    TimeoutFirstToken,
    /// No bytes for `--timeout-idle`.
    TimeoutIdle,
    /// Not complete within `--timeout`.
    TimeoutTotal,
    /// The stream ended without its terminal event.
    Cut,
    /// An error object or event inside a 200 answer.
    InStreamError,
    /// An event that could not be understood.
    ParseError,
    /// Complete, with neither text nor output tokens although some were asked for.
    Empty,
    /// Ended on purpose: the drain's deadline, a second Ctrl-C, `--cancel-rate`.
    Cancelled,
}

impl Outcome {
    /// All of them, in report order.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Truncated,
        Self::Http4xx,
        Self::Http429,
        Self::Http5xx,
        Self::Connect,
        Self::Dns,
        Self::Tls,
        Self::TimeoutConnect,
        Self::TimeoutFirstToken,
        Self::TimeoutIdle,
        Self::TimeoutTotal,
        Self::Cut,
        Self::InStreamError,
        Self::ParseError,
        Self::Empty,
        Self::Cancelled,
    ];

    /// Whether its latencies count.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Ok | Self::Truncated)
    }

    /// Whether it counts as a failure.
    pub const fn is_failure(self) -> bool {
        !self.is_good() && !matches!(self, Self::Cancelled)
    }

    /// The name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Truncated => "truncated",
            Self::Http4xx => "http_4xx",
            Self::Http429 => "http_429",
            Self::Http5xx => "http_5xx",
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::TimeoutConnect => "timeout_connect",
            Self::TimeoutFirstToken => "timeout_first_token",
            Self::TimeoutIdle => "timeout_idle",
            Self::TimeoutTotal => "timeout_total",
            Self::Cut => "cut",
            Self::InStreamError => "in_stream_error",
            Self::ParseError => "parse_error",
            Self::Empty => "empty",
            Self::Cancelled => "cancelled",
        }
    }

    /// The outcome with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_one_name_everywhere() {
        for outcome in Outcome::ALL {
            let written = serde_json::to_value(outcome).unwrap();
            assert_eq!(written, serde_json::json!(outcome.name()));
            assert_eq!(Outcome::from_name(outcome.name()), Some(outcome));
        }
    }
}
