//! What bars and lines share: how far an axis reaches, how its numbers are written, and names instead of numbers.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor};

use super::{Area, ChartError, Panel, drawing, font, palette};

pub(super) type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const LABEL: u32 = 22;
/// No axis is shorter: there is no telling its numbers apart.
const SMALLEST: f64 = 1e-9;
/// Pixels left of the axes.
pub(super) const LEFT: u32 = 104;
const BOTTOM: u32 = 84;

/// From 0 to a little above the largest of `values`.
pub(super) fn reach(values: impl Iterator<Item = f64>) -> f64 {
    let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    if most > 0.0 { most * 1.12 } else { 1.0 }
}

/// A number as an axis shows it: no more digits than its neighbours need.
pub(super) fn tick(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    let (unit, sign) = match rounded.abs() {
        // What is next to nothing is the axis's zero, with rounding.
        size if size < 1e-9 => return "0".to_owned(),
        size if size >= 1e15 => return format!("{rounded:e}"),
        size if size >= 1e12 => (1e12, "T"),
        size if size >= 1e9 => (1e9, "G"),
        size if size >= 1e6 => (1e6, "M"),
        _ => (1.0, ""),
    };
    format!("{}{sign}", rounded / unit)
}

/// A finite value that an axis can reach beyond.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() < 1e300
}

/// Whether numbers between `ends` can be told apart.
fn is_range(ends: &(f64, f64)) -> bool {
    let size = ends.0.abs().max(ends.1.abs());
    is_drawable(size) && ends.1 - ends.0 > (size * 1e-9).max(SMALLEST)
}

fn extremes(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let widened = |(low, high): (f64, f64), value| (low.min(value), high.max(value));
    values
        .filter(|value| is_drawable(*value))
        .fold(start, widened)
}

/// How far a y axis reaches: as far as it is told to, or else over 0 and all `values`.
pub(super) fn ends(values: impl Iterator<Item = f64>, fixed: Option<(f64, f64)>) -> (f64, f64) {
    if let Some(ends) = fixed.filter(is_range) {
        return ends;
    }
    let (low, high) = extremes(values);
    airy((low.min(0.0), high.max(0.0)))
}

/// How far an x axis reaches: over all `values`, and over 0 unless it is below them by more than they are apart. A single value
/// stands in the middle.
pub(super) fn x_ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = extremes(values);
    if is_range(&(low, high)) && low >= high * 0.5 {
        airy((low, high))
    } else if !is_range(&(low, high)) && is_range(&(0.0, high)) {
        (0.0, high * 2.0)
    } else {
        airy((low.min(0.0), high.max(0.0)))
    }
}

/// With a little air beyond what is not 0.
fn airy((low, high): (f64, f64)) -> (f64, f64) {
    let air = (high - low) * 0.05;
    let beyond = |end: f64, air: f64| if end == 0.0 { 0.0 } else { end + air };
    let ends = (beyond(low, -air), beyond(high, air));
    if is_range(&ends) { ends } else { (0.0, 1.0) }
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
    /// So does the x axis.
    pub(super) whole_x: bool,
    /// Of the numbers beside the y axis.
    pub(super) ink: RGBColor,
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
            whole_x: false,
            ink: font::INK,
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
        let is_part = frame.whole_x && value.fract().abs() > 1e-9;
        if is_part || *value > frame.shown + (frame.x.1 - frame.x.0) * 1e-9 {
            return String::new();
        }
        tick(*value)
    };
    let mut mesh = chart.configure_mesh();
    mesh.y_desc(panel.y.as_str())
        .axis_desc_style(font::text(24))
        .label_style(font::text(LABEL))
        .y_label_style(font::text(LABEL).color(&frame.ink))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let words = [
            0.125, 20.0, 1234.56, 800_000.0, 1.5e6, 2e9, 3e13, 4e18, -2e6, 1e-12,
        ]
        .map(tick);
        assert_eq!(
            words,
            [
                "0.125", "20", "1235", "800000", "1.5M", "2G", "30T", "4e18", "-2M", "0"
            ]
        );
    }

    #[test]
    fn a_y_axis_reaches_over_zero_and_its_values_and_is_never_empty() {
        let of = |values: &[f64]| ends(values.iter().copied(), None);
        assert_eq!(of(&[10.0, 100.0]), (0.0, 105.0));
        assert_eq!(of(&[100.0, 120.0]), (0.0, 126.0));
        assert_eq!(of(&[-10.0, 10.0]), (-11.0, 11.0));
        assert_eq!(of(&[-4.0]), (-4.2, 0.0));
        for values in [
            &[][..],
            &[0.0; 2],
            &[f64::NAN, f64::INFINITY],
            &[1e305],
            &[1e-300],
        ] {
            assert_eq!(of(values), (0.0, 1.0), "{values:?}");
        }
    }

    #[test]
    fn an_x_axis_leaves_out_a_far_zero_and_has_one_value_in_the_middle() {
        let of = |values: &[f64]| x_ends(values.iter().copied());
        assert_eq!(of(&[10.0, 100.0]), (0.0, 105.0));
        assert_eq!(of(&[100.0, 120.0]), (99.0, 121.0));
        assert_eq!(of(&[8.0, 8.0]), (0.0, 16.0));
        // Too near to each other for ticks between them.
        assert_eq!(of(&[1e18, 1e18 + 256.0]), (0.0, (1e18 + 256.0) * 2.0));
        for values in [&[][..], &[0.0; 2], &[f64::NAN], &[1e305], &[-1e-308]] {
            assert_eq!(of(values), (0.0, 1.0), "{values:?}");
        }
    }

    #[test]
    fn fixed_ends_hold_where_they_are_a_range() {
        let of = |fixed| ends([5.0].into_iter(), Some(fixed));
        assert_eq!(of((0.0, 1.0)), (0.0, 1.0));
        for none in [(1.0, 1.0), (2.0, 1.0), (0.0, f64::NAN)] {
            assert_eq!(of(none), (0.0, 5.25), "{none:?}");
        }
    }
}
