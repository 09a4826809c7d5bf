//! One request from its start to its record: the exchange, and what may end it from outside.

use std::rc::Rc;

use bytes::Bytes;
use http::Request;

use super::control::Control;
use super::core::Core;
use super::reading::{Asked, Ended, Reading, Slot};
use super::watchdog::{Called, Watched};
use crate::client::{Clock, Failure, Transport};
use crate::domain::{Index, Offset};
use crate::plan::Limits;
use crate::provider::Decoder;

/// A request put into words, ready to be sent.
pub(super) struct Prepared {
    pub(super) index: Index,
    pub(super) asked: Asked,
    /// Reads the answer.
    pub(super) decoder: Box<dyn Decoder>,
    /// What goes over the wire; a request that cannot be put into words fails without being sent.
    pub(super) request: Result<Request<Bytes>, Failure>,
}

impl<T: Transport + 'static> Core<T> {
    /// Sends one request and sees it to its end, which is returned. `user` carries it. With the time at which it is due
    /// comes by how much the run's time is behind the clock.
    pub(super) async fn carry(
        &self,
        user: u32,
        prepared: Prepared,
        (due, behind_ns): (Offset, i64),
        ready: Offset,
    ) -> Offset {
        let Prepared {
            index,
            asked,
            decoder,
            request,
        } = prepared;
        let _defects = DefectWatch {
            control: &self.control,
            clock: self.clock,
        };
        let watched = Watched::new(self.limits());
        let _watch = self.watchdog.watch(&watched, self.clock.now());
        let reading = Reading::new(self.clock, Rc::clone(&watched), decoder, self.keeps_text());
        let ended = {
            let exchange = std::pin::pin!(self.speak(user, request, &reading));
            match watched.follow(exchange).await {
                Ok(result) => Ended::Done(result),
                Err(Called::Cancelled) => Ended::Cancelled,
                Err(Called::TimedOut(which)) => Ended::TimedOut(which),
            }
        };
        let slot = Slot {
            index,
            due,
            behind_ns,
            ready,
        };
        let spec = &self.job.plan.provider;
        let mut finished = reading.close(ended, slot, asked, spec.streams());
        finished.record.choices = spec.sampling.n.unwrap_or(1);
        let end = finished.record.end;
        if let Some(last) = finished.record.marks.last() {
            let events = finished.record.marks.len() as u64;
            self.meter.count_events(last.at, events, finished.shared);
        }
        self.finish(finished).await;
        end
    }

    /// An answer that comes as a whole has no first token to wait for.
    fn limits(&self) -> Limits {
        let limits = self.job.plan.limits;
        if self.job.plan.provider.streams() {
            limits
        } else {
            Limits {
                first_token: None,
                ..limits
            }
        }
    }

    async fn speak(
        &self,
        user: u32,
        request: Result<Request<Bytes>, Failure>,
        reading: &Reading,
    ) -> Result<(), Failure> {
        self.transport.exchange(user, request?, reading).await
    }
}

/// Notices a panic in the task that holds it: the runtime would swallow it, and a request with it.
struct DefectWatch<'a> {
    control: &'a Control,
    clock: Clock,
}

impl Drop for DefectWatch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.control.note_defect(self.clock.now());
        }
    }
}
