//! What a share of a run adds up to: counts, histograms, errors, warnings. Tallies merge; nothing else travels.
//! It knows no formula of a request (`fold`) and no figure of a report (`summary`).

use std::collections::BTreeMap;

use super::{Generator, Series};
use crate::domain::{Offset, Outcome, TokenSource, Warning};

/// Most kinds of failure that a tally tells apart, the collecting ones included.
pub const MAX_ERROR_KINDS: usize = 500;
/// Most characters of a failure's words that are kept.
pub const MAX_ERROR_CHARS: usize = 256;

/// The merged measurements of any share of a run: one core's second, or the whole cluster's run.
///
/// `merge` is associative and commutative, with the empty tally as identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Requests by what became of their schedule slot, over the whole run.
    pub counts: Counts,
    /// Requests sent before the measured window.
    pub warmup: Phase,
    /// Requests sent inside the measured window.
    pub measured: Phase,
    /// Failures by kind; at most `MAX_ERROR_KINDS`, the rest under one key.
    pub errors: BTreeMap<ErrorKey, ErrorCount>,
    /// Doubts by kind.
    pub warnings: BTreeMap<Warning, u64>,
    /// Connections opened.
    pub connections_opened: u64,
    /// Those of them that were opened ahead of the request that used them first.
    pub connections_warmed: u64,
    /// Requests that found a connection open.
    pub connections_reused: u64,
    /// Output tokens that arrived inside the measured window, whenever their request was sent.
    pub window_tokens: f64,
    /// When the first request was sent.
    pub first_sent: Option<Offset>,
    /// When the last request was sent.
    pub last_sent: Option<Offset>,
    /// When the last request ended.
    pub last_end: Option<Offset>,
    /// What the generator measured of itself.
    pub generator: Generator,
}

/// The conservation identities' terms: scheduled = sent + dropped + `late_cancelled` + lost (+ still waiting),
/// and sent = finished + in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that came due.
    pub scheduled: u64,
    /// Requests begun: a user took it and asked for a connection.
    pub sent: u64,
    /// Requests that were due while the worker had no leave to send: it had not heard of its master for too long.
    pub dropped: u64,
    /// Requests that were due, waited for a free user, and were still waiting when sending ended.
    pub late_cancelled: u64,
    /// Requests of a worker that went away, as far as nobody knows what became of them.
    pub lost: u64,
}

/// Requests of one phase of the run, by when they were sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phase {
    /// Finished requests by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Distributions; those of latencies hold good requests alone, except `FailedTime`.
    pub series: BTreeMap<Metric, Series>,
    /// Bytes of response bodies.
    pub body_bytes: u64,
    /// Output tokens of good requests, where known.
    pub output_tokens: u64,
    /// Prompt tokens of good requests, where known.
    pub prompt_tokens: u64,
    /// Good requests by where their output token count came from.
    pub token_sources: BTreeMap<TokenSource, u64>,
}

/// One distribution. Times are in nanoseconds; counts of things are scaled by `COUNT_SCALE`, so that one
/// histogram layout serves all and a table that divides by 1e6 shows milliseconds or things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// End of the body − sent: the request's own row, and Fireworks' `total_latency`.
    TotalLatency,
    /// End − sent of failed requests.
    FailedTime,
    /// First content event − sent.
    TimeToFirstToken,
    /// First content event − due.
    TimeToFirstTokenFromDue,
    /// First content event that is not reasoning − sent.
    TimeToFirstOutput,
    /// Response head − sent.
    TimeToHeaders,
    /// Last content event − sent.
    Latency,
    /// Last content event − due.
    LatencyFromDue,
    /// Sent − due.
    Lateness,
    /// First write − the moment from which it could have been (due, and a user free), the wait for a connection left out:
    /// the generator's own delay.
    SendDelay,
    /// Read − arrival by the kernel's stamp, one entry a read; without such stamps, how late the event loop served a timer.
    ReceiveLag,
    /// (last content − first content) / (tokens − tokens of the first event).
    TimePerOutputToken,
    /// Gap between content events, one entry a gap.
    InterChunkLatency,
    /// Gap / tokens of its event, one entry a token, where the tokens of each event are known.
    InterTokenLatency,
    /// Fireworks: (end − first content) / tokens.
    LatencyPerToken,
    /// Fireworks: (end − sent) / tokens.
    OverallLatencyPerToken,
    /// (end − sent) / characters of output.
    LatencyPerChar,
    /// Time to have a new connection.
    ConnectTime,
    /// Output tokens.
    OutputTokens,
    /// Prompt tokens as the server counts them, else as counted before the run.
    PromptTokens,
    /// Prompt tokens asked for by the settings.
    RequestedPromptTokens,
    /// Prompt tokens from a cache.
    CachedTokens,
}

impl Metric {
    /// All of them, in report order.
    pub const ALL: [Self; 22] = [
        Self::TotalLatency,
        Self::FailedTime,
        Self::TimeToFirstToken,
        Self::TimeToFirstTokenFromDue,
        Self::TimeToFirstOutput,
        Self::TimeToHeaders,
        Self::Latency,
        Self::LatencyFromDue,
        Self::Lateness,
        Self::SendDelay,
        Self::ReceiveLag,
        Self::TimePerOutputToken,
        Self::InterChunkLatency,
        Self::InterTokenLatency,
        Self::LatencyPerToken,
        Self::OverallLatencyPerToken,
        Self::LatencyPerChar,
        Self::ConnectTime,
        Self::OutputTokens,
        Self::PromptTokens,
        Self::RequestedPromptTokens,
        Self::CachedTokens,
    ];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TotalLatency => "total_latency",
            Self::FailedTime => "failed_time",
            Self::TimeToFirstToken => "time_to_first_token",
            Self::TimeToFirstTokenFromDue => "time_to_first_token_from_due",
            Self::TimeToFirstOutput => "time_to_first_output",
            Self::TimeToHeaders => "time_to_headers",
            Self::Latency => "latency",
            Self::LatencyFromDue => "latency_from_due",
            Self::Lateness => "lateness",
            Self::SendDelay => "send_delay",
            Self::ReceiveLag => "receive_lag",
            Self::TimePerOutputToken => "time_per_output_token",
            Self::InterChunkLatency => "inter_chunk_latency",
            Self::InterTokenLatency => "inter_token_latency",
            Self::LatencyPerToken => "latency_per_token",
            Self::OverallLatencyPerToken => "overall_latency_per_token",
            Self::LatencyPerChar => "latency_per_char",
            Self::ConnectTime => "connect_time",
            Self::OutputTokens => "output_tokens",
            Self::PromptTokens => "prompt_tokens",
            Self::RequestedPromptTokens => "requested_prompt_tokens",
            Self::CachedTokens => "cached_tokens",
        }
    }

    /// The name in result files, with its unit where it is a time.
    pub const fn key(self) -> &'static str {
        match self {
            Self::TotalLatency => "total_latency_ms",
            Self::FailedTime => "failed_time_ms",
            Self::TimeToFirstToken => "ttft_ms",
            Self::TimeToFirstTokenFromDue => "ttft_from_due_ms",
            Self::TimeToFirstOutput => "ttfo_ms",
            Self::TimeToHeaders => "ttfb_ms",
            Self::Latency => "latency_ms",
            Self::LatencyFromDue => "latency_from_due_ms",
            Self::Lateness => "lateness_ms",
            Self::SendDelay => "send_delay_ms",
            Self::ReceiveLag => "receive_lag_ms",
            Self::TimePerOutputToken => "tpot_ms",
            Self::InterChunkLatency => "icl_ms",
            Self::InterTokenLatency => "itl_ms",
            Self::LatencyPerToken => "latency_per_token_ms",
            Self::OverallLatencyPerToken => "overall_latency_per_token_ms",
            Self::LatencyPerChar => "latency_per_char_ms",
            Self::ConnectTime => "connect_time_ms",
            Self::OutputTokens
            | Self::PromptTokens
            | Self::RequestedPromptTokens
            | Self::CachedTokens => self.name(),
        }
    }

    /// The metric that tables call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether it counts things (scaled by `COUNT_SCALE`) and is not a time.
    pub const fn is_count(self) -> bool {
        matches!(
            self,
            Self::OutputTokens
                | Self::PromptTokens
                | Self::RequestedPromptTokens
                | Self::CachedTokens
        )
    }
}

/// What makes two failures the same kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorKey {
    /// Which outcome.
    pub outcome: Outcome,
    /// The words, at most 256 characters, without secrets.
    pub text: String,
}

/// How often a kind of failure was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// How often.
    pub count: u64,
    /// When first.
    pub first_seen: Offset,
    /// When last.
    pub last_seen: Offset,
}

/// The measured part of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// All users spawned, and the warm-up over.
    pub start: Offset,
    /// The end of sending; `None` while nobody knows it.
    pub end: Option<Offset>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_name_and_key() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
            assert_eq!(metric.key().ends_with("_ms"), !metric.is_count());
        }
        let mut keys = Metric::ALL.map(Metric::key);
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
