//! A panel of single bars with the intervals of their values: one a place, an upright line from end to end with feet.

use plotters::element::{PathElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, ChartError, Estimate, Panel, axis, drawing, font, palette};

/// Half the width of a bar, of a foot.
const BAR: f64 = 0.3;
const FOOT: f64 = 0.07;
/// More bars than this have no room for their values.
const LABELLED: usize = 10;

pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    panel: &Panel,
    places: &[String],
    values: &[Option<Estimate>],
) -> Result<(), ChartError> {
    let count = |n: usize| u32::try_from(n).map_or(0.0, f64::from);
    let known: Vec<(usize, f64, Estimate)> = values
        .iter()
        .enumerate()
        .filter_map(|(place, value)| Some((place, count(place), (*value)?)))
        .collect();
    let top = axis::reach(known.iter().map(|(_, _, it)| it.top()));
    let ends = (-0.5, count(places.len().max(1)) - 0.5);
    let mut chart = axis::chart(area, panel, axis::Frame::plain(ends, top), places)?;
    let bar = |(_, x, it): &(usize, f64, Estimate)| {
        let corners = [(x - BAR, 0.0), (x + BAR, it.value)];
        Rectangle::new(corners, palette::colour(0).mix(0.55).filled())
    };
    chart.draw_series(known.iter().map(bar)).map_err(drawing)?;
    let lines = known.iter().flat_map(|(_, x, it)| whisker(*x, *it));
    let lines = lines.map(|points| PathElement::new(points, font::INK.stroke_width(3)));
    chart.draw_series(lines).map_err(drawing)?;
    let style = font::text(19).pos(Pos::new(HPos::Center, VPos::Bottom));
    let word = |(_, x, it): &(usize, f64, Estimate)| {
        Text::new(
            axis::tick(it.value),
            (*x, it.top() + top * 0.008),
            style.clone(),
        )
    };
    if places.len() <= LABELLED {
        chart.draw_series(known.iter().map(word)).map_err(drawing)?;
    }
    Ok(())
}

/// The upright line and its two feet.
fn whisker(x: f64, estimate: Estimate) -> Vec<Vec<(f64, f64)>> {
    let Some((low, high)) = estimate.interval else {
        return Vec::new();
    };
    let low = low.max(0.0);
    let foot = |y: f64| vec![(x - FOOT, y), (x + FOOT, y)];
    vec![vec![(x, low), (x, high)], foot(low), foot(high)]
}
