//! What a server tells of itself while it is under load: its gauges and counters, under the names that each kind of server has.
//! Pages in, figures out: it asks no server and reads no clock.

use serde::{Deserialize, Serialize};

/// One look at a server's gauges. What it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When the page was asked for, in seconds since 1970.
    pub at_s: f64,
    /// Requests that it works on.
    pub running: Option<f64>,
    /// Requests that wait there.
    pub waiting: Option<f64>,
    /// Share of its key-value cache that is in use, from 0 to 1.
    pub cache: Option<f64>,
}

/// What a server has counted since it was started. What it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Prompt tokens.
    pub prompt_tokens: Option<f64>,
    /// Output tokens.
    pub output_tokens: Option<f64>,
}

/// How late looks were against their own schedule, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lateness {
    /// The mean.
    pub mean_s: f64,
    /// The 99th percentile.
    pub p99_s: f64,
    /// The largest.
    pub max_s: f64,
}

/// What was seen of a server over a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// Whose names its page has; empty where there was no page.
    pub server: String,
    /// From one look to the next, in seconds.
    pub step_s: f64,
    /// The looks, in order.
    pub looks: Vec<Look>,
    /// How late they were.
    pub lateness: Lateness,
    /// Looks that were due and not made, since the one before was not answered yet.
    pub skipped: u64,
    /// Looks that failed, and the words of the last failure.
    pub failed: u64,
    /// Those words, without secrets; empty where none failed.
    pub failure: String,
    /// Its counters at the first look.
    pub before: Counters,
    /// Its counters at the last look.
    pub after: Counters,
}
