//! What the server told of itself: its peaks, and whether its own counts of tokens are those of the answers.
//! How it was looked at is not decided here.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Context;
use crate::domain::{Outcome, TokenSource};
use crate::gauges::Watched;
use crate::metrics::{COUNT_SCALE, Metric};

/// Counts that are further apart than this want an explanation.
const TOLERANCE: f64 = 0.01;

/// The section's lines; none where nobody looked.
pub(super) fn lines(ctx: &Context<'_>) -> Vec<String> {
    let Some(watched) = ctx.watched else {
        return Vec::new();
    };
    let mut lines = vec![looks(watched)];
    lines.extend(peaks(watched));
    lines.extend(counts(ctx, watched).iter().map(Count::words));
    lines
}

/// Why the server's counts are in doubt, a line for each count.
pub(super) fn warnings(ctx: &Context<'_>) -> Vec<String> {
    let Some(watched) = ctx.watched else {
        return Vec::new();
    };
    if watched.looks.is_empty() {
        let words = &watched.failure;
        return vec![format!("there are no server metrics: {words}")];
    }
    let counts = counts(ctx, watched);
    counts.iter().filter_map(Count::doubt).collect()
}

/// The same for the result file; `null` where nobody looked.
pub(super) fn object(ctx: &Context<'_>) -> Value {
    let Some(watched) = ctx.watched else {
        return Value::Null;
    };
    let counts = counts(ctx, watched);
    let count = |of: &str| {
        let count = counts.iter().find(|count| count.of == of);
        count.map(|count| {
            json!({
                "server": count.server,
                "answers": count.answers,
                "agree": count.agrees(),
                "explained_by": count.explained_by,
            })
        })
    };
    json!({
        "names": watched.server,
        "step_s": watched.step_s,
        "looks": watched.looks.len(),
        "skipped_looks": watched.skipped,
        "failed_looks": watched.failed,
        "last_failure": watched.failure,
        "lateness_mean_s": watched.lateness.mean_s,
        "lateness_p99_s": watched.lateness.p99_s,
        "lateness_max_s": watched.lateness.max_s,
        "most_running": watched.most_running(),
        "most_waiting": watched.most_waiting(),
        "most_cache_usage": watched.most_cache(),
        "output_tokens": count("output"),
        "prompt_tokens": count("prompt"),
    })
}

fn looks(watched: &Watched) -> String {
    let late = watched.lateness;
    let mut text = format!(
        "{} looks, one each {} s, late by {:.1} ms on average, p99 {:.1} ms, max {:.1} ms",
        watched.looks.len(),
        watched.step_s,
        late.mean_s * 1e3,
        late.p99_s * 1e3,
        late.max_s * 1e3
    );
    if !watched.server.is_empty() {
        text = format!("metrics under the names of {}: {text}", watched.server);
    }
    // Writing to a string cannot fail, here and below.
    if watched.skipped > 0 {
        let _ = write!(text, "; {} skipped", watched.skipped);
    }
    if watched.failed > 0 {
        let _ = write!(text, "; {} failed: {}", watched.failed, watched.failure);
    }
    text
}

fn peaks(watched: &Watched) -> Option<String> {
    let count = |most: Option<f64>, what: &str| Some(format!("{} {what}", most?));
    let cache = watched
        .most_cache()
        .map(|share| format!("{:.1}% of the key-value cache in use", share * 100.0));
    let parts = [
        count(watched.most_running(), "requests running"),
        count(watched.most_waiting(), "waiting"),
        cache,
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("at most {}", parts.join(", ")))
}

/// The server's count of tokens beside that of the answers.
struct Count {
    /// Of which tokens.
    of: &'static str,
    server: f64,
    answers: u64,
    /// What may make them differ by so much without anything being wrong.
    explained_by: Vec<String>,
    /// What would explain a smaller difference: requests, and the most tokens that they can be.
    too_little: Option<(String, f64)>,
}

impl Count {
    fn new(of: &'static str, server: f64, answers: u64, reasons: &Reasons, most: Most) -> Self {
        let more = server - exact(answers);
        let most = most.map(|each| exact(each) * exact(reasons.requests()));
        // Requests without an answer make the server count more, and never less.
        let is_explained = more > 0.0 && most.is_none_or(|most| more <= most);
        let (mut explained_by, mut too_little) = (Vec::new(), None);
        if reasons.counted_by_others || is_explained {
            explained_by = reasons.words();
        } else if let (Some(most), true) = (most, more > 0.0 && reasons.requests() > 0) {
            too_little = Some((reasons.words().join(", "), most));
        }
        Self {
            of,
            server,
            answers,
            explained_by,
            too_little,
        }
    }

    /// Server − answers, as a share of the answers.
    fn difference(&self) -> f64 {
        let answers = exact(self.answers);
        let difference = self.server - answers;
        if answers > 0.0 {
            difference / answers
        } else if difference > 0.0 {
            f64::INFINITY
        } else {
            0.0
        }
    }

    fn agrees(&self) -> bool {
        self.difference().abs() <= TOLERANCE
    }

    fn words(&self) -> String {
        let mut text = format!(
            "server counted {} {} tokens, answers {}",
            self.server, self.of, self.answers
        );
        let difference = self.difference();
        if self.answers > 0 && difference != 0.0 {
            let _ = write!(text, " ({:+.2}%)", difference * 100.0);
        }
        if !self.agrees() && !self.explained_by.is_empty() {
            let _ = write!(text, "; {}", self.explained_by.join(", "));
        }
        text
    }

    fn doubt(&self) -> Option<String> {
        if self.agrees() || !self.explained_by.is_empty() {
            return None;
        }
        let (of, server, answers) = (self.of, self.server, self.answers);
        let more =
            "somebody else may have used it, or its answers tell of fewer tokens than it makes";
        let fewer = "it may count by other rules, or may not have been looked at for the whole run";
        let why = if self.difference() > 0.0 { more } else { fewer };
        let known = self.too_little.as_ref();
        let known =
            known.map(|(what, most)| format!("{what}, which are {most} at most; beyond that "));
        let known = known.unwrap_or_default();
        Some(format!(
            "the server counted {server} {of} tokens and the answers {answers}: {known}{why}"
        ))
    }
}

/// The most tokens of one request; `None` where nobody knows.
type Most = Option<u64>;

/// The counts that both sides have.
fn counts(ctx: &Context<'_>, watched: &Watched) -> Vec<Count> {
    let counted = watched.counted();
    let summary = ctx.summary;
    let reasons = Reasons::of(ctx);
    let output = counted
        .output_tokens
        .filter(|_| ctx.plan.provider.task.generates());
    let count = |of, server: Option<f64>, answers, most| {
        Some(Count::new(of, server?, answers, &reasons, most))
    };
    let counts = [
        count("output", output, summary.output_tokens, most_output(ctx)),
        count(
            "prompt",
            counted.prompt_tokens,
            summary.prompt_tokens,
            most_prompt(ctx),
        ),
    ];
    counts.into_iter().flatten().collect()
}

/// The most output tokens that a request can ask for; at least those of the longest answer, for rows of a data set may have
/// limits of their own.
fn most_output(ctx: &Context<'_>) -> Most {
    let choices = u64::from(ctx.plan.provider.sampling.n.unwrap_or(1));
    let asked = u64::from(ctx.plan.workload.output.most()?) * choices;
    Some(asked.max(longest(ctx, Metric::OutputTokens).unwrap_or(0)))
}

/// The longest prompt that is known of.
fn most_prompt(ctx: &Context<'_>) -> Most {
    let told = [Metric::PromptTokens, Metric::RequestedPromptTokens];
    told.into_iter()
        .filter_map(|metric| longest(ctx, metric))
        .max()
}

fn longest(ctx: &Context<'_>, metric: Metric) -> Option<u64> {
    Some(ctx.summary.get(metric)?.max()?.div_ceil(COUNT_SCALE))
}

/// Why both sides may differ.
struct Reasons {
    /// Requests that a server counts and whose tokens no answer tells.
    untold: Vec<(u64, &'static str)>,
    /// There are answers whose tokens somebody else counted than the server.
    counted_by_others: bool,
}

impl Reasons {
    fn of(ctx: &Context<'_>) -> Self {
        let summary = ctx.summary;
        let whole = |wanted: fn(Outcome) -> bool| summary.whole_run(wanted);
        let untold = [
            (
                whole(|outcome| outcome == Outcome::Cancelled),
                "requests cancelled",
            ),
            (whole(Outcome::is_failure), "requests failed"),
            (summary.in_flight, "requests in flight"),
            (summary.counts.lost, "requests lost"),
        ];
        let mut sources = summary.phase.token_sources.keys();
        Self {
            untold: untold.into_iter().filter(|(count, _)| *count > 0).collect(),
            counted_by_others: sources.any(|source| *source != TokenSource::Usage),
        }
    }

    fn requests(&self) -> u64 {
        self.untold.iter().map(|(count, _)| count).sum()
    }

    fn words(&self) -> Vec<String> {
        let untold = self.untold.iter();
        let mut all: Vec<_> = untold
            .map(|(count, what)| format!("{what}: {count}"))
            .collect();
        if self.counted_by_others {
            all.push("answers not counted by the server".to_owned());
        }
        all
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^53"
)]
const fn exact(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
