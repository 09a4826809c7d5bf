//! A panel of points, readable with three of them and with many thousands: the more, the smaller and the paler each. What is
//! far outside stands at the edge as a triangle.

use std::collections::BTreeMap;

use plotters::element::{Circle, TriangleMarker};
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, RGBColor};

use super::scale::{Span, count};
use super::{
    Area, ChartError, Mark, Panel, axis, drawing, font, histogram, legend, marks, palette,
};

type Point = (f64, f64);

/// More points than this are gathered in cells, so that a picture does not grow with them.
const MANY: usize = 2_000;
/// Pixels of a cell's side.
const CELL: i32 = 3;
/// How dark one of many points is.
const PALE: f64 = 0.25;

/// Radius in pixels and darkness of each of `n` points.
fn look(n: usize) -> (i32, f64) {
    match n {
        0..=60 => (8, 0.8),
        61..=400 => (6, 0.6),
        401..=MANY => (4, 0.45),
        _ => (3, PALE),
    }
}

pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    panel: &Panel,
    points: &[Point],
    (x_marks, y_marks): (&[Mark], &[Mark]),
    extra: &str,
) -> Result<(), ChartError> {
    let (x, y) = (
        Span::of(points.iter().map(|point| point.0)),
        Span::of(points.iter().map(|point| point.1)),
    );
    let frame = axis::Frame {
        x: x.airy(),
        y: y.airy(),
        shown: x.airy().1,
        top: if x_marks.is_empty() { 16 } else { marks::ABOVE },
        right: if y_marks.is_empty() {
            24
        } else {
            marks::BESIDE
        },
        counts: false,
        whole_x: false,
        ink: font::INK,
    };
    let is_inside = |point: &&Point| point.0 <= frame.x.1 && point.1 <= frame.y.1;
    let (inside, outside): (Vec<&Point>, Vec<&Point>) = points.iter().partition(is_inside);
    let mut words = vec![histogram::number(points.len())];
    if !outside.is_empty() {
        words.push(format!("{} outside the axes (triangles)", outside.len()));
    }
    words.push(extra.to_owned());
    let area = histogram::note(area, &words)?;
    let chart = axis::chart(&area, panel, frame, &[])?;
    let inside: Vec<(i32, i32)> = inside
        .into_iter()
        .map(|point| marks::pixel(&area, &chart, *point))
        .collect();
    cloud(&area, &inside, palette::colour(0), 0)?;
    for point in outside {
        let at = (point.0.min(frame.x.1), point.1.min(frame.y.1));
        let at = marks::pixel(&area, &chart, at);
        area.draw(&TriangleMarker::new(at, 9, font::INK.filled()))
            .map_err(drawing)?;
    }
    marks::across(&area, &chart, x_marks, frame)?;
    marks::along(&area, &chart, y_marks, frame)
}

/// Draws points of a colour, as the `at`-th mark where there are not too many of them.
pub(super) fn cloud<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    points: &[(i32, i32)],
    colour: RGBColor,
    at: usize,
) -> Result<(), ChartError> {
    let (radius, darkness) = look(points.len());
    if points.len() <= MANY {
        for point in points {
            legend::mark(area, at, *point, (radius, colour.mix(darkness)))?;
        }
        return Ok(());
    }
    let mut cells: BTreeMap<(i32, i32), usize> = BTreeMap::new();
    for (x, y) in points {
        *cells
            .entry((x.div_euclid(CELL), y.div_euclid(CELL)))
            .or_default() += 1;
    }
    for ((x, y), n) in cells {
        let middle = (x * CELL + CELL / 2, y * CELL + CELL / 2);
        // As dark as that many pale points one over another.
        let darkness = 1.0 - (1.0 - PALE).powf(count(n));
        area.draw(&Circle::new(middle, radius, colour.mix(darkness).filled()))
            .map_err(drawing)?;
    }
    Ok(())
}
