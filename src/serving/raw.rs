//! A file of raw results: what the queries of one benchmark come to, under the upstream tool's keys and by its arithmetic.
//! Graphs and thresholds are the report's.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Value};

use crate::gauges::{Look, Watched};

use super::stats::{mean, percentile, quantity, ratio, sorted};
use super::{Beside, Query};

/// The percentiles of each figure.
const PERCENTILES: [u32; 8] = [1, 5, 10, 25, 75, 90, 95, 99];

/// A figure of a query: its key, and how it is read.
type Figure = (&'static str, fn(&Query) -> f64);

/// Those that have statistics, in the upstream tool's order.
const FIGURES: [Figure; 10] = [
    ("time_to_first_token", |query| query.time_to_first_token),
    ("prompt_length", |query| quantity(query.prompt_length)),
    ("response_length", |query| quantity(query.response_length)),
    ("total_query_time", |query| query.total_query_time),
    ("completion_time_from_first_token", |query| {
        query.completion_time_from_first_token
    }),
    ("median_time_between_tokens", |query| {
        query.median_time_between_tokens
    }),
    ("total_waiting_time", |query| query.total_waiting_time),
    ("speed_from_beginning", |query| query.speed_from_beginning),
    ("speed_from_first_token", |query| {
        query.speed_from_first_token
    }),
    ("speed_without_waiting_time", |query| {
        query.speed_without_waiting_time
    }),
];

/// What a file of raw results is made from.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// What goes under `parameters`.
    pub parameters: Map<String, Value>,
    /// All queries, in the order in which they ended.
    pub queries: Vec<Query>,
    /// How many more were under way at the end and given up, or lost with a worker.
    pub dropped: u64,
    /// What was seen of the server meanwhile.
    pub watched: Option<Watched>,
    /// From before the first request that only looks whether the server answers to a second after the last: seconds.
    pub actual_total_time: f64,
    /// Keep every query.
    pub query_metrics: bool,
    /// Keep every look at the cache.
    pub with_kv_cache_profile: bool,
    /// What the generator says of itself: `OK`, `STRAINED` or `INVALID`, and why.
    pub verdict: Option<(String, Vec<String>)>,
}

/// A file of raw results: exactly the upstream tool's keys, and `llmload` beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Raw {
    /// What was run.
    pub parameters: Map<String, Value>,
    /// Sums and maxima.
    pub general_metrics: Map<String, Value>,
    /// Statistics of each figure of the queries; none where no query counts.
    pub aggregated_metrics: IndexMap<String, IndexMap<String, f64>>,
    /// Queries that failed, but for time-outs.
    pub errored_queries: Vec<Query>,
    /// Every other query, where that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub individual_query: Option<Vec<Query>>,
    /// Every look at the server, where that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache_profile: Option<Vec<Map<String, Value>>>,
    /// What the upstream tool does not tell (`Beside`).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub llmload: Map<String, Value>,
}

impl Raw {
    /// The figures of a benchmark that was played. Nothing can break them: what nothing was measured of is 0, and what the
    /// server does not tell is −1.
    pub fn of(played: Played) -> Self {
        let llmload = Beside::of(&played).map();
        let counted: Vec<&Query> = played
            .queries
            .iter()
            .filter(|query| query.counts())
            .collect();
        let general_metrics = general(&played, &counted);
        let aggregated_metrics = aggregated(&counted);
        let looks = played.watched.filter(|_| played.with_kv_cache_profile);
        let (good, bad): (Vec<Query>, Vec<Query>) =
            played.queries.into_iter().partition(Query::counts);
        Self {
            parameters: played.parameters,
            general_metrics,
            aggregated_metrics,
            errored_queries: bad,
            individual_query: played.query_metrics.then_some(good),
            kv_cache_profile: looks.map(|it| it.looks.iter().map(look).collect()),
            llmload,
        }
    }

    /// A file's text read.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text of the file, indented as the upstream tool's are.
    pub fn text(&self) -> String {
        json(self)
    }

    /// A sum or maximum; none where the file does not have it, and where the server did not tell.
    pub(super) fn general(&self, key: &str) -> Option<f64> {
        let value = self.general_metrics.get(key).and_then(Value::as_f64);
        value.filter(|value| *value >= 0.0)
    }

    /// A statistic of a figure; none where there is none.
    pub(super) fn aggregate(&self, figure: &str, statistic: &str) -> Option<f64> {
        self.aggregated_metrics.get(figure)?.get(statistic).copied()
    }

    /// Queries that count: those without errors, and time-outs.
    pub(super) fn valid_queries(&self) -> u64 {
        let of = |key| {
            self.general_metrics
                .get(key)
                .and_then(Value::as_u64)
                .unwrap_or(0)
        };
        let timeouts = of("nb_timeout_queries");
        (of("total_number_of_queries") + timeouts).saturating_sub(of("nb_errored_queries"))
    }
}

/// JSON with four spaces a level, and a line's end.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // What is written here has text keys and goes to memory: nothing of it can fail.
    let written = value.serialize(&mut writer);
    debug_assert!(written.is_ok(), "{written:?}");
    bytes.push(b'\n');
    String::from_utf8(bytes).unwrap_or_default()
}

fn look(look: &Look) -> Map<String, Value> {
    let told = |value: Option<f64>| value.map_or_else(|| Value::from(-1), Value::from);
    let pairs = [
        ("num_requests_running", told(look.running)),
        ("num_requests_waiting", told(look.waiting)),
        ("gpu_cache_usage_perc", told(look.cache)),
        ("timestamp", Value::from(look.at_s)),
    ];
    pairs
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// The largest of a gauge; −1 where the server does not tell it.
fn largest(watched: Option<&Watched>, gauge: fn(&Look) -> Option<f64>) -> Value {
    let looks = watched.map_or(&[][..], |watched| &watched.looks);
    let most = looks.iter().filter_map(gauge).reduce(f64::max);
    most.map_or_else(|| Value::from(-1), Value::from)
}

fn general(played: &Played, counted: &[&Query]) -> Map<String, Value> {
    let watched = played.watched.as_ref();
    let sum = |of: fn(&Query) -> f64| counted.iter().map(|query| of(query)).sum::<f64>();
    let tokens = |of: fn(&Query) -> u64| counted.iter().map(|query| of(query)).sum::<u64>();
    let how_many = |of: fn(&Query) -> bool| {
        Value::from(played.queries.iter().filter(|query| of(query)).count())
    };
    let total = sum(|query| query.total_query_time);
    let from_first = sum(|query| query.completion_time_from_first_token);
    let without_waiting = sum(|query| query.total_query_time - query.total_waiting_time);
    let generated = tokens(|query| query.response_length);
    let speed = |seconds| Value::from(ratio(quantity(generated), seconds));
    let pairs = [
        ("max_kv_cache", largest(watched, |look| look.cache)),
        (
            "max_requests_running",
            largest(watched, |look| look.running),
        ),
        (
            "max_requests_waiting",
            largest(watched, |look| look.waiting),
        ),
        ("total_number_of_queries", how_many(|_| true)),
        ("nb_timeout_queries", how_many(|query| query.timeout)),
        ("nb_errored_queries", how_many(|query| !query.success)),
        ("total_time", Value::from(total)),
        ("total_time_from_first_token", Value::from(from_first)),
        (
            "total_time_without_waiting_time",
            Value::from(without_waiting),
        ),
        (
            "total_number_of_ingested_tokens",
            Value::from(tokens(|query| query.prompt_length)),
        ),
        ("total_number_of_generated_tokens", Value::from(generated)),
        ("speed", speed(total)),
        ("speed_without_waiting_time", speed(without_waiting)),
        ("speed_from_first_token", speed(from_first)),
        ("actual_total_time", Value::from(played.actual_total_time)),
    ];
    pairs
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// Statistics over the queries that count. One that timed out before its first token has no time to it, and is left out there:
/// as 0 it would make a server look the faster the more it fails.
fn aggregated(counted: &[&Query]) -> IndexMap<String, IndexMap<String, f64>> {
    let mut all = IndexMap::new();
    if counted.is_empty() {
        return all;
    }
    for (key, of) in FIGURES {
        let has =
            |query: &&&Query| key != "time_to_first_token" || query.chunks > 0 || !query.timeout;
        let values: Vec<f64> = counted.iter().filter(has).map(|query| of(query)).collect();
        all.insert(key.to_owned(), statistics(values));
    }
    all
}

/// All of them, in the upstream tool's order; 0 of nothing.
fn statistics(values: Vec<f64>) -> IndexMap<String, f64> {
    let mut told = IndexMap::from([("mean".to_owned(), mean(&values))]);
    let values = sorted(values);
    let at = |p: u32| percentile(&values, f64::from(p)).unwrap_or(0.0);
    told.insert("median".to_owned(), at(50));
    for p in PERCENTILES {
        told.insert(format!("percentile_{p}"), at(p));
    }
    told
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
