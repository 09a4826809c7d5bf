//! What the figures bear, by rules: who is first in what, and ties said as ties. It recommends nothing.

use std::fmt::Write as _;

use super::joined;
use crate::compare::change::{Comparison, Known, Side, Subject};
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
    let ties = having(Some(false));
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
    for (needed, rivals) in unproven(comparison, best, rivals, subject) {
        let names: Vec<&str> = rivals.into_iter().map(name).collect();
        let _ = write!(
            text,
            "; whether it is more than chance against {} is not known: that takes {needed}",
            joined(&names)
        );
    }
    let silent = comparison.entries.len() - ranked.len();
    if silent > 0 {
        let all = comparison.entries.len();
        let _ = write!(text, "; {silent} of {all} do not tell");
    }
    Some(text + ".")
}

/// Rivals of which nobody can tell, by what it would take.
fn unproven(
    comparison: &Comparison<'_>,
    best: Side,
    rivals: &[(Side, f64)],
    subject: Subject,
) -> Vec<(String, Vec<Side>)> {
    let mut reasons: Vec<(String, Vec<Side>)> = Vec::new();
    for (side, _) in rivals {
        let known = comparison.change(best, *side, subject).map(|it| it.known);
        let needed = match known {
            Some(Known::NoAnswers) => "the individual responses of both".to_owned(),
            Some(Known::TooFew(fewest)) => format!("{fewest} responses of each"),
            Some(Known::OneRun) => "two runs a side".to_owned(),
            Some(Known::Intervals { .. }) | None => continue,
        };
        match reasons.iter_mut().find(|(it, _)| *it == needed) {
            Some((_, sides)) => sides.push(*side),
            None => reasons.push((needed, vec![*side])),
        }
    }
    reasons
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
