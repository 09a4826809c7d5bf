//! What bars and lines share: how far an axis reaches, how its numbers are written, and names instead of numbers.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, ChartError, Panel, drawing, font, palette};

pub(super) type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const LABEL: u32 = 22;
const LEFT: u32 = 104;
const BOTTOM: u32 = 84;

/// From 0 to a little above the largest of `values`.
pub(super) fn reach(values: impl Iterator<Item = f64>) -> f64 {
    let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    if most > 0.0 { most * 1.12 } else { 1.0 }
}

/// A number as an axis shows it: no more digits than its neighbours need.
pub(super) fn tick(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    // What is next to nothing is the axis's zero, with rounding.
    if rounded.abs() < 1e-9 {
        return "0".to_owned();
    }
    format!("{rounded}")
}

/// How far the axes reach, and the room that is left beside them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
    /// The x axis has no numbers beyond it.
    pub(super) shown: f64,
    /// Pixels above the axes.
    pub(super) top: u32,
    /// Pixels to their right.
    pub(super) right: u32,
    /// The y axis counts things: there are no halves of them.
    pub(super) counts: bool,
}

impl Frame {
    /// From 0 to `top`, nothing beside it.
    pub(super) const fn plain(x: (f64, f64), top: f64) -> Self {
        Self {
            x,
            y: (0.0, top),
            shown: x.1,
            top: 0,
            right: 24,
            counts: false,
        }
    }
}

/// A chart with its mesh and its labels; `places` name the whole numbers of the x axis, if there are any.
pub(super) fn chart<'a, DB: DrawingBackend>(
    area: &'a Area<'a, DB>,
    panel: &Panel,
    frame: Frame,
    places: &[String],
) -> Result<Chart<'a, DB>, ChartError> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(frame.top)
        .margin_right(frame.right)
        .x_label_area_size(BOTTOM)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(frame.x.0..frame.x.1, frame.y.0..frame.y.1)
        .map_err(drawing)?;
    let y_words = |value: &f64| match value.fract() {
        part if frame.counts && part.abs() > 1e-9 => String::new(),
        _ => tick(*value),
    };
    let x_words = |value: &f64| {
        if *value > frame.shown + (frame.x.1 - frame.x.0) * 1e-9 {
            return String::new();
        }
        tick(*value)
    };
    let mut mesh = chart.configure_mesh();
    mesh.y_desc(panel.y.as_str())
        .axis_desc_style(font::text(24))
        .label_style(font::text(LABEL))
        .bold_line_style(palette::GRID)
        .light_line_style(palette::GRID.mix(0.0))
        .axis_style(font::INK)
        .y_labels(7)
        .y_label_formatter(&y_words);
    if places.is_empty() {
        mesh.x_desc(panel.x.as_str())
            .x_labels(9)
            .x_label_formatter(&x_words);
    } else {
        mesh.x_desc(panel.x.as_str())
            .disable_x_mesh()
            .x_labels(2)
            .x_label_formatter(&|_| String::new());
    }
    mesh.draw().map_err(drawing)?;
    name_places(area, &chart, places)?;
    Ok(chart)
}

/// Writes the names of places under the axis. Where they would touch, only each second, third, ... is written.
fn name_places<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    chart: &Chart<'_, DB>,
    places: &[String],
) -> Result<(), ChartError> {
    let style = font::text(LABEL).pos(Pos::new(HPos::Center, VPos::Top));
    let origin = area.get_base_pixel();
    let at = |place: usize| {
        let x = u32::try_from(place).map_or(0.0, f64::from);
        let (x, y) = chart.plotting_area().map_coordinate(&(x, 0.0));
        (x - origin.0, y - origin.1 + 10)
    };
    let step = (at(1).0 - at(0).0).max(1);
    let mut widest = 0;
    for place in places {
        let (width, _) = area.estimate_text_size(place, &style).map_err(drawing)?;
        widest = widest.max(i32::try_from(width).unwrap_or(0));
    }
    let each = usize::try_from((widest + 10).div_euclid(step) + 1).unwrap_or(1);
    for (place, name) in places.iter().enumerate().step_by(each.max(1)) {
        area.draw_text(name, &style, at(place)).map_err(drawing)?;
    }
    Ok(())
}
