//! The closing block that Fireworks' users read, and the entries that it shares with their CSV row.
//! Names, order and the look of values are upstream's; it writes no file.

use std::fmt;

use super::{Context, number};
use crate::metrics::Metric;
use crate::plan::Asked;

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

/// The entries of a run, in upstream's order, which is one for each of its three tasks.
///
/// Times are in milliseconds; means are exact, percentiles have four digits. Without streaming the two stream
/// metrics are empty, and the percentiles of the first are left out.
pub fn entries(ctx: &Context<'_>) -> Vec<Entry> {
    let mut list = List(Vec::new());
    settings(ctx, &mut list);
    match Kind::of(ctx) {
        Kind::Generation => generation(ctx, &mut list),
        Kind::Embeddings => embeddings(ctx, &mut list),
        Kind::Rerank => rerank(ctx, &mut list),
    }
    list.0
}

/// What upstream tells apart: each has columns of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Generation,
    Embeddings,
    Rerank,
}

impl Kind {
    fn of(ctx: &Context<'_>) -> Self {
        let task = &ctx.plan.provider.task;
        if task.generates() {
            Self::Generation
        } else if task.embeds() {
            Self::Embeddings
        } else {
            Self::Rerank
        }
    }
}

fn generation(ctx: &Context<'_>, list: &mut List) {
    for (name, metric) in [
        ("Time To First Token", Metric::TimeToFirstToken),
        ("Latency Per Token", Metric::LatencyPerToken),
        ("Overall Latency Per Token", Metric::OverallLatencyPerToken),
        ("Total Latency", Metric::TotalLatency),
        ("Num Tokens", Metric::OutputTokens),
    ] {
        list.add(name, mean(ctx, metric));
    }
    if ctx.summary.get(Metric::CachedTokens).is_some() {
        list.add("Cached Tokens", mean(ctx, Metric::CachedTokens));
    }
    requests(ctx, list);
    if ctx.plan.provider.stream {
        percentiles(ctx, "Time To First Token", Metric::TimeToFirstToken, list);
    }
    percentiles(ctx, "Total Latency", Metric::TotalLatency, list);
}

fn embeddings(ctx: &Context<'_>, list: &mut List) {
    let latencies = [
        ("Total Latency", Metric::TotalLatency),
        ("Latency Per Embedding", Metric::LatencyPerEmbedding),
    ];
    for (name, metric) in latencies {
        list.add(name, mean(ctx, metric));
    }
    requests(ctx, list);
    for (name, metric) in latencies {
        percentiles(ctx, name, metric, list);
    }
}

fn rerank(ctx: &Context<'_>, list: &mut List) {
    let batch = &ctx.plan.workload.batch;
    list.add("Total Latency", mean(ctx, Metric::TotalLatency));
    if let Some(documents) = batch.made_documents() {
        list.add("Num Documents", integer(documents));
    }
    if let Some(tokens) = batch.document_tokens {
        list.add("Tokens Per Document", integer(tokens));
    }
    requests(ctx, list);
    percentiles(ctx, "Total Latency", Metric::TotalLatency, list);
}

fn requests(ctx: &Context<'_>, list: &mut List) {
    list.add("Num Requests", Value::Integer(ctx.summary.good()));
    list.add("Qps", qps(ctx));
}

fn settings(ctx: &Context<'_>, list: &mut List) {
    let provider = &ctx.plan.provider;
    let sampling = &provider.sampling;
    list.add("Provider", Value::Text(provider.kind.name().to_owned()));
    list.add("Model", Value::Text(provider.model.clone()));
    list.add("Prompt Tokens", mean(ctx, Metric::PromptTokens));
    // What generates nothing keeps the setting, as upstream does.
    let output = match Kind::of(ctx) {
        Kind::Generation => mean(ctx, Metric::OutputTokens),
        _ => Value::Text(ctx.plan.workload.output.describe()),
    };
    list.add("Generation Tokens", output.clone());
    list.add("Completion Tokens", output);
    list.add("Stream", Value::Bool(provider.stream));
    let temperature = sampling.temperature.map_or(Value::Unset, Value::Float);
    list.add("Temperature", temperature);
    list.add("Logprobs", sampling.logprobs.map_or(Value::Unset, integer));
    if let Some(top_k) = sampling.top_k {
        list.add("Top K", integer(top_k));
    }
    list.add("Concurrency", concurrency(&ctx.plan.asked()));
}

fn integer(number: u32) -> Value {
    Value::Integer(u64::from(number))
}

/// The users of a closed loop and of bursts; the rate of an open one, or what stands for it.
fn concurrency(asked: &Asked) -> Value {
    let rate = number::python_float;
    Value::Text(match *asked {
        Asked::Users(users) | Asked::Burst { users, .. } => return integer(users),
        Asked::Rate { per_s, law } => format!("QPS {} {law}", rate(per_s)),
        Asked::Rates {
            lowest,
            highest,
            law,
        } if lowest < highest => format!("QPS {}-{} {law}", rate(lowest), rate(highest)),
        Asked::Rates { highest, law, .. } => format!("QPS {} {law}", rate(highest)),
        Asked::Trace { .. } => "QPS trace".to_owned(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for display")]
/// Good requests per second. In a closed loop each by the share of its time inside the window: at its start as many are under way
/// as there are users, and counting only what began, or all that ended, would be off by them. In an open loop those sent in it.
fn qps(ctx: &Context<'_>) -> Value {
    let good = if ctx.plan.is_open() {
        ctx.summary.good() as f64
    } else {
        ctx.summary.window_good
    };
    let rate = ctx.summary.per_s(good);
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
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::metrics::{COUNT_SCALE, Series};
    use crate::report::sample::{self, Sample};
    use crate::report::summary_file;

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

    /// The names and the values of a run, as they stand in its file.
    fn columns(sample: &Sample) -> String {
        let row = summary_file::row(&sample.context());
        summary_file::append(None, &row).unwrap()
    }

    fn value(sample: &Sample, name: &str) -> Option<Value> {
        let entries = entries(&sample.context()).into_iter();
        let mut named = entries.filter(|entry| entry.name == name);
        named.next().map(|entry| entry.value)
    }

    #[test]
    fn a_streamed_chat_has_upstreams_columns_in_upstreams_order() {
        insta::assert_snapshot!(columns(&sample::open()), @r#"
        Provider,Model,Prompt Tokens,Generation Tokens,Completion Tokens,Stream,Temperature,Logprobs,Concurrency,Time To First Token,Latency Per Token,Overall Latency Per Token,Total Latency,Num Tokens,Num Requests,Qps,P50 Time To First Token,P90 Time To First Token,P95 Time To First Token,P99 Time To First Token,P99.9 Time To First Token,P50 Total Latency,P90 Total Latency,P95 Total Latency,P99 Total Latency,P99.9 Total Latency
        openai,m,100.0,4.0,4.0,True,1.0,,QPS 2.0 constant,10.0,8.0,10.5,42.0,4.0,3,0.3,10.0,10.0,10.0,10.0,10.0,42.0,42.0,42.0,42.0,42.0
        "#);
    }

    #[test]
    fn without_a_stream_the_first_token_has_no_percentiles() {
        let mut sample = sample::closed();
        sample.plan.provider.stream = false;
        for metric in [Metric::TimeToFirstToken, Metric::LatencyPerToken] {
            sample.summary.phase.series.remove(&metric);
        }
        insta::assert_snapshot!(columns(&sample), @r#"
        Provider,Model,Prompt Tokens,Generation Tokens,Completion Tokens,Stream,Temperature,Logprobs,Concurrency,Time To First Token,Latency Per Token,Overall Latency Per Token,Total Latency,Num Tokens,Num Requests,Qps,P50 Total Latency,P90 Total Latency,P95 Total Latency,P99 Total Latency,P99.9 Total Latency
        openai,m,100.0,4.0,4.0,False,1.0,,4,,,10.5,42.0,4.0,3,0.3,42.0,42.0,42.0,42.0,42.0
        "#);
    }

    #[test]
    fn top_k_and_cached_tokens_have_columns_only_where_they_are() {
        let mut sample = sample::closed();
        sample.plan.provider.sampling.top_k = Some(7);
        sample.plan.provider.sampling.logprobs = Some(2);
        let mut cached = Series::default();
        cached.record(64 * COUNT_SCALE);
        cached.record(65 * COUNT_SCALE);
        sample
            .summary
            .phase
            .series
            .insert(Metric::CachedTokens, cached);
        insta::assert_snapshot!(columns(&sample), @r#"
        Provider,Model,Prompt Tokens,Generation Tokens,Completion Tokens,Stream,Temperature,Logprobs,Top K,Concurrency,Time To First Token,Latency Per Token,Overall Latency Per Token,Total Latency,Num Tokens,Cached Tokens,Num Requests,Qps,P50 Time To First Token,P90 Time To First Token,P95 Time To First Token,P99 Time To First Token,P99.9 Time To First Token,P50 Total Latency,P90 Total Latency,P95 Total Latency,P99 Total Latency,P99.9 Total Latency
        openai,m,100.0,4.0,4.0,True,1.0,2,7,4,10.0,8.0,10.5,42.0,4.0,64.5,3,0.3,10.0,10.0,10.0,10.0,10.0,42.0,42.0,42.0,42.0,42.0
        "#);
    }

    #[test]
    fn embeddings_have_columns_of_their_own() {
        insta::assert_snapshot!(columns(&sample::embeddings()), @r#"
        Provider,Model,Prompt Tokens,Generation Tokens,Completion Tokens,Stream,Temperature,Logprobs,Concurrency,Total Latency,Latency Per Embedding,Num Requests,Qps,P50 Total Latency,P90 Total Latency,P95 Total Latency,P99 Total Latency,P99.9 Total Latency,P50 Latency Per Embedding,P90 Latency Per Embedding,P95 Latency Per Embedding,P99 Latency Per Embedding,P99.9 Latency Per Embedding
        openai,m,100.0,4,4,False,1.0,,4,36.5,18.25,4,0.4,42.0,42.0,42.0,42.0,42.0,21.0,21.0,21.0,21.0,21.0
        "#);
    }

    #[test]
    fn ranking_has_columns_of_its_own() {
        let mut sample = sample::rerank();
        insta::assert_snapshot!(columns(&sample), @r#"
        Provider,Model,Prompt Tokens,Generation Tokens,Completion Tokens,Stream,Temperature,Logprobs,Concurrency,Total Latency,Num Requests,Qps,P50 Total Latency,P90 Total Latency,P95 Total Latency,P99 Total Latency,P99.9 Total Latency
        openai,m,100.0,4,4,False,1.0,,4,36.5,4,0.4,42.0,42.0,42.0,42.0,42.0
        "#);
        sample.plan.workload.batch.document_tokens = Some(50);
        let text = columns(&sample);
        assert!(
            text.contains(",Total Latency,Num Documents,Tokens Per Document,Num Requests,"),
            "{text}"
        );
        assert_eq!(value(&sample, "Num Documents"), Some(Value::Integer(10)));
        sample.plan.workload.batch.documents = Some(3);
        assert_eq!(value(&sample, "Num Documents"), Some(Value::Integer(3)));
    }

    #[test]
    fn the_settings_of_lengths_are_in_upstreams_words() {
        for (length, want) in [
            (
                json!({"mean": 64, "law": "constant", "range": 0.3, "cap": null, "jitter": 0}),
                "64",
            ),
            (
                json!({"mean": 64, "law": "uniform", "range": 0.3, "cap": 80, "jitter": 0}),
                "uniform(64 +/- 19) capped at 80",
            ),
            (
                json!({"mean": 128, "law": "normal", "range": 0.3, "cap": null, "jitter": 0}),
                "normal(128, 38)",
            ),
            (
                json!({"mean": 64, "law": "exponential", "range": 0.3, "cap": null, "jitter": 0}),
                "exponential(64)",
            ),
        ] {
            let mut sample = sample::embeddings();
            sample.plan.workload.output = serde_json::from_value(length).unwrap();
            for name in ["Generation Tokens", "Completion Tokens"] {
                let shown = value(&sample, name).map(|value| value.to_string());
                assert_eq!(shown.as_deref(), Some(want));
            }
        }
    }

    #[test]
    fn concurrency_is_users_or_the_rate() {
        let second = json!({"secs": 1, "nanos": 0});
        let stage = |from: f64, to: f64| json!({"from": from, "to": to, "lasts": second});
        let stages = |stages: &[Json]| json!({"stages": {"stages": stages, "law": "exponential"}});
        for (pacing, want) in [
            (json!("closed"), "4"),
            (
                json!({"open": {"rate": 0.25, "law": "gamma"}}),
                "QPS 0.25 gamma",
            ),
            (
                stages(&[stage(10.0, 50.0), stage(50.0, 20.5)]),
                "QPS 10.0-50.0 exponential",
            ),
            (stages(&[stage(10.0, 10.0)]), "QPS 10.0 exponential"),
            (json!({"burst": {"every": second}}), "4"),
            (json!({"trace": {"due_us": [1, 2]}}), "QPS trace"),
        ] {
            let mut sample = sample::closed();
            sample.plan.schedule.pacing = serde_json::from_value(pacing).unwrap();
            let shown = value(&sample, "Concurrency").map(|value| value.to_string());
            assert_eq!(shown.as_deref(), Some(want));
        }
    }

    #[test]
    fn what_was_never_measured_is_empty() {
        let mut sample = sample::closed();
        sample.summary.phase.series.clear();
        for name in [
            "Prompt Tokens",
            "Generation Tokens",
            "Time To First Token",
            "P50 Total Latency",
        ] {
            assert_eq!(value(&sample, name), Some(Value::Empty), "{name}");
        }
        assert_eq!(value(&sample, "Concurrency"), Some(Value::Integer(4)));
    }
}
