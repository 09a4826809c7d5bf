//! How a run is shown: tables, the closing block, CSV files, JSON, all as text made of values.
//! Same input, same bytes: no file is opened, no clock read and no terminal asked here.

pub mod closing;
mod generator;
mod history;
pub mod json;
mod load;
mod number;
mod objectives;
pub mod page;
pub mod plain;
pub mod record_line;
mod rows;
mod server;
mod standing;
pub mod stats_csv;
pub mod summary_block;
pub mod summary_file;
pub mod table;
mod turns;

#[cfg(test)]
pub(crate) mod sample;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::Offset;
use crate::gauges::Watched;
use crate::metrics::{Summary, Verdict};
use crate::plan::Plan;

pub use history::{Crowd, History, Step};
pub use load::{Load, LoadChange};
pub(crate) use number::{mean, percentile, python_float, shown};
pub use standing::{Lately, LifeStage, Standing, WorkerStanding};

/// The percentiles of every table and file: (heading, quantile).
pub(crate) const PERCENTILES: [(&str, f64); 11] = [
    ("50%", 0.5),
    ("66%", 0.66),
    ("75%", 0.75),
    ("80%", 0.8),
    ("90%", 0.9),
    ("95%", 0.95),
    ("98%", 0.98),
    ("99%", 0.99),
    ("99.9%", 0.999),
    ("99.99%", 0.9999),
    ("100%", 1.0),
];

/// Everything that a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// The request's own row in tables.
    pub endpoint: Endpoint<'a>,
    /// How it went.
    pub summary: &'a Summary,
    /// Who sent it.
    pub workers: &'a [Worker],
    /// The wall-clock time of the run's offset zero, in UTC.
    pub started_at: OffsetDateTime,
    /// What was changed while it went on, in order.
    pub changes: &'a [LoadChange],
    /// Whatever else a reader should know, a line each.
    pub notes: &'a [String],
    /// This program's version.
    pub version: &'a str,
    /// How far the figures can be trusted, once somebody judged it.
    pub verdict: Option<&'a Verdict>,
    /// Why the run did not do what was asked, apart from the verdict.
    pub failure: Option<&'a str>,
    /// What was seen of the server meanwhile, where somebody looked.
    pub watched: Option<&'a Watched>,
}

/// The request as tables name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The path, like `/v1/chat/completions`.
    pub name: &'a str,
}

/// One worker's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Host name and process id.
    pub name: String,
    /// Requests that it began.
    pub requests: u64,
    /// Requests of it that ended, however they did.
    pub finished: u64,
    /// Requests of it that were due while it had no leave to send.
    pub dropped: u64,
    /// Requests of it that nobody knows the end of.
    pub lost_requests: u64,
    /// The master's clock minus its own, in nanoseconds, and how far off that may be; `None` within one process.
    pub clock: Option<(i64, u64)>,
    /// It went away before the end.
    pub lost: bool,
}

/// What the generator says of itself, line by line: its load, its delays, its stamps, its cores, the verdict.
pub fn generator_lines(ctx: &Context<'_>) -> Vec<String> {
    generator::lines(ctx)
}

impl Context<'_> {
    /// The wall-clock time of an offset, as RFC 3339 with milliseconds.
    fn wall_clock(&self, at: Offset) -> String {
        let millis = at.as_nanos() / 1_000_000;
        let span = time::Duration::milliseconds(i64::try_from(millis).unwrap_or(i64::MAX));
        rfc3339(self.started_at.saturating_add(span))
    }
}

/// A time of the wall clock, as RFC 3339 with milliseconds.
pub fn rfc3339(at: OffsetDateTime) -> String {
    let whole_millis = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    // A year beyond 9999 is the only thing that the format cannot hold.
    whole_millis.format(&Rfc3339).unwrap_or_default()
}
