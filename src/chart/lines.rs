//! A panel of lines through points, each with its colour and its own mark, and of the limits that they are held against.

use plotters::element::{
    Circle, Cross, DynElement, IntoDynElement, PathElement, Text, TriangleMarker,
};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor};

use super::{Area, ChartError, Dot, Line, Panel, axis, drawing, font, palette};

const MARK: i32 = 7;

pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    panel: &Panel,
    lines: &[Line],
    places: &[String],
    limits: &[(f64, String)],
) -> Result<(), ChartError> {
    let dots = || lines.iter().flat_map(|line| &line.points);
    let heights = dots().map(|dot| dot.y);
    let top = axis::reach(heights.chain(limits.iter().map(|limit| limit.0)));
    let x = if places.is_empty() {
        (0.0, axis::reach(dots().map(|dot| dot.x)))
    } else {
        let last = u32::try_from(places.len()).map_or(0.0, f64::from);
        (-0.4, last - 0.6)
    };
    let mut chart = axis::chart(area, panel, axis::Frame::plain(x, top), places)?;
    for (value, words) in limits {
        limit(&mut chart, x, *value, words)?;
    }
    for (at, line) in lines.iter().enumerate() {
        one_line(&mut chart, at, line)?;
    }
    labels(&mut chart, lines, (x.1, top))
}

fn limit<DB: DrawingBackend>(
    chart: &mut axis::Chart<'_, DB>,
    x: (f64, f64),
    value: f64,
    words: &str,
) -> Result<(), ChartError> {
    const DASHES: u32 = 60;
    let step = (x.1 - x.0) / f64::from(DASHES);
    let dash = |at: u32| {
        let from = x.0 + step * f64::from(at);
        let ends = [(from, value), (from + step * 0.6, value)];
        PathElement::new(ends, palette::LIMIT.stroke_width(3))
    };
    chart.draw_series((0..DASHES).map(dash)).map_err(drawing)?;
    let style = font::text(20)
        .color(&palette::LIMIT)
        .pos(Pos::new(HPos::Left, VPos::Bottom));
    let text = Text::new(words.to_owned(), (x.0 + step * 0.6, value), style);
    chart
        .draw_series(std::iter::once(text))
        .map(|_| ())
        .map_err(drawing)
}

fn one_line<DB: DrawingBackend>(
    chart: &mut axis::Chart<'_, DB>,
    at: usize,
    line: &Line,
) -> Result<(), ChartError> {
    let colour = palette::colour(at);
    let place = |dot: &Dot| (dot.x, dot.y);
    let path: Vec<(f64, f64)> = line.points.iter().map(place).collect();
    let path = PathElement::new(path, colour.stroke_width(3));
    chart.draw_series(std::iter::once(path)).map_err(drawing)?;
    let marks = line
        .points
        .iter()
        .map(|dot| mark::<DB>(at, place(dot), colour));
    chart.draw_series(marks).map_err(drawing)?;
    let rings = line.points.iter().filter(|dot| dot.is_marked);
    chart
        .draw_series(rings.map(|dot| Circle::new(place(dot), 15, font::INK.stroke_width(3))))
        .map(|_| ())
        .map_err(drawing)
}

/// Colours alone do not tell lines apart in print.
fn mark<DB: DrawingBackend>(
    at: usize,
    place: (f64, f64),
    colour: RGBColor,
) -> DynElement<'static, DB, (f64, f64)> {
    match at % 4 {
        0 => Circle::new(place, MARK, colour.filled()).into_dyn(),
        1 => TriangleMarker::new(place, MARK + 2, colour.filled()).into_dyn(),
        2 => Cross::new(place, MARK, colour.stroke_width(3)).into_dyn(),
        _ => Circle::new(place, MARK, colour.stroke_width(3)).into_dyn(),
    }
}

/// Words above points: to the right, or to the left where the panel ends.
fn labels<DB: DrawingBackend>(
    chart: &mut axis::Chart<'_, DB>,
    lines: &[Line],
    (right, top): (f64, f64),
) -> Result<(), ChartError> {
    let dots = lines.iter().flat_map(|line| &line.points);
    let word = |dot: &Dot| {
        let (side, shift) = if dot.x > right * 0.75 {
            (HPos::Right, -right * 0.012)
        } else {
            (HPos::Left, right * 0.012)
        };
        let style = font::text(20).pos(Pos::new(side, VPos::Bottom));
        Text::new(
            dot.label.clone(),
            (dot.x + shift, dot.y + top * 0.012),
            style,
        )
    };
    let named = dots.filter(|dot| !dot.label.is_empty());
    chart
        .draw_series(named.map(word))
        .map(|_| ())
        .map_err(drawing)
}
