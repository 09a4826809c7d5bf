//! A worker that goes: it asks until when to send, drains, delivers, and does not wait for ever.
//! Until when is its master's business.

use super::{Halt, Job, LEAVE_PATIENCE, Link, Output, STOP_PATIENCE, Stage, Worker, WorkerExit};
use crate::cluster::{EngineCommand, ToMaster};
use crate::domain::Offset;

impl Worker {
    /// Told to go, a worker asks its master until when it is to send: until others take its share over.
    pub(super) fn leave(&mut self, now: Offset) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(now);
        let linked = self.link == Link::Up;
        if linked {
            self.send(ToMaster::Leaving);
        }
        match &self.job {
            Some(job) if job.is_running() && linked => {}
            Some(job) if job.is_running() => self.stop_now(),
            Some(job) if job.stage == Stage::Drained => {}
            _ => self.depart(),
        }
    }

    /// Nobody said until when.
    pub(super) fn stop_now(&mut self) {
        self.stop_told = true;
        if let Some(run) = self.job.as_ref().map(|job| job.run) {
            self.halt(run, Halt::Stop, Offset::ZERO);
        }
    }

    /// Until when a worker that goes waits for its master's word.
    pub(super) fn stop_overdue(&self) -> Option<Offset> {
        let waits = !self.stop_told && self.is_running();
        self.leaving.filter(|_| waits).map(|at| at + STOP_PATIENCE)
    }

    pub(super) fn leave_at_once(&mut self, now: Offset) {
        self.leave(now);
        match &self.job {
            Some(job) if job.is_running() => self.halt(job.run, Halt::Abort, Offset::ZERO),
            _ => self.depart(),
        }
    }

    pub(super) fn is_delivered(&self) -> bool {
        let delivered = |job: &Job| {
            let said = job.final_said && job.outbox.is_empty();
            job.stage == Stage::Drained && (said || job.deserted)
        };
        self.job.as_ref().is_some_and(delivered)
    }

    /// When a worker that drained gives up delivering.
    pub(super) fn patience_ends(&self) -> Option<Offset> {
        let job = self.job.as_ref()?;
        let since = self.leaving.filter(|_| job.stage == Stage::Drained)?;
        Some(since.max(job.drained_at) + LEAVE_PATIENCE)
    }

    pub(super) fn depart(&mut self) {
        let undelivered = self.job.as_ref().map_or(0, |job| job.outbox.unacked());
        self.abandon();
        self.finish(WorkerExit::Left { undelivered });
    }

    /// Drops what the engine has, if it has anything.
    pub(super) fn abandon(&mut self) {
        let busy = |job: &Job| job.stage != Stage::Drained;
        if self.job.as_ref().is_some_and(busy) {
            self.tell_engine(EngineCommand::Abort);
        }
    }

    pub(super) fn finish(&mut self, exit: WorkerExit) {
        if !self.done {
            self.done = true;
            self.outputs.push_back(Output::Done(exit));
        }
    }
}
