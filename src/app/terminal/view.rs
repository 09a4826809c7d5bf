//! The view of one run on the terminal, from its opening to its end.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::drawing::Drawing;
use super::glass::Glass;
use super::panics;
use super::rules::{self, Place};
use crate::app::failure::Failure;
use crate::app::observe::Observatory;
use crate::app::surroundings::variable;
use crate::app::views::{Doing, Viewer};
use crate::config::Outputs;

/// How often to look whether a terminal that stood still has taken its screen back.
const GLIMPSE: Duration = Duration::from_millis(50);

/// A run on the terminal.
struct TerminalView {
    glass: Arc<Glass>,
    drawing: Option<JoinHandle<()>>,
}

/// Whether a run with these outputs is shown on the terminal that it was started from.
pub(in crate::app) fn is_wanted(outputs: &Outputs) -> bool {
    let place = Place {
        stdin: io::stdin().is_terminal(),
        stdout: io::stdout().is_terminal(),
        stderr: io::stderr().is_terminal(),
        term: variable("TERM"),
    };
    rules::is_wanted(outputs, &place)
}

/// Begins to show a run, as soon as somebody lends the terminal.
pub(in crate::app) fn open(
    outputs: &Outputs,
    observatory: &Observatory,
) -> Option<Box<dyn Viewer>> {
    if !is_wanted(outputs) {
        return None;
    }
    let glass = Glass::open(&io::stdout())
        .inspect_err(|error| {
            tracing::info!(
                "tables instead of the live view: the terminal cannot be opened ({error})"
            );
        })
        .ok()?;
    let glass = Arc::new(glass);
    let drawing = Drawing::new(
        Arc::clone(&glass),
        rules::skin(variable),
        observatory.view(),
    );
    panics::guard(&glass);
    let started = thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(|| drawing.go_on());
    Some(Box::new(TerminalView {
        glass,
        // Without a thread nothing is drawn, and the screen is never ours.
        drawing: started.ok(),
    }))
}

impl Viewer for TerminalView {
    fn close(&mut self) -> Doing<'_, Vec<Failure>> {
        Box::pin(async {
            // The last tables belong on the terminal's own screen.
            while self.glass.owes() {
                tokio::time::sleep(GLIMPSE).await;
            }
            self.end();
            Vec::new()
        })
    }

    fn glass(&self) -> Option<Arc<Glass>> {
        self.drawing.is_some().then(|| Arc::clone(&self.glass))
    }
}

impl TerminalView {
    fn end(&mut self) {
        self.glass.close();
        if let Some(drawing) = self.drawing.take() {
            // A defect of it has been told.
            let _told = drawing.join();
        }
    }
}

impl Drop for TerminalView {
    fn drop(&mut self) {
        self.end();
    }
}
