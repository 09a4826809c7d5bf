//! The metrics of a run for a collector, as a view: every so often what the page for Prometheus would show, and once more at the end.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Collector;
use super::courier::{Courier, Parcel};
use crate::app::failure::Failure;
use crate::app::observe::View;
use crate::app::surroundings::wall_clock;
use crate::app::views::{Doing, Viewer};
use crate::report::Standing;
use crate::telemetry::{self, Counted, Subject};

/// What tells a collector of a run, while it does.
pub(in crate::app) struct Figures {
    telling: Option<(oneshot::Sender<()>, JoinSet<Courier>)>,
}

impl Figures {
    /// Tells it every `step` from now on.
    pub(in crate::app) fn open(
        collector: &Collector,
        step: Duration,
        view: View,
    ) -> Result<Self, Failure> {
        let courier = Courier::start(collector, "otlp-metrics")?;
        let (over, ended) = oneshot::channel();
        let mut telling = JoinSet::new();
        telling.spawn(tell(courier, step, view, ended));
        Ok(Self {
            telling: Some((over, telling)),
        })
    }
}

impl Viewer for Figures {
    fn close(&mut self) -> Doing<'_, Vec<Failure>> {
        Box::pin(async move {
            let Some((over, mut telling)) = self.telling.take() else {
                return Vec::new();
            };
            // The task ends by this word, or has by a defect that it has told.
            let _ = over.send(());
            let Some(Ok(courier)) = telling.join_next().await else {
                return Vec::new();
            };
            let failure = courier.end().wait("messages of metrics").await;
            failure.into_iter().collect()
        })
    }
}

async fn tell(
    mut courier: Courier,
    step: Duration,
    view: View,
    mut ended: oneshot::Receiver<()>,
) -> Courier {
    let mut ticks = interval_at(Instant::now() + step, step);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = tokio::select! {
            _ = ticks.tick() => false,
            _ = &mut ended => true,
        };
        let standing = Arc::clone(&view.standing.borrow());
        if let Some(parcel) = message(view.clone(), standing).await {
            courier.send(parcel);
        }
        if is_last {
            return courier;
        }
    }
}

/// What there is to be told now: nothing before the start.
async fn message(view: View, standing: Arc<Standing>) -> Option<Parcel> {
    let from = unix_nanos(standing.started_at?);
    let to = unix_nanos(OffsetDateTime::from(wall_clock()));
    let made = spawn_blocking(move || {
        let subject = Subject {
            run: view.run,
            plan: &view.plan,
            path: &view.endpoint.path,
            version: env!("CARGO_PKG_VERSION"),
            part: None,
        };
        telemetry::metrics_message(&subject, &standing, Counted { from, to })
    });
    Some(Parcel {
        path: "/v1/metrics",
        body: made.await.ok()?,
        items: 1,
    })
}

fn unix_nanos(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos()).unwrap_or_default()
}
