//! The runs of a suite side by side: a Markdown document for people, CSV files for programs.
//! It computes no figure and opens no file.

use std::fmt::Write as _;

use super::knee::{knee, pareto};
use super::{Figures, Load, Row, Spread};

/// The shown quantiles of a latency.
const TAILS: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// The whole comparison as Markdown; `pictures` are the names of files to show.
pub fn comparison_markdown(title: &str, rows: &[Row], pictures: &[String]) -> String {
    let mut text = format!("# {title}\n\n");
    text.push_str(&table(&heading(), &cells(rows)));
    text.push_str("\nTimes are in milliseconds, rates per second. *QPS achieved* is what was answered as fast as it was sent: ");
    text.push_str(
        "where latencies rise while a run goes on, the rest of what was sent was only queued.\n",
    );
    for note in notes(rows) {
        let _ = write!(text, "\n- {note}");
    }
    if !notes(rows).is_empty() {
        text.push('\n');
    }
    for picture in pictures {
        let _ = write!(text, "\n![{picture}]({picture})\n");
    }
    text.push_str("\n## The runs\n\n");
    for (number, row) in (1..).zip(rows) {
        let _ = writeln!(text, "{number}. `{}` (`runs/{}.json`)", row.command, row.id);
        if let Some(failure) = &row.failure {
            let _ = writeln!(text, "   {failure}");
        }
        for cause in row.figures.iter().flat_map(|figures| &figures.causes) {
            let _ = writeln!(text, "   {}", cause.words);
        }
    }
    text
}

/// Everything of the table as CSV.
///
/// # Errors
/// A row that cannot be written.
pub fn comparison_csv(rows: &[Row]) -> Result<String, csv::Error> {
    let mut columns = vec!["run".to_owned(), "id".to_owned()];
    columns.extend(heading().into_iter().skip(1));
    let cells = cells(rows);
    let lines = rows.iter().zip(cells).map(|(row, cells)| {
        let mut fields = vec![cells.first().cloned().unwrap_or_default(), row.id.clone()];
        fields.extend(cells.into_iter().skip(1));
        fields
    });
    csv_text(&columns, lines)
}

/// The table of Fireworks' benchmark suite, `comparative_summary.csv`: response times in milliseconds.
///
/// # Errors
/// A row that cannot be written.
pub fn upstream_csv(rows: &[Row]) -> Result<String, csv::Error> {
    let columns = [
        "Model",
        "Provider",
        "Average QPS",
        "Average Response Time",
        "99th Percentile Latency",
        "Average Tokens per Request",
    ]
    .map(str::to_owned);
    let lines = rows
        .iter()
        .filter_map(|row| row.figures.as_ref())
        .map(|figures| {
            let latency = figures.latency.as_ref();
            vec![
                figures.model.clone(),
                figures.provider.clone(),
                number(figures.requests_per_s),
                number(latency.map(|latency| latency.mean)),
                number(latency.and_then(|latency| latency.quantile(0.99))),
                number(figures.tokens_per_request),
            ]
        });
    csv_text(&columns, lines)
}

fn csv_text(
    columns: &[String],
    lines: impl Iterator<Item = Vec<String>>,
) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    for line in lines {
        writer.write_record(line)?;
    }
    let bytes = writer.into_inner().unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn heading() -> Vec<String> {
    let fixed =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let mut columns = fixed(&["#", "settings", "QPS asked", "QPS achieved", "TTFT mean"]);
    columns.extend(TAILS.map(|(name, _)| format!("TTFT {name}")));
    columns.push("TPOT mean".to_owned());
    columns.extend(TAILS.map(|(name, _)| format!("latency {name}")));
    columns.extend(fixed(&[
        "tokens/s", "goodput", "requests", "failures", "verdict",
    ]));
    columns
}

pub(super) fn cells(rows: &[Row]) -> Vec<Vec<String>> {
    (1..).zip(rows).map(|(at, row)| line(at, row)).collect()
}

fn line(at: usize, row: &Row) -> Vec<String> {
    let label = if row.label.is_empty() {
        "as given".to_owned()
    } else {
        row.label.clone()
    };
    let mut cells = vec![at.to_string(), label];
    let nothing = Figures::default();
    let figures = row.figures.as_ref().unwrap_or(&nothing);
    let mean = |spread: &Option<Spread>| number(spread.as_ref().map(|spread| spread.mean));
    let tails = |spread: &Option<Spread>| {
        TAILS.map(|(_, q)| number(spread.as_ref().and_then(|spread| spread.quantile(q))))
    };
    cells.push(number(figures.asked_per_s));
    cells.push(number(figures.achieved_per_s()));
    cells.push(mean(&figures.ttft));
    cells.extend(tails(&figures.ttft));
    cells.push(mean(&figures.tpot));
    cells.extend(tails(&figures.latency));
    cells.push(number(figures.output_tokens_per_s));
    cells.push(number(figures.goodput_per_s));
    cells.push(figures.requests.to_string());
    cells.push(figures.failures.to_string());
    cells.push(row.verdict());
    cells
}

/// Four digits: a run does not know more.
pub(super) fn number(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return String::new();
    };
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    format!("{rounded}")
}

/// A pipe table. A pipe in a cell is escaped; numbers stand to the right.
pub(super) fn table(columns: &[String], rows: &[Vec<String>]) -> String {
    let escaped = |cell: &String| cell.replace('|', "\\|");
    let line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(escaped).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let is_number = |at: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(at));
        cells.all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok())
    };
    let rules: Vec<String> = (0..columns.len())
        .map(|at| if is_number(at) { "--:" } else { "---" }.to_owned())
        .collect();
    let mut text = line(columns);
    text.push_str(&line(&rules));
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

/// What a reader would look for in the table: the knee of each curve, and the runs that no other beats.
pub(super) fn notes(rows: &[Row]) -> Vec<String> {
    let load = Load::of(rows);
    let mut notes = Vec::new();
    for (group, members) in groups(rows) {
        let points: Vec<(f64, f64)> = members.iter().map(|member| member.point).collect();
        let Some(member) = knee(&points).and_then(|at| members.get(at)) else {
            continue;
        };
        let of = if group.is_empty() {
            String::new()
        } else {
            format!(" of {group}")
        };
        notes.push(format!(
            "The throughput-latency curve{of} bends at run {} ({} {}): beyond it latency grows faster than throughput.",
            member.number,
            number(Some(member.load)),
            match load {
                Load::Qps => "requests/s",
                Load::Users => "users",
            },
        ));
    }
    let all: Vec<Member> = groups(rows)
        .into_iter()
        .flat_map(|(_, members)| members)
        .collect();
    let points: Vec<(f64, f64)> = all.iter().map(|member| member.point).collect();
    let best: Vec<String> = all
        .iter()
        .zip(pareto(&points))
        .filter(|(_, is_best)| *is_best)
        .map(|(member, _)| member.number.to_string())
        .collect();
    if all.len() > 1 {
        notes.push(format!(
            "No other run has both more requests/s and a lower p95 latency than: {}.",
            best.join(", ")
        ));
    }
    notes
}

/// A run on a throughput-latency curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member {
    /// Its number in the table.
    pub(super) number: usize,
    pub(super) load: f64,
    /// Achieved requests per second, p95 latency in milliseconds.
    pub(super) point: (f64, f64),
    /// Where it stands in the rows.
    pub(super) at: usize,
}

/// The curves: runs that differ in load alone, in order of load.
pub(super) fn groups(rows: &[Row]) -> Vec<(String, Vec<Member>)> {
    let load = Load::of(rows);
    let mut groups: Vec<(String, Vec<Member>)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(member) = member(at, row, load) else {
            continue;
        };
        match groups.iter_mut().find(|(group, _)| *group == row.group) {
            Some((_, members)) => members.push(member),
            None => groups.push((row.group.clone(), vec![member])),
        }
    }
    for (_, members) in &mut groups {
        members.sort_by(|one, other| one.load.total_cmp(&other.load));
    }
    groups
}

fn member(at: usize, row: &Row, load: Load) -> Option<Member> {
    let figures = row.figures.as_ref()?;
    let latency = figures.latency.as_ref()?;
    Some(Member {
        number: at + 1,
        load: load.value(figures)?,
        point: (figures.achieved_per_s()?, latency.quantile(0.95)?),
        at,
    })
}

#[cfg(test)]
#[path = "comparison_tests.rs"]
pub(super) mod tests;
