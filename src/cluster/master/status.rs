//! A master that is asked how the run stands. It answers from what is merged already, without copying a distribution:
//! a question must not cost heartbeats.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Master, Phase};
use crate::cluster::membership::Member;
use crate::cluster::{Coming, Quantiles, RecentRate, RunPhase, RunStatus, WorkerStatus};
use crate::domain::{Offset, Outcome};
use crate::metrics::{Metric, Tally};
use crate::schedule::Load;

/// The rates are of this span, as in the tables of a run.
const RECENT: Duration = Duration::from_secs(10);

/// Requests that ended in the last seconds, by second.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(VecDeque<Second>);

#[derive(Clone, Copy, Debug)]
struct Second {
    to: Offset,
    requests: u64,
    failures: u64,
}

impl Pace {
    /// Takes note of what ended in a second, until `to`.
    pub(super) fn note(&mut self, to: Offset, delta: &Tally) {
        let failures = ended(delta, Outcome::is_failure);
        let requests = failures + ended(delta, Outcome::is_good);
        self.0.push_back(Second {
            to,
            requests,
            failures,
        });
        let is_old = |second: &Second| to.since(second.to) >= RECENT;
        while self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "rates for display")]
    fn rate(&self) -> Option<RecentRate> {
        let newest = self.0.back()?.to;
        let span = newest.since(Offset::ZERO).min(RECENT);
        let per_s = |count: fn(&Second) -> u64| {
            let sum: u64 = self.0.iter().map(count).sum();
            sum as f64 / span.as_secs_f64()
        };
        (!span.is_zero()).then(|| RecentRate {
            requests_per_s: per_s(|second| second.requests),
            failures_per_s: per_s(|second| second.failures),
            span,
        })
    }
}

impl Master {
    /// How the run stands at `now`.
    pub fn status(&self, now: Offset) -> RunStatus {
        let total = self.books.total();
        let failures = ended(total, Outcome::is_failure);
        let (load, next) = self.loads(now);
        let mut workers = BTreeMap::new();
        let mut lost = total.counts.lost;
        for (_, member) in self.roster.iter() {
            *workers.entry(member.state).or_default() += 1;
            lost = lost.saturating_add(unknown(member));
        }
        RunStatus {
            run: self.config.run,
            phase: self.run_phase(),
            elapsed: self.elapsed(now),
            left: self.left(now),
            load,
            next: next.map(|(from, load)| Coming { from, load }),
            gauges: self.roster.gauges(),
            requests: failures + ended(total, Outcome::is_good),
            failures,
            lost,
            recent: self.books.pace().rate(),
            ttft: quantiles(total, Metric::TimeToFirstToken),
            latency: quantiles(total, Metric::TotalLatency),
            workers,
        }
    }

    /// How each worker stands at `now`.
    pub fn worker_status(&self, now: Offset) -> Vec<WorkerStatus> {
        let of = |(worker, member): (u32, &Member)| WorkerStatus {
            worker,
            name: member.hello.name.clone(),
            version: member.hello.version.clone(),
            cores: member.hello.cores,
            state: member.state,
            connected: member.conn.is_some(),
            gauges: member.gauges,
            sent: member.ledger.counts().sent,
            finished: member.ledger.finished(),
            lost: unknown(member),
            silent: now.since(member.last_heard),
            clock: member.clock,
        };
        self.roster.iter().map(of).collect()
    }

    /// What the cluster does once all wishes have come true.
    pub fn load_to_come(&self) -> Load {
        self.load_wanted()
    }

    fn run_phase(&self) -> RunPhase {
        match self.phase {
            Phase::Gathering { .. } => RunPhase::Waiting,
            Phase::Preparing { .. } => RunPhase::Preparing,
            Phase::Running { halt: None, .. } => RunPhase::Running,
            Phase::Running { halt: Some(_), .. } => RunPhase::Stopping,
            Phase::Ended => RunPhase::Ended,
        }
    }

    /// Of a run that is over: until when it was measured.
    fn elapsed(&self, now: Offset) -> Option<Duration> {
        let measured = self.books.to().since(Offset::ZERO);
        match self.phase {
            Phase::Ended => (!measured.is_zero()).then_some(measured),
            _ => self.started_at().map(|at| now.since(at)),
        }
    }

    fn left(&self, now: Offset) -> Option<Duration> {
        let Phase::Running { halt: None, .. } = self.phase else {
            return None;
        };
        let end = self.config.plan.schedule.end_of_sending()?;
        Some(end.since(self.run_time(now)?))
    }
}

/// What became of these nobody knows.
fn unknown(member: &Member) -> u64 {
    let loss = Master::loss(member, None);
    let open = loss.unreported.saturating_add(loss.waiting);
    open.saturating_add(loss.in_flight)
}

fn ended(tally: &Tally, wanted: impl Fn(Outcome) -> bool) -> u64 {
    tally.warmup.count(&wanted) + tally.measured.count(&wanted)
}

fn quantiles(tally: &Tally, metric: Metric) -> Option<Quantiles> {
    let phase = if tally.measured.finished() > 0 {
        &tally.measured
    } else {
        &tally.warmup
    };
    let series = phase.get(metric)?;
    let at = |q| series.percentile(q).map(Duration::from_nanos);
    Some(Quantiles {
        count: series.count(),
        p50: at(0.5)?,
        p95: at(0.95)?,
        p99: at(0.99)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(s: u64) -> Offset {
        Offset::from_nanos(s * 1_000_000_000)
    }

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let mut pace = Pace::default();
        assert_eq!(pace.rate(), None);
        for s in 1..=30 {
            let mut tally = Tally::default();
            tally.measured.outcomes.insert(Outcome::Ok, s);
            tally.warmup.outcomes.insert(Outcome::Cut, 1);
            tally.measured.outcomes.insert(Outcome::Cancelled, 100);
            pace.note(second(s), &tally);
            if s == 2 {
                let young = pace.rate().unwrap();
                assert!((young.requests_per_s - 2.5).abs() < 1e-9, "{young:?}");
            }
        }
        let rate = pace.rate().unwrap();
        assert!((rate.requests_per_s - 26.5).abs() < 1e-9, "{rate:?}");
        assert!((rate.failures_per_s - 1.0).abs() < 1e-9, "{rate:?}");
        assert_eq!((rate.span, pace.0.len()), (RECENT, 10));
    }
}
