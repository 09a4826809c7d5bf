//! `llmload report`: what a journal knows of a run, as tables and files like the run's own, and what it cannot know.
//! It adds nothing up itself: frames are replayed, and the cluster's machine says what became of the run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use super::changes::Changes;
use super::console::{Console, complain};
use super::failure::{Failure, status};
use super::finish::{Ending, INTERRUPTED, Judged, Rules, finish, never_ran};
use super::journal::{self, Reader, clock_zero, on_the_wall};
use super::live::Live;
use super::prepare::speak;
use super::serving::{ReportingArgs, again, is_of_a_suite};
use super::session::check_outputs;
use crate::cluster::{
    EndedBy, JournalHeader, Master, MasterConfig, Past, Standing, Tear, Torn, WorkerState,
};
use crate::config::Outputs;
use crate::embed::Aftermath;
use crate::schedule::Load;

/// A master writes down what it merged about once a second, and waits up to a second for the last worker.
const UNWRITTEN: Duration = Duration::from_secs(2);

/// Options of `report`.
#[derive(Clone, Debug, Args)]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct ReportArgs {
    /// The journal of a run, or the folder of a suite
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,
    /// Append a row with the result to this CSV file
    #[arg(long, value_name = "FILE")]
    summary_file: Option<PathBuf>,
    /// Write Locust's PREFIX_stats.csv, PREFIX_stats_history.csv, PREFIX_failures.csv ...
    #[arg(long, value_name = "PREFIX")]
    csv: Option<String>,
    /// Every row in PREFIX_stats_history.csv, not the aggregate alone
    #[arg(long, requires = "csv")]
    csv_full_history: bool,
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Write the result as JSON to this file
    #[arg(long, value_name = "FILE")]
    json_file: Option<PathBuf>,
    /// Write the result as a page of HTML to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Share of failed requests above which the run has failed; absent: the run's own
    #[arg(long, value_name = "F")]
    max_fail_ratio: Option<f64>,
    /// Exit status of a run that has failed; absent: the run's own
    #[arg(long, value_name = "N")]
    exit_code_on_error: Option<u8>,
    /// Let a run whose verdict is INVALID end with status 0
    #[arg(long)]
    allow_invalid: bool,
    #[command(flatten)]
    suite: ReportingArgs,
}

impl ReportArgs {
    fn outputs(&self) -> Outputs {
        Outputs {
            summary_file: self.summary_file.clone(),
            csv: self.csv.clone(),
            csv_full_history: self.csv_full_history,
            json: self.json,
            json_file: self.json_file.clone(),
            html: self.html.clone(),
            keeps_course: false,
            records_dir: None,
            only_summary: true,
            headless: true,
        }
    }

    /// Refuses options that mean nothing for what is to be reported.
    fn refuse_others(&self) -> Result<(), Failure> {
        let is_folder = is_of_a_suite(&self.journal);
        let of_a_run = [
            ("--summary-file", self.summary_file.is_some()),
            ("--csv", self.csv.is_some()),
            ("--json", self.json),
            ("--json-file", self.json_file.is_some()),
            ("--max-fail-ratio", self.max_fail_ratio.is_some()),
            ("--exit-code-on-error", self.exit_code_on_error.is_some()),
            ("--allow-invalid", self.allow_invalid),
        ];
        let of_a_suite = self.suite.given();
        let (others, what, owner) = if is_folder {
            (&of_a_run[..], "a folder", "the journal of a run")
        } else {
            (&of_a_suite[..], "a journal", "the folder of a suite")
        };
        let Some((option, _)) = others.iter().find(|(_, is_given)| *is_given) else {
            return Ok(());
        };
        let path = self.journal.display();
        let error = anyhow!("{option} is for {owner}, and `{path}` is {what}");
        Err(Failure::usage(error).hint(format!("leave {option} out")))
    }

    fn rules(&self, header: &JournalHeader) -> Rules {
        Rules {
            max_fail_ratio: self.max_fail_ratio.unwrap_or(header.max_fail_ratio),
            exit_code_on_error: self.exit_code_on_error.unwrap_or(header.exit_code_on_error),
            allow_invalid: self.allow_invalid || header.allow_invalid,
        }
    }
}

/// `llmload report`.
pub(super) fn report(args: &ReportArgs) -> Result<u8, Failure> {
    args.refuse_others()?;
    if is_of_a_suite(&args.journal) {
        return again(&args.journal, &args.suite, args.html.as_deref());
    }
    let outputs = args.outputs();
    check_outputs(&outputs)?;
    let unreadable = |error| unreadable(&args.journal, error);
    let mut reader = journal::read(&args.journal).map_err(|error| unreadable(error.into()))?;
    let plan = reader.header().plan.clone();
    let endpoint = speak(&plan)?.endpoint().clone();
    let mut live = Live::new(plan.clone(), endpoint.clone(), &outputs)?;
    while journal::replay_frame(&mut reader, &mut live).map_err(|error| unreadable(error.into()))? {
    }
    let is_written = journal::is_being_written(reader.input().get_ref());
    let known = Known::of(&reader, is_written);
    complain(&known.statement(&args.journal.display().to_string(), &endpoint.path));
    let rules = args.rules(reader.header());
    let notes = reader.notes().to_vec();
    let missing = known.missing();
    let (header, past) = reader.into_parts();
    let cluster = header.lease.is_some();
    let told_to_end = matches!(past.ended, Some(EndedBy::Stopped | EndedBy::Aborted));
    let nothing = nothing_measured(&past, cluster);
    let config = MasterConfig::new(header.run, plan.clone(), 1);
    let changes = Changes::resumed(Load::of(&plan.schedule), &past.epochs);
    let mut result = Master::post_mortem(config, past).ok_or(nothing)?;
    let answers = std::mem::take(&mut result.tally.answers);
    let ending = Ending {
        outputs: &outputs,
        rules,
        plan: &plan,
        endpoint: &endpoint,
        result,
        aftermath: Aftermath {
            notes,
            records_error: None,
            fault: None,
        },
        watched: None,
        journal_error: None,
        changes: changes.into_all(),
        interrupted: told_to_end.then_some(status::NOT_DELIVERED),
        missing: Some(missing),
        cluster,
        answers: &answers,
        command: &header.command,
        is_quiet: false,
        keeps_documents: false,
        unseen: Vec::new(),
    };
    let judged = Judged::of(&ending);
    Ok(finish(ending, judged, live, &mut Console::default()).status)
}

/// Why a journal tells nothing.
pub(super) fn unreadable(path: &Path, error: anyhow::Error) -> Failure {
    let error = error.context(format!("cannot read the journal `{}`", path.display()));
    Failure::usage(error)
        .hint("a master says at its start where its journal is, and so does `run --journal FILE`")
}

/// Why there is no result of a run that never began.
pub(super) fn nothing_measured(past: &Past, cluster: bool) -> Failure {
    let failure = |words: &str| Failure {
        error: anyhow!("{words}"),
        hint: None,
        status: status::NOT_DELIVERED,
    };
    match &past.ended {
        None => failure("the master ended before the run began: nothing was measured"),
        Some(ended) => never_ran(ended, cluster).unwrap_or_else(|| failure(INTERRUPTED)),
    }
}

/// What a journal can tell of its run, and what not.
pub(super) struct Known<'a> {
    header: &'a JournalHeader,
    past: &'a Past,
    torn: Option<&'a Torn>,
    is_written: bool,
}

impl<'a> Known<'a> {
    pub(super) fn of(reader: &'a Reader, is_written: bool) -> Self {
        Self {
            header: reader.header(),
            past: reader.past(),
            torn: reader.torn(),
            is_written,
        }
    }

    /// Whose run this is, until when it is known and what is missing: lines for a person.
    fn statement(&self, journal: &str, path: &str) -> String {
        let (header, past) = (self.header, self.past);
        let began = past.started_at.map_or_else(
            || "never begun".to_owned(),
            |at| format!("begun at {}", rfc3339(on_the_wall(clock_zero(header), at))),
        );
        let mut text = format!(
            "journal `{journal}`\n  run {:016x} of llmload {}, {began}: {} {} on {}, model {}, seed {}\n",
            header.run,
            header.version,
            header.plan.provider.kind.name(),
            path,
            header.plan.target.base_url,
            header.plan.provider.model,
            header.plan.seed.0,
        );
        let _ = writeln!(text, "  {} frames, to {} of the run", past.frames, past.to);
        if let Some(torn) = self.torn {
            let _ = writeln!(
                text,
                "  the last {} bytes of the file are left out: {}",
                torn.bytes, torn.reason
            );
        }
        let end = match &past.ended {
            Some(ended) => format!("the run is over: {}", ended_in_words(ended)),
            None => self.missing(),
        };
        let _ = writeln!(text, "  {end}");
        for standing in past.members.values() {
            let _ = writeln!(text, "  {}", worker(standing));
        }
        text
    }

    /// What the figures of a run that broke off lack.
    pub(super) fn missing(&self) -> String {
        let to = self.past.to;
        if self.is_written {
            return format!(
                "its master is still writing: the figures are those to {to} of the run"
            );
        }
        if let Some(Torn { bytes, reason }) = self.torn
            && !matches!(reason, Tear::Short)
        {
            return format!(
                "the journal is damaged behind {to} of the run ({reason}): \
                 nothing of the {bytes} bytes from there on is in these figures"
            );
        }
        match self.header.lease {
            Some(lease) => format!(
                "the master ended without a word after {to} of the run; its workers may have sent for up to {:.0} s more: \
                 nothing of that is in these figures",
                (lease + UNWRITTEN).as_secs_f64().ceil()
            ),
            None => format!(
                "the run ended without a word after {to}; it may have sent for up to {} s more: \
                 nothing of that is in these figures",
                UNWRITTEN.as_secs()
            ),
        }
    }
}

fn worker(standing: &Standing) -> String {
    let state = match standing.state {
        WorkerState::Idle => "without a part",
        WorkerState::Preparing => "getting ready",
        WorkerState::Ready => "ready",
        WorkerState::Running => "at work",
        WorkerState::Done => "had finished",
        WorkerState::Lost => "lost",
    };
    format!(
        "worker {}: {state}, known to {} of the run",
        standing.hello.name, standing.confirmed_to
    )
}

fn ended_in_words(ended: &EndedBy) -> String {
    match ended {
        EndedBy::Time => "its time was over".to_owned(),
        EndedBy::MaxRequests => "all of its requests were sent".to_owned(),
        EndedBy::Stopped => "it was told to stop".to_owned(),
        EndedBy::Aborted => "it was told to drop what was in flight".to_owned(),
        EndedBy::WorkersLost => "no worker was left".to_owned(),
        EndedBy::WorkerLost { worker } => format!("worker {worker} was lost"),
        EndedBy::MasterGone => "its master was gone".to_owned(),
        EndedBy::TooFewWorkers { .. } => "too few workers came".to_owned(),
        EndedBy::Unable { worker, .. } => format!("worker {worker} could not go on"),
    }
}

fn rfc3339(at: time::OffsetDateTime) -> String {
    let whole = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    let format = &time::format_description::well_known::Rfc3339;
    // A year beyond 9999 is the only thing that the format cannot hold.
    whole.format(format).unwrap_or_default()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
