//! The sampled requests of this machine as spans for a collector: one of those who want every finished request.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::Span;

use super::Collector;
use super::courier::{Courier, Parcel};
use crate::app::failure::Failure;
use crate::app::records::Sink;
use crate::domain::Record;
use crate::plan::Plan;
use crate::telemetry::{self, Tracer};

/// Spans of one message.
const BATCH: usize = 512;

/// Makes spans and sends them off.
pub(in crate::app) struct Spans {
    courier: Courier,
    tracer: Tracer,
    run: u64,
    worker: u32,
    zero: u64,
    batch: Vec<Span>,
}

impl Spans {
    /// Those of the share `sample` of the requests of `plan`, of the worker with this number.
    pub(in crate::app) fn open(
        collector: &Collector,
        (run, worker): (u64, u32),
        plan: &Plan,
        sample: f64,
    ) -> Result<Self, Failure> {
        Ok(Self {
            courier: Courier::start(collector, "otlp-spans")?,
            tracer: Tracer::new(run, plan, sample),
            run,
            worker,
            zero: 0,
            batch: Vec::new(),
        })
    }

    fn send(&mut self) {
        let spans = std::mem::take(&mut self.batch);
        let items = spans.len() as u64;
        if items > 0 {
            let version = env!("CARGO_PKG_VERSION");
            self.courier.send(Parcel {
                path: "/v1/traces",
                body: telemetry::spans_message(self.run, self.worker, version, spans),
                items,
            });
        }
    }
}

impl Sink for Spans {
    fn begin(&mut self, zero: SystemTime) {
        let since = zero.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.zero = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    }

    fn take(&mut self, record: &Record) -> Result<(), Failure> {
        self.batch.extend(self.tracer.span(record, self.zero));
        if self.batch.len() >= BATCH {
            self.send();
        }
        Ok(())
    }

    /// Spans wait for others to go with, or for the end.
    fn idle(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<(), Failure> {
        self.send();
        let failure = self.courier.end().wait_blocking("spans");
        failure.map_or(Ok(()), Err)
    }
}
