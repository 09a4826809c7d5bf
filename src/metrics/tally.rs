//! What a share of a run adds up to: counts, histograms, errors, warnings. Tallies merge; nothing else travels.
//! It knows no formula of a request (`fold`) and no figure of a report (`summary`).

use std::collections::BTreeMap;

use super::Series;
use crate::domain::{Offset, Outcome, Warning};

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
}

/// The conservation identities' terms: scheduled = sent + dropped + `late_cancelled` + lost (+ still waiting),
/// and sent = finished + in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that came due.
    pub scheduled: u64,
    /// Requests begun: a user took it and asked for a connection.
    pub sent: u64,
    /// Requests that were due and skipped. This engine skips none; the term keeps the identity whole.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// All users spawned, and the warm-up over.
    pub start: Offset,
    /// The end of sending; `None` while nobody knows it.
    pub end: Option<Offset>,
}
