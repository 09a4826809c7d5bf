//! How a run went second by second, for the charts of its page: steps that are merged by two, so that a day stays small.
//! It is a view beside the run's own tally and takes nothing from it.

use std::collections::BTreeMap;

use crate::domain::{Offset, Outcome};
use crate::metrics::{Counts, Metric, Phase, Series, Tally};

/// Steps beyond which neighbours are merged.
const MOST_STEPS: usize = 1_800;
/// What takes less time than this is part of the step before: a rate over a moment says nothing.
const SHORTEST_NS: u64 = 250_000_000;
/// The distributions that each step keeps.
const KEPT: [Metric; 5] = [
    Metric::TimeToFirstToken,
    Metric::TimePerOutputToken,
    Metric::TotalLatency,
    Metric::SendDelay,
    Metric::ReceiveLag,
];

/// Users and requests at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Users started (closed loop), or in-flight slots open (open loop).
    pub users: u32,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests that are due and wait for a free user.
    pub waiting: u32,
}

/// What was measured in a part of the run's time, of all phases of it: a request counts where it ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// From when.
    pub from: Offset,
    /// Until when.
    pub to: Offset,
    /// Users and requests at its end.
    pub crowd: Crowd,
    /// The most users at the end of any report in it: a run's last moments leave none.
    pub most_users: u32,
    /// What became of the schedule.
    pub counts: Counts,
    /// Requests that ended, by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Output tokens of good requests, where known.
    pub output_tokens: u64,
    /// Prompt tokens of good requests, where known.
    pub prompt_tokens: u64,
    /// Time that all sending cores together were observed, in nanoseconds.
    pub observed_ns: u64,
    /// Time of it in which they ran, or wanted to, in nanoseconds.
    pub busy_ns: u64,
    series: BTreeMap<Metric, Series>,
    /// How many of the finest steps it is.
    reports: u32,
}

/// A run, step by step. At any time all steps but the last are of about equally many seconds.
#[derive(Clone, Debug, Default)]
pub struct History {
    steps: Vec<Step>,
    doublings: u32,
}

impl History {
    /// Takes in what all workers measured up to `to`, since the time before.
    ///
    /// What brings no time of its own, or next to none, becomes a part of the last step.
    pub fn push(&mut self, delta: &Tally, to: Offset, crowd: Crowd) {
        let from = self.steps.last().map_or(Offset::ZERO, |last| last.to);
        let is_moment = to.nanos_since(from) < SHORTEST_NS;
        let step = Step::of(delta, from, to.max(from), crowd);
        let reports_a_step = 1 << self.doublings;
        match self.steps.last_mut() {
            Some(last) if is_moment => last.absorb(step, 0),
            Some(last) if last.reports < reports_a_step => last.absorb(step, 1),
            last => {
                if let Some(last) = last {
                    last.pack();
                }
                self.steps.push(step);
            }
        }
        if self.steps.len() > MOST_STEPS {
            self.halve();
        }
    }

    /// The steps, in order and without gaps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Requests that ended in any of them.
    pub fn ended(&self) -> u64 {
        self.steps.iter().map(Step::ended).sum()
    }

    /// Merges each second step into the one before it.
    fn halve(&mut self) {
        let mut halved: Vec<Step> = Vec::with_capacity(self.steps.len() / 2 + 1);
        for (number, step) in std::mem::take(&mut self.steps).into_iter().enumerate() {
            match halved.last_mut() {
                Some(last) if number % 2 == 1 => {
                    let reports = step.reports;
                    last.absorb(step, reports);
                    last.pack();
                }
                _ => halved.push(step),
            }
        }
        self.steps = halved;
        self.doublings += 1;
    }
}

impl Step {
    fn of(delta: &Tally, from: Offset, to: Offset, crowd: Crowd) -> Self {
        let mut step = Self {
            from,
            to,
            crowd,
            most_users: crowd.users,
            counts: delta.counts,
            reports: 1,
            ..Self::default()
        };
        for core in delta.generator.cores.values() {
            step.observed_ns = step.observed_ns.saturating_add(core.wall_ns);
            let busy = core.cpu_ns.saturating_add(core.kept_waiting_ns);
            step.busy_ns = step.busy_ns.saturating_add(busy);
        }
        for phase in [&delta.warmup, &delta.measured] {
            step.add(phase);
        }
        step
    }

    fn add(&mut self, phase: &Phase) {
        for (&outcome, count) in &phase.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.output_tokens += phase.output_tokens;
        self.prompt_tokens += phase.prompt_tokens;
        for metric in KEPT {
            if let Some(series) = phase.get(metric) {
                self.series.entry(metric).or_default().merge(series);
            }
        }
    }

    /// Adds what follows it, which was so many reports.
    fn absorb(&mut self, later: Self, reports: u32) {
        self.to = self.to.max(later.to);
        self.crowd = later.crowd;
        self.most_users = self.most_users.max(later.most_users);
        self.counts.merge(later.counts);
        for (outcome, count) in later.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.output_tokens += later.output_tokens;
        self.prompt_tokens += later.prompt_tokens;
        self.observed_ns = self.observed_ns.saturating_add(later.observed_ns);
        self.busy_ns = self.busy_ns.saturating_add(later.busy_ns);
        for (metric, series) in later.series {
            self.series.entry(metric).or_default().merge(&series);
        }
        self.reports += reports;
    }

    fn pack(&mut self) {
        self.series.values_mut().for_each(Series::pack);
    }

    /// How long it is, in seconds.
    pub fn seconds(&self) -> f64 {
        Offset::from_nanos(self.to.nanos_since(self.from)).as_secs_f64()
    }

    /// `count` per second of it; `None` where it has no length.
    #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
    pub fn per_s(&self, count: u64) -> Option<f64> {
        let seconds = self.seconds();
        (seconds > 0.0).then(|| count as f64 / seconds)
    }

    /// Requests that ended, in whatever way.
    pub fn ended(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Requests that ended in a way that `wanted` accepts.
    pub fn count(&self, wanted: impl Fn(Outcome) -> bool) -> u64 {
        let all = self.outcomes.iter();
        all.filter(|(outcome, _)| wanted(**outcome))
            .map(|(_, count)| count)
            .sum()
    }

    /// The distribution of `metric` of requests that ended in it, if anything was recorded and is kept.
    pub fn get(&self, metric: Metric) -> Option<&Series> {
        self.series.get(&metric)
    }

    /// Share of their time in which the sending cores ran, or wanted to; `None` where nothing was observed.
    #[expect(clippy::cast_precision_loss, reason = "a share for display")]
    pub fn busy_share(&self) -> Option<f64> {
        (self.observed_ns > 0).then(|| self.busy_ns as f64 / self.observed_ns as f64)
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
