//! A master before the start: who may come in, who gets which part, and when all are prepared.
//! Nothing here happens twice in a run but for workers that come back.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{EndedBy, Master, MasterEvent, Output, Phase};
use crate::cluster::deal::Deal;
use crate::cluster::membership::{Arrival, ConnId, Member};
use crate::cluster::{Hello, PROTOCOL_VERSION, Prepare, ToWorker, WorkerState};
use crate::domain::Offset;
use crate::schedule::{Load, Share};

impl Master {
    pub(super) fn greet(&mut self, now: Offset, conn: ConnId, hello: Hello) {
        if hello.protocol != PROTOCOL_VERSION {
            self.refuse(conn, &hello, versions(&hello));
            return;
        }
        // Who comes after the end is told so, whether there would have been room or not.
        let is_over = self.phase == Phase::Ended;
        let is_full = self.roster.connected() >= self.config.max_workers;
        if is_full && !is_over && !self.roster.knows(&hello) {
            let reason = format!("there are {} workers already", self.config.max_workers);
            self.refuse(conn, &hello, reason);
            return;
        }
        if self.roster.worker(conn).is_some() {
            self.close(conn);
            return;
        }
        match self.roster.arrive(now, conn, hello) {
            Arrival::New(worker) => {
                self.welcome_new(conn, worker);
                self.recruit();
            }
            Arrival::Again(worker, before) => {
                if let Some(before) = before {
                    self.output(Output::Close(before));
                }
                self.welcome(conn, worker);
                self.revive(now, worker);
                self.catch_up(conn, worker);
                self.recruit();
            }
        }
        if self.phase == Phase::Ended {
            self.send(conn, ToWorker::Quit);
        }
    }

    fn refuse(&mut self, conn: ConnId, hello: &Hello, reason: String) {
        self.event(MasterEvent::Refused {
            name: hello.name.clone(),
            reason: reason.clone(),
        });
        self.send(conn, ToWorker::Refused { reason });
        self.output(Output::Close(conn));
    }

    fn welcome(&mut self, conn: ConnId, worker: u32) {
        let welcome = ToWorker::Welcome {
            worker,
            run: self.config.run,
            terms: self.config.terms(),
        };
        self.send(conn, welcome);
    }

    fn welcome_new(&mut self, conn: ConnId, worker: u32) {
        self.welcome(conn, worker);
        let Some(member) = self.roster.member(worker) else {
            return;
        };
        if self.phase == Phase::Ended {
            // It comes for another run than this one.
            return;
        }
        self.event(MasterEvent::Joined {
            worker,
            name: member.hello.name.clone(),
            cores: member.hello.cores,
            connected: self.roster.connected(),
            expected: self.config.expect_workers,
            late: self.started_at().is_some() && !self.rebalances(),
        });
    }

    /// Tells a worker that is back what it may have missed. Every message of it may be a repetition.
    fn catch_up(&mut self, conn: ConnId, worker: u32) {
        let Some(member) = self.roster.member(worker) else {
            return;
        };
        let (part, state, acked) = (member.part, member.state, member.acked);
        let (run, running) = (self.config.run, self.phase);
        if let Some(index) = part
            && state == WorkerState::Preparing
        {
            self.prepare(conn, worker, index);
        }
        if acked > 0 {
            self.send(conn, ToWorker::Ack { run, seq: acked });
        }
        if let (WorkerState::Running | WorkerState::Done, Phase::Running { at, halt }) =
            (state, running)
        {
            self.send(conn, ToWorker::Start { run, at });
            self.tell_shares(worker);
            if let Some(halt) = halt {
                self.send(conn, self.order(halt));
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
        let taken: BTreeSet<u32> = self
            .roster
            .iter()
            .filter_map(|(_, member)| member.part)
            .collect();
        (0..self.parts)
            .filter(|part| !taken.contains(part))
            .collect()
    }

    pub(super) fn assign(&mut self, worker: u32, index: u32) {
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        member.part = Some(index);
        member.state = WorkerState::Preparing;
        if let Some(conn) = member.conn {
            self.prepare(conn, worker, index);
        }
    }

    /// The first parts are those of the run's start; who joins later begins with nothing.
    fn prepare(&mut self, conn: ConnId, worker: u32, index: u32) {
        let spec = &self.config.plan.schedule;
        let share = match self.started_at() {
            None => Share::first(spec, index, self.parts),
            Some(_) => Share::nothing(0, Offset::ZERO, Load::of(spec)),
        };
        let prepare = Prepare {
            run: self.config.run,
            worker,
            alone: self.parts == 1,
            share,
            plan: self.config.plan.clone(),
            secrets: self.config.secrets.clone(),
        };
        self.send(conn, ToWorker::Prepare(Box::new(prepare)));
    }

    pub(super) fn ready(&mut self, now: Offset, worker: u32, digest: u64) {
        let expected = self.config.plan.digest();
        let running = self.started_at().is_some();
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        if member.state != WorkerState::Preparing {
            return;
        }
        if digest != expected {
            let reason = format!(
                "it understands the run otherwise: llmload {} there, {} here",
                member.hello.version,
                env!("CARGO_PKG_VERSION")
            );
            self.unable(now, worker, reason);
            return;
        }
        member.state = WorkerState::Ready;
        if running {
            self.deal_again_soon(now);
        }
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
        if !matches!(self.phase, Phase::Preparing { .. }) {
            return;
        }
        let is_set = |member: &Member| member.state == WorkerState::Ready && member.conn.is_some();
        let set = self.roster.iter().filter(|(_, member)| is_set(member));
        let all = u32::try_from(set.count()).is_ok_and(|set| set >= self.parts);
        if !all {
            return;
        }
        let bounds = self.roster.iter().filter_map(|(_, member)| member.clock);
        let bound = bounds.map(|clock| clock.bound_ns).max().unwrap_or(0);
        let at = now + self.config.start_lead + Duration::from_nanos(bound);
        self.phase = Phase::Running { at, halt: None };
        self.last_progress = at;
        let run = self.config.run;
        let mut members = self.participants();
        members.sort_by_key(|&worker| self.roster.member(worker).and_then(|member| member.part));
        self.deal = Some(Deal::first(
            self.config.plan.schedule.clone(),
            members.clone(),
        ));
        for worker in members {
            if let Some(member) = self.roster.member_mut(worker) {
                member.state = WorkerState::Running;
            }
            self.books.note(worker);
            self.tell(worker, ToWorker::Start { run, at });
        }
        self.event(MasterEvent::Starting { at });
        self.cut(now);
    }

    /// Notes since when a part is without a worker.
    pub(super) fn watch_vacancies(&mut self, now: Offset) {
        let Phase::Preparing { vacant_since } = self.phase else {
            return;
        };
        let vacant = !self.vacant().is_empty();
        self.phase = Phase::Preparing {
            vacant_since: vacant.then(|| vacant_since.unwrap_or(now)),
        };
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
        self.finish(now, &EndedBy::TooFewWorkers { present, expected });
    }
}

fn versions(hello: &Hello) -> String {
    format!(
        "worker `{}` (llmload {}) speaks protocol {}, this master (llmload {}) speaks protocol {PROTOCOL_VERSION}",
        hello.name,
        hello.version,
        hello.protocol,
        env!("CARGO_PKG_VERSION"),
    )
}
