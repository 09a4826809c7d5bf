//! How the intervals were made, and what they do not hold.

use crate::compare::change::Comparison;
use crate::compare::document::Document;
use crate::compare::report::Request;

pub(in crate::compare) fn add(
    document: &mut Document,
    comparison: &Comparison<'_>,
    request: &Request,
) {
    let mut items = request.notes.clone();
    let entries = comparison.entries;
    let with_answers = entries.iter().filter(|entry| entry.answers_known());
    if entries.len() > 1 && with_answers.count() > 1 {
        items.extend(intervals(comparison));
    }
    if !items.is_empty() {
        document.heading(2, "How to read this");
        document.list(items);
    }
}

fn intervals(comparison: &Comparison<'_>) -> Vec<String> {
    let settings = comparison.resampling;
    let percent = settings.confidence * 100.0;
    let mut items = vec![format!(
        "Intervals are percentile bootstrap intervals at {percent}% of {} resamples (seed {}), widened for small samples by \
Student's law; error rates have Newcombe's of all requests together, taken \
for independent: their spread from run to run is not in it. \"No significant difference\" means that the interval holds 0, not that there is none.",
        settings.resamples, settings.seed.0
    )];
    items.push(format!(
        "Each interval misses the truth in {} of 100 cases: of many comparisons some look significant by chance.",
        super::super::document::number((1.0 - settings.confidence) * 100.0).trim_end_matches('0').trim_end_matches('.')
    ));
    let runs: Vec<usize> = comparison
        .entries
        .iter()
        .map(|entry| entry.runs.len())
        .collect();
    let single = runs.iter().any(|runs| *runs < 2);
    items.push(if single {
        "Where a side has one run, the interval is of its responses alone: how a server drifts from run to run is not in it, and two \
runs of the same server may differ by more."
            .to_owned()
    } else {
        "Runs were resampled first and responses within them: the spread from run to run is in the intervals of responses' figures, which are wide where runs \
are few."
            .to_owned()
    });
    items
}
