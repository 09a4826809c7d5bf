//! A master during the run: what workers say, who is lost, and the user's orders to end.
//! It makes no figures: intervals are merged as they come.

use super::{EndedBy, FINAL_GRACE, Halt, Master, MasterEvent, Phase};
use crate::cluster::ledger::Admission;
use crate::cluster::membership::ConnId;
use crate::cluster::{ClockEstimate, Gauges, Interval, ToMaster, ToWorker, Totals};
use crate::domain::Offset;

impl Master {
    pub(super) fn listen(&mut self, now: Offset, conn: ConnId, message: ToMaster) {
        let Some(worker) = self.roster.worker(conn) else {
            self.close(conn);
            return;
        };
        // Statistics may still come from one whose heartbeats do not, and which may not send by now.
        if matches!(message, ToMaster::Heartbeat { .. }) {
            self.roster.heard(now, worker);
            self.revive(now, worker);
        }
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
                epoch,
            } => {
                self.note_pulse(worker, clock, gauges, epoch);
                let reply = ToWorker::Pulse {
                    echo: sent_at,
                    received_at: now,
                    sent_at: now,
                    run: ours,
                    epoch: self.last_epoch(),
                };
                self.send(conn, reply);
            }
            _ if self.phase == Phase::Ended => self.send(conn, ToWorker::Quit),
            ToMaster::Leaving => self.leave(now, worker),
            ToMaster::Ready { run, digest } if run == ours => self.ready(now, worker, digest),
            ToMaster::Unable { run, reason } if run == ours => self.unable(now, worker, reason),
            ToMaster::Interval(interval) if interval.run == ours => {
                self.merge(now, conn, worker, &interval);
            }
            ToMaster::Final {
                run,
                last_seq,
                totals,
            } if run == ours => {
                self.note_final(now, worker, last_seq, totals);
            }
            ToMaster::Interval(interval) => {
                let run = interval.run;
                self.send(conn, ToWorker::Abort { run });
            }
            ToMaster::Ready { run, .. }
            | ToMaster::Unable { run, .. }
            | ToMaster::Final { run, .. } => self.send(conn, ToWorker::Abort { run }),
        }
    }

    fn note_pulse(
        &mut self,
        worker: u32,
        clock: Option<ClockEstimate>,
        gauges: Gauges,
        epoch: u32,
    ) {
        let known = self.last_epoch();
        if let Some(member) = self.roster.member_mut(worker) {
            member.epoch = member.epoch.max(epoch.min(known));
            member.clock = clock.or(member.clock);
            member.gauges = gauges;
        }
    }

    fn note_final(&mut self, now: Offset, worker: u32, last_seq: u64, totals: Totals) {
        if self.started_at().is_none() {
            return;
        }
        if let Some(member) = self.roster.member_mut(worker) {
            member.last_seq = Some(last_seq);
            member.totals = Some(totals);
            self.books.note(worker);
        }
        self.last_progress = self.last_progress.max(now);
    }

    /// Merges an interval unless it was merged before, and says up to where none is missing.
    fn merge(&mut self, now: Offset, conn: ConnId, worker: u32, interval: &Interval) {
        self.cut_before(now, interval);
        let Some(member) = self.roster.member_mut(worker).filter(|m| m.part.is_some()) else {
            self.close(conn);
            return;
        };
        match member.ledger.admit(interval) {
            Admission::Absurd => self.close(conn),
            // The answer to the first may be on its way, or wait for the disk.
            Admission::Seen => {
                let (run, seq) = (self.config.run, member.acked);
                self.send(conn, ToWorker::Ack { run, seq });
            }
            Admission::New => {
                member.gauges = interval.gauges;
                self.enter(now, worker, interval);
                self.note_progress(now, interval.to);
                self.acknowledge_merged(worker);
                self.cut_if_complete(now);
            }
        }
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
                self.finish(now, &ended_by);
                return;
            }
            Phase::Running { at, halt } => (at, halt),
        };
        if before.is_some_and(|before| before.abort || !abort) {
            return;
        }
        let lead = if abort {
            std::time::Duration::ZERO
        } else {
            self.config.stop_lead
        };
        let halt = Halt {
            at: before.map_or(now + lead, |before| before.at.min(now + lead)),
            abort,
        };
        self.phase = Phase::Running {
            at,
            halt: Some(halt),
        };
        self.deal_again_at = None;
        self.last_progress = now;
        self.event(MasterEvent::Stopping { abort });
        for worker in self.participants() {
            self.tell(worker, self.order(halt));
        }
        self.cut(now);
    }

    /// The order to end, for workers.
    pub(super) fn order(&self, halt: Halt) -> ToWorker {
        let run = self.config.run;
        if halt.abort {
            return ToWorker::Abort { run };
        }
        let at = self.started_at().unwrap_or(halt.at);
        ToWorker::Stop {
            run,
            at: Offset::from(halt.at.since(at)),
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
