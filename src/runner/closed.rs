//! The closed loop: each user sends its next request when its last one is done.

use std::rc::Rc;

use super::conduct::Leave;
use super::control::Counted;
use super::core::Core;
use super::crew::Life;
use crate::client::Transport;
use crate::domain::Index;

impl<T: Transport + 'static> Core<T> {
    pub(super) async fn be_user(self: Rc<Self>, life: Rc<Life>) {
        let _alive = Counted::new(&self.gauges.users);
        let (user, first) = (life.user, life.first_turn.get());
        // From when this user could send: its start, then the end of its last answer. Its start is when the timer said so,
        // up to a millisecond after the ramp would have it: nobody asks for a ramp to the microsecond, and the first
        // request of each user would bear that millisecond as the generator's delay.
        let mut free_since = self.clock.now();
        for turn in first.. {
            loop {
                let changed = self.known.changed.notified();
                match self.ask_leave(&life) {
                    Leave::Granted => break,
                    Leave::Never => return,
                    Leave::Later => tokio::select! {
                        () = changed => {}
                        () = self.control.spent.cancelled() => {}
                    },
                }
                // It could not have sent before.
                free_since = self.clock.now();
            }
            let prepared = self.prepare(Index::Turn { user, turn });
            self.count_sent();
            let _in_flight = Counted::new(&self.gauges.in_flight);
            let due = (free_since, self.known.time().behind_ns());
            free_since = self.carry(user, prepared, due, free_since).await;
        }
    }
}
