//! A chart as the page's script reads it: values that are none are gaps, points in order, long series thinned, and all of
//! it as JSON that may stand in a script element. It draws nothing.

use serde::Serialize;

use super::thin::thinned;
use super::{Axis, Chart, Kind, Mark, Point, Scale, Series, figures};

/// More points than this make a page heavy and a line no finer.
const POINTS_AT_MOST: usize = 20_000;

/// A chart whose values can be drawn.
pub(super) struct Drawable<'a> {
    chart: &'a Chart,
    /// From below: at least one.
    pub(super) y: Vec<Axis>,
    /// Points by x, all of them finite.
    pub(super) series: Vec<Series>,
    /// What was left out, in sentences.
    pub(super) notes: Vec<String>,
}

#[derive(Serialize)]
struct Drawn<'a> {
    title: &'a str,
    x: &'a Axis,
    y: &'a [Axis],
    series: Vec<Line<'a>>,
    marks: &'a [Mark],
    group: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    kind: Kind,
    axis: usize,
    points: Vec<Place>,
}

/// `[x, y]`, or `[x, y, from, to]`.
#[derive(Serialize)]
#[serde(untagged)]
enum Place {
    Plain([Option<f64>; 2]),
    Spread([Option<f64>; 4]),
}

impl<'a> Drawable<'a> {
    pub(super) fn new(chart: &'a Chart) -> Self {
        let mut y = chart.y.clone();
        if y.is_empty() {
            y.push(Axis::default());
        }
        let mut notes = Vec::new();
        let series = chart
            .series
            .iter()
            .map(|series| cleaned(series, y.len(), &mut notes))
            .collect();
        Self {
            chart,
            y,
            series,
            notes,
        }
    }

    /// There is nothing to draw.
    pub(super) fn is_empty(&self) -> bool {
        let mut points = self.series.iter().flat_map(|series| &series.points);
        points.all(|point| point.y.is_none())
    }

    /// As JSON without a character that could end the element around it.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        let is_exact = self.chart.x.scale == Scale::Percentile;
        let series = self.series.iter().map(|series| Line {
            name: &series.name,
            kind: series.kind,
            axis: series.axis,
            points: series
                .points
                .iter()
                .map(|point| place(point, is_exact))
                .collect(),
        });
        let drawn = Drawn {
            title: &self.chart.title,
            x: &self.chart.x,
            y: &self.y,
            series: series.collect(),
            marks: &self.chart.marks,
            group: &self.chart.group,
        };
        Ok(shielded(&serde_json::to_string(&drawn)?))
    }
}

fn cleaned(series: &Series, axes: usize, notes: &mut Vec<String>) -> Series {
    let mut points: Vec<Point> = series
        .points
        .iter()
        .filter(|point| point.x.is_finite())
        .map(finite)
        .collect();
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    let before = points.len();
    let points = thinned(points, POINTS_AT_MOST);
    if points.len() < before {
        notes.push(format!(
            "Of the {} points of {}, {} are drawn: those that keep its highs, lows and gaps.",
            figures::count(before),
            series.name,
            figures::count(points.len()),
        ));
    }
    Series {
        name: series.name.clone(),
        kind: series.kind,
        axis: series.axis.min(axes - 1),
        points,
    }
}

fn finite(point: &Point) -> Point {
    let spread = point
        .spread
        .filter(|(from, to)| from.is_finite() && to.is_finite());
    Point {
        x: point.x,
        y: point.y.filter(|y| y.is_finite()),
        spread: spread.map(|(from, to)| (from.min(to), from.max(to))),
    }
}

fn place(point: &Point, is_exact: bool) -> Place {
    let x = Some(if is_exact { point.x } else { rounded(point.x) });
    let y = point.y.map(rounded);
    match point.spread {
        None => Place::Plain([x, y]),
        Some((from, to)) => Place::Spread([x, y, Some(rounded(from)), Some(rounded(to))]),
    }
}

/// Nine significant digits: more than any chart or tooltip shows, in half the space.
fn rounded(value: f64) -> f64 {
    format!("{value:.8e}").parse().unwrap_or(value)
}

/// These characters stand in the strings of JSON alone, where an escape means the same.
fn shielded(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            other => safe.push(other),
        }
    }
    safe
}
