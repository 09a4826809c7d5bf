//! The top of a run's page: what ran, whether it can be trusted, and the few figures that tell most.

use super::outline::{counted, percent, quantity, shown};
use crate::metrics::{Level as Trust, Metric, Verdict};
use crate::page::{Fact, Level, Notice};
use crate::plan::Asked;
use crate::report::{Context, closing, generator, number, objectives};

pub(super) fn title(ctx: &Context<'_>) -> String {
    let model = &ctx.plan.provider.model;
    if model.is_empty() {
        format!("{} {}", ctx.endpoint.method, ctx.endpoint.name)
    } else {
        model.clone()
    }
}

/// Where, what, when.
pub(super) fn subtitle(ctx: &Context<'_>) -> String {
    format!(
        "{} {} at {} ({}), {}, begun at {}",
        ctx.endpoint.method,
        ctx.endpoint.name,
        ctx.plan.target.base_url,
        ctx.plan.provider.kind.name(),
        load(ctx),
        crate::report::rfc3339(ctx.started_at),
    )
}

/// The load that was asked for.
pub(super) fn load(ctx: &Context<'_>) -> String {
    let words = match ctx.plan.asked() {
        Asked::Users(users) => counted(users, "user"),
        _ => generator::asked(ctx).unwrap_or_default(),
    };
    if ctx.is_of_several_loads() {
        format!("{words} at first")
    } else {
        words
    }
}

/// What must be known before any figure is read, the gravest first.
pub(super) fn notices(ctx: &Context<'_>) -> Vec<Notice> {
    let notice = |level, word: &str, text: String| Notice {
        level,
        word: word.to_owned(),
        text,
    };
    let mut notices: Vec<Notice> = ctx.failure.map(failed).into_iter().collect();
    notices.push(verdict(ctx.verdict));
    if ctx.summary.ramp_included {
        let words = closing::figures_are_of(ctx.summary);
        notices.push(notice(Level::Warning, "RAMP INCLUDED", words));
    }
    if let Some((missed, of)) = objectives::missed(ctx) {
        let were = if missed == 1 { "was" } else { "were" };
        let words = format!("{missed} of {} {were} not met", counted(of, "objective"));
        notices.push(notice(Level::Warning, "NOT MET", words));
    }
    if ctx.is_of_several_loads() {
        let words =
            "the load was changed while the run went on: the figures are of all loads together";
        notices.push(notice(Level::Note, "SEVERAL LOADS", words.to_owned()));
    }
    notices
}

/// That a run failed, and why.
pub(super) fn failed(failure: &str) -> Notice {
    Notice {
        level: Level::Bad,
        word: "FAILED".to_owned(),
        text: format!("the run failed: {failure}"),
    }
}

/// How far figures can be trusted.
pub(super) fn verdict(verdict: Option<&Verdict>) -> Notice {
    let Some(verdict) = verdict else {
        return Notice {
            level: Level::Note,
            word: "NO VERDICT".to_owned(),
            text: "nothing was measured that could be judged".to_owned(),
        };
    };
    let (level, meaning) = match verdict.level {
        Trust::Ok => (
            Level::Good,
            "the generator is not to be seen in the figures",
        ),
        Trust::Strained => (Level::Warning, "the generator may be seen in the figures"),
        Trust::Invalid => (
            Level::Bad,
            "the figures show the generator, or another load than was asked for",
        ),
    };
    let reasons = verdict.reasons.iter();
    let reasons = reasons.map(|reason| format!("; {}: {}", reason.words, reason.remedy));
    Notice {
        level,
        word: verdict.level.to_string(),
        text: format!("{meaning}{}", reasons.collect::<String>()),
    }
}

/// The figures in large.
pub(super) fn facts(ctx: &Context<'_>) -> Vec<Fact> {
    let mut facts = requests(ctx);
    facts.extend(rate(ctx));
    facts.extend(
        [
            (Metric::TimeToFirstToken, "time to first token, p50"),
            (Metric::TimePerOutputToken, "time per output token, p50"),
            (Metric::TotalLatency, "total latency, p50"),
        ]
        .into_iter()
        .filter_map(|(metric, name)| latency(ctx, metric, name)),
    );
    facts.extend(tokens(ctx));
    facts.extend(goodput(ctx));
    facts
}

fn fact(name: &str, value: String, unit: &str, note: String) -> Fact {
    Fact {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        note,
    }
}

fn requests(ctx: &Context<'_>) -> Vec<Fact> {
    let summary = ctx.summary;
    let window = format!("in a window of {:.1} s", summary.window_s());
    let failed = format!("{} of {}", summary.failures(), summary.requests());
    vec![
        fact("requests", summary.requests().to_string(), "", window),
        fact("good", summary.good().to_string(), "", String::new()),
        fact("failed", percent(summary.fail_ratio()), "", failed),
    ]
}

fn rate(ctx: &Context<'_>) -> Option<Fact> {
    let sent = ctx.summary.sent_per_s()?;
    let note =
        generator::asked(ctx).map_or_else(String::new, |asked| format!("asked for: {asked}"));
    Some(fact("sent", shown(sent), "requests/s", note))
}

fn latency(ctx: &Context<'_>, metric: Metric, name: &str) -> Option<Fact> {
    let series = ctx.summary.get(metric)?;
    let at = |q| {
        let doubt = if series.supports(q) { "" } else { "~" };
        Some(format!("{doubt}{}", shown(number::percentile(series, q)?)))
    };
    let note = format!("p95 {}, p99 {}", at(0.95)?, at(0.99)?);
    Some(fact(name, at(0.5)?, "ms", note))
}

fn tokens(ctx: &Context<'_>) -> Option<Fact> {
    let generates = ctx.plan.provider.task.generates();
    let rate = ctx.summary.output_tokens_per_s().filter(|_| generates)?;
    let tokens = ctx.summary.phase.output_tokens;
    (tokens > 0).then(|| {
        let note = format!("{} of good requests", counted(tokens, "token"));
        fact("output", shown(rate), "tokens/s", note)
    })
}

fn goodput(ctx: &Context<'_>) -> Option<Fact> {
    let good = ctx.summary.goodput_per_s?;
    let share = quantity(ctx.summary.phase.met_all) / quantity(ctx.summary.requests().max(1));
    let note = format!("{} of the requests met every limit", percent(share));
    Some(fact("goodput", shown(good), "requests/s", note))
}
