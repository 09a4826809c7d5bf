//! The results of a batch benchmark as a page: its table, a chart, and how to make it again. It computes no figure.

use super::Table;
use crate::page::{self, Axis, Block, Chart, Kind, Page, Section, Series};

/// A value at its place on the x axis; none for a gap.
type Place = (f64, Option<f64>);

/// What is drawn of each row of a table.
#[derive(Clone, Copy, Debug)]
pub enum Quantity<'a> {
    /// The number in this column.
    Of(&'a str),
    /// The number in the first column for each of the second.
    Each(&'a str, &'a str),
    /// The first column's part of the second in percent, to the nearest 32nd: what is asked for in tokens is hardly ever a round part.
    Part(&'a str, &'a str),
}

/// A value with its name and unit.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// What is drawn.
    pub value: Quantity<'a>,
    /// What it is.
    pub name: &'a str,
    /// Its unit.
    pub unit: &'a str,
}

/// Which values of a table are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The title.
    pub title: &'a str,
    /// From left to right.
    pub x: Named<'a>,
    /// From below.
    pub y: Named<'a>,
    /// A line for each of these.
    pub by: Named<'a>,
}

impl Quantity<'_> {
    /// The value in a row; `None` where a cell that it needs is empty.
    fn read(self, table: &Table, row: &[String]) -> Option<f64> {
        let cell = |name: &str| -> Option<f64> {
            let at = table.names().iter().position(|it| *it == name)?;
            row.get(at)?.parse().ok()
        };
        match self {
            Self::Of(name) => cell(name),
            Self::Each(name, of) => Some(cell(name)? / cell(of)?),
            Self::Part(name, of) => Some((cell(name)? / cell(of)? * 32.0).round() / 32.0 * 100.0),
        }
    }
}

impl Named<'_> {
    fn axis(self) -> Axis {
        page::axis(self.name, self.unit)
    }
}

/// A page of these tables, each with its title, of which the first is drawn; `command` makes it again.
pub fn batch_page(
    title: &str,
    subtitle: &str,
    tables: &[(&str, &Table)],
    drawn: &[Drawn<'_>],
    command: &str,
) -> Page {
    let mut sections = Vec::new();
    if let Some((_, first)) = tables.first() {
        let charts = drawn.iter().filter_map(|drawn| chart(first, *drawn));
        sections.push(Section {
            heading: "Charts".to_owned(),
            blocks: charts.map(Block::Chart).collect(),
        });
    }
    sections.push(Section {
        heading: "Figures".to_owned(),
        blocks: tables
            .iter()
            .map(|(title, table)| whole(title, table))
            .collect(),
    });
    sections.push(Section {
        heading: "Again".to_owned(),
        blocks: vec![Block::Code {
            title: "The command".to_owned(),
            text: command.to_owned(),
        }],
    });
    Page {
        title: title.to_owned(),
        subtitle: subtitle.to_owned(),
        sections,
        made_by: format!("llmload {}", env!("CARGO_PKG_VERSION")),
        ..Page::default()
    }
}

fn whole(title: &str, table: &Table) -> Block {
    let columns: Vec<String> = table
        .names()
        .iter()
        .map(|name| format!("#{name}"))
        .collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    page::table(title, &columns, table.rows().to_vec())
}

/// `None` where no row has a value.
fn chart(table: &Table, drawn: Drawn<'_>) -> Option<Chart> {
    let mut lines: Vec<(f64, Vec<Place>)> = Vec::new();
    for row in table.rows() {
        let read = |named: Named<'_>| named.value.read(table, row);
        let (Some(by), Some(x)) = (read(drawn.by), read(drawn.x)) else {
            continue;
        };
        let point = (x, read(drawn.y));
        match lines
            .iter_mut()
            .find(|(known, _)| known.total_cmp(&by).is_eq())
        {
            Some((_, points)) => points.push(point),
            None => lines.push((by, vec![point])),
        }
    }
    let has_values = |(_, points): &(f64, Vec<Place>)| points.iter().any(|it| it.1.is_some());
    if !lines.iter().any(has_values) {
        return None;
    }
    lines.sort_by(|one, other| one.0.total_cmp(&other.0));
    Some(Chart {
        title: drawn.title.to_owned(),
        summary: summary(drawn, &lines),
        x: drawn.x.axis(),
        y: vec![drawn.y.axis()],
        series: lines
            .into_iter()
            .map(|(by, points)| series(drawn.by, by, points))
            .collect(),
        ..Chart::default()
    })
}

fn series(named: Named<'_>, by: f64, mut points: Vec<Place>) -> Series {
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    // A percentage of 32nds has up to three digits behind its point.
    let by = (by * 10.0).round() / 10.0;
    let name = format!("{} {by} {}", named.name, named.unit);
    page::series(name.trim_end(), Kind::Line, points)
}

/// What is drawn, and between which values it lies.
fn summary(drawn: Drawn<'_>, lines: &[(f64, Vec<Place>)]) -> String {
    let points = lines.iter().flat_map(|(_, points)| points);
    let values: Vec<f64> = points.filter_map(|point| point.1).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (x, y, by) = (drawn.x.name, drawn.y.name, drawn.by.name);
    let unit = drawn.y.unit;
    let each = if lines.len() == 1 {
        "one line"
    } else {
        "a line for each"
    };
    format!("{y} against {x}, {each} {by}: from {least:.6} to {most:.6} {unit}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn named<'a>(value: Quantity<'a>, name: &'a str, unit: &'a str) -> Named<'a> {
        Named { value, name, unit }
    }

    #[test]
    fn parts_of_different_lengths_are_one_line_and_times_are_for_each_prompt() {
        let mut table = Table::new(&["tokens", "cached", "prompts", "seconds"]);
        for row in [
            ["500", "62", "4", "0.4"],
            ["2000", "250", "2", "1"],
            ["2000", "1750", "1", ""],
        ] {
            table.add(row.map(str::to_owned).to_vec());
        }
        let drawn = Drawn {
            title: "Reading",
            x: named(Quantity::Of("tokens"), "length", "tokens"),
            y: named(
                Quantity::Each("seconds", "prompts"),
                "time of a prompt",
                "s",
            ),
            by: named(Quantity::Part("cached", "tokens"), "cached", "%"),
        };
        let chart = chart(&table, drawn).unwrap();
        let names: Vec<&str> = chart.series.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["cached 12.5 %", "cached 87.5 %"]);
        let times: Vec<_> = chart.series[0]
            .points
            .iter()
            .map(|it| (it.x, it.y))
            .collect();
        assert_eq!(times, [(500.0, Some(0.1)), (2000.0, Some(0.5))]);
        assert_eq!(
            chart.summary,
            "time of a prompt against length, a line for each cached: from 0.100000 to 0.500000 s."
        );
        let never = Drawn {
            y: named(Quantity::Of("nothing"), "n", ""),
            ..drawn
        };
        assert_eq!(super::chart(&table, never), None);
    }

    #[test]
    fn each_size_is_a_line_by_length_and_what_is_not_known_is_a_gap() {
        let mut table = Table::new(&["seq_len", "batch_size", "latency_per_forward"]);
        for row in [
            ["2000", "8", "0.5"],
            ["1000", "8", ""],
            ["1000", "1", "0.1"],
        ] {
            table.add(row.map(str::to_owned).to_vec());
        }
        let drawn = Drawn {
            title: "A forward pass",
            x: named(Quantity::Of("seq_len"), "sequence length", "tokens"),
            y: named(
                Quantity::Of("latency_per_forward"),
                "time of a forward pass",
                "s",
            ),
            by: named(Quantity::Of("batch_size"), "batch of", ""),
        };
        let page = batch_page("gen", "m", &[("All", &table)], &[drawn], "llmload gen");
        let Block::Chart(chart) = &page.sections[0].blocks[0] else {
            panic!("no chart");
        };
        let names: Vec<&str> = chart.series.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["batch of 1", "batch of 8"]);
        let points = |at: usize| -> Vec<(f64, Option<f64>)> {
            chart.series[at]
                .points
                .iter()
                .map(|it| (it.x, it.y))
                .collect()
        };
        assert_eq!(points(1), [(1000.0, None), (2000.0, Some(0.5))]);
        let Block::Table(figures) = &page.sections[1].blocks[0] else {
            panic!("no table");
        };
        assert_eq!(figures.rows.len(), 3);
    }
}
