//! The thresholds against the baseline, a line each.

use crate::compare::Entry;
use crate::compare::change::Subject;
use crate::compare::document::{Document, UNKNOWN, number};
use crate::compare::gate::{Judged, words};

pub(in crate::compare) fn add(document: &mut Document, judged: &[Judged], entries: &[Entry]) {
    if judged.is_empty() {
        return;
    }
    let baseline = entries.first().map_or("", |entry| entry.name.as_str());
    document.heading(2, "Thresholds");
    document.paragraph(format!(
        "Against {baseline}. A threshold is broken when the change is beyond its limit and its interval does not hold 0, \
or when there is no good response."
    ));
    let head = [
        "verdict",
        "threshold",
        "entry",
        "baseline",
        "value",
        "change",
        "interval",
    ];
    let rows = judged.iter().map(line).collect();
    document.table(head.map(str::to_owned).to_vec(), rows, false);
}

fn line(judged: &Judged) -> Vec<String> {
    let subject = judged.threshold.subject;
    let dash = || UNKNOWN.to_owned();
    let value = |value: f64| match subject {
        Subject::ErrorRate => format!("{:.2}%", value * 100.0),
        _ => number(value),
    };
    let change = judged.change.as_ref();
    let (amount, interval) = change.map_or_else(
        || (dash(), Err("not known of both sides")),
        |change| words(subject, change),
    );
    let interval = judged.why.map_or(interval, Err);
    vec![
        judged.verdict.word().to_owned(),
        judged.threshold.text.clone(),
        judged.entry.clone(),
        change.map_or_else(dash, |it| value(it.from)),
        change.map_or_else(dash, |it| value(it.to)),
        amount,
        interval.unwrap_or_else(|why| format!("{UNKNOWN} ({why})")),
    ]
}
