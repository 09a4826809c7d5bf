//! One core of the engine: its share of the users or arrivals, its connections, its tally.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::carry::Prepared;
use super::conduct::Known;
use super::control::{Control, CoreGauges};
use super::counting::Counter;
use super::deal::Dealt;
use super::engine::{INTERVAL, Job};
use super::lag;
use super::load::ThreadWatch;
use super::meter::Meter;
use super::open::Slots;
use super::pacer::Pacer;
use super::reading::{Asked, Finished};
use super::spares::Spares;
use super::walk::{DueCount, Walk};
use super::warm::ToWarm;
use super::watchdog::Watchdog;
use crate::client::{Clock, Failure, Transport};
use crate::domain::{Ask, Index, Offset, Outcome, Warning};
use crate::metrics::{Rules, Tally, core_number};
use crate::workload::RowLost;

/// What a core's thread is given.
pub(super) struct CoreSeat {
    pub(super) job: Arc<Job>,
    /// Which core of the engine.
    pub(super) index: u32,
    /// How many cores there are.
    pub(super) cores: u32,
    /// What the engine begins with.
    pub(super) first: Arc<Dealt>,
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
    /// Which core of the engine.
    pub(super) index: u32,
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
    /// What the outside told.
    pub(super) known: Known,
    /// The users of an open loop.
    pub(super) slots: Slots,
    /// Users that are to start, whose connections are opened ahead.
    pub(super) to_warm: ToWarm,
    counter: Option<Counter>,
    parts: mpsc::Sender<Tally>,
    spares: Arc<Spares>,
    pub(super) tally: RefCell<Tally>,
    load: RefCell<ThreadWatch>,
    rules: Rules,
    /// The way through an open loop's arrivals, and the count of those that came due; `None` when sending is over.
    pub(super) walk: RefCell<Option<Walk>>,
    pub(super) due: RefCell<Option<DueCount>>,
    pub(super) sent: Cell<u64>,
    pub(super) dropped: Cell<u64>,
    /// Cancelled when the core has or had a user: before, it costs next to nothing and has nothing to tell.
    awake: CancellationToken,
}

impl<T: Transport + 'static> Core<T> {
    pub(super) fn new(
        seat: CoreSeat,
        transport: Rc<T>,
        pacer: Pacer,
        meter: Rc<Meter>,
    ) -> Rc<Self> {
        let plan = &seat.job.plan;
        let walk = Walk::new(&plan.schedule, plan.seed);
        let core = Rc::new(Self {
            rules: seat.job.rules(),
            known: Known::new(seat.control.terms()),
            slots: Slots::default(),
            to_warm: ToWarm::default(),
            job: seat.job,
            index: seat.index,
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
            tally: RefCell::default(),
            load: RefCell::new(ThreadWatch::new(seat.clock.now())),
            due: RefCell::new(walk.clone().map(DueCount::new)),
            walk: RefCell::new(walk),
            sent: Cell::new(0),
            dropped: Cell::new(0),
            awake: CancellationToken::new(),
        });
        core.catch_up();
        core
    }

    /// The core has users, or will have: it gets what it needs to measure them, ahead of the first one.
    pub(super) fn wake(&self) {
        if self.awake.is_cancelled() {
            return;
        }
        self.awake.cancel();
        self.load.replace(ThreadWatch::new(self.clock.now()));
        let few = self.tally.replace(Tally::roomy());
        self.tally.borrow_mut().merge(&few);
        self.spares.give_back(Tally::roomy());
    }

    /// Sends this core's share, lets it finish, and hands over the last of its tally.
    pub(super) async fn run(self: Rc<Self>) {
        let first = Offset::from(INTERVAL + ASIDE);
        let mut reports = interval_at(self.clock.instant_of(first), INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let ramp = AbortOnDropHandle::new(spawn_local(Rc::clone(&self).warm_ramp()));
        let mut work = std::pin::pin!(Rc::clone(&self).work());
        let mut watching = std::pin::pin!(self.watchdog.run(self.clock));
        let mut lagging = std::pin::pin!(self.watch_lag());
        let mut conducting = std::pin::pin!(Rc::clone(&self).conduct());
        loop {
            tokio::select! {
                () = &mut work => break,
                () = &mut conducting => {}
                _ = reports.tick() => self.report_if_room(),
                () = &mut watching => {}
                () = &mut lagging => {}
            }
        }
        drop(ramp);
        self.report().await;
    }

    async fn watch_lag(&self) {
        self.awake.cancelled().await;
        lag::watch(&self.meter, self.job.stamps).await;
    }

    async fn work(self: Rc<Self>) {
        if self.job.plan.schedule.is_open() {
            Rc::clone(&self).drive_arrivals().await;
            self.settle();
        } else {
            tokio::select! {
                () = self.known.over.cancelled() => {}
                () = self.control.spent.cancelled() => {}
            }
        }
        self.note_load();
        self.drain().await;
    }

    /// Waits for what is in flight, at most for the stop time; then drops it.
    ///
    /// A run that ends by count has no end of sending: its requests get all the time they need.
    async fn drain(&self) {
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {}
            () = self.stop_time_is_over() => {}
            () = self.control.aborted.cancelled() => {}
        }
        self.watchdog.cancel_all();
        self.tasks.wait().await;
    }

    async fn stop_time_is_over(&self) {
        loop {
            let changed = self.known.changed.notified();
            let end = self.known.time().local(self.known.end());
            let last = self.clock.instant_of(end + self.job.plan.limits.stop);
            tokio::select! {
                () = sleep_until(last) => return,
                () = changed => {}
            }
        }
    }

    /// Draws request `index` and puts it into words.
    pub(super) fn prepare(&self, index: Index) -> Prepared {
        let (ask, lost) = self.draw(index);
        self.put_into_words(index, &ask, lost)
    }

    /// Draws what request `index` asks; with it, why that is not what it should be.
    pub(super) fn draw(&self, index: Index) -> (Ask, Option<RowLost>) {
        match self.job.workload.try_ask(index) {
            Ok(ask) => (ask, None),
            Err(lost) => (self.job.workload.ask(index), Some(lost)),
        }
    }

    /// Puts what request `index` asks into words. One whose row was lost fails without being sent.
    pub(super) fn put_into_words(
        &self,
        index: Index,
        ask: &Ask,
        lost: Option<RowLost>,
    ) -> Prepared {
        let mut request = match lost {
            None => self.job.words(ask),
            Some(lost) => Err(Failure::new(Outcome::Connect, lost.to_string())),
        };
        if let Ok(request) = &mut request {
            self.job.note_trace(index, request);
        }
        Prepared {
            index,
            let_in: self.job.authority.as_ref().map(|_| self.clock.now()),
            asked: Asked::from(ask),
            decoder: self.job.provider.decoder_for(ask),
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
        for &warning in &finished.warnings {
            self.warn(warning);
        }
        self.job.show_answer(&finished);
        let finished = match &self.counter {
            None => finished,
            Some(counter) => match counter.hand_over(finished) {
                Ok(()) => return,
                Err(mut refused) => {
                    self.warn(Warning::GeneratorQueueFull);
                    counter.count(&self.job, &mut refused);
                    refused
                }
            },
        };
        let record = self.job.without_secrets(finished.record);
        let window = self.control.window(self.job.window_start);
        {
            let mut tally = self.tally.borrow_mut();
            tally.record(&record, &window, &self.rules);
            if let Some(keeping) = self.rules.answers {
                tally.keep(&record, finished.answer, keeping);
            }
        }
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
        let now = self.clock.now();
        self.catch_up();
        self.follow_arrivals(now);
        self.count_due(now);
        if !self.awake.is_cancelled() && *self.tally.borrow() == Tally::default() {
            return;
        }
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
        if !self.awake.is_cancelled() {
            return;
        }
        let window = self.control.window(self.job.window_start);
        let load = self.load.borrow_mut().look(self.clock.now(), &window);
        if let Some(load) = load {
            let cores = &mut self.tally.borrow_mut().generator.cores;
            let number = core_number(self.job.worker, self.index);
            cores.entry(number).or_default().merge(load);
        }
    }
}

/// How long after the second a core reports: at whole seconds, and at simple fractions of them, requests are due. The engine
/// waits a little longer for the parts of all cores.
pub(super) const ASIDE: Duration = Duration::from_millis(17);

/// How long a request may be begun after it was due, with a user free, before it is called late.
pub(super) const LATE: Duration = Duration::from_millis(1);
