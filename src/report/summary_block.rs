//! The closing block that Fireworks' users read, and the entries that it shares with their CSV row.
//! Names, order and the look of values are upstream's; it writes no file.

use std::fmt;

use serde_json::Value as Json;

use super::{Context, number};
use crate::metrics::Metric;

/// The value of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A word.
    Text(String),
    /// A whole number.
    Integer(u64),
    /// A number, written as Python writes a float.
    Float(f64),
    /// `True` or `False`.
    Bool(bool),
    /// A setting that was not set: `None`, and an empty field of a CSV file.
    Unset,
    /// Nothing was measured.
    Empty,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => f.write_str(&number::python_float(*number)),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Unset => f.write_str("None"),
            Self::Empty => Ok(()),
        }
    }
}

/// One line of the block and one column of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name, its words capitalised.
    pub name: String,
    /// The value.
    pub value: Value,
}

/// The block: ` Summary ` centred in 80 `=`, an aligned line an entry, 80 `=`.
pub fn render(entries: &[Entry]) -> String {
    let lengths = entries.iter().map(|entry| entry.name.chars().count());
    let width = lengths.max().unwrap_or(0);
    let mut lines = vec![format!("{:=^80}", " Summary ")];
    lines.extend(
        entries
            .iter()
            .map(|entry| format!("{:<width$}: {}", entry.name, entry.value)),
    );
    lines.push("=".repeat(80));
    lines.join("\n") + "\n"
}

/// The entries of a run, in upstream's order.
///
/// Times are in milliseconds; means are exact, percentiles have four digits. Without streaming the two stream
/// metrics are empty, and the percentiles of the first are left out.
pub fn entries(ctx: &Context<'_>) -> Vec<Entry> {
    let mean = |metric| mean(ctx, metric);
    let mut list = List(Vec::new());
    settings(ctx, &mut list);
    list.add("Time To First Token", mean(Metric::TimeToFirstToken));
    list.add("Latency Per Token", mean(Metric::LatencyPerToken));
    list.add(
        "Overall Latency Per Token",
        mean(Metric::OverallLatencyPerToken),
    );
    list.add("Total Latency", mean(Metric::TotalLatency));
    list.add("Num Tokens", mean(Metric::OutputTokens));
    if ctx.summary.get(Metric::CachedTokens).is_some() {
        list.add("Cached Tokens", mean(Metric::CachedTokens));
    }
    list.add("Num Requests", Value::Integer(ctx.summary.good()));
    list.add("Qps", qps(ctx));
    if ctx.plan.provider.stream {
        percentiles(
            ctx,
            "Time To First Token",
            Metric::TimeToFirstToken,
            &mut list,
        );
    }
    percentiles(ctx, "Total Latency", Metric::TotalLatency, &mut list);
    list.0
}

fn settings(ctx: &Context<'_>, list: &mut List) {
    let provider = &ctx.plan.provider;
    let sampling = &provider.sampling;
    list.add("Provider", Value::Text(provider_name(ctx)));
    list.add("Model", Value::Text(provider.model.clone()));
    list.add("Prompt Tokens", mean(ctx, Metric::PromptTokens));
    list.add("Generation Tokens", mean(ctx, Metric::OutputTokens));
    list.add("Completion Tokens", mean(ctx, Metric::OutputTokens));
    list.add("Stream", Value::Bool(provider.stream));
    let temperature = sampling.temperature.map_or(Value::Unset, Value::Float);
    list.add("Temperature", temperature);
    let integer = |n: u32| Value::Integer(u64::from(n));
    list.add("Logprobs", sampling.logprobs.map_or(Value::Unset, integer));
    if let Some(top_k) = sampling.top_k {
        list.add("Top K", integer(top_k));
    }
    list.add("Concurrency", concurrency(ctx));
}

/// The provider's word in settings: the one place that has it is its serialised form.
fn provider_name(ctx: &Context<'_>) -> String {
    match serde_json::to_value(ctx.plan.provider.kind) {
        Ok(Json::String(name)) => name,
        _ => String::new(),
    }
}

fn concurrency(ctx: &Context<'_>) -> Value {
    match ctx.plan.open_loop() {
        None => Value::Integer(u64::from(ctx.plan.schedule.users)),
        Some((rate, law)) => {
            let rate = number::python_float(rate.as_f64());
            Value::Text(format!("QPS {rate} {law}"))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for display")]
fn qps(ctx: &Context<'_>) -> Value {
    let rate = ctx.summary.per_s(ctx.summary.good() as f64);
    rate.map_or(Value::Empty, Value::Float)
}

fn mean(ctx: &Context<'_>, metric: Metric) -> Value {
    let mean = ctx.summary.get(metric).and_then(number::mean);
    mean.map_or(Value::Empty, Value::Float)
}

fn percentiles(ctx: &Context<'_>, name: &str, metric: Metric, list: &mut List) {
    let quantiles = [
        ("P50", 0.5),
        ("P90", 0.9),
        ("P95", 0.95),
        ("P99", 0.99),
        ("P99.9", 0.999),
    ];
    for (prefix, q) in quantiles {
        let series = ctx.summary.get(metric);
        let value = series.and_then(|series| number::percentile(series, q));
        list.add(
            format!("{prefix} {name}"),
            value.map_or(Value::Empty, Value::Float),
        );
    }
}

struct List(Vec<Entry>);

impl List {
    fn add(&mut self, name: impl Into<String>, value: Value) {
        let name = name.into();
        self.0.push(Entry { name, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_block_is_laid_out_as_upstream_lays_it_out() {
        let entry = |name: &str, value| Entry {
            name: name.to_owned(),
            value,
        };
        let block = render(&[
            entry("Provider", Value::Text("openai".to_owned())),
            entry("Prompt Tokens", Value::Float(512.0)),
            entry("Stream", Value::Bool(true)),
            entry("Logprobs", Value::Unset),
            entry("Concurrency", Value::Integer(4)),
            entry(
                "Overall Latency Per Token",
                Value::Float(12.060_942_219_531_334),
            ),
            entry("P99 Total Latency", Value::Empty),
        ]);
        insta::assert_snapshot!(block, @r"
        =================================== Summary ====================================
        Provider                 : openai
        Prompt Tokens            : 512.0
        Stream                   : True
        Logprobs                 : None
        Concurrency              : 4
        Overall Latency Per Token: 12.060942219531334
        P99 Total Latency        : 
        ================================================================================
        ");
    }

    #[test]
    fn a_streamed_run_has_upstreams_entries_in_upstreams_order() {
        let sample = sample::open();
        let entries = entries(&sample.context());
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(
            names.join(","),
            "Provider,Model,Prompt Tokens,Generation Tokens,Completion Tokens,Stream,Temperature,Logprobs,Concurrency,\
             Time To First Token,Latency Per Token,Overall Latency Per Token,Total Latency,Num Tokens,Num Requests,Qps,\
             P50 Time To First Token,P90 Time To First Token,P95 Time To First Token,P99 Time To First Token,\
             P99.9 Time To First Token,P50 Total Latency,P90 Total Latency,P95 Total Latency,P99 Total Latency,\
             P99.9 Total Latency"
        );
        let value = |name| {
            let entry = entries.iter().find(|entry: &&Entry| entry.name == name);
            entry.map(|entry| entry.value.to_string())
        };
        for (name, want) in [
            ("Provider", "openai"),
            ("Prompt Tokens", "100.0"),
            ("Concurrency", "QPS 2.0 constant"),
            ("Time To First Token", "10.0"),
            ("Total Latency", "42.0"),
            ("Num Requests", "3"),
            ("Qps", "0.3"),
            ("P99 Total Latency", "42.0"),
        ] {
            assert_eq!(value(name).as_deref(), Some(want), "{name}");
        }
    }

    #[test]
    fn what_was_not_streamed_or_never_measured_is_empty() {
        let mut sample = sample::closed();
        sample.plan.provider.stream = false;
        sample.plan.provider.sampling.top_k = Some(7);
        sample.summary.phase.series.clear();
        let entries = entries(&sample.context());
        assert!(
            entries
                .iter()
                .all(|entry| entry.name != "P50 Time To First Token")
        );
        let value = |name| {
            entries
                .iter()
                .find(|entry| entry.name == name)
                .map(|entry| &entry.value)
        };
        assert_eq!(value("Time To First Token"), Some(&Value::Empty));
        assert_eq!(value("P50 Total Latency"), Some(&Value::Empty));
        assert_eq!(value("Top K"), Some(&Value::Integer(7)));
        assert_eq!(value("Concurrency"), Some(&Value::Integer(4)));
    }
}
