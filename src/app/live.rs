//! A run while it goes on: the tables every 2 s and Locust's CSV files every second, from the master's events.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use super::console::{Console, columns};
use super::failure::Failure;
use super::files::{replace, try_writing};
use super::journal::{Replayed, on_the_wall};
use crate::cluster::{Gauges, MasterEvent};
use crate::config::Outputs;
use crate::domain::Offset;
use crate::metrics::{Observation, Recent, Summary, Tally, Window};
use crate::plan::Plan;
use crate::provider::Endpoint;
use crate::report::{self, Context, Crowd, History, stats_csv, table};

/// Locust's tables show the rates of this span.
const RECENT: Duration = Duration::from_secs(10);

/// How often the tables are printed.
const TABLE_EVERY: Duration = Duration::from_secs(2);

/// What is known of a run so far, and where it is shown.
pub(super) struct Live {
    plan: Plan,
    endpoint: Endpoint,
    tally: Tally,
    recent: Recent,
    gauges: Gauges,
    now: Offset,
    printed: Offset,
    unshown: bool,
    started_at: OffsetDateTime,
    tables: bool,
    csv: Option<CsvFiles>,
    /// Second by second, where a page is to show it.
    history: Option<History>,
}

impl Live {
    /// Opens the files, before the run.
    pub(super) fn new(plan: Plan, endpoint: Endpoint, outputs: &Outputs) -> Result<Self, Failure> {
        let csv = outputs
            .csv
            .as_deref()
            .map(|prefix| CsvFiles::create(prefix, outputs.csv_full_history))
            .transpose()?;
        Ok(Self {
            plan,
            endpoint,
            tally: Tally::default(),
            recent: Recent::new(RECENT),
            gauges: Gauges::default(),
            now: Offset::ZERO,
            printed: Offset::ZERO,
            unshown: false,
            started_at: OffsetDateTime::UNIX_EPOCH,
            tables: !outputs.only_summary && !outputs.json,
            csv,
            history: (outputs.html.is_some() || outputs.keeps_course).then(History::default),
        })
    }

    /// When the run's offset zero was, on the wall clock.
    pub(super) fn started_at(&self) -> OffsetDateTime {
        self.started_at
    }

    /// How it went second by second, where that is wanted.
    pub(super) const fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// The run's offset zero is at this time of the wall clock.
    pub(super) fn starting(&mut self, at: OffsetDateTime) {
        self.started_at = at;
    }

    fn take_in(&mut self, delta: &Tally, to: Offset, gauges: Gauges) {
        self.tally.merge_figures(delta);
        self.recent.push(to, delta);
        if let Some(history) = &mut self.history {
            let crowd = Crowd {
                users: gauges.users,
                in_flight: gauges.in_flight,
                waiting: gauges.waiting,
            };
            history.push(delta, to, crowd);
        }
        self.gauges = gauges;
        self.now = self.now.max(to);
    }

    /// Takes in what all workers measured in a second, and shows what is due to be shown.
    pub(super) fn merged(
        &mut self,
        delta: &Tally,
        to: Offset,
        gauges: Gauges,
        console: &mut Console,
    ) {
        self.take_in(delta, to, gauges);
        self.unshown = true;
        self.show(console);
    }

    fn show(&mut self, console: &mut Console) {
        if !std::mem::take(&mut self.unshown) {
            return;
        }
        let is_due = self.now.since(self.printed) >= TABLE_EVERY;
        if self.tables && is_due && !console.is_taken() {
            self.printed = self.now;
            self.print(console);
        }
        self.write_csv();
    }

    fn observation(&self) -> Observation {
        let schedule = &self.plan.schedule;
        let window = Window {
            start: schedule.window_start(),
            end: schedule.end_of_sending(),
        };
        let (in_flight, waiting) = (
            u64::from(self.gauges.in_flight),
            u64::from(self.gauges.waiting),
        );
        Observation {
            window,
            until: self.now,
            in_flight,
            waiting,
        }
    }

    fn print(&self, console: &mut Console) {
        let summary = Summary::new(self.tally.clone(), self.observation());
        let rates = table::Rates {
            requests_per_s: self.recent.requests_per_s(self.now),
            failures_per_s: self.recent.failures_per_s(self.now),
        };
        console.print(&format!(
            "{}\n",
            table::live(&self.context(&summary), columns(), rates)
        ));
    }

    fn write_csv(&mut self) {
        let Some(mut csv) = self.csv.take() else {
            return;
        };
        let summary = Summary::new(self.tally.clone(), self.observation());
        self.write_history(&mut csv, &self.context(&summary));
        csv.replace(&self.context(&summary));
        self.csv = Some(csv);
    }

    fn write_history(&self, csv: &mut CsvFiles, ctx: &Context<'_>) {
        let recent = self.recent.phase(self.now);
        let point = stats_csv::Point {
            // Of the figures, whenever they came.
            timestamp_s: on_the_wall(self.started_at, self.now).unix_timestamp(),
            users: self.gauges.users,
            recent: &recent,
            recent_s: self.recent.span_s(self.now),
        };
        csv.history_rows(ctx, point);
    }

    fn context<'a>(&'a self, summary: &'a Summary) -> Context<'a> {
        Context {
            plan: &self.plan,
            endpoint: report::Endpoint {
                method: self.endpoint.method.as_str(),
                name: &self.endpoint.path,
            },
            summary,
            workers: &[],
            started_at: self.started_at,
            changes: &[],
            notes: &[],
            version: env!("CARGO_PKG_VERSION"),
            verdict: None,
            failure: None,
            watched: None,
        }
    }

    /// Writes the CSV files once more, from the whole run. Returns why they are not whole.
    pub(super) fn finish(mut self, ctx: &Context<'_>) -> Option<Failure> {
        let mut csv = self.csv.take()?;
        if self.unshown {
            self.write_history(&mut csv, ctx);
        }
        csv.replace(ctx);
        csv.broken
    }
}

impl Replayed for Live {
    fn starting(&mut self, at: OffsetDateTime) {
        self.started_at = at;
    }

    /// Takes in a second that was shown before, by another process: of all that is written a line a second.
    fn second(&mut self, delta: &Tally, to: Offset, gauges: Gauges) {
        self.take_in(delta, to, gauges);
        self.printed = self.now;
        if let Some(mut csv) = self.csv.take() {
            let summary = Summary::new(self.tally.clone(), self.observation());
            self.write_history(&mut csv, &self.context(&summary));
            self.csv = Some(csv);
        }
    }
}

/// Locust's CSV files. A disk that fails costs a warning while the run goes on, and is told at its end.
struct CsvFiles {
    prefix: String,
    history: File,
    full_history: bool,
    broken: Option<Failure>,
}

impl CsvFiles {
    fn create(prefix: &str, full_history: bool) -> Result<Self, Failure> {
        let history = named(prefix, "stats_history");
        try_writing(&history, "--csv")?;
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&history)
            .map_err(|error| unwritable(&history, error))?;
        file.write_all(stats_csv::history_header().as_bytes())
            .map_err(|error| unwritable(&history, error))?;
        Ok(Self {
            prefix: prefix.to_owned(),
            history: file,
            full_history,
            broken: None,
        })
    }

    fn history_rows(&mut self, ctx: &Context<'_>, point: stats_csv::Point<'_>) {
        let rows =
            stats_csv::history_rows(ctx, &point, self.full_history).map_err(std::io::Error::other);
        let written = rows.and_then(|rows| self.history.write_all(rows.as_bytes()));
        self.note("stats_history", written);
    }

    fn replace(&mut self, ctx: &Context<'_>) {
        let files = [
            ("stats", stats_csv::stats(ctx)),
            ("failures", stats_csv::failures(ctx)),
            ("exceptions", stats_csv::exceptions()),
        ];
        for (name, text) in files {
            let written = text
                .map_err(std::io::Error::other)
                .and_then(|text| replace(&named(&self.prefix, name), &text));
            self.note(name, written);
        }
    }

    fn note(&mut self, name: &str, written: std::io::Result<()>) {
        let Err(error) = written else { return };
        if self.broken.is_none() {
            let failure = unwritable(&named(&self.prefix, name), error);
            tracing::warn!("{:#}", failure.error);
            self.broken = Some(failure);
        }
    }
}

fn named(prefix: &str, name: &str) -> PathBuf {
    PathBuf::from(format!("{prefix}_{name}.csv"))
}

fn unwritable(path: &Path, error: std::io::Error) -> Failure {
    Failure::failed(anyhow::Error::new(error).context(format!("cannot write `{}`", path.display())))
        .hint("the figures printed are whole; is the disk full?")
}

/// What a person is told of a master's event; `None` for what only tables show.
pub(super) fn in_words(event: &MasterEvent) -> Option<String> {
    Some(match event {
        MasterEvent::Joined {
            name,
            cores,
            connected,
            expected,
            late,
            ..
        } => {
            let late = if *late {
                "; the run has begun, so it stays idle"
            } else {
                ""
            };
            format!("worker {name} joined with {cores} cores: {connected} of {expected}{late}")
        }
        MasterEvent::Refused { name, reason } => format!("worker {name} was turned away: {reason}"),
        MasterEvent::Gone { name, .. } => format!("worker {name} went away before the start"),
        MasterEvent::Dealt { parts, idle: 0 } => format!("the run is dealt to {parts} workers"),
        MasterEvent::Dealt { parts, idle } => {
            format!(
                "the run is dealt to {parts} workers; {idle} more stay idle, for there are no users left"
            )
        }
        MasterEvent::Starting { .. } => "all workers are ready; starting".to_owned(),
        MasterEvent::Lost {
            name, confirmed_to, ..
        } => {
            format!(
                "worker {name} is lost; its figures are known until {confirmed_to}, what it owned since then counts as lost"
            )
        }
        MasterEvent::Returned { name, .. } => format!("worker {name} is back"),
        MasterEvent::Stopping { abort: false } => {
            "no new requests; waiting for those in flight".to_owned()
        }
        MasterEvent::Stopping { abort: true } => "dropping what is in flight".to_owned(),
        MasterEvent::Overdue { workers } => {
            format!("workers that do not finish in time: {}", workers.join(", "))
        }
        MasterEvent::Missed { events } => {
            format!("{events} events were not shown; no figure is lost by that")
        }
        other => return of_ownership(other),
    })
}

/// What a person is told when shares go from hand to hand.
fn of_ownership(event: &MasterEvent) -> Option<String> {
    Some(match event {
        MasterEvent::Leaving {
            name,
            until,
            handed_over: true,
            ..
        } => format!(
            "worker {name} was told to go; it sends until {until}, then the others have its share"
        ),
        MasterEvent::Leaving { name, .. } => {
            format!("worker {name} was told to go; the rest of its share counts as lost")
        }
        MasterEvent::Adopted { workers, .. } => {
            format!(
                "going on with the run that the journal tells of; waiting for its {workers} workers"
            )
        }
        MasterEvent::JournalBroken => {
            "the journal cannot be written any more: should this master die, its figures end here"
                .to_owned()
        }
        // What changes is told against what was before: see `changes`.
        _ => return None,
    })
}
