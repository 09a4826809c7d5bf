//! A panel of curves over one x axis, each held against one of up to three y axes: lines, dashed lines, steps and clouds of
//! points, with whiskers. It measures in pixels; what these are of is `path` and `sides`.

use std::collections::BTreeMap;

use plotters::element::PathElement;
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, RGBColor};

use super::path::{self, Pixel};
use super::sides::{self, Scale};
use super::{
    Area, Body, ChartError, Colour, Curve, Panel, Side, Spot, Stroke, axis, drawing, legend, marks,
    palette, scatter,
};

/// More points than this have no room for a mark each on a line.
const MARKED: usize = 60;
/// More corners than this are drawn with a plain pen: joints would take long and stick out.
const DENSE: usize = 300;
/// A longer line is not dashed: it goes up and down in each column of pixels.
const DASHED: f64 = 40_000.0;
/// Half the width of a whisker's foot, and more whiskers than this have none.
const FOOT: i32 = 6;
const FOOTED: usize = 100;
const MARK: i32 = 7;
/// Whole numbers are exact in an f64 up to here.
const WHOLE: f64 = 9e15;

/// The colour of each curve, and which of the marks it has.
fn looks(curves: &[Curve]) -> Vec<(RGBColor, usize)> {
    let mut next = 0;
    let mut look = |curve: &Curve| {
        if curve.colour == Colour::Red {
            return (palette::LIMIT, next);
        }
        next += 1;
        (palette::colour(next - 1), next - 1)
    };
    curves.iter().map(&mut look).collect()
}

/// What the legend says of them: with several axes, also which one a curve is held against, unless the colour tells.
pub(super) fn entries(axes: &[Side], curves: &[Curve]) -> Vec<legend::Entry> {
    let looks = looks(curves);
    let named = curves.iter().zip(looks);
    let named = named.filter(|(curve, _)| !curve.name.is_empty());
    named
        .map(|(curve, (colour, at))| legend::Entry {
            name: match sides::place(axes, curve.axis) {
                Some(place) if sole(curves, curve.axis).is_none() => {
                    format!("{} ({place})", curve.name)
                }
                _ => curve.name.clone(),
            },
            colour,
            swatch: match curve.stroke {
                Stroke::Line if has_marks(curve) => legend::Swatch::Marked(at),
                Stroke::Line | Stroke::Steps => legend::Swatch::Line,
                Stroke::Dashed => legend::Swatch::Dashes,
                Stroke::Points => legend::Swatch::Mark(at),
            },
        })
        .collect()
}

/// The only curve of an axis.
fn sole(curves: &[Curve], axis: usize) -> Option<usize> {
    let mut of_axis =
        (0..curves.len()).filter(|at| curves.get(*at).is_some_and(|it| it.axis == axis));
    of_axis.next().filter(|_| of_axis.next().is_none())
}

fn has_marks(curve: &Curve) -> bool {
    curve.stroke == Stroke::Line && curve.points.len() <= MARKED
}

fn is_drawable(spot: &Spot) -> bool {
    axis::is_drawable(spot.x) && axis::is_drawable(spot.y)
}

fn spots(curves: &[Curve]) -> impl Iterator<Item = &Spot> + Clone {
    curves
        .iter()
        .flat_map(|curve| &curve.points)
        .filter(|spot| is_drawable(spot))
}

/// All values that the axis `at` is to hold.
fn heights(curves: &[Curve], at: usize) -> impl Iterator<Item = f64> {
    let of_axis = curves.iter().filter(move |curve| curve.axis == at);
    let spots = of_axis
        .flat_map(|curve| &curve.points)
        .filter(|spot| is_drawable(spot));
    spots.flat_map(|spot| {
        let (low, high) = spot.whisker.unwrap_or((spot.y, spot.y));
        [spot.y, low, high]
    })
}

fn is_whole(mut values: impl Iterator<Item = f64>) -> bool {
    values.all(|value| value.abs() < WHOLE && value.fract() == 0.0)
}

pub(super) fn draw<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    panel: &Panel,
    axes: &[Side],
    curves: &[Curve],
) -> Result<(), ChartError> {
    let looks = looks(curves);
    let rulers: Vec<sides::Ruler<'_>> = axes
        .iter()
        .take(sides::MOST)
        .enumerate()
        .map(|(at, side)| sides::Ruler {
            title: &side.title,
            ends: axis::ends(heights(curves, at), side.ends),
            colour: sole(curves, at).and_then(|only| Some(looks.get(only)?.0)),
            counts: is_whole(heights(curves, at)) && side.ends.is_none(),
        })
        .collect();
    let x = axis::x_ends(spots(curves).map(|spot| spot.x));
    let first = rulers.first().map_or((0.0, 1.0), |ruler| ruler.ends);
    let frame = axis::Frame {
        x,
        y: first,
        shown: x.1,
        top: 16,
        right: sides::room(rulers.len()),
        counts: rulers.first().is_some_and(|ruler| ruler.counts),
        whole_x: is_whole(spots(curves).map(|spot| spot.x)),
        ink: sides::ink(rulers.first().and_then(|ruler| ruler.colour)),
    };
    let bare = Panel {
        title: String::new(),
        x: panel.x.clone(),
        y: String::new(),
        body: Body::Curves {
            axes: Vec::new(),
            curves: Vec::new(),
        },
    };
    let chart = axis::chart(area, &bare, frame, &[])?;
    let (bottom_left, top_right) = (
        marks::pixel(area, &chart, (x.0, first.0)),
        marks::pixel(area, &chart, (x.1, first.1)),
    );
    sides::draw(area, &rulers, bottom_left, top_right)?;
    for (curve, look) in curves.iter().zip(looks) {
        let Some(ruler) = rulers.get(curve.axis) else {
            continue;
        };
        let x = Scale::new(x, (bottom_left.0, top_right.0));
        let y = Scale::new(ruler.ends, (bottom_left.1, top_right.1));
        one(area, curve, look, (x, y))?;
    }
    Ok(())
}

fn one<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    curve: &Curve,
    (colour, at): (RGBColor, usize),
    (x, y): (Scale, Scale),
) -> Result<(), ChartError> {
    let spots = || curve.points.iter().filter(|spot| is_drawable(spot));
    whiskers(area, spots(), colour, (x, y))?;
    let all: Vec<Pixel> = spots()
        .map(|spot| (x.pixel(spot.x), y.pixel(spot.y)))
        .collect();
    let thinned = path::thin(&all);
    match curve.stroke {
        Stroke::Line => pen(area, &thinned, colour)?,
        Stroke::Steps => pen(area, &path::steps(&thinned), colour)?,
        Stroke::Dashed if path::length(&thinned) > DASHED => pen(area, &thinned, colour)?,
        Stroke::Dashed => {
            for dash in path::dashes(&thinned) {
                pen(area, &dash, colour)?;
            }
        }
        Stroke::Points => scatter::cloud(area, &all, colour, at)?,
    }
    // A line through one point, or through points on one pixel, would be nothing at all.
    let is_point = thinned.len() == 1 && curve.stroke != Stroke::Points;
    if has_marks(curve) || is_point {
        for place in thinned {
            legend::mark(area, at, place, (MARK, colour.into()))?;
        }
    }
    Ok(())
}

/// A line of three pixels.
fn pen<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    points: &[Pixel],
    colour: RGBColor,
) -> Result<(), ChartError> {
    let line = |points: Vec<Pixel>, width: u32| {
        area.draw(&PathElement::new(points, colour.stroke_width(width)))
            .map_err(drawing)
    };
    if points.len() <= DENSE {
        return line(points.to_vec(), 3);
    }
    for (right, down) in [(0, 0), (1, 0), (0, 1)] {
        let moved = points.iter().map(|(x, y)| (x + right, y + down));
        line(moved.collect(), 1)?;
    }
    Ok(())
}

/// Upright lines with feet: the widest of each column of pixels.
fn whiskers<'a, DB: DrawingBackend>(
    area: &Area<'_, DB>,
    spots: impl Iterator<Item = &'a Spot>,
    colour: RGBColor,
    (x, y): (Scale, Scale),
) -> Result<(), ChartError> {
    let mut columns: BTreeMap<i32, (i32, i32)> = BTreeMap::new();
    for spot in spots {
        let Some((low, high)) = spot.whisker else {
            continue;
        };
        let (low, high) = (y.pixel(low), y.pixel(high));
        let column = columns.entry(x.pixel(spot.x)).or_insert((low, high));
        *column = (column.0.max(low), column.1.min(high));
    }
    let foot = if columns.len() <= FOOTED { FOOT } else { 0 };
    for (x, (low, high)) in columns {
        let feet = [low, high].map(|y| vec![(x - foot, y), (x + foot, y)]);
        for line in std::iter::once(vec![(x, low), (x, high)]).chain(feet) {
            area.draw(&PathElement::new(line, colour.stroke_width(2)))
                .map_err(drawing)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "curves_tests.rs"]
mod tests;
