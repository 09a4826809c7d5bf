//! A panel of bars: one a group and place, side by side, with their values above them where there is room.

use plotters::element::{Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, ChartError, Panel, axis, drawing, font, palette};

/// The share of a place that its bars take.
const FILLED: f64 = 0.8;
/// More bars than this have no room for their values.
const LABELLED: usize = 16;

pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    panel: &Panel,
    places: &[String],
    groups: &[(String, Vec<Option<f64>>)],
) -> Result<(), ChartError> {
    let count = |n: usize| u32::try_from(n).map_or(0.0, f64::from);
    let values = groups
        .iter()
        .flat_map(|(_, values)| values.iter().flatten());
    let top = axis::reach(values.copied());
    let ends = (-0.5, count(places.len().max(1)) - 0.5);
    let mut chart = axis::chart(area, panel, axis::Frame::plain(ends, top), places)?;
    let width = FILLED / count(groups.len().max(1));
    let is_labelled = places.len() * groups.len() <= LABELLED;
    let style = font::text(19).pos(Pos::new(HPos::Center, VPos::Bottom));
    for (group, (_, values)) in groups.iter().enumerate() {
        let left = |place: usize| count(place) - FILLED / 2.0 + count(group) * width;
        let known: Vec<(f64, f64)> = values
            .iter()
            .enumerate()
            .filter_map(|(place, value)| Some((left(place), (*value)?)))
            .collect();
        let bar = |&(x, value): &(f64, f64)| {
            let corners = [(x + width * 0.04, 0.0), (x + width * 0.96, value)];
            Rectangle::new(corners, palette::colour(group).filled())
        };
        chart.draw_series(known.iter().map(bar)).map_err(drawing)?;
        let word = |&(x, value): &(f64, f64)| {
            let above = (x + width / 2.0, value + top * 0.008);
            Text::new(axis::tick(value), above, style.clone())
        };
        if is_labelled {
            chart.draw_series(known.iter().map(word)).map_err(drawing)?;
        }
    }
    Ok(())
}
