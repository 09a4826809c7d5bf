//! Where the figures of an export come from: a journal, a result, records folded anew. It reads them and formats nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Stopped;
use super::records::{Account, RecordsFiles};
use crate::app::changes::Changes;
use crate::app::failure::Failure;
use crate::app::journal::{self, Reader, clock_zero, is_being_written, on_the_wall};
use crate::app::report::{Known, nothing_measured, unreadable};
use crate::cluster::{Master, MasterConfig};
use crate::domain::{Index, Offset, Record};
use crate::embed::summarised;
use crate::export::{Figures, Pace, Run, digest};
use crate::metrics::{Metric, Observation, Rules, Summary, Tally, Window, judge};
use crate::report::json;
use crate::schedule::Load;

/// A result file, read.
pub(super) struct ResultFile {
    pub(super) figures: Figures,
    value: Value,
    uid: String,
}

impl ResultFile {
    /// The result at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let refused = |error: anyhow::Error| {
            let context = format!("cannot read the result `{}`", path.display());
            Failure::usage(error.context(context))
                .hint("--json-file FILE: what `run --json-file FILE` wrote")
        };
        let bytes = std::fs::read(path).map_err(|error| refused(error.into()))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| refused(error.into()))?;
        let figures = Figures::read(&value).map_err(|error| refused(error.into()))?;
        Ok(Self {
            figures,
            uid: digest([&bytes[..]]),
            value,
        })
    }

    fn words(&self, place: &str) -> Option<&str> {
        self.value.pointer(place)?.as_str()
    }

    pub(super) fn started_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(self.words("/started_at")?, &Rfc3339).ok()
    }

    /// From when requests were measured, and to when.
    fn window(&self) -> Window {
        let at = |place: &str| {
            self.value
                .pointer(place)
                .and_then(Value::as_f64)
                .map(offset)
        };
        Window {
            start: at("/window/start_s").unwrap_or_default(),
            end: at("/window/end_s"),
        }
    }

    fn is(&self, place: &str, what: &Value) -> bool {
        self.value.pointer(place) == Some(what)
    }

    /// The run that it tells of.
    pub(super) fn run(self) -> Run {
        let plan = self.value.get("plan").cloned();
        let workers = self.value.get("workers").and_then(Value::as_array);
        Run {
            uid: self.uid.clone(),
            version: self.words("/version").map(str::to_owned),
            started_at: self.started_at(),
            workers: workers.map(|workers| workers.len().max(1) as u64),
            pace: plan.as_ref().and_then(Pace::of),
            plan,
            verdict: self.words("/verdict").map(str::to_owned),
            figures: self.figures,
        }
    }
}

/// Seconds of a result as the nanoseconds that they were: exact for runs of up to a hundred days.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times of a run"
)]
fn offset(seconds: f64) -> Offset {
    Offset::from_nanos((seconds * 1e9).round() as u64)
}

/// Records, added up again.
pub(super) struct Folded {
    pub(super) tally: Tally,
    pub(super) account: Account,
    window: Window,
    counted: Window,
    is_open: bool,
    users: u64,
}

impl Folded {
    /// The requests of `files`, by the window and the definitions of `result`, where there is one.
    pub(super) fn of(files: RecordsFiles, result: Option<&ResultFile>) -> Result<Self, Failure> {
        let rules = result.map_or_else(Rules::default, |result| Rules {
            first_visible: result.is("/plan/observe/first_visible_token", &true.into()),
            embeddings: result.is("/plan/provider/task", &"embeddings".into()),
            ..Rules::default()
        });
        let mut folded = Self {
            tally: Tally::default(),
            account: Account::default(),
            window: result.map(ResultFile::window).unwrap_or_default(),
            counted: Window::default(),
            is_open: false,
            users: 0,
        };
        folded.counted = Window {
            // A window that ends with the last answer, as that of a counted run does, has the end of that answer in it.
            end: folded.window.end.map(|end| end + Duration::from_nanos(1)),
            ..folded.window
        };
        let account = files.each(&mut |record| {
            folded.add(record, &rules);
            Ok(())
        });
        folded.account = account.map_err(Stopped::into_failure)?;
        // No line tells from when a request could have been sent.
        for phase in [&mut folded.tally.warmup, &mut folded.tally.measured] {
            phase.series.remove(&Metric::SendDelay);
        }
        Ok(folded)
    }

    fn add(&mut self, record: &Record, rules: &Rules) {
        self.tally.record(record, &self.counted, rules);
        match record.index {
            Index::Arrival(_) => self.is_open = true,
            Index::Turn { user, .. } => self.users = self.users.max(u64::from(user) + 1),
        }
    }

    /// From when to when there is anything.
    pub(super) fn span(&self) -> (Offset, Offset) {
        let from = self.tally.first_sent.unwrap_or_default();
        (from, self.tally.last_end.unwrap_or(from))
    }

    /// The run, of which `result` tells what no record does.
    pub(super) fn run(self, paths: &[PathBuf], result: Option<ResultFile>) -> Run {
        let (first, last) = self.span();
        let pace = if self.is_open {
            None
        } else {
            Some(Pace::Closed { users: self.users })
        };
        let window = match &result {
            Some(_) => self.window,
            None => Window {
                start: first,
                end: None,
            },
        };
        let seen = Observation {
            window,
            until: window.end.map_or(last, |end| end.max(last)),
            in_flight: 0,
            waiting: 0,
        };
        let asked = result
            .as_ref()
            .and_then(|result| result.figures.asked_per_s);
        let requests = self.account.requests;
        let figures = Figures::of(&Summary::new(self.tally, seen), asked);
        match result {
            Some(result) => Run {
                figures,
                ..result.run()
            },
            None => Run {
                uid: uid(paths, requests, &figures),
                version: None,
                started_at: None,
                workers: None,
                plan: None,
                // How many could have been in flight, no record tells.
                pace: pace.or(Some(Pace::Open { users: None })),
                verdict: None,
                figures,
            },
        }
    }
}

/// The same for the same files: their names, and what they came to.
fn uid(paths: &[PathBuf], requests: u64, figures: &Figures) -> String {
    let names = paths.iter().map(|path| path.as_os_str().as_encoded_bytes());
    let figures = format!("{requests} {figures:?}");
    digest(names.chain([figures.as_bytes()]))
}

/// Takes the wall clock at the run's offset zero, where that is known by then, what was merged, and until when.
pub(super) type TakeInterval<'a> =
    dyn FnMut(Option<OffsetDateTime>, &Tally, Offset) -> Result<(), Stopped> + 'a;

/// A journal, opened.
pub(super) struct JournalFile<'a> {
    pub(super) reader: Reader,
    path: &'a Path,
}

impl<'a> JournalFile<'a> {
    /// The journal at `path`.
    pub(super) fn open(path: &'a Path) -> Result<Self, Failure> {
        let reader = journal::read(path).map_err(|error| unreadable(path, error.into()))?;
        Ok(Self { reader, path })
    }

    /// The wall clock at the offset zero of its run, once that began.
    pub(super) fn started_at(&self) -> Option<OffsetDateTime> {
        let at = self.reader.past().started_at?;
        Some(on_the_wall(clock_zero(self.reader.header()), at))
    }

    /// Reads to the end, giving each frame's tally and until when it is; from when is the end of the one before.
    pub(super) fn each(&mut self, take: &mut TakeInterval<'_>) -> Result<(), Stopped> {
        loop {
            let next = self.reader.next_frame();
            let next =
                next.map_err(|error| Stopped::Failed(unreadable(self.path, error.into())))?;
            let Some(frame) = next else { return Ok(()) };
            take(self.started_at(), &frame.delta, frame.to)?;
        }
    }

    /// What is missing of it, once it is read: that its master is gone is told, and that it is damaged is a failure.
    pub(super) fn shortcoming(&self) -> Option<Failure> {
        let is_written = is_being_written(self.reader.input().get_ref());
        let known = Known::of(&self.reader, is_written);
        if self.reader.past().ended.is_none() {
            tracing::warn!("{}", known.missing());
        }
        let torn = self.reader.torn().filter(|_| !is_written)?;
        let error = anyhow!(
            "the last {} bytes of the journal `{}` are left out: {}",
            torn.bytes,
            self.path.display(),
            torn.reason
        );
        Some(Failure::failed(error).hint("everything before them is exported"))
    }

    /// Why it tells nothing, once it is read.
    pub(super) fn nothing(&self) -> Failure {
        nothing_measured(self.reader.past(), self.reader.header().lease.is_some())
    }

    /// Its run, once it is read.
    pub(super) fn run(self) -> Result<Run, Failure> {
        let (started_at, nothing) = (self.started_at(), self.nothing());
        let (header, past) = self.reader.into_parts();
        let plan = json::shown_plan(&header.plan)
            .context("the plan of the journal has no form as JSON")
            .map_err(Failure::failed)?;
        let frames = past.frames;
        let load = Load::of(&header.plan.schedule);
        let changes = Changes::resumed(load, &past.epochs).into_all();
        let config = MasterConfig::new(header.run, header.plan.clone(), 1);
        let result = Master::post_mortem(config, past).ok_or(nothing)?;
        let summary = summarised(&result);
        let asked = header.plan.asked_per_s(summary.from, summary.to);
        let is_one_load = !changes.iter().any(|change| change.is_other_load);
        let parts = result.workers.iter().filter(|it| it.part.is_some());
        Ok(Run {
            uid: digest([&header.run.to_le_bytes()[..], &frames.to_le_bytes()]),
            version: Some(header.version),
            started_at,
            workers: Some(parts.count().max(1) as u64),
            pace: Pace::of(&plan),
            plan: Some(plan),
            verdict: judge(&summary).map(|verdict| verdict.level.name().to_owned()),
            figures: Figures::of(&summary, asked.filter(|_| is_one_load)),
        })
    }
}
