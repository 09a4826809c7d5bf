//! How a run went: rates, users, tokens and latencies of each step, and the server's own gauges on the same axis.

use std::fmt::Write as _;

use super::outline::{axis, counted, on_axis, over_time, series, shown, text};
use crate::domain::Outcome;
use crate::gauges::{Look, Watched};
use crate::metrics::Metric;
use crate::page::{At, Block, Chart, Kind, Mark, Series};
use crate::report::{Context, History, Step, number};

/// More changes of the load would hide the charts.
const MARKED_CHANGES: usize = 20;
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

pub(super) fn blocks(ctx: &Context<'_>, history: &History) -> Vec<Block> {
    let steps = history.steps();
    let watched = ctx
        .watched
        .map_or_else(Vec::new, |watched| server(ctx, watched));
    if steps.is_empty() {
        return watched;
    }
    let mut blocks = vec![text(explanation(ctx, history))];
    let charts = [
        Some(requests(ctx, steps)),
        Some(crowd(ctx, steps)),
        tokens(ctx, steps),
        percentiles(
            steps,
            Metric::TimeToFirstToken,
            "Time to first token over time",
        ),
        percentiles(
            steps,
            Metric::TimePerOutputToken,
            "Time per output token over time",
        ),
        percentiles(steps, Metric::TotalLatency, "Total latency over time"),
    ];
    let charts = charts.into_iter().flatten();
    blocks.extend(charts.map(|chart| Block::Chart(marked(ctx, chart))));
    blocks.extend(watched);
    blocks
}

fn explanation(ctx: &Context<'_>, history: &History) -> String {
    let steps = history.steps();
    let longest = steps.iter().map(Step::seconds).fold(0.0, f64::max);
    let mut words = format!(
        "{} of up to {longest:.1} s, each drawn at its end. A request counts in the step in which it ended, with its tokens; \
         requests before the measured window are drawn too.",
        counted(steps.len(), "step")
    );
    let all: u64 = ctx.summary.outcomes.values().sum();
    let drawn = history.ended();
    if drawn < all {
        let _ = write!(
            words,
            " {} in no step: nobody could take note of the time when it came.",
            match all - drawn {
                1 => "1 request is".to_owned(),
                many => format!("{many} requests are"),
            }
        );
    }
    words
}

/// With the measured window and the changes of the load.
pub(super) fn marked(ctx: &Context<'_>, chart: Chart) -> Chart {
    let mark = |name: String, seconds| Mark {
        name,
        at: At::X(seconds),
    };
    let mut marks = chart.marks;
    if !ctx.summary.ramp_included {
        let (from, to) = (ctx.summary.from, ctx.summary.to);
        marks.push(mark("measured from here".to_owned(), from.as_secs_f64()));
        marks.push(mark("to here".to_owned(), to.as_secs_f64()));
    }
    let changes = ctx.changes.iter().filter(|change| change.is_other_load);
    let changes = changes.take(MARKED_CHANGES);
    marks.extend(changes.map(|change| mark(change.load.to_string(), change.from.as_secs_f64())));
    Chart { marks, ..chart }
}

/// A value of each step at the step's end.
pub(super) fn line(
    name: &str,
    kind: Kind,
    steps: &[Step],
    value: impl Fn(&Step) -> Option<f64>,
) -> Series {
    let points = steps
        .iter()
        .map(|step| (step.to.as_secs_f64(), value(step)));
    series(name, kind, points)
}

fn highest(steps: &[Step], value: impl Fn(&Step) -> Option<f64>) -> f64 {
    steps.iter().filter_map(value).fold(0.0, f64::max)
}

fn requests(ctx: &Context<'_>, steps: &[Step]) -> Chart {
    let asked = |step: &Step| step.per_s(step.counts.scheduled);
    let sent = |step: &Step| step.per_s(step.counts.sent);
    let good = |step: &Step| step.per_s(step.count(Outcome::is_good));
    let failed = |step: &Step| step.per_s(step.count(Outcome::is_failure));
    let mut drawn = Vec::new();
    if ctx.plan.is_open() {
        drawn.push(line("asked for", Kind::Dashed, steps, asked));
    }
    drawn.push(line("sent", Kind::Line, steps, sent));
    drawn.push(line("answered", Kind::Line, steps, good));
    drawn.push(line("failed", Kind::Line, steps, failed));
    let summary = ctx.summary;
    let words = format!(
        "{} sent, {} answered, {} failed over the whole run; at most {} sent and {} answered per second.",
        counted(summary.counts.sent, "request"),
        summary.whole_run(Outcome::is_good),
        summary.whole_run(Outcome::is_failure),
        shown(highest(steps, sent)),
        shown(highest(steps, good)),
    );
    over_time(
        "Requests per second",
        words,
        vec![axis("requests", "1/s")],
        drawn,
    )
}

fn crowd(ctx: &Context<'_>, steps: &[Step]) -> Chart {
    let users = |step: &Step| Some(f64::from(step.most_users));
    let in_flight = |step: &Step| Some(f64::from(step.crowd.in_flight));
    let waiting = |step: &Step| Some(f64::from(step.crowd.waiting));
    let of_users = if ctx.plan.is_open() {
        "at most in flight"
    } else {
        "users"
    };
    let drawn = vec![
        line(of_users, Kind::Steps, steps, users),
        line("in flight", Kind::Line, steps, in_flight),
        line("waiting for a free user", Kind::Line, steps, waiting),
    ];
    let most = highest(steps, users);
    let words = if most == 0.0 && ctx.summary.counts.sent > 0 {
        "The run was over before its users were counted for the first time.".to_owned()
    } else {
        format!(
            "Up to {}, {} in flight and {} waiting at the ends of steps.",
            counted(shown(most), "user"),
            counted(shown(highest(steps, in_flight)), "request"),
            shown(highest(steps, waiting)),
        )
    };
    over_time("Users and requests", words, vec![axis("count", "")], drawn)
}

fn tokens(ctx: &Context<'_>, steps: &[Step]) -> Option<Chart> {
    let output = |step: &Step| step.per_s(step.output_tokens);
    let prompt = |step: &Step| step.per_s(step.prompt_tokens);
    let generates = ctx.plan.provider.task.generates();
    let both: u64 = steps
        .iter()
        .map(|step| step.output_tokens + step.prompt_tokens)
        .sum();
    if both == 0 {
        return None;
    }
    let mut words = format!(
        "At most {} per second",
        counted(shown(highest(steps, prompt)), "prompt token")
    );
    let (mut axes, mut drawn) = (Vec::new(), Vec::new());
    if generates {
        axes.push(axis("output tokens", "1/s"));
        drawn.push(line("output tokens", Kind::Line, steps, output));
        let _ = write!(
            words,
            " and {} per second",
            counted(shown(highest(steps, output)), "output token")
        );
        if let Some(rate) = ctx.summary.output_tokens_per_s() {
            let _ = write!(
                words,
                "; {} per second in the measured window",
                counted(shown(rate), "output token")
            );
        }
    }
    axes.push(axis("prompt tokens", "1/s"));
    let prompt = line("prompt tokens", Kind::Dashed, steps, prompt);
    drawn.push(on_axis(axes.len() - 1, prompt));
    Some(over_time("Tokens per second", words + ".", axes, drawn))
}

/// The percentiles of a latency in each step; none where nobody measured it.
fn percentiles(steps: &[Step], metric: Metric, title: &str) -> Option<Chart> {
    let at = |q: f64| {
        move |step: &Step| {
            let series = step.get(metric)?;
            number::percentile(series, q).filter(|_| series.supports(q) || q <= 0.5)
        }
    };
    steps.iter().find_map(at(0.5))?;
    let largest = |step: &Step| step.get(metric)?.max().map(number::shown);
    let drawn: Vec<_> = PERCENTILES
        .iter()
        .map(|(name, q)| line(name, Kind::Line, steps, at(*q)))
        .chain([line("largest", Kind::Points, steps, largest)])
        .filter(|series| series.points.iter().any(|point| point.y.is_some()))
        .collect();
    let medians = || steps.iter().filter_map(at(0.5));
    let words = format!(
        "The median of a step is from {} to {} ms, the largest value of all {} ms. Steps with too few requests for a percentile have none.",
        shown(medians().fold(f64::INFINITY, f64::min)),
        shown(medians().fold(0.0, f64::max)),
        shown(highest(steps, largest)),
    );
    Some(over_time(title, words, vec![axis("latency", "ms")], drawn))
}

/// What the server said of itself.
fn server(ctx: &Context<'_>, watched: &Watched) -> Vec<Block> {
    let mut blocks = vec![text(of_looks(watched))];
    if watched.looks.is_empty() {
        return blocks;
    }
    let began = unix_s(ctx);
    let looks = since(&watched.looks, began);
    let drawn = |name: &str, kind, value: fn(&Look) -> Option<f64>| {
        let points = looks.iter().map(|(at_s, look)| (*at_s, value(look)));
        series(name, kind, points)
    };
    let highest = |value: fn(&Look) -> Option<f64>| {
        let known = watched.looks.iter().filter_map(value);
        known.reduce(f64::max).map(shown)
    };
    let cache: fn(&Look) -> Option<f64> = |look| look.cache.map(|share| 100.0 * share);
    let told = [
        highest(|look| look.running).map(|most| counted(most, "request") + " at work"),
        highest(|look| look.waiting).map(|most| format!("{most} waiting")),
        highest(cache).map(|most| format!("{most}% of its cache in use")),
    ];
    let told: Vec<String> = told
        .into_iter()
        .flatten()
        .map(|words| format!("up to {words}"))
        .collect();
    let words = if told.is_empty() {
        "The server told none of its gauges.".to_owned()
    } else {
        format!("The server told of {}.", told.join(", "))
    };
    let chart = over_time(
        "The server's own gauges",
        words,
        vec![axis("requests", ""), axis("cache in use", "%")],
        vec![
            drawn("running there", Kind::Steps, |look| look.running),
            drawn("waiting there", Kind::Steps, |look| look.waiting),
            on_axis(1, drawn("cache in use", Kind::Dashed, cache)),
        ],
    );
    blocks.push(Block::Chart(marked(ctx, chart)));
    blocks
}

/// The looks with their times of the run. Of those before it the last one holds when it begins.
fn since(looks: &[Look], began: f64) -> Vec<(f64, &Look)> {
    let before = looks.partition_point(|look| look.at_s < began);
    let from = before.saturating_sub(1);
    let looks = looks.iter().skip(from);
    looks
        .map(|look| ((look.at_s - began).max(0.0), look))
        .collect()
}

/// When the run began, in seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float has 1970's seconds to a microsecond"
)]
fn unix_s(ctx: &Context<'_>) -> f64 {
    ctx.started_at.unix_timestamp_nanos() as f64 / 1e9
}

fn of_looks(watched: &Watched) -> String {
    let lateness = &watched.lateness;
    let mut words = format!(
        "The server's metrics ({}) were looked at {}, every {} s, on a connection of their own; looks were late by {} ms on average and {} ms at most.",
        if watched.server.is_empty() {
            "of no known kind"
        } else {
            &watched.server
        },
        counted(watched.looks.len(), "time"),
        shown(watched.step_s),
        shown(lateness.mean_s * 1e3),
        shown(lateness.max_s * 1e3),
    );
    if watched.skipped > 0 {
        let _ = write!(
            words,
            " {} skipped, for the one before was not answered yet.",
            if watched.skipped == 1 {
                "1 look was".to_owned()
            } else {
                format!("{} looks were", watched.skipped)
            }
        );
    }
    if watched.failed > 0 {
        let _ = write!(
            words,
            " {} failed: {}.",
            counted(watched.failed, "look"),
            watched.failure
        );
    }
    for (name, before, after) in [
        (
            "prompt",
            watched.before.prompt_tokens,
            watched.after.prompt_tokens,
        ),
        (
            "output",
            watched.before.output_tokens,
            watched.after.output_tokens,
        ),
    ] {
        if let (Some(before), Some(after)) = (before, after) {
            let _ = write!(
                words,
                " It counted {:.0} {name} tokens meanwhile.",
                after - before
            );
        }
    }
    words
}
