//! The closed loop: each user sends its next request when its last one is done, and it has thought about it.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep_until;

use super::carry::Prepared;
use super::conduct::Leave;
use super::control::Counted;
use super::core::Core;
use super::crew::Life;
use super::dialogue::Dialogue;
use crate::client::Transport;
use crate::domain::{Index, Offset, Turn};

/// How late a timer may be by itself: it is a millisecond coarse. What is beyond that is the generator's delay.
const COARSE: Duration = Duration::from_millis(2);

/// How long a user waits after a first failure to get a connection at all, and after many in a row. It is no think time: a
/// server that is gone is not asked tens of thousands of times a second.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How long to wait after failures to get a connection: doubled by each, until there is one again.
#[derive(Debug, Default)]
struct Rest(Duration);

impl Rest {
    fn after(&mut self, unreached: bool) -> Duration {
        self.0 = if unreached {
            (self.0 * 2).clamp(FIRST_REST, LONGEST_REST)
        } else {
            Duration::ZERO
        };
        self.0
    }
}

impl<T: Transport + 'static> Core<T> {
    pub(super) async fn be_user(self: Rc<Self>, life: Rc<Life>) {
        let _alive = Counted::new(&self.gauges.users);
        let (plan, workload) = (&self.job.plan, &self.job.workload);
        let (mut dialogue, mut rest) = (Dialogue::default(), Rest::default());
        // Who was moved here knows nothing of a conversation that goes on at this number.
        let mut next = Some(workload.session_start(life.first_turn.get()));
        // From when this user could send: its start, then the end of its last answer. Its start is when the timer said so,
        // up to a millisecond after the ramp would have it: nobody asks for a ramp to the microsecond, and the first
        // request of each user would bear that millisecond as the generator's delay.
        let mut free_since = self.clock.now();
        while let Some(number) = next {
            let Some(since) = self.get_leave(&life, free_since).await else {
                return;
            };
            let turn = workload.next_turn(life.user, number);
            let index = Index::Turn {
                user: life.user,
                turn,
            };
            let (prepared, place) = self.prepare_turn(index, &mut dialogue);
            self.count_sent();
            let in_flight = Counted::new(&self.gauges.in_flight);
            let due = (since, self.known.time().behind_ns());
            let carried = self.carry(life.user, prepared, due, since).await;
            drop(in_flight);
            let goes_on = place.is_none_or(|place| dialogue.hear(place, carried.answer));
            next = self.next_number(turn, goes_on);
            let rests = rest.after(carried.unreached);
            let thinks = plan.schedule.think_after(plan.seed, index.key());
            free_since = self.pause(&life, carried.end, thinks.max(rests)).await;
        }
    }

    /// Waits until the user may begin a request, which it could since `free_since`; tells since when it could in the end.
    /// `None` when it never may again.
    async fn get_leave(&self, life: &Life, mut free_since: Offset) -> Option<Offset> {
        loop {
            let changed = self.known.changed.notified();
            match self.ask_leave(life) {
                Leave::Granted => return Some(free_since),
                Leave::Never => return None,
                Leave::Later => tokio::select! {
                    () = changed => {}
                    () = self.control.spent.cancelled() => {}
                },
            }
            // It could not have sent before.
            free_since = self.clock.now();
        }
    }

    fn prepare_turn(&self, index: Index, dialogue: &mut Dialogue) -> (Prepared, Option<Turn>) {
        let (mut ask, lost) = self.draw(index);
        dialogue.say(&mut ask);
        (self.put_into_words(index, &ask, lost), ask.turn)
    }

    /// Where a user goes on after `turn`: a conversation that failed is not continued.
    fn next_number(&self, turn: u32, goes_on: bool) -> Option<u32> {
        let next = turn.checked_add(1)?;
        Some(if goes_on {
            next
        } else {
            self.job.workload.session_start(next)
        })
    }

    /// Waits for `span` from `end` on, unless the user's time, or the run, is over before. Tells from when on the user can
    /// send: the timer's own lateness is nobody's delay.
    async fn pause(&self, life: &Life, end: Offset, span: Duration) -> Offset {
        if span.is_zero() {
            return end;
        }
        let until = end + span;
        tokio::select! {
            () = sleep_until(self.clock.instant_of(until)) => {}
            () = life.ended.notified() => {}
            () = self.known.over.cancelled() => {}
            () = self.control.spent.cancelled() => {}
        }
        self.clock.now().min(until + COARSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_a_second_and_a_connection_ends_them() {
        let mut rest = Rest::default();
        let mut spans = |unreached| rest.after(unreached).as_millis();
        let failing = [true; 6].map(&mut spans);
        assert_eq!(failing, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!([false, true].map(&mut spans), [0, 100]);
    }
}
