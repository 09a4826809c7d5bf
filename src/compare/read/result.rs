//! Our result file: its figures are of histograms over the measured window. What it has by another definition than llmperf's
//! is not taken for llmperf's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{count, number, plain, words};
use super::records::Window;
use crate::compare::{Figure, Kind, Rate, Run, Settings, Stat};

/// The metrics that are compared, and what they are divided by.
const METRICS: [(Figure, &str, f64); 5] = [
    (Figure::Ttft, "ttft_ms", 1e3),
    (Figure::TimePerToken, "tpot_ms", 1e3),
    (Figure::EndToEnd, "total_latency_ms", 1e3),
    (Figure::InputTokens, "prompt_tokens", 1.0),
    (Figure::OutputTokens, "output_tokens", 1.0),
];

const STATS: [(Stat, &str); 5] = [
    (Stat::Mean, "mean"),
    (Stat::Median, "p50"),
    (Stat::Min, "min"),
    (Stat::Max, "max"),
    (Stat::P95, "p95"),
];

/// The run, and the span of it that its figures are of.
pub(super) fn read(name: &str, value: &Value) -> (Run, Option<Window>) {
    let mut run = Run {
        files: vec![name.to_owned()],
        kinds: [Kind::Result].into(),
        settings: settings(value),
        ..Run::default()
    };
    let metrics = value.get("metrics").unwrap_or(&Value::Null);
    for (figure, key, divisor) in METRICS {
        let metric = metrics.get(key).unwrap_or(&Value::Null);
        for (stat, key) in STATS {
            let stated = number(metric, key).map(|it| ((figure, stat), it / divisor));
            run.stated.extend(stated);
        }
    }
    throughput(metrics, &mut run);
    counts(value, &mut run);
    if let Some(failure) = words(value, "failure") {
        run.notes.push(format!("the run failed: {failure}"));
    }
    if let Some(verdict) = words(value, "verdict").filter(|it| it != "ok") {
        run.notes
            .push(format!("its own verdict is {}", verdict.to_uppercase()));
    }
    let window = value.get("window").unwrap_or(&Value::Null);
    let nanos = |key| number(window, key).map(nanos);
    let window = nanos("start_s").zip(nanos("end_s"));
    let window = window.map(|(from_ns, to_ns)| Window { from_ns, to_ns });
    (run, window)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time of a run"
)]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round().max(0.0) as u64
}

/// Tokens by the time from sent to the end is one by `overall_latency_per_token`: percentiles turn around, means do not.
fn throughput(metrics: &Value, run: &mut Run) {
    let metric = metrics
        .get("overall_latency_per_token_ms")
        .unwrap_or(&Value::Null);
    for (stat, key) in [
        (Stat::Median, "p50"),
        (Stat::Max, "min"),
        (Stat::Min, "max"),
    ] {
        let value = number(metric, key).filter(|it| *it > 0.0);
        run.stated
            .extend(value.map(|it| ((Figure::Throughput, stat), 1e3 / it)));
    }
}

fn counts(value: &Value, run: &mut Run) {
    let measured = value.get("measured").unwrap_or(&Value::Null);
    run.requests = count(measured, "requests");
    run.errors = count(measured, "failures");
    let tokens = value.get("tokens").unwrap_or(&Value::Null);
    let rate = number(tokens, "whole_run_output_per_s");
    run.rates
        .extend(rate.map(|it| (Rate::OverallThroughput, it)));
    let completed = value
        .get("totals")
        .and_then(|totals| number(totals, "completed"));
    let time = value
        .get("window")
        .and_then(|window| number(window, "run_s"));
    let per_minute = completed.zip(time).filter(|(_, time)| *time > 0.0);
    run.rates.extend(
        per_minute.map(|(completed, time)| (Rate::RequestsPerMinute, completed / time * 60.0)),
    );
    let sources = tokens.get("requests_by_source").and_then(Value::as_object);
    let names: Vec<&str> = sources
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    run.settings.counted_by = (!names.is_empty()).then(|| names.join(", "));
}

fn settings(value: &Value) -> Settings {
    let at = |pointer: &str| value.pointer(pointer).filter(|it| !it.is_null());
    let text = |pointer: &str| at(pointer).and_then(Value::as_str).map(str::to_owned);
    let sampling = at("/plan/provider/sampling").and_then(Value::as_object);
    let pairs = sampling.into_iter().flatten();
    Settings {
        model: text("/plan/provider/model").filter(|model| !model.is_empty()),
        api: text("/plan/provider/kind"),
        concurrency: load(value),
        input: at("/plan/workload/prompts").and_then(prompts),
        output: at("/plan/workload/output").and_then(output),
        streamed: at("/plan/provider/stream").and_then(Value::as_bool),
        sampling: pairs
            .filter_map(|(key, value)| Some((key.clone(), plain(value)?)))
            .collect(),
        metadata: BTreeMap::new(),
        counted_by: None,
        server: text("/plan/target/base_url"),
        plan: plan(value),
    }
}

/// The parts of a plan that decide what is measured.
const PARTS: [&str; 4] = ["target", "provider", "workload", "schedule"];
/// Those of their settings that have a place of their own in `Settings`.
const SHOWN: [&str; 6] = [
    "target/base_url",
    "provider/kind",
    "provider/model",
    "provider/stream",
    "provider/sampling",
    "schedule/users",
];

/// Every setting of the plan's parts by its place, lists whole; what is not set is left out.
fn plan(value: &Value) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for part in PARTS {
        if let Some(value) = value.pointer(&format!("/plan/{part}")) {
            spell(value, part.to_owned(), &mut settings);
        }
    }
    settings
}

fn spell(value: &Value, place: String, settings: &mut BTreeMap<String, String>) {
    if SHOWN.contains(&place.as_str()) {
        return;
    }
    let Some(fields) = value.as_object() else {
        settings.extend(plain(value).map(|value| (place, value)));
        return;
    };
    for (key, value) in fields {
        spell(value, format!("{place}/{key}"), settings);
    }
}

fn load(value: &Value) -> Option<String> {
    let pacing = value.pointer("/plan/schedule/pacing")?;
    let users = value
        .pointer("/plan/schedule/users")
        .and_then(Value::as_u64);
    if pacing.as_str() == Some("closed") {
        return users.map(|users| users.to_string());
    }
    if let Some(open) = pacing.get("open") {
        let law = words(open, "law").unwrap_or_default();
        return number(open, "rate")
            .map(|rate| format!("{rate} requests/s {law}").trim_end().to_owned());
    }
    let kind = pacing.as_object()?.keys().next()?;
    Some(kind.replace('_', " "))
}

fn prompts(value: &Value) -> Option<String> {
    for kind in ["generated", "random"] {
        if let Some(tokens) = value.get(kind).and_then(|it| count(it, "tokens")) {
            return Some(tokens.to_string());
        }
    }
    let tokens = value.pointer("/recital/tokens");
    if let Some(tokens) = tokens {
        let (mean, deviation) = (
            number(tokens, "mean")?,
            number(tokens, "stddev").unwrap_or(0.0),
        );
        return Some(spread(mean, deviation));
    }
    if let Some(name) = value.pointer("/data/name").and_then(Value::as_str) {
        return Some(format!("of {name}"));
    }
    let kind = value.as_object()?.keys().next()?;
    Some(kind.clone())
}

fn spread(mean: f64, deviation: f64) -> String {
    if deviation > 0.0 {
        format!("{mean} ± {deviation}")
    } else {
        mean.to_string()
    }
}

fn output(value: &Value) -> Option<String> {
    let mean = number(value, "mean")?;
    let law = words(value, "law").filter(|law| law != "constant");
    Some(match law {
        Some(law) => format!("{mean} {law}"),
        None => mean.to_string(),
    })
}
