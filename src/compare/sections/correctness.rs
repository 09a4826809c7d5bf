//! Correctness tests side by side, with the interval of their shares of wrong answers.

use crate::compare::Correctness;
use crate::compare::document::{Document, UNKNOWN};
use crate::compare::proportion::wilson;

pub(in crate::compare) fn add(document: &mut Document, tests: &[Correctness], confidence: f64) {
    if tests.is_empty() {
        return;
    }
    document.heading(2, "Correctness");
    let interval = format!("{}% interval", confidence * 100.0);
    let head = [
        "",
        "API",
        "Concurrency",
        "Requests",
        "Errors",
        "Checked",
        "Mismatches",
        "Mismatch rate",
        &interval,
    ];
    let rows = tests
        .iter()
        .map(|test| line(label(test, tests), test, confidence))
        .collect();
    document.table(head.map(str::to_owned).to_vec(), rows, true);
    document.paragraph("The mismatch rate is of the answers that were checked, errors left out; its interval is Wilson's.");
}

/// The model; with the file where another test has the same.
fn label(test: &Correctness, all: &[Correctness]) -> String {
    let Some(model) = &test.model else {
        return test.file.clone();
    };
    let same = all.iter().filter(|it| it.model.as_ref() == Some(model));
    if same.count() > 1 {
        format!("{model} ({})", test.file)
    } else {
        model.clone()
    }
}

#[expect(clippy::cast_precision_loss, reason = "no test has that many requests")]
fn line(label: String, test: &Correctness, confidence: f64) -> Vec<String> {
    let dash = || UNKNOWN.to_owned();
    let count = |count: Option<u64>| count.map_or_else(dash, |it| it.to_string());
    let shares = test
        .mismatched
        .zip(test.checked())
        .filter(|(_, of)| *of > 0);
    let shares = shares.map(|(wrong, of)| (wrong as f64, of as f64));
    let interval = shares.map(|(wrong, of)| wilson(wrong, of, confidence));
    let percent = |share: f64| format!("{:.1}%", share * 100.0);
    vec![
        label,
        test.api.clone().unwrap_or_else(dash),
        count(test.concurrency),
        count(test.completed),
        count(test.errors),
        count(test.checked()),
        count(test.mismatched),
        shares.map_or_else(dash, |(wrong, of)| percent(wrong / of)),
        interval.map_or_else(dash, |it| {
            format!("{} to {}", percent(it.low), percent(it.high))
        }),
    ]
}
