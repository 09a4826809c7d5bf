//! Standard output. A reader that went away (`| head`) ends the printing, never the run.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use super::terminal::Glass;

/// Prints text; remembers that nobody reads any more.
#[derive(Default)]
pub(super) struct Console {
    closed: bool,
    glass: Option<Arc<Glass>>,
}

impl Console {
    /// Whether somebody reads what is printed, as far as anybody knows.
    pub(super) const fn is_open(&self) -> bool {
        !self.closed
    }

    /// A view may take its place, on this terminal.
    pub(super) fn share(&mut self, glass: Option<Arc<Glass>>) {
        self.glass = glass;
    }

    /// Whether a view has its place just now: what goes on is seen there.
    pub(super) fn is_taken(&self) -> bool {
        self.glass.as_ref().is_some_and(|glass| glass.is_up())
    }

    /// Prints `text` as it is.
    pub(super) fn print(&mut self, text: &str) {
        if self.closed {
            return;
        }
        let mut out = io::stdout().lock();
        self.closed = out
            .write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .is_err();
    }
}

/// Columns of the terminal that standard output is, if it is one.
pub(super) fn columns() -> Option<u16> {
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| width.0)
}

/// Prints a message on standard error.
pub(super) fn complain(message: &dyn std::fmt::Display) {
    // Nothing can be done when even that fails.
    let _ = writeln!(io::stderr(), "{message}");
}
