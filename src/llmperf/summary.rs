//! The summary of a token benchmark: one flat object, keys and arithmetic as llmperf's.

use serde_json::{Map, Value};

use super::individual::quantity;
use super::spread::{QUANTILES, Spread, count};
use super::{Benchmark, Individual};

/// The version of the layout, as llmperf names it.
pub(super) const VERSION: &str = "2023-08-31";
/// What the names of the settings for sampling begin with.
const SAMPLING: &str = "additional_sampling_params";

/// A figure that has a distribution: its key, whether it counts things, its value of a response.
type Figure = (&'static str, bool, fn(&Individual) -> Option<f64>);

/// In llmperf's order.
const FIGURES: [Figure; 6] = [
    ("inter_token_latency_s", false, |one| {
        one.inter_token_latency_s
    }),
    ("ttft_s", false, |one| one.ttft_s),
    ("end_to_end_latency_s", false, |one| {
        one.end_to_end_latency_s
    }),
    ("request_output_throughput_token_per_s", false, |one| {
        one.request_output_throughput_token_per_s
    }),
    ("number_input_tokens", true, |one| {
        one.number_input_tokens.map(quantity)
    }),
    ("number_output_tokens", true, |one| {
        one.number_output_tokens.map(quantity)
    }),
];

/// Everything that is measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Results {
    /// Each figure's distribution over good responses.
    pub(super) spreads: Vec<(&'static str, Spread)>,
    pub(super) started: usize,
    pub(super) error_rate: f64,
    pub(super) errors: usize,
    /// A dictionary as Python writes it, the most frequent number first.
    pub(super) error_codes: String,
    /// Output tokens of good responses a second; `null` where no time passed.
    pub(super) throughput: Value,
    pub(super) completed: usize,
    /// Likewise.
    pub(super) per_minute: Value,
}

impl Results {
    pub(super) fn of(responses: &[Individual], wall_s: f64) -> Self {
        let good: Vec<&Individual> = responses.iter().filter(|one| one.is_good()).collect();
        let spread = |(key, is_count, of): Figure| {
            let values = good.iter().filter_map(|one| of(one));
            (key, Spread::of(values.collect(), is_count))
        };
        let errors = responses.len() - good.len();
        let tokens: u64 = good.iter().filter_map(|one| one.number_output_tokens).sum();
        Self {
            spreads: FIGURES.into_iter().map(spread).collect(),
            started: responses.len(),
            error_rate: rate(errors, responses.len()),
            errors,
            error_codes: error_codes(responses),
            throughput: Value::from(quantity(tokens) / wall_s),
            completed: good.len(),
            per_minute: Value::from(count(good.len()) / wall_s * 60.0),
        }
    }
}

/// A share; none of nothing is none.
pub(super) fn rate(some: usize, all: usize) -> f64 {
    if all == 0 {
        return 0.0;
    }
    count(some) / count(all)
}

/// How often each number stands there, the most frequent one first, else the one that came first.
fn error_codes(responses: &[Individual]) -> String {
    let mut counts: Vec<(i64, usize)> = Vec::new();
    for code in responses.iter().filter_map(|one| one.error_code) {
        match counts.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => counts.push((code, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let pairs: Vec<String> = counts
        .iter()
        .map(|(code, count)| format!("{code}: {count}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The summary, ready for [`file`](super::file). `wall_s` is from the first request to the last answer, in seconds;
/// `timestamp_s` is when the benchmark was over, in seconds since 1970.
pub fn summary(
    bench: &Benchmark,
    responses: &[Individual],
    wall_s: f64,
    timestamp_s: i64,
) -> Map<String, Value> {
    let mut flat = Map::new();
    head(&mut flat, &format!("{}_summary", bench.stem()));
    let mut set = |key: &str, value: Value| flat.insert(key.to_owned(), value);
    set("model", bench.model.as_str().into());
    set("mean_input_tokens", bench.mean_input_tokens.into());
    set("stddev_input_tokens", bench.stddev_input_tokens.into());
    set("mean_output_tokens", bench.mean_output_tokens.into());
    set("stddev_output_tokens", bench.stddev_output_tokens.into());
    set(
        "num_concurrent_requests",
        bench.num_concurrent_requests.into(),
    );
    sampling(&mut flat, &bench.additional_sampling_params);
    results(&mut flat, &Results::of(responses, wall_s));
    foot(&mut flat, &bench.metadata, timestamp_s);
    flat
}

/// The first keys of each summary.
pub(super) fn head(flat: &mut Map<String, Value>, name: &str) {
    flat.insert("version".to_owned(), VERSION.into());
    flat.insert("name".to_owned(), name.into());
}

/// The last keys of each summary. A pair of the user's that has the name of another key takes its place, as with llmperf.
pub(super) fn foot(
    flat: &mut Map<String, Value>,
    metadata: &indexmap::IndexMap<String, String>,
    timestamp_s: i64,
) {
    for (key, value) in metadata {
        flat.insert(key.clone(), value.as_str().into());
    }
    flat.insert("timestamp".to_owned(), timestamp_s.into());
}

/// The settings for sampling, one key each.
pub(super) fn sampling(flat: &mut Map<String, Value>, params: &Map<String, Value>) {
    flatten(flat, SAMPLING, params);
}

/// Levels are joined by `_`; an empty one leaves no key.
fn flatten(flat: &mut Map<String, Value>, parent: &str, level: &Map<String, Value>) {
    for (key, value) in level {
        let key = format!("{parent}_{key}");
        match value {
            Value::Object(below) => flatten(flat, &key, below),
            _ => {
                flat.insert(key, value.clone());
            }
        }
    }
}

fn results(flat: &mut Map<String, Value>, results: &Results) {
    for (figure, spread) in &results.spreads {
        for ((name, _), value) in QUANTILES.iter().zip(&spread.quantiles) {
            flat.insert(format!("results_{figure}_quantiles_{name}"), value.clone());
        }
        for (name, value) in spread.singles() {
            flat.insert(format!("results_{figure}_{name}"), value.clone());
        }
    }
    let mut set = |key: &str, value: Value| flat.insert(format!("results_{key}"), value);
    set("num_requests_started", results.started.into());
    set("error_rate", results.error_rate.into());
    set("number_errors", results.errors.into());
    set("error_code_frequency", results.error_codes.as_str().into());
    set(
        "mean_output_throughput_token_per_s",
        results.throughput.clone(),
    );
    set("num_completed_requests", results.completed.into());
    set("num_completed_requests_per_min", results.per_minute.clone());
}
