//! The open loop: a request that is due is sent when due, whatever the server does, while a user is free;
//! else it waits in order and is late. Nothing is skipped but what came due while sending was not allowed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::carry::Prepared;
use super::conduct::Known;
use super::control::{Counted, RunTime};
use super::core::{Core, LATE};
use super::crew::Life;
use super::deal::Dealt;
use crate::client::Transport;
use crate::domain::{Index, Offset, Warning};
use crate::schedule::Shard;

/// The users of an open loop: each carries one request at a time.
#[derive(Default)]
pub(super) struct Slots {
    /// Each with the time from which it was free.
    free: RefCell<Vec<(Rc<Life>, Offset)>>,
    freed: Notify,
}

impl Slots {
    /// A user that starts now was free since its start.
    pub(super) fn start(&self, life: Rc<Life>, known: &Known) {
        let at = known.time().local(life.start.get());
        self.free.borrow_mut().push((life, at));
        self.freed.notify_one();
    }

    /// A user is free from `at` on; `false` when its time was over by then, and it is no user any more.
    fn release(&self, life: Rc<Life>, at: Offset, time: RunTime) -> bool {
        if life.has_ended(at, time) {
            return false;
        }
        self.free.borrow_mut().push((life, at));
        self.freed.notify_one();
        true
    }

    /// The free user whose time is not over that was free last; and how many were found whose time is.
    fn take(&self, now: Offset, time: RunTime) -> (Option<(Rc<Life>, Offset)>, u32) {
        let (mut free, mut over) = (self.free.borrow_mut(), 0);
        while let Some((life, since)) = free.pop() {
            if !life.has_ended(now, time) {
                return (Some((life, since)), over);
            }
            over += 1;
        }
        (None, over)
    }

    /// A user's time is over. Whether it was free; one that is not goes when its request is done.
    pub(super) fn end(&self, life: &Rc<Life>) -> bool {
        let mut free = self.free.borrow_mut();
        let place = free.iter().position(|(it, _)| Rc::ptr_eq(it, life));
        place.map(|place| free.remove(place)).is_some()
    }
}

/// The next request: put into words before it is due, so that only the sending is left then.
struct Next {
    index: u64,
    prepared: Prepared,
    /// It found no user free when it was due, or was not allowed: that it is late is not the generator's fault.
    waited: bool,
}

impl<T: Transport + 'static> Core<T> {
    /// Sends this core's arrivals in order and returns when the last one is begun, or sending is over.
    pub(super) async fn drive_arrivals(self: Rc<Self>) {
        let mut next: Option<Next> = None;
        while !self.control.aborted.is_cancelled() {
            let changed = self.known.changed.notified();
            // The clock first: what was told before it showed this is known then, and nothing is taken that a change
            // from after it would move.
            let now = self.clock.now();
            self.catch_up();
            let Some((index, due)) = self.next_arrival() else {
                let Some(end) = self.end_of_arrivals(now) else {
                    return;
                };
                tokio::select! {
                    () = changed => {}
                    () = sleep_until(self.clock.instant_of(end)) => {}
                    () = self.known.over.cancelled() => return,
                    () = self.control.exhausted.cancelled() => return,
                }
                continue;
            };
            let this = match &mut next {
                Some(same) if same.index == index => same,
                other => other.insert(Next {
                    index,
                    prepared: self.prepare(Index::Arrival(index)),
                    waited: false,
                }),
            };
            if now < due {
                tokio::select! {
                    () = changed => {}
                    () = self.pacer.until(self.clock.instant_of(due)) => {}
                }
                continue;
            }
            let held = self.is_held(now);
            // One that starts at this very moment is free for it.
            self.call_users(now);
            let Some(user) = (!held).then(|| self.free_user(now)).flatten() else {
                if !held && !this.waited {
                    self.warn(Warning::UsersTooFew);
                }
                this.waited = true;
                let deserted = self.known.crew.borrow().is_empty();
                tokio::select! {
                    () = changed => {}
                    () = self.slots.freed.notified() => {}
                    // What still waits when sending ends is cancelled.
                    () = self.known.over.cancelled() => return,
                    () = self.control.exhausted.cancelled(), if deserted => return,
                }
                continue;
            };
            if !this.waited && now.since(due) > LATE {
                self.warn(Warning::SentLate);
            }
            if let Some(next) = next.take() {
                self.send_arrival(user, next.prepared, due);
            }
            // Now the request goes out, before the next one is put into words.
            tokio::task::yield_now().await;
        }
    }

    /// This core's next arrival before the end of sending, and when it is due by the clock.
    fn next_arrival(&self) -> Option<(u64, Offset)> {
        let (index, due) = self.walk.borrow_mut().as_mut()?.peek()?;
        (due < self.known.end()).then(|| (index, self.known.time().local(due)))
    }

    /// Nothing is left for this core as things stand: until when a later share could change that, by the clock. `None` when
    /// it cannot any more: the last arrival of all came due.
    fn end_of_arrivals(&self, now: Offset) -> Option<Offset> {
        let end = self
            .walk
            .borrow_mut()
            .as_mut()
            .and_then(super::walk::Walk::end);
        let end = end.filter(|&end| end < self.known.end());
        let end = self.known.time().local(end.unwrap_or(Offset::MAX));
        if end <= now {
            self.control.exhausted.cancel();
            return None;
        }
        Some(end)
    }

    fn free_user(&self, now: Offset) -> Option<(Rc<Life>, Offset)> {
        let (user, over) = self.slots.take(now, self.known.time());
        self.gauges.users.fetch_sub(over, Relaxed);
        user
    }

    fn send_arrival(
        self: &Rc<Self>,
        (life, free_since): (Rc<Life>, Offset),
        prepared: Prepared,
        due: Offset,
    ) {
        if let Some(walk) = &mut *self.walk.borrow_mut() {
            walk.take();
        }
        self.count_sent();
        self.count_due(self.clock.now());
        let core = Rc::clone(self);
        let behind_ns = self.known.time().behind_ns();
        self.tasks.spawn_local(async move {
            let in_flight = Counted::new(&core.gauges.in_flight);
            let ready = due.max(free_since);
            let end = core
                .carry(life.user, prepared, (due, behind_ns), ready)
                .await
                .end;
            drop(in_flight);
            if !core.slots.release(life, end, core.known.time()) {
                core.gauges.users.fetch_sub(1, Relaxed);
            }
        });
    }

    /// A share changes the rate, and which arrivals are this core's.
    pub(super) fn change_arrivals(&self, dealt: &Dealt, part: Option<Shard>) {
        let (mut walk, mut due) = (self.walk.borrow_mut(), self.due.borrow_mut());
        let walks = [walk.as_mut(), due.as_mut().map(|due| &mut due.walk)];
        for walk in walks.into_iter().flatten() {
            walk.change(dealt.from, dealt.pace, part);
        }
    }

    /// What was due before `at` came due before this engine was there.
    pub(super) fn join(&self, at: Offset) {
        let (mut walk, mut due) = (self.walk.borrow_mut(), self.due.borrow_mut());
        if let (Some(walk), Some(due)) = (walk.as_mut(), due.as_mut()) {
            walk.skip_to(at);
            due.walk = walk.clone();
        }
    }

    /// Sending was not allowed for a while, and is from `at` on: what was due before and was not begun is not sent any more.
    /// What is due from `end` on is nobody's.
    pub(super) fn drop_due(&self, at: Offset, end: Offset) {
        let (mut walk, mut due) = (self.walk.borrow_mut(), self.due.borrow_mut());
        if let (Some(walk), Some(due)) = (walk.as_mut(), due.as_mut()) {
            let at = at.min(end);
            let gone = self.sent.get() + self.dropped.get();
            let came = due.advance(at, gone);
            let dropped = due.count().saturating_sub(gone);
            let counts = &mut self.tally.borrow_mut().counts;
            counts.scheduled += came;
            counts.dropped += dropped;
            self.dropped.set(self.dropped.get() + dropped);
            walk.skip_to(at);
        }
    }

    /// Counts the arrivals that came due before `now`, and how many of them still wait.
    pub(super) fn count_due(&self, now: Offset) {
        let until = self.known.time().run(now).min(self.known.horizon());
        let mut due = self.due.borrow_mut();
        let Some(due) = due.as_mut() else { return };
        let gone = self.sent.get() + self.dropped.get();
        self.tally.borrow_mut().counts.scheduled += due.advance(until, gone);
        let waiting = due.count().saturating_sub(gone);
        self.gauges
            .waiting
            .store(u32::try_from(waiting).unwrap_or(u32::MAX), Relaxed);
    }

    /// Goes along with the schedule where this core owns nothing of it.
    pub(super) fn follow_arrivals(&self, now: Offset) {
        let until = self.known.time().run(now).min(self.known.horizon());
        let (mut walk, mut due) = (self.walk.borrow_mut(), self.due.borrow_mut());
        let (Some(walk), Some(due)) = (walk.as_mut(), due.as_mut()) else {
            return;
        };
        if !walk.owns_at(until) {
            walk.follow(until);
            due.walk.follow(until);
            // Told to who waits, be it for its next arrival or for a user that will not come.
            if due.walk.end().is_some_and(|end| end < until) {
                self.control.exhausted.cancel();
            }
        }
    }

    /// Sending is over: what came due and was never begun is cancelled.
    pub(super) fn settle(&self) {
        self.catch_up();
        // Nothing comes due any more, whatever else is told.
        let Some(mut due) = self.due.take() else {
            return;
        };
        self.walk.take();
        let gone = self.sent.get() + self.dropped.get();
        let counts = &mut self.tally.borrow_mut().counts;
        counts.scheduled += due.advance(self.known.horizon(), gone);
        counts.late_cancelled += due.count().saturating_sub(gone);
        self.gauges.waiting.store(0, Relaxed);
    }
}
