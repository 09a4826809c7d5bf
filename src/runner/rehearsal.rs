//! Requests before the run (`--warmup-requests`): they warm a server's caches up and are in no count and no figure.
//! A failure here stops nothing: the run itself will meet it, and count it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;

use super::carry::exchange;
use super::control::Control;
use super::core::CoreSeat;
use super::engine::Job;
use super::reading::{Asked, Reading, Slot};
use super::watchdog::{Watchdog, Watched};
use crate::client::{Clock, Reuse, Transport};
use crate::domain::{Index, Record};
use crate::plan::Limits;
use crate::schedule::Shard;

/// Requests of one worker that are under way at once, at most.
const AT_ONCE: u32 = 64;

/// How long one may take where no time-out says it: the run must begin one day.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends this core's part of the requests before the run. Tells how long each connection took that was opened for them and is
/// kept for the run.
pub(super) async fn before_start<T>(transport: &Rc<T>, seat: &CoreSeat) -> Vec<Duration>
where
    T: Transport + 'static,
{
    let part = &seat.first.cores[seat.index as usize];
    let wanted = seat.job.plan.observe.warmup_requests;
    let Some(own) = part.arrivals.filter(|_| wanted > 0) else {
        return Vec::new();
    };
    let rehearsal = Rc::new(Rehearsal {
        transport: Rc::clone(transport),
        job: Arc::clone(&seat.job),
        control: Arc::clone(&seat.control),
        clock: seat.clock,
        watchdog: Watchdog::default(),
        next: Cell::new(0),
        own,
        opened: RefCell::default(),
    });
    let lanes = AT_ONCE.div_ceil(seat.cores) as usize;
    let mut lives = JoinSet::new();
    for place in part.users.iter().take(lanes) {
        lives.spawn_local(Rc::clone(&rehearsal).send_all(place.user));
    }
    let mut watching = std::pin::pin!(rehearsal.watchdog.run(seat.clock));
    loop {
        tokio::select! {
            ended = lives.join_next() => match ended {
                Some(_) => {}
                None => break,
            },
            () = &mut watching => {}
        }
    }
    rehearsal.opened.take()
}

/// One core's part of them.
struct Rehearsal<T> {
    transport: Rc<T>,
    job: Arc<Job>,
    control: Arc<Control>,
    clock: Clock,
    watchdog: Watchdog,
    /// How many of its own are begun.
    next: Cell<u32>,
    own: Shard,
    opened: RefCell<Vec<Duration>>,
}

impl<T: Transport + 'static> Rehearsal<T> {
    /// Takes one after another, as `user`.
    async fn send_all(self: Rc<Self>, user: u32) {
        while let Some(number) = self.take() {
            let record = self.send(user, number).await;
            if record.new_connection && self.job.reuse != Reuse::Never {
                let took = Duration::from_nanos(record.connect_ns);
                self.opened.borrow_mut().push(took);
            }
            self.complain(record);
        }
    }

    fn take(&self) -> Option<u32> {
        let begun = self.next.get();
        let number = begun
            .checked_mul(self.own.of())?
            .checked_add(self.own.index())?;
        self.next.set(begun + 1);
        (number < self.job.plan.observe.warmup_requests).then_some(number)
    }

    async fn send(&self, user: u32, number: u32) -> Record {
        let index = index_of(number, self.job.plan.schedule.is_open());
        let ask = self.job.workload.ask(index);
        let request = self.job.words(&ask);
        let watched = Watched::new(self.limits());
        let now = self.clock.now();
        let _watch = self.watchdog.watch(&watched, now);
        let decoder = self.job.provider.decoder_for(&ask);
        let reading = Reading::new(self.clock, Rc::clone(&watched), decoder, false);
        let ended = exchange(&*self.transport, user, request, &watched, &reading).await;
        let slot = Slot {
            index,
            due: now,
            behind_ns: 0,
            ready: now,
        };
        let streamed = self.job.plan.provider.streams();
        reading
            .close(ended, slot, Asked::from(&ask), streamed)
            .record
    }

    fn limits(&self) -> Limits {
        let limits = self.job.limits();
        Limits {
            total: limits.total.or(Some(PATIENCE)),
            ..limits
        }
    }

    /// Says what went wrong, once for all of this worker.
    fn complain(&self, record: Record) {
        if record.outcome.is_failure() && !self.control.complained.swap(true, Relaxed) {
            let record = self.job.without_secrets(record);
            tracing::warn!(
                "a warm-up request failed ({}): {}; the run begins all the same",
                record.outcome,
                record.error
            );
        }
    }
}

/// A request whose number the run itself never has: they are counted from the other end. Rows of a data set and a single text
/// come round, so that such a request may hold a prompt of the run's.
fn index_of(number: u32, open: bool) -> Index {
    if open {
        return Index::Arrival(u64::MAX - u64::from(number));
    }
    Index::Turn {
        user: u32::MAX - number,
        turn: 0,
    }
}
