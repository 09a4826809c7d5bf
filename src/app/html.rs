//! A page of HTML in its file. What stands on it is made elsewhere.

use std::path::Path;

use super::failure::Failure;
use super::files::replace;
use crate::page::{Page, html};

/// Replaces the file at `path` by `page`.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_page(path: &Path, page: &Page) -> Result<(), Failure> {
    let text = html(page).map_err(std::io::Error::other);
    text.and_then(|text| replace(path, &text)).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("cannot write `{}`", path.display()));
        Failure::failed(error).hint("the figures printed are whole; is the disk full?")
    })
}
