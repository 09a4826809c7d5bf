//! A worker's master: what it says, the leases that it grants, and another master in its place.
//! What the engine is told of it is decided here; what the engine says is heard in `work`.

use std::time::Duration;

use super::{
    ENDLESS, Grant, Halt, Job, Link, Output, PROBE_GAP, PROBES, PULSE_PATIENCE, Stage, Worker,
    WorkerExit,
};
use crate::cluster::clock::Clock;
use crate::cluster::outbox::Outbox;
use crate::cluster::{EngineCommand, Gauges, Hello, Prepare, Terms, ToMaster, ToWorker, Totals};
use crate::domain::Offset;
use crate::metrics::Sieve;
use crate::schedule::Share;

impl Worker {
    /// A new connection may lead to another master with another clock: what was known of it counts no more.
    pub(super) fn connected(&mut self) {
        self.link = Link::Greeting;
        self.clock = Clock::default();
        self.granted = None;
        // A part that was not taken on yet is said again, if it is still to be this worker's.
        self.next = None;
        if let Some(job) = &mut self.job {
            job.asked = false;
        }
        let run = self.job.as_ref().map(|job| job.run);
        let hello = Hello {
            run,
            ..self.hello.clone()
        };
        self.send(ToMaster::Hello(hello));
    }

    pub(super) fn listen(&mut self, now: Offset, message: ToWorker) {
        match message {
            ToWorker::Welcome { run, terms, .. } => self.welcomed(now, run, terms),
            ToWorker::Refused { reason } => {
                self.abandon();
                self.finish(WorkerExit::Refused { reason });
            }
            ToWorker::Prepare(prepare) => self.prepare(prepare),
            ToWorker::Share { run, share } => self.take_share(run, *share),
            ToWorker::Start { run, at } => self.note_start(run, at),
            ToWorker::Ack { run, seq } => {
                if let Some(job) = self.job_of(run) {
                    job.outbox.ack(seq);
                }
            }
            ToWorker::Pulse {
                echo,
                received_at,
                sent_at,
                run,
                epoch,
            } => {
                self.clock.sample(echo, received_at, sent_at, now);
                self.last_pulse = now;
                self.granted = Some(Grant {
                    run,
                    epoch,
                    until: echo + self.terms.lease,
                    until_there: sent_at + self.terms.lease,
                });
                self.apply_grant();
                self.calm_down(now);
                self.steer(now);
            }
            ToWorker::Stop { run, at } => {
                self.stop_told = true;
                self.halt(run, Halt::Stop, at);
            }
            ToWorker::Abort { run } => self.halt(run, Halt::Abort, Offset::ZERO),
            ToWorker::Quit => {
                self.abandon();
                self.finish(WorkerExit::Finished);
            }
        }
    }

    pub(super) fn welcomed(&mut self, now: Offset, run: u64, terms: Terms) {
        if self.is_elsewhere(now, run) {
            self.hang_up();
            return;
        }
        self.desert(run);
        self.link = Link::Up;
        self.last_pulse = now;
        self.terms = terms;
        self.beats = 0;
        self.beat(now);
        if self.leaving.is_some() {
            self.send(ToMaster::Leaving);
        }
        if let Some(job) = &mut self.job {
            job.outbox.rewind();
            job.final_said = false;
        }
    }

    pub(super) fn hang_up(&mut self) {
        self.link = Link::Down;
        self.outputs.push_back(Output::HangUp);
    }

    /// When a connection without an answer is given up.
    pub(super) fn pulse_overdue(&self) -> Option<Offset> {
        let up = self.link == Link::Up && self.terms.lease < ENDLESS;
        up.then(|| self.last_pulse + PULSE_PATIENCE.max(self.terms.lease * 2))
    }

    /// Whether it works for another run than this master's, by a lease that still holds: then that one's master lives, and
    /// this is another one by mistake.
    pub(super) fn is_elsewhere(&self, now: Offset, run: u64) -> bool {
        let other = |job: &Job| job.run != run && job.is_running() && now < job.lease;
        self.job.as_ref().is_some_and(other)
    }

    /// The master of an older run is gone for good: another one answers in its place.
    pub(super) fn desert(&mut self, run: u64) {
        let Some(job) = self.job.as_mut().filter(|job| job.run != run) else {
            return;
        };
        let (run, intervals) = (job.run, job.outbox.unacked());
        job.outbox = Outbox::new(run);
        job.deserted = true;
        if intervals > 0 {
            self.outputs.push_back(Output::Orphaned { run, intervals });
        }
        self.halt(run, Halt::Abort, Offset::ZERO);
    }

    /// The answer to a heartbeat grants a lease to who knows the epoch that the master knows.
    pub(super) fn apply_grant(&mut self) {
        let Some(granted) = self.granted else {
            return;
        };
        let Some(job) = self.job_of(granted.run) else {
            return;
        };
        // An epoch begins at a time of the master's clock: whatever this clock is off, nothing that is due after that time
        // may be sent by a lease from before it.
        let there = job
            .steering
            .map(|steering| steering.own(granted.until_there));
        let until = there.map_or(granted.until, |there| granted.until.min(there));
        if granted.epoch > job.epoch || until <= job.lease {
            return;
        }
        job.lease = until;
        if job.is_running() {
            self.tell_lease();
        }
    }

    pub(super) fn tell_lease(&mut self) {
        if let Some(job) = self.job.as_ref()
            && self.terms.lease < ENDLESS
        {
            let until = job.lease;
            self.tell_engine(EngineCommand::Lease { until });
        }
    }

    /// Keeps the run's time in step with the master's clock. In one process there is one clock.
    pub(super) fn steer(&mut self, now: Offset) {
        if self.terms.lease >= ENDLESS {
            return;
        }
        let Some(clock) = self.clock.best(now) else {
            return;
        };
        let Some(job) = self.job.as_mut().filter(|job| job.is_running()) else {
            return;
        };
        if let Some(steering) = &mut job.steering
            && steering.toward(now, clock)
        {
            let behind_ns = steering.behind_ns();
            self.tell_engine(EngineCommand::Correct { behind_ns });
        }
    }

    /// Shares come in their order; one that is known already is a repetition.
    pub(super) fn take_share(&mut self, run: u64, share: Share) {
        let Some(job) = self.job_of(run).filter(|job| share.epoch > job.epoch) else {
            return;
        };
        job.epoch = share.epoch;
        if job.is_running() {
            self.tell_engine(EngineCommand::Share(Box::new(share)));
        } else {
            job.shares.push(share);
        }
        self.apply_grant();
    }

    pub(super) fn beat(&mut self, now: Offset) {
        self.beats = self.beats.saturating_add(1);
        let gap = if self.beats < PROBES {
            PROBE_GAP
        } else {
            self.patience(now)
        };
        self.beat_at = now;
        self.next_beat = now + gap;
        let clock = self.clock.best(now);
        let epoch = self.job.as_ref().map_or(0, |job| job.epoch);
        self.send(ToMaster::Heartbeat {
            sent_at: now,
            clock,
            gauges: self.gauges,
            epoch,
        });
    }

    /// How long to wait for an answer before the next heartbeat. When half of the lease is over without one, they come
    /// faster: a packet may be lost, and the next one may come through.
    fn patience(&self, now: Offset) -> Duration {
        let every = self.terms.heartbeat;
        let job = self.job.as_ref().filter(|job| job.is_running());
        let half = job.map_or(every, |job| {
            job.lease.since(now).saturating_sub(self.terms.lease / 2)
        });
        half.clamp(every / 4, every)
    }

    /// An answer has come: the next heartbeat has the usual time.
    fn calm_down(&mut self, now: Offset) {
        if self.beats >= PROBES {
            let next = (self.beat_at + self.terms.heartbeat).max(now);
            self.next_beat = next.min(now + self.patience(now));
        }
    }

    /// Takes a part on. The same again is a repetition; another waits until the engine is rid of this one: of another run,
    /// or, to a worker that was given up before the start and is back, of the same.
    pub(super) fn prepare(&mut self, prepare: Box<Prepare>) {
        let run = prepare.run;
        self.next = None;
        let job = self.job.as_mut();
        let Some(job) = job.filter(|job| !job.gives_way_to(&prepare)) else {
            self.next = Some(prepare);
            if let Some(other) = self.job.as_ref().map(|job| job.run) {
                self.halt_running(other);
            }
            return;
        };
        job.asked = true;
        if let Stage::Ready { told, .. } = &mut job.stage {
            *told = false;
        }
        if let Some(reason) = job.unable.clone() {
            self.send(ToMaster::Unable { run, reason });
        }
    }

    pub(super) fn halt_running(&mut self, run: u64) {
        if self.is_running() {
            self.halt(run, Halt::Abort, Offset::ZERO);
        }
    }

    pub(super) fn take_on(&mut self, prepare: Box<Prepare>) {
        self.gauges = Gauges::default();
        self.job = Some(Job {
            run: prepare.run,
            digest: prepare.plan.digest(),
            share: prepare.share.clone(),
            asked: true,
            epoch: prepare.share.epoch,
            shares: Vec::new(),
            stage: Stage::Preparing,
            steering: None,
            lease: Offset::ZERO,
            outbox: Outbox::new(prepare.run),
            totals: Totals::default(),
            sieve: Sieve::default(),
            deserted: false,
            final_said: false,
            unable: None,
            drained_at: Offset::ZERO,
        });
        self.answer_due = true;
        self.tell_engine(EngineCommand::Prepare(prepare));
    }

    pub(super) fn note_start(&mut self, run: u64, at: Offset) {
        let Some(job) = self.job_of(run) else {
            return;
        };
        if let Stage::Ready { start, .. } = &mut job.stage {
            *start = Some(at);
        }
        if let Some(steering) = &mut job.steering {
            steering.aim(at);
        }
    }

    pub(super) fn halt(&mut self, run: u64, wanted: Halt, at: Offset) {
        let Some(job) = self.job_of(run) else {
            return;
        };
        match &mut job.stage {
            Stage::Running { halt } if *halt < wanted => {
                *halt = wanted;
                let command = match wanted {
                    Halt::Abort => EngineCommand::Abort,
                    Halt::Stop | Halt::No => EngineCommand::Stop { at },
                };
                self.tell_engine(command);
            }
            // Told until when to send, and now to stop sooner.
            Stage::Running { halt: Halt::Stop } if wanted == Halt::Stop => {
                self.tell_engine(EngineCommand::Stop { at });
            }
            Stage::Preparing | Stage::Ready { .. } => {
                job.stage = Stage::Drained;
                self.tell_engine(EngineCommand::Abort);
            }
            Stage::Running { .. } | Stage::Drained => {}
        }
    }
}
