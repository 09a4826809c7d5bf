//! The live view of a run in a terminal, as cells: a function of how the run stands, of what a person looks at, and of the
//! terminal's size. Nothing is written, read or waited for here, and no key is listened to.

mod chart;
mod course;
mod errors;
mod figure;
mod help;
mod latency;
mod load;
mod log;
mod look;
mod pages;
mod progress;
mod sheet;
mod skin;
mod small;
mod spark;
mod trust;
mod workers;

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};

use crate::plan::Plan;
use crate::report::Standing;

pub use course::Course;
pub use look::{Glance, Look, Page};
pub use skin::Skin;

/// Everything that is shown.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// Whether there are workers in other processes.
    pub cluster: bool,
    /// How the run stands.
    pub standing: &'a Standing,
    /// How it went up to now.
    pub course: &'a Course,
    /// The last lines of the log, in order.
    pub log: &'a [Arc<str>],
}

/// The cells of a terminal of this size. What a person scrolled beyond the end of a list is taken back.
pub fn draw(scene: &Scene<'_>, look: &mut Look, skin: Skin, size: Size) -> Buffer {
    let area = Rect::new(0, 0, size.width, size.height);
    let mut buffer = Buffer::empty(area);
    if area.width > 0 && area.height > 0 {
        pages::draw(scene, look, &mut buffer);
        skin.fit(&mut buffer);
    }
    buffer
}

#[cfg(test)]
mod tests;
