//! How a run went step by step, as the API tells it: one list of columns, and a list of values a step.

use serde_json::{Value, json};

use super::standing::millis;
use crate::domain::Outcome;
use crate::gauges::Look;
use crate::metrics::Metric;
use crate::report::Step;

const COLUMNS: [&str; 19] = [
    "from_s",
    "to_s",
    "asked_per_s",
    "requests_per_s",
    "failures_per_s",
    "users",
    "in_flight",
    "waiting",
    "output_tokens_per_s",
    "ttft_p50_ms",
    "ttft_p95_ms",
    "ttft_p99_ms",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "tpot_p50_ms",
    "tpot_p95_ms",
    "send_delay_p99_ms",
    "busy_share",
];

/// What the values of a step are, in their order.
pub const fn columns() -> &'static [&'static str] {
    &COLUMNS
}

/// Steps as lists of values.
pub fn steps(steps: &[Step]) -> Value {
    steps.iter().map(step).collect()
}

fn step(step: &Step) -> Value {
    let at = |metric, q| step.get(metric).and_then(|series| millis(series, q));
    let (first, whole) = (Metric::TimeToFirstToken, Metric::TotalLatency);
    let each = Metric::TimePerOutputToken;
    let failures = step.count(Outcome::is_failure);
    let values: [Value; COLUMNS.len()] = [
        json!(step.from.as_secs_f64()),
        json!(step.to.as_secs_f64()),
        json!(step.per_s(step.counts.scheduled)),
        json!(step.per_s(failures + step.count(Outcome::is_good))),
        json!(step.per_s(failures)),
        json!(step.crowd.users),
        json!(step.crowd.in_flight),
        json!(step.crowd.waiting),
        json!(step.per_s(step.output_tokens)),
        json!(at(first, 0.5)),
        json!(at(first, 0.95)),
        json!(at(first, 0.99)),
        json!(at(whole, 0.5)),
        json!(at(whole, 0.95)),
        json!(at(whole, 0.99)),
        json!(at(each, 0.5)),
        json!(at(each, 0.95)),
        json!(at(Metric::SendDelay, 0.99)),
        json!(step.busy_share()),
    ];
    Value::from(values.to_vec())
}

/// Looks at the server as lists: time since the run's start in seconds, running, waiting, share of the cache.
pub fn looks(looks: &[Look], started_s: f64) -> Value {
    looks
        .iter()
        .map(|look| {
            json!([
                look.at_s - started_s,
                look.running,
                look.waiting,
                look.cache
            ])
        })
        .collect()
}
