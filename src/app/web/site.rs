//! What all browsers share: the run that goes on or was the last, those before it, and whether another may start.
//! It serves no request and plays no run; both sides meet here.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::documents::{AT_ITS_END, Documents, MEANWHILE, RECORDS};
use super::recorder::{Keeping, context, follow, kept};
use crate::app::failure::Failure;
use crate::app::observe::{Observatory, View, with_history};
use crate::app::played::Played;
use crate::app::views::{Doing, Viewer};
use crate::config::{Base, Command};
use crate::report::LifeStage;
use crate::web;

/// Runs that are kept, the last one included.
const RUNS: usize = 20;

/// Why no run came of a start.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) error: String,
    pub(super) hint: Option<String>,
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        Self {
            error: format!("{:#}", failure.error),
            hint: failure.hint.clone(),
        }
    }
}

/// Whether a run may start.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// It may.
    Idle,
    /// One is being prepared.
    Opening,
    /// One goes on, of this name.
    Playing(String),
    /// It may; the last start came to nothing.
    Refused(Problem),
}

struct State {
    phase: Phase,
    /// The oldest first.
    runs: VecDeque<Arc<Run>>,
}

/// One run, while it goes on and after.
pub(super) struct Run {
    pub(super) id: String,
    pub(super) view: View,
    pub(super) keeping: Keeping,
    end: Mutex<Option<End>>,
}

/// What came of a run.
struct End {
    status: u8,
    failure: Option<String>,
    documents: Option<Documents>,
    /// The file of requests one by one, until a later run writes it.
    records: Option<PathBuf>,
}

/// What all browsers share.
pub(in crate::app) struct Site {
    pub(super) base: Base,
    state: Mutex<State>,
    /// Counts what happens to `state`, so that who waits for it hears of it.
    changes: watch::Sender<u64>,
    starts: mpsc::Sender<Command>,
}

impl Site {
    pub(super) fn new(base: Base, starts: mpsc::Sender<Command>) -> Self {
        Self {
            base,
            state: Mutex::new(State {
                phase: Phase::Idle,
                runs: VecDeque::new(),
            }),
            changes: watch::channel(0).0,
            starts,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// For who waits for anything to change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().phase.clone()
    }

    /// Takes the one place for a run that is to start. Returns whether it was free.
    pub(super) fn open(&self) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Opening | Phase::Playing(_)) {
            return false;
        }
        state.phase = Phase::Opening;
        drop(state);
        self.changed();
        true
    }

    /// Has the run played for which the place was taken.
    pub(super) fn start(&self, command: Command) {
        if self.starts.try_send(command).is_err() {
            self.refuse(Problem {
                error: "the program is ending".to_owned(),
                hint: None,
            });
        }
    }

    pub(super) fn refuse(&self, problem: Problem) {
        self.state().phase = Phase::Refused(problem);
        self.changed();
    }

    /// A run is about to begin: from here on it is shown.
    pub(in crate::app) fn attach(&self, observatory: &mut Observatory) -> Box<dyn Viewer> {
        let view = observatory.view();
        let run = Arc::new(Run {
            id: format!("{:016x}", view.run),
            view: view.clone(),
            keeping: Keeping::default(),
            end: Mutex::new(None),
        });
        let following = follow(view, observatory.listen(), Arc::clone(&run.keeping));
        let mut state = self.state();
        for earlier in &state.runs {
            earlier.forget_records();
        }
        state.phase = Phase::Playing(run.id.clone());
        state.runs.push_back(run);
        while state.runs.len() > RUNS {
            state.runs.pop_front();
        }
        drop(state);
        self.changed();
        Box::new(Attached(Some(TaskTracker::new().spawn(following))))
    }

    /// The run that was played is over. `records` is where its requests were written one by one.
    pub(super) fn over(&self, played: &mut Played, records: Option<PathBuf>) {
        let mut state = self.state();
        let is_shown = matches!(state.phase, Phase::Playing(_));
        if let Some(run) = state.runs.back().filter(|_| is_shown) {
            run.over(End {
                status: played.status,
                failure: played.failure.take(),
                documents: played.documents.take(),
                records,
            });
        }
        state.phase = Phase::Idle;
        drop(state);
        self.changed();
    }

    /// The same, where it broke off.
    pub(super) fn broke_off(&self, failure: &Failure) {
        self.refuse(failure.into());
    }

    pub(super) fn last(&self) -> Option<Arc<Run>> {
        self.state().runs.back().cloned()
    }

    pub(super) fn run(&self, id: &str) -> Option<Arc<Run>> {
        let state = self.state();
        state.runs.iter().find(|run| run.id == id).cloned()
    }

    /// The process and its runs, the last one first.
    pub(super) fn about(&self) -> Value {
        let (phase, runs) = {
            let state = self.state();
            (
                state.phase.clone(),
                state.runs.iter().rev().cloned().collect::<Vec<_>>(),
            )
        };
        let (name, run, problem) = match phase {
            Phase::Idle => ("idle", None, None),
            Phase::Opening => ("opening", None, None),
            Phase::Playing(id) => ("running", Some(id), None),
            Phase::Refused(problem) => ("idle", None, Some(problem)),
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "role": if self.base.is_master() { "master" } else { "run" },
            "phase": name,
            "run": run,
            "problem": problem.map(|problem| json!({"error": problem.error, "hint": problem.hint})),
            "runs": runs.iter().map(|run| run.brief()).collect::<Vec<_>>(),
        })
    }
}

/// The run's end of the page.
struct Attached(Option<JoinHandle<()>>);

impl Viewer for Attached {
    fn close(&mut self) -> Doing<'_, Vec<Failure>> {
        let following = self.0.take();
        Box::pin(async move {
            if let Some(following) = following {
                // It ends with the run, and only a defect ends it otherwise.
                let _ended = following.await;
            }
            Vec::new()
        })
    }
}

impl Run {
    fn end(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self, end: End) {
        *self.end() = Some(end);
    }

    fn forget_records(&self) {
        if let Some(end) = &mut *self.end() {
            end.records = None;
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.end().is_some()
    }

    /// How it stands, with all figures.
    pub(super) fn standing(&self) -> Value {
        let standing = Arc::clone(&self.view.standing.borrow());
        let look = *self.view.server.borrow();
        let ctx = context(&self.view, &standing);
        let mut value = web::standing(web::Seen {
            id: &self.id,
            ctx: &ctx,
            standing: &standing,
            cluster: self.view.cluster,
            command: &self.view.command,
            look: look.as_ref(),
        });
        let end = self.end();
        value["status"] = json!(end.as_ref().map(|end| end.status));
        if let Some(failure) = end.as_ref().and_then(|end| end.failure.as_ref()) {
            value["failure"] = json!(failure);
        }
        drop(end);
        value["files"] = self.files();
        value
    }

    /// A line of the list of runs.
    fn brief(&self) -> Value {
        let standing = Arc::clone(&self.view.standing.borrow());
        let end = self.end();
        let summary = &standing.summary;
        let p95 = |metric| {
            let series = summary.get(metric);
            series
                .and_then(|series| series.percentile(0.95))
                .map(web::shown)
        };
        json!({
            "run": self.id,
            "stage": standing.stage.name(),
            "started_at": standing.started_at.map(crate::report::rfc3339),
            "lasted_s": standing.now.as_secs_f64(),
            "model": self.view.plan.provider.model,
            "load": standing.load.to_string(),
            "requests": summary.requests(),
            "failures": summary.failures(),
            "requests_per_s": summary.requests_per_s(),
            "ttft_p95_ms": p95(crate::metrics::Metric::TimeToFirstToken),
            "latency_p95_ms": p95(crate::metrics::Metric::TotalLatency),
            "verdict": standing.verdict.as_ref().map(|verdict| verdict.level.name()),
            "status": end.as_ref().map(|end| end.status),
            "failure": end.as_ref().and_then(|end| end.failure.clone()),
        })
    }

    /// Steps of it from number `from` on, with looks at the server; all of them where there are fewer by now.
    pub(super) fn steps(&self, from: usize) -> (Value, usize) {
        let started = self.view.standing.borrow().started_at;
        let started_s = started.map_or(0.0, seconds);
        let (rows, first, count) = with_history(&self.view, |history| {
            let all = history.steps();
            let first = if from > all.len() { 0 } else { from };
            (web::steps(&all[first..]), first, all.len())
        });
        let kept = kept(&self.keeping);
        let value = json!({
            "first": first,
            "columns": web::columns(),
            "rows": rows,
            "looks": web::looks(kept.looks(), started_s),
        });
        (value, count)
    }

    /// The files that it has now.
    pub(super) fn files(&self) -> Value {
        let end = self.end();
        let has_all = end.as_ref().is_some_and(|end| end.documents.is_some());
        let has_records = end.as_ref().is_some_and(|end| end.records.is_some());
        let there = AT_ITS_END
            .iter()
            .filter(|(name, _)| has_all || MEANWHILE.contains(name));
        there
            .chain(has_records.then_some(&RECORDS))
            .map(|(name, what)| json!({"name": name, "what": what}))
            .collect()
    }

    /// The text of one of them.
    pub(super) fn file(&self, name: &str) -> Option<String> {
        if name == "history.csv" {
            return Some(kept(&self.keeping).history());
        }
        if let Some(documents) = self.end().as_ref().and_then(|end| end.documents.as_ref()) {
            return documents.file(name);
        }
        let standing = Arc::clone(&self.view.standing.borrow());
        let ctx = context(&self.view, &standing);
        match name {
            "stats.csv" => crate::report::stats_csv::stats(&ctx).ok(),
            "failures.csv" => crate::report::stats_csv::failures(&ctx).ok(),
            "exceptions.csv" => crate::report::stats_csv::exceptions().ok(),
            _ => None,
        }
    }

    /// Where its requests are one by one.
    pub(super) fn records(&self) -> Option<PathBuf> {
        self.end().as_ref()?.records.clone()
    }

    /// Nothing can be told to it any more.
    pub(super) fn is_ended(&self) -> bool {
        self.view.standing.borrow().stage == LifeStage::Ended || self.is_over()
    }
}

#[expect(clippy::cast_precision_loss, reason = "times of charts")]
fn seconds(at: time::OffsetDateTime) -> f64 {
    at.unix_timestamp_nanos() as f64 / 1e9
}
