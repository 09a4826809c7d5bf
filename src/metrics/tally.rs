//! What a share of a run adds up to: counts, histograms, errors, warnings. Tallies merge; nothing else travels.
//! It knows no formula of a request (`fold`) and no figure of a report (`summary`).

use std::collections::BTreeMap;

use super::{Generator, Metric, Series};
use crate::domain::{Answer, Index, Offset, Outcome, TokenSource, Warning};

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
    /// Good requests, each by the share of its time (sent to end) inside the measured window.
    pub window_good: f64,
    /// When the first request was sent.
    pub first_sent: Option<Offset>,
    /// When the last request was sent.
    pub last_sent: Option<Offset>,
    /// When the last request ended.
    pub last_end: Option<Offset>,
    /// What the generator measured of itself.
    pub generator: Generator,
    /// Each answer by itself, where the plan wants that; else none.
    pub answers: BTreeMap<Index, Answer>,
    /// Of the answers only so many, those with the least ranks; `None` for all. The least number of two holds.
    pub answers_at_most: Option<u32>,
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
    /// Good requests that met every objective; 0 where there are no objectives.
    pub met_all: u64,
    /// Good requests that met each objective, in the objectives' order; empty where there are none, or nothing ended.
    pub met: Vec<u64>,
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

impl Window {
    /// Whether `at` is inside.
    pub fn holds(&self, at: Offset) -> bool {
        at >= self.start && self.end.is_none_or(|end| at < end)
    }
}
