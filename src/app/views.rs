//! The views of one run: which there are is decided by its settings, and all of them live by this order. Before the run they
//! are opened, so that what cannot work is found in time; they hear of it while it goes on; when it is over each brings
//! what it holds where it belongs; and some stay for a while, for whoever comes late. What a view shows is its own matter.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use super::conduct::Conductor;
use super::database::Seconds;
use super::failure::Failure;
use super::observe::{Observation, Observatory, Outcome, Prospect};
use super::otlp::{Collector, Figures};
use super::prometheus::Prometheus;
use super::signals::Signal;
use super::terminal::{self, Glass};
use super::web::Site;
use crate::cluster::MasterEvent;
use crate::config::Settings;

/// What a view does in its own time.
pub(super) type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One view of a run, from its opening on.
pub(super) trait Viewer: Send {
    /// The run is over, and its last standing is out: brings what it holds where it belongs. Says what went wrong in all its
    /// time, which is told at the end, beside what the run itself came to.
    fn close(&mut self) -> Doing<'_, Vec<Failure>>;

    /// The terminal that it shows the run on, for whoever has that terminal's keys.
    fn glass(&self) -> Option<Arc<Glass>> {
        None
    }

    /// All is told: stays for whoever comes late, if it was asked to.
    fn linger(self: Box<Self>) -> Doing<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// All views of a run.
pub(super) struct Views {
    observation: Option<Observation>,
    open: Vec<Box<dyn Viewer>>,
}

impl Views {
    /// Opens what the settings ask for. Without any, nothing is followed.
    pub(super) async fn open(
        settings: &Settings,
        prospect: Prospect<'_>,
        site: Option<&Arc<Site>>,
    ) -> Result<Self, Failure> {
        if !is_any_wanted(settings) && site.is_none() {
            return Ok(Self {
                observation: None,
                open: Vec::new(),
            });
        }
        let mut observatory = Observatory::new(prospect)?;
        let mut open = wanted(settings, &mut observatory).await?;
        if let Some(site) = site {
            open.push(site.attach(&mut observatory));
        }
        Ok(Self {
            observation: Some(observatory.open()),
            open,
        })
    }

    /// The terminal that the run is shown on, if it is.
    pub(super) fn glass(&self) -> Option<Arc<Glass>> {
        self.open.iter().find_map(|view| view.glass())
    }

    /// Takes note of what happens. Does not wait.
    pub(super) fn note(&mut self, event: &MasterEvent) {
        if let Some(observation) = &mut self.observation {
            observation.note(event);
        }
    }

    /// The run is over: each view ends, unless somebody does not want to wait for it. Returns what went wrong.
    pub(super) async fn close(
        &mut self,
        outcome: impl FnOnce() -> Outcome,
        conductor: &mut Conductor,
    ) -> Vec<Failure> {
        let Some(observation) = self.observation.take() else {
            return Vec::new();
        };
        observation.end(outcome()).await;
        let mut failures = Vec::new();
        for view in &mut self.open {
            tokio::select! {
                went_wrong = view.close() => failures.extend(went_wrong),
                Some(_) = conductor.signal() => break,
            }
        }
        failures
    }

    /// Waits for those that stay, until a signal comes. A run that was told to go by other than Ctrl-C is waited for by who told it.
    pub(super) async fn linger(self, conductor: &mut Conductor) {
        if !matches!(conductor.last_signal(), None | Some(Signal::Interrupt)) {
            return;
        }
        let mut staying: VecDeque<_> = self.open.into_iter().map(Viewer::linger).collect();
        let all = async {
            while let Some(view) = staying.pop_front() {
                view.await;
            }
        };
        tokio::select! {
            () = all => {}
            Some(_) = conductor.signal() => {}
        }
    }
}

/// Whether the settings ask for any view.
fn is_any_wanted(settings: &Settings) -> bool {
    let telemetry = &settings.telemetry;
    telemetry.prometheus.is_some()
        || telemetry.otlp.is_some()
        || settings.database.is_some()
        || terminal::is_wanted(&settings.outputs)
}

/// The views that the settings ask for, opened.
async fn wanted(
    settings: &Settings,
    observatory: &mut Observatory,
) -> Result<Vec<Box<dyn Viewer>>, Failure> {
    let mut views: Vec<Box<dyn Viewer>> = Vec::new();
    let telemetry = &settings.telemetry;
    if let Some(page) = &telemetry.prometheus {
        let page = Prometheus::open(page, observatory.view()).await?;
        views.push(Box::new(page));
    }
    if let Some(database) = &settings.database {
        views.push(Box::new(Seconds::open(database, observatory).await?));
    }
    if let Some(otlp) = &telemetry.otlp {
        let collector = Collector::own(otlp)?;
        let figures = Figures::open(&collector, telemetry.otlp_step, observatory.view())?;
        views.push(Box::new(figures));
    }
    // The last one: what cannot be opened is told on the terminal as it was.
    views.extend(terminal::open(&settings.outputs, observatory));
    Ok(views)
}
