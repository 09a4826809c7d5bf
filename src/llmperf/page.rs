//! The report of a token benchmark as one page of HTML that needs nothing else: no network, no script.

use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

use super::plots::three_digits;
use super::{Benchmark, Individual};

/// More kinds of errors than this are counted and not told.
const TOLD_ERRORS: usize = 20;
const PAGE: &str = include_str!("page.html");

/// The columns of the table: heading, end of the key.
const COLUMNS: [(&str, &str); 10] = [
    ("mean", "mean"),
    ("p25", "quantiles_p25"),
    ("p50", "quantiles_p50"),
    ("p75", "quantiles_p75"),
    ("p90", "quantiles_p90"),
    ("p95", "quantiles_p95"),
    ("p99", "quantiles_p99"),
    ("min", "min"),
    ("max", "max"),
    ("stddev", "stddev"),
];

/// The rows of the table: words, key, and what a value is multiplied by for the unit in the words.
const ROWS: [(&str, &str, f64); 6] = [
    ("end-to-end latency (s)", "end_to_end_latency_s", 1.0),
    ("time to first token (s)", "ttft_s", 1.0),
    ("inter-token latency (ms)", "inter_token_latency_s", 1e3),
    (
        "output throughput of a request (tokens/s)",
        "request_output_throughput_token_per_s",
        1.0,
    ),
    ("input tokens", "number_input_tokens", 1.0),
    ("output tokens", "number_output_tokens", 1.0),
];

#[derive(Serialize)]
struct Head {
    name: &'static str,
    value: String,
    is_bad: bool,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Failures {
    code: i64,
    words: String,
    times: usize,
}

#[derive(Serialize)]
struct Setting {
    name: String,
    value: String,
}

/// The page: settings, figures, errors, and the plots (name, SVG text). `summary` is [`summary`](fn@super::summary)'s.
///
/// # Errors
/// When the page's template fails, which a test has it not do.
pub fn html_report(
    bench: &Benchmark,
    summary: &Map<String, Value>,
    responses: &[Individual],
    plots: &[(String, String)],
) -> Result<String, minijinja::Error> {
    let mut errors = failures(responses);
    let more = errors.len().saturating_sub(TOLD_ERRORS);
    errors.truncate(TOLD_ERRORS);
    let drawn = |(name, svg): &(String, String)| {
        minijinja::context! { name => name, svg => svg }
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.render_str(
        PAGE,
        minijinja::context! {
            title => bench.model,
            api => bench.llm_api,
            over => over(summary),
            tokenizer => bench.tokenizer_id,
            heads => heads(summary),
            columns => COLUMNS.map(|(heading, _)| heading),
            rows => ROWS.map(|row| table_row(summary, row)),
            errors => errors,
            more_errors => more,
            plots => plots.iter().map(drawn).collect::<Vec<_>>(),
            settings => settings(summary),
        },
    )
}

/// The wall-clock time of the end, in words.
fn over(summary: &Map<String, Value>) -> String {
    let seconds = summary.get("timestamp").and_then(Value::as_i64);
    let at = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    at.and_then(|at| at.format(format).ok()).unwrap_or_default()
}

/// A single number in words; a dash where there is none.
fn figure(value: Option<&Value>, factor: f64) -> String {
    // Some of llmperf's numbers are texts.
    let known = value.and_then(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok()));
    known.map_or_else(|| "–".to_owned(), |value| three_digits(value * factor))
}

fn heads(summary: &Map<String, Value>) -> Vec<Head> {
    let value = |key: &str| summary.get(&format!("results_{key}"));
    let head = |name, key: &str| Head {
        name,
        value: figure(value(key), 1.0),
        is_bad: false,
    };
    let rate = value("error_rate").and_then(Value::as_f64).unwrap_or(0.0);
    vec![
        head("requests completed", "num_completed_requests"),
        head("requests a minute", "num_completed_requests_per_min"),
        head(
            "output tokens a second, all requests",
            "mean_output_throughput_token_per_s",
        ),
        Head {
            value: format!("{}%", three_digits(rate * 100.0)),
            is_bad: rate > 0.0,
            ..head("requests failed", "error_rate")
        },
    ]
}

fn table_row(summary: &Map<String, Value>, (name, key, factor): (&'static str, &str, f64)) -> Row {
    let cell =
        |(_, end): (&str, &str)| figure(summary.get(&format!("results_{key}_{end}")), factor);
    Row {
        name,
        cells: COLUMNS.map(cell).into(),
    }
}

/// What went wrong, the most frequent first.
fn failures(responses: &[Individual]) -> Vec<Failures> {
    let mut known: indexmap::IndexMap<(i64, &str), usize> = indexmap::IndexMap::new();
    for one in responses {
        if let Some(code) = one.error_code {
            *known.entry((code, &one.error_msg)).or_default() += 1;
        }
    }
    known.sort_by(|_, one, _, other| other.cmp(one));
    let told = |((code, words), times): ((i64, &str), usize)| Failures {
        code,
        words: words.to_owned(),
        times,
    };
    known.into_iter().map(told).collect()
}

/// What nothing measured: all keys but the results.
fn settings(summary: &Map<String, Value>) -> Vec<Setting> {
    let is_setting = |(key, _): &(&String, &Value)| !key.starts_with("results_");
    let setting = |(key, value): (&String, &Value)| Setting {
        name: key.clone(),
        value: value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    };
    summary.iter().filter(is_setting).map(setting).collect()
}
