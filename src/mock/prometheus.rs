//! The counts in Prometheus' text format, under the names that servers give them.

use std::fmt::{Display, Write};

use super::script::{MetricsNames, Script};
use super::stats::{BOUNDS, Buckets, Counter, REASONS, Stats};

/// The page of `GET /metrics`; `None` where there is none.
pub(super) fn page(stats: &Stats, script: &Script) -> Option<String> {
    let page = Page {
        text: String::new(),
        labels: format!("model_name=\"{}\"", label_value(&script.model)),
        prefix: "",
    };
    let usage = cache_usage(stats.held_tokens.read(), script.kv_cache_tokens);
    Some(match script.metrics_names {
        MetricsNames::Vllm => vllm(page, stats, "kv_cache_usage_perc", usage),
        MetricsNames::VllmOld => vllm(page, stats, "gpu_cache_usage_perc", usage),
        MetricsNames::Sglang => sglang(page, stats, usage),
        MetricsNames::Tgi => tgi(page, stats),
        MetricsNames::LlamaCpp => llama_cpp(page, stats, usage),
        MetricsNames::None => return None,
    })
}

fn vllm(mut page: Page, stats: &Stats, cache: &str, usage: f64) -> String {
    page.prefix = "vllm:";
    page.gauge("num_requests_running", &stats.running.read());
    page.gauge("num_requests_waiting", &stats.waiting.read());
    page.gauge(cache, &usage);
    page.counter("prompt_tokens_total", &stats.prompt_tokens);
    page.counter("generation_tokens_total", &stats.tokens);
    page.head("request_success_total", "counter");
    for (reason, count) in REASONS.iter().zip(&stats.reasons) {
        let label = format!("finished_reason=\"{reason}\"");
        page.line("request_success_total", &label, &count.read());
    }
    page.histogram("time_to_first_token_seconds", &stats.first_token);
    page.histogram("e2e_request_latency_seconds", &stats.latency);
    page.text
}

fn sglang(mut page: Page, stats: &Stats, usage: f64) -> String {
    page.prefix = "sglang:";
    page.gauge("num_running_reqs", &stats.running.read());
    page.gauge("num_queue_reqs", &stats.waiting.read());
    page.gauge("num_used_tokens", &stats.held_tokens.read());
    page.gauge("token_usage", &usage);
    page.counter("prompt_tokens_total", &stats.prompt_tokens);
    page.counter("generation_tokens_total", &stats.tokens);
    page.histogram("time_to_first_token_seconds", &stats.first_token);
    page.histogram("e2e_request_latency_seconds", &stats.latency);
    page.text
}

/// TGI has no labels here, and tells of tokens by the sums of histograms alone.
fn tgi(mut page: Page, stats: &Stats) -> String {
    page.prefix = "tgi_";
    page.labels.clear();
    page.gauge("batch_current_size", &stats.running.read());
    page.gauge("queue_size", &stats.waiting.read());
    let ended: u64 = stats.reasons.iter().map(Counter::read).sum();
    for (name, sum) in [
        ("request_input_length", &stats.prompt_tokens),
        ("request_generated_tokens", &stats.tokens),
    ] {
        page.head(name, "histogram");
        page.line(&format!("{name}_bucket"), "le=\"+Inf\"", &ended);
        page.line(&format!("{name}_sum"), "", &sum.read());
        page.line(&format!("{name}_count"), "", &ended);
    }
    page.histogram("request_duration", &stats.latency);
    page.text
}

/// llama.cpp has no labels.
fn llama_cpp(mut page: Page, stats: &Stats, usage: f64) -> String {
    page.prefix = "llamacpp:";
    page.labels.clear();
    page.counter("prompt_tokens_total", &stats.prompt_tokens);
    page.counter("tokens_predicted_total", &stats.tokens);
    page.gauge("kv_cache_usage_ratio", &usage);
    page.gauge("kv_cache_tokens", &stats.held_tokens.read());
    page.gauge("requests_processing", &stats.running.read());
    page.gauge("requests_deferred", &stats.waiting.read());
    page.text
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

/// A page as it is written.
struct Page {
    text: String,
    /// Of every line.
    labels: String,
    /// What all names begin with.
    prefix: &'static str,
}

impl Page {
    // Writing to a string cannot fail, here and below.
    fn head(&mut self, name: &str, kind: &str) {
        let _ = writeln!(self.text, "# TYPE {}{name} {kind}", self.prefix);
    }

    fn line(&mut self, name: &str, label: &str, value: &dyn Display) {
        let comma = if label.is_empty() || self.labels.is_empty() {
            ""
        } else {
            ","
        };
        let labels = format!("{label}{comma}{}", self.labels);
        let (open, close) = if labels.is_empty() {
            ("", "")
        } else {
            ("{", "}")
        };
        let prefix = self.prefix;
        let _ = writeln!(self.text, "{prefix}{name}{open}{labels}{close} {value}");
    }

    fn gauge(&mut self, name: &str, value: &dyn Display) {
        self.head(name, "gauge");
        self.line(name, "", value);
    }

    fn counter(&mut self, name: &str, count: &Counter) {
        self.head(name, "counter");
        self.line(name, "", &count.read());
    }

    fn histogram(&mut self, name: &str, buckets: &Buckets) {
        self.head(name, "histogram");
        let mut below = 0;
        for (place, count) in buckets.counts.iter().enumerate() {
            below += count.read();
            let bound = BOUNDS.get(place).map_or("+Inf".to_owned(), f64::to_string);
            self.line(
                &format!("{name}_bucket"),
                &format!("le=\"{bound}\""),
                &below,
            );
        }
        self.line(&format!("{name}_count"), "", &below);
        let sum = std::time::Duration::from_nanos(buckets.sum_ns.read()).as_secs_f64();
        self.line(&format!("{name}_sum"), "", &sum);
    }
}
