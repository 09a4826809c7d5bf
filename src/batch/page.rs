//! The results of a batch benchmark as a page: its table, a chart, and how to make it again. It computes no figure.

use std::collections::BTreeMap;

use super::Table;
use crate::page::{self, Axis, Block, Chart, Column, Page, Point, Section, Series};

/// Which columns of a table are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The title.
    pub title: &'a str,
    /// The column of the x axis, and what it is.
    pub x: (&'a str, &'a str),
    /// The column of the y axis, what it is, and its unit.
    pub y: (&'a str, &'a str, &'a str),
    /// A line for each value of this column, and what it is.
    pub by: (&'a str, &'a str),
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
            .map(|(title, table)| Block::Table(whole(title, table)))
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

fn whole(title: &str, table: &Table) -> page::Table {
    let column = |name: &&str| Column {
        name: (*name).to_owned(),
        is_number: true,
    };
    page::Table {
        title: title.to_owned(),
        columns: table.names().iter().map(column).collect(),
        rows: table.rows().to_vec(),
    }
}

fn chart(table: &Table, drawn: Drawn<'_>) -> Option<Chart> {
    let at = |name: &str| table.names().iter().position(|it| *it == name);
    let (x, y, by) = (at(drawn.x.0)?, at(drawn.y.0)?, at(drawn.by.0)?);
    let mut lines: BTreeMap<u64, Vec<Point>> = BTreeMap::new();
    for row in table.rows() {
        let cell = |at: usize| row.get(at)?.parse::<f64>().ok();
        let group = row.get(by).and_then(|cell| cell.parse().ok());
        let (Some(group), Some(x)) = (group, cell(x)) else {
            continue;
        };
        lines.entry(group).or_default().push(Point {
            x,
            y: cell(y),
            spread: None,
        });
    }
    let series: Vec<Series> = lines
        .into_iter()
        .map(|(group, mut points)| {
            points.sort_by(|one, other| one.x.total_cmp(&other.x));
            Series {
                name: format!("{} {group}", drawn.by.1),
                points,
                ..Series::default()
            }
        })
        .collect();
    let (name, unit) = (drawn.y.1, drawn.y.2);
    Some(Chart {
        title: drawn.title.to_owned(),
        summary: format!(
            "{name} against {}, a line for each {}: {} lines.",
            drawn.x.1,
            drawn.by.1,
            series.len()
        ),
        x: Axis {
            name: drawn.x.1.to_owned(),
            unit: "tokens".to_owned(),
            ..Axis::default()
        },
        y: vec![Axis {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ..Axis::default()
        }],
        series,
        ..Chart::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            x: ("seq_len", "sequence length"),
            y: ("latency_per_forward", "time of a forward pass", "s"),
            by: ("batch_size", "batch"),
        };
        let page = batch_page("gen", "m", &[("All", &table)], &[drawn], "llmload gen");
        let Block::Chart(chart) = &page.sections[0].blocks[0] else {
            panic!("no chart");
        };
        let names: Vec<&str> = chart.series.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["batch 1", "batch 8"]);
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
