//! What a test is called in an ML Repo, and which of its settings and figures go there. It sends nothing.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

use super::{Benchmark, Correctness};

/// The figures with a distribution: their names there, and in the summary.
const SPREADS: [(&str, &str); 4] = [
    ("end_to_end_latency_seconds", "end_to_end_latency_s"),
    ("inter_token_latency_seconds", "inter_token_latency_s"),
    (
        "output_tokens_per_second",
        "request_output_throughput_token_per_s",
    ),
    ("time_to_first_token_seconds", "ttft_s"),
];
/// What of a distribution goes there: the ending of its name there, and of its key in the summary.
const POINTS: [(&str, &str); 4] = [
    ("p50", "quantiles_p50"),
    ("p90", "quantiles_p90"),
    ("p99", "quantiles_p99"),
    ("max", "max"),
];
/// The results that are single numbers.
const SINGLES: [&str; 6] = [
    "num_requests_started",
    "error_rate",
    "number_errors",
    "mean_output_throughput_token_per_s",
    "num_completed_requests",
    "num_completed_requests_per_min",
];
/// The numbers of a check of answers.
const CORRECTNESS: [&str; 6] = [
    "number_errors",
    "num_mismatched_requests",
    "error_rate",
    "mismatch_rate",
    "num_completed_requests",
    "num_non_errored_requests",
];

/// The settings of a token benchmark, in llmperf's order. A setting for sampling that has the name of another one takes its
/// place.
pub fn ml_params(bench: &Benchmark) -> Vec<(String, String)> {
    let settings = [
        ("model", bench.model.clone()),
        ("mean_input_tokens", bench.mean_input_tokens.to_string()),
        ("stddev_input_tokens", bench.stddev_input_tokens.to_string()),
        ("mean_output_tokens", bench.mean_output_tokens.to_string()),
        (
            "stddev_output_tokens",
            bench.stddev_output_tokens.to_string(),
        ),
        (
            "num_concurrent_requests",
            bench.num_concurrent_requests.to_string(),
        ),
        ("tokenizer_id", bench.tokenizer_id.clone()),
    ];
    with_sampling(&settings, &bench.additional_sampling_params)
}

/// The settings of a check of answers.
pub fn ml_correctness_params(test: &Correctness) -> Vec<(String, String)> {
    let settings = [
        ("model", test.model.clone()),
        ("llm_api", test.llm_api.clone()),
        (
            "num_concurrent_requests",
            test.num_concurrent_requests.to_string(),
        ),
    ];
    with_sampling(&settings, &test.additional_sampling_params)
}

fn with_sampling(
    settings: &[(&str, String)],
    sampling: &Map<String, Value>,
) -> Vec<(String, String)> {
    let own = settings
        .iter()
        .filter(|(key, _)| !sampling.contains_key(*key))
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    let given = sampling
        .iter()
        .map(|(key, value)| (key.clone(), plain(value)));
    own.chain(given).collect()
}

/// Text as it is, everything else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The figures of a token benchmark's flat summary. What is not known (`null`) is left out.
pub fn ml_metrics(summary: &Map<String, Value>) -> Vec<(String, f64)> {
    let points = SPREADS.iter().flat_map(|(name, key)| {
        let point = move |(ending, of): &(&str, &str)| {
            (format!("{name}_{ending}"), format!("results_{key}_{of}"))
        };
        POINTS.iter().map(point)
    });
    let singles = SINGLES
        .iter()
        .map(|name| ((*name).to_owned(), format!("results_{name}")));
    numbers(summary, points.chain(singles))
}

/// The figures of a check of answers.
pub fn ml_correctness_metrics(summary: &Map<String, Value>) -> Vec<(String, f64)> {
    let singles = CORRECTNESS
        .iter()
        .map(|name| ((*name).to_owned(), (*name).to_owned()));
    numbers(summary, singles)
}

fn numbers(
    summary: &Map<String, Value>,
    names: impl Iterator<Item = (String, String)>,
) -> Vec<(String, f64)> {
    names
        .filter_map(|(name, key)| Some((name, summary.get(&key)?.as_f64()?)))
        .collect()
}

/// The name of a run that nobody named: after the job that it is a part of, else after the time.
pub fn ml_run_name(model: &str, job: Option<&str>, now: OffsetDateTime) -> String {
    let layout = format_description!("[year]-[month]-[day]T[hour]-[minute]-[second]");
    // Nothing in the layout can fail for a time in UTC.
    let time = || {
        now.to_offset(time::UtcOffset::UTC)
            .format(layout)
            .unwrap_or_default()
    };
    let last = job.map_or_else(time, str::to_owned);
    format!("bench-{}-{last}", without_punctuation(model))
}

/// One `-` in place of each run of punctuation.
fn without_punctuation(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut in_run = false;
    for character in text.chars() {
        let odd = character.is_ascii_punctuation();
        match (odd, in_run) {
            (false, _) => plain.push(character),
            (true, false) => plain.push('-'),
            (true, true) => {}
        }
        in_run = odd;
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else {
            panic!("{value}")
        };
        map
    }

    #[test]
    fn a_run_is_named_after_its_job_else_after_the_time_in_utc() {
        let now = datetime!(2026-03-04 01:02:03.999 +2);
        let model = "meta-llama/Llama-3.1--8B_x";
        let name = |job| ml_run_name(model, job, now);
        assert_eq!(
            name(None),
            "bench-meta-llama-Llama-3-1-8B-x-2026-03-03T23-02-03"
        );
        assert_eq!(name(Some("job_7")), "bench-meta-llama-Llama-3-1-8B-x-job_7");
        assert_eq!(ml_run_name("größe", Some("j"), now), "bench-größe-j");
        assert_eq!(ml_run_name("/m/", Some("j"), now), "bench--m--j");
    }

    #[test]
    fn settings_go_there_with_the_sampling_under_its_own_names() {
        let bench = Benchmark {
            model: "m".to_owned(),
            mean_input_tokens: 550,
            stddev_input_tokens: 150,
            mean_output_tokens: 151,
            stddev_output_tokens: 80,
            num_concurrent_requests: 10,
            tokenizer_id: "t/t".to_owned(),
            additional_sampling_params: map(
                json!({"temperature": 0.7, "stop": ["a"], "user": "ann", "model": "other", "n": null}),
            ),
            ..Benchmark::default()
        };
        let params = ml_params(&bench);
        let params: Vec<_> = params
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            params,
            [
                ("mean_input_tokens", "550"),
                ("stddev_input_tokens", "150"),
                ("mean_output_tokens", "151"),
                ("stddev_output_tokens", "80"),
                ("num_concurrent_requests", "10"),
                ("tokenizer_id", "t/t"),
                ("temperature", "0.7"),
                ("stop", r#"["a"]"#),
                ("user", "ann"),
                ("model", "other"),
                ("n", "null"),
            ]
        );
    }

    #[test]
    fn each_figure_comes_from_its_own_key_of_the_summary() {
        let mut summary = Map::new();
        let mut wanted = Vec::new();
        let mut value = 0.5;
        for (name, key) in SPREADS {
            for (ending, of) in POINTS {
                summary.insert(format!("results_{key}_{of}"), json!(value));
                wanted.push((format!("{name}_{ending}"), value));
                value += 1.0;
            }
        }
        summary.insert("results_num_requests_started".to_owned(), json!(12));
        summary.insert("results_error_rate".to_owned(), Value::Null);
        summary.insert("results_ttft_s_mean".to_owned(), json!(1.0));
        summary.insert("results_error_code_frequency".to_owned(), json!("{}"));
        wanted.push(("num_requests_started".to_owned(), 12.0));
        assert_eq!(ml_metrics(&summary), wanted);
        assert!(wanted.contains(&("time_to_first_token_seconds_p50".to_owned(), 12.5)));
    }

    #[test]
    fn a_check_of_answers_has_six_numbers() {
        let summary = map(json!({
            "number_errors": 1, "num_mismatched_requests": 2, "error_rate": 0.1, "mismatch_rate": 0.2,
            "num_completed_requests": 9, "num_non_errored_requests": 8, "timestamp": 7, "model": "m",
        }));
        let metrics = ml_correctness_metrics(&summary);
        let values: Vec<_> = metrics.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [1.0, 2.0, 0.1, 0.2, 9.0, 8.0]);
        assert_eq!(metrics[1].0, "num_mismatched_requests");
        let params = ml_correctness_params(&Correctness {
            additional_sampling_params: map(json!({"temperature": 0})),
            ..Correctness::default()
        });
        assert_eq!(params[3], ("temperature".to_owned(), "0".to_owned()));
    }
}
