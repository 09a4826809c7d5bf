//! Locust's three console tables, byte for byte, so that scripts which read Locust go on working.
//! It decides neither which rows there are (`rows`) nor how wide the terminal is.

use std::fmt::Write;

use super::rows::{Row, aggregated, table_rows};
use super::{Context, PERCENTILES, number};
use crate::metrics::Series;

const TYPE_WIDTH: usize = 8;
/// The columns beside the name that Locust leaves room for, and the widest name column.
const OTHER_COLUMNS: u16 = 80;
const WIDEST_NAME: u16 = 80;

/// Stands before a percentile that has too few samples, in a column of padding.
pub(super) const MARK: char = '~';
pub(super) const FOOTNOTE: &str =
    "~ too few samples for this percentile: fewer than one is expected beyond it";

/// What the rate columns of real requests show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Requests per second.
    pub requests_per_s: f64,
    /// Failures per second.
    pub failures_per_s: f64,
}

/// The table printed while a run goes on; `recent` are the rates of the last 10 s.
///
/// Metric rows always show their rate over the whole window.
pub fn live(ctx: &Context<'_>, columns: Option<u16>, recent: Rates) -> String {
    statistics(ctx, name_width(columns), recent)
}

/// The tables printed at the end: statistics, percentiles, and errors if there were any.
pub fn all(ctx: &Context<'_>, columns: Option<u16>) -> String {
    let width = name_width(columns);
    let rates = Rates {
        requests_per_s: ctx.summary.requests_per_s().unwrap_or(0.0),
        failures_per_s: ctx.summary.failures_per_s().unwrap_or(0.0),
    };
    let mut text = statistics(ctx, width, rates);
    text.push_str(&percentiles(ctx, width));
    text.push_str(&errors(ctx, width));
    text
}

/// The width of the name column: what the terminal has beyond 80 columns, at most 80; 80 without a terminal.
pub fn name_width(columns: Option<u16>) -> usize {
    let width = columns.map_or(WIDEST_NAME, |columns| {
        columns.saturating_sub(OTHER_COLUMNS).min(WIDEST_NAME)
    });
    usize::from(width)
}

fn statistics(ctx: &Context<'_>, name_width: usize, rates: Rates) -> String {
    // Locust saves four columns here by setting the others closer.
    let width = (name_width + 4).saturating_sub(TYPE_WIDTH);
    let rule = rule(&[TYPE_WIDTH, width, 7, 13, 7, 7, 7, 7, 8, 11]);
    let mut lines = Lines::default();
    lines.add(format_args!(
        "{:<TYPE_WIDTH$} {:<width$} {:>7} {:>12} |{:>7} {:>7} {:>7}{:>7} | {:>7} {:>11}",
        "Type", "Name", "# reqs", "# fails", "Avg", "Min", "Max", "Med", "req/s", "failures/s"
    ));
    lines.add(&rule);
    for row in table_rows(ctx, &ctx.summary.phase) {
        let rates = if row.kind == ctx.endpoint.method {
            rates
        } else {
            metric_rates(ctx, &row)
        };
        lines.add(statistics_row(&row, width, rates));
    }
    lines.add(&rule);
    lines.add(statistics_row(
        &aggregated(&ctx.summary.phase),
        width,
        rates,
    ));
    lines.end()
}

#[expect(clippy::cast_precision_loss, reason = "a rate for display")]
fn metric_rates(ctx: &Context<'_>, row: &Row<'_>) -> Rates {
    Rates {
        requests_per_s: ctx.summary.per_s(row.requests as f64).unwrap_or(0.0),
        failures_per_s: 0.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for display")]
fn statistics_row(row: &Row<'_>, width: usize, rates: Rates) -> String {
    let percent = 100.0 * row.failures as f64 / row.requests.max(1) as f64;
    let fails = format!("{}({percent:.2}%)", row.failures);
    let of =
        |figure: fn(&Series) -> Option<u64>| row.series.and_then(figure).map_or(0, number::whole);
    let average = row.series.and_then(number::mean).unwrap_or(0.0).trunc();
    let (min, max) = (of(Series::min), of(Series::max));
    let median = of(|series| series.percentile(0.5));
    format!(
        "{:<TYPE_WIDTH$} {:<width$} {:>7} {fails:>12} |{average:>7} {min:>7} {max:>7}{median:>7} | {:>7.2} {:>11.2}",
        row.kind, row.name, row.requests, rates.requests_per_s, rates.failures_per_s
    )
}

fn percentiles(ctx: &Context<'_>, width: usize) -> String {
    let mut widths = vec![TYPE_WIDTH, width, 8];
    widths.extend([6; PERCENTILES.len()]);
    let rule = rule(&widths);
    let mut lines = Lines::default();
    lines.add("Response time percentiles (approximated)");
    let mut heading = format!("{:<TYPE_WIDTH$} {:<width$}", "Type", "Name");
    for (column, (name, _)) in PERCENTILES.iter().enumerate() {
        let _ = write!(heading, " {name:>0$}", column_width(column));
    }
    lines.add(format_args!("{heading} {:>6}", "# reqs"));
    lines.add(&rule);
    let total = aggregated(&ctx.summary.phase);
    let filled = |row: &Row<'_>| row.series.is_some();
    for row in table_rows(ctx, &ctx.summary.phase)
        .iter()
        .filter(|row| filled(row))
    {
        lines.add(percentile_row(row, width));
    }
    lines.add(&rule);
    if filled(&total) {
        lines.add(percentile_row(&total, width));
    }
    if lines.0.contains(MARK) {
        lines.add(FOOTNOTE);
    }
    lines.end()
}

fn percentile_row(row: &Row<'_>, width: usize) -> String {
    let mut line = format!("{:<TYPE_WIDTH$} {:<width$}", row.kind, row.name);
    for (column, (_, q)) in PERCENTILES.iter().enumerate() {
        let Some(series) = row.series else { continue };
        let value = series.percentile(*q).map_or(0, number::whole);
        let cell = if series.supports(*q) {
            value.to_string()
        } else {
            format!("{MARK}{value}")
        };
        // The separating space counts as part of the cell, so that a mark has room beside six digits.
        let space = if cell.len() > column_width(column) && !cell.starts_with(MARK) {
            " "
        } else {
            ""
        };
        let _ = write!(line, "{space}{cell:>0$}", column_width(column) + 1);
    }
    let _ = write!(line, " {:>6}", row.requests);
    line
}

/// The first percentile has eight columns, as in Locust; the others have six.
const fn column_width(column: usize) -> usize {
    if column == 0 { 8 } else { 6 }
}

fn errors(ctx: &Context<'_>, name_width: usize) -> String {
    if ctx.summary.errors.is_empty() {
        return String::new();
    }
    let rule = rule(&[18, (80 + name_width) - 19]);
    let mut lines = Lines::default();
    lines.add("Error report");
    lines.add(format_args!("{:<18} {:<100}", "# occurrences", "Error"));
    lines.add(&rule);
    for (key, seen) in &ctx.summary.errors {
        let what = format!(
            "{} {}: {}",
            ctx.endpoint.method,
            ctx.endpoint.name,
            super::stats_csv::error_words(key)
        );
        lines.add(format_args!("{:<18} {what:<100}", seen.count));
    }
    lines.add(&rule);
    lines.end()
}

fn rule(widths: &[usize]) -> String {
    let dashes: Vec<_> = widths.iter().map(|&width| "-".repeat(width)).collect();
    dashes.join("|")
}

/// A table under construction: lines, and an empty one at the end.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{line}");
    }

    fn end(mut self) -> String {
        self.0.push('\n');
        self.0
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
