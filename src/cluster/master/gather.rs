//! A master before the start: who may come in, who gets which part, and when all are prepared.
//! Nothing here happens twice in a run but for workers that come back.

use std::time::Duration;

use super::{EndedBy, Master, MasterEvent, Output, Phase};
use crate::cluster::membership::{Arrival, ConnId, Member};
use crate::cluster::{Hello, PROTOCOL_VERSION, Prepare, ToWorker, WorkerState};
use crate::domain::Offset;

impl Master {
    pub(super) fn greet(&mut self, now: Offset, conn: ConnId, hello: Hello) {
        if hello.protocol != PROTOCOL_VERSION {
            self.refuse(conn, &hello);
            return;
        }
        if self.roster.worker(conn).is_some() {
            self.close(conn);
            return;
        }
        match self.roster.arrive(now, conn, hello) {
            Arrival::New(worker) => self.welcome_new(conn, worker),
            Arrival::Again(worker, before) => {
                if let Some(before) = before {
                    self.output(Output::Close(before));
                }
                self.send(conn, ToWorker::Welcome { worker });
                self.revive(worker);
                self.catch_up(conn, worker);
            }
        }
        if self.phase == Phase::Ended {
            self.send(conn, ToWorker::Quit);
        }
    }

    fn refuse(&mut self, conn: ConnId, hello: &Hello) {
        let reason = format!(
            "worker `{}` (llmload {}) speaks protocol {}, this master (llmload {}) speaks protocol {PROTOCOL_VERSION}",
            hello.name,
            hello.version,
            hello.protocol,
            env!("CARGO_PKG_VERSION"),
        );
        self.event(MasterEvent::Refused {
            name: hello.name.clone(),
            reason: reason.clone(),
        });
        self.send(conn, ToWorker::Refused { reason });
        self.output(Output::Close(conn));
    }

    fn welcome_new(&mut self, conn: ConnId, worker: u32) {
        self.send(conn, ToWorker::Welcome { worker });
        let Some(member) = self.roster.member(worker) else {
            return;
        };
        self.event(MasterEvent::Joined {
            worker,
            name: member.hello.name.clone(),
            cores: member.hello.cores,
            connected: self.roster.connected(),
            expected: self.config.expect_workers,
            late: matches!(self.phase, Phase::Running { .. } | Phase::Ended),
        });
    }

    /// Tells a worker that is back what it may have missed. Every message of it may be a repetition.
    fn catch_up(&mut self, conn: ConnId, worker: u32) {
        let Some(member) = self.roster.member(worker) else {
            return;
        };
        let (part, state, acked) = (member.part, member.state, member.ledger.merged_to());
        let (run, running) = (self.config.run, self.phase);
        if let Some(index) = part
            && state == WorkerState::Preparing
        {
            self.prepare(conn, index);
        }
        if acked > 0 {
            self.send(conn, ToWorker::Ack { run, seq: acked });
        }
        if let (Some(_), Phase::Running { at, halt }) = (part, running) {
            self.send(conn, ToWorker::Start { run, at });
            if let Some(halt) = halt {
                self.send(conn, halt.message(run));
            }
        }
    }

    /// Deals the parts once enough workers are there, and vacant ones to idle workers.
    pub(super) fn deal(&mut self) {
        if let Phase::Gathering { .. } = self.phase
            && self.roster.connected() >= self.config.expect_workers
        {
            self.parts = self.config.plan.schedule.parts(self.roster.connected());
            self.phase = Phase::Preparing { vacant_since: None };
            let idle = self.roster.connected().saturating_sub(self.parts);
            self.event(MasterEvent::Dealt {
                parts: self.parts,
                idle,
            });
        }
        if let Phase::Preparing { .. } = self.phase {
            let vacant = self.vacant();
            for (index, worker) in vacant.into_iter().zip(self.roster.idle()) {
                self.assign(worker, index);
            }
        }
    }

    fn vacant(&self) -> Vec<u32> {
        let taken = |part| {
            self.roster
                .iter()
                .any(|(_, member)| member.part == Some(part))
        };
        (0..self.parts).filter(|&part| !taken(part)).collect()
    }

    fn assign(&mut self, worker: u32, index: u32) {
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        member.part = Some(index);
        member.state = WorkerState::Preparing;
        if let Some(conn) = member.conn {
            self.prepare(conn, index);
        }
    }

    pub(super) fn prepare(&mut self, conn: ConnId, index: u32) {
        let prepare = Prepare {
            run: self.config.run,
            epoch: 0,
            index,
            of: self.parts,
            plan: self.config.plan.clone(),
        };
        self.send(conn, ToWorker::Prepare(Box::new(prepare)));
    }

    pub(super) fn ready(&mut self, worker: u32) {
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        if member.state != WorkerState::Preparing {
            return;
        }
        member.state = WorkerState::Ready;
        let ready = self.count(WorkerState::Ready);
        let parts = self.parts;
        self.event(MasterEvent::Ready {
            worker,
            ready,
            parts,
        });
    }

    fn count(&self, state: WorkerState) -> u32 {
        let count = self
            .roster
            .iter()
            .filter(|(_, member)| member.state == state)
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Starts once all parts are prepared and their workers connected, far enough ahead for everybody to hear of it.
    pub(super) fn start(&mut self, now: Offset) {
        let is_set = |member: &Member| member.state == WorkerState::Ready && member.conn.is_some();
        let set = self.roster.iter().filter(|(_, member)| is_set(member));
        let all = u32::try_from(set.count()).is_ok_and(|set| set >= self.parts);
        if !all || !matches!(self.phase, Phase::Preparing { .. }) {
            return;
        }
        let bounds = self.roster.iter().filter_map(|(_, member)| member.clock);
        let bound = bounds.map(|clock| clock.bound_ns).max().unwrap_or(0);
        let at = now + self.config.start_lead + Duration::from_nanos(bound);
        self.phase = Phase::Running { at, halt: None };
        self.last_progress = at;
        let run = self.config.run;
        for worker in self.participants() {
            if let Some(member) = self.roster.member_mut(worker) {
                member.state = WorkerState::Running;
            }
            self.tell(worker, ToWorker::Start { run, at });
        }
        self.event(MasterEvent::Starting { at });
    }

    /// Notes since when a part is without a worker.
    pub(super) fn watch_vacancies(&mut self, now: Offset) {
        let vacant = !self.vacant().is_empty();
        if let Phase::Preparing { vacant_since } = &mut self.phase {
            *vacant_since = vacant.then(|| vacant_since.unwrap_or(now));
        }
    }

    pub(super) fn gathering_until(&self) -> Option<Offset> {
        let since = match self.phase {
            Phase::Gathering { since } => since,
            Phase::Preparing { vacant_since } => vacant_since?,
            Phase::Running { .. } | Phase::Ended => return None,
        };
        self.config.max_wait.map(|wait| since + wait)
    }

    pub(super) fn give_up(&mut self, now: Offset) {
        let present = self
            .roster
            .iter()
            .filter(|(_, member)| member.conn.is_some())
            .map(|(_, member)| member.hello.name.clone())
            .collect();
        let expected = self.config.expect_workers;
        self.finish(now, EndedBy::TooFewWorkers { present, expected });
    }
}
