//! A suite of runs as a page: the comparison and its charts, which can be hovered and zoomed. It computes no figure.

use super::comparison::{cells, heading, notes, number};
use super::pictures::{PERCENTILE, load_figure, overview_figure};
use super::{Figures, Row};
use crate::chart::{self, Body, Panel};
use crate::page::{
    self, At, Axis, Block, Chart, Column, Fact, Kind, Level, Mark, Notice, Page, Scale, Section,
    Series, Table, axis, series,
};

/// The page of these runs; `found` is what a search came to, in words.
pub fn comparison_page(title: &str, rows: &[Row], found: Option<&str>, made_by: &str) -> Page {
    let mut sections = vec![comparison(rows, found)];
    let figures = [
        ("Load", load_figure("", rows)),
        ("Runs side by side", overview_figure("", rows)),
    ];
    for (heading, figure) in figures {
        let panels = figure.iter().flat_map(|figure| &figure.panels);
        let blocks: Vec<Block> = panels
            .filter_map(|panel| Some(Block::Chart(chart_of(panel)?)))
            .collect();
        if !blocks.is_empty() {
            sections.push(Section {
                heading: heading.to_owned(),
                blocks,
            });
        }
    }
    sections.push(commands(rows));
    Page {
        title: title.to_owned(),
        subtitle: page::counted(rows.len(), "run"),
        notices: notices(rows),
        facts: facts(rows),
        sections,
        made_by: made_by.to_owned(),
    }
}

fn notices(rows: &[Row]) -> Vec<Notice> {
    let told = |at: usize, row: &Row| {
        let causes: Vec<&str> = row
            .figures
            .iter()
            .flat_map(|figures| &figures.causes)
            .map(|cause| cause.words.as_str())
            .collect();
        let interrupted = row.is_interrupted.then(|| "it was interrupted".to_owned());
        let doubted =
            (!causes.is_empty()).then(|| format!("{}: {}", row.verdict(), causes.join("; ")));
        Some(Notice {
            level: if can_be_used(row) {
                Level::Warning
            } else {
                Level::Bad
            },
            word: format!("Run {at}"),
            text: row.failure.clone().or(interrupted).or(doubted)?,
        })
    };
    (1..)
        .zip(rows)
        .filter_map(|(at, row)| told(at, row))
        .collect()
}

/// Whether a run's figures are those of the load that was asked for, and of the server.
fn can_be_used(row: &Row) -> bool {
    let causes = || row.figures.iter().flat_map(|figures| &figures.causes);
    row.is_whole() && row.failure.is_none() && !causes().any(|cause| cause.is_invalid)
}

fn facts(rows: &[Row]) -> Vec<Fact> {
    let best = |name: &str, unit: &str, of: &dyn Fn(&Figures) -> Option<f64>, is_less: bool| {
        let values = (1..)
            .zip(rows)
            .filter(|(_, row)| can_be_used(row))
            .filter_map(|(at, row): (usize, &Row)| Some((of(row.figures.as_ref()?)?, at)));
        let best = values.reduce(|one, other| {
            if (other.0 < one.0) == is_less && other.0.total_cmp(&one.0).is_ne() {
                other
            } else {
                one
            }
        });
        best.map(|(value, at)| Fact {
            name: name.to_owned(),
            value: number(Some(value)),
            unit: unit.to_owned(),
            note: format!("run {at}"),
        })
    };
    let p95 = |spread: &Option<super::Spread>| spread.as_ref()?.quantile(0.95);
    [
        best(
            "most output",
            "tokens/s",
            &|it| it.output_tokens_per_s,
            false,
        ),
        best(
            "most answered",
            "requests/s",
            &Figures::achieved_per_s,
            false,
        ),
        best("lowest TTFT p95", "ms", &|it| p95(&it.ttft), true),
        best("lowest latency p95", "ms", &|it| p95(&it.latency), true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn comparison(rows: &[Row], found: Option<&str>) -> Section {
    let column = |(at, name): (usize, String)| Column {
        name,
        // The last is the verdict.
        is_number: at != 1 && at != heading().len() - 1,
    };
    let mut blocks = Vec::new();
    if let Some(found) = found {
        blocks.push(Block::Code {
            title: "The search".to_owned(),
            text: found.to_owned(),
        });
    }
    blocks.push(Block::Table(Table {
        title: "The runs, times in ms, rates per second".to_owned(),
        columns: heading().into_iter().enumerate().map(column).collect(),
        rows: cells(rows),
    }));
    blocks.extend(notes(rows).into_iter().map(|text| Block::Text { text }));
    Section {
        heading: "Comparison".to_owned(),
        blocks,
    }
}

fn commands(rows: &[Row]) -> Section {
    let command = |(at, row): (usize, &Row)| {
        let causes = row.figures.iter().flat_map(|figures| &figures.causes);
        let causes: Vec<&str> = causes.map(|cause| cause.words.as_str()).collect();
        let words = if causes.is_empty() {
            String::new()
        } else {
            format!(": {}", causes.join("; "))
        };
        Block::Code {
            title: format!("Run {at}, {}{words}", row.verdict()),
            text: row.command.clone(),
        }
    };
    Section {
        heading: "Each run again".to_owned(),
        blocks: (1..).zip(rows).map(command).collect(),
    }
}

/// What a panel of bars or lines shows, as a chart of a page; `None` of the others, which no suite has.
fn chart_of(panel: &Panel) -> Option<Chart> {
    let (scale, drawn, marks) = match &panel.body {
        Body::Bars { places, groups } => (
            Scale::Names(places.clone()),
            groups.iter().map(bars).collect::<Vec<_>>(),
            Vec::new(),
        ),
        Body::Lines {
            lines,
            places,
            limits,
        } => {
            let (scale, shares) = scale_of(&panel.x, places);
            let drawn: Vec<_> = lines.iter().map(|it| line(it, &shares)).collect();
            let labels = lines.iter().flat_map(|line| &line.points).filter_map(label);
            (
                scale,
                drawn,
                limits.iter().map(limit).chain(labels).collect(),
            )
        }
        _ => return None,
    };
    let (name, unit) = split(&panel.y);
    let (x_name, x_unit) = match scale {
        // Its labels say what it is.
        Scale::Percentile => ("percentile".to_owned(), String::new()),
        _ => split(&panel.x),
    };
    Some(Chart {
        title: panel.title.clone(),
        summary: summary(&drawn, &unit),
        x: Axis {
            scale,
            ..axis(&x_name, &x_unit)
        },
        y: vec![axis(&name, &unit)],
        series: drawn,
        marks,
        group: String::new(),
    })
}

fn bars((name, values): &(String, Vec<Option<f64>>)) -> Series {
    let points = (0_u32..).zip(values).map(|(at, y)| (f64::from(at), *y));
    series(name, Kind::Bars, points)
}

/// How the axis is divided, and of percentiles the shares that its places stand for.
fn scale_of(axis: &str, places: &[String]) -> (Scale, Vec<f64>) {
    let shares = places
        .iter()
        .map(|place| Some(place.parse::<f64>().ok()? / 100.0));
    let shares: Option<Vec<f64>> = shares.filter(|_| axis == PERCENTILE).collect();
    match shares {
        Some(shares) if !shares.is_empty() => (Scale::Percentile, shares),
        _ if places.is_empty() => (Scale::Linear, Vec::new()),
        _ => (Scale::Names(places.to_vec()), Vec::new()),
    }
}

fn line(line: &chart::Line, shares: &[f64]) -> Series {
    let at = |dot: &chart::Dot| {
        let share = (0_u32..).zip(shares);
        let share = share.filter(|(place, _)| f64::from(*place) <= dot.x);
        share.last().map_or(dot.x, |(_, share)| *share)
    };
    let name = if line.name.is_empty() {
        "runs"
    } else {
        &line.name
    };
    let points = line.points.iter().map(|dot| (at(dot), Some(dot.y)));
    series(name, Kind::Line, points)
}

/// What stands beside a dot.
fn label(dot: &chart::Dot) -> Option<Mark> {
    let at = [dot.x, dot.y];
    (!dot.label.is_empty() || dot.is_marked).then(|| Mark {
        name: dot.label.clone(),
        at: if dot.is_marked {
            At::Ring(at)
        } else {
            At::Point(at)
        },
    })
}

fn limit((value, words): &(f64, String)) -> Mark {
    Mark {
        name: words.clone(),
        at: At::Y(*value),
    }
}

/// `time (ms)` as its name and its unit.
fn split(axis: &str) -> (String, String) {
    let parts = axis
        .rsplit_once(" (")
        .and_then(|(name, unit)| Some((name, unit.strip_suffix(')')?)));
    parts.map_or_else(
        || (axis.to_owned(), String::new()),
        |(name, unit)| (name.to_owned(), unit.to_owned()),
    )
}

/// The ends of each series.
fn summary(series: &[Series], unit: &str) -> String {
    let ends = |series: &Series| {
        let values = || series.points.iter().filter_map(|point| point.y);
        let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
        let (low, high) = (number(Some(low)), number(Some(high)));
        Some(format!("{} from {low} to {high} {unit}", series.name))
    };
    let all: Vec<String> = series.iter().filter_map(ends).collect();
    if all.is_empty() {
        "No values.".to_owned()
    } else {
        format!("{}.", all.join("; ").trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::figures::tests::sample;

    fn row(users: u32, p95_ms: f64) -> Row {
        Row {
            id: users.to_string(),
            label: format!("users={users}"),
            command: format!("llmload run -u {users}"),
            figures: Some(sample(users, None, p95_ms)),
            ..Row::default()
        }
    }

    #[test]
    fn a_page_has_the_table_the_charts_and_the_commands() {
        let failed = Row {
            label: "users=9".to_owned(),
            status: 1,
            failure: Some("the server was away".to_owned()),
            ..Row::default()
        };
        let rows = [row(1, 100.0), row(2, 150.0), row(4, 300.0), failed];
        let page = comparison_page("Sweep", &rows, None, "llmload");
        let headings: Vec<&str> = page.sections.iter().map(|it| it.heading.as_str()).collect();
        let expected = ["Comparison", "Load", "Runs side by side", "Each run again"];
        assert_eq!(headings, expected);
        assert_eq!(page.notices.len(), 1);
        assert_eq!(page.notices[0].word, "Run 4");
        let charts = |section: &Section| -> Vec<String> {
            let titles = section.blocks.iter().filter_map(|block| match block {
                Block::Chart(chart) => Some(chart.title.clone()),
                _ => None,
            });
            titles.collect()
        };
        assert_eq!(charts(&page.sections[1]).len(), 4);
        assert_eq!(charts(&page.sections[2]).len(), 4);
        let Block::Table(table) = &page.sections[0].blocks[0] else {
            panic!("no table");
        };
        assert_eq!(table.rows, cells(&rows));
        let lowest = page
            .facts
            .iter()
            .find(|fact| fact.name == "lowest latency p95");
        assert_eq!(lowest.map(|fact| fact.note.as_str()), Some("run 1"));
        let most = page.facts.iter().find(|fact| fact.name == "most output");
        assert!(most.is_some());
    }

    #[test]
    fn runs_without_figures_have_a_page_too() {
        let page = comparison_page("Sweep", &[Row::default()], Some("nothing found"), "llmload");
        assert!(page.facts.is_empty());
        assert_eq!(page.sections.len(), 2);
        let code = &page.sections[0].blocks[0];
        assert!(matches!(code, Block::Code { text, .. } if text == "nothing found"));
    }

    #[test]
    fn an_axis_is_its_name_and_its_unit() {
        assert_eq!(split("time (ms)"), ("time".to_owned(), "ms".to_owned()));
        assert_eq!(split("run"), ("run".to_owned(), String::new()));
    }
}
