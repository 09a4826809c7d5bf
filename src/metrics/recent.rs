//! The last few seconds of a run, for live tables and history files: a ring of closed intervals.
//! It is a view beside the run's own tally and takes nothing from it.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Phase, Tally};
use crate::domain::{Offset, Outcome};

/// Intervals that ended within a span before now.
#[derive(Clone, Debug)]
pub struct Recent {
    span: Duration,
    intervals: VecDeque<Closed>,
}

#[derive(Clone, Debug)]
struct Closed {
    to: Offset,
    phase: Phase,
}

impl Recent {
    /// Remembers the last `span`; Locust's tables use 10 s.
    pub const fn new(span: Duration) -> Self {
        Self {
            span,
            intervals: VecDeque::new(),
        }
    }

    /// Takes note of what finished in an interval that ended at `to`, and forgets what is older than the span.
    ///
    /// Intervals of several workers may come in any order.
    pub fn push(&mut self, to: Offset, tally: &Tally) {
        let mut phase = tally.warmup.clone();
        phase.merge(&tally.measured);
        phase.pack();
        self.intervals.push_back(Closed { to, phase });
        let newest = self.intervals.iter().map(|closed| closed.to).max();
        if let Some(newest) = newest {
            self.forget(newest);
        }
    }

    /// Everything that finished in the last `span` before `now`.
    pub fn phase(&self, now: Offset) -> Phase {
        let mut all = Phase::default();
        for closed in self.inside(now) {
            all.merge(&closed.phase);
        }
        all
    }

    /// How long the last `span` before `now` is, in seconds: shorter while the run is young.
    pub fn span_s(&self, now: Offset) -> f64 {
        now.as_secs_f64().min(self.span.as_secs_f64())
    }

    /// Finished requests (cancelled ones apart) per second over the last `span` before `now`.
    pub fn requests_per_s(&self, now: Offset) -> f64 {
        self.rate(now, |outcome| outcome.is_good() || outcome.is_failure())
    }

    /// Failures per second over the last `span` before `now`.
    pub fn failures_per_s(&self, now: Offset) -> f64 {
        self.rate(now, Outcome::is_failure)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
    fn rate(&self, now: Offset, wanted: impl Fn(Outcome) -> bool) -> f64 {
        let seconds = self.span_s(now);
        let count: u64 = self
            .inside(now)
            .map(|closed| closed.phase.count(&wanted))
            .sum();
        if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        }
    }

    fn inside(&self, now: Offset) -> impl Iterator<Item = &Closed> {
        let oldest = now.as_nanos().checked_sub(nanos(self.span));
        self.intervals
            .iter()
            .filter(move |closed| oldest.is_none_or(|oldest| closed.to.as_nanos() > oldest))
    }

    fn forget(&mut self, newest: Offset) {
        let span = nanos(self.span);
        self.intervals
            .retain(|closed| newest.nanos_since(closed.to) < span);
    }
}

fn nanos(span: Duration) -> u64 {
    Offset::from(span).as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(good: u64, failed: u64) -> Tally {
        let mut tally = Tally::default();
        tally.measured.outcomes.insert(Outcome::Ok, good);
        tally.warmup.outcomes.insert(Outcome::Cut, failed);
        tally
    }

    fn second(s: u64) -> Offset {
        Offset::from_nanos(s * 1_000_000_000)
    }

    #[test]
    fn rates_are_those_of_the_last_span_alone() {
        let mut recent = Recent::new(Duration::from_secs(10));
        for s in 1..=30 {
            recent.push(second(s), &finished(s, 1));
        }
        assert_eq!(recent.intervals.len(), 10);
        let requests: u64 = (21..=30).map(|s| s + 1).sum();
        assert!(
            (recent.requests_per_s(second(30)) * 10.0
                - f64::from(u32::try_from(requests).unwrap()))
            .abs()
                < 1e-9
        );
        assert!((recent.failures_per_s(second(30)) - 1.0).abs() < 1e-9);
        assert_eq!(recent.phase(second(31)).finished(), requests - 22);
    }

    #[test]
    fn a_young_run_divides_by_its_age() {
        let mut recent = Recent::new(Duration::from_secs(10));
        recent.push(second(2), &finished(8, 0));
        assert!((recent.requests_per_s(second(2)) - 4.0).abs() < 1e-9);
        assert!(recent.requests_per_s(Offset::ZERO).abs() < 1e-9);
    }
}
