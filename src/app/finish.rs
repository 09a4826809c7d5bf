//! The end of a run: the last tables, every file, the exit status. Nothing that was measured is lost on the way.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::console::{Console, columns, complain};
use super::failure::{Failure, status};
use super::files::{append_row, replace};
use super::html::write_page;
use super::live::Live;
use super::observe::Outcome as Seen;
use super::surroundings::wall_clock;
use super::web::Documents;
use crate::cluster::{EndedBy, RunResult, WorkerState, WorkerSummary};
use crate::config::{Outputs, Settings};
use crate::domain::{Answer, Index, Outcome};
use crate::embed::{Aftermath, summarised};
use crate::gauges::Watched;
use crate::metrics::{Level, Summary, Verdict, judge};
use crate::plan::Plan;
use crate::provider::Endpoint;
use crate::report::page::{Course, run_page};
use crate::report::{self, Context, History, closing, json, summary_block, summary_file, table};

/// What a run must be like to have succeeded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Share of failed requests above which it has failed.
    pub(super) max_fail_ratio: f64,
    /// Its exit status then.
    pub(super) exit_code_on_error: u8,
    /// Figures that cannot be trusted are taken as they are.
    pub(super) allow_invalid: bool,
}

impl From<&Settings> for Rules {
    fn from(settings: &Settings) -> Self {
        Self {
            max_fail_ratio: settings.max_fail_ratio,
            exit_code_on_error: settings.exit_code_on_error,
            allow_invalid: settings.allow_invalid,
        }
    }
}

/// Why a run has no figures that was told to end.
pub(super) const INTERRUPTED: &str = "interrupted before anything was measured";

/// A run that is over.
pub(super) struct Ending<'a> {
    pub(super) outputs: &'a Outputs,
    pub(super) rules: Rules,
    pub(super) plan: &'a Plan,
    pub(super) endpoint: &'a Endpoint,
    pub(super) result: RunResult,
    pub(super) aftermath: Aftermath<Failure>,
    /// What was seen of the server meanwhile, where somebody looked.
    pub(super) watched: Option<Watched>,
    /// Why the journal is not whole.
    pub(super) journal_error: Option<Failure>,
    /// What was changed while the run went on.
    pub(super) changes: Vec<report::LoadChange>,
    /// It was told to end, and the exit status if nothing was measured by then.
    pub(super) interrupted: Option<u8>,
    /// What is missing of a run whose master is gone.
    pub(super) missing: Option<String>,
    pub(super) cluster: bool,
    /// Each answer by itself, where the plan wants that.
    pub(super) answers: &'a BTreeMap<Index, Answer>,
    /// The command line that does the same again, without secrets; empty where nobody knows it.
    pub(super) command: &'a str,
    /// Nothing is printed of its figures: somebody else shows them.
    pub(super) is_quiet: bool,
    /// Its files are kept for who asks for them later.
    pub(super) keeps_documents: bool,
    /// What its views could not bring where it belongs.
    pub(super) unseen: Vec<Failure>,
}

/// What a run that is over comes to, before anything is said of it.
pub(super) struct Judged {
    /// Why there was no run, or why it did not do what was asked.
    failure: Option<Failure>,
    /// `None` if it never began.
    figures: Option<(Summary, Option<Verdict>)>,
    /// Who carried it out.
    workers: Vec<WorkerSummary>,
}

impl Judged {
    pub(super) fn of(ending: &Ending<'_>) -> Self {
        if ending.result.tally.counts.sent == 0
            && let Some(failure) = never_ran(&ending.result.ended_by, ending.cluster)
        {
            return Self {
                failure: Some(failure),
                figures: None,
                workers: ending.result.workers.clone(),
            };
        }
        let summary = summarised(&ending.result);
        let verdict = judge(&summary);
        Self {
            failure: shortcoming(&summary, ending),
            figures: Some((summary, verdict)),
            workers: ending.result.workers.clone(),
        }
    }

    /// For who watched it.
    pub(super) fn outcome(&self) -> Seen {
        Seen {
            figures: self.figures.clone(),
            failure: self.failure.as_ref().map(words),
            workers: self.workers.clone(),
        }
    }
}

fn words(failure: &Failure) -> String {
    format!("{:#}", failure.error)
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    /// The exit status.
    pub(super) status: u8,
    /// Everything was printed and written.
    pub(super) is_whole: bool,
    /// Why the status is not 0.
    pub(super) failure: Option<String>,
    /// The figures, unless there are none.
    pub(super) figures: Option<(Summary, Option<Verdict>)>,
    /// How it went, where that was to be kept.
    pub(super) course: Option<Course>,
    /// Its files, where they are kept.
    pub(super) documents: Option<Documents>,
}

/// Prints and writes everything.
pub(super) fn finish(
    ending: Ending<'_>,
    judged: Judged,
    live: Live,
    console: &mut Console,
) -> Finished {
    let Judged {
        failure,
        figures,
        workers: _,
    } = judged;
    let Some((summary, verdict)) = figures else {
        return never_began(&ending, failure.as_ref());
    };
    let workers: Vec<_> = ending
        .result
        .workers
        .iter()
        .filter(|_| ending.cluster)
        .map(worker)
        .collect();
    let said = failure.as_ref().map(words);
    let ctx = Context {
        plan: ending.plan,
        endpoint: report::Endpoint {
            method: ending.endpoint.method.as_str(),
            name: &ending.endpoint.path,
        },
        summary: &summary,
        workers: &workers,
        started_at: live.started_at(),
        changes: &ending.changes,
        notes: &ending.aftermath.notes,
        version: env!("CARGO_PKG_VERSION"),
        verdict: verdict.as_ref(),
        failure: said.as_deref(),
        watched: ending.watched.as_ref(),
    };
    if !ending.is_quiet {
        print(&ctx, ending.outputs, console);
    }
    let mut unwritten: Vec<Failure> = write_files(&ctx, ending.outputs);
    unwritten.extend(write_html(&ctx, &ending, live.history()));
    let kept = live.history().filter(|_| ending.outputs.keeps_course);
    let course = kept.map(|history| Course::of(&ctx, history, ending.command));
    let documents = live.history().filter(|_| ending.keeps_documents);
    let documents =
        documents.map(|history| Documents::of(&ctx, history, ending.answers, ending.command));
    unwritten.extend(live.finish(&ctx));
    unwritten.extend(ending.aftermath.records_error);
    unwritten.extend(ending.journal_error);
    unwritten.extend(ending.unseen);
    let distrust = verdict
        .as_ref()
        .filter(|_| !ending.rules.allow_invalid)
        .and_then(distrust);
    let gravest = failure.or(distrust);
    for failure in unwritten.iter().chain(&gravest) {
        complain(failure);
    }
    let is_whole = unwritten.is_empty() && console.is_open();
    let gravest = gravest
        .as_ref()
        .or_else(|| unwritten.iter().max_by_key(|failure| failure.status));
    Finished {
        status: gravest.map_or(status::OK, |failure| failure.status),
        is_whole,
        failure: gravest.map(words),
        figures: Some((summary, verdict)),
        course,
        documents,
    }
}

/// Says why a run never began.
fn never_began(ending: &Ending<'_>, failure: Option<&Failure>) -> Finished {
    for failure in ending.unseen.iter().chain(failure) {
        complain(failure);
    }
    Finished {
        status: failure.map_or(status::OK, |failure| failure.status),
        is_whole: ending.unseen.is_empty(),
        failure: failure.map(words),
        figures: None,
        course: None,
        documents: None,
    }
}

/// Why a run without a single request came to nothing.
pub(super) fn never_ran(ended_by: &EndedBy, cluster: bool) -> Option<Failure> {
    let (error, hint) = match ended_by {
        EndedBy::TooFewWorkers { present, expected } => {
            let who = if present.is_empty() {
                "none".to_owned()
            } else {
                present.join(", ")
            };
            let error = anyhow::anyhow!(
                "too few workers: {} of {expected} came ({who})",
                present.len()
            );
            (
                error,
                Some(
                    "start the others with `llmload worker --master HOST:PORT`, or wait longer"
                        .to_owned(),
                ),
            )
        }
        EndedBy::Unable { worker, reason } => {
            let (reason, hint) = reason.split_once("; hint: ").unwrap_or((reason, ""));
            // The only worker of a local run is this process itself.
            let error = if cluster {
                anyhow::anyhow!("worker {worker} cannot carry out the run: {reason}")
            } else {
                anyhow::anyhow!("{reason}")
            };
            (error, (!hint.is_empty()).then(|| hint.to_owned()))
        }
        _ => return None,
    };
    Some(Failure {
        error,
        hint,
        status: ended_by.exit_status(),
    })
}

fn worker(summary: &WorkerSummary) -> report::Worker {
    report::Worker {
        name: summary.name.clone(),
        requests: summary.counts.sent,
        finished: summary.finished,
        dropped: summary.counts.dropped,
        lost_requests: summary.counts.lost,
        clock: summary.clock.map(|clock| (clock.offset_ns, clock.bound_ns)),
        lost: summary.state == WorkerState::Lost || summary.left_early && !summary.handed_over,
    }
}

fn print(ctx: &Context<'_>, outputs: &Outputs, console: &mut Console) {
    if outputs.json {
        match json::result(ctx) {
            Ok(text) => console.print(&text),
            Err(error) => complain(&Failure::failed(error)),
        }
        return;
    }
    console.print(&table::all(ctx, columns()));
    console.print(&format!("\n{}\n", closing::sections(ctx)));
    console.print(&summary_block::render(&summary_block::entries(ctx)));
}

fn write_files(ctx: &Context<'_>, outputs: &Outputs) -> Vec<Failure> {
    let mut failures = Vec::new();
    if let Some(path) = &outputs.summary_file {
        let now = OffsetDateTime::from(wall_clock());
        failures.extend(append_row(path, &summary_file::row(ctx), now).err());
    }
    if let Some(path) = &outputs.json_file {
        let written = json::result(ctx)
            .map_err(std::io::Error::other)
            .and_then(|text| replace(path, &text));
        failures.extend(written.err().map(|error| {
            let error =
                anyhow::Error::new(error).context(format!("cannot write `{}`", path.display()));
            Failure::failed(error).hint("the figures printed are whole; is the disk full?")
        }));
    }
    failures
}

/// Writes the page, where one is wanted.
fn write_html(
    ctx: &Context<'_>,
    ending: &Ending<'_>,
    history: Option<&History>,
) -> Option<Failure> {
    let (path, history) = ending.outputs.html.as_ref().zip(history)?;
    let page = run_page(ctx, history, ending.answers, ending.command);
    write_page(path, &page).err()
}

/// Why the figures of an invalid run must not pass for a result.
fn distrust(verdict: &Verdict) -> Option<Failure> {
    let reasons = verdict.reasons.iter();
    let invalid: Vec<_> = reasons
        .filter(|reason| reason.level == Level::Invalid)
        .collect();
    let first = invalid.first()?;
    let words: Vec<_> = invalid.iter().map(|reason| reason.words.as_str()).collect();
    Some(Failure {
        error: anyhow::anyhow!("the run is invalid: {}", words.join("; ")),
        hint: Some(format!(
            "{}; --allow-invalid takes the figures as they are",
            first.remedy
        )),
        status: status::NOT_DELIVERED,
    })
}

/// Whether the run did what was asked; if not, why, the gravest first.
fn shortcoming(summary: &Summary, ending: &Ending<'_>) -> Option<Failure> {
    let rules = ending.rules;
    let failure = |status, text: String| {
        Some(Failure {
            error: anyhow::anyhow!(text),
            hint: None,
            status,
        })
    };
    if let Some((status, text)) = broken_off(ending) {
        return failure(status, text);
    }
    // Cancelled requests are counted, but nothing is measured by them.
    if let Some(status) = ending.interrupted
        && summary.whole_run(|outcome| outcome != Outcome::Cancelled) == 0
    {
        return failure(status, INTERRUPTED.to_owned());
    }
    let ordered = matches!(ending.result.ended_by, EndedBy::Stopped | EndedBy::Aborted);
    if ordered && summary.whole_run(|outcome| outcome != Outcome::Cancelled) == 0 {
        return failure(
            status::NOT_DELIVERED,
            "stopped before anything was measured".to_owned(),
        );
    }
    if let Err(imbalance) = &summary.balance {
        return failure(
            status::NOT_DELIVERED,
            format!("the figures do not add up: {imbalance}"),
        );
    }
    if let Some(discrepancy) = ending.result.discrepancies.first() {
        let text = format!("the figures do not add up: {discrepancy}");
        return failure(status::NOT_DELIVERED, text);
    }
    if summary.fail_ratio() > rules.max_fail_ratio {
        let (failed, requests) = (summary.failures(), summary.requests());
        let text = format!(
            "{failed} of {requests} requests failed: more than --max-fail-ratio {}",
            rules.max_fail_ratio
        );
        return failure(rules.exit_code_on_error, text);
    }
    if summary.counts.lost > 0 {
        let text = format!(
            "{} requests are lost with their workers",
            summary.counts.lost
        );
        return failure(status::NOT_DELIVERED, text);
    }
    let absent = absent(ending);
    if !absent.is_empty() {
        return failure(
            status::NOT_DELIVERED,
            format!(
                "the users of {} were missing for a time: less load than asked for",
                absent.join(", ")
            ),
        );
    }
    None
}

/// Why a run ended before its time, other than by its user's wish.
fn broken_off(ending: &Ending<'_>) -> Option<(u8, String)> {
    Some(match &ending.result.ended_by {
        EndedBy::Unable { worker, reason } => (
            status::NOT_DELIVERED,
            format!("worker {worker} could not go on: {reason}; the figures end there"),
        ),
        EndedBy::WorkersLost => (
            status::WORKERS,
            "no worker is left; the figures end where they went away".to_owned(),
        ),
        EndedBy::WorkerLost { worker } => (
            status::WORKERS,
            format!("worker {worker} is lost, and that ends the run (--on-worker-loss fail)"),
        ),
        EndedBy::MasterGone => {
            let missing = ending.missing.clone();
            let unknown = || "the master ended without a word; the figures end there".to_owned();
            (status::NOT_DELIVERED, missing.unwrap_or_else(unknown))
        }
        _ => return None,
    })
}

/// Workers whose users of a closed loop ended before the sending did. Nobody can say how many requests that cost;
/// of an open loop the books say it.
fn absent<'a>(ending: &'a Ending<'_>) -> Vec<&'a str> {
    let end = match ending.result.window.end {
        Some(end) if !ending.plan.schedule.is_open() => end,
        _ => return Vec::new(),
    };
    let gone = |worker: &&WorkerSummary| {
        let left = worker.left_early && !worker.handed_over;
        let ended_early = left && worker.confirmed_to < end;
        // Its users began nothing for some seconds, until others had them.
        ended_early || worker.was_missing
    };
    let workers = ending.result.workers.iter();
    workers
        .filter(|worker| worker.part.is_some())
        .filter(gone)
        .map(|worker| worker.name.as_str())
        .collect()
}
