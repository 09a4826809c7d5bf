//! What the generator measured of itself, as the console's closing section says it; who sent; what is in doubt.

use super::outline::{axis, on_axis, over_time, percent, shown, table, text};
use super::over_time::{line, marked};
use crate::domain::Offset;
use crate::metrics::{CoreLoad, Metric, core_name};
use crate::page::{Block, Kind};
use crate::report::{Context, History, Step, closing, generator, number};

/// Cores that have a row of their own; the busiest ones.
const CORES: usize = 64;

pub(super) fn blocks(ctx: &Context<'_>, history: &History) -> Vec<Block> {
    let mut blocks: Vec<Block> = generator::lines(ctx).into_iter().map(text).collect();
    blocks.extend(closing::warnings(ctx).into_iter().map(text));
    blocks.extend(chart(ctx, history.steps()));
    blocks.extend(cores(ctx));
    blocks.extend(workers(ctx));
    blocks
}

/// How late it was and how busy, step by step.
fn chart(ctx: &Context<'_>, steps: &[Step]) -> Option<Block> {
    let p99 = |metric| {
        move |step: &Step| {
            step.get(metric)
                .and_then(|series| number::percentile(series, 0.99))
        }
    };
    let busy = |step: &Step| Some(100.0 * step.busy_share()?);
    let lag = if ctx.summary.generator.has_loop_lag() {
        "event-loop lag, p99"
    } else {
        "receive lag, p99"
    };
    let drawn = [
        line("send delay, p99", Kind::Line, steps, p99(Metric::SendDelay)),
        line(lag, Kind::Line, steps, p99(Metric::ReceiveLag)),
        on_axis(1, line("cores busy", Kind::Dashed, steps, busy)),
    ];
    let is_seen =
        |series: &crate::page::Series| series.points.iter().any(|point| point.y.is_some());
    let drawn: Vec<_> = drawn.into_iter().filter(is_seen).collect();
    let worst = |metric| {
        let known = steps.iter().filter_map(p99(metric)).reduce(f64::max);
        known.map_or_else(|| "unknown".to_owned(), |ms| format!("{} ms", shown(ms)))
    };
    let busiest = steps.iter().filter_map(busy).reduce(f64::max);
    let words = format!(
        "The worst step's p99: send delay {}, lag {}; all sending cores together were busy for up to {} of a step.",
        worst(Metric::SendDelay),
        worst(Metric::ReceiveLag),
        busiest.map_or_else(
            || "an unknown share".to_owned(),
            |busy| format!("{}%", shown(busy))
        ),
    );
    let axes = vec![axis("delay", "ms"), axis("busy", "%")];
    (!drawn.is_empty()).then(|| {
        let chart = over_time("The generator over time", words, axes, drawn);
        Block::Chart(marked(ctx, chart))
    })
}

fn cores(ctx: &Context<'_>) -> Option<Block> {
    let mut cores: Vec<(u32, CoreLoad)> = ctx
        .summary
        .generator
        .cores
        .iter()
        .map(|(core, load)| (*core, *load))
        .collect();
    cores.sort_by(|(_, one), (_, other)| {
        let share = |load: &CoreLoad| load.busy_share().unwrap_or(0.0);
        share(other).total_cmp(&share(one))
    });
    let title = match cores.len() {
        0 => return None,
        all if all > CORES => format!("The {CORES} busiest of {all} sending cores"),
        _ => "Sending cores".to_owned(),
    };
    let seconds = |nanos| format!("{:.1}", Offset::from_nanos(nanos).as_secs_f64());
    let rows = cores.into_iter().take(CORES).map(|(core, load)| {
        vec![
            core_name(core),
            seconds(load.wall_ns),
            seconds(load.cpu_ns),
            seconds(load.kept_waiting_ns),
            load.busy_share().map_or_else(|| "–".to_owned(), percent),
        ]
    });
    let columns = [
        "core",
        "#observed (s)",
        "#running (s)",
        "#waiting for a processor (s)",
        "#busy",
    ];
    Some(table(&title, &columns, rows.collect()))
}

fn workers(ctx: &Context<'_>) -> Option<Block> {
    let rows = ctx.workers.iter().map(|worker| {
        vec![
            worker.name.clone(),
            worker.requests.to_string(),
            worker.finished.to_string(),
            worker.dropped.to_string(),
            worker.lost_requests.to_string(),
            worker
                .clock
                .map_or_else(|| "same clock".to_owned(), closing::clock_words),
            if worker.lost { "LOST" } else { "" }.to_owned(),
        ]
    });
    let columns = [
        "worker",
        "#requests",
        "#ended",
        "#dropped",
        "#lost",
        "clock offset to the master",
        "state",
    ];
    (!ctx.workers.is_empty()).then(|| table("Workers", &columns, rows.collect()))
}
