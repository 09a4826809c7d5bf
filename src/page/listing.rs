//! The values of a chart as a table, a row a place on its x axis, for who reads rather than looks. It rounds, as tables do.

use serde::Serialize;

use super::drawn::Drawable;
use super::{Axis, Point, Scale, Series, figures};

/// More rows than this are read by no one; the values are in the page all the same.
const ROWS_AT_MOST: usize = 300;
/// What stands where there is no value.
const NONE: &str = "–";

/// A table of a chart's values.
#[derive(Serialize)]
pub(super) struct Listing {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    note: String,
}

impl Listing {
    pub(super) fn new(x: &Axis, chart: &Drawable<'_>) -> Self {
        let places = places(&chart.series);
        let step = places.len().div_ceil(ROWS_AT_MOST).max(1);
        let rows = places.iter().step_by(step).map(|&(x_value, nth)| {
            let values = chart.series.iter().map(|series| {
                let points = points_at(series, x_value);
                points.get(nth).map_or_else(|| NONE.to_owned(), cell)
            });
            std::iter::once(x_cell(x, x_value)).chain(values).collect()
        });
        Self {
            columns: columns(x, chart),
            rows: rows.collect(),
            note: if step > 1 {
                format!(
                    "1 row of each {step} is shown; there are {}.",
                    figures::count(places.len())
                )
            } else {
                String::new()
            },
        }
    }
}

fn columns(x: &Axis, chart: &Drawable<'_>) -> Vec<String> {
    let first = match (x.name.is_empty(), &x.scale) {
        (true, Scale::Percentile) => "Percentile".to_owned(),
        (true, _) => "x".to_owned(),
        (false, _) => with_unit(&x.name, &x.unit),
    };
    let others = chart
        .series
        .iter()
        .map(|series| with_unit(&series.name, &chart.y[series.axis].unit));
    std::iter::once(first).chain(others).collect()
}

fn with_unit(name: &str, unit: &str) -> String {
    if unit.is_empty() {
        name.to_owned()
    } else {
        format!("{name} ({unit})")
    }
}

/// Where there are values, in order; a place that a series is at n times is there n times.
fn places(series: &[Series]) -> Vec<(f64, usize)> {
    let mut xs: Vec<f64> = series
        .iter()
        .flat_map(|series| series.points.iter().map(|point| point.x))
        .collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let mut places = Vec::new();
    for x in xs {
        let times = series.iter().map(|series| points_at(series, x).len()).max();
        places.extend((0..times.unwrap_or(0)).map(|nth| (x, nth)));
    }
    places
}

fn points_at(series: &Series, x: f64) -> &[Point] {
    let from = series.points.partition_point(|point| point.x < x);
    let to = series.points.partition_point(|point| point.x <= x);
    &series.points[from..to]
}

fn x_cell(axis: &Axis, x: f64) -> String {
    match &axis.scale {
        Scale::Linear | Scale::Log => figures::number(x),
        Scale::Percentile => figures::percentile(x),
        Scale::Names(names) => {
            let name = names
                .iter()
                .zip(0_u32..)
                .find(|(_, at)| (f64::from(*at) - x).abs() < 1e-9);
            name.map_or_else(|| figures::number(x), |(name, _)| name.clone())
        }
    }
}

fn cell(point: &Point) -> String {
    let value = point.y.map_or_else(|| NONE.to_owned(), figures::number);
    match point.spread {
        None => value,
        Some((from, to)) => {
            let (from, to) = (figures::number(from), figures::number(to));
            format!("{value} ({from} to {to})")
        }
    }
}
