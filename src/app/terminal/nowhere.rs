//! Systems whose terminals are others: there is no live view.

use crate::app::observe::Observatory;
use crate::app::views::Viewer;
use crate::config::Outputs;
use crate::tui::Glance;

/// There is none.
pub(in crate::app) enum Glass {}

impl Glass {
    pub(in crate::app) const fn is_up(&self) -> bool {
        match *self {}
    }

    pub(in crate::app) const fn turn(&self, _: Glance) -> bool {
        match *self {}
    }
}

pub(in crate::app) const fn is_wanted(_: &Outputs) -> bool {
    false
}

pub(in crate::app) fn open(_: &Outputs, _: &Observatory) -> Option<Box<dyn Viewer>> {
    None
}
