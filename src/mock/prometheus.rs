//! The counts in Prometheus' text format, under the names that vLLM gives them.

use std::fmt::Write;

use super::script::Script;
use super::stats::{BOUNDS, Buckets, REASONS, Stats};

/// The page of `GET /metrics`.
pub(super) fn page(stats: &Stats, script: &Script) -> String {
    let model = label_value(&script.model);
    let mut page = String::new();
    gauge(
        &mut page,
        &model,
        "num_requests_running",
        stats.running.read().to_string(),
    );
    gauge(
        &mut page,
        &model,
        "num_requests_waiting",
        stats.waiting.read().to_string(),
    );
    let usage = cache_usage(stats.held_tokens.read(), script.kv_cache_tokens);
    gauge(&mut page, &model, "kv_cache_usage_perc", usage.to_string());
    let counters = [
        ("prompt_tokens_total", &stats.prompt_tokens),
        ("generation_tokens_total", &stats.tokens),
    ];
    for (name, count) in counters {
        head(&mut page, name, "counter");
        line(
            &mut page,
            name,
            &format!("model_name=\"{model}\""),
            &count.read(),
        );
    }
    head(&mut page, "request_success_total", "counter");
    for (reason, count) in REASONS.iter().zip(&stats.reasons) {
        let labels = format!("finished_reason=\"{reason}\",model_name=\"{model}\"");
        line(&mut page, "request_success_total", &labels, &count.read());
    }
    histogram(
        &mut page,
        &model,
        "time_to_first_token_seconds",
        &stats.first_token,
    );
    histogram(
        &mut page,
        &model,
        "e2e_request_latency_seconds",
        &stats.latency,
    );
    page
}

#[expect(clippy::cast_precision_loss, reason = "a gauge between 0 and 1")]
fn cache_usage(held: u64, capacity: u64) -> f64 {
    (held as f64 / capacity as f64).min(1.0)
}

fn label_value(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

// Writing to a string cannot fail, here and below.
fn head(page: &mut String, name: &str, kind: &str) {
    let _ = writeln!(page, "# TYPE vllm:{name} {kind}");
}

fn line(page: &mut String, name: &str, labels: &str, value: &dyn std::fmt::Display) {
    let _ = writeln!(page, "vllm:{name}{{{labels}}} {value}");
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "its callers have no further use for it"
)]
fn gauge(page: &mut String, model: &str, name: &str, value: String) {
    head(page, name, "gauge");
    line(page, name, &format!("model_name=\"{model}\""), &value);
}

fn histogram(page: &mut String, model: &str, name: &str, buckets: &Buckets) {
    head(page, name, "histogram");
    let mut below = 0;
    for (place, count) in buckets.counts.iter().enumerate() {
        below += count.read();
        let bound = BOUNDS.get(place).map_or("+Inf".to_owned(), f64::to_string);
        let labels = format!("le=\"{bound}\",model_name=\"{model}\"");
        line(page, &format!("{name}_bucket"), &labels, &below);
    }
    let labels = format!("model_name=\"{model}\"");
    line(page, &format!("{name}_count"), &labels, &below);
    let sum = std::time::Duration::from_nanos(buckets.sum_ns.read()).as_secs_f64();
    line(page, &format!("{name}_sum"), &labels, &sum);
}
