//! Lines across a panel for values that are told on their own. Their words stand at the lines' ends, beside the axes, and are
//! moved apart where they would touch; the dashes tell the lines apart in print.

use plotters::element::PathElement;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, ShapeStyle};

use super::{Area, ChartError, Mark, axis, drawing, font};

/// Room that the words of vertical lines need above the axes.
pub(super) const ABOVE: u32 = 52;
/// Room that the words of horizontal lines need beside the axes.
pub(super) const BESIDE: u32 = 178;

const TEXT: u32 = 22;
const LINE: i32 = 28;
const GAP: i32 = 14;
/// Pixels of ink and of paper; the first line is whole.
const DASHES: [Option<(i32, i32)>; 3] = [None, Some((16, 8)), Some((4, 7))];

type Pixel = (i32, i32);

/// One line: where it begins at the words and ends, in pixels of the area.
struct Drawn {
    ends: (Pixel, Pixel),
    words: String,
    dashes: Option<(i32, i32)>,
}

/// Vertical lines with their words above them. What is beyond the axis has its words at the right end, with a sign.
pub(super) fn across<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    chart: &axis::Chart<'_, DB>,
    marks: &[Mark],
    frame: axis::Frame,
) -> Result<(), ChartError> {
    let style = font::text(TEXT).pos(Pos::new(HPos::Center, VPos::Bottom));
    let lines = lines(marks, frame.shown, &|value| {
        (
            pixel(area, chart, (value, frame.y.1)),
            pixel(area, chart, (value, frame.y.0)),
        )
    });
    let mut sizes = Vec::new();
    for line in &lines {
        let (width, _) = area
            .estimate_text_size(&line.words, &style)
            .map_err(drawing)?;
        sizes.push(whole(width) + GAP);
    }
    let wanted: Vec<i32> = lines.iter().map(|line| line.ends.0.0).collect();
    let (width, _) = area.dim_in_pixel();
    for (line, at) in lines.iter().zip(apart(&wanted, &sizes, (0, whole(width)))) {
        let top = line.ends.0.1;
        area.draw_text(&line.words, &style, (at, top - 18))
            .map_err(drawing)?;
        stroke(area, (at, top - 15), line.ends.0, None, thin())?;
        stroke(area, line.ends.0, line.ends.1, line.dashes, thick())?;
    }
    Ok(())
}

/// Horizontal lines with their words to the right of them. What is beyond the axis has its words at the top, with a sign.
pub(super) fn along<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    chart: &axis::Chart<'_, DB>,
    marks: &[Mark],
    frame: axis::Frame,
) -> Result<(), ChartError> {
    let style = font::text(TEXT).pos(Pos::new(HPos::Left, VPos::Center));
    let mut lines = lines(marks, frame.y.1, &|value| {
        (
            pixel(area, chart, (frame.x.1, value)),
            pixel(area, chart, (frame.x.0, value)),
        )
    });
    lines.reverse();
    let wanted: Vec<i32> = lines.iter().map(|line| line.ends.0.1).collect();
    let (_, height) = area.dim_in_pixel();
    let sizes = vec![LINE; lines.len()];
    for (line, at) in lines.iter().zip(apart(&wanted, &sizes, (0, whole(height)))) {
        let right = line.ends.0.0;
        area.draw_text(&line.words, &style, (right + 20, at))
            .map_err(drawing)?;
        stroke(area, (right + 16, at), line.ends.0, None, thin())?;
        stroke(area, line.ends.0, line.ends.1, line.dashes, thick())?;
    }
    Ok(())
}

/// The lines of `marks` in the order of their values; one beyond `most` is a point at its end.
fn lines(marks: &[Mark], most: f64, ends: &dyn Fn(f64) -> (Pixel, Pixel)) -> Vec<Drawn> {
    let mut known: Vec<(usize, &Mark)> = marks.iter().enumerate().collect();
    known.sort_by(|(_, one), (_, other)| one.value.total_cmp(&other.value));
    let line = |(at, mark): (usize, &Mark)| {
        let is_beyond = mark.value > most;
        let (from, to) = ends(mark.value.min(most));
        Drawn {
            ends: (from, if is_beyond { from } else { to }),
            words: if is_beyond {
                format!("{} >", mark.label)
            } else {
                mark.label.clone()
            },
            dashes: DASHES.get(at % DASHES.len()).copied().flatten(),
        }
    };
    known.into_iter().map(line).collect()
}

/// The middles of things of `sizes` that would stand at `wanted`, in rising order, moved so that none touches another and
/// all are between `low` and `high`, if there is room.
fn apart(wanted: &[i32], sizes: &[i32], (low, high): (i32, i32)) -> Vec<i32> {
    let mut starts: Vec<i32> = Vec::with_capacity(wanted.len());
    let mut free = low;
    for (middle, size) in wanted.iter().zip(sizes) {
        let start = (middle - size / 2).max(free);
        starts.push(start);
        free = start + size;
    }
    let mut end = high;
    for (start, size) in starts.iter_mut().zip(sizes).rev() {
        *start = (*start).min(end - size);
        end = *start;
    }
    let middles = starts.iter().zip(sizes);
    middles.map(|(start, size)| start + size / 2).collect()
}

/// A place of the chart in pixels of `area`.
pub(super) fn pixel<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    chart: &axis::Chart<'_, DB>,
    place: (f64, f64),
) -> Pixel {
    let origin = area.get_base_pixel();
    let (x, y) = chart.plotting_area().map_coordinate(&place);
    (x - origin.0, y - origin.1)
}

fn stroke<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    from: Pixel,
    to: Pixel,
    dashes: Option<(i32, i32)>,
    style: ShapeStyle,
) -> Result<(), ChartError> {
    let length = (to.0 - from.0).abs().max((to.1 - from.1).abs());
    let (ink, paper) = dashes.unwrap_or((length.max(1), 1));
    let step = usize::try_from(ink + paper).unwrap_or(1).max(1);
    let towards = |way: i32| {
        let part = |from: i32, to: i32| from + (to - from).signum() * way.min((to - from).abs());
        if dashes.is_none() {
            return if way == 0 { from } else { to };
        }
        (part(from.0, to.0), part(from.1, to.1))
    };
    for at in (0..length).step_by(step) {
        let ends = vec![towards(at), towards((at + ink).min(length))];
        area.draw(&PathElement::new(ends, style)).map_err(drawing)?;
    }
    Ok(())
}

fn thick() -> ShapeStyle {
    font::INK.stroke_width(3)
}

fn thin() -> ShapeStyle {
    font::INK.stroke_width(1)
}

fn whole(pixels: u32) -> i32 {
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_never_touch_and_stay_inside(mut wanted in prop::collection::vec(-50..1_100_i32, 1..5)) {
            wanted.sort_unstable();
            let sizes = vec![150; wanted.len()];
            let middles = apart(&wanted, &sizes, (0, 1_000));
            for pair in middles.windows(2) {
                prop_assert!(pair[1] - pair[0] >= 150, "{middles:?}");
            }
            prop_assert!(middles[0] >= 75 && middles[middles.len() - 1] <= 925, "{middles:?}");
        }
    }

    #[test]
    fn words_with_room_stay_where_they_are() {
        assert_eq!(
            apart(&[200, 400, 600], &[100; 3], (0, 1_000)),
            [200, 400, 600]
        );
    }
}
