//! Ends exchanges from outside: time-outs, and the cancellation of what is left at the end. One timer a core, not one a request,
//! and no read touches it.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::reading::TimedOut;
use crate::client::Clock;
use crate::domain::Offset;
use crate::plan::Limits;

/// Why an exchange was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Called {
    TimedOut(TimedOut),
    Cancelled,
}

/// What the watchdog knows of one exchange. Written by the reading, read by the watchdog: both on one thread.
#[derive(Debug)]
pub(super) struct Watched {
    limits: Limits,
    /// When something last arrived.
    pub(super) last_activity: Cell<Offset>,
    /// When the connection was there: from here the time-outs count.
    pub(super) begun: Cell<Option<Offset>>,
    /// Whether a content event came.
    pub(super) has_content: Cell<bool>,
    called: Cell<Option<Called>>,
    waker: RefCell<Option<Waker>>,
}

impl Watched {
    pub(super) fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            limits,
            last_activity: Cell::default(),
            begun: Cell::default(),
            has_content: Cell::default(),
            called: Cell::default(),
            waker: RefCell::default(),
        })
    }

    /// Drives `work` until it is done or called off.
    pub(super) async fn follow<R>(
        &self,
        mut work: Pin<&mut impl Future<Output = R>>,
    ) -> Result<R, Called> {
        // Nothing of a request that was called off before it began reaches the wire.
        if let Some(called) = self.called.get() {
            return Err(called);
        }
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            if let Some(called) = self.called.get() {
                return Poll::Ready(Err(called));
            }
            let waker = &mut *self.waker.borrow_mut();
            if !waker
                .as_ref()
                .is_some_and(|known| known.will_wake(cx.waker()))
            {
                *waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// The first reason stands.
    fn call(&self, why: Called) {
        self.called.set(self.called.get().or(Some(why)));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The earliest time-out as things stand; it can only move later.
    fn next_deadline(&self) -> Option<(Offset, TimedOut)> {
        let begun = self.begun.get()?;
        let Limits {
            total,
            first_token,
            idle,
            ..
        } = self.limits;
        let total = total.map(|limit| (begun + limit, TimedOut::Total(limit)));
        let waiting = !self.has_content.get();
        let first = first_token
            .filter(|_| waiting)
            .map(|limit| (begun + limit, TimedOut::FirstToken(limit)));
        let idle = idle.map(|limit| (self.last_activity.get() + limit, TimedOut::Idle(limit)));
        [total, first, idle]
            .into_iter()
            .flatten()
            .min_by_key(|&(at, _)| at)
    }

    fn shortest(&self) -> Option<Duration> {
        let Limits {
            total,
            first_token,
            idle,
            ..
        } = self.limits;
        [total, first_token, idle].into_iter().flatten().min()
    }

    /// When to look again, if ever; calls the exchange off if it is past its time.
    fn look(&self, now: Offset) -> Option<Offset> {
        match self.next_deadline() {
            Some((at, which)) if now >= at => {
                self.call(Called::TimedOut(which));
                None
            }
            Some((at, _)) => Some(at),
            // Connecting has its own time-out; these count from the connection, so none is over before this.
            None if self.begun.get().is_none() => self.shortest().map(|limit| now + limit),
            None => None,
        }
    }
}

/// One core's watchdog.
#[derive(Default)]
pub(super) struct Watchdog {
    places: RefCell<Places>,
    appointments: RefCell<BinaryHeap<Reverse<Appointment>>>,
    /// A sooner appointment than the one slept for was made.
    sooner: Notify,
    cancelled: Cell<bool>,
}

/// Exchanges under way. A place is used again, with another turn.
#[derive(Default)]
struct Places {
    all: Vec<(u32, Option<Rc<Watched>>)>,
    free: Vec<usize>,
}

/// Appointments beyond twice the exchanges under way that are not worth looking for.
const SPARE: usize = 1_024;

/// When to look at an exchange: (time, place, turn of the place).
type Appointment = (Offset, usize, u32);

/// An exchange is watched as long as this lives.
pub(super) struct Watch<'a> {
    watchdog: &'a Watchdog,
    place: usize,
}

impl Watchdog {
    /// Watches `watched` from `now` on.
    pub(super) fn watch(&self, watched: &Rc<Watched>, now: Offset) -> Watch<'_> {
        let places = &mut *self.places.borrow_mut();
        let place = places.free.pop().unwrap_or_else(|| {
            places.all.push((0, None));
            places.all.len() - 1
        });
        places.all[place].1 = Some(Rc::clone(watched));
        if self.cancelled.get() {
            watched.call(Called::Cancelled);
        } else if let Some(limit) = watched.shortest() {
            self.appoint((now + limit, place, places.all[place].0));
        }
        self.forget_over(places);
        Watch {
            watchdog: self,
            place,
        }
    }

    /// Strikes out the appointments of exchanges that are over, once they are most of all: where time-outs are long and
    /// answers short, there would be more and more of them.
    fn forget_over(&self, places: &Places) {
        let appointments = &mut *self.appointments.borrow_mut();
        let in_use = places.all.len() - places.free.len();
        if appointments.len() > 2 * in_use + SPARE {
            appointments.retain(|Reverse((_, place, turn))| {
                let (current, watched) = &places.all[*place];
                current == turn && watched.is_some()
            });
        }
    }

    fn appoint(&self, appointment: Appointment) {
        let appointments = &mut *self.appointments.borrow_mut();
        let first = appointments.peek().map(|Reverse(first)| first.0);
        if first.is_none_or(|first| appointment.0 < first) {
            self.sooner.notify_one();
        }
        appointments.push(Reverse(appointment));
    }

    /// Calls everything off that is under way or will still be begun.
    pub(super) fn cancel_all(&self) {
        self.cancelled.set(true);
        for (_, watched) in &self.places.borrow().all {
            if let Some(watched) = watched {
                watched.call(Called::Cancelled);
            }
        }
    }

    /// Keeps all appointments, for ever.
    pub(super) async fn run(&self, clock: Clock) {
        loop {
            let next = self
                .appointments
                .borrow()
                .peek()
                .map(|Reverse(first)| first.0);
            let Some(next) = next else {
                self.sooner.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(clock.instant_of(next)) => self.keep_due(clock.now()),
                () = self.sooner.notified() => {}
            }
        }
    }

    fn keep_due(&self, now: Offset) {
        loop {
            let due = self.appointments.borrow_mut().peek_mut().and_then(|first| {
                (first.0.0 <= now).then(|| std::collections::binary_heap::PeekMut::pop(first).0)
            });
            let Some((_, place, turn)) = due else { return };
            let watched = match &self.places.borrow().all[place] {
                (current, Some(watched)) if *current == turn => Rc::clone(watched),
                _ => continue,
            };
            if let Some(at) = watched.look(now) {
                self.appoint((at, place, turn));
            }
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let places = &mut *self.watchdog.places.borrow_mut();
        let (turn, watched) = &mut places.all[self.place];
        *turn = turn.wrapping_add(1);
        *watched = None;
        places.free.push(self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    const NONE: Limits = Limits {
        total: None,
        first_token: None,
        idle: None,
        connect: None,
        stop: Duration::ZERO,
    };

    fn limits() -> Limits {
        Limits {
            total: Some(MS(100)),
            first_token: Some(MS(10)),
            idle: Some(MS(30)),
            ..NONE
        }
    }

    /// Runs an endless exchange under `watchdog`; when it was called off, and why.
    async fn ended(watchdog: &Watchdog, watched: &Rc<Watched>, clock: Clock) -> (Offset, Called) {
        let _watch = watchdog.watch(watched, clock.now());
        let work = std::pin::pin!(pending::<()>());
        let called = watched.follow(work).await.unwrap_err();
        (clock.now(), called)
    }

    async fn beside_the_watchdog<R>(
        watchdog: &Watchdog,
        clock: Clock,
        work: impl Future<Output = R>,
    ) -> R {
        tokio::select! {
            biased;
            () = watchdog.run(clock) => unreachable!("it runs for ever"),
            done = work => done,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_limit_that_is_over_ends_an_exchange() {
        let clock = Clock::starting_at(Instant::now());
        let watchdog = Watchdog::default();
        let silent = Watched::new(limits());
        silent.begun.set(Some(Offset::ZERO));
        let speaking = Watched::new(limits());
        speaking.begun.set(Some(Offset::ZERO));
        speaking.has_content.set(true);
        let active = Watched::new(limits());
        active.begun.set(Some(Offset::ZERO));
        active.has_content.set(true);
        active.last_activity.set(Offset::from(MS(90)));
        let work = async {
            tokio::join!(
                ended(&watchdog, &silent, clock),
                ended(&watchdog, &speaking, clock),
                ended(&watchdog, &active, clock)
            )
        };
        let (silent, speaking, active) = beside_the_watchdog(&watchdog, clock, work).await;
        let timed_out = |at, which| (Offset::from(MS(at)), Called::TimedOut(which));
        assert_eq!(silent, timed_out(10, TimedOut::FirstToken(MS(10))));
        assert_eq!(speaking, timed_out(30, TimedOut::Idle(MS(30))));
        assert_eq!(active, timed_out(100, TimedOut::Total(MS(100))));
    }

    #[tokio::test(start_paused = true)]
    async fn limits_count_from_the_connection() {
        let clock = Clock::starting_at(Instant::now());
        let watchdog = Watchdog::default();
        let watched = Watched::new(limits());
        let connecting = async {
            tokio::time::sleep(MS(500)).await;
            watched.begun.set(Some(clock.now()));
            watched.last_activity.set(clock.now());
            pending::<()>().await;
        };
        let work = async {
            tokio::select! {
                ended = ended(&watchdog, &watched, clock) => ended,
                () = connecting => unreachable!("it never ends"),
            }
        };
        let (at, called) = beside_the_watchdog(&watchdog, clock, work).await;
        assert_eq!(called, Called::TimedOut(TimedOut::FirstToken(MS(10))));
        assert_eq!(at, Offset::from(MS(510)));
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_reaches_what_is_under_way_and_what_is_begun_after() {
        let clock = Clock::starting_at(Instant::now());
        let watchdog = Watchdog::default();
        let early = Watched::new(NONE);
        let work = async {
            tokio::join!(ended(&watchdog, &early, clock), async {
                watchdog.cancel_all();
            })
        };
        let ((_, called), ()) = beside_the_watchdog(&watchdog, clock, work).await;
        assert_eq!(called, Called::Cancelled);
        let late = Watched::new(NONE);
        assert_eq!(ended(&watchdog, &late, clock).await.1, Called::Cancelled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_called_off_before_it_began_does_nothing_and_keeps_the_reason() {
        let watchdog = Watchdog::default();
        watchdog.cancel_all();
        let watched = Watched::new(NONE);
        let _watch = watchdog.watch(&watched, Offset::ZERO);
        let touched = Cell::new(false);
        let work = std::pin::pin!(async { touched.set(true) });
        assert_eq!(watched.follow(work).await, Err(Called::Cancelled));
        assert!(!touched.get());
        let timed_out = Called::TimedOut(TimedOut::Total(MS(1)));
        let late = Watched::new(NONE);
        let _late = watchdog.watch(&late, Offset::ZERO);
        late.called.take();
        late.call(timed_out);
        watchdog.cancel_all();
        assert_eq!(late.called.get(), Some(timed_out));
    }

    #[tokio::test(start_paused = true)]
    async fn appointments_of_what_is_over_do_not_pile_up() {
        let clock = Clock::starting_at(Instant::now());
        let watchdog = Watchdog::default();
        let long = Watched::new(limits());
        long.begun.set(Some(Offset::ZERO));
        let _long = watchdog.watch(&long, clock.now());
        let mut most = 0;
        for _ in 0..10 * SPARE {
            drop(watchdog.watch(&Watched::new(limits()), clock.now()));
            most = most.max(watchdog.appointments.borrow().len());
        }
        assert!(most <= SPARE + 5, "{most}");
        // What is under way is kept.
        let _ = tokio::time::timeout(MS(20), watchdog.run(clock)).await;
        let timed_out = Called::TimedOut(TimedOut::FirstToken(MS(10)));
        assert_eq!(long.called.get(), Some(timed_out));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_used_again_inherits_no_appointment() {
        let clock = Clock::starting_at(Instant::now());
        let watchdog = Watchdog::default();
        let first = Watched::new(limits());
        drop(watchdog.watch(&first, clock.now()));
        let second = Watched::new(Limits {
            total: Some(MS(40)),
            ..NONE
        });
        second.begun.set(Some(Offset::ZERO));
        let work = ended(&watchdog, &second, clock);
        let (at, called) = beside_the_watchdog(&watchdog, clock, work).await;
        assert_eq!(
            (at, called),
            (
                Offset::from(MS(40)),
                Called::TimedOut(TimedOut::Total(MS(40)))
            )
        );
    }
}
