//! How a core learns of what the outside tells it, and carries it out: shares, leases, corrections, the end.
//! Whoever is about to begin a request asks here whether it may.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::control::{Item, RunTime, Terms};
use super::core::Core;
use super::crew::{Call, Crew, Life};
use super::deal::Dealt;
use crate::client::Transport;
use crate::domain::Offset;

/// What a core knows of the outside. All of it is as of one version.
pub(super) struct Known {
    terms: Cell<Terms>,
    items: Cell<usize>,
    /// The shares that hold, and those that will: the first one holds now.
    phases: RefCell<VecDeque<Phase>>,
    pub(super) crew: RefCell<Crew>,
    /// Something changed: whoever waits looks again.
    pub(super) changed: Notify,
    /// Cancelled when sending ends.
    pub(super) over: CancellationToken,
}

/// What a share says about all users of a core.
#[derive(Clone, Copy, Debug)]
struct Phase {
    from: Offset,
    paused: bool,
    quota: Quota,
}

/// How many requests all cores together may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Quota {
    /// Of a run that is limited by count.
    budget: Option<u64>,
    /// Of a run that ends when enough was sent: after its time none beyond these.
    target: Option<u64>,
}

impl Quota {
    /// What holds when `later` is told: what says nothing leaves it as it was, and none takes anything back.
    fn and(self, later: Self) -> Self {
        Self {
            budget: later.budget.max(self.budget),
            target: later.target.max(self.target),
        }
    }

    /// How many may be begun, by what the run is limited by: `u64::MAX` for no limit.
    fn most(self, limits: Limits) -> u64 {
        let budget = limits.by_count.then(|| self.budget.unwrap_or(0));
        let target = limits.by_target.then(|| self.target.unwrap_or(0));
        [budget, target]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(u64::MAX)
    }
}

/// What a closed loop's requests are limited by at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    by_count: bool,
    by_target: bool,
}

/// Whether a user may begin a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Granted,
    /// Not before something changes.
    Later,
    /// Never again.
    Never,
}

impl Known {
    /// Nothing yet.
    pub(super) fn new(terms: Terms) -> Self {
        // No version is before the first one.
        let version = u64::MAX;
        Self {
            terms: Cell::new(Terms { version, ..terms }),
            items: Cell::new(0),
            phases: RefCell::default(),
            crew: RefCell::default(),
            changed: Notify::new(),
            over: CancellationToken::new(),
        }
    }

    /// How the run's time and the clock stand to each other.
    pub(super) fn time(&self) -> RunTime {
        self.terms.get().time
    }

    /// When sending ends, in the run's time; `Offset::MAX` while nobody knows.
    pub(super) fn end(&self) -> Offset {
        self.terms.get().end
    }

    /// Until when what comes due is this engine's business for certain, in the run's time: the end of sending, or of the lease.
    pub(super) fn horizon(&self) -> Offset {
        let terms = self.terms.get();
        terms.end.min(terms.time.run(terms.lease))
    }

    fn phase(&self, now: Offset) -> Option<Phase> {
        let (time, phases) = (self.time(), &mut *self.phases.borrow_mut());
        while phases.get(1).is_some_and(|it| time.local(it.from) <= now) {
            phases.pop_front();
        }
        phases.front().copied()
    }

    /// When the next share begins to hold, or somebody starts or ends, or sending ends, or `also`: by the clock.
    fn next_event(&self, also: Option<Offset>) -> Option<Offset> {
        let phase = self.phases.borrow().get(1).map(|phase| phase.from);
        let end = Some(self.end()).filter(|_| !self.over.is_cancelled());
        let user = self.crew.borrow().next();
        let next = [phase, end, user, also].into_iter().flatten().min()?;
        Some(self.time().local(next)).filter(|&at| at != Offset::MAX)
    }

    /// The highest quota of the shares that hold or will.
    fn quota(&self) -> Quota {
        let phases = self.phases.borrow();
        let all = phases.iter().map(|phase| phase.quota);
        all.fold(Quota::default(), Quota::and)
    }
}

impl<T: Transport + 'static> Core<T> {
    /// Carries out what was told since the last time. It costs a look at one number when that is nothing.
    pub(super) fn catch_up(&self) {
        let known = &self.known;
        if self.control.version() == known.terms.get().version {
            return;
        }
        let (terms, items) = self.control.told_since(known.items.get());
        known.items.set(known.items.get() + items.len());
        for item in items {
            match item {
                Item::Share(dealt) => self.take_share(&dealt),
                Item::Renewed(at) => self.drop_due(at, terms.end),
                Item::Joined(at) => self.join(at),
            }
        }
        known.terms.set(terms);
        self.meter
            .set_window_start(terms.time.local(self.job.window_start));
        known.changed.notify_waiters();
    }

    fn take_share(&self, dealt: &Dealt) {
        let part = &dealt.cores[self.index as usize];
        if !part.users.is_empty() {
            self.wake();
        }
        self.change_arrivals(dealt, part.arrivals);
        let mut phases = self.known.phases.borrow_mut();
        let before = phases
            .back()
            .map_or_else(Quota::default, |phase| phase.quota);
        phases.push_back(Phase {
            from: dealt.from,
            paused: dealt.paused,
            quota: before.and(Quota {
                budget: dealt.budget,
                target: dealt.target,
            }),
        });
        drop(phases);
        let coming = self.known.crew.borrow_mut().change(dealt, part);
        self.warm_later(coming);
    }

    /// Carries out what the outside tells, and starts and ends users when it is time to; for ever.
    pub(super) async fn conduct(self: Rc<Self>) {
        let mut news = self.control.news();
        loop {
            let now = self.clock.now();
            self.catch_up();
            if self.known.time().local(self.known.end()) <= now {
                self.known.over.cancel();
            }
            // Shares that are past are forgotten.
            self.known.phase(now);
            self.call_users(now);
            self.has_spent(now);
            // Whatever was waited for may be there.
            self.known.changed.notify_waiters();
            let next = self.next_instant(now);
            tokio::select! {
                // Whoever tells lives as long as a core does.
                _ = news.changed() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    fn next_instant(&self, now: Offset) -> Instant {
        let enough = self.enough_after().filter(|_| !self.is_after_enough(now));
        let next = self.known.next_event(enough).unwrap_or(Offset::MAX);
        self.clock.instant_of(next)
    }

    /// Starts and ends the users whose time has come.
    pub(super) fn call_users(self: &Rc<Self>, now: Offset) {
        let time = self.known.time();
        loop {
            // Not held while somebody is called.
            let call = self
                .known
                .crew
                .borrow_mut()
                .call(|at| time.local(at) <= now);
            match call {
                Some(Call::Start(life)) => self.start_user(life),
                Some(Call::End(life)) => self.end_user(&life),
                None => return,
            }
        }
    }

    fn start_user(self: &Rc<Self>, life: Rc<Life>) {
        if self.known.over.is_cancelled() {
            return;
        }
        if self.job.plan.schedule.is_open() {
            self.gauges.users.fetch_add(1, Relaxed);
            self.slots.start(life, &self.known);
        } else {
            self.tasks.spawn_local(Rc::clone(self).be_user(life));
        }
    }

    fn end_user(&self, life: &Rc<Life>) {
        // One of a closed loop may be waiting for its next request; one that carries a request knows its end: see
        // `Slots::release`.
        life.ended.notify_one();
        if self.slots.end(life) {
            self.gauges.users.fetch_sub(1, Relaxed);
        }
    }

    /// Whether nothing may be begun at `now` by anybody, as things stand.
    pub(super) fn is_held(&self, now: Offset) -> bool {
        let paused = || self.known.phase(now).is_none_or(|phase| phase.paused);
        now >= self.known.terms.get().lease || paused()
    }

    /// Whether sending ended before `now`.
    pub(super) fn is_over(&self, now: Offset) -> bool {
        self.known.time().local(self.known.end()) <= now
    }

    /// Whether a user of a closed loop may begin a request now. Where it may, the request is taken from the budget.
    pub(super) fn ask_leave(&self, life: &Life) -> Leave {
        // The clock first: what was told before it showed this is known then.
        let now = self.clock.now();
        self.catch_up();
        let ended = life.has_ended(now, self.known.time());
        if ended || self.is_over(now) || self.control.spent.is_cancelled() {
            return Leave::Never;
        }
        if self.is_held(now) {
            return Leave::Later;
        }
        if self.takes_one(now) {
            return Leave::Granted;
        }
        if self.has_spent(now) {
            Leave::Never
        } else {
            Leave::Later
        }
    }

    /// Takes one request of what may be begun at `now`, if there is one.
    fn takes_one(&self, now: Offset) -> bool {
        let Some(limits) = self.limits(now) else {
            return true;
        };
        let phase = self.known.phase(now);
        phase.is_some_and(|phase| self.control.take(phase.quota.most(limits)))
    }

    /// By what requests are limited at `now`; `None` in a closed loop without a count, and in an open one.
    fn limits(&self, now: Offset) -> Option<Limits> {
        let schedule = &self.job.plan.schedule;
        schedule.is_counted_closed().then(|| Limits {
            by_count: schedule.max_requests.is_some(),
            by_target: self.is_after_enough(now),
        })
    }

    /// From when on, in the run's time, enough may have been sent.
    fn enough_after(&self) -> Option<Offset> {
        let schedule = &self.job.plan.schedule;
        let enough = schedule.enough.filter(|_| !schedule.is_open())?;
        Some(Offset::from(enough.after))
    }

    fn is_after_enough(&self, now: Offset) -> bool {
        let after = self.enough_after();
        after.is_some_and(|after| self.known.time().local(after) <= now)
    }

    /// Whether a closed loop may begin nothing any more, whatever share will hold. Then no later share can raise it any more.
    fn has_spent(&self, now: Offset) -> bool {
        let Some(limits) = self.limits(now).filter(|of| of.by_count || of.by_target) else {
            return false;
        };
        let quota = self.known.quota();
        // One that was told of neither has none to spend.
        let told = quota.budget.is_some() || quota.target.is_some();
        let spent = told && self.control.has_spent(quota.most(limits));
        spent && self.control.spend_out(self.known.terms.get().version)
    }
}

impl Life {
    /// Whether it begins no request any more at `now`, by the clock.
    pub(super) fn has_ended(&self, now: Offset, time: RunTime) -> bool {
        time.local(self.end.get()) <= now
    }
}
