//! What a benchmark was asked for, as its file of raw results has it: the upstream tool's keys, in its order.

use serde_json::{Map, Value};

/// What a benchmark was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked<'a> {
    /// The model, as requests name it.
    pub model: &'a str,
    /// The prompts' length; 0 for prompts of all lengths.
    pub length: u32,
    /// Requests under way all the time.
    pub workers: u32,
    /// How requests follow each other.
    pub profile: &'a str,
    /// From one look at the server's metrics to the next, in seconds.
    pub step_s: f64,
    /// Most queries.
    pub max_queries: u64,
    /// Queries per second; 0 where there is no rate, `None` for all at once.
    pub rate: Option<f64>,
    /// The backend's name.
    pub backend: &'a str,
    /// The answers' length.
    pub output: u32,
    /// When its suite was begun, in words; `None` for a benchmark by itself.
    pub suite_id: Option<&'a str>,
}

impl Asked<'_> {
    /// What goes under `parameters`; what the server tells of itself (its name, versions, launch arguments) comes behind.
    pub fn parameters(&self) -> Map<String, Value> {
        let rate = match self.rate {
            Some(rate) if rate > 0.0 => Value::from(rate),
            Some(_) => Value::from(0),
            // JSON knows no infinity.
            None => Value::from("inf"),
        };
        let pairs = [
            ("model", Value::from(self.model)),
            ("prompt_length", Value::from(self.length.to_string())),
            ("n_workers", Value::from(self.workers)),
            ("query_profile", Value::from(self.profile)),
            ("step_live_metrics", Value::from(self.step_s)),
            ("max_queries", Value::from(self.max_queries)),
            ("request_rate", rate),
            ("backend", Value::from(self.backend)),
            ("output_length", Value::from(self.output)),
            ("suite_id", Value::from(self.suite_id)),
        ];
        let pairs = pairs.into_iter();
        pairs.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}
