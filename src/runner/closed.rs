//! The closed loop: each user sends its next request when its last one is done.

use std::rc::Rc;

use super::control::Counted;
use super::core::Core;
use crate::client::Transport;
use crate::domain::Index;

impl<T: Transport + 'static> Core<T> {
    /// Starts this core's users and returns when all of them are done.
    pub(super) async fn drive_users(self: Rc<Self>) {
        for user in self.shard.users(&self.job.plan.schedule) {
            self.tasks.spawn_local(Rc::clone(&self).be_user(user));
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn be_user(self: Rc<Self>, user: u32) {
        let start = self.clock.instant_of(self.job.plan.schedule.spawn_at(user));
        tokio::select! {
            () = tokio::time::sleep_until(start) => {}
            () = self.sending_ends() => return,
            () = self.spent.cancelled() => return,
        }
        let _alive = Counted::new(&self.gauges.users);
        // From when this user could send: its start, then the end of its last answer. Its start is when the timer said so,
        // up to a millisecond after the ramp would have it: nobody asks for a ramp to the microsecond, and the first
        // request of each user would bear that millisecond as the generator's delay.
        let mut free_since = self.clock.now();
        for turn in 0.. {
            if self.is_over() || !self.take_from_budget() {
                return;
            }
            let prepared = self.prepare(Index::Turn { user, turn });
            self.count_sent();
            let _in_flight = Counted::new(&self.gauges.in_flight);
            free_since = self.carry(user, prepared, free_since, free_since).await;
        }
    }
}
