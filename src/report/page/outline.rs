//! The parts of a page in short: texts, tables, axes, lines, and figures with as many digits as say something.
//! It knows no figure of a run.

use crate::page::{Axis, Block, Chart, Column, Kind, Point, Scale, Series, Table};
use crate::report::number;

/// Charts over the time of the run.
pub(crate) const TIME: &str = "time";

/// A figure with four digits that say something, and no fewer than its whole part has.
pub(crate) fn shown(value: f64) -> String {
    if value.abs() >= 1_000.0 {
        format!("{value:.0}")
    } else {
        number::plain(number::four_digits(value))
    }
}

/// A share of 1 as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// A count as a number to draw or divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^53"
)]
pub(crate) const fn quantity(count: u64) -> f64 {
    count as f64
}

pub(crate) fn text(text: impl Into<String>) -> Block {
    Block::Text { text: text.into() }
}

/// A table; columns whose names begin with `#` hold numbers.
pub(crate) fn table(title: &str, columns: &[&str], rows: Vec<Vec<String>>) -> Block {
    let column = |name: &&str| Column {
        name: name.trim_start_matches('#').to_owned(),
        is_number: name.starts_with('#'),
    };
    Block::Table(Table {
        title: title.to_owned(),
        columns: columns.iter().map(column).collect(),
        rows,
    })
}

pub(crate) fn axis(name: &str, unit: &str) -> Axis {
    Axis {
        name: name.to_owned(),
        unit: unit.to_owned(),
        ..Axis::default()
    }
}

pub(crate) fn log_axis(name: &str, unit: &str) -> Axis {
    Axis {
        scale: Scale::Log,
        ..axis(name, unit)
    }
}

/// A series on the first axis.
pub(crate) fn series(
    name: impl Into<String>,
    kind: Kind,
    points: impl IntoIterator<Item = (f64, Option<f64>)>,
) -> Series {
    let point = |(x, y): (f64, Option<f64>)| Point {
        x,
        y: y.filter(|y| y.is_finite()),
        spread: None,
    };
    Series {
        name: name.into(),
        kind,
        axis: 0,
        points: points.into_iter().map(point).collect(),
    }
}

/// The same on another axis.
pub(crate) fn on_axis(axis: usize, series: Series) -> Series {
    Series { axis, ..series }
}

/// A chart over the time of the run.
pub(crate) fn over_time(title: &str, summary: String, y: Vec<Axis>, series: Vec<Series>) -> Chart {
    Chart {
        title: title.to_owned(),
        summary,
        x: axis("time of the run", "s"),
        y,
        series,
        marks: Vec::new(),
        group: TIME.to_owned(),
    }
}
