//! llmperf's files, upstream's and ours: the flat summary, the individual responses, the summary of a correctness test.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ReadError;
use super::json::{count, number, plain, words};
use crate::compare::{Correctness, Figure, Kind, Rate, Run, Settings, Stat};
use crate::llmperf::Individual;

const SAMPLING: &str = "additional_sampling_params_";
const RESULTS: &str = "results_";

/// Keys of a summary that are no metadata.
const KNOWN: [&str; 13] = [
    "version",
    "name",
    "model",
    "llm_api",
    "mean_input_tokens",
    "stddev_input_tokens",
    "mean_output_tokens",
    "stddev_output_tokens",
    "num_concurrent_requests",
    "additional_sampling_params",
    "tokenizer_id",
    "timestamp",
    "results",
];

/// The summary of a token benchmark.
pub(super) fn summary(name: &str, value: &Value) -> Run {
    let mut run = Run {
        files: vec![name.to_owned()],
        kinds: [Kind::LlmperfSummary].into(),
        settings: settings(value),
        requests: count_of(value, "results_num_requests_started"),
        errors: count_of(value, "results_number_errors"),
        ..Run::default()
    };
    for figure in Figure::ALL {
        let Some(key) = figure.llmperf_key() else {
            continue;
        };
        for stat in Stat::ALL {
            let key = format!("{RESULTS}{key}_{}", stat.llmperf_key());
            let stated = number(value, &key).map(|it| ((figure, stat), it));
            run.stated.extend(stated);
        }
    }
    let rates = [
        (
            Rate::OverallThroughput,
            "results_mean_output_throughput_token_per_s",
        ),
        (
            Rate::RequestsPerMinute,
            "results_num_completed_requests_per_min",
        ),
    ];
    for (rate, key) in rates {
        run.rates.extend(number(value, key).map(|it| (rate, it)));
    }
    run
}

/// A count that may have been written as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is looked at before"
)]
fn count_of(value: &Value, key: &str) -> Option<u64> {
    let is_count = |it: &f64| *it >= 0.0 && it.fract() == 0.0 && *it < 1e15;
    number(value, key).filter(is_count).map(|it| it as u64)
}

fn settings(value: &Value) -> Settings {
    let length = |which: &str| {
        let mean = number(value, &format!("mean_{which}_tokens"))?;
        let deviation = number(value, &format!("stddev_{which}_tokens"));
        Some(match deviation.filter(|it| *it > 0.0) {
            Some(deviation) => format!("{mean} ± {deviation}"),
            None => mean.to_string(),
        })
    };
    let pairs = |is_it: &dyn Fn(&str) -> Option<String>| -> BTreeMap<String, String> {
        let all = value.as_object().into_iter().flatten();
        all.filter_map(|(key, value)| Some((is_it(key)?, plain(value)?)))
            .collect()
    };
    Settings {
        model: words(value, "model"),
        api: words(value, "llm_api"),
        concurrency: number(value, "num_concurrent_requests").map(|it| it.to_string()),
        input: length("input"),
        output: length("output"),
        streamed: None,
        sampling: pairs(&|key| key.strip_prefix(SAMPLING).map(str::to_owned)),
        metadata: pairs(&|key| {
            let is_known =
                KNOWN.contains(&key) || key.starts_with(RESULTS) || key.starts_with(SAMPLING);
            (!is_known).then(|| key.to_owned())
        }),
        counted_by: words(value, "tokenizer_id").or_else(|| Some("llmperf's tokenizer".to_owned())),
        ..Settings::default()
    }
}

/// The individual responses. Upstream leaves zeros in the latencies of a failed request: it counts as failed and for nothing
/// else. A time that is not positive was not measured.
pub(super) fn individual(name: &str, items: &[Value]) -> Result<Run, ReadError> {
    let mut run = Run {
        files: vec![name.to_owned()],
        kinds: [Kind::LlmperfIndividual].into(),
        ..Run::default()
    };
    let mut errors = 0;
    for (at, item) in (1..).zip(items) {
        let response = response(name, at, item)?;
        if response.error_code.is_some() || !response.error_msg.is_empty() {
            errors += 1;
            continue;
        }
        for (figure, value) in figures(&response) {
            run.answers.entry(figure).or_default().push(value);
        }
    }
    run.requests = u64::try_from(items.len()).ok();
    run.errors = Some(errors);
    Ok(run)
}

fn response(name: &str, at: usize, item: &Value) -> Result<Individual, ReadError> {
    let place = format!("response {at}");
    let needed = ["ttft_s", "end_to_end_latency_s", "error_code"];
    if let Some(missing) = needed.iter().find(|key| item.get(**key).is_none()) {
        return Err(ReadError::unknown(
            name,
            format!(
                "{place} of the list has no `{missing}`, which llmperf's individual responses have"
            ),
        ));
    }
    let mut item = item.clone();
    if let Some(fields) = item.as_object_mut()
        && fields.get("error_msg").is_none_or(Value::is_null)
    {
        fields.insert("error_msg".to_owned(), Value::String(String::new()));
    }
    serde_json::from_value(item).map_err(|why| ReadError::broken(name, place, &why))
}

fn figures(response: &Individual) -> Vec<(Figure, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "no answer is that long")]
    let tokens = |count: Option<u64>| count.map(|count| count as f64);
    let time = |value: Option<f64>| value.filter(|value| *value > 0.0);
    let all = [
        (Figure::Ttft, time(response.ttft_s)),
        (Figure::InterToken, time(response.inter_token_latency_s)),
        (Figure::EndToEnd, time(response.end_to_end_latency_s)),
        (
            Figure::Throughput,
            time(response.request_output_throughput_token_per_s),
        ),
        (Figure::InputTokens, tokens(response.number_input_tokens)),
        (Figure::OutputTokens, tokens(response.number_output_tokens)),
    ];
    let known = all
        .into_iter()
        .filter_map(|(figure, value)| Some((figure, value?)));
    known.filter(|(_, value)| value.is_finite()).collect()
}

/// The summary of a correctness test.
pub(super) fn correctness(name: &str, value: &Value) -> Correctness {
    Correctness {
        file: name.to_owned(),
        model: words(value, "model"),
        api: words(value, "llm_api"),
        concurrency: count(value, "num_concurrent_requests"),
        completed: count(value, "num_completed_requests"),
        errors: count(value, "number_errors").or_else(|| count(value, "num_errors")),
        mismatched: count(value, "num_mismatched_requests"),
    }
}
