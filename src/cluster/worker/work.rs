//! A worker's engine: what it says, when it is started, and how its figures are delivered.
//! The outbox keeps them; this decides when they go.

use super::{ENDLESS, Halt, Link, Output, PROBES, Stage, Worker};
use crate::cluster::clock::Steering;
use crate::cluster::outbox::Fresh;
use crate::cluster::{EngineCommand, EngineEvent, Gauges, ToMaster};
use crate::domain::Offset;

impl Worker {
    pub(super) fn engine_says(&mut self, now: Offset, event: EngineEvent) {
        match event {
            EngineEvent::Ready => self.engine_ready(),
            EngineEvent::Unable { reason } => self.engine_unable(now, reason),
            EngineEvent::Interval {
                from,
                to,
                gauges,
                tally,
            } => self.keep(Fresh {
                from,
                to,
                gauges,
                tally,
            }),
            EngineEvent::Drained => {
                if self.is_running() {
                    self.drained(now);
                }
            }
        }
    }

    pub(super) fn engine_ready(&mut self) {
        self.answer_due = false;
        if let Some(job) = self
            .job
            .as_mut()
            .filter(|job| job.stage == Stage::Preparing)
        {
            job.stage = Stage::Ready {
                told: false,
                start: None,
            };
        }
    }

    pub(super) fn engine_unable(&mut self, now: Offset, reason: String) {
        self.answer_due = false;
        let Some(job) = self.job.as_mut().filter(|job| job.stage != Stage::Drained) else {
            return;
        };
        job.unable = Some(reason.clone());
        let run = job.run;
        self.send(ToMaster::Unable { run, reason });
        self.drained(now);
    }

    pub(super) fn keep(&mut self, mut fresh: Fresh) {
        if let Some(job) = self.job.as_mut().filter(|job| job.is_running()) {
            self.gauges = fresh.gauges;
            job.totals.add(&fresh);
            // What cannot be kept in the end need not travel.
            job.sieve.strain(&mut fresh.tally);
            job.outbox.push(fresh);
        }
    }

    pub(super) fn drained(&mut self, now: Offset) {
        self.gauges = Gauges::default();
        if let Some(job) = &mut self.job {
            job.stage = Stage::Drained;
            job.drained_at = now;
        }
    }

    /// Makes every step that has become possible.
    pub(super) fn advance(&mut self, now: Offset) {
        if self.done {
            return;
        }
        self.take_next();
        self.start(now);
        if self.link == Link::Up {
            self.announce();
            self.deliver();
        }
        if self.leaving.is_some() && self.is_delivered() {
            self.depart();
        }
    }

    pub(super) fn take_next(&mut self) {
        let free = !self.answer_due && !self.is_running();
        if let Some(prepare) = self.next.take_if(|_| free) {
            self.take_on(prepare);
        }
    }

    /// Translates the master's instant and starts, once the master's clock is known. The instant may be long past, so the
    /// engine hears first until when it may send and what is whose by now.
    pub(super) fn start(&mut self, now: Offset) {
        let Some(job) = &mut self.job else {
            return;
        };
        let Stage::Ready {
            start: Some(at), ..
        } = job.stage
        else {
            return;
        };
        let Some(clock) = self.clock.best(now) else {
            return;
        };
        job.stage = Stage::Running { halt: Halt::No };
        let steering = Steering::new(now, at, clock);
        let at = steering.origin();
        job.steering = Some(steering);
        let shares = std::mem::take(&mut job.shares);
        self.apply_grant();
        self.tell_lease();
        for share in shares {
            self.tell_engine(EngineCommand::Share(Box::new(share)));
        }
        self.tell_engine(EngineCommand::Start { at });
    }

    /// Says READY once everything is: the engine, and the master's clock, without which no start can be met. Not before this
    /// connection's master has said for which part: to one that gave this worker up meanwhile it may be another.
    pub(super) fn announce(&mut self) {
        let Some(job) = &mut self.job else {
            return;
        };
        let (run, digest) = (job.run, job.digest);
        if let Stage::Ready { told, .. } = &mut job.stage
            && !*told
            && job.asked
            && self.clock.is_known()
            && (self.beats >= PROBES || self.terms.lease >= ENDLESS)
        {
            *told = true;
            self.send(ToMaster::Ready { run, digest });
        }
    }

    pub(super) fn deliver(&mut self) {
        let Some(job) = self.job.as_mut().filter(|job| !job.deserted) else {
            return;
        };
        while let Some(interval) = job.outbox.next() {
            let message = ToMaster::Interval(Box::new(interval));
            self.outputs.push_back(Output::Send(message));
        }
        if job.stage == Stage::Drained && job.outbox.is_sent() && !job.final_said {
            job.final_said = true;
            let last = ToMaster::Final {
                run: job.run,
                last_seq: job.outbox.last_seq(),
                totals: job.totals,
            };
            self.send(last);
        }
    }
}
