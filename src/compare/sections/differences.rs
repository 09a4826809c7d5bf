//! Entries against a reference: each difference with its interval, or why there is none.

use super::joined;
use crate::compare::change::{Change, Comparison, Side, Subject};
use crate::compare::document::{Document, UNKNOWN, number};
use crate::compare::gate::words;
use crate::compare::{Figure, Rate, Stat};

pub(in crate::compare) fn add(
    document: &mut Document,
    comparison: &Comparison<'_>,
    pairwise: bool,
) {
    let count = comparison.entries.len();
    if count < 2 {
        return;
    }
    document.heading(2, "Differences");
    let references = if pairwise { count - 1 } else { 1 };
    for from in 0..references {
        for to in from + 1..count {
            of_pair(document, comparison, from, to);
        }
    }
}

/// Everything that is compared of a pair.
fn subjects() -> impl Iterator<Item = Subject> {
    let figures = Figure::OF_SPEED.into_iter().chain([Figure::OutputTokens]);
    let of_answers =
        figures.flat_map(|figure| Stat::COMPARED.map(|stat| Subject::Figure(figure, stat)));
    let rates = Rate::ALL.into_iter().map(Subject::Rate);
    of_answers.chain(rates).chain([Subject::ErrorRate])
}

fn of_pair(document: &mut Document, comparison: &Comparison<'_>, from: Side, to: Side) {
    let name = |side: Side| {
        comparison
            .entries
            .get(side)
            .map_or("", |entry| entry.name.as_str())
    };
    document.heading(3, format!("{} against {}", name(to), name(from)));
    let changes: Vec<(Subject, Change)> = subjects()
        .filter_map(|subject| Some((subject, comparison.change(from, to, subject)?)))
        .collect();
    if changes.is_empty() {
        document.paragraph("These two have no figure in common.");
        return;
    }
    let percent = comparison.resampling.confidence * 100.0;
    let head = [
        "",
        name(from),
        name(to),
        "change",
        &format!("{percent}% interval"),
        "in words",
    ];
    let rows = changes
        .iter()
        .map(|(subject, change)| line(*subject, change))
        .collect();
    document.table(head.map(str::to_owned).to_vec(), rows, false);
    let unproven: Vec<&str> = [from, to]
        .into_iter()
        .filter(|side| {
            let entry = comparison.entries.get(*side);
            entry.is_some_and(|entry| entry.runs.iter().any(|run| !run.has_answers()))
        })
        .map(name)
        .collect();
    if !unproven.is_empty() {
        document.paragraph(format!(
            "Of {} there is a summary alone. Whether a change is more than chance takes the individual responses of both sides.",
            joined(&unproven)
        ));
    }
}

fn line(subject: Subject, change: &Change) -> Vec<String> {
    let (amount, interval) = words(subject, change);
    let value = |value: f64| match subject {
        Subject::ErrorRate => format!("{:.2}%", value * 100.0),
        _ => number(value),
    };
    let verdict = match (&interval, change.is_significant()) {
        (Err(why), _) => (*why).to_owned(),
        (Ok(_), Some(true)) => direction(subject, change).to_owned(),
        (Ok(_), _) => "no significant difference".to_owned(),
    };
    vec![
        subject.name(),
        value(change.from),
        value(change.to),
        amount,
        interval.unwrap_or_else(|_| UNKNOWN.to_owned()),
        verdict,
    ]
}

/// `better` and `worse` where one is, `higher` and `lower` elsewhere.
fn direction(subject: Subject, change: &Change) -> &'static str {
    let rises = change.absolute() > 0.0;
    match subject.less_is_better() {
        Some(less_is_better) if less_is_better == rises => "worse",
        Some(_) => "better",
        None if rises => "higher",
        None => "lower",
    }
}
