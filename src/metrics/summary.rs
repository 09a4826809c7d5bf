//! What a report needs of a run: the tally's figures put into relation with time, and checked.
//! It formats nothing, and it knows no setting of the run: only the window and what is still open.

use std::collections::BTreeMap;

use super::{Counts, ErrorCount, ErrorKey, Generator, Metric, Phase, Tally, Window};
use crate::domain::{Offset, Outcome, Warning};

/// What a summary needs beside the tally.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The measured part of the run.
    pub window: Window,
    /// Until when the tally was kept: now, or the end of the run.
    pub until: Offset,
    /// Requests in flight then.
    pub in_flight: u64,
    /// Requests that were due then and waited for a free user.
    pub waiting: u64,
}

/// A conservation identity that does not hold: something was lost or counted twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// scheduled = sent + dropped + late-cancelled + lost + waiting
    #[error("`{scheduled}` requests were scheduled and `{accounted}` are accounted for")]
    Scheduled {
        /// Requests that came due.
        scheduled: u64,
        /// The sum of what became of them.
        accounted: u64,
    },
    /// sent = completed + failed + cancelled + in flight
    #[error("`{sent}` requests were sent and `{accounted}` are accounted for")]
    Sent {
        /// Requests begun.
        sent: u64,
        /// The sum of what became of them.
        accounted: u64,
    },
}

/// A run's figures, ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// What became of the schedule, over the whole run.
    pub counts: Counts,
    /// Finished requests by outcome, over the whole run.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// The requests that the figures are made of: those sent in the measured window.
    pub phase: Phase,
    /// Nothing was measured, so the figures are those of the whole run, its ramp and warm-up included.
    pub ramp_included: bool,
    /// Finished requests that were sent before the measured window, and are not in the figures.
    pub warmup_requests: u64,
    /// Failures by kind, over the whole run.
    pub errors: BTreeMap<ErrorKey, ErrorCount>,
    /// Doubts by kind, over the whole run.
    pub warnings: BTreeMap<Warning, u64>,
    /// Connections opened, over the whole run.
    pub connections_opened: u64,
    /// Those of them that were opened ahead of the request that used them first.
    pub connections_warmed: u64,
    /// Requests that found a connection open, over the whole run.
    pub connections_reused: u64,
    /// From when the figures count: the window's start, or the first request's with the ramp included.
    pub from: Offset,
    /// Until when the figures count: the end of sending.
    pub to: Offset,
    /// Output tokens that arrived between `from` and `to`; with the ramp included, all of them.
    pub window_tokens: f64,
    /// Good requests, each by the share of its time between `from` and `to`; with the ramp included, all of them whole.
    pub window_good: f64,
    /// Output tokens of good requests, over the whole run.
    pub output_tokens: u64,
    /// Prompt tokens of good requests, over the whole run.
    pub prompt_tokens: u64,
    /// From the first request's start to the last one's end, in seconds.
    pub run_s: f64,
    /// Whether everything that was scheduled is accounted for.
    pub balance: Result<(), Imbalance>,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests that are due and wait for a free user.
    pub waiting: u64,
    /// What the generator measured of itself, inside the measured window.
    pub generator: Generator,
    /// Requests per second that met every objective; `None` where there are no objectives.
    pub goodput_per_s: Option<f64>,
}

impl Tally {
    /// Holds the counts against each other: what came due, what was begun, what ended.
    ///
    /// # Errors
    ///
    /// The identity that is broken, with both its sides.
    pub fn check(&self, in_flight: u64, waiting: u64) -> Result<(), Imbalance> {
        let counts = &self.counts;
        let (scheduled, sent) = (counts.scheduled, counts.sent);
        let accounted = sent + counts.dropped + counts.late_cancelled + counts.lost + waiting;
        if scheduled != accounted {
            return Err(Imbalance::Scheduled {
                scheduled,
                accounted,
            });
        }
        let accounted = self.warmup.finished() + self.measured.finished() + in_flight;
        if sent == accounted {
            Ok(())
        } else {
            Err(Imbalance::Sent { sent, accounted })
        }
    }
}

impl Summary {
    /// The figures of `tally`.
    ///
    /// When nothing was measured (the run ended before all users were spawned) the figures are those of everything
    /// that was sent, and `ramp_included` says so.
    pub fn new(tally: Tally, seen: Observation) -> Self {
        let balance = tally.check(seen.in_flight, seen.waiting);
        let ramp_included = tally.measured.finished() == 0 && tally.warmup.finished() > 0;
        let mut whole = tally.warmup.outcomes.clone();
        for (&outcome, count) in &tally.measured.outcomes {
            *whole.entry(outcome).or_default() += count;
        }
        let good = whole.iter().filter(|(outcome, _)| outcome.is_good());
        let whole_good = exact(good.map(|(_, count)| count).sum());
        let output_tokens = tally.warmup.output_tokens + tally.measured.output_tokens;
        let prompt_tokens = tally.warmup.prompt_tokens + tally.measured.prompt_tokens;
        let first = tally.first_sent.unwrap_or(Offset::ZERO);
        let run = tally.last_end.unwrap_or(first).nanos_since(first);
        let from = if ramp_included {
            first
        } else {
            seen.window.start
        };
        let warmup_requests = tally.warmup.finished();
        let mut summary = Self {
            counts: tally.counts,
            outcomes: whole,
            warmup_requests: if ramp_included { 0 } else { warmup_requests },
            phase: if ramp_included {
                tally.warmup
            } else {
                tally.measured
            },
            ramp_included,
            errors: tally.errors,
            warnings: tally.warnings,
            connections_opened: tally.connections_opened,
            connections_warmed: tally.connections_warmed,
            connections_reused: tally.connections_reused,
            from,
            to: seen.window.end.unwrap_or(seen.until).min(seen.until),
            window_good: if ramp_included {
                whole_good
            } else {
                tally.window_good
            },
            window_tokens: if ramp_included {
                exact(output_tokens)
            } else {
                tally.window_tokens
            },
            output_tokens,
            prompt_tokens,
            run_s: Offset::from_nanos(run).as_secs_f64(),
            balance,
            in_flight: seen.in_flight,
            waiting: seen.waiting,
            generator: tally.generator,
            goodput_per_s: None,
        };
        if !summary.phase.met.is_empty() {
            summary.goodput_per_s = summary.per_s(exact(summary.phase.met_all));
        }
        summary
    }

    /// The share of the requests, failed ones too, that met every objective; `None` where there are no objectives.
    pub fn goodput_ratio(&self) -> Option<f64> {
        let requests = self.requests();
        (requests > 0 && !self.phase.met.is_empty())
            .then(|| exact(self.phase.met_all) / exact(requests))
    }

    /// The distribution of `metric`, if anything was recorded.
    pub fn get(&self, metric: Metric) -> Option<&super::Series> {
        self.phase.get(metric)
    }

    /// Real requests that ended: good and failed ones. Cancelled ones are neither, and count in no ratio and no rate.
    pub fn requests(&self) -> u64 {
        self.good() + self.failures()
    }

    /// Good requests.
    pub fn good(&self) -> u64 {
        self.phase.count(Outcome::is_good)
    }

    /// Failed requests.
    pub fn failures(&self) -> u64 {
        self.phase.count(Outcome::is_failure)
    }

    /// Failures / real requests; 0 while there are none.
    pub fn fail_ratio(&self) -> f64 {
        match self.requests() {
            0 => 0.0,
            requests => exact(self.failures()) / exact(requests),
        }
    }

    /// Finished requests over the whole run that `wanted` accepts.
    pub fn whole_run(&self, wanted: impl Fn(Outcome) -> bool) -> u64 {
        let matching = self
            .outcomes
            .iter()
            .filter(|(outcome, _)| wanted(**outcome));
        matching.map(|(_, count)| count).sum()
    }

    /// Length of the window that the figures are made of, in seconds.
    pub fn window_s(&self) -> f64 {
        Offset::from_nanos(self.to.nanos_since(self.from)).as_secs_f64()
    }

    /// `count` per second of the window; `None` when the window is empty.
    pub fn per_s(&self, count: f64) -> Option<f64> {
        let seconds = self.window_s();
        (seconds > 0.0).then(|| count / seconds)
    }

    /// Real requests, by when they were sent, per second of the window.
    pub fn requests_per_s(&self) -> Option<f64> {
        self.per_s(exact(self.requests()))
    }

    /// Failures per second of the window.
    pub fn failures_per_s(&self) -> Option<f64> {
        self.per_s(exact(self.failures()))
    }

    /// Requests sent per second of the window, whatever became of them: what a rate that was asked for is held against.
    pub fn sent_per_s(&self) -> Option<f64> {
        self.per_s(exact(self.phase.finished() + self.in_flight))
    }

    /// Output tokens that arrived inside the window / the window.
    ///
    /// With the ramp included there is no window to hold an arrival against, and the whole run stands in.
    pub fn output_tokens_per_s(&self) -> Option<f64> {
        if self.ramp_included {
            self.whole_run_tokens_per_s()
        } else {
            self.per_s(self.window_tokens)
        }
    }

    /// Output tokens of all good requests / the whole run, from the first send to the last end.
    pub fn whole_run_tokens_per_s(&self) -> Option<f64> {
        (self.run_s > 0.0).then(|| exact(self.output_tokens) / self.run_s)
    }

    /// Users that a rate needs at the mean latency that was seen: see [`users_needed`].
    pub fn users_needed(&self, rate_per_s: f64) -> Option<u64> {
        let mean_ns = self.get(Metric::TotalLatency)?.mean()?;
        Some(users_needed(rate_per_s, mean_ns / 1e9))
    }
}

/// Little's law, L = λ W: so many requests are in flight on average at `rate_per_s` when each takes
/// `mean_latency_s` from sent to end. Rounded up, and at least 1; bursts of an uneven law need more.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and a product below 1 becomes 1"
)]
pub fn users_needed(rate_per_s: f64, mean_latency_s: f64) -> u64 {
    ((rate_per_s * mean_latency_s).ceil() as u64).max(1)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^53"
)]
const fn exact(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
