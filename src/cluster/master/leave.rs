//! A master whose workers go: silently, by order, or because they cannot go on; and those who come back.
//! Who takes their share over is decided in `epochs`.

use std::time::Duration;

use super::{EndedBy, Master, MasterEvent, OnLoss, Output, Phase};
use crate::cluster::{ToWorker, WorkerState};
use crate::domain::Offset;

/// How long a run waits, when nobody is at work any more, for workers that may be behind a broken network.
const FORSAKEN: Duration = Duration::from_secs(10);

impl Master {
    /// Counts a worker as lost, or forgets it if nothing was given to it yet.
    pub(super) fn lose(&mut self, now: Offset, worker: u32) {
        let started = self.started_at();
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        let name = member.hello.name.clone();
        let Some(at) = started.filter(|_| member.state == WorkerState::Running) else {
            self.forget(worker);
            return;
        };
        member.state = WorkerState::Lost;
        member.cut_off = member.conn.is_some();
        member.was_missing = true;
        let confirmed_to = member.ledger.confirmed_to();
        let at = Offset::from(now.since(at));
        self.books.note(worker);
        self.event(MasterEvent::Lost {
            worker,
            name: name.clone(),
            at,
            confirmed_to,
        });
        if self.rebalances() {
            self.deal_again_soon(now);
        }
        if self.config.on_loss == OnLoss::Fail {
            self.verdict
                .get_or_insert(EndedBy::WorkerLost { worker: name });
            self.halt(now, false);
        }
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

    /// A lost worker that is heard of again was not lost. It takes a share again from the next epoch on.
    pub(super) fn revive(&mut self, now: Offset, worker: u32) {
        let running = matches!(self.phase, Phase::Running { .. });
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        if !running || member.state != WorkerState::Lost {
            return;
        }
        member.state = WorkerState::Running;
        self.forsaken_since = None;
        let name = member.hello.name.clone();
        self.books.note(worker);
        self.event(MasterEvent::Returned { worker, name });
        self.tell_shares(worker);
        if self.rebalances() {
            self.deal_again_soon(now);
        }
    }

    /// A worker was told to go. It sends on until others have its share.
    pub(super) fn leave(&mut self, now: Offset, worker: u32) {
        if self.started_at().is_none() {
            self.forget(worker);
            return;
        }
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        match member.state {
            WorkerState::Running => {}
            // It has nothing to send any more; what it has measured is still taken.
            WorkerState::Lost => {
                member.left_early = true;
                let (run, at) = (self.config.run, Offset::ZERO);
                self.tell(worker, ToWorker::Stop { run, at });
                return;
            }
            WorkerState::Done => return,
            WorkerState::Idle | WorkerState::Preparing | WorkerState::Ready => {
                self.forget(worker);
                return;
            }
        }
        member.left_early = true;
        // On another connection it may not have heard until when.
        member.sent_off = false;
        self.books.note(worker);
        if self.rebalances() {
            self.deal_again_soon(now);
        } else {
            self.send_off(now);
        }
    }

    /// Tells those who go until when they are to send.
    pub(super) fn send_off(&mut self, now: Offset) {
        for worker in self.at_work() {
            let Some(member) = self.roster.member_mut(worker) else {
                continue;
            };
            if !member.left_early || std::mem::replace(&mut member.sent_off, true) {
                continue;
            }
            let name = member.hello.name.clone();
            let (until, handed_over) = self.sends_until(now, worker);
            let run = self.config.run;
            if let Some(member) = self.roster.member_mut(worker) {
                member.handed_over = handed_over;
            }
            self.tell(worker, ToWorker::Stop { run, at: until });
            self.event(MasterEvent::Leaving {
                worker,
                name,
                until,
                handed_over,
            });
        }
    }

    /// Until when a worker that goes is to send, and whether that leaves nothing undone.
    fn sends_until(&self, now: Offset, worker: u32) -> (Offset, bool) {
        let time = self.run_time(now).unwrap_or_default();
        if let Phase::Running {
            at,
            halt: Some(halt),
        } = self.phase
        {
            return (Offset::from(halt.at.since(at)), true);
        }
        let Some(deal) = self.deal.as_ref().filter(|_| self.rebalances()) else {
            return (time, false);
        };
        let current = deal.current();
        if !current.members.contains(&worker) {
            return (current.from, true);
        }
        // Nobody is left to take over, or the run ends before anybody could.
        let end = self.config.plan.schedule.end_of_sending();
        match end.filter(|_| self.next_epoch_from(now).is_none()) {
            Some(end) => (end, true),
            None => (time, false),
        }
    }

    pub(super) fn unable(&mut self, now: Offset, worker: u32, reason: String) {
        let running = matches!(self.phase, Phase::Running { .. });
        let Some(member) = self.roster.member_mut(worker) else {
            return;
        };
        let name = member.hello.name.clone();
        if running && member.state != WorkerState::Running {
            // It was to join: the run does without it.
            self.event(MasterEvent::Refused { name, reason });
            self.forget(worker);
            return;
        }
        let ended_by = EndedBy::Unable {
            worker: name,
            reason,
        };
        if !running {
            self.finish(now, &ended_by);
            return;
        }
        member.left_early = true;
        self.verdict.get_or_insert(ended_by);
        self.halt(now, true);
    }

    /// Until when a run without anybody at work waits for somebody to come back.
    pub(super) fn forsaken_until(&self) -> Option<Offset> {
        self.forsaken_since.map(|since| since + FORSAKEN)
    }

    /// Whether nobody is at work and nobody is to be waited for.
    pub(super) fn is_deserted(&mut self, now: Offset) -> bool {
        if !self.at_work().is_empty() {
            self.forsaken_since = None;
            return false;
        }
        let lost = |state| state == WorkerState::Lost;
        let halted = self.cut_short || !matches!(self.phase, Phase::Running { halt: None, .. });
        let parts = || {
            let all = self.roster.iter();
            all.filter(|(_, member)| member.part.is_some())
        };
        // One that has ended by itself says that the run's end is reached: who is lost then comes too late.
        let all_lost = parts().all(|(_, member)| lost(member.state));
        let may_return = parts().any(|(_, member)| lost(member.state) && member.cut_off);
        if !all_lost || !may_return || halted {
            return true;
        }
        let since = *self.forsaken_since.get_or_insert(now);
        now >= since + FORSAKEN
    }
}
