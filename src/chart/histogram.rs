//! A panel of how often which values came. Values far beyond the others share one bar at the end, drawn without its filling.

use plotters::element::Rectangle;
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::scale::{Bins, Span, count};
use super::{Area, ChartError, Mark, Panel, axis, drawing, font, marks, palette};

const NOTE: u32 = 34;

pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    panel: &Panel,
    values: &[f64],
    told: &[Mark],
    (unit, extra): (&str, &str),
) -> Result<(), ChartError> {
    let span = Span::of(values.iter().copied());
    let bins = Bins::of(values, span);
    let mut words = vec![number(values.len())];
    if !values.is_empty() {
        words.push(format!("bins of {} {unit}", axis::tick(bins.width)));
    }
    if span.beyond > 0 {
        let (end, most) = (
            axis::tick(bins.edge(bins.counts.len())),
            axis::tick(span.most),
        );
        words.push(format!(
            "{} beyond {end} {unit}, up to {most} {unit}",
            span.beyond
        ));
    }
    words.push(extra.to_owned());
    let area = note(area, &words)?;
    let beyond = if span.beyond > 0 { 2.0 } else { 0.0 };
    let end = bins.edge(bins.counts.len());
    let highest = bins
        .counts
        .iter()
        .copied()
        .max()
        .unwrap_or(0)
        .max(span.beyond);
    let frame = axis::Frame {
        x: (bins.first, end + beyond * bins.width),
        y: (0.0, axis::reach(std::iter::once(count(highest)))),
        shown: end,
        top: marks::ABOVE,
        right: 24,
        counts: true,
        whole_x: false,
        ink: font::INK,
    };
    let mut chart = axis::chart(&area, panel, frame, &[])?;
    let filled = bars(&bins).map(|bar| Rectangle::new(bar, palette::FILL.filled()));
    chart.draw_series(filled).map_err(drawing)?;
    let mut outlines: Vec<[(f64, f64); 2]> = bars(&bins).collect();
    if span.beyond > 0 {
        let corners = [
            (end + bins.width, 0.0),
            (end + bins.width * 2.0, count(span.beyond)),
        ];
        outlines.push(corners);
    }
    let outlines = outlines
        .into_iter()
        .map(|bar| Rectangle::new(bar, font::INK.stroke_width(1)));
    chart.draw_series(outlines).map_err(drawing)?;
    marks::across(&area, &chart, told, frame)
}

/// The corners of each bar that is one.
fn bars(bins: &Bins) -> impl Iterator<Item = [(f64, f64); 2]> + '_ {
    let is_one = |(_, n): &(usize, &usize)| **n > 0;
    let corners = |(at, n): (usize, &usize)| [(bins.edge(at), 0.0), (bins.edge(at + 1), count(*n))];
    bins.counts.iter().enumerate().filter(is_one).map(corners)
}

/// How many values a panel shows, in words.
pub(super) fn number(n: usize) -> String {
    match n {
        0 => "n = 0: nothing was measured".to_owned(),
        _ => format!("n = {n}"),
    }
}

/// Draws what is to be said of a panel's values below its title; returns what is left of the area.
pub(super) fn note<'a, DB: DrawingBackend>(
    area: &Area<'a, DB>,
    words: &[String],
) -> Result<Area<'a, DB>, ChartError> {
    let (head, rest) = area.split_vertically(NOTE);
    let (width, _) = head.dim_in_pixel();
    let style = font::text(22).pos(Pos::new(HPos::Center, VPos::Center));
    let said: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|words| !words.is_empty())
        .collect();
    let middle = (i32::try_from(width / 2).unwrap_or(0), 14);
    head.draw_text(&said.join("   ·   "), &style, middle)
        .map_err(drawing)?;
    Ok(rest)
}
