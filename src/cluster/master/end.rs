//! A master's last step: whether the run is over, how it ended, and what is written into the books of those who went away.
//! It waits for nobody; `run` does.

use std::collections::BTreeMap;

use super::{EndedBy, Halt, Master, MasterEvent, Output, Phase};
use crate::cluster::deal::Deal;
use crate::cluster::ledger::{Loss, finished};
use crate::cluster::membership::Member;
use crate::cluster::{Gauges, RunResult, ToWorker, Totals, WorkerState, WorkerSummary};
use crate::domain::Offset;
use crate::metrics::{Counts, Window};

impl Master {
    /// Makes every step that has become possible.
    pub(super) fn advance(&mut self, now: Offset) {
        self.deal();
        self.watch_vacancies(now);
        self.start(now);
        self.close_books();
        if matches!(self.phase, Phase::Running { .. }) && self.is_deserted(now) {
            let ended_by = self.ended_by();
            self.finish(now, &ended_by);
        }
    }

    fn close_books(&mut self) {
        for worker in self.at_work() {
            let Some(member) = self.roster.member_mut(worker) else {
                continue;
            };
            if member.is_complete() {
                member.state = WorkerState::Done;
                member.gauges = Gauges::default();
                self.books.note(worker);
                self.event(MasterEvent::Done { worker });
            }
        }
    }

    fn ended_by(&mut self) -> EndedBy {
        let Phase::Running { halt, .. } = self.phase else {
            return EndedBy::Stopped;
        };
        let stayed = |member: &Member| member.state == WorkerState::Done && !member.left_early;
        let anybody = self.roster.iter().any(|(_, member)| stayed(member));
        match (self.verdict.take(), halt) {
            (Some(verdict), _) => verdict,
            (None, Some(Halt { abort: true, .. })) => EndedBy::Aborted,
            (None, Some(_)) => EndedBy::Stopped,
            (None, None) if !anybody => EndedBy::WorkersLost,
            (None, None) if self.is_budget_spent() => EndedBy::MaxRequests,
            (None, None) => EndedBy::Time,
        }
    }

    fn is_budget_spent(&self) -> bool {
        let schedule = &self.config.plan.schedule;
        let scheduled = self.books.total().counts.scheduled;
        let budget = schedule.most_arrivals();
        budget.is_some_and(|max| scheduled >= max || schedule.run_time.is_none())
            || self.is_all_begun()
            || self.is_enough()
    }

    /// Whether a closed loop ended because everybody who stayed had begun all that it was dealt of `max_requests`.
    fn is_all_begun(&self) -> bool {
        let budgets = self.deal.as_ref().and_then(Deal::budgets);
        budgets.is_some_and(|budgets| self.have_begun(&budgets))
    }

    /// Whether a closed loop ended because enough was sent: the time for that was over before sending ended by itself, and
    /// everybody who stayed had begun what it had to.
    ///
    /// When the last request was begun does not matter: one that takes long is begun before that time, and none after it.
    fn is_enough(&self) -> bool {
        let schedule = &self.config.plan.schedule;
        let Some(enough) = schedule.enough.filter(|_| !schedule.is_open()) else {
            return false;
        };
        let Some(end) = schedule.end_of_sending() else {
            return true;
        };
        let quotas = self.deal.as_ref().and_then(Deal::quotas);
        Offset::from(enough.after) < end && quotas.is_some_and(|quotas| self.have_begun(&quotas))
    }

    /// Whether everybody who stayed had begun so many requests; who has no number here had none to begin.
    fn have_begun(&self, requests: &BTreeMap<u32, u64>) -> bool {
        let begun = |(worker, member): (u32, &Member)| {
            let stayed = member.state == WorkerState::Done && !member.left_early;
            let wanted = of(Some(requests), worker).unwrap_or(0);
            !stayed || member.ledger.counts().scheduled >= wanted
        };
        self.roster.iter().all(begun)
    }

    pub(super) fn finish(&mut self, now: Offset, ended_by: &EndedBy) {
        self.persist_end(now, ended_by);
        let result = self.result(now, ended_by);
        self.phase = Phase::Ended;
        for conn in self.roster.conns() {
            self.send(conn, ToWorker::Quit);
        }
        self.output(Output::Finished(Box::new(result)));
    }

    pub(super) fn result(&self, now: Offset, ended_by: &EndedBy) -> RunResult {
        let sending = self.sending_end(now, ended_by);
        let owed = self.owed(sending, ended_by);
        let mut tally = self.books.total().clone();
        for (worker, member) in self.roster.iter() {
            Self::loss(member, of(owed.as_ref(), worker)).apply(&mut tally.counts);
        }
        RunResult {
            run: self.config.run,
            in_flight_at_deadline: tally.counts.sent.saturating_sub(finished(&tally)),
            tally,
            workers: self.summaries(owed.as_ref()),
            ended_by: ended_by.clone(),
            window: self.window(sending),
            discrepancies: self.discrepancies(),
            epochs: self.last_epoch(),
        }
    }

    /// Holds each worker's own books against what was merged of it.
    fn discrepancies(&self) -> Vec<String> {
        let differs = |(_, member): (u32, &Member)| {
            let theirs = member.totals.filter(|_| member.is_complete())?;
            let counts = member.ledger.counts();
            let ours = Totals {
                scheduled: counts.scheduled,
                sent: counts.sent,
                finished: member.ledger.finished(),
            };
            (ours != theirs).then(|| {
                format!(
                    "worker {} says that it sent {} requests and finished {}; merged are {} and {}",
                    member.hello.name, theirs.sent, theirs.finished, ours.sent, ours.finished
                )
            })
        };
        self.roster.iter().filter_map(differs).collect()
    }

    /// When sending ended, since the run's start; `None` when it never began.
    fn sending_end(&self, now: Offset, ended_by: &EndedBy) -> Option<Offset> {
        let Phase::Running { at, halt } = self.phase else {
            return None;
        };
        let told = Offset::from(halt.map_or(now, |halt| halt.at).since(at));
        let planned = self.config.plan.schedule.end_of_sending();
        let told = planned.map_or(told, |planned| planned.min(told));
        Some(match ended_by {
            EndedBy::Time => planned.unwrap_or(told),
            // Nothing is cut off at the end of a counted run: its window reaches to the last answer's end, so that
            // requests, tokens and time are those of one span.
            EndedBy::MaxRequests => self.books.total().last_end.unwrap_or(told),
            _ => told,
        })
    }

    /// What each worker owned of the time that was run. Of a closed loop it is known only where a count ended the run, and
    /// only asked for when somebody went away.
    fn owed(&self, sending: Option<Offset>, ended_by: &EndedBy) -> Option<BTreeMap<u32, u64>> {
        let deal = self.deal.as_ref()?;
        let until = match ended_by {
            EndedBy::MaxRequests => Offset::MAX,
            _ => sending?,
        };
        if self.config.plan.schedule.is_open() {
            return deal.owed(self.config.plan.seed, until);
        }
        let gone = |member: &Member| member.left_early || member.state == WorkerState::Lost;
        let anybody = self.roster.iter().any(|(_, member)| gone(member));
        // What somebody who went away had begun before enough was sent nobody knows, but for what it had to begin. Where all
        // others had begun their whole budgets, it was not that which ended the run, and it would have begun its own.
        let owed = match ended_by {
            EndedBy::MaxRequests if !self.is_all_begun() => deal.quotas(),
            _ => deal.budgets(),
        };
        owed.filter(|_| anybody)
    }

    /// What is unknown of a worker: of a lost one all that is open; of any other what it owned and never reported as due.
    /// `owed` is what it owned of the time that was run, where that is known already.
    pub(super) fn loss(member: &Member, owed: Option<u64>) -> Loss {
        match member.state {
            WorkerState::Lost => member.ledger.loss(owed),
            _ => Loss {
                unreported: member.ledger.unreported(owed),
                ..Loss::default()
            },
        }
    }

    pub(super) fn summaries(&self, owed: Option<&BTreeMap<u32, u64>>) -> Vec<WorkerSummary> {
        let summary = |(worker, member): (u32, &Member)| WorkerSummary {
            worker,
            name: member.hello.name.clone(),
            version: member.hello.version.clone(),
            cores: member.hello.cores,
            part: member.part,
            state: member.state,
            left_early: member.left_early,
            handed_over: member.handed_over,
            was_missing: member.was_missing,
            counts: Self::counts(member, of(owed, worker)),
            finished: member.ledger.finished(),
            confirmed_to: member.ledger.confirmed_to(),
            intervals: member.ledger.intervals(),
            clock: member.clock,
        };
        self.roster.iter().map(summary).collect()
    }

    fn counts(member: &Member, owed: Option<u64>) -> Counts {
        let mut counts = member.ledger.counts();
        Self::loss(member, owed).apply(&mut counts);
        counts
    }

    pub(super) fn window(&self, sending: Option<Offset>) -> Window {
        Window {
            start: self.config.plan.schedule.window_start(),
            end: sending,
        }
    }
}

fn of(owed: Option<&BTreeMap<u32, u64>>, worker: u32) -> Option<u64> {
    owed?.get(&worker).copied()
}
