//! The whole report: which sections there are, in what order, of what request. It reads no file and sets no exit status.

use super::change::{Comparison, Side};
use super::document::Document;
use super::gate::{Judged, judge};
use super::sections::{
    conclusions, configuration, correctness, differences, method, performance, scale, verdicts,
};
use super::{Correctness, Entry, Resampling, Threshold, pictures};
use crate::chart::ChartError;

/// What is to be compared, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The title; a plain one when empty.
    pub title: String,
    /// The columns. An entry without a name is given one.
    pub entries: Vec<Entry>,
    /// Correctness tests.
    pub correctness: Vec<Correctness>,
    /// The first entry is the baseline, and these changes against it are judged.
    pub thresholds: Option<Vec<Threshold>>,
    /// Every pair is compared, not the first entry with all others alone.
    pub pairwise: bool,
    /// Groups by hand: a name, and the numbers of its entries.
    pub groups: Vec<(String, Vec<Side>)>,
    /// The key of the metadata whose values make groups, instead of the families in models' names.
    pub group_by: Option<String>,
    /// How intervals are made.
    pub resampling: Resampling,
    /// What else is to be said: files that were left out, for example.
    pub notes: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The report.
    pub document: Document,
    /// The verdicts, where there are thresholds.
    pub judged: Vec<Judged>,
}

/// Compares.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn report(mut request: Request) -> Result<Report, ChartError> {
    name(&mut request.entries);
    let comparison = Comparison::new(&request.entries, request.resampling);
    let mut document = Document {
        title: title(&request),
        ..Document::default()
    };
    let judged = request
        .thresholds
        .as_ref()
        .map(|thresholds| judge(&comparison, 0, thresholds))
        .unwrap_or_default();
    if !request.entries.is_empty() {
        configuration::add(&mut document, &request.entries);
        if request.thresholds.is_some() {
            verdicts::add(&mut document, &judged, &request.entries);
        }
        performance::add(&mut document, &request.entries);
        pictures::add(&mut document, &comparison)?;
        differences::add(&mut document, &comparison, request.pairwise);
        scale::add(&mut document, &comparison, &request);
        conclusions::add(&mut document, &comparison);
    }
    correctness::add(
        &mut document,
        &request.correctness,
        request.resampling.confidence,
    );
    method::add(&mut document, &comparison, &request);
    Ok(Report { document, judged })
}

fn title(request: &Request) -> String {
    if !request.title.is_empty() {
        return request.title.clone();
    }
    match request.entries.as_slice() {
        [] => "Correctness tests".to_owned(),
        [one] => format!("Performance of {}", one.name),
        [first, _] if request.thresholds.is_some() => format!("Comparison with {}", first.name),
        _ => "Performance comparison".to_owned(),
    }
}

/// Ways to name an entry, shorter ones first.
const NAMINGS: [fn(&Entry) -> Option<String>; 4] = [
    |entry| entry.model().short(),
    |entry| entry.settings().model,
    |entry| {
        let settings = entry.settings();
        Some(format!("{} × {}", settings.model?, settings.concurrency?))
    },
    |entry| {
        let settings = entry.settings();
        let file = entry
            .runs
            .first()
            .and_then(|run| run.files.first().cloned())?;
        Some(match settings.model {
            Some(model) => format!("{model} ({file})"),
            None => file,
        })
    },
];

/// Gives names to entries that have none: for all of them the shortest way by which no two are alike.
fn name(entries: &mut [Entry]) {
    let named = |of: &fn(&Entry) -> Option<String>| -> Vec<Option<String>> {
        let name = |entry: &Entry| {
            let given = Some(entry.name.clone()).filter(|name| !name.is_empty());
            given.or_else(|| of(entry))
        };
        entries.iter().map(name).collect()
    };
    let differ = |names: &Vec<Option<String>>| {
        let different: std::collections::BTreeSet<_> = names.iter().flatten().collect();
        different.len() == entries.len()
    };
    let last = NAMINGS.last().map(named).unwrap_or_default();
    let names = NAMINGS.iter().map(named).find(differ).unwrap_or(last);
    let mut seen: Vec<String> = Vec::new();
    for (at, (entry, name)) in (1..).zip(entries.iter_mut().zip(names)) {
        let name = name.unwrap_or_else(|| format!("run {at}"));
        let times = seen.iter().filter(|it| **it == name).count();
        entry.name = if times > 0 {
            format!("{name} #{}", times + 1)
        } else {
            name.clone()
        };
        seen.push(name);
    }
}
