//! The open loop: a request that is due is sent when due, whatever the server does, while a user is free;
//! else it waits in order and is late. Nothing is skipped.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::control::Counted;
use super::core::{Core, LATE};
use crate::client::Transport;
use crate::domain::{Index, Offset, Seed, Warning};
use crate::schedule::{Arrivals, Shard, Spec};

/// The users of an open loop: each carries one request at a time.
struct FreeUsers {
    /// Each with the time from which it was free.
    free: RefCell<Vec<(u32, Offset)>>,
    permits: Semaphore,
}

impl FreeUsers {
    fn new() -> Self {
        Self {
            free: RefCell::default(),
            permits: Semaphore::new(0),
        }
    }

    fn release(&self, user: u32, at: Offset) {
        self.free.borrow_mut().push((user, at));
        self.permits.add_permits(1);
    }

    fn try_take(&self) -> Option<(u32, Offset)> {
        self.permits
            .try_acquire()
            .ok()
            .and_then(|permit| self.claim(permit))
    }

    async fn take(&self) -> Option<(u32, Offset)> {
        let permit = self.permits.acquire().await.ok()?;
        self.claim(permit)
    }

    fn claim(&self, permit: SemaphorePermit<'_>) -> Option<(u32, Offset)> {
        permit.forget();
        self.free.borrow_mut().pop()
    }
}

impl<T: Transport + 'static> Core<T> {
    /// Sends this core's arrivals in order and returns when the last one is begun.
    pub(super) async fn drive_arrivals(self: Rc<Self>) {
        let spec = &self.job.plan.schedule;
        let Some(arrivals) = Arrivals::new(spec, self.job.plan.seed) else {
            return;
        };
        let users = Rc::new(FreeUsers::new());
        let starting = Rc::clone(&self).start_users(Rc::clone(&users));
        let sending = async {
            for (i, due) in arrivals.filter(|&(i, _)| self.shard.owns(i)) {
                // Put into words before it is due: only the sending is left then.
                let prepared = self.prepare(Index::Arrival(i));
                self.pacer.until(self.clock.instant_of(due)).await;
                let Some((user, free_since)) = self.free_user(&users, due).await else {
                    return;
                };
                self.count_due(self.clock.now());
                self.count_sent();
                let (core, users) = (Rc::clone(&self), Rc::clone(&users));
                self.tasks.spawn_local(async move {
                    let in_flight = Counted::new(&core.gauges.in_flight);
                    let end = core.carry(user, prepared, due, due.max(free_since)).await;
                    drop(in_flight);
                    users.release(user, end);
                });
                // Now the request goes out, before the next one is put into words.
                tokio::task::yield_now().await;
            }
        };
        // The users' start goes on beside the sending, and ends with it.
        tokio::select! {
            biased;
            () = starting => {}
            () = sending => {}
        }
    }

    /// A user for a request that is due now: a free one, else the next one that gets free before sending ends.
    async fn free_user(&self, users: &FreeUsers, due: Offset) -> Option<(u32, Offset)> {
        if let Some(user) = users.try_take() {
            if self.clock.now().since(due) > LATE {
                self.warn(Warning::SentLate);
            }
            return Some(user);
        }
        self.warn(Warning::UsersTooFew);
        tokio::select! {
            user = users.take() => user,
            // What still waits when sending ends is cancelled.
            () = self.sending_ends() => None,
        }
    }

    /// Adds each user when its time comes; then waits for ever.
    async fn start_users(self: Rc<Self>, users: Rc<FreeUsers>) {
        let spec = &self.job.plan.schedule;
        for user in self.shard.users(spec) {
            let at = spec.spawn_at(user);
            if at > self.clock.now() {
                tokio::time::sleep_until(self.clock.instant_of(at)).await;
            }
            self.gauges.users.fetch_add(1, Relaxed);
            users.release(user, at);
        }
        std::future::pending::<()>().await;
    }
}

/// Counts the arrivals of a share as they come due: a second walk over the schedule, behind the sending one.
pub(super) struct DueCount {
    arrivals: std::iter::Peekable<Arrivals>,
    shard: Shard,
    count: u64,
}

impl DueCount {
    /// `None` for a closed loop.
    pub(super) fn new(spec: &Spec, seed: Seed, shard: Shard) -> Option<Self> {
        Some(Self {
            arrivals: Arrivals::new(spec, seed)?.peekable(),
            shard,
            count: 0,
        })
    }

    /// How many more came due until `now`. What was sent came due, even if a clock was read a moment before.
    pub(super) fn advance(&mut self, now: Offset, sent: u64) -> u64 {
        let before = self.count;
        while let Some(&(i, due)) = self.arrivals.peek() {
            if due > now && self.count >= sent {
                break;
            }
            self.count += u64::from(self.shard.owns(i));
            let _ = self.arrivals.next();
        }
        self.count - before
    }

    /// How many came due so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}
