//! What an engine is told while it runs, and before: shares, leases, corrections, the end.
//! It is written down here, in the order in which it came; the cores carry it out.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::control::{Control, Item};
use super::deal::{Dealer, Dealt};
use super::engine::{Engine, INTERVAL, Job, Standby};
use crate::client::Clock;
use crate::domain::Offset;
use crate::schedule::Share;

/// How long after now a share begins that comes too late: a correction cannot have moved the run's time by as much between two
/// looks of a core.
const MARGIN: Duration = Duration::from_millis(10);

/// Writes down what an engine is told.
pub(super) struct Helm {
    control: Arc<Control>,
    dealer: Dealer,
    /// Once the start is known.
    clock: Option<Clock>,
    /// A lease from before the start.
    early: Option<Instant>,
    /// Shares hold in the order in which they came.
    last: Offset,
    /// No share had arrivals: none can have been taken.
    idle: bool,
}

impl Helm {
    /// Deals the job's first share.
    pub(super) fn new(job: &Job, cores: u32, control: Arc<Control>) -> (Self, Arc<Dealt>) {
        let (spec, seed) = (job.plan.schedule.clone(), job.plan.seed);
        let mut helm = Self {
            control,
            dealer: Dealer::new(spec, seed, cores, job.most_to_warm()),
            clock: None,
            early: None,
            last: Offset::ZERO,
            idle: true,
        };
        let first = helm.share(&job.share);
        (helm, first)
    }

    fn share(&mut self, share: &Share) -> Arc<Dealt> {
        self.last = share.from.max(self.earliest()).max(self.last);
        self.idle &= share.arrivals.is_none();
        let dealt = Arc::new(self.dealer.deal(share, self.last));
        self.control.tell(Item::Share(Arc::clone(&dealt)));
        dealt
    }

    /// The earliest time, in the run's, from which nothing was taken yet: where sending is not allowed, the end of the lease.
    fn earliest(&self) -> Offset {
        let Some(clock) = self.clock.filter(|_| !self.idle) else {
            return Offset::ZERO;
        };
        let (terms, now) = (self.control.terms(), clock.now());
        if now >= terms.lease {
            terms.time.run(terms.lease)
        } else {
            terms.time.run(now) + MARGIN
        }
    }

    fn lease(&mut self, until: Instant) {
        match self.clock {
            Some(clock) => self.control.lease(clock.offset_of(until), clock.now()),
            None => self.early = self.early.max(Some(until)),
        }
    }

    /// Offset zero of the run is known. Returns the number of whole seconds that it is past.
    fn start(&mut self, clock: Clock) -> u32 {
        let now = clock.now();
        let seconds = now.as_nanos() / Offset::from(INTERVAL).as_nanos();
        // A start that was missed by less is late: what is due is sent, and its lateness counted.
        if seconds > 0 {
            let run = self.control.time().run(now);
            self.control.tell(Item::Joined(run));
        }
        self.clock = Some(clock);
        if let Some(until) = self.early.take() {
            self.lease(until);
        }
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    fn stop(&self, at: Offset) {
        let now = self.clock.map_or(Offset::ZERO, |clock| clock.now());
        self.control.stop(at, now);
    }
}

impl Engine {
    /// Owns `share` from its own start on. Shares come in the order of their starts; one whose start is past holds at once,
    /// from the end of the lease on where that ran out.
    pub fn share(&mut self, share: &Share) {
        self.helm.share(share);
    }

    /// Begins requests until `until`, and then none until a later lease comes; what came due meanwhile is dropped then.
    /// Without any lease there is no limit.
    pub fn lease(&mut self, until: Instant) {
        self.helm.lease(until);
    }

    /// The run's time is so much behind the clock that counts from the start, in nanoseconds.
    pub fn correct(&mut self, behind_ns: i64) {
        self.helm.control.correct(behind_ns);
    }

    /// Begins no request that is due from `at` on, in the run's time, or from now on when that is past; those in flight get
    /// the stop time.
    pub fn stop(&mut self, at: Offset) {
        self.helm.stop(at);
    }

    pub(super) fn start_at(&mut self, clock: Clock) {
        self.clock = clock;
        self.slices = self.helm.start(clock);
    }
}

impl Standby {
    /// As `Engine::share`; before the start, no share comes too late.
    pub fn share(&mut self, share: &Share) {
        self.engine.share(share);
    }

    /// As `Engine::lease`.
    pub fn lease(&mut self, until: Instant) {
        self.engine.lease(until);
    }

    /// As `Engine::correct`.
    pub fn correct(&mut self, behind_ns: i64) {
        self.engine.correct(behind_ns);
    }

    /// As `Engine::stop`.
    pub fn stop(&mut self, at: Offset) {
        self.engine.stop(at);
    }
}
