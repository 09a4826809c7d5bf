//! Legends: a swatch and a name for each colour above a panel, wrapped to its width, and the numbered key below all panels.

use plotters::element::{Circle, Cross, Rectangle, TriangleMarker};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBAColor, RGBColor};

use super::{Area, ChartError, drawing, font, palette};

const TEXT: u32 = 22;
const LINE: i32 = 30;
const SWATCH: i32 = 26;
const GAP: i32 = 28;

/// A name of a legend.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    pub(super) swatch: Swatch,
}

/// What stands before a name. Marks have numbers.
#[derive(Clone, Copy)]
pub(super) enum Swatch {
    Bar,
    Line,
    Dashes,
    /// A line with a mark on it.
    Marked(usize),
    /// A mark alone.
    Mark(usize),
}

/// An entry for each of `names`, with the colours and the marks in turn.
pub(super) fn in_turn<'a>(
    names: impl Iterator<Item = &'a String>,
    swatch: fn(usize) -> Swatch,
) -> Vec<Entry> {
    let entry = |(at, name): (usize, &String)| Entry {
        name: name.clone(),
        colour: palette::colour(at),
        swatch: swatch(at),
    };
    names.enumerate().map(entry).collect()
}

/// Draws the names where there is more than one (a single one is in the title already); returns what is left of the area.
pub(super) fn row<'a, DB: DrawingBackend>(
    area: &Area<'a, DB>,
    entries: &[Entry],
) -> Result<Area<'a, DB>, ChartError> {
    if entries.len() < 2 {
        return Ok(area.clone());
    }
    let (width, _) = area.dim_in_pixel();
    let width = i32::try_from(width).unwrap_or(i32::MAX);
    let style = font::text(TEXT).pos(Pos::new(HPos::Left, VPos::Center));
    let (mut x, mut y) = (GAP * 3, LINE / 2);
    for entry in entries {
        let name = &entry.name;
        let (text_width, _) = area.estimate_text_size(name, &style).map_err(drawing)?;
        let whole = SWATCH + 8 + i32::try_from(text_width).unwrap_or(0);
        if x > GAP * 3 && x + whole > width {
            (x, y) = (GAP * 3, y + LINE);
        }
        swatch(area, entry, (x, y))?;
        area.draw_text(name, &style, (x + SWATCH + 8, y))
            .map_err(drawing)?;
        x += whole + GAP;
    }
    Ok(area.split_vertically(y + LINE / 2 + 4).1)
}

fn swatch<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    entry: &Entry,
    (x, y): (i32, i32),
) -> Result<(), ChartError> {
    let block = |from: i32, to: i32, thickness: i32| {
        let corners = [(x + from, y - thickness), (x + to, y + thickness)];
        area.draw(&Rectangle::new(corners, entry.colour.filled()))
            .map_err(drawing)
    };
    let marked = |at| mark(area, at, (x + SWATCH / 2, y), (7, entry.colour.into()));
    match entry.swatch {
        Swatch::Bar => block(0, SWATCH, 7),
        Swatch::Line => block(0, SWATCH, 1),
        Swatch::Dashes => {
            block(0, 11, 1)?;
            block(16, SWATCH, 1)
        }
        Swatch::Marked(at) => {
            block(0, SWATCH, 1)?;
            marked(at)
        }
        Swatch::Mark(at) => marked(at),
    }
}

/// The mark of the `at`-th line, as `lines` draws it, of a size in pixels.
pub(super) fn mark<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    at: usize,
    place: (i32, i32),
    (size, colour): (i32, RGBAColor),
) -> Result<(), ChartError> {
    match at % 4 {
        0 => area.draw(&Circle::new(place, size, colour.filled())),
        1 => area.draw(&TriangleMarker::new(place, size + 2, colour.filled())),
        2 => area.draw(&Cross::new(place, size, colour.stroke_width(3))),
        _ => area.draw(&Circle::new(place, size, colour.stroke_width(3))),
    }
    .map_err(drawing)
}

/// Draws the lines of the key in columns, a column after the other.
pub(super) fn key<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    lines: &[String],
    columns: usize,
    line_height: u32,
) -> Result<(), ChartError> {
    if lines.is_empty() {
        return Ok(());
    }
    let (width, _) = area.dim_in_pixel();
    let in_column = lines.len().div_ceil(columns);
    let style = font::text(TEXT).pos(Pos::new(HPos::Left, VPos::Center));
    for (at, line) in lines.iter().enumerate() {
        let place = |count: usize, step: u32| {
            i32::try_from(count)
                .ok()
                .zip(i32::try_from(step).ok())
                .map_or(0, |(count, step)| count * step)
        };
        let columns = u32::try_from(columns.max(1)).unwrap_or(1);
        let column = width / columns;
        let x = 60 + place(at / in_column, column);
        let y = 15 + place(at % in_column, line_height);
        let room = usize::try_from(column / 12).unwrap_or(0);
        area.draw_text(&shortened(line, room), &style, (x, y))
            .map_err(drawing)?;
    }
    Ok(())
}

/// At most `room` characters; what is left out is shown to be.
fn shortened(line: &str, room: usize) -> String {
    if line.chars().count() <= room {
        return line.to_owned();
    }
    let kept: String = line.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}
