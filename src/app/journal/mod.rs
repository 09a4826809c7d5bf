//! What a run is written down in: a new journal, or that of a master that is gone, whose run goes on.
//! It computes nothing from what it reads; `Past` adds up, the master takes over.

mod place;
mod writer;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use time::OffsetDateTime;

use super::failure::Failure;
use super::finish::Rules;
use super::surroundings::{draw, variable, wall_clock};
use crate::cluster::{
    Gauges, JournalError, JournalHeader, JournalReader, Past, ProcessClock, journal_head,
};
use crate::config::Journal;
use crate::domain::Offset;
use crate::metrics::Tally;
use crate::plan::Plan;

pub(super) use place::{JournalFile, is_being_written};
pub(super) use writer::{Writing, start};

/// A run before anybody has heard of it.
pub(super) struct Wish<'a> {
    pub(super) journal: &'a Journal,
    pub(super) plan: Plan,
    /// The seed was asked for; one that was drawn gives way to a journal's.
    pub(super) seeded: bool,
    /// The command line that it comes from, without secrets; empty where nobody knows one.
    pub(super) command: &'a str,
    pub(super) rules: Rules,
    /// How long its workers go on without their master; `None` when they end with it.
    pub(super) lease: Option<Duration>,
}

/// A run that is ready to begin, or to go on.
pub(super) struct Ready {
    pub(super) run: u64,
    pub(super) plan: Plan,
    /// The master's clock.
    pub(super) clock: ProcessClock,
    /// The wall clock when the master's showed zero.
    pub(super) clock_zero: OffsetDateTime,
    /// What another master left behind.
    pub(super) past: Option<Past>,
    /// Where this one writes.
    pub(super) journal: Option<JournalFile>,
}

/// Finds out whether `wish` is to begin or to go on, and makes its journal.
///
/// # Errors
///
/// When the journal cannot be written, or is none.
pub(super) fn open(wish: Wish<'_>) -> Result<Ready, Failure> {
    match wish.journal {
        Journal::Named(path) => {
            let file = JournalFile::named(path)?;
            let ready = open_named(&wish, file)?;
            tracing::info!("journal: {}", path.display());
            Ok(ready)
        }
        Journal::Unnamed => {
            let mut ready = Ready::new(wish.plan.clone())?;
            match unnamed(&ready, &wish, &place::folders(&variable)) {
                Ok(file) => {
                    tracing::info!("journal: {}", file.path().display());
                    ready.journal = Some(file);
                }
                Err(error) => tracing::warn!(
                    "going on without a journal: {error:#}; should this master die, its figures are gone"
                ),
            }
            Ok(ready)
        }
        Journal::Off => Ready::new(wish.plan),
    }
}

impl Ready {
    fn new(plan: Plan) -> Result<Self, Failure> {
        let clock = ProcessClock::start();
        let shown = Duration::from_nanos(clock.now().as_nanos());
        Ok(Self {
            run: draw().map_err(Failure::failed)?,
            plan,
            clock_zero: OffsetDateTime::from(wall_clock()) - shown,
            clock,
            past: None,
            journal: None,
        })
    }

    fn head(&self, wish: &Wish<'_>) -> anyhow::Result<Vec<u8>> {
        let nanos = self.clock_zero.unix_timestamp_nanos();
        let header = JournalHeader {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.run,
            clock_zero_unix_ns: i64::try_from(nanos).unwrap_or(i64::MAX),
            plan: self.plan.clone(),
            lease: wish.lease,
            max_fail_ratio: wish.rules.max_fail_ratio,
            exit_code_on_error: wish.rules.exit_code_on_error,
            allow_invalid: wish.rules.allow_invalid,
            command: with_seed(wish.command, wish.seeded, &self.plan),
        };
        Ok(journal_head(&header)?)
    }
}

/// `command` with the seed of `plan`, unless it is there.
pub(super) fn with_seed(command: &str, is_seeded: bool, plan: &Plan) -> String {
    if is_seeded || command.is_empty() {
        command.to_owned()
    } else {
        format!("{command} --seed {}", plan.seed.0)
    }
}

fn unnamed(ready: &Ready, wish: &Wish<'_>, folders: &[PathBuf]) -> anyhow::Result<JournalFile> {
    // The run's clock was at zero years ago.
    let mut file = JournalFile::unnamed(folders, ready.run, wall_clock().into())?;
    file.begin(&ready.head(wish)?)
        .with_context(|| format!("cannot write `{}`", file.path().display()))?;
    Ok(file)
}

fn open_named(wish: &Wish<'_>, file: JournalFile) -> Result<Ready, Failure> {
    let refused = |error: anyhow::Error| {
        let error = error.context(format!(
            "cannot use the journal `{}`",
            file.path().display()
        ));
        Failure::usage(error).hint("--journal FILE with another name begins a new one")
    };
    let mut reader = match read(file.path()) {
        Ok(reader) => reader,
        Err(JournalError::Blank) => return begin(wish, file),
        Err(error) => return Err(refused(anyhow::Error::new(error))),
    };
    while reader
        .next_frame()
        .map_err(|error| refused(error.into()))?
        .is_some()
    {}
    let now = OffsetDateTime::from(wall_clock());
    match fate(wish, &reader, now) {
        Fate::GoesOn { at } => go_on(file, reader, at),
        Fate::Over(words) => {
            let (file, moved) = file.set_aside()?;
            tracing::warn!(
                "`{0}` holds {words}: it is `{1}` from now on; `llmload report {1}` tells what it knows",
                file.path().display(),
                moved.display()
            );
            begin(wish, file)
        }
    }
}

fn begin(wish: &Wish<'_>, mut file: JournalFile) -> Result<Ready, Failure> {
    let mut ready = Ready::new(wish.plan.clone())?;
    let head = ready.head(wish).map_err(Failure::failed)?;
    file.begin(&head)
        .with_context(|| format!("cannot write the journal `{}`", file.path().display()))
        .map_err(|error| {
            Failure::usage(error).hint("is the disk full? --no-journal goes without")
        })?;
    ready.journal = Some(file);
    Ok(ready)
}

fn go_on(mut file: JournalFile, reader: Reader, at: Offset) -> Result<Ready, Failure> {
    if let Some(torn) = reader.torn() {
        let path = file.path().display();
        tracing::warn!(
            "the last {} bytes of `{path}` are given up: {}",
            torn.bytes,
            torn.reason
        );
    }
    file.cut(reader.whole_bytes())
        .with_context(|| format!("cannot write the journal `{}`", file.path().display()))
        .map_err(Failure::usage)?;
    let clock_zero = clock_zero(reader.header());
    let (header, past) = reader.into_parts();
    Ok(Ready {
        run: header.run,
        plan: header.plan,
        clock: ProcessClock::continuing(at),
        clock_zero,
        past: Some(past),
        journal: Some(file),
    })
}

/// What becomes of a run that a journal tells of.
enum Fate {
    /// It goes on when its master's clock shows `at`.
    GoesOn { at: Offset },
    /// It does not; the journal holds what these words say.
    Over(String),
}

fn fate(wish: &Wish<'_>, reader: &Reader, now: OffsetDateTime) -> Fate {
    let (header, past) = (reader.header(), reader.past());
    let over = |words: &str| Fate::Over(words.to_owned());
    let Some(started_at) = past.started_at else {
        return over("a run that never began");
    };
    if past.ended.is_some() {
        return over("a run that is over");
    }
    // Nobody carries on what was sent from within that process.
    if wish.lease.is_none() || header.lease.is_none() {
        return over("a run that broke off");
    }
    if !is_same(wish, &header.plan) {
        return over("a run of another plan that broke off");
    }
    let at = clock_now(header, now).max(past.at);
    if let Some(until) = last_moment(&header.plan, past, started_at)
        && at > until
    {
        return over("a run that broke off, and would be over by now");
    }
    Fate::GoesOn { at }
}

fn is_same(wish: &Wish<'_>, theirs: &Plan) -> bool {
    let mut ours = wish.plan.clone();
    if !wish.seeded {
        ours.seed = theirs.seed;
    }
    ours.digest() == theirs.digest()
}

/// When a run is over at the latest, on its master's clock: its last answers have come, or are dropped.
fn last_moment(plan: &Plan, past: &Past, started_at: Offset) -> Option<Offset> {
    let planned = plan.schedule.end_of_sending();
    let planned = planned.map(|end| started_at + end.since(Offset::ZERO));
    let told = past.halt.map(|halt| halt.at);
    let end = planned.into_iter().chain(told).min()?;
    Some(end + plan.limits.stop)
}

/// A journal that is read from a file.
pub(super) type Reader = JournalReader<BufReader<File>>;

/// Opens a journal to read it. Nobody is kept from writing it.
pub(super) fn read(path: &Path) -> Result<Reader, JournalError> {
    JournalReader::open(BufReader::new(File::open(path)?))
}

/// The wall clock when the master's clock showed zero.
pub(super) fn clock_zero(header: &JournalHeader) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(header.clock_zero_unix_ns.into())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// What the master's clock shows now: it goes on as the wall clock does.
fn clock_now(header: &JournalHeader, now: OffsetDateTime) -> Offset {
    let since = now - clock_zero(header);
    Offset::from(Duration::try_from(since).unwrap_or_default())
}

/// The wall clock when a master's clock shows `at`.
pub(super) fn on_the_wall(clock_zero: OffsetDateTime, at: Offset) -> OffsetDateTime {
    let nanos = i64::try_from(at.as_nanos()).unwrap_or(i64::MAX);
    clock_zero.saturating_add(time::Duration::nanoseconds(nanos))
}

/// Who is shown once more what a journal tells.
pub(super) trait Replayed {
    /// The run's offset zero is at this time of the wall clock.
    fn starting(&mut self, at: OffsetDateTime);

    /// What was merged of a second.
    fn second(&mut self, delta: &Tally, to: Offset, gauges: Gauges);
}

/// Shows `to` all that the journal at `path` tells, as it was shown when it happened.
pub(super) fn replay(path: &Path, to: &mut dyn Replayed) -> Result<(), Failure> {
    let failed = |error: anyhow::Error| {
        Failure::failed(error.context(format!("cannot read the journal `{}`", path.display())))
    };
    let mut reader = read(path).map_err(|error| failed(error.into()))?;
    while replay_frame(&mut reader, to).map_err(|error| failed(error.into()))? {}
    Ok(())
}

/// Shows `to` the next frame; tells whether there was one.
pub(super) fn replay_frame(reader: &mut Reader, to: &mut dyn Replayed) -> io::Result<bool> {
    let Some(frame) = reader.next_frame()? else {
        return Ok(false);
    };
    if let Some(at) = frame.started_at {
        to.starting(on_the_wall(clock_zero(reader.header()), at));
    }
    if let Some(gauges) = frame.gauges {
        to.second(&frame.delta, frame.to, gauges);
    }
    Ok(true)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
