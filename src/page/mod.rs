//! One page of HTML that needs nothing else: texts, tables, and charts that can be hovered and zoomed.
//! A description of the page in, HTML text out: it knows no run and no metric.

mod anchor;
mod drawn;
mod figures;
mod listing;
mod outline;
mod render;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod thin;

use serde::Serialize;

pub(crate) use outline::{axis, counted, log_axis, on_axis, series, table, text};

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Page {
    /// The title.
    pub title: String,
    /// What stands below it: where, what, when.
    pub subtitle: String,
    /// What must be said before all figures; none where there is nothing.
    pub notices: Vec<Notice>,
    /// The few figures that tell most.
    pub facts: Vec<Fact>,
    /// The rest, in order; the page begins with their list.
    pub sections: Vec<Section>,
    /// What made it, with its version.
    pub made_by: String,
}

/// How grave a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is well.
    Good,
    /// To be known.
    Note,
    /// To be doubted.
    Warning,
    /// Not to be used.
    Bad,
}

/// Words that must be seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notice {
    /// How grave.
    pub level: Level,
    /// The words in large: `INVALID`.
    pub word: String,
    /// The sentence behind it.
    pub text: String,
}

/// A figure with its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Fact {
    /// The name.
    pub name: String,
    /// The figure as it is to be shown.
    pub value: String,
    /// Its unit; may be empty.
    pub unit: String,
    /// What else is to be said, in small; may be empty.
    pub note: String,
}

/// A part of the page with a heading.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Section {
    /// The heading; its anchor is made of it.
    pub heading: String,
    /// What stands there.
    pub blocks: Vec<Block>,
}

/// What a section is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "block", rename_all = "lowercase")]
pub enum Block {
    /// A paragraph.
    Text {
        /// Its words.
        text: String,
    },
    /// A table.
    Table(Table),
    /// A chart.
    Chart(Chart),
    /// Text to be copied: a command line, a file.
    Code {
        /// What it is.
        title: String,
        /// The text.
        text: String,
    },
    /// Blocks that are shown when they are asked for.
    Folded {
        /// What is there.
        title: String,
        /// The blocks.
        blocks: Vec<Block>,
    },
}

/// A table. Its first column names the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The headings.
    pub columns: Vec<Column>,
    /// The cells, a list a row.
    pub rows: Vec<Vec<String>>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// Its cells are numbers: set to the right.
    pub is_number: bool,
}

/// A chart. All values are plain numbers in the units of the axes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Chart {
    /// The title.
    pub title: String,
    /// What is to be seen there, in one or two sentences, for who does not see it.
    pub summary: String,
    /// From left to right.
    pub x: Axis,
    /// From below: one to three; the first is on the left, the others on the right.
    pub y: Vec<Axis>,
    /// What is drawn.
    pub series: Vec<Series>,
    /// Lines across it that tell a limit, or a moment, and words at points.
    pub marks: Vec<Mark>,
    /// Charts of one group share their x axis: where one is zoomed, all are. Empty: none.
    pub group: String,
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Axis {
    /// What it is.
    pub name: String,
    /// Its unit; may be empty.
    pub unit: String,
    /// How it is divided.
    pub scale: Scale,
    /// Where it begins, if not where the values do. A linear axis begins at 0 where all values are above it.
    pub min: Option<f64>,
    /// Where it ends, if not where the values do.
    pub max: Option<f64>,
}

/// How an axis is divided.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By powers of ten.
    Log,
    /// Percentiles from 0 to below 100: evenly in −log₁₀(1 − p), labelled 0, 50, 90, 99, 99.9 …; values are p from 0 to 1.
    Percentile,
    /// Names at the places 0, 1, 2 …
    Names(Vec<String>),
}

/// How values are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A line through the points; a gap where a value is missing.
    #[default]
    Line,
    /// The same, dashed.
    Dashed,
    /// A line that keeps each value up to the next.
    Steps,
    /// Points alone.
    Points,
    /// Bars; on an axis of numbers each is as wide as the way to the next.
    Bars,
    /// Bars on top of those of the series before.
    Stacked,
}

/// Values that are drawn alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// How they are drawn.
    pub kind: Kind,
    /// Which of the axes from below.
    pub axis: usize,
    /// The points, by x.
    pub points: Vec<Point>,
}

/// A point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// Where; none for a gap.
    pub y: Option<f64>,
    /// From here to there it may lie, or a share of the values does.
    pub spread: Option<(f64, f64)>,
}

/// A line across a chart, or words at a point of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// Its words.
    pub name: String,
    /// Where.
    #[serde(flatten)]
    pub at: At,
}

/// Where a mark is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// A vertical line at this place of the x axis.
    X(f64),
    /// A horizontal line at this value of the first axis from below.
    Y(f64),
    /// Words beside this point of a series on that axis.
    Point([f64; 2]),
    /// The same, with a ring around it: it stands out.
    Ring([f64; 2]),
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The template fails.
    #[error("the page cannot be made")]
    Template(#[from] minijinja::Error),
    /// The charts cannot be written down.
    #[error("the charts cannot be written down")]
    Charts(#[from] serde_json::Error),
}

/// The page as HTML: one file that asks for nothing else, from a disk as from a server. All that it tells can be read
/// without its script; with it, charts are drawn. A series of more than 20,000 points is thinned, its highs and lows kept.
///
/// # Errors
/// When a template fails, which tests have it not do.
pub fn html(page: &Page) -> Result<String, PageError> {
    render::html(page)
}
