//! What a run shows while it goes on: its events become tables, files, lines of the log. What they mean is decided elsewhere.

use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::changes::Changes;
use super::conduct::Conductor;
use super::console::Console;
use super::journal::on_the_wall;
use super::live::{Live, in_words};
use super::played::Showing;
use super::signals::Signal;
use super::views::Views;
use crate::cluster::{MasterCommand, MasterEvent};
use crate::plan::Plan;
use crate::suite::Trend;

/// Where a run is shown, and what is kept of it on the way.
pub(super) struct Screen {
    pub(super) shown: Shown,
    pub(super) live: Live,
    pub(super) changes: Changes,
    pub(super) console: Console,
    pub(super) trend: Trend,
    pub(super) begun: Option<OffsetDateTime>,
}

impl Screen {
    /// Whoever conducts the run, from the load that it has by now.
    pub(super) fn conductor(
        &self,
        orders: mpsc::Sender<MasterCommand>,
        signals: mpsc::Receiver<Signal>,
        plan: &Plan,
    ) -> Conductor {
        Conductor::new(orders, signals, &plan.schedule, self.changes.load())
    }

    /// Keys and tables find the terminal by the view that has it, if one has.
    pub(super) fn share(&mut self, conductor: &mut Conductor, views: &Views) {
        conductor.show_on(views.glass());
        self.console.share(views.glass());
    }

    /// Shows an event. Returns whether who else shows the run wants it to end.
    pub(super) fn take(&mut self, showing: &mut Showing<'_>, event: &MasterEvent) -> bool {
        note_start(&mut self.begun, self.shown, event);
        let is_enough = follow(&mut self.trend, showing, event);
        show(
            self.shown,
            event,
            &mut self.live,
            &mut self.changes,
            &mut self.console,
        );
        is_enough
    }
}

/// Keeps how latencies go on, and tells who else shows the run. Returns whether that one has it end.
fn follow(trend: &mut Trend, showing: &mut Showing<'_>, event: &MasterEvent) -> bool {
    if let MasterEvent::Merged { delta, to, .. } = event {
        trend.note(*to, delta);
    }
    showing.note(event)
}

/// Keeps when the run began.
fn note_start(begun: &mut Option<OffsetDateTime>, shown: Shown, event: &MasterEvent) {
    if let MasterEvent::Starting { at } = event {
        *begun = Some(on_the_wall(shown.clock_zero, *at));
    }
}

/// What of a run decides how its events are shown.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    /// One worker in the same process is no news.
    pub(super) cluster: bool,
    /// The wall clock when the master's showed zero.
    pub(super) clock_zero: OffsetDateTime,
}

/// Shows what happens: in tables, in files, in the log.
fn show(
    shown: Shown,
    event: &MasterEvent,
    live: &mut Live,
    changes: &mut Changes,
    console: &mut Console,
) {
    match event {
        MasterEvent::Starting { at } => live.starting(on_the_wall(shown.clock_zero, *at)),
        MasterEvent::Merged { delta, to, gauges } => live.merged(delta, *to, *gauges, console),
        _ => {}
    }
    if let Some(change) = changes.note(event) {
        tracing::info!("{change}");
        return;
    }
    if let Some(words) =
        in_words(event).filter(|_| shown.cluster || matches!(event, MasterEvent::Stopping { .. }))
    {
        tracing::info!("{words}");
    }
}
