//! What is known of a run so far, from its events and its answers: one `Standing` at any time. It asks nobody anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use super::Outcome;
use crate::app::changes::{Changes, reported};
use crate::app::journal::{Replayed, on_the_wall};
use crate::cluster::{
    Epoch, Gauges, MasterEvent, RunPhase, RunStatus, WorkerState, WorkerStatus, WorkerSummary,
};
use crate::domain::{Offset, Rate};
use crate::metrics::{Observation, Recent, Summary, Tally, Verdict, Window, judge};
use crate::plan::Plan;
use crate::report::{Crowd, History, Lately, LifeStage, LoadChange, Standing, WorkerStanding};
use crate::schedule::Load;

/// The last seconds are so many, as in Locust's tables.
const LATELY: Duration = Duration::from_secs(10);

impl Replayed for Fold {
    fn starting(&mut self, at: OffsetDateTime) {
        self.started_at = Some(at);
        self.reach(LifeStage::Running);
    }

    fn second(&mut self, delta: &Tally, to: Offset, gauges: Gauges) {
        self.merge(delta, to, gauges);
    }
}

/// A run so far.
pub(super) struct Fold {
    plan: Arc<Plan>,
    clock_zero: OffsetDateTime,
    stage: LifeStage,
    started_at: Option<OffsetDateTime>,
    now: Offset,
    left: Option<Duration>,
    gauges: Gauges,
    tally: Tally,
    recent: Recent,
    history: Arc<Mutex<History>>,
    changes: Changes,
    workers: Arc<Vec<WorkerStanding>>,
    // What is made of the tally is made when that changes.
    summary: Arc<Summary>,
    lately: Arc<Lately>,
    said: Arc<Vec<LoadChange>>,
    verdict: Option<Arc<Verdict>>,
    failure: Option<Arc<str>>,
}

impl Fold {
    /// Of a run that begins, or that had these epochs under another master.
    pub(super) fn new(plan: Arc<Plan>, clock_zero: OffsetDateTime, epochs: &[Epoch]) -> Self {
        let changes = Changes::resumed(Load::of(&plan.schedule), epochs);
        Self {
            plan,
            clock_zero,
            stage: LifeStage::Waiting,
            started_at: None,
            now: Offset::ZERO,
            left: None,
            gauges: Gauges::default(),
            tally: Tally::default(),
            recent: Recent::new(LATELY),
            history: Arc::default(),
            workers: Arc::default(),
            summary: Arc::new(Summary::new(Tally::default(), Observation::default())),
            lately: Arc::default(),
            said: Arc::new(changes.all().to_vec()),
            changes,
            verdict: None,
            failure: None,
        }
    }

    pub(super) fn history(&self) -> Arc<Mutex<History>> {
        Arc::clone(&self.history)
    }

    /// Takes note of what happened.
    pub(super) fn note(&mut self, event: &MasterEvent) {
        match event {
            MasterEvent::Dealt { .. } => self.reach(LifeStage::Preparing),
            MasterEvent::Starting { at } | MasterEvent::Adopted { at, .. } => {
                self.started_at = Some(on_the_wall(self.clock_zero, *at));
                self.reach(LifeStage::Running);
            }
            MasterEvent::Merged { delta, to, gauges } => self.merge(delta, *to, *gauges),
            MasterEvent::Stopping { .. } => self.reach(LifeStage::Stopping),
            _ => {}
        }
        if let Some(change) = self.changes.note(event) {
            Arc::make_mut(&mut self.said).push(change);
        }
    }

    /// A part that is dealt again does not make a run begin again.
    pub(super) fn reach(&mut self, stage: LifeStage) {
        self.stage = self.stage.max(stage);
    }

    fn merge(&mut self, delta: &Tally, to: Offset, gauges: Gauges) {
        self.tally.merge_figures(delta);
        self.recent.push(to, delta);
        self.gauges = gauges;
        self.now = self.now.max(to);
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.push(delta, to, crowd(gauges));
        drop(history);
        self.lately = Arc::new(Lately {
            phase: self.recent.phase(self.now),
            span_s: self.recent.span_s(self.now),
            requests_per_s: self.recent.requests_per_s(self.now),
            failures_per_s: self.recent.failures_per_s(self.now),
        });
        let summary = Summary::new(self.tally.clone(), self.observation());
        self.verdict = judge(&summary).map(Arc::new);
        self.summary = Arc::new(summary);
    }

    fn observation(&self) -> Observation {
        let schedule = &self.plan.schedule;
        Observation {
            window: Window {
                start: schedule.window_start(),
                end: schedule.end_of_sending(),
            },
            until: self.now,
            in_flight: u64::from(self.gauges.in_flight),
            waiting: u64::from(self.gauges.waiting),
        }
    }

    /// Takes in what the run answered.
    pub(super) fn looked(&mut self, status: &RunStatus, workers: &[WorkerStatus]) {
        // Of a run that goes on there may be no event that said so.
        self.reach(stage(status.phase));
        self.left = status.left;
        self.workers = Arc::new(workers.iter().map(worker).collect());
    }

    /// Nothing is to come any more. `failure` is why it did not do what was asked.
    pub(super) fn ended(&mut self, failure: Option<&str>) {
        self.stage = LifeStage::Ended;
        self.left = None;
        self.gauges.in_flight = 0;
        self.gauges.waiting = 0;
        self.failure = failure.map(Arc::from);
    }

    /// The run is over: its report's figures take the place of those so far.
    pub(super) fn over(&mut self, outcome: Outcome) {
        self.ended(outcome.failure.as_deref());
        if let Some((summary, verdict)) = outcome.figures {
            self.summary = Arc::new(summary);
            self.verdict = verdict.map(Arc::new);
        }
        let workers = Arc::make_mut(&mut self.workers);
        for of in &outcome.workers {
            let known = workers.iter_mut().find(|known| known.worker == of.worker);
            if let Some(known) = known {
                over(known, of);
            }
        }
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        let load = reported(self.changes.load());
        let planned = || self.plan.schedule.rate_at(self.now);
        Standing {
            stage: self.stage,
            started_at: self.started_at,
            now: self.now,
            left: self.left,
            load,
            asked_per_s: load.rate.map(Rate::as_f64).or_else(planned),
            crowd: crowd(self.gauges),
            summary: Arc::clone(&self.summary),
            lately: Arc::clone(&self.lately),
            workers: Arc::clone(&self.workers),
            changes: Arc::clone(&self.said),
            verdict: self.verdict.clone(),
            failure: self.failure.clone(),
        }
    }
}

const fn stage(phase: RunPhase) -> LifeStage {
    match phase {
        RunPhase::Waiting => LifeStage::Waiting,
        RunPhase::Preparing => LifeStage::Preparing,
        RunPhase::Running => LifeStage::Running,
        RunPhase::Stopping => LifeStage::Stopping,
        RunPhase::Ended => LifeStage::Ended,
    }
}

const fn crowd(gauges: Gauges) -> Crowd {
    Crowd {
        users: gauges.users,
        in_flight: gauges.in_flight,
        waiting: gauges.waiting,
    }
}

fn worker(of: &WorkerStatus) -> WorkerStanding {
    WorkerStanding {
        worker: of.worker,
        name: of.name.clone(),
        version: of.version.clone(),
        cores: of.cores,
        state: state(of.state),
        connected: of.connected,
        crowd: crowd(of.gauges),
        sent: of.sent,
        finished: of.finished,
        lost: of.lost,
        silent: of.silent,
        clock: of.clock.map(|clock| (clock.offset_ns, clock.bound_ns)),
    }
}

/// How a worker stood at the run's end: the last look at it may be from before that.
fn over(known: &mut WorkerStanding, of: &WorkerSummary) {
    known.state = state(of.state);
    known.sent = of.counts.sent;
    known.finished = of.finished;
    known.lost = of.counts.lost;
    known.crowd = Crowd::default();
}

const fn state(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Idle => "idle",
        WorkerState::Preparing => "preparing",
        WorkerState::Ready => "ready",
        WorkerState::Running => "running",
        WorkerState::Done => "done",
        WorkerState::Lost => "lost",
    }
}
