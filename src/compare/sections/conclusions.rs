//! What the figures bear, by rules: who is first in what, and ties said as ties. It recommends nothing.

use std::fmt::Write as _;

use super::joined;
use crate::compare::change::{Comparison, Side, Subject};
use crate::compare::document::{Document, number};
use crate::compare::{Figure, Rate, Stat};

/// A title, and what decides it.
const TITLES: [(&str, Subject); 7] = [
    (
        "Fastest first token",
        Subject::Figure(Figure::Ttft, Stat::Mean),
    ),
    (
        "Lowest inter-token latency",
        Subject::Figure(Figure::InterToken, Stat::Mean),
    ),
    (
        "Lowest time per output token",
        Subject::Figure(Figure::TimePerToken, Stat::Mean),
    ),
    (
        "Lowest end-to-end latency",
        Subject::Figure(Figure::EndToEnd, Stat::Mean),
    ),
    (
        "Highest throughput of a request",
        Subject::Figure(Figure::Throughput, Stat::Mean),
    ),
    (
        "Highest overall throughput",
        Subject::Rate(Rate::OverallThroughput),
    ),
    (
        "Most requests per minute",
        Subject::Rate(Rate::RequestsPerMinute),
    ),
];

pub(in crate::compare) fn add(document: &mut Document, comparison: &Comparison<'_>) {
    let mut items: Vec<String> = TITLES
        .into_iter()
        .filter_map(|(title, subject)| conclusion(comparison, title, subject))
        .collect();
    items.extend(errors(comparison));
    if items.is_empty() {
        return;
    }
    document.heading(2, "Conclusions");
    document.list(items);
}

/// Who knows the figure, the best one first.
fn ranked(comparison: &Comparison<'_>, subject: Subject) -> Vec<(Side, f64)> {
    let known = comparison.entries.iter().enumerate();
    let mut known: Vec<(Side, f64)> = known
        .filter_map(|(side, entry)| Some((side, subject.of(entry)?)))
        .collect();
    known.sort_by(|one, other| one.1.total_cmp(&other.1));
    if subject.less_is_better() == Some(false) {
        known.reverse();
    }
    known
}

fn conclusion(comparison: &Comparison<'_>, title: &str, subject: Subject) -> Option<String> {
    let ranked = ranked(comparison, subject);
    let ((best, value), rivals) = ranked.split_first().map(|(first, rest)| (*first, rest))?;
    if rivals.is_empty() {
        return None;
    }
    let name = |side: Side| {
        comparison
            .entries
            .get(side)
            .map_or("", |entry| entry.name.as_str())
    };
    let verdict = |side: Side| {
        comparison
            .change(best, side, subject)
            .and_then(|change| change.is_significant())
    };
    let having = |wanted: Option<bool>| -> Vec<&str> {
        let those = rivals.iter().filter(|(side, _)| verdict(*side) == wanted);
        those.map(|(side, _)| name(*side)).collect()
    };
    let (ties, unproven) = (having(Some(false)), having(None));
    let unit = match subject {
        Subject::Figure(figure, _) => figure.unit(),
        Subject::Rate(rate) => rate.unit(),
        Subject::ErrorRate => "",
    };
    let mut text = if ties.is_empty() {
        format!("{title}: {} ({} {unit})", name(best), number(value))
    } else {
        let all: Vec<&str> = std::iter::once(name(best))
            .chain(ties.iter().copied())
            .collect();
        let values = ranked.iter().filter(|(side, _)| all.contains(&name(*side)));
        let values: Vec<String> = values.map(|(_, value)| number(*value)).collect();
        format!(
            "{title}: a tie of {}, no significant difference ({} {unit})",
            joined(&all),
            values.join(", ")
        )
    };
    if !unproven.is_empty() {
        let needed = if matches!(subject, Subject::Rate(_)) {
            "that takes two runs a side"
        } else {
            "that takes the individual responses of both"
        };
        let _ = write!(
            text,
            "; whether it is more than chance against {} is not known: {needed}",
            joined(&unproven)
        );
    }
    let silent = comparison.entries.len() - ranked.len();
    if silent > 0 {
        let all = comparison.entries.len();
        let _ = write!(text, "; {silent} of {all} do not tell");
    }
    Some(text + ".")
}

/// Who failed, and whether more than the least failing one.
fn errors(comparison: &Comparison<'_>) -> Option<String> {
    let ranked = ranked(comparison, Subject::ErrorRate);
    let (best, _) = *ranked.first()?;
    if ranked.iter().all(|(_, rate)| *rate <= 0.0) {
        return (ranked.len() == comparison.entries.len()).then(|| "No request failed.".to_owned());
    }
    let is_worse = |side: Side| {
        let change = comparison.change(best, side, Subject::ErrorRate);
        change.and_then(|change| change.is_significant()) == Some(true)
    };
    let worse: Vec<String> = ranked
        .iter()
        .filter(|(side, _)| is_worse(*side))
        .filter_map(|(side, rate)| {
            Some(format!(
                "{} ({:.1}%)",
                comparison.entries.get(*side)?.name,
                rate * 100.0
            ))
        })
        .collect();
    if worse.is_empty() {
        return (ranked.len() > 1).then(|| "Error rates: no significant difference.".to_owned());
    }
    let worse: Vec<&str> = worse.iter().map(String::as_str).collect();
    let best = comparison
        .entries
        .get(best)
        .map_or("", |it| it.name.as_str());
    Some(format!(
        "More failed requests than {best}: {}.",
        joined(&worse)
    ))
}
