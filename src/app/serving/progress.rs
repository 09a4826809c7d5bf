//! How far a suite is, on standard error: on a terminal a bar that moves, elsewhere a line a benchmark. Spans of time in words.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::app::console::complain;
use crate::cluster::MasterEvent;
use crate::domain::Outcome;
use crate::serving::span_in_words;

const LAYOUT: &str = "{prefix}  {bar:20} {msg}";

/// What a benchmark is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    pub(super) queries: u64,
    pub(super) time: Duration,
}

/// The bar, or the lines.
pub(super) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    allowed: Allowed,
    begun: Instant,
    done: u64,
    failed: u64,
    /// All of the suite behind this benchmark, as far as it is estimated.
    behind: Option<Duration>,
}

impl Progress {
    /// With nothing to show yet.
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        // The layout is known to be one: a test draws it.
        if let Ok(style) = ProgressStyle::with_template(LAYOUT) {
            bar.set_style(style);
        }
        Self {
            bar,
            is_terminal: io::stderr().is_terminal(),
            allowed: Allowed {
                queries: 1,
                time: Duration::ZERO,
            },
            begun: Instant::now(),
            done: 0,
            failed: 0,
            behind: None,
        }
    }

    /// One that shows nothing.
    pub(super) fn hidden() -> Self {
        let progress = Self::new();
        progress.bar.set_draw_target(ProgressDrawTarget::hidden());
        progress
    }

    /// A benchmark begins.
    pub(super) fn begin(&mut self, title: &str, allowed: Allowed, behind: Option<Duration>) {
        self.allowed = allowed;
        self.behind = behind;
        self.begun = Instant::now();
        (self.done, self.failed) = (0, 0);
        if self.is_terminal {
            self.bar.reset();
            self.bar.set_length(allowed.queries);
            self.bar.set_prefix(title.to_owned());
            self.bar.set_message("looking whether the server answers");
        } else {
            complain(&title);
        }
    }

    /// Takes note of what a run of it says.
    pub(super) fn note(&mut self, event: &MasterEvent) {
        let MasterEvent::Merged { delta, .. } = event else {
            return;
        };
        for answer in delta.answers.values() {
            self.done += u64::from(answer.outcome != Outcome::Cancelled);
            self.failed += u64::from(answer.outcome.is_failure());
        }
        self.bar.set_position(self.done.min(self.allowed.queries));
        self.bar.set_message(self.words());
    }

    /// A benchmark is over, with this to be said of it.
    pub(super) fn end(&mut self, words: &str) {
        if self.is_terminal {
            let prefix = self.bar.prefix();
            self.bar.suspend(|| complain(&format!("{prefix}: {words}")));
            self.bar.set_message("");
        } else {
            complain(&format!("  {words}"));
        }
    }

    /// Something to be said meanwhile.
    pub(super) fn say(&self, words: &str) {
        self.bar.suspend(|| complain(&words));
    }

    /// The bar goes away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn words(&self) -> String {
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let passed = self.begun.elapsed();
        let rate = count(self.done) / passed.as_secs_f64().max(f64::MIN_POSITIVE);
        let left = left(self.allowed, self.done, passed);
        let behind = match self.behind {
            Some(behind) => format!("; the suite {}", about(left + behind)),
            None => String::new(),
        };
        let done = self.done;
        format!(
            "{done} queries{failed}, {rate:.2}/s, at most {} left{behind}",
            span(left)
        )
    }
}

/// Until the queries are made or the time is over, whichever ends first.
fn left(allowed: Allowed, done: u64, passed: Duration) -> Duration {
    let by_time = allowed.time.saturating_sub(passed);
    if done == 0 {
        return by_time;
    }
    let each = passed.as_secs_f64() / count(done);
    let by_queries = each * count(allowed.queries.saturating_sub(done));
    let by_queries = Duration::try_from_secs_f64(by_queries);
    by_queries.map_or(by_time, |queries| queries.min(by_time))
}

/// `about 12 min`.
pub(super) fn about(time: Duration) -> String {
    format!("about {}", span(time))
}

/// A span as people tell it.
pub(super) fn span(time: Duration) -> String {
    span_in_words(time.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for display")]
const fn count(of: u64) -> f64 {
    of as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_first_says_how_much_time_is_left() {
        let allowed = Allowed {
            queries: 100,
            time: Duration::from_secs(60),
        };
        let seconds = |done, passed| left(allowed, done, Duration::from_secs(passed)).as_secs();
        assert_eq!(seconds(0, 10), 50);
        assert_eq!(seconds(80, 8), 2);
        assert_eq!(seconds(10, 10), 50);
        assert_eq!(seconds(10, 70), 0);
    }

    #[test]
    fn spans_are_told_as_people_tell_them() {
        let told = |seconds| about(Duration::from_secs(seconds));
        assert_eq!(told(12), "about 12 s");
        assert_eq!(told(740), "about 12 min");
        assert_eq!(told(54_000), "about 15 h");
    }

    #[test]
    fn the_layout_is_one() {
        assert!(ProgressStyle::with_template(LAYOUT).is_ok());
    }
}
