//! One request from its start to its record: the exchange, its time-outs, its cancellation.

use std::future::pending;

use bytes::Bytes;
use http::Request;

use super::control::Control;
use super::core::Core;
use super::reading::{Ended, Reading, TimedOut};
use crate::client::{Clock, Failure, Transport};
use crate::domain::{Ask, Index, Offset};
use crate::plan::Limits;

/// A request put into words, ready to be sent.
pub(super) struct Prepared {
    pub(super) index: Index,
    pub(super) ask: Ask,
    /// What goes over the wire; a request that cannot be put into words fails without being sent.
    pub(super) request: Result<Request<Bytes>, Failure>,
}

impl<T: Transport + 'static> Core<T> {
    /// Sends one request and sees it to its end. `user` carries it; it was due at `due`.
    pub(super) async fn carry(&self, user: u32, prepared: Prepared, due: Offset) {
        let Prepared {
            index,
            ask,
            request,
        } = prepared;
        let _watched = DefectWatch {
            control: &self.control,
            clock: self.clock,
        };
        let reading = Reading::new(self.clock, self.job.provider.decoder(), self.keeps_text());
        let ended = tokio::select! {
            biased;
            result = self.speak(user, request, &reading) => Ended::Done(result),
            () = self.drained.cancelled() => Ended::Cancelled,
            which = watch(self.limits(), &reading, self.clock) => Ended::TimedOut(which),
        };
        let finished = reading.close(ended, index, due, &ask, self.job.plan.provider.stream);
        self.finish(finished).await;
    }

    /// An answer that comes as a whole has no first token to wait for.
    fn limits(&self) -> Limits {
        let limits = self.job.plan.limits;
        if self.job.plan.provider.stream {
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

/// Returns when a time-out is over. Sleeps to the earliest one and looks again, so that no read resets a timer.
async fn watch(limits: Limits, reading: &Reading, clock: Clock) -> TimedOut {
    let Some(shortest) = [limits.total, limits.first_token, limits.idle]
        .into_iter()
        .flatten()
        .min()
    else {
        return pending().await;
    };
    loop {
        let at = match next_deadline(&limits, reading) {
            Some((at, which)) if clock.now() >= at => return which,
            Some((at, _)) => at,
            // Connecting has its own time-out; these count from the connection, so none is over before this.
            None if reading.begun.get().is_none() => clock.now() + shortest,
            None => return pending().await,
        };
        tokio::time::sleep_until(clock.instant_of(at)).await;
    }
}

/// The earliest time-out as things stand; it can only move later.
fn next_deadline(limits: &Limits, reading: &Reading) -> Option<(Offset, TimedOut)> {
    let begun = reading.begun.get()?;
    let total = limits
        .total
        .map(|limit| (begun + limit, TimedOut::Total(limit)));
    let waiting = !reading.has_content.get();
    let first = limits
        .first_token
        .filter(|_| waiting)
        .map(|limit| (begun + limit, TimedOut::FirstToken(limit)));
    let idle = limits
        .idle
        .map(|limit| (reading.last_activity.get() + limit, TimedOut::Idle(limit)));
    [total, first, idle]
        .into_iter()
        .flatten()
        .min_by_key(|&(at, _)| at)
}
