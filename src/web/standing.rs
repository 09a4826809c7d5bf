//! A run as it stands, as the API tells it. Units are in the names; what is unknown is `null`, never 0.
//! Tables are Locust's, field by field the same texts as in its files.

use serde_json::{Value, json};

use crate::domain::Rate;
use crate::gauges::Look;
use crate::metrics::{COUNT_SCALE, Metric, Phase, Reason, Series, Verdict};
use crate::report::{
    Context, Lately, Load, LoadChange, Standing, WorkerStanding, generator_lines, stats_csv,
};

/// A run that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its name in the API.
    pub id: &'a str,
    /// Its figures, as its report would have them now.
    pub ctx: &'a Context<'a>,
    /// How it stands.
    pub standing: &'a Standing,
    /// It has workers in other processes.
    pub cluster: bool,
    /// The command line that does the same again, without secrets.
    pub command: &'a str,
    /// The last look at the server, where somebody looks.
    pub look: Option<&'a Look>,
}

/// All of it as one object.
pub fn standing(seen: Seen<'_>) -> Value {
    let (ctx, now) = (seen.ctx, seen.standing);
    let summary = ctx.summary;
    json!({
        "run": seen.id,
        "stage": now.stage.name(),
        "command": seen.command,
        "model": ctx.plan.provider.model,
        "host": ctx.plan.target.base_url,
        "provider": ctx.plan.provider.kind.name(),
        "open_loop": ctx.plan.is_open(),
        "can_change_rate": ctx.plan.schedule.has_rate(),
        "cluster": seen.cluster,
        "started_at": now.started_at.map(crate::report::rfc3339),
        "now_s": now.now.as_secs_f64(),
        "left_s": now.left.map(|left| left.as_secs_f64()),
        "max_requests": ctx.plan.schedule.max_requests,
        "load": load(&now.load),
        "asked_per_s": now.asked_per_s,
        "users": now.crowd.users,
        "in_flight": now.crowd.in_flight,
        "waiting": now.crowd.waiting,
        "lately": lately(&now.lately),
        "so_far": {
            "scheduled": summary.counts.scheduled,
            "sent": summary.counts.sent,
            "requests": summary.requests(),
            "failures": summary.failures(),
            "fail_ratio": summary.fail_ratio(),
            "requests_per_s": summary.requests_per_s(),
            "output_tokens_per_s": summary.output_tokens_per_s(),
            "window_s": summary.window_s(),
            "latency_ms": quantiles(&summary.phase, Metric::TotalLatency),
            "ttft_ms": quantiles(&summary.phase, Metric::TimeToFirstToken),
        },
        "statistics": {
            "columns": stats_csv::stats_columns(),
            "rows": stats_csv::stats_rows(ctx),
        },
        "failures": failures(ctx),
        "workers": now.workers.iter().map(worker).collect::<Vec<_>>(),
        "changes": now.changes.iter().map(change).collect::<Vec<_>>(),
        "verdict": now.verdict.as_deref().map(verdict),
        "generator": generator_lines(ctx),
        "server": seen.look.map(|look| json!({
            "running": look.running,
            "waiting": look.waiting,
            "cache": look.cache,
        })),
        "failure": now.failure.as_deref(),
    })
}

fn load(load: &Load) -> Value {
    json!({
        "users": load.users,
        "spawn_rate_per_s": load.spawn_rate.as_f64(),
        "asked_per_s": load.rate.map(Rate::as_f64),
        "paused": load.paused,
    })
}

fn lately(lately: &Lately) -> Value {
    json!({
        "span_s": lately.span_s,
        "requests_per_s": lately.requests_per_s,
        "failures_per_s": lately.failures_per_s,
        "output_tokens_per_s": per_s(lately.phase.output_tokens, lately.span_s),
        "ttft_ms": quantiles(&lately.phase, Metric::TimeToFirstToken),
        "tpot_ms": quantiles(&lately.phase, Metric::TimePerOutputToken),
        "latency_ms": quantiles(&lately.phase, Metric::TotalLatency),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for display")]
fn per_s(count: u64, span_s: f64) -> Option<f64> {
    (span_s > 0.0).then(|| count as f64 / span_s)
}

/// p50, p95 and p99 in milliseconds; `null` where nothing was recorded.
fn quantiles(phase: &Phase, metric: Metric) -> Value {
    let series = phase.get(metric);
    series.map_or(Value::Null, |series| {
        json!({
            "p50": millis(series, 0.5),
            "p95": millis(series, 0.95),
            "p99": millis(series, 0.99),
        })
    })
}

/// A quantile in milliseconds.
pub(super) fn millis(series: &Series, q: f64) -> Option<f64> {
    series.percentile(q).map(shown)
}

/// Nanoseconds as milliseconds, scaled counts as things.
#[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days")]
pub fn shown(value: u64) -> f64 {
    value as f64 / COUNT_SCALE as f64
}

fn failures(ctx: &Context<'_>) -> Vec<Value> {
    let rows = stats_csv::failure_rows(ctx).into_iter();
    let counts = ctx.summary.errors.values().map(|seen| seen.count);
    rows.zip(counts)
        .map(|([method, name, error, _, first, last], count)| {
            json!({
                "method": method,
                "name": name,
                "error": error,
                "occurrences": count,
                "first_seen": first,
                "last_seen": last,
            })
        })
        .collect()
}

fn worker(worker: &WorkerStanding) -> Value {
    json!({
        "worker": worker.worker,
        "name": worker.name,
        "version": worker.version,
        "cores": worker.cores,
        "state": worker.state,
        "connected": worker.connected,
        "users": worker.crowd.users,
        "in_flight": worker.crowd.in_flight,
        "waiting": worker.crowd.waiting,
        "sent": worker.sent,
        "finished": worker.finished,
        "lost": worker.lost,
        "silent_s": worker.silent.as_secs_f64(),
        "clock_offset_ms": worker.clock.map(|(offset, _)| signed_millis(offset)),
    })
}

#[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days")]
fn signed_millis(ns: i64) -> f64 {
    ns as f64 / 1e6
}

fn change(change: &LoadChange) -> Value {
    json!({
        "from_s": change.from.as_secs_f64(),
        "words": change.to_string(),
    })
}

/// How far figures can be trusted, and why.
fn verdict(verdict: &Verdict) -> Value {
    json!({
        "level": verdict.level.name(),
        "reasons": verdict.reasons.iter().map(reason).collect::<Vec<_>>(),
    })
}

fn reason(reason: &Reason) -> Value {
    json!({
        "level": reason.level.name(),
        "name": reason.name,
        "words": reason.words,
        "remedy": reason.remedy,
    })
}
