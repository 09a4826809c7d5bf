//! What a family's size does: from its smallest member to its largest, with the interval of each change.

use std::collections::BTreeSet;

use crate::compare::change::{Comparison, Side, Subject};
use crate::compare::document::{Document, UNKNOWN, number};
use crate::compare::gate::words;
use crate::compare::report::Request;
use crate::compare::{Entry, Figure, Rate, Settings, Stat};

/// A name, and members from the smallest to the largest.
type Group = (String, Vec<Side>);

pub(in crate::compare) fn add(
    document: &mut Document,
    comparison: &Comparison<'_>,
    request: &Request,
) {
    let groups = groups(comparison.entries, request);
    if groups.is_empty() {
        if let Some(key) = &request.group_by {
            document.heading(2, "Scale effects");
            document.paragraph(format!(
                "No two columns have the same `{key}` in their metadata: there is no group."
            ));
        }
        return;
    }
    document.heading(2, "Scale effects");
    for group in &groups {
        of_group(document, comparison, group);
    }
}

/// By hand, by a key of the metadata, or by the families in models' names.
fn groups(entries: &[Entry], request: &Request) -> Vec<Group> {
    let mut groups: Vec<Group> = request.groups.clone();
    if groups.is_empty() {
        for (side, entry) in entries.iter().enumerate() {
            let name = match &request.group_by {
                Some(key) => entry.settings().metadata.get(key).cloned(),
                None => entry.model().family,
            };
            let Some(name) = name else { continue };
            match groups
                .iter_mut()
                .find(|(it, _)| it.eq_ignore_ascii_case(&name))
            {
                Some((_, members)) => members.push(side),
                None => groups.push((name, vec![side])),
            }
        }
    }
    let size = |side: &Side| {
        entries
            .get(*side)
            .and_then(|it| it.model().parameters)
            .map(|it| it.billions)
    };
    for (_, members) in &mut groups {
        // Where a size is not known the order stays the one that was given.
        if members.iter().all(|side| size(side).is_some()) {
            members.sort_by(|one, other| {
                size(one)
                    .unwrap_or(0.0)
                    .total_cmp(&size(other).unwrap_or(0.0))
            });
        }
    }
    let is_by_hand = !request.groups.is_empty() || request.group_by.is_some();
    groups.retain(|(_, members)| {
        let ends = members.first().zip(members.last());
        let differ = ends.is_some_and(|(first, last)| size(first) != size(last));
        members.len() > 1 && (is_by_hand || differ)
    });
    groups
}

/// What a scale effect is told of.
fn subjects() -> Vec<Subject> {
    let figures = Figure::OF_SPEED.map(|figure| Subject::Figure(figure, Stat::Mean));
    figures
        .into_iter()
        .chain(Rate::ALL.map(Subject::Rate))
        .collect()
}

fn of_group(document: &mut Document, comparison: &Comparison<'_>, (name, members): &Group) {
    let entries: Vec<&Entry> = members
        .iter()
        .filter_map(|side| comparison.entries.get(*side))
        .collect();
    let sizes = labels(&entries);
    document.heading(3, format!("{name} ({})", sizes.join(" → ")));
    let (Some(from), Some(to)) = (members.first(), members.last()) else {
        return;
    };
    let percent = comparison.resampling.confidence * 100.0;
    let mut head = vec![String::new()];
    head.extend(sizes);
    head.extend([
        "change".to_owned(),
        format!("{percent}% interval"),
        "in words".to_owned(),
    ]);
    let mut rows = Vec::new();
    for subject in subjects() {
        let Some(change) = comparison.change(*from, *to, subject) else {
            continue;
        };
        let (amount, interval) = words(subject, &change);
        let rises = if change.absolute() > 0.0 {
            "rises"
        } else {
            "falls"
        };
        let verdict = match (&interval, change.is_significant()) {
            (Err(why), _) => (*why).to_owned(),
            (Ok(_), Some(true)) => rises.to_owned(),
            (Ok(_), _) => "no significant difference".to_owned(),
        };
        let mut row = vec![subject.name()];
        row.extend(
            entries
                .iter()
                .map(|it| subject.of(it).map_or_else(|| UNKNOWN.to_owned(), number)),
        );
        row.extend([
            amount,
            interval.unwrap_or_else(|_| UNKNOWN.to_owned()),
            verdict,
        ]);
        rows.push(row);
    }
    if rows.is_empty() {
        document.paragraph("Its smallest and its largest member have no figure in common.");
        return;
    }
    document.table(head, rows, false);
    document.list(doubts(&entries));
}

/// Sizes, or whole names where a size is not known or stands twice.
fn labels(entries: &[&Entry]) -> Vec<String> {
    let size = |entry: &&Entry| entry.model().parameters.map(|it| it.to_string());
    let sizes: BTreeSet<String> = entries.iter().filter_map(size).collect();
    let name = |entry: &&Entry| entry.name.clone();
    if sizes.len() == entries.len() {
        entries.iter().filter_map(size).collect()
    } else {
        entries.iter().map(name).collect()
    }
}

/// What else differs within a group: then size is not the only cause.
fn doubts(entries: &[&Entry]) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut check = |name: &str, values: BTreeSet<String>| {
        if values.len() > 1 {
            let values: Vec<String> = values.into_iter().collect();
            doubts.push(format!(
                "{name} differs too ({}): the change is not one of size alone.",
                values.join(", ")
            ));
        }
    };
    check(
        "Quantisation",
        entries
            .iter()
            .filter_map(|it| it.model().quantisation)
            .collect(),
    );
    let settings: Vec<Settings> = entries.iter().map(|it| it.settings()).collect();
    check(
        "Concurrency",
        settings
            .iter()
            .filter_map(|it| it.concurrency.clone())
            .collect(),
    );
    doubts
}
