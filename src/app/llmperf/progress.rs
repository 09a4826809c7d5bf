//! How far a test is, on a terminal's standard error: a bar, the rate, the time left. Where there is no terminal it says nothing.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cluster::MasterEvent;
use crate::domain::{Offset, Outcome};

const LAYOUT: &str = "{bar:30} {pos}/{len} {msg}";

/// The bar.
pub(super) struct Progress {
    bar: ProgressBar,
    requests: u64,
    timeout: Duration,
    done: u64,
    failed: u64,
}

impl Progress {
    /// Of a test of so many requests, which sends for no longer than `timeout`.
    pub(super) fn new(requests: u64, timeout: Duration) -> Self {
        let bar = ProgressBar::with_draw_target(Some(requests), ProgressDrawTarget::stderr());
        // The layout is known to be one: a test draws it.
        if let Ok(style) = ProgressStyle::with_template(LAYOUT) {
            bar.set_style(style);
        }
        Self {
            bar,
            requests,
            timeout,
            done: 0,
            failed: 0,
        }
    }

    /// Takes note of what the run says.
    pub(super) fn note(&mut self, event: &MasterEvent) {
        match event {
            MasterEvent::Starting { .. } => self.bar.set_message("requests"),
            MasterEvent::Merged { delta, to, .. } => {
                for answer in delta.answers.values() {
                    self.done += u64::from(answer.outcome != Outcome::Cancelled);
                    self.failed += u64::from(answer.outcome.is_failure());
                }
                self.bar.set_position(self.done);
                self.bar.set_message(self.words(*to));
            }
            _ => {}
        }
    }

    /// The bar goes away: what follows is for its place.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn words(&self, now: Offset) -> String {
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let seconds = now.as_secs_f64();
        let rate = count(self.done) / seconds.max(f64::MIN_POSITIVE);
        let left = time_left(
            self.requests.saturating_sub(self.done),
            rate,
            self.timeout,
            now,
        );
        format!("requests{failed}, {rate:.2}/s, {left}")
    }
}

/// Until the requests are made or the time is over, whichever ends first.
fn time_left(requests: u64, rate: f64, timeout: Duration, now: Offset) -> String {
    let by_time = timeout.as_secs_f64() - now.as_secs_f64();
    let by_requests = count(requests) / rate;
    let seconds = if rate > 0.0 {
        by_requests.min(by_time)
    } else {
        by_time
    };
    if by_time <= 0.0 {
        return "waiting for the last answers".to_owned();
    }
    let left = Duration::try_from_secs_f64(seconds.max(0.0).ceil()).unwrap_or_default();
    format!("{} left", crate::domain::format_span(left))
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
        let at = |seconds| Offset::from(Duration::from_secs(seconds));
        let left = |requests, rate, seconds| {
            time_left(requests, rate, Duration::from_secs(90), at(seconds))
        };
        assert_eq!(left(20, 2.0, 10), "10s left");
        assert_eq!(left(2_000, 2.0, 10), "1m20s left");
        assert_eq!(left(5, 0.0, 30), "1m left");
        assert_eq!(left(5, 1.0, 95), "waiting for the last answers");
    }

    #[test]
    fn the_layout_is_one() {
        assert!(ProgressStyle::with_template(LAYOUT).is_ok());
    }
}
