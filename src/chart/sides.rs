//! The y axes of a panel of curves: the titles of all, and the lines, ticks and numbers of those on the right.

use plotters::coord::ranged1d::{BoldPoints, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::element::PathElement;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor};

use super::path::{Pixel, whole};
use super::{Area, ChartError, Side, axis, drawing, font};

/// Most axes of a panel.
pub(super) const MOST: usize = 3;
/// Pixels that an axis on the right takes.
const WIDTH: i32 = 126;
/// Pixels to the right of the last of them.
const EDGE: u32 = 24;
const TITLE: u32 = 24;
const NUMBER: u32 = 22;
const TICK: i32 = 6;
const NUMBERS: usize = 7;

/// A y axis: what it says and how far it reaches.
pub(super) struct Ruler<'a> {
    pub(super) title: &'a str,
    pub(super) ends: (f64, f64),
    /// Of its only curve.
    pub(super) colour: Option<RGBColor>,
    /// There are no halves of what it counts.
    pub(super) counts: bool,
}

/// From values to pixels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    range: f64,
    from: i32,
    to: i32,
}

impl Scale {
    /// `ends` of the values stand at `pixels`.
    pub(super) fn new(ends: (f64, f64), pixels: (i32, i32)) -> Self {
        Self {
            low: ends.0,
            range: ends.1 - ends.0,
            from: pixels.0,
            to: pixels.1,
        }
    }

    /// Where `value` stands; what is beyond an end stands at it.
    pub(super) fn pixel(self, value: f64) -> i32 {
        let share = ((value - self.low) / self.range).clamp(0.0, 1.0);
        self.from + whole(f64::from(self.to - self.from) * share)
    }
}

/// Pixels right of the panel for `axes` axes in all.
pub(super) fn room(axes: usize) -> u32 {
    let on_the_right = u32::try_from(axes.saturating_sub(1)).unwrap_or(0);
    EDGE + on_the_right * WIDTH.unsigned_abs()
}

/// Where the axis `at` stands, in words, if there are several.
pub(super) fn place(axes: &[Side], at: usize) -> Option<&'static str> {
    match (axes.len(), at) {
        (0 | 1, _) => None,
        (_, 0) => Some("left"),
        (2, _) => Some("right"),
        (_, 1) => Some("inner right"),
        _ => Some("outer right"),
    }
}

/// The colour of an axis's words: darker than its curve, as thin letters are paler than thick lines.
pub(super) fn ink(colour: Option<RGBColor>) -> RGBColor {
    let darker = |part: u8| part - part / 4;
    colour.map_or(font::INK, |RGBColor(red, green, blue)| {
        RGBColor(darker(red), darker(green), darker(blue))
    })
}

/// Everything of `rulers` that the mesh has not drawn.
pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    rulers: &[Ruler<'_>],
    (left, bottom): Pixel,
    (right, top): Pixel,
) -> Result<(), ChartError> {
    let mut at = right;
    for (place, ruler) in rulers.iter().enumerate() {
        let colour = ink(ruler.colour);
        if place == 0 {
            let edge = left - i32::try_from(axis::LEFT).unwrap_or(0);
            title(area, ruler.title, (edge, bottom, top), colour)?;
            continue;
        }
        axis_line(area, ruler, (at, bottom, top))?;
        at += WIDTH;
        title(area, ruler.title, (at - 34, bottom, top), colour)?;
    }
    Ok(())
}

/// The title, upright and as large as its axis is long, with its upper edge at `x`.
fn title<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    words: &str,
    (x, bottom, top): (i32, i32, i32),
    colour: RGBColor,
) -> Result<(), ChartError> {
    let (width, _) = area
        .estimate_text_size(words, &font::text(TITLE))
        .map_err(drawing)?;
    let length = (bottom - top).unsigned_abs();
    let size = if width > length {
        TITLE * length / width
    } else {
        TITLE
    };
    let style = font::text(size.max(10))
        .color(&colour)
        .transform(FontTransform::Rotate270)
        .pos(Pos::new(HPos::Center, VPos::Top));
    area.draw_text(words, &style, (x, i32::midpoint(bottom, top)))
        .map_err(drawing)
}

fn axis_line<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    ruler: &Ruler<'_>,
    (x, bottom, top): (i32, i32, i32),
) -> Result<(), ChartError> {
    let colour = ink(ruler.colour);
    let line = |ends: [Pixel; 2]| {
        area.draw(&PathElement::new(ends.to_vec(), colour.stroke_width(1)))
            .map_err(drawing)
    };
    line([(x, bottom), (x, top)])?;
    let scale = Scale::new(ruler.ends, (bottom, top));
    let range: RangedCoordf64 = (ruler.ends.0..ruler.ends.1).into();
    let style = font::text(NUMBER)
        .color(&colour)
        .pos(Pos::new(HPos::Left, VPos::Center));
    for value in range.key_points(BoldPoints(NUMBERS)) {
        if ruler.counts && value.fract().abs() > 1e-9 {
            continue;
        }
        let y = scale.pixel(value);
        line([(x, y), (x + TICK, y)])?;
        area.draw_text(&axis::tick(value), &style, (x + TICK + 4, y))
            .map_err(drawing)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_beyond_a_fixed_end_stands_at_it() {
        let scale = Scale::new((0.0, 1.0), (500, 100));
        let at = [-3.0, 0.0, 0.25, 1.0, 7.0].map(|value| scale.pixel(value));
        assert_eq!(at, [500, 500, 400, 100, 100]);
    }
}
