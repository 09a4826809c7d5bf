//! Standard output. A reader that went away (`| head`) ends the printing, never the run.

use std::io::{self, IsTerminal, Write};

/// Prints text; remembers that nobody reads any more.
#[derive(Debug, Default)]
pub(super) struct Console {
    closed: bool,
}

impl Console {
    /// Whether somebody reads what is printed, as far as anybody knows.
    pub(super) const fn is_open(&self) -> bool {
        !self.closed
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
