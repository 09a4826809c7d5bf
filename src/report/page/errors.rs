//! What failed: each kind with its words, how often, when first and last, and failures over the time of the run.

use super::outline::{axis, counted, over_time, percent, quantity, table, text};
use super::over_time::{line, marked};
use crate::domain::{Offset, Outcome};
use crate::page::{Block, Kind};
use crate::report::{Context, History};

pub(super) fn blocks(ctx: &Context<'_>, history: &History) -> Vec<Block> {
    let failed = ctx.summary.whole_run(Outcome::is_failure);
    let good = ctx.summary.whole_run(Outcome::is_good);
    if failed == 0 && ctx.summary.errors.is_empty() {
        return vec![text("No request failed.")];
    }
    let mut blocks = vec![
        text(format!(
            "{failed} of {} failed over the whole run, its ramp and warm-up included.",
            counted(failed + good, "request")
        )),
        kinds(ctx, failed + good),
    ];
    blocks.extend(failures(ctx, history, failed));
    blocks
}

fn kinds(ctx: &Context<'_>, of: u64) -> Block {
    let mut errors: Vec<_> = ctx.summary.errors.iter().collect();
    errors.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.count));
    let at = |offset: Offset| format!("{:.1} s ({})", offset.as_secs_f64(), ctx.wall_clock(offset));
    let rows = errors.into_iter().map(|(key, seen)| {
        vec![
            key.outcome.name().to_owned(),
            key.text.clone(),
            seen.count.to_string(),
            percent(quantity(seen.count) / quantity(of.max(1))),
            at(seen.first_seen),
            at(seen.last_seen),
        ]
    });
    let columns = [
        "kind",
        "words",
        "#count",
        "#of all requests",
        "first",
        "last",
    ];
    table("Failures by kind", &columns, rows.collect())
}

fn failures(ctx: &Context<'_>, history: &History, failed: u64) -> Option<Block> {
    let steps = history.steps();
    let of_a_kind = Outcome::ALL.into_iter().filter(|outcome| {
        outcome.is_failure() && steps.iter().any(|step| step.outcomes.contains_key(outcome))
    });
    let drawn: Vec<_> = of_a_kind
        .map(|kind| {
            line(kind.name(), Kind::Line, steps, |step| {
                step.per_s(step.count(|outcome| outcome == kind))
            })
        })
        .collect();
    let steps_with = steps
        .iter()
        .filter(|step| step.count(Outcome::is_failure) > 0);
    let words = format!(
        "{}, in {} of {} of the run.",
        counted(failed, "failure"),
        steps_with.count(),
        counted(steps.len(), "step")
    );
    let axes = vec![axis("failures", "1/s")];
    (!drawn.is_empty()).then(|| {
        let chart = over_time("Failures per second", words, axes, drawn);
        Block::Chart(marked(ctx, chart))
    })
}
