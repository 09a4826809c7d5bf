//! The sections of a report, one a file: tables and sentences of what other files computed.

pub(super) mod conclusions;
pub(super) mod configuration;
pub(super) mod correctness;
pub(super) mod differences;
pub(super) mod method;
pub(super) mod performance;
pub(super) mod scale;
pub(super) mod verdicts;

use super::Entry;
use super::document::UNKNOWN;

/// The head of a table with a column an entry.
fn head(first: &str, entries: &[Entry]) -> Vec<String> {
    let names = entries.iter().map(|entry| entry.name.clone());
    std::iter::once(first.to_owned()).chain(names).collect()
}

/// A row of such a table.
fn row(name: &str, entries: &[Entry], of: impl Fn(&Entry) -> Option<String>) -> Vec<String> {
    let cells = entries
        .iter()
        .map(|entry| of(entry).unwrap_or_else(|| UNKNOWN.to_owned()));
    std::iter::once(name.to_owned()).chain(cells).collect()
}

/// `a, b and c`.
fn joined(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
