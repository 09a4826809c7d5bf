//! A run to watch, for the tests of views: its events are made by hand.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use time::macros::datetime;
use tokio::sync::{mpsc, watch};

use super::Prospect;
use crate::cluster::{Gauges, MasterCommand, MasterEvent};
use crate::domain::{Offset, Outcome};
use crate::metrics::{Metric, Tally};
use crate::plan::Plan;
use crate::provider::Endpoint;
use crate::report::sample;

/// What a run is made of.
pub(in crate::app) struct Run {
    plan: Plan,
    endpoint: Endpoint,
}

impl Run {
    /// A run of four users.
    pub(in crate::app) fn new() -> Self {
        Self {
            plan: sample::closed().plan,
            endpoint: Endpoint {
                method: Method::POST,
                path: Cow::Borrowed("/v1/chat/completions"),
            },
        }
    }

    /// It, before its start.
    pub(in crate::app) fn prospect(&self, orders: mpsc::Sender<MasterCommand>) -> Prospect<'_> {
        Prospect {
            run: 0xabc,
            plan: &self.plan,
            endpoint: &self.endpoint,
            cluster: false,
            command: "llmload run".to_owned(),
            orders,
            clock_zero: datetime!(2026-01-02 03:04:05 UTC),
            epochs: &[],
            past: None,
            server: watch::channel(None).1,
        }
    }
}

/// Second number `second` of a run, from 1: so many good requests of 100 ms, and 50 ms to the first token.
pub(in crate::app) fn merged(second: u64, requests: u64) -> MasterEvent {
    let mut delta = Tally::default();
    delta.counts.scheduled = requests;
    delta.counts.sent = requests;
    let phase = &mut delta.measured;
    phase.outcomes.insert(Outcome::Ok, requests);
    phase.output_tokens = 10 * requests;
    for (metric, nanos) in [
        (Metric::TimeToFirstToken, 50_000_000),
        (Metric::TotalLatency, 100_000_000),
    ] {
        let series = phase.series.entry(metric).or_default();
        series.record_n(nanos, requests);
    }
    MasterEvent::Merged {
        delta: Arc::new(delta),
        to: Offset::from_nanos(second * 1_000_000_000),
        gauges: Gauges {
            users: 4,
            in_flight: 0,
            waiting: 0,
        },
    }
}
