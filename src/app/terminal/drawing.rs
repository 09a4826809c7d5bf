//! The thread that draws: it looks a few times a second whether something is new, and brings what is different on the screen.
//! It waits for the terminal alone, and shows the last state when that takes something again; the run does not wait for it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::Buffer;
use tokio::sync::watch;
use tokio::time::Instant;

use super::glass::{ENTER, Glass, Surface};
use crate::app::logging;
use crate::app::observe::View;
use crate::plan::Plan;
use crate::report::{History, Standing};
use crate::tui::{Course, Scene, Skin, draw};

/// From one picture to the next at least.
const STEP: Duration = Duration::from_millis(200);
/// Lines of the log that can be scrolled back to.
const LINES: usize = 1_000;
/// Clears a screen.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

/// Draws one run.
pub(super) struct Drawing {
    glass: Arc<Glass>,
    skin: Skin,
    plan: Arc<Plan>,
    cluster: bool,
    standing: watch::Receiver<Arc<Standing>>,
    history: Arc<Mutex<History>>,
    course: Course,
    log: VecDeque<Arc<str>>,
    seen: u64,
    /// What is on the screen, and how it was looked at.
    shown: Option<(Surface, Buffer)>,
}

impl Drawing {
    pub(super) fn new(glass: Arc<Glass>, skin: Skin, view: View) -> Self {
        Self {
            glass,
            skin,
            plan: view.plan,
            cluster: view.cluster,
            standing: view.standing,
            history: view.history,
            course: Course::default(),
            log: VecDeque::new(),
            seen: 0,
            shown: None,
        }
    }

    /// Draws until there is nothing to draw on any more.
    pub(super) fn go_on(mut self) {
        let mut last = Instant::now();
        while let Some(surface) = self.glass.next(last, STEP) {
            if !self.learn(&surface) {
                continue;
            }
            last = Instant::now();
            if let Err(error) = self.show(surface) {
                tell_of_loss(&self.glass, &error);
                return;
            }
        }
    }

    /// Takes in what is new. Returns whether anything is.
    fn learn(&mut self, surface: &Surface) -> bool {
        let (lines, seen) = logging::lines_after(self.seen);
        let is_said = seen != self.seen;
        self.seen = seen;
        self.log.extend(lines);
        let excess = self.log.len().saturating_sub(LINES);
        self.log.drain(..excess);
        // An error says that the run is over; its last standing is there all the same.
        let is_news = self.standing.has_changed().unwrap_or(false);
        if is_news {
            let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            self.course.follow(&history);
        }
        let is_elsewhere = self
            .shown
            .as_ref()
            .is_none_or(|(shown, _)| shown != surface);
        is_said || is_news || is_elsewhere
    }

    fn show(&mut self, surface: Surface) -> io::Result<()> {
        let standing = Arc::clone(&self.standing.borrow_and_update());
        let scene = Scene {
            plan: &self.plan,
            cluster: self.cluster,
            standing: &standing,
            course: &self.course,
            log: self.log.make_contiguous(),
        };
        let mut look = surface.look;
        let next = draw(&scene, &mut look, self.skin, surface.size);
        let before = self
            .shown
            .take()
            .filter(|(shown, _)| is_the_same_screen(shown, &surface));
        let bytes = difference(before.map(|(_, buffer)| buffer), &next)?;
        if self.glass.write(surface.turn, &bytes)? {
            self.glass.settle(&surface, look);
            self.shown = Some((Surface { look, ..surface }, next));
        }
        Ok(())
    }
}

fn is_the_same_screen(one: &Surface, other: &Surface) -> bool {
    (one.turn, one.size) == (other.turn, other.size)
}

/// What brings a screen from one state to another; from an unknown one, all of it.
fn difference(before: Option<Buffer>, next: &Buffer) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let before = before.unwrap_or_else(|| {
        bytes.extend_from_slice(ENTER);
        bytes.extend_from_slice(CLEAR);
        Buffer::empty(next.area)
    });
    CrosstermBackend::new(&mut bytes).draw(before.diff(next).into_iter())?;
    Ok(bytes)
}

/// The run goes on without a terminal that is gone.
pub(super) fn tell_of_loss(glass: &Glass, error: &dyn std::fmt::Display) {
    if glass.lose() {
        tracing::warn!("the terminal is gone ({error}): the run goes on without its view");
    }
}
