//! The charts of a comparison: the main figures as bars with the intervals of their means. How they are drawn is `chart`'s business.

use super::change::Comparison;
use super::document::{Block, Document};
use super::{Figure, Rate, Stat};
use crate::chart::{Body, ChartError, Estimate, Figure as Picture, Panel, svg};

/// More entries than this have no room for their names below a bar: they are numbered.
const NAMED: usize = 4;
/// Longer names than this are numbered too.
const SHORT: usize = 18;

/// Appends the chart.
///
/// # Errors
/// When it cannot be drawn.
pub(super) fn add(document: &mut Document, comparison: &Comparison<'_>) -> Result<(), ChartError> {
    let names: Vec<String> = comparison
        .entries
        .iter()
        .map(|entry| entry.name.clone())
        .collect();
    let is_named = names.len() <= NAMED && names.iter().all(|name| name.chars().count() <= SHORT);
    let numbers = || (1..=names.len()).map(|number| number.to_string()).collect();
    let places: Vec<String> = if is_named { names.clone() } else { numbers() };
    let figures = [
        Figure::Ttft,
        Figure::InterToken,
        Figure::EndToEnd,
        Figure::Throughput,
    ];
    let mut panels: Vec<Panel> = figures
        .into_iter()
        .filter_map(|figure| of_answers(comparison, figure, &places))
        .collect();
    panels.extend(
        Rate::ALL
            .into_iter()
            .filter_map(|rate| of_runs(comparison, rate, &places)),
    );
    if panels.is_empty() {
        return Ok(());
    }
    let key = (1..)
        .zip(&names)
        .map(|(number, name): (usize, &String)| format!("{number}  {name}"));
    let picture = Picture {
        title: "Main figures".to_owned(),
        panels,
        columns: 2,
        key: if is_named { Vec::new() } else { key.collect() },
    };
    let svg = svg(&picture)?;
    let percent = comparison.resampling.confidence * 100.0;
    document.heading(2, "Charts");
    document.paragraph(format!(
        "Bars are means; the lines on them are the {percent}% intervals of the means by the responses, where these are there."
    ));
    document.blocks.push(Block::Picture {
        name: "figures".to_owned(),
        alt: "bars of the mean of each main figure, one an entry, with intervals".to_owned(),
        svg,
    });
    Ok(())
}

fn of_answers(comparison: &Comparison<'_>, figure: Figure, places: &[String]) -> Option<Panel> {
    let value = |(side, entry): (usize, &super::Entry)| {
        let interval = comparison.interval(side, figure, Stat::Mean);
        Some(Estimate {
            value: entry.stat(figure, Stat::Mean)?,
            interval: interval.map(|it| (it.low, it.high)),
        })
    };
    let values = comparison.entries.iter().enumerate().map(value).collect();
    panel(figure.name(), figure.unit(), places, values)
}

fn of_runs(comparison: &Comparison<'_>, rate: Rate, places: &[String]) -> Option<Panel> {
    let value = |entry: &super::Entry| {
        Some(Estimate {
            value: entry.rate(rate)?,
            interval: None,
        })
    };
    panel(
        rate.name(),
        rate.unit(),
        places,
        comparison.entries.iter().map(value).collect(),
    )
}

fn panel(
    name: &str,
    unit: &str,
    places: &[String],
    values: Vec<Option<Estimate>>,
) -> Option<Panel> {
    let is_known = values.iter().any(Option::is_some);
    is_known.then(|| Panel {
        title: name.to_owned(),
        x: String::new(),
        y: format!("{} ({unit})", name.to_lowercase()),
        body: Body::Whiskers {
            places: places.to_vec(),
            values,
        },
    })
}
