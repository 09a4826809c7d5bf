//! The figures themselves, a table each, and which definitions stand behind them.

use super::{head, joined, row};
use crate::compare::document::{Document, known};
use crate::compare::{Entry, Figure, Rate, Stat};

const LATENCY: [Stat; 5] = [Stat::Mean, Stat::Median, Stat::Min, Stat::P95, Stat::StdDev];
const THROUGHPUT: [Stat; 4] = [Stat::Mean, Stat::Median, Stat::Max, Stat::StdDev];
const LENGTH: [Stat; 3] = [Stat::Mean, Stat::StdDev, Stat::Max];

pub(in crate::compare) fn add(document: &mut Document, entries: &[Entry]) {
    document.heading(2, "Performance");
    let tables: [(Figure, &[Stat]); 5] = [
        (Figure::Ttft, &LATENCY),
        (Figure::InterToken, &LATENCY),
        (Figure::TimePerToken, &LATENCY),
        (Figure::EndToEnd, &LATENCY),
        (Figure::Throughput, &THROUGHPUT),
    ];
    for (figure, stats) in tables {
        // llmperf has no such figure: a table of dashes tells nothing.
        if figure != Figure::TimePerToken || knows(entries, figure) {
            of_figure(document, entries, figure, stats);
        }
    }
    document.heading(3, "Overall");
    let rows = Rate::ALL.into_iter().map(|rate| {
        let name = match rate {
            Rate::OverallThroughput => format!("{} ({})", rate.name(), rate.unit()),
            Rate::RequestsPerMinute => rate.name().to_owned(),
        };
        row(&name, entries, |entry| Some(known(entry.rate(rate))))
    });
    document.table(head("", entries), rows.collect(), true);
    of_figure(document, entries, Figure::OutputTokens, &LENGTH);
    document.list(definitions(entries));
}

fn of_figure(document: &mut Document, entries: &[Entry], figure: Figure, stats: &[Stat]) {
    let unit = figure.unit();
    let name = figure.name();
    // `Output tokens (tokens)` says one thing twice.
    let heading = if name.ends_with(unit) && unit.len() > 1 {
        name.to_owned()
    } else {
        format!("{name} ({unit})")
    };
    document.heading(3, heading);
    let rows = stats.iter().map(|stat| {
        let value = |entry: &Entry| Some(known(entry.stat(figure, *stat)));
        row(stat.name(), entries, value)
    });
    document.table(head("", entries), rows.collect(), true);
}

fn knows(entries: &[Entry], figure: Figure) -> bool {
    entries.iter().any(|entry| knows_any(entry, figure))
}

fn knows_any(entry: &Entry, figure: Figure) -> bool {
    Stat::ALL
        .into_iter()
        .any(|stat| entry.stat(figure, stat).is_some())
}

/// Two figures of similar names that must not be taken for each other.
fn definitions(entries: &[Entry]) -> Vec<String> {
    let mut notes = vec![
        "Inter-token latency is llmperf's: the time from the request to the last token, by output tokens, the first one's wait \
counted in."
            .to_owned(),
    ];
    if knows(entries, Figure::TimePerToken) {
        notes.push(
            "Time per output token is the time from the first to the last token by the tokens behind the first: another figure, \
never compared with the one before."
                .to_owned(),
        );
    }
    let lacking: Vec<&str> = entries
        .iter()
        .filter(|entry| !knows_any(entry, Figure::InterToken))
        .map(|entry| entry.name.as_str())
        .collect();
    if !lacking.is_empty() {
        notes.push(format!(
            "llmperf's inter-token latency of {} cannot be had from these files: it takes a file of --records.",
            joined(&lacking)
        ));
    }
    notes
}
