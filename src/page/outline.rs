//! The parts of a page in short: texts, tables, axes, lines, and counts with their words. It knows no figure of any run.

use std::fmt::Display;

use super::{Axis, Block, Column, Kind, Point, Scale, Series, Table};

/// A count with what is counted, whose word is in the singular: `1 step`, `2 queries`.
pub(crate) fn counted(count: impl Display, one: &str) -> String {
    let count = count.to_string();
    if count == "1" {
        return format!("1 {one}");
    }
    match one.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        _ => format!("{count} {one}s"),
    }
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

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn what_is_counted_is_in_the_plural_but_where_it_is_one() {
        let counts = ["0", "1", "1.5", "21"].map(|count| counted(count, "step"));
        assert_eq!(counts, ["0 steps", "1 step", "1.5 steps", "21 steps"]);
        assert_eq!(counted(2, "query"), "2 queries");
        assert_eq!(counted(2, "day"), "2 days");
        assert_eq!(counted(1_u64, "query"), "1 query");
    }
}
