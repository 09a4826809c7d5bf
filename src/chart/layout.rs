//! Where things stand in a picture: the title, the panels in a grid, the key below them.

use plotters::prelude::DrawingBackend;
use plotters::style::colors::WHITE;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{
    Area, Body, ChartError, Figure, Panel, bars, curves, drawing, font, histogram, legend, lines,
    scatter, whiskers,
};

const PANEL: (u32, u32) = (1_000, 640);
const TITLE: u32 = 70;
const KEY_LINE: u32 = 30;
const MARGIN: i32 = 24;

/// Columns of the key.
const KEY_COLUMNS: usize = 2;

fn rows(figure: &Figure) -> usize {
    figure.panels.len().div_ceil(figure.columns.max(1)).max(1)
}

fn pixels(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn key_height(figure: &Figure) -> u32 {
    match figure.key.len() {
        0 => 0,
        lines => pixels(lines.div_ceil(KEY_COLUMNS)).saturating_mul(KEY_LINE) + KEY_LINE,
    }
}

/// Width and height, in pixels.
pub(super) fn size(figure: &Figure) -> (u32, u32) {
    let columns = pixels(figure.columns.max(1));
    (
        columns * PANEL.0,
        TITLE + pixels(rows(figure)) * PANEL.1 + key_height(figure),
    )
}

pub(super) fn draw<DB: DrawingBackend>(
    root: &Area<'_, DB>,
    figure: &Figure,
) -> Result<(), ChartError> {
    root.fill(&WHITE).map_err(drawing)?;
    let (width, _) = root.dim_in_pixel();
    let (head, rest) = root.split_vertically(TITLE);
    let (grid, key) = rest.split_vertically(pixels(rows(figure)) * PANEL.1);
    let title = font::text(38).pos(Pos::new(HPos::Center, VPos::Center));
    let middle = (i32::try_from(width / 2).unwrap_or(0), 38);
    head.draw_text(&figure.title, &title, middle)
        .map_err(drawing)?;
    let areas = grid.split_evenly((rows(figure), figure.columns.max(1)));
    for (area, shown) in areas.iter().zip(&figure.panels) {
        panel(area, shown)?;
    }
    legend::key(&key, &figure.key, KEY_COLUMNS, KEY_LINE)
}

fn panel<DB: DrawingBackend>(area: &Area<'_, DB>, panel: &Panel) -> Result<(), ChartError> {
    let area = area.margin(6, 10, MARGIN, MARGIN);
    let (head, rest) = area.split_vertically(36);
    let (width, _) = head.dim_in_pixel();
    let middle = (i32::try_from(width / 2).unwrap_or(0), 18);
    let title = font::text(28).pos(Pos::new(HPos::Center, VPos::Center));
    head.draw_text(&panel.title, &title, middle)
        .map_err(drawing)?;
    let entries = match &panel.body {
        Body::Bars { groups, .. } => {
            legend::in_turn(groups.iter().map(|(name, _)| name), |_| legend::Swatch::Bar)
        }
        Body::Lines { lines, .. } => {
            legend::in_turn(lines.iter().map(|line| &line.name), legend::Swatch::Marked)
        }
        Body::Curves { axes, curves } => curves::entries(axes, curves),
        Body::Histogram { .. } | Body::Scatter { .. } | Body::Whiskers { .. } => Vec::new(),
    };
    let plot = legend::row(&rest, &entries)?;
    match &panel.body {
        Body::Bars { places, groups } => bars::draw(&plot, panel, places, groups),
        Body::Lines {
            lines: drawn,
            places,
            limits,
        } => lines::draw(&plot, panel, drawn, places, limits),
        Body::Histogram {
            values,
            marks,
            unit,
            note,
        } => histogram::draw(&plot, panel, values, marks, (unit, note)),
        Body::Scatter {
            points,
            x_marks,
            y_marks,
            note,
        } => scatter::draw(&plot, panel, points, (x_marks, y_marks), note),
        Body::Whiskers { places, values } => whiskers::draw(&plot, panel, places, values),
        Body::Curves { axes, curves } => curves::draw(&plot, panel, axes, curves),
    }
}
