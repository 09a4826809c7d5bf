//! One core of the engine: its share of the users or arrivals, its connections, its tally.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::carry::Prepared;
use super::control::{Control, CoreGauges};
use super::counting::Counter;
use super::engine::{INTERVAL, Job};
use super::lag;
use super::load::ThreadWatch;
use super::meter::Meter;
use super::open::DueCount;
use super::pacer::Pacer;
use super::reading::{Asked, Finished};
use super::spares::Spares;
use super::watchdog::Watchdog;
use crate::client::{Clock, Transport};
use crate::domain::{Index, Offset, Warning};
use crate::metrics::{Tally, Window};
use crate::schedule::{Pacing, Shard};

/// What a core's thread is given.
pub(super) struct CoreSeat {
    pub(super) job: Arc<Job>,
    pub(super) shard: Shard,
    /// How many cores there are.
    pub(super) cores: u32,
    pub(super) clock: Clock,
    pub(super) control: Arc<Control>,
    pub(super) gauges: Arc<CoreGauges>,
    pub(super) counter: Option<Counter>,
    pub(super) parts: mpsc::Sender<Tally>,
    pub(super) spares: Arc<Spares>,
}

/// A core at work. Its tasks share it; all run on one thread.
pub(super) struct Core<T> {
    pub(super) job: Arc<Job>,
    pub(super) shard: Shard,
    /// How many cores there are.
    pub(super) cores: u32,
    pub(super) clock: Clock,
    pub(super) control: Arc<Control>,
    pub(super) gauges: Arc<CoreGauges>,
    pub(super) transport: Rc<T>,
    pub(super) pacer: Pacer,
    /// The requests in flight, and the users of a closed loop.
    pub(super) tasks: TaskTracker,
    /// Ends exchanges from outside.
    pub(super) watchdog: Watchdog,
    pub(super) meter: Rc<Meter>,
    counter: Option<Counter>,
    parts: mpsc::Sender<Tally>,
    spares: Arc<Spares>,
    tally: RefCell<Tally>,
    load: RefCell<ThreadWatch>,
    due: RefCell<Option<DueCount>>,
    budget: Cell<Option<u64>>,
    /// Cancelled when the budget is spent: users that are still to start need not.
    pub(super) spent: CancellationToken,
    sent: Cell<u64>,
}

impl<T: Transport + 'static> Core<T> {
    pub(super) fn new(
        seat: CoreSeat,
        transport: Rc<T>,
        pacer: Pacer,
        meter: Rc<Meter>,
    ) -> Rc<Self> {
        let plan = &seat.job.plan;
        let due = DueCount::new(&plan.schedule, plan.seed, seat.shard);
        let budget = if plan.schedule.is_open() {
            None
        } else {
            seat.shard.budget(&plan.schedule)
        };
        Rc::new(Self {
            job: seat.job,
            shard: seat.shard,
            cores: seat.cores,
            clock: seat.clock,
            control: seat.control,
            gauges: seat.gauges,
            transport,
            pacer,
            tasks: TaskTracker::new(),
            watchdog: Watchdog::default(),
            meter,
            counter: seat.counter,
            parts: seat.parts,
            spares: seat.spares,
            tally: RefCell::new(Tally::roomy()),
            load: RefCell::new(ThreadWatch::new(seat.clock.now())),
            due: RefCell::new(due),
            budget: Cell::new(budget),
            spent: CancellationToken::new(),
            sent: Cell::new(0),
        })
    }

    /// Sends this core's share, lets it finish, and hands over the last of its tally.
    pub(super) async fn run(self: Rc<Self>) {
        let first = Offset::from(INTERVAL + ASIDE);
        let mut reports = interval_at(self.clock.instant_of(first), INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let ramp = AbortOnDropHandle::new(spawn_local(Rc::clone(&self).warm_ramp()));
        let mut work = std::pin::pin!(Rc::clone(&self).work());
        let mut watching = std::pin::pin!(self.watchdog.run(self.clock));
        let mut lagging = std::pin::pin!(lag::watch(&self.meter, self.job.stamps));
        loop {
            tokio::select! {
                () = &mut work => break,
                _ = reports.tick() => self.report_if_room(),
                () = &mut watching => {}
                () = &mut lagging => {}
            }
        }
        drop(ramp);
        self.settle();
        self.report().await;
    }

    async fn work(self: Rc<Self>) {
        match self.job.plan.schedule.pacing {
            Pacing::Closed => tokio::select! {
                () = Rc::clone(&self).drive_users() => {}
                () = self.sending_ends() => {}
            },
            // The last arrivals are due before the planned end and may be begun a moment after it.
            Pacing::Open { .. } => tokio::select! {
                () = Rc::clone(&self).drive_arrivals() => {}
                () = self.control.stopped.cancelled() => {}
            },
        }
        self.note_load();
        self.drain().await;
    }

    /// Returns at the planned end of sending, or when it is stopped before.
    pub(super) async fn sending_ends(&self) {
        let planned = async {
            match self.control.end() {
                Some(end) => tokio::time::sleep_until(self.clock.instant_of(end)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = planned => {}
            () = self.control.stopped.cancelled() => {}
        }
    }

    /// Whether no further request may be begun.
    pub(super) fn is_over(&self) -> bool {
        self.control
            .end()
            .is_some_and(|end| self.clock.now() >= end)
    }

    /// Waits for what is in flight, at most for the stop time; then drops it.
    ///
    /// A run that ends by count has no end of sending: its requests get all the time they need.
    async fn drain(&self) {
        self.tasks.close();
        let deadline = async {
            let since = match self.control.end() {
                Some(end) => end,
                None => {
                    self.control.stopped.cancelled().await;
                    self.clock.now()
                }
            };
            tokio::time::sleep_until(self.clock.instant_of(since + self.job.plan.limits.stop))
                .await;
        };
        tokio::select! {
            () = self.tasks.wait() => {}
            () = deadline => {}
            () = self.control.aborted.cancelled() => {}
        }
        self.watchdog.cancel_all();
        self.tasks.wait().await;
    }

    /// A user may send one more of a counted closed-loop run.
    pub(super) fn take_from_budget(&self) -> bool {
        match self.budget.get() {
            None => true,
            Some(0) => {
                self.spent.cancel();
                false
            }
            Some(left) => {
                self.budget.set(Some(left - 1));
                true
            }
        }
    }

    /// Draws request `index` and puts it into words.
    pub(super) fn prepare(&self, index: Index) -> Prepared {
        let ask = self.job.workload.ask(index);
        let request = self.job.words(&ask);
        Prepared {
            index,
            asked: Asked::from(&ask),
            request,
        }
    }

    /// A request is begun.
    pub(super) fn count_sent(&self) {
        self.sent.set(self.sent.get() + 1);
        let mut tally = self.tally.borrow_mut();
        tally.counts.sent += 1;
        if !self.job.plan.schedule.is_open() {
            tally.counts.scheduled += 1;
        }
    }

    /// Connections were opened ahead of the requests that will use them.
    pub(super) fn note_opened_ahead(&self, took: &[Duration]) {
        let mut tally = self.tally.borrow_mut();
        for &took in took {
            tally.note_opened_ahead(took);
        }
    }

    pub(super) fn warn(&self, warning: Warning) {
        *self.tally.borrow_mut().warnings.entry(warning).or_default() += 1;
    }

    pub(super) fn keeps_text(&self) -> bool {
        self.counter.is_some() || self.job.plan.observe.show_response
    }

    /// Folds a finished request: here, or on the thread that counts tokens first.
    pub(super) async fn finish(&self, finished: Finished) {
        if finished.sent_again {
            self.warn(Warning::SentAgain);
        }
        if finished.after_end {
            self.warn(Warning::EventAfterEnd);
        }
        self.job.show_answer(&finished);
        let finished = match &self.counter {
            None => finished,
            Some(counter) => match counter.hand_over(finished) {
                Ok(()) => return,
                Err(mut refused) => {
                    self.warn(Warning::GeneratorQueueFull);
                    counter.count(&mut refused);
                    refused
                }
            },
        };
        let record = self.job.without_secrets(finished.record);
        let window = self.job.window(self.control.end());
        self.tally.borrow_mut().record(&record, &window);
        let Some(records) = &self.job.records else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(record)) = records.try_send(record) {
            self.warn(Warning::GeneratorQueueFull);
            // Nothing measured is lost: the user waits for the disk. A closed channel means that the disk failed;
            // whoever reads it says so.
            tokio::select! {
                _ = records.send(record) => {}
                // A disk that hangs must not hold up the end.
                () = self.control.aborted.cancelled() => tracing::warn!("a record was left out: the disk is too slow"),
            }
        }
    }

    /// Hands over what was measured since the last time, unless the other end is behind: sending must not wait for it,
    /// and the next report holds the more.
    fn report_if_room(&self) {
        self.count_due(
            self.clock
                .now()
                .min(self.control.end().unwrap_or(Offset::MAX)),
        );
        self.note_load();
        if let Ok(room) = self.parts.try_reserve() {
            self.meter.hand_over(&mut self.tally.borrow_mut());
            let next = self.spares.take();
            room.send(self.tally.replace(next));
        }
    }

    /// Hands over the last that was measured.
    async fn report(&self) {
        self.meter.hand_over(&mut self.tally.borrow_mut());
        self.note_load();
        let part = std::mem::take(&mut *self.tally.borrow_mut());
        // The other end lives as long as a core does; if it does not, nobody is left to tell.
        let _ = self.parts.send(part).await;
    }

    /// Adds what this core's thread did since the last time.
    fn note_load(&self) {
        let window = self.job.window(self.control.end());
        let load = self.load.borrow_mut().look(self.clock.now(), &window);
        if let Some(load) = load {
            let cores = &mut self.tally.borrow_mut().generator.cores;
            cores.entry(self.shard.index()).or_default().merge(load);
        }
    }

    /// Counts the arrivals that came due until `now`, and how many of them still wait.
    pub(super) fn count_due(&self, now: Offset) {
        let mut due = self.due.borrow_mut();
        let Some(due) = due.as_mut() else { return };
        self.tally.borrow_mut().counts.scheduled += due.advance(now, self.sent.get());
        let waiting = due.count().saturating_sub(self.sent.get());
        self.gauges
            .waiting
            .store(u32::try_from(waiting).unwrap_or(u32::MAX), Relaxed);
    }

    /// Sending is over: what came due and was never begun is cancelled.
    fn settle(&self) {
        self.count_due(self.control.end().unwrap_or(Offset::MAX));
        if let Some(due) = &*self.due.borrow() {
            self.tally.borrow_mut().counts.late_cancelled += due.count() - self.sent.get();
        }
        self.gauges.waiting.store(0, Relaxed);
    }
}

impl Job {
    /// The measured window, as far as it is known.
    pub(super) fn window(&self, end: Option<Offset>) -> Window {
        Window {
            start: self.window_start,
            end,
        }
    }
}

/// How long after the second a core reports: at whole seconds, and at simple fractions of them, requests are due. The engine
/// waits a little longer for the parts of all cores.
pub(super) const ASIDE: Duration = Duration::from_millis(17);

/// How long a request may be begun after it was due, with a user free, before it is called late.
pub(super) const LATE: Duration = Duration::from_millis(1);
