//! What of one run is laid beside others, in units for people: milliseconds, requests and tokens per second.
//! It holds no histogram, and can be written down and read again.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::trend::Trend;
use crate::metrics::Objective as Held;
use crate::metrics::{COUNT_SCALE, Level, Measured, Metric, Series, Summary, Verdict};
use crate::plan::Plan;

/// The shares at which a distribution is kept.
pub const QUANTILES: [f64; 9] = [0.5, 0.66, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999];

/// A distribution, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The exact mean.
    pub mean: f64,
    /// The values at [`QUANTILES`].
    pub at: Vec<f64>,
}

/// How one objective went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// In the words of `--slo`.
    pub slo: String,
    /// What was measured, in milliseconds: the percentile, or the worst value where each request counts for itself; `None`
    /// when nothing was.
    pub value_ms: Option<f64>,
    /// How many requests met it, and of how many, failed ones too, where each counts for itself.
    pub requests: Option<(u64, u64)>,
    /// The limit, in milliseconds.
    pub limit_ms: f64,
    /// Whether it was kept; never without a measurement.
    pub met: bool,
}

/// Why a verdict is not OK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The rule's name in result files.
    pub name: String,
    /// It makes the run invalid, rather than strained.
    pub is_invalid: bool,
    /// What was seen.
    pub words: String,
}

/// The figures of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The API, in the word of `--provider`.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Users; of an open loop the most requests in flight.
    pub users: u32,
    /// Requests asked for per second, of an open loop.
    pub asked_per_s: Option<f64>,
    /// Length of the measured window, in seconds.
    pub window_s: f64,
    /// Requests that came due in the whole run.
    pub scheduled: u64,
    /// Of them those that were not sent: they still waited for a free user when sending ended, or nobody might send them.
    pub not_sent: u64,
    /// Requests that ended, good or failed.
    pub requests: u64,
    /// Failed ones.
    pub failures: u64,
    /// Requests per second of the window, by when they were sent.
    pub requests_per_s: Option<f64>,
    /// The share of them that was answered as fast as it was sent, in an open loop: below 1 a queue grew, beyond all doubt.
    pub kept_up: Option<f64>,
    /// Output tokens per second of the window.
    pub output_tokens_per_s: Option<f64>,
    /// Mean output tokens of a request.
    pub tokens_per_request: Option<f64>,
    /// Requests per second that met every objective.
    pub goodput_per_s: Option<f64>,
    /// Time to first token.
    pub ttft: Option<Spread>,
    /// Time per output token.
    pub tpot: Option<Spread>,
    /// Total latency.
    pub latency: Option<Spread>,
    /// Latency per token, as the Fireworks benchmark has it.
    pub latency_per_token: Option<Spread>,
    /// Overall latency per token, likewise.
    pub overall_latency_per_token: Option<Spread>,
    /// Every objective.
    pub objectives: Vec<Objective>,
    /// The verdict's word; `None` when there was nothing to judge.
    pub verdict: Option<String>,
    /// Why it is not OK.
    pub causes: Vec<Cause>,
}

impl Spread {
    fn of(series: &Series) -> Option<Self> {
        Some(Self {
            mean: series.mean()? / unit(),
            at: QUANTILES
                .iter()
                .map(|q| series.percentile(*q).map(millis))
                .collect::<Option<_>>()?,
        })
    }

    /// The value at one of [`QUANTILES`].
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let at = QUANTILES
            .iter()
            .position(|known| (known - q).abs() < 1e-9)?;
        self.at.get(at).copied()
    }
}

impl Figures {
    /// The figures of a run that is over.
    pub fn new(plan: &Plan, summary: &Summary, verdict: Option<&Verdict>, trend: &Trend) -> Self {
        let spread = |metric| summary.get(metric).and_then(Spread::of);
        let tokens = summary.get(Metric::OutputTokens);
        Self {
            provider: provider_name(plan),
            model: plan.provider.model.clone(),
            users: plan.schedule.users,
            asked_per_s: plan.asked_per_s(summary.from, summary.to),
            window_s: summary.window_s(),
            scheduled: summary.counts.scheduled,
            not_sent: not_sent(summary),
            requests: summary.requests(),
            failures: summary.failures(),
            requests_per_s: summary.requests_per_s(),
            // Users of a closed loop wait for their answers: no queue can grow.
            kept_up: plan
                .schedule
                .is_open()
                .then(|| trend.kept_up(summary.from, summary.to))
                .flatten(),
            output_tokens_per_s: summary.output_tokens_per_s(),
            tokens_per_request: tokens.and_then(Series::mean).map(|mean| mean / unit()),
            goodput_per_s: summary.goodput_per_s,
            ttft: spread(Metric::TimeToFirstToken),
            tpot: spread(Metric::TimePerOutputToken),
            latency: spread(Metric::TotalLatency),
            latency_per_token: spread(Metric::LatencyPerToken),
            overall_latency_per_token: spread(Metric::OverallLatencyPerToken),
            objectives: objectives(plan, summary),
            verdict: verdict.map(|verdict| verdict.level.name().to_owned()),
            causes: verdict.map(causes).unwrap_or_default(),
        }
    }

    /// Failures / requests; 0 while there are none.
    pub fn fail_ratio(&self) -> f64 {
        match self.requests {
            0 => 0.0,
            requests => exact(self.failures) / exact(requests),
        }
    }

    /// Requests per second that were answered as fast as they were sent.
    pub fn achieved_per_s(&self) -> Option<f64> {
        let sent = self.requests_per_s?;
        Some(sent * self.kept_up.unwrap_or(1.0))
    }
}

fn causes(verdict: &Verdict) -> Vec<Cause> {
    let reasons = verdict.reasons.iter();
    reasons
        .map(|reason| Cause {
            name: reason.name.to_owned(),
            is_invalid: reason.level == Level::Invalid,
            words: reason.words.clone(),
        })
        .collect()
}

/// Requests that came due and were never sent.
const fn not_sent(summary: &Summary) -> u64 {
    let counts = &summary.counts;
    counts.dropped + counts.late_cancelled + summary.waiting
}

/// The run's objectives as every report of it has them.
fn objectives(plan: &Plan, summary: &Summary) -> Vec<Objective> {
    let all = summary.objectives(&plan.observe.slos);
    all.iter().map(|held| objective(held, summary)).collect()
}

fn objective(held: &Held, summary: &Summary) -> Objective {
    let (nanos, requests) = match held.measured {
        None => (None, None),
        Some(Measured::Percentile { nanos, .. }) => (Some(nanos), None),
        Some(Measured::Requests { met, of }) => (summary.worst(held.slo.figure), Some((met, of))),
    };
    Objective {
        slo: held.slo.to_string(),
        value_ms: nanos.map(millis),
        requests,
        limit_ms: millis(held.slo.limit_ns),
        met: held.is_met().unwrap_or(false),
    }
}

/// The provider's word in settings: the one place that has it is its serialised form.
fn provider_name(plan: &Plan) -> String {
    match serde_json::to_value(plan.provider.kind) {
        Ok(Json::String(name)) => name,
        _ => String::new(),
    }
}

fn millis(nanos: u64) -> f64 {
    exact(nanos) / unit()
}

const fn unit() -> f64 {
    exact(COUNT_SCALE)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a run are far below 2^53"
)]
const fn exact(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{Outcome, Slo};
    use crate::metrics::{Observation, Tally};

    /// Figures of a good run with this load and p95 latency.
    pub(in crate::suite) fn sample(users: u32, asked: Option<f64>, p95_ms: f64) -> Figures {
        let spread = |scale: f64| {
            Some(Spread {
                mean: scale * 0.6,
                at: QUANTILES.iter().map(|q| scale * (q + 0.05)).collect(),
            })
        };
        Figures {
            provider: "openai".to_owned(),
            model: "m".to_owned(),
            users,
            asked_per_s: asked,
            window_s: 10.0,
            scheduled: 100,
            not_sent: 0,
            requests: 100,
            requests_per_s: asked.or(Some(f64::from(users))),
            kept_up: Some(1.0),
            output_tokens_per_s: Some(640.0),
            tokens_per_request: Some(64.0),
            ttft: spread(p95_ms / 5.0),
            tpot: spread(p95_ms / 50.0),
            latency: spread(p95_ms),
            latency_per_token: spread(p95_ms / 60.0),
            overall_latency_per_token: spread(p95_ms / 55.0),
            verdict: Some("ok".to_owned()),
            ..Figures::default()
        }
    }

    #[test]
    fn an_objective_went_as_the_runs_own_report_says() {
        let mut tally = Tally::default();
        let mut series = Series::default();
        for ms in 1..=100_u64 {
            series.record(ms * 1_000_000);
        }
        let phase = &mut tally.measured;
        phase.series.insert(Metric::TimeToFirstToken, series);
        phase.outcomes.insert(Outcome::Ok, 100);
        phase.outcomes.insert(Outcome::Http5xx, 1);
        phase.met = vec![0, 0, 100];
        let summary = Summary::new(tally, Observation::default());
        let slos: Vec<Slo> = ["ttft:p50<60ms", "tpot:p95<1s", "ttft<101ms"]
            .map(|text| text.parse().unwrap())
            .into();
        let all = summary.objectives(&slos);
        let kept: Vec<_> = all.iter().map(|held| objective(held, &summary)).collect();
        let met: Vec<bool> = kept.iter().map(|objective| objective.met).collect();
        assert_eq!(met, [true, false, false], "a failed request meets nothing");
        assert_eq!(kept[1].value_ms, None);
        assert_eq!(
            (kept[2].value_ms, kept[2].requests),
            (Some(100.0), Some((100, 101)))
        );
        assert_eq!(kept[0].slo, "ttft:p50<60ms");
    }

    #[test]
    fn what_a_queue_ate_is_not_achieved() {
        let mut figures = sample(9, Some(40.0), 100.0);
        figures.kept_up = Some(0.5);
        assert_eq!(figures.achieved_per_s(), Some(20.0));
        figures.kept_up = None;
        assert_eq!(figures.achieved_per_s(), Some(40.0));
    }

    #[test]
    fn figures_survive_being_written_down() {
        let figures = sample(4, Some(2.5), 120.0);
        let text = serde_json::to_string(&figures).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&text).unwrap(), figures);
    }
}
