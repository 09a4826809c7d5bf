//! What a run that was played leaves to whoever had it played, and who shows it meanwhile. It plays none.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::finish::Finished;
use super::web::{Documents, Site};
use crate::cluster::MasterEvent;
use crate::domain::{Answer, Index};
use crate::metrics::{Summary, Verdict};
use crate::plan::Plan;
use crate::report::page::Course;
use crate::suite::Trend;

/// A run that was played to its end.
#[derive(Debug)]
pub(super) struct Played {
    /// Its exit status.
    pub(super) status: u8,
    /// Why that is not 0.
    pub(super) failure: Option<String>,
    /// The exit status of the signal that came while it went on.
    pub(super) interrupted: Option<u8>,
    /// It was ended before its time, or its load was changed: its figures are not those of the settings.
    pub(super) is_altered: bool,
    /// What was measured, if anything was.
    pub(super) measured: Option<Measured>,
    /// Each answer by itself, where the plan wants that.
    pub(super) answers: BTreeMap<Index, Answer>,
    /// When it began, by the wall clock; `None` if it never did.
    pub(super) begun: Option<OffsetDateTime>,
    /// Its files, where a page offers them.
    pub(super) documents: Option<Documents>,
}

/// Who shows a run.
pub(super) enum Showing<'a> {
    /// It prints its own figures, and listens to keys.
    Itself,
    /// It does, and a page shows it as well, which may have others played after it.
    Web(Arc<Site>),
    /// Somebody else, when it is over.
    Nobody,
    /// Somebody who hears of all that happens.
    To(&'a mut dyn FnMut(&MasterEvent)),
    /// The same, who ends it by `true`: what is in flight is waited for, and dropped when that is said again.
    Until(&'a mut dyn FnMut(&MasterEvent) -> bool),
}

/// What a run measured.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) plan: Plan,
    pub(super) summary: Summary,
    pub(super) verdict: Option<Verdict>,
    pub(super) trend: Trend,
    /// How it went, where that was to be kept.
    pub(super) course: Option<Course>,
}

impl Showing<'_> {
    pub(super) const fn is_quiet(&self) -> bool {
        !matches!(self, Self::Itself | Self::Web(_))
    }

    /// The page that shows it.
    pub(super) const fn site(&self) -> Option<&Arc<Site>> {
        match self {
            Self::Web(site) => Some(site),
            _ => None,
        }
    }

    /// Tells whoever shows it what happens. Returns whether the run is to end.
    pub(super) fn note(&mut self, event: &MasterEvent) -> bool {
        match self {
            Self::Itself | Self::Web(_) | Self::Nobody => false,
            Self::To(watcher) => {
                watcher(event);
                false
            }
            Self::Until(watcher) => watcher(event),
        }
    }
}

impl Played {
    pub(super) fn of(
        finished: Finished,
        interrupted: Option<u8>,
        plan: Plan,
        trend: Trend,
    ) -> Self {
        Self {
            status: finished.status,
            failure: finished.failure,
            interrupted,
            is_altered: false,
            answers: BTreeMap::new(),
            begun: None,
            documents: finished.documents,
            measured: finished.figures.map(|(summary, verdict)| Measured {
                plan,
                summary,
                verdict,
                trend,
                course: finished.course,
            }),
        }
    }

    /// A run that was left by its user, with everything that it measured.
    pub(super) const fn left(status: u8) -> Self {
        Self {
            status,
            failure: None,
            interrupted: Some(status),
            is_altered: true,
            measured: None,
            answers: BTreeMap::new(),
            begun: None,
            documents: None,
        }
    }
}
