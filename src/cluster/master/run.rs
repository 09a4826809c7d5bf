//! A master during the run: what workers say, who is lost, and the user's orders to end.
//! It makes no figures: intervals are merged as they come.

use super::{EndedBy, FINAL_GRACE, Halt, Master, MasterEvent, Output, Phase};
use crate::cluster::ledger::Admission;
use crate::cluster::membership::ConnId;
use crate::cluster::{ClockEstimate, Gauges, Interval, ToMaster, ToWorker, WorkerState};
use crate::domain::Offset;

impl Master {
    pub(super) fn listen(&mut self, now: Offset, conn: ConnId, message: ToMaster) {
        let Some(worker) = self.roster.worker(conn) else {
            if !matches!(message, ToMaster::Heartbeat { .. }) {
                self.close(conn);
            }
            return;
        };
        if let Some(member) = self.roster.member_mut(worker) {
            member.last_heard = now;
        }
        self.revive(worker);
        self.hear(now, conn, worker, message);
    }

    fn hear(&mut self, now: Offset, conn: ConnId, worker: u32, message: ToMaster) {
        let ours = self.config.run;
        match message {
            ToMaster::Hello(_) => self.close(conn),
            ToMaster::Heartbeat {
                sent_at,
                clock,
                gauges,
            } => {
                self.note_pulse(worker, clock, gauges);
                let reply = ToWorker::Pulse {
                    echo: sent_at,
                    received_at: now,
                    sent_at: now,
                };
                self.send(conn, reply);
            }
            _ if self.phase == Phase::Ended => self.send(conn, ToWorker::Quit),
            ToMaster::Leaving => self.leave(now, worker),
            ToMaster::Ready { run } if run == ours => self.ready(worker),
            ToMaster::Unable { run, reason } if run == ours => self.unable(now, worker, reason),
            ToMaster::Interval(interval) if interval.run == ours => {
                self.merge(now, conn, worker, interval);
            }
            ToMaster::Final { run, last_seq } if run == ours => {
                self.note_final(now, worker, last_seq);
            }
            ToMaster::Interval(interval) => {
                let run = interval.run;
                self.send(conn, ToWorker::Abort { run });
            }
            ToMaster::Ready { run }
            | ToMaster::Unable { run, .. }
            | ToMaster::Final { run, .. } => self.send(conn, ToWorker::Abort { run }),
        }
    }

    fn note_pulse(&mut self, worker: u32, clock: Option<ClockEstimate>, gauges: Gauges) {
        if let Some(member) = self.roster.member_mut(worker) {
            member.clock = clock.or(member.clock);
            member.gauges = gauges;
        }
    }

    fn note_final(&mut self, now: Offset, worker: u32, last_seq: u64) {
        if self.started_at().is_none() {
            return;
        }
        if let Some(member) = self.roster.member_mut(worker) {
            member.last_seq = Some(last_seq);
        }
        self.last_progress = self.last_progress.max(now);
    }

    /// Merges an interval unless it was merged before, and says up to where none is missing.
    fn merge(&mut self, now: Offset, conn: ConnId, worker: u32, interval: Box<Interval>) {
        let Some(member) = self.roster.member_mut(worker).filter(|m| m.part.is_some()) else {
            self.close(conn);
            return;
        };
        let admission = member.ledger.admit(&interval);
        let seq = member.ledger.merged_to();
        match admission {
            Admission::Absurd => return self.close(conn),
            Admission::Seen => {}
            Admission::New => {
                member.gauges = interval.gauges;
                self.tally.merge(&interval.tally);
                self.note_progress(now, interval.to);
                let gauges = self.roster.gauges();
                self.event(MasterEvent::Merged {
                    worker,
                    interval,
                    gauges,
                });
            }
        }
        let run = self.config.run;
        self.send(conn, ToWorker::Ack { run, seq });
    }

    /// Counts a worker as lost, or forgets it if nothing was given to it yet.
    pub(super) fn lose(&mut self, now: Offset, worker: u32) {
        let started = self.started_at();
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        let name = member.hello.name.clone();
        if let (Some(at), Some(_)) = (started, member.part) {
            member.state = WorkerState::Lost;
            let confirmed_to = member.ledger.confirmed_to();
            let at = Offset::from(now.since(at));
            self.event(MasterEvent::Lost {
                worker,
                name,
                at,
                confirmed_to,
            });
            return;
        }
        self.forget(worker);
    }

    pub(super) fn forget(&mut self, worker: u32) {
        let Some(member) = self.roster.forget(worker) else {
            return;
        };
        if let Some(conn) = member.conn {
            self.output(Output::Close(conn));
        }
        let name = member.hello.name;
        self.event(MasterEvent::Gone { worker, name });
    }

    /// A lost worker that is heard of again was not lost.
    pub(super) fn revive(&mut self, worker: u32) {
        let running = matches!(self.phase, Phase::Running { .. });
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        if running && member.state == WorkerState::Lost {
            member.state = WorkerState::Running;
            let name = member.hello.name.clone();
            self.event(MasterEvent::Returned { worker, name });
        }
    }

    fn leave(&mut self, now: Offset, worker: u32) {
        let running = matches!(self.phase, Phase::Running { .. });
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        if !running {
            self.forget(worker);
            return;
        }
        if member.part.is_none() {
            self.lose(now, worker);
        } else if !member.left_early {
            member.left_early = true;
            let name = member.hello.name.clone();
            self.event(MasterEvent::Leaving { worker, name });
        }
    }

    fn unable(&mut self, now: Offset, worker: u32, reason: String) {
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        let name = member.hello.name.clone();
        let ended_by = EndedBy::Unable {
            worker: name,
            reason,
        };
        if !matches!(self.phase, Phase::Running { .. }) {
            self.finish(now, ended_by);
            return;
        }
        member.left_early = true;
        self.unable.get_or_insert(ended_by);
        self.halt(now, true);
    }

    /// Tells everybody at work to stop or to abort; before the start there is nothing to wait for.
    pub(super) fn halt(&mut self, now: Offset, abort: bool) {
        let (at, before) = match self.phase {
            Phase::Ended => return,
            Phase::Gathering { .. } | Phase::Preparing { .. } => {
                let ended_by = if abort {
                    EndedBy::Aborted
                } else {
                    EndedBy::Stopped
                };
                self.finish(now, ended_by);
                return;
            }
            Phase::Running { at, halt } => (at, halt),
        };
        if before.is_some_and(|before| before.abort || !abort) {
            return;
        }
        let halt = Halt {
            at: before.map_or(now, |before| before.at),
            abort,
        };
        self.phase = Phase::Running {
            at,
            halt: Some(halt),
        };
        self.last_progress = now;
        self.event(MasterEvent::Stopping { abort });
        for worker in self.participants() {
            self.tell(worker, halt.message(self.config.run));
        }
    }

    /// When everything that was begun must be over: the end of sending, and the drain's time after it.
    fn drained_by(&self) -> Option<Offset> {
        let Phase::Running { at, halt } = self.phase else {
            return None;
        };
        let planned = self.config.plan.schedule.end_of_sending();
        let planned = planned.map(|end| at + end.since(Offset::ZERO));
        let end = halt.map(|halt| halt.at).into_iter().chain(planned).min()?;
        let dropped = self.cut_short || halt.is_some_and(|halt| halt.abort);
        Some(if dropped {
            end
        } else {
            end + self.config.plan.limits.stop
        })
    }

    /// When workers that have not finished are given up: some time after the drain's deadline, and after the last
    /// statistics from before it.
    pub(super) fn overdue_at(&self) -> Option<Offset> {
        Some(self.drained_by()?.max(self.last_progress) + FINAL_GRACE)
    }

    /// Notes that statistics up to `to` (since the run's start) came at `now`; those from after the deadline are no progress.
    fn note_progress(&mut self, now: Offset, to: Offset) {
        let at = self.started_at().unwrap_or(now) + to.since(Offset::ZERO);
        if self.drained_by().is_none_or(|deadline| at <= deadline) {
            self.last_progress = self.last_progress.max(now);
        }
    }

    /// First tells the late ones to drop what they have; the second time gives them up.
    pub(super) fn cut_short(&mut self, now: Offset) {
        let late: Vec<u32> = self.at_work();
        if self.cut_short {
            for worker in late {
                self.lose(now, worker);
            }
            return;
        }
        self.cut_short = true;
        self.last_progress = now;
        let name = |worker: &u32| {
            self.roster
                .member(*worker)
                .map(|member| member.hello.name.clone())
        };
        let workers = late.iter().filter_map(name).collect();
        self.event(MasterEvent::Overdue { workers });
        let run = self.config.run;
        for worker in late {
            self.tell(worker, ToWorker::Abort { run });
        }
    }
}
