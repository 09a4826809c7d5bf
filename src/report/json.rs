//! The result file: one JSON object with everything that was measured, described by `schema/result.schema.json`.
//! Units stand in the names; what is unknown is `null` or absent, never 0.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, PERCENTILES, Worker, generator, load, number, objectives, server};
use crate::domain::Outcome;
use crate::metrics::{Metric, Series, Summary};
use crate::plan::Plan;

/// The version of the result's shape; a field's meaning never changes without a new one.
pub const FORMAT: u32 = 2;
/// The JSON schema of the result.
pub const SCHEMA: &str = include_str!("schema/result.schema.json");

/// The result as indented JSON with a line end.
///
/// # Errors
///
/// When a setting of the plan has no JSON form.
pub fn result(ctx: &Context<'_>) -> Result<String, serde_json::Error> {
    let result = Outline {
        format: FORMAT,
        version: ctx.version,
        started_at: super::rfc3339(ctx.started_at),
        endpoint: json!({"method": ctx.endpoint.method, "name": ctx.endpoint.name}),
        plan: plan(ctx)?,
        window: window(ctx.summary),
        totals: totals(ctx),
        measured: measured(ctx),
        metrics: metrics(ctx.summary),
        objectives: objectives::objects(ctx),
        tokens: tokens(ctx.summary),
        connections: json!({
            "opened": ctx.summary.connections_opened,
            "warmed": ctx.summary.connections_warmed,
            "reused": ctx.summary.connections_reused,
        }),
        errors: errors(ctx),
        warnings: warnings(ctx.summary),
        workers: ctx.workers.iter().map(worker).collect(),
        changes: ctx.changes.iter().map(load::object).collect(),
        notes: ctx.notes,
        server: server::object(ctx),
        generator: generator::object(&ctx.summary.generator),
        verdict: ctx.verdict.map(|verdict| verdict.level.name()),
        reasons: generator::reasons(ctx.verdict),
        failure: ctx.failure,
    };
    Ok(serde_json::to_string_pretty(&result)? + "\n")
}

#[derive(Serialize)]
struct Outline<'a> {
    format: u32,
    version: &'a str,
    started_at: String,
    endpoint: Value,
    plan: Value,
    window: Value,
    totals: Value,
    measured: Value,
    metrics: IndexMap<&'static str, Distribution>,
    objectives: Vec<Value>,
    tokens: Value,
    connections: Value,
    errors: Vec<Value>,
    warnings: Vec<Value>,
    workers: Vec<Value>,
    changes: Vec<Value>,
    notes: &'a [String],
    server: Value,
    generator: Value,
    verdict: Option<&'static str>,
    reasons: Vec<Value>,
    failure: Option<&'a str>,
}

/// One metric. Milliseconds where the metric's name says so, things otherwise.
#[derive(Serialize)]
struct Distribution {
    count: u64,
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(flatten)]
    percentiles: IndexMap<String, Option<f64>>,
    /// The percentiles that stand on fewer samples than they need.
    too_few_samples_for: Vec<String>,
}

/// Lists of the plan that come from a file.
const DATA: [&str; 3] = [
    "/workload/prompts/rows",
    "/workload/forced/texts",
    "/schedule/pacing/trace/due_us",
];

/// The plan, with what comes from data sets replaced by its number: a result is no copy of the data.
pub(crate) fn plan(ctx: &Context<'_>) -> Result<Value, serde_json::Error> {
    shown_plan(ctx.plan)
}

/// The same of a plan alone.
pub(crate) fn shown_plan(plan: &Plan) -> Result<Value, serde_json::Error> {
    let mut plan = serde_json::to_value(plan)?;
    for place in DATA {
        if let Some(data) = plan.pointer_mut(place) {
            *data = json!(data.as_array().map_or(0, Vec::len));
        }
    }
    if let Some(inline) = plan.pointer_mut("/workload/prompts/data/inline") {
        *inline = Value::Null;
    }
    Ok(plan)
}

fn window(summary: &Summary) -> Value {
    json!({
        "start_s": summary.from.as_secs_f64(),
        "end_s": summary.to.as_secs_f64(),
        "length_s": summary.window_s(),
        "ramp_included": summary.ramp_included,
        "run_s": summary.run_s,
    })
}

fn totals(ctx: &Context<'_>) -> Value {
    let summary = ctx.summary;
    let counts = &summary.counts;
    json!({
        "scheduled": counts.scheduled,
        "sent": counts.sent,
        "dropped": counts.dropped,
        "late_cancelled": counts.late_cancelled,
        "lost": counts.lost,
        "waiting": summary.waiting,
        "in_flight": summary.in_flight,
        "completed": summary.whole_run(Outcome::is_good),
        "failed": summary.whole_run(Outcome::is_failure),
        "cancelled": summary.whole_run(|outcome| outcome == Outcome::Cancelled),
        "imbalance": summary.balance.err().map(|imbalance| imbalance.to_string()),
        "outcomes": by_name(&summary.outcomes),
        "warmup_requests_before": ctx.plan.observe.warmup_requests,
    })
}

fn measured(ctx: &Context<'_>) -> Value {
    let summary = ctx.summary;
    json!({
        "requests": summary.requests(),
        "good": summary.good(),
        "failures": summary.failures(),
        "fail_ratio": summary.fail_ratio(),
        "outcomes": by_name(&summary.phase.outcomes),
        "left_out_before_the_window": summary.warmup_requests,
        "requests_per_s": summary.requests_per_s(),
        "failures_per_s": summary.failures_per_s(),
        "sent_per_s": summary.sent_per_s(),
        "asked_per_s": ctx.asked_per_s(),
        "goodput_per_s": summary.goodput_per_s,
        "goodput_ratio": summary.goodput_ratio(),
        "body_bytes": summary.phase.body_bytes,
    })
}

fn by_name(outcomes: &BTreeMap<Outcome, u64>) -> BTreeMap<&'static str, u64> {
    let named = outcomes
        .iter()
        .map(|(outcome, count)| (outcome.name(), *count));
    named.collect()
}

fn metrics(summary: &Summary) -> IndexMap<&'static str, Distribution> {
    Metric::ALL
        .into_iter()
        .filter_map(|metric| Some((metric.key(), distribution(summary.get(metric)?))))
        .collect()
}

fn distribution(series: &Series) -> Distribution {
    // 100% is the maximum, which has its own name.
    let named = PERCENTILES.iter().filter(|(_, q)| *q < 1.0);
    let named = named.map(|(name, q)| (format!("p{}", name.trim_end_matches('%')), *q));
    Distribution {
        count: series.count(),
        mean: number::mean(series),
        min: series.min().map(number::shown),
        max: series.max().map(number::shown),
        percentiles: named
            .clone()
            .map(|(name, q)| (name, number::percentile(series, q)))
            .collect(),
        too_few_samples_for: named
            .filter(|(_, q)| !series.supports(*q))
            .map(|(name, _)| name)
            .collect(),
    }
}

fn tokens(summary: &Summary) -> Value {
    json!({
        "output": summary.phase.output_tokens,
        "prompt": summary.phase.prompt_tokens,
        "output_in_window": summary.window_tokens,
        "output_per_s": summary.output_tokens_per_s(),
        "whole_run_output": summary.output_tokens,
        "whole_run_output_per_s": summary.whole_run_tokens_per_s(),
        "requests_by_source": summary.phase.token_sources,
    })
}

fn errors(ctx: &Context<'_>) -> Vec<Value> {
    let errors = ctx.summary.errors.iter();
    errors
        .map(|(key, seen)| {
            json!({
                "outcome": key.outcome.name(),
                "text": key.text,
                "count": seen.count,
                "first_seen": ctx.wall_clock(seen.first_seen),
                "last_seen": ctx.wall_clock(seen.last_seen),
            })
        })
        .collect()
}

fn warnings(summary: &Summary) -> Vec<Value> {
    let warnings = summary.warnings.iter();
    warnings
        .map(|(warning, count)| {
            json!({"name": warning.name(), "count": count, "text": warning.text()})
        })
        .collect()
}

fn worker(worker: &Worker) -> Value {
    json!({
        "name": worker.name,
        "requests": worker.requests,
        "finished": worker.finished,
        "dropped": worker.dropped,
        "lost_requests": worker.lost_requests,
        "clock_offset_ns": worker.clock.map(|(offset, _)| offset),
        "clock_bound_ns": worker.clock.map(|(_, bound)| bound),
        "lost": worker.lost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, Sample};

    fn read(sample: &Sample) -> Value {
        serde_json::from_str(&result(&sample.context()).unwrap()).unwrap()
    }

    #[test]
    fn results_follow_the_shipped_schema() {
        let schema = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut empty = sample::closed();
        empty.summary = Summary::new(
            crate::metrics::Tally::default(),
            crate::metrics::Observation::default(),
        );
        empty.verdict = None;
        let mut unsent = sample::open();
        unsent.summary.counts.late_cancelled = 3;
        unsent.verdict = crate::metrics::judge(&unsent.summary);
        let mut changed = sample::open();
        changed.changes = vec![super::super::LoadChange {
            from: crate::domain::Offset::from_nanos(1_500_000_000),
            load: super::super::Load {
                users: 3,
                spawn_rate: crate::domain::Rate::per_second(1),
                rate: None,
                paused: false,
            },
            workers: 2,
            is_other_load: true,
            is_other_number: false,
        }];
        let mut wanted = sample::with_objectives(&["ttft:p99<1s", "itl<15ms", "latency<1s"]);
        wanted.watched = Some(Box::default());
        let samples = vec![
            sample::open(),
            sample::closed(),
            empty,
            unsent,
            changed,
            wanted,
            sample::conversations(),
            sample::embeddings(),
        ];
        for sample in samples {
            let result = read(&sample);
            let faults: Vec<_> = validator
                .iter_errors(&result)
                .map(|fault| format!("{fault} at {}", fault.instance_path()))
                .collect();
            assert_eq!(faults, Vec::<String>::new());
        }
        let mut wrong = read(&sample::open());
        wrong["metrics"]["ttft_ms"]["p50"] = json!("fast");
        assert!(!validator.is_valid(&wrong));
        wrong = read(&sample::open());
        wrong["surprise"] = json!(1);
        assert!(!validator.is_valid(&wrong));
    }

    #[test]
    fn figures_carry_their_unit_and_say_what_they_lack() {
        let result = read(&sample::open());
        assert_eq!(
            result["metrics"]["ttft_ms"],
            json!({
                "count": 3, "mean": 10.0, "min": 10.0, "max": 10.0,
                "p50": 10.0, "p66": 10.0, "p75": 10.0, "p80": 10.0, "p90": 10.0, "p95": 10.0, "p98": 10.0,
                "p99": 10.0, "p99.9": 10.0, "p99.99": 10.0,
                "too_few_samples_for": ["p75", "p80", "p90", "p95", "p98", "p99", "p99.9", "p99.99"],
            })
        );
        assert_eq!(result["measured"]["asked_per_s"], json!(2.0));
        assert_eq!(result["tokens"]["requests_by_source"], json!({"usage": 3}));
        assert_eq!(
            result["totals"]["outcomes"],
            json!({"http_5xx": 1, "ok": 3})
        );
        assert_eq!(result["started_at"], json!("2026-01-02T03:04:05Z"));
    }

    #[test]
    fn the_generator_is_judged_by_figures_that_stand_beside_the_verdict() {
        let mut sample = sample::open();
        let result = read(&sample);
        assert_eq!(
            result["generator"],
            json!({
                "stamps": "kernel", "reads": 12, "kernel_stamped_reads": 12,
                "content_events": 9, "content_events_sharing_a_stamp": 1, "clock_steps": 0,
                "busiest_core": 1,
                "cores": [
                    {"core": 0, "observed_s": 9.0, "running_s": 1.0, "kept_waiting_s": 0.0, "busy_share": 1.0 / 9.0},
                    {"core": 1, "observed_s": 9.0, "running_s": 2.25, "kept_waiting_s": 0.9, "busy_share": 0.35},
                ],
                "processor_ticks": 2_000, "stolen_ticks": 8, "stolen_share": 0.004,
                "lowest_mhz": 2_596, "highest_mhz": 2_600,
            })
        );
        assert_eq!(
            (&result["verdict"], &result["reasons"]),
            (&json!("ok"), &json!([]))
        );
        sample.summary.counts.late_cancelled = 3;
        sample.verdict = crate::metrics::judge(&sample.summary);
        let result = read(&sample);
        assert_eq!(result["verdict"], json!("invalid"));
        assert_eq!(
            result["reasons"],
            json!([{
                "level": "invalid", "name": "not_sent",
                "text": "3 of 4 requests came due and were never sent",
                "hint": "all users were busy: more of them (-u), a lower --qps, or a faster server",
            }])
        );
    }

    #[test]
    fn a_result_is_no_copy_of_the_data_set() {
        let mut sample = sample::open();
        let mut plan = serde_json::to_value(&sample.plan).unwrap();
        let row = json!({"prompt": "private", "messages": null, "extra": {}});
        plan["workload"]["prompts"] = json!({"rows": [row, row]});
        sample.plan = serde_json::from_value(plan.clone()).unwrap();
        assert_eq!(
            read(&sample)["plan"]["workload"]["prompts"],
            json!({"rows": 2})
        );
        let data = json!({
            "name": "x.txt", "format": "text", "column": null, "shuffle_seed": null, "limit": null, "sha256": "",
            "bytes": 7, "inline": "private",
        });
        plan["workload"]["prompts"] = json!({"data": data});
        plan["workload"]["forced"] = json!({"texts": ["private", "private", "private"]});
        plan["schedule"]["pacing"] = json!({"trace": {"due_us": [0, 1, 2, 3]}});
        sample.plan = serde_json::from_value(plan).unwrap();
        let shown = &read(&sample)["plan"];
        assert!(!shown.to_string().contains("private"), "{shown}");
        assert_eq!(shown["workload"]["prompts"]["data"]["bytes"], json!(7));
        assert_eq!(shown["workload"]["forced"], json!({"texts": 3}));
        assert_eq!(shown["schedule"]["pacing"], json!({"trace": {"due_us": 4}}));
    }
}
