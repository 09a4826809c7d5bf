//! Sends one answer event by event, each at its own absolute time, and acts out faults on the way.
//! How an event is written is the dialect's matter; how it is counted is `life`'s.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::alarm::Timer;
use super::clock;
use super::course::{Course, Gaps};
use super::dialect::Dialect;
use super::fault::Fault;
use super::life::{End, Life};
use super::place::{Place, Queue};
use super::sse::Sse;
use super::talk::Talk;
use bytes::Bytes;

/// A write never gathers much more than this, however late its events are.
const BATCH: usize = 16_384;

/// The connection is to break here.
#[derive(Debug, thiserror::Error)]
#[error("the script breaks the connection here")]
pub(super) struct Torn;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Queued,
    Running,
    /// The connection breaks at the poll after the next: what was written goes out first.
    Tearing,
    Torn,
    Done,
}

/// One stream under way.
pub(super) struct Stream {
    life: Life,
    talk: Talk,
    dialect: &'static dyn Dialect,
    sse: Sse,
    timer: Timer,
    queue: Queue,
    stage: Stage,
    gaps: Gaps,
    /// The fault still to come, and the tokens of each choice before it.
    strike: Option<(u32, Fault)>,
    first_token: u64,
    tokens_per_event: u32,
    tick: u64,
    ping_every: u64,
    next_ping: u64,
    /// Tokens of each choice sent.
    sent: u32,
    /// The next event's time by the sum of the gaps, and the tick it is due at.
    exact: u64,
    due: u64,
}

impl Stream {
    pub(super) fn new(
        life: Life,
        mut talk: Talk,
        course: &Course,
        dialect: &'static dyn Dialect,
        queue: Queue,
    ) -> Self {
        let lane = Arc::clone(life.lane());
        let script = lane.script();
        talk.head = dialect.head(&talk);
        let nanos = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let strike = course.fault.and_then(|fault| {
            let after = fault.strikes_after()?;
            Some((after.min(course.tokens), fault))
        });
        Self {
            sse: Sse::new(script.line_end(), script.stamp),
            timer: lane.timer(),
            queue,
            stage: Stage::Queued,
            gaps: Gaps::new(script, talk.number),
            strike,
            first_token: course.first_token,
            tokens_per_event: script.tokens_per_event,
            tick: script.tick.map_or(1, nanos),
            ping_every: script.ping_every.map_or(0, nanos),
            next_ping: u64::MAX,
            sent: 0,
            exact: 0,
            due: 0,
            life,
            talk,
            dialect,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Done && self.sse.len() == 0
    }

    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Torn>>> {
        if self.stage == Stage::Queued {
            let place = ready!(self.queue.poll_turn(cx));
            self.admit(place);
        }
        loop {
            match self.stage {
                Stage::Queued | Stage::Running => {}
                Stage::Tearing => {
                    self.stage = Stage::Torn;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Stage::Torn => {
                    self.stage = Stage::Done;
                    return Poll::Ready(Some(Err(Torn)));
                }
                Stage::Done => return Poll::Ready(None),
            }
            let now = clock::now();
            self.catch_up(now);
            if let Some(bytes) = self.flush() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if self.stage == Stage::Running {
                ready!(self.timer.poll_until(cx, self.due.min(self.next_ping)));
            }
        }
    }

    /// Its turn has come: time begins to count, at the latest of receipt and admission.
    fn admit(&mut self, place: Option<Place>) {
        let now = clock::now();
        let start = if self.queue.is_waiting() {
            now
        } else {
            self.life.start()
        };
        self.life.admit(place);
        self.stage = Stage::Running;
        self.exact = start.saturating_add(self.first_token);
        if self.ping_every > 0 {
            self.next_ping = start.saturating_add(self.ping_every);
        }
        self.due = if self.strikes_now() {
            start
        } else {
            self.on_tick(self.exact)
        };
        self.sse.set_time(now);
        self.dialect.opening(&self.talk, &mut self.sse);
    }

    /// Writes all that is due.
    fn catch_up(&mut self, now: u64) {
        self.sse.set_time(now);
        while self.stage == Stage::Running && self.due <= now && self.sse.len() < BATCH {
            self.advance(now);
        }
        if self.stage == Stage::Running && self.next_ping <= now {
            self.dialect.ping(&mut self.sse);
            let missed = (now - self.next_ping) / self.ping_every;
            self.next_ping += (missed + 1) * self.ping_every;
        }
    }

    fn flush(&mut self) -> Option<Bytes> {
        if self.sse.len() == 0 {
            return None;
        }
        let (bytes, events) = self.sse.take();
        self.life.lane().stats().events.add(events);
        Some(bytes)
    }

    /// One thing more: the fault, some tokens of each choice, or the end.
    fn advance(&mut self, now: u64) {
        if self.strikes_now() {
            self.strike(now);
        } else if self.sent < self.talk.tokens {
            self.step(now);
        } else {
            self.dialect.ending(&self.talk, &mut self.sse);
            self.finish(now, End::Completed);
        }
    }

    fn strikes_now(&self) -> bool {
        self.strike.is_some_and(|(after, _)| after == self.sent)
    }

    fn step(&mut self, now: u64) {
        let upto = self.step_end();
        for choice in 0..self.talk.choices {
            self.dialect
                .step(&self.talk, &mut self.sse, choice, self.sent..upto);
        }
        let choices = u64::from(self.talk.choices);
        let tokens = u64::from(upto - self.sent) * choices;
        self.life.sent(now, choices, tokens);
        self.life.lane().late(now - self.due);
        self.sent = upto;
        self.set_due();
    }

    /// Where the next event ends: never across the end of the reasoning or a fault.
    fn step_end(&self) -> u32 {
        let mut end = self
            .sent
            .saturating_add(self.tokens_per_event)
            .min(self.talk.tokens);
        if self.sent < self.talk.reasoning {
            end = end.min(self.talk.reasoning);
        }
        match self.strike {
            Some((after, _)) if after > self.sent => end.min(after),
            _ => end,
        }
    }

    /// When the next tokens are due; a fault and the end come along with the last ones.
    fn set_due(&mut self) {
        if self.sent < self.talk.tokens && !self.strikes_now() {
            if self.sent > 0 {
                let span = self.gaps.span(self.step_end() - self.sent);
                self.exact = self.exact.saturating_add(span);
            }
            self.due = self.on_tick(self.exact);
        }
    }

    /// The first tick at or after a time; ticks count from the server's start.
    fn on_tick(&self, at: u64) -> u64 {
        let epoch = self.life.lane().stats().epoch().nanos();
        let since = at.saturating_sub(epoch);
        epoch.saturating_add(since.div_ceil(self.tick).saturating_mul(self.tick))
    }

    fn strike(&mut self, now: u64) {
        let Some((_, fault)) = self.strike.take() else {
            return;
        };
        match fault {
            Fault::Stall { wait, .. } => {
                let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
                self.exact = self.exact.saturating_add(wait);
                self.due = self.on_tick(self.exact);
                self.set_due();
            }
            Fault::Malformed(_) => {
                self.dialect.broken_event(&self.talk, &mut self.sse);
                self.set_due();
            }
            Fault::ErrorInStream(_) => {
                self.dialect.error_event(&self.talk, &mut self.sse);
                self.finish(now, End::Broken);
            }
            Fault::Drop(_) => {
                self.finish(now, End::Broken);
                self.stage = Stage::Tearing;
            }
            // Of those that strike in mid-stream, only the cut is left.
            _ => self.finish(now, End::Broken),
        }
    }

    fn finish(&mut self, now: u64, end: End) {
        self.life.end(now, end);
        self.stage = Stage::Done;
    }
}
