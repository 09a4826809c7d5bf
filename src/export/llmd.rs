//! The benchmark report of llm-d, schema 0.2.1, as JSON: one run's figures under that schema's names and in its units.
//! What this program does not know (the accelerators, the pods) is left out; no other schema is known here.

use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use super::figures::Stats;
use super::run::{Pace, Run, digest};
use crate::metrics::Metric;

/// The schema's version.
const VERSION: &str = "0.2.1";

/// The schema's names of percentiles, and ours.
const PERCENTILES: [(&str, &str); 11] = [
    ("p0p1", "p0.1"),
    ("p1", "p1"),
    ("p5", "p5"),
    ("p10", "p10"),
    ("p25", "p25"),
    ("p50", "p50"),
    ("p75", "p75"),
    ("p90", "p90"),
    ("p95", "p95"),
    ("p99", "p99"),
    ("p99p9", "p99.9"),
];

/// The report as indented JSON with a line end; it is YAML as well.
///
/// # Errors
///
/// When the JSON writer refuses a value, which no run holds.
pub fn report(run: &Run) -> Result<String, serde_json::Error> {
    let report = object([
        ("version", Some(json!(VERSION))),
        ("run", Some(about(run))),
        ("scenario", load(run).map(|load| json!({"load": load}))),
        (
            "results",
            Some(json!({"request_performance": {"aggregate": aggregate(run)}})),
        ),
    ]);
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// An object of the fields that are known.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let known = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(known.collect())
}

fn about(run: &Run) -> Value {
    let start = run.started_at.and_then(|at| at.format(&Rfc3339).ok());
    let time = object([
        ("start", start.map(Value::from)),
        ("duration", Some(json!(format!("PT{}S", run.figures.run_s)))),
    ]);
    json!({"uid": run.uid, "time": time})
}

/// What was asked for; `None` where no plan is known, or no length of any prompt, which the schema wants.
fn load(run: &Run) -> Option<Value> {
    let plan = run.plan.as_ref()?;
    let users = match run.pace? {
        Pace::Closed { users } => Some(json!(users.max(1))),
        Pace::Open { .. } => None,
    };
    let rate = run.figures.asked_per_s.filter(|rate| *rate > 0.0);
    let has_turns = run.figures.stats.keys().any(|key| key.starts_with("turn_"));
    let standardized = object([
        ("tool", Some(json!("llmload"))),
        ("tool_version", run.version.clone().map(Value::from)),
        ("parallelism", run.workers.map(|it| json!(it.max(1)))),
        ("source", Some(json!(source(run)))),
        ("stage", Some(json!(0))),
        ("input_seq_len", Some(input_length(run)?)),
        ("output_seq_len", output_length(run)),
        ("multi_turn", has_turns.then(|| json!({"enabled": true}))),
        ("rate_qps", rate.map(Value::from)),
        ("concurrency", users),
    ]);
    let config = object([
        ("plan", Some(plan.clone())),
        ("window_s", Some(json!(run.figures.window_s))),
        ("verdict", run.verdict.clone().map(Value::from)),
    ]);
    let text = plan.to_string();
    Some(json!({
        "metadata": {"schema_version": "0.0.1", "cfg_id": digest([text.as_bytes()])},
        "standardized": standardized,
        "native": {"config": config},
    }))
}

/// Where the tokens of prompts came from, in the schema's words.
fn source(run: &Run) -> &'static str {
    let prompts = run.asked("/workload/prompts");
    let kind = match prompts {
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(Value::Object(kind)) => kind.keys().next().map(String::as_str),
        _ => None,
    };
    match kind {
        Some("random") => "random",
        Some("generated" | "recital" | "data" | "rows") => "sampled",
        _ => "unknown",
    }
}

/// The length that prompts were to have, where one was asked for; else the one that they had.
fn input_length(run: &Run) -> Option<Value> {
    let asked = run.figures.get(Metric::RequestedPromptTokens);
    let stats = asked.or_else(|| run.figures.get(Metric::PromptTokens))?;
    Some(length(stats))
}

/// The length that answers had to have: one was asked for, and every answer has it.
fn output_length(run: &Run) -> Option<Value> {
    let is_constant = run.asked("/workload/output/law")? == "constant";
    let asked = run.asked("/workload/output/mean")?.as_f64()?;
    let had = run.figures.get(Metric::OutputTokens)?;
    let is_kept = is_constant && [had.min, had.max].iter().all(|it| is_same(*it, asked));
    is_kept.then(|| length(had))
}

fn length(stats: &Stats) -> Value {
    if is_same(stats.min, stats.max) {
        return json!({"distribution": "fixed", "value": tokens(stats.min)});
    }
    json!({
        "distribution": "other",
        "value": stats.mean,
        "min": tokens(stats.min),
        "max": tokens(stats.max),
    })
}

/// Whole tokens, which is what the schema wants of a least and a greatest length.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of tokens fit into 32 bits"
)]
fn tokens(count: f64) -> u64 {
    count.round() as u64
}

fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}

fn aggregate(run: &Run) -> Value {
    let figures = &run.figures;
    let stats = |metric, units| figures.get(metric).map(|stats| statistics(stats, units));
    let requests = object([
        (
            "total",
            Some(json!(figures.good + figures.failures + figures.cancelled)),
        ),
        ("failures", Some(json!(figures.failures))),
        ("incomplete", Some(json!(figures.cancelled))),
        ("input_length", stats(Metric::PromptTokens, "count")),
        ("output_length", stats(Metric::OutputTokens, "count")),
    ]);
    let latency = object([
        ("time_to_first_token", stats(Metric::TimeToFirstToken, "ms")),
        (
            "normalized_time_per_output_token",
            stats(Metric::OverallLatencyPerToken, "ms/token"),
        ),
        (
            "time_per_output_token",
            stats(Metric::TimePerOutputToken, "ms/token"),
        ),
        (
            "inter_token_latency",
            stats(Metric::InterTokenLatency, "ms/token"),
        ),
        ("request_latency", stats(Metric::TotalLatency, "ms")),
    ]);
    json!({"requests": requests, "latency": latency, "throughput": throughput(run)})
}

/// Rates of a whole window have one value, which is their mean.
fn throughput(run: &Run) -> Value {
    let figures = &run.figures;
    // Without a single count of tokens there is no rate of them, and it is not 0.
    let counted = |metric| figures.get(metric).is_some();
    let input = figures.per_s(figures.prompt_tokens);
    let input = input.filter(|_| counted(Metric::PromptTokens));
    let output = figures.output_per_s;
    let output = output.filter(|_| counted(Metric::OutputTokens));
    let total = input.zip(output).map(|(input, output)| input + output);
    let rate = |rate: Option<f64>, units: &str| Some(json!({"units": units, "mean": rate?}));
    object([
        ("input_token_rate", rate(input, "tokens/s")),
        ("output_token_rate", rate(output, "tokens/s")),
        ("total_token_rate", rate(total, "tokens/s")),
        (
            "request_rate",
            rate(figures.per_s(figures.good), "queries/s"),
        ),
    ])
}

/// Percentiles that stand on too few values are left out: the schema has no word for that.
fn statistics(stats: &Stats, units: &str) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    // A histogram tells a count by the end of its bucket, which is less than one thing wide for counts below a thousand.
    let is_count = units == "count";
    put("units", json!(units));
    put("mean", json!(stats.mean));
    put("min", json!(stats.min));
    for (name, own) in PERCENTILES {
        if let Some(found) = stats.percentiles.get(own).filter(|it| it.is_supported) {
            let value = found.value;
            put(name, json!(if is_count { value.floor() } else { value }));
        }
    }
    put("max", json!(stats.max));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::{bare, run};
    use super::*;
    use crate::report::sample;

    fn read(run: &Run) -> Value {
        serde_json::from_str(&report(run).unwrap()).unwrap()
    }

    #[test]
    fn figures_stand_under_the_names_of_the_schema_in_its_units() {
        let report = read(&run(&sample::open()));
        let aggregate = &report["results"]["request_performance"]["aggregate"];
        assert_eq!(
            aggregate["latency"]["time_to_first_token"],
            json!({"units": "ms", "mean": 10.0, "min": 10.0, "p50": 10.0, "max": 10.0})
        );
        assert_eq!(
            (
                &aggregate["requests"]["total"],
                &aggregate["requests"]["failures"]
            ),
            (&json!(4), &json!(1))
        );
        assert_eq!(aggregate["requests"]["output_length"]["units"], "count");
        let standardized = &report["scenario"]["load"]["standardized"];
        assert_eq!(standardized["rate_qps"], json!(2.0));
        assert!(standardized.get("concurrency").is_none());
        assert_eq!(report["run"]["time"]["start"], "2026-01-02T03:04:05Z");
    }

    #[test]
    fn percentiles_of_counts_are_whole() {
        let mut series = crate::metrics::Series::default();
        for tokens in [57, 60, 61, 73] {
            series.record(tokens * crate::metrics::COUNT_SCALE);
        }
        let mut run = run(&sample::open());
        let stats = Stats::of(&series).unwrap();
        assert!(stats.percentiles["p50"].value > 60.0);
        run.figures.stats.insert("prompt_tokens".to_owned(), stats);
        let report = read(&run);
        let lengths = &report["results"]["request_performance"]["aggregate"]["requests"];
        assert_eq!(lengths["input_length"]["p50"], json!(60.0));
        assert_eq!(lengths["input_length"]["mean"], json!(62.75));
    }

    #[test]
    fn users_are_a_closed_loops_concurrency() {
        let report = read(&run(&sample::closed()));
        let standardized = &report["scenario"]["load"]["standardized"];
        assert_eq!(standardized["concurrency"], json!(4));
        assert!(standardized.get("rate_qps").is_none());
    }

    #[test]
    fn what_nobody_knows_is_left_out() {
        let report = read(&bare());
        assert!(report.get("scenario").is_none());
        assert!(report["run"]["time"].get("start").is_none());
        let mut silent = bare();
        silent.figures.stats.clear();
        let report = read(&silent);
        let aggregate = &report["results"]["request_performance"]["aggregate"];
        assert_eq!(aggregate["latency"], json!({}));
        let rates = aggregate["throughput"].as_object().unwrap();
        assert_eq!(rates.keys().collect::<Vec<_>>(), ["request_rate"]);
    }

    #[test]
    fn an_answers_length_is_given_when_every_answer_has_it() {
        let mut run = run(&sample::open());
        let had = run.figures.get(Metric::OutputTokens).cloned().unwrap();
        let mut plan = run.plan.take().unwrap();
        plan["workload"]["output"]["law"] = json!("constant");
        plan["workload"]["output"]["mean"] = json!(had.mean);
        run.plan = Some(plan);
        let length =
            |run: &Run| read(run)["scenario"]["load"]["standardized"]["output_seq_len"].clone();
        assert_eq!(length(&run), json!({"distribution": "fixed", "value": 4}));
        run.figures.stats.get_mut("output_tokens").unwrap().max += 1.0;
        assert_eq!(length(&run), Value::Null);
    }
}
