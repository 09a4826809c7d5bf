//! Charts: panels of bars, lines, curves on several axes, histograms and clouds of points with their legends, as SVG text or PNG bytes.
//! Figures in, pictures out: it knows no run and no metric, and opens no file.

mod axis;
mod bars;
mod curves;
mod font;
mod histogram;
mod layout;
mod legend;
mod lines;
mod marks;
mod palette;
mod path;
mod scale;
mod scatter;
mod sides;
mod whiskers;

use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::DrawingBackend;

pub use palette::LINES;

/// A whole picture: panels in a grid, numbered entries below them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// The title.
    pub title: String,
    /// The panels, row by row.
    pub panels: Vec<Panel>,
    /// Panels in a row.
    pub columns: usize,
    /// What numbers in the panels stand for, a line each.
    pub key: Vec<String>,
}

/// One chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// The title.
    pub title: String,
    /// What the x axis is, with its unit.
    pub x: String,
    /// What the y axis is, with its unit.
    pub y: String,
    /// What is drawn.
    pub body: Body,
}

/// What a panel shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Bars side by side at each place of the x axis.
    Bars {
        /// The places.
        places: Vec<String>,
        /// (name, a value a place); none where nothing was measured.
        groups: Vec<(String, Vec<Option<f64>>)>,
    },
    /// Lines through points.
    Lines {
        /// The lines.
        lines: Vec<Line>,
        /// Names of the places 0, 1, 2 of the x axis; empty for an axis of numbers.
        places: Vec<String>,
        /// Horizontal lines: (value, words).
        limits: Vec<(f64, String)>,
    },
    /// How often which values came: the x axis has the values, the y axis how many there are in each bin.
    Histogram {
        /// The values, in any order.
        values: Vec<f64>,
        /// Values that are told on their own: vertical lines.
        marks: Vec<Mark>,
        /// The unit of the values.
        unit: String,
        /// What else is to be said below the title, behind the number of values.
        note: String,
    },
    /// A point for each pair of values.
    Scatter {
        /// The pairs.
        points: Vec<(f64, f64)>,
        /// Values of x that are told on their own: vertical lines.
        x_marks: Vec<Mark>,
        /// Values of y that are told on their own: horizontal lines.
        y_marks: Vec<Mark>,
        /// What else is to be said below the title, behind the number of points.
        note: String,
    },
    /// A bar at each place of the x axis, with the interval of its value.
    Whiskers {
        /// The places.
        places: Vec<String>,
        /// A value a place; none where nothing was measured.
        values: Vec<Option<Estimate>>,
    },
    /// Curves over one x axis of numbers, each held against one of up to three y axes. [`Panel::y`] is not shown: each axis has
    /// its own title.
    Curves {
        /// The y axes: the first stands on the left, the second and the third on the right.
        axes: Vec<Side>,
        /// What is drawn, the first one lowest. Many thousands of points are thinned out by pixel columns, with their lowest
        /// and highest kept.
        curves: Vec<Curve>,
    },
}

/// A y axis of [`Body::Curves`]. It has the colour of its curves where they have but one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// What it is, with its unit.
    pub title: String,
    /// Where it begins and ends; none for an axis that reaches as far as its values. What is beyond a fixed end stands at it.
    pub ends: Option<(f64, f64)>,
}

/// One thing that is drawn in [`Body::Curves`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// The name in the legend; without one it does not stand there.
    pub name: String,
    /// Which of the axes it is held against, from 0.
    pub axis: usize,
    /// How its points are joined.
    pub stroke: Stroke,
    /// Its colour.
    pub colour: Colour,
    /// Its points, in order of x.
    pub points: Vec<Spot>,
}

/// How the points of a curve are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stroke {
    /// By a line, with a mark at each point where there is room.
    #[default]
    Line,
    /// By a dashed line, without marks.
    Dashed,
    /// Each value holds until the next point: for what was sampled.
    Steps,
    /// Not at all: a mark each, smaller and paler the more there are.
    Points,
}

/// The colour of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// The next of those that people with any colour vision tell apart.
    #[default]
    Next,
    /// Dark red: for what was reckoned from the rest, such as a fitted line.
    Red,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spot {
    /// Where.
    pub x: f64,
    /// Where. A point that is not finite is left out.
    pub y: f64,
    /// An upright line from here to there, as values of y; none without one.
    pub whisker: Option<(f64, f64)>,
}

/// A value that is told on its own, with a line across the panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// Where.
    pub value: f64,
    /// The words at the end of its line.
    pub label: String,
}

/// A value, and where it may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// From here to there; none where nobody knows.
    pub interval: Option<(f64, f64)>,
}

impl Estimate {
    fn top(self) -> f64 {
        self.interval
            .map_or(self.value, |(_, high)| high.max(self.value))
    }
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// Its points, in order.
    pub points: Vec<Dot>,
}

/// A point of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dot {
    /// Where.
    pub x: f64,
    /// Where.
    pub y: f64,
    /// Words beside it; none when empty.
    pub label: String,
    /// It stands out: a ring around it.
    pub is_marked: bool,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The built-in font cannot be read.
    #[error("the font of the charts cannot be read")]
    Font,
    /// The picture cannot be drawn.
    #[error("the chart cannot be drawn: {0}")]
    Drawing(String),
    /// The pixels cannot be written as PNG.
    #[error("the chart cannot be written as PNG")]
    Png(#[from] png::EncodingError),
}

/// A drawing surface, whatever it ends as.
type Area<'a, DB> = DrawingArea<DB, Shift>;

/// The figure as SVG. Fonts are named, not embedded: `sans-serif`.
///
/// # Errors
/// When it cannot be drawn.
pub fn svg(figure: &Figure) -> Result<String, ChartError> {
    let (width, height) = layout::size(figure);
    let mut text = String::new();
    draw(
        &SVGBackend::with_string(&mut text, (width, height)).into_drawing_area(),
        figure,
    )?;
    Ok(text)
}

/// The figure as the bytes of a PNG file, without transparency.
///
/// # Errors
/// When it cannot be drawn or written.
pub fn png(figure: &Figure) -> Result<Vec<u8>, ChartError> {
    let (width, height) = layout::size(figure);
    let pixels = usize::try_from(width).unwrap_or(0) * usize::try_from(height).unwrap_or(0);
    let mut buffer = vec![255; pixels * 3];
    let backend = BitMapBackend::with_buffer(&mut buffer, (width, height));
    draw(&backend.into_drawing_area(), figure)?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&buffer)?;
    Ok(file)
}

fn draw<DB: DrawingBackend>(root: &Area<'_, DB>, figure: &Figure) -> Result<(), ChartError> {
    font::register()?;
    layout::draw(root, figure)?;
    root.present().map_err(drawing)
}

fn drawing(error: impl std::fmt::Display) -> ChartError {
    ChartError::Drawing(error.to_string())
}

#[cfg(test)]
mod tests;
