//! One request from its start to its record: the exchange, and what may end it from outside.

use std::rc::Rc;

use bytes::Bytes;
use http::Request;

use super::control::Control;
use super::core::Core;
use super::reading::{Asked, Ended, Reading, Slot, Wanted};
use super::watchdog::{Called, Watched};
use crate::client::{Clock, Failure, Transport};
use crate::domain::{Index, Keep, Offset, Outcome, Record};
use crate::provider::Decoder;

/// A request put into words, ready to be sent.
pub(super) struct Prepared {
    pub(super) index: Index,
    pub(super) asked: Asked,
    /// Reads the answer.
    pub(super) decoder: Box<dyn Decoder>,
    /// What goes over the wire; a request that cannot be put into words fails without being sent.
    pub(super) request: Result<Request<Bytes>, Failure>,
    /// When it was let in, if somebody has to.
    pub(super) let_in: Option<Offset>,
}

impl<T: Transport + 'static> Core<T> {
    /// Sends one request and sees it to its end. `user` carries it. With the time at which it is due
    /// comes by how much the run's time is behind the clock.
    pub(super) async fn carry(
        &self,
        user: u32,
        prepared: Prepared,
        (due, behind_ns): (Offset, i64),
        ready: Offset,
    ) -> Carried {
        let Prepared {
            index,
            asked,
            decoder,
            request,
            let_in,
        } = prepared;
        let request = self.still_let_in(request, let_in);
        let _defects = DefectWatch {
            control: &self.control,
            clock: self.clock,
        };
        let watched = Watched::new(self.job.limits());
        let _watch = self.watchdog.watch(&watched, self.clock.now());
        let reading = Reading::new(self.clock, Rc::clone(&watched), decoder, self.keeps_text())
            .wanting(Wanted {
                answer: asked.is_turn() || self.job.plan.observe.answers == Some(Keep::Text),
                first_event_alone: self.job.drops(index),
            });
        let is_turn = asked.is_turn();
        let ended = exchange(&*self.transport, user, request, &watched, &reading).await;
        let slot = Slot {
            index,
            due,
            behind_ns,
            ready,
        };
        let spec = &self.job.plan.provider;
        let mut finished = reading.close(ended, slot, asked, spec.streams());
        finished.record.choices = spec.sampling.n.unwrap_or(1);
        let answer = is_turn.then(|| finished.answer.clone()).flatten();
        let carried = Carried::of(&finished.record, answer);
        if let Some(last) = finished.record.marks.last() {
            let events = finished.record.marks.len() as u64;
            self.meter.count_events(last.at, events, finished.shared);
        }
        self.finish(finished).await;
        carried
    }
}

impl<T: Transport + 'static> Core<T> {
    /// A request that was put into words long ago is let in once more.
    fn still_let_in(
        &self,
        request: Result<Request<Bytes>, Failure>,
        let_in: Option<Offset>,
    ) -> Result<Request<Bytes>, Failure> {
        let mut request = request?;
        if let (Some(authority), Some(since)) = (&self.job.authority, let_in)
            && self.clock.now().since(since) > authority.lasts()
        {
            self.job.authorize(&mut request)?;
        }
        Ok(request)
    }
}

/// What whoever carried a request needs to know of its end.
pub(super) struct Carried {
    pub(super) end: Offset,
    /// The visible text of a good answer, of a conversation's turn alone.
    pub(super) answer: Option<String>,
    /// It failed before there was a connection.
    pub(super) unreached: bool,
}

impl Carried {
    fn of(record: &Record, answer: Option<String>) -> Self {
        let nowhere = matches!(
            record.outcome,
            Outcome::Connect | Outcome::Dns | Outcome::Tls | Outcome::TimeoutConnect
        );
        Self {
            end: record.end,
            answer: answer.filter(|_| record.outcome.is_good()),
            unreached: nowhere && record.begun.is_none(),
        }
    }
}

/// One exchange, to its end or until it is called off.
pub(super) async fn exchange(
    transport: &impl Transport,
    user: u32,
    request: Result<Request<Bytes>, Failure>,
    watched: &Watched,
    reading: &Reading,
) -> Ended {
    let speak = async { transport.exchange(user, request?, reading).await };
    match watched.follow(std::pin::pin!(speak)).await {
        Ok(result) => Ended::Done(result),
        Err(Called::Cancelled) => Ended::Cancelled,
        Err(Called::TimedOut(which)) => Ended::TimedOut(which),
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
