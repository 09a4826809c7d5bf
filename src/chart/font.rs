//! The one font of all charts, built in: no system has to have one.

use std::sync::OnceLock;

use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, register_font};

use super::ChartError;

/// SVG viewers take their own font of that name; PNG files are drawn with the one registered here.
const FAMILY: &str = "sans-serif";

pub(super) const INK: RGBColor = RGBColor(30, 30, 30);

/// Makes the font known to the drawing library, once.
pub(super) fn register() -> Result<(), ChartError> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        register_font(
            FAMILY,
            FontStyle::Normal,
            epaint_default_fonts::UBUNTU_LIGHT,
        )
        .is_ok()
    });
    done.then_some(()).ok_or(ChartError::Font)
}

/// Text of `size` pixels.
pub(super) fn text(size: u32) -> TextStyle<'static> {
    (FAMILY, size).into_font().color(&INK.to_rgba())
}
