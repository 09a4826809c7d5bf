//! Colours that people with any colour vision tell apart, and that stay apart in grey: Okabe and Ito's, without its yellow.

use plotters::style::RGBColor;

/// Most lines that one panel tells apart.
pub const LINES: usize = 7;

const COLOURS: [RGBColor; LINES] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

/// The colour of the `at`-th thing; they come again after [`LINES`].
pub(super) fn colour(at: usize) -> RGBColor {
    COLOURS.get(at % LINES).copied().unwrap_or(COLOURS[0])
}

/// Of limits.
pub(super) const LIMIT: RGBColor = RGBColor(170, 0, 30);
pub(super) const GRID: RGBColor = RGBColor(225, 225, 225);
/// Of histograms: light enough for lines across it, also in grey.
pub(super) const FILL: RGBColor = RGBColor(163, 206, 233);
