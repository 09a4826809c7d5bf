//! What the page keeps of a run beside its standing: the rows of Locust's history file, and looks at the server.
//! Both are bounded: when there are too many, every second one goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::app::journal::on_the_wall;
use crate::app::observe::{Second, View};
use crate::gauges::{Look, MOST_LOOKS};
use crate::report::stats_csv::{self, Point};
use crate::report::{self, Context, Standing};

/// Rows of the history file that are kept: a day at one a second.
const MOST_ROWS: usize = 86_400;

/// What is kept of a run so far.
#[derive(Debug, Default)]
pub(super) struct Kept {
    rows: Vec<String>,
    /// Of so many seconds one is kept.
    each: usize,
    seconds: usize,
    looks: Vec<Look>,
}

/// The same, for who writes and who reads it.
pub(super) type Keeping = Arc<Mutex<Kept>>;

pub(super) fn kept(of: &Keeping) -> MutexGuard<'_, Kept> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    /// The history file so far.
    pub(super) fn history(&self) -> String {
        self.rows
            .iter()
            .fold(stats_csv::history_header(), |text, row| text + row)
    }

    /// Looks at the server so far.
    pub(super) fn looks(&self) -> &[Look] {
        &self.looks
    }

    fn row(&mut self, row: String) {
        let each = self.each.max(1);
        if self.seconds.is_multiple_of(each) {
            self.rows.push(row);
        }
        self.seconds += 1;
        if self.rows.len() > MOST_ROWS {
            thin(&mut self.rows);
            self.each = 2 * each;
        }
    }

    fn look(&mut self, look: Look) {
        if self.looks.last().is_some_and(|last| last.at_s >= look.at_s) {
            return;
        }
        self.looks.push(look);
        if self.looks.len() > MOST_LOOKS {
            let pairs = self.looks.chunks(2);
            let merged = pairs.filter_map(|pair| pair.iter().copied().reduce(Look::merged));
            self.looks = merged.collect();
        }
    }
}

fn thin(rows: &mut Vec<String>) {
    let mut number = 0;
    rows.retain(|_| {
        number += 1;
        number % 2 == 1
    });
}

/// The figures of a standing, as a report has them.
pub(super) fn context<'a>(view: &'a View, standing: &'a Standing) -> Context<'a> {
    Context {
        plan: &view.plan,
        endpoint: report::Endpoint {
            method: view.endpoint.method.as_str(),
            name: &view.endpoint.path,
        },
        summary: &standing.summary,
        workers: &[],
        started_at: standing
            .started_at
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH),
        changes: &standing.changes,
        notes: &[],
        version: env!("CARGO_PKG_VERSION"),
        verdict: standing.verdict.as_deref(),
        failure: standing.failure.as_deref(),
        watched: None,
    }
}

/// Keeps what comes, until the run is over.
pub(super) async fn follow(view: View, mut seconds: mpsc::Receiver<Second>, keeping: Keeping) {
    while let Some(second) = seconds.recv().await {
        if second.missed > 0 {
            let missed = second.missed;
            tracing::warn!(
                "{missed} seconds are missing in the history of the web page; no figure is lost by that"
            );
        }
        let now = &second.standing;
        let ctx = context(&view, now);
        let point = Point {
            timestamp_s: on_the_wall(ctx.started_at, second.to).unix_timestamp(),
            users: now.crowd.users,
            recent: &now.lately.phase,
            recent_s: now.lately.span_s,
        };
        let row = stats_csv::history_rows(&ctx, &point, false).unwrap_or_default();
        let look = *view.server.borrow();
        let mut kept = kept(&keeping);
        kept.row(row);
        if let Some(look) = look {
            kept.look(look);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_thins_evenly() {
        let mut kept = Kept::default();
        for second in 0..=2 * MOST_ROWS {
            kept.row(format!("{second}\n"));
        }
        assert!(kept.rows.len() <= MOST_ROWS);
        let seconds: Vec<usize> = kept
            .rows
            .iter()
            .map(|row| row.trim().parse().unwrap())
            .collect();
        let each = kept.each;
        assert!(seconds.iter().all(|second| second % each == 0), "{each}");
        assert_eq!(kept.history().lines().count(), seconds.len() + 1);
    }

    #[test]
    fn a_look_is_kept_once_and_peaks_stay() {
        let mut kept = Kept::default();
        for at in 0..=MOST_LOOKS {
            let at_s = f64::from(u32::try_from(at).unwrap());
            let look = Look {
                at_s,
                running: Some(at_s),
                ..Look::default()
            };
            kept.look(look);
            kept.look(look);
        }
        assert!(kept.looks().len() <= MOST_LOOKS);
        let most = kept.looks().iter().filter_map(|look| look.running);
        assert_eq!(
            most.reduce(f64::max),
            Some(f64::from(u32::try_from(MOST_LOOKS).unwrap()))
        );
    }
}
