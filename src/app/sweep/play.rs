//! Plays one prepared run after the other, keeps what came of each, and says how far it is.
//! What is run, and in which order, is decided elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::prepare::Prepared;
use super::store::Store;
use crate::app::console::{Console, complain};
use crate::app::failure::{Failure, status};
use crate::app::played::{Played, Showing};
use crate::app::session::play_run;
use crate::app::signals::Signal;
use crate::suite::{Figures, Row, Spread};

/// Everything that a series of runs needs.
pub(super) struct Stage {
    pub(super) store: Store,
    pub(super) signals: mpsc::Receiver<Signal>,
    pub(super) cooldown: Duration,
    pub(super) console: Console,
    /// What runs took beyond their own time, and how many there were.
    overhead: (Duration, u32),
    /// Some run went before: a pause comes first.
    has_run: bool,
}

/// What came of a run.
pub(super) enum Done {
    /// It was made now, or before.
    Row(Box<Row>),
    /// A signal of this status came before its end, or in the pause before it. A run that was not through tells so itself.
    Interrupted(u8, Option<Box<Row>>),
}

impl Stage {
    pub(super) fn new(store: Store, signals: mpsc::Receiver<Signal>, cooldown: Duration) -> Self {
        Self {
            store,
            signals,
            cooldown,
            console: Console::default(),
            overhead: (Duration::ZERO, 0),
            has_run: false,
        }
    }

    /// Makes a run, unless it is known, and keeps it. `which` is what a person is told that it is.
    pub(super) async fn run(
        &mut self,
        prepared: Prepared,
        is_still_good: impl Fn(&Row) -> bool,
        which: &str,
    ) -> Result<Done, Failure> {
        let known = self.store.known(&prepared.id);
        if let Some(row) = known.filter(|row| is_still_good(row)) {
            // Its label may be another's by now: the same settings in other words.
            let row = Row {
                label: prepared.label,
                group: prepared.group,
                command: prepared.command,
                ..row.clone()
            };
            self.console
                .print(&format!("{which}: made before; {}\n", in_brief(&row)));
            return Ok(Done::Row(Box::new(row)));
        }
        if let Some(signal) = self.pause().await {
            return Ok(Done::Interrupted(signal, None));
        }
        self.console.print(&format!("{which}\n"));
        let begun = Instant::now();
        let nominal = nominal(&prepared);
        let kept = (
            prepared.id.clone(),
            prepared.label.clone(),
            prepared.group.clone(),
            prepared.command.clone(),
        );
        let played = Box::pin(play_run(prepared.options, Showing::Nobody)).await;
        let took = begun.elapsed();
        self.has_run = true;
        if let Some(nominal) = nominal {
            self.overhead.0 += took.saturating_sub(nominal);
            self.overhead.1 += 1;
        }
        let played = played.unwrap_or_else(|failure| could_not_be_played(&failure));
        let (id, label, group, command) = kept;
        let figures = played.measured.as_ref().map(|measured| {
            Figures::new(
                &measured.plan,
                &measured.summary,
                measured.verdict.as_ref(),
                &measured.trend,
            )
        });
        let interrupted = played.interrupted.or_else(|| self.signalled());
        let row = Row {
            id,
            label,
            group,
            command,
            status: played.status,
            failure: played.failure,
            is_interrupted: played.is_altered,
            took_s: took.as_secs_f64(),
            figures,
        };
        self.store.keep(&row)?;
        self.console.print(&format!("  {}\n", in_brief(&row)));
        Ok(match interrupted {
            Some(signal) => Done::Interrupted(signal, Some(Box::new(row))),
            None => Done::Row(Box::new(row)),
        })
    }

    /// Waits between two runs; returns the status of a signal that came meanwhile.
    async fn pause(&mut self) -> Option<u8> {
        if let Some(signal) = self.signalled() {
            return Some(signal);
        }
        if !self.has_run || self.cooldown.is_zero() {
            return None;
        }
        tokio::select! {
            () = sleep(self.cooldown) => None,
            Some(signal) = self.signals.recv() => Some(signal.exit_status()),
        }
    }

    /// A signal that came since anybody looked.
    fn signalled(&mut self) -> Option<u8> {
        self.signals.try_recv().ok().map(Signal::exit_status)
    }

    /// How long `runs` more take, as far as the ones before tell; `None` where a run has no time of its own.
    pub(super) fn left(&self, runs: &[&Prepared]) -> Option<Duration> {
        let known = |run: &&&Prepared| self.store.known(&run.id).is_none();
        let runs = runs.iter().filter(known);
        let overhead = match self.overhead {
            (_, 0) => Duration::from_secs(1),
            (sum, count) => sum / count,
        };
        runs.map(|run| Some(nominal(run)? + overhead + self.cooldown))
            .sum()
    }
}

/// The run's own time: its users' start and its run time.
fn nominal(prepared: &Prepared) -> Option<Duration> {
    let schedule = &prepared.options.settings.schedule;
    let ramp = f64::from(schedule.users) / schedule.spawn_rate.as_f64();
    let ramp = Duration::try_from_secs_f64(ramp).unwrap_or_default();
    Some(schedule.run_time? + ramp)
}

/// A run that never began is one that failed, and no reason to end the others.
fn could_not_be_played(failure: &Failure) -> Played {
    complain(failure);
    Played {
        status: failure.status.max(status::FAILED),
        failure: Some(format!("{:#}", failure.error)),
        interrupted: None,
        is_altered: false,
        measured: None,
        answers: BTreeMap::new(),
        begun: None,
        documents: None,
    }
}

/// A run in one line.
pub(super) fn in_brief(row: &Row) -> String {
    let Some(figures) = &row.figures else {
        let why = row.failure.as_deref().unwrap_or("interrupted");
        return format!("nothing measured: {why}");
    };
    let p95 = |spread: &Option<Spread>| spread.as_ref().and_then(|spread| spread.quantile(0.95));
    let mut parts = Vec::new();
    let mut add = |value: Option<f64>, before: &str, after: &str| {
        if let Some(value) = value {
            parts.push(format!("{before}{}{after}", four_digits(value)));
        }
    };
    add(figures.achieved_per_s(), "", " requests/s");
    add(figures.output_tokens_per_s, "", " tokens/s");
    add(p95(&figures.ttft), "TTFT p95 ", " ms");
    add(p95(&figures.latency), "latency p95 ", " ms");
    if figures.failures > 0 {
        parts.push(format!(
            "{} of {} failed",
            figures.failures, figures.requests
        ));
    }
    parts.push(row.verdict());
    parts.join(", ")
}

fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// `12 min`, as a person would say it.
pub(super) fn roughly(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..=89 => format!("about {seconds} s left"),
        seconds @ 90..=5_399 => format!("about {} min left", (seconds + 30) / 60),
        seconds => format!("about {} h left", (seconds + 1_800) / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_as_people_tell_it() {
        let told = |seconds| roughly(Duration::from_secs(seconds));
        assert_eq!(told(12), "about 12 s left");
        assert_eq!(told(89), "about 89 s left");
        assert_eq!(told(740), "about 12 min left");
        assert_eq!(told(9_000), "about 3 h left");
    }

    #[test]
    fn a_run_that_measured_nothing_says_why() {
        let row = Row {
            failure: Some("nobody listens".to_owned()),
            ..Row::default()
        };
        assert_eq!(in_brief(&row), "nothing measured: nobody listens");
    }
}
