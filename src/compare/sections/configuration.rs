//! What was tested: models, settings, how many requests, from which files.

use std::collections::BTreeSet;

use super::{head, joined, row};
use crate::compare::document::Document;
use crate::compare::{Entry, Settings};

/// A row that is shown where any entry knows it.
type Row<'a> = (&'a str, &'a dyn Fn(&Entry) -> Option<String>);

pub(in crate::compare) fn add(document: &mut Document, entries: &[Entry]) {
    document.heading(2, "Test configuration");
    let setting = |at: usize| {
        move |entry: &Entry| entry.settings().named().get(at).and_then(|it| it.1.clone())
    };
    let rows: [Row<'_>; 15] = [
        ("Model", &|entry| entry.settings().model),
        ("Parameters", &|entry| {
            entry.model().parameters.map(|it| it.to_string())
        }),
        ("Quantisation", &|entry| entry.model().quantisation),
        ("API", &setting(4)),
        ("Server", &setting(6)),
        ("Concurrency", &setting(0)),
        ("Input tokens asked for", &setting(1)),
        ("Output tokens asked for", &setting(2)),
        ("Streamed", &setting(5)),
        ("Sampling", &setting(3)),
        ("Metadata", &metadata),
        ("Runs", &|entry| Some(entry.runs.len().to_string())),
        ("Requests", &|entry| {
            entry.requests().map(|it| it.to_string())
        }),
        ("Errors", &errors),
        ("Output tokens counted by", &|entry| {
            entry.settings().counted_by
        }),
    ];
    let needed = [
        "Model",
        "Parameters",
        "Quantisation",
        "Concurrency",
        "Requests",
        "Errors",
    ];
    let shown = rows
        .iter()
        .filter(|(name, of)| {
            needed.contains(name) || entries.iter().any(|entry| of(entry).is_some())
        })
        .filter(|(name, _)| *name != "Runs" || entries.iter().any(|entry| entry.runs.len() > 1));
    let rows = shown.map(|(name, of)| row(name, entries, of)).collect();
    document.table(head("", entries), rows, false);
    document.list(sources(entries));
    document.list(warnings(entries));
}

fn metadata(entry: &Entry) -> Option<String> {
    let metadata = entry.settings().metadata;
    let pairs: Vec<String> = metadata
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join(", "))
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn errors(entry: &Entry) -> Option<String> {
    let (failed, of) = entry.failures()?;
    Some(match failed {
        0 => "0".to_owned(),
        _ => format!("{failed} ({:.1}%)", failed as f64 / of as f64 * 100.0),
    })
}

/// The files of each entry.
fn sources(entries: &[Entry]) -> Vec<String> {
    let line = |entry: &Entry| {
        let files: Vec<&str> = entry
            .runs
            .iter()
            .flat_map(|run| &run.files)
            .map(String::as_str)
            .collect();
        let kinds: BTreeSet<&str> = entry
            .runs
            .iter()
            .flat_map(|run| &run.kinds)
            .map(|kind| kind.name())
            .collect();
        let kinds: Vec<&str> = kinds.into_iter().collect();
        format!("{}: {} ({})", entry.name, joined(&files), kinds.join(", "))
    };
    entries.iter().map(line).collect()
}

/// What makes a difference of figures something else than a difference of models, and what runs tell of themselves.
fn warnings(entries: &[Entry]) -> Vec<String> {
    let mut warnings = Vec::new();
    let all: Vec<Settings> = entries.iter().map(Entry::settings).collect();
    let named: Vec<_> = all.iter().map(Settings::named).collect();
    for at in 0..named.first().map_or(0, |it| it.len()) {
        let Some(name) = named.first().and_then(|it| it.get(at)).map(|it| it.0) else {
            continue;
        };
        let values = named.iter().filter_map(|it| it.get(at)?.1.clone());
        let values: BTreeSet<String> = values.collect();
        if values.len() > 1 {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            warnings.push(format!(
                "{name} differs ({}): differences of figures are not the models' alone.",
                joined(&values)
            ));
        }
    }
    let differing = Settings::differing_plan(&all);
    if !differing.is_empty() {
        warnings.push(format!(
            "Other settings differ ({}): differences of figures are not the models' alone.",
            differing.join(", ")
        ));
    }
    let counted: BTreeSet<String> = all.iter().filter_map(|it| it.counted_by.clone()).collect();
    if counted.len() > 1 {
        let counted: Vec<&str> = counted.iter().map(String::as_str).collect();
        warnings.push(format!(
            "Output tokens were not counted alike ({}): figures by token differ by that too.",
            joined(&counted)
        ));
    }
    for entry in entries {
        warnings.extend(
            entry
                .notes()
                .into_iter()
                .map(|note| format!("{}: {note}.", entry.name)),
        );
    }
    warnings
}
