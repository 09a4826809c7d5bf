//! The figures of a run in one shape, whether they come of its tally or of its result file: what summaries of other tools are made of.
//! It computes none itself: they are the report's, in its units and its digits.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::metrics::{Metric, Series, Summary};
use crate::report;

/// The percentiles that somebody asks for: (name in result files, share).
const QUANTILES: [(&str, f64); 12] = [
    ("p0.1", 0.001),
    ("p1", 0.01),
    ("p5", 0.05),
    ("p10", 0.1),
    ("p25", 0.25),
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p97", 0.97),
    ("p99", 0.99),
    ("p99.9", 0.999),
];

/// One distribution, in milliseconds or things.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// How many values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// What is known of the percentiles, by their names in result files.
    pub percentiles: BTreeMap<&'static str, Percentile>,
}

/// One percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentile {
    /// The value that so many do not exceed.
    pub value: f64,
    /// At least one value is expected beyond it.
    pub is_supported: bool,
}

/// The figures of the measured requests of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Good requests.
    pub good: u64,
    /// Failed ones.
    pub failures: u64,
    /// Those that were ended on purpose.
    pub cancelled: u64,
    /// Failed ones by how they failed.
    pub failed: BTreeMap<String, u64>,
    /// Length of the window, in seconds.
    pub window_s: f64,
    /// From the first send to the last end of the whole run, in seconds.
    pub run_s: f64,
    /// Prompt tokens of good requests; 0 where nobody counted any.
    pub prompt_tokens: u64,
    /// Output tokens of good requests; 0 where nobody counted any.
    pub output_tokens: u64,
    /// Output tokens that arrived in the window, per second of it.
    pub output_per_s: Option<f64>,
    /// Arrivals per second that were asked for in the window, of an open loop.
    pub asked_per_s: Option<f64>,
    /// Distributions by their names in result files.
    pub stats: BTreeMap<String, Stats>,
}

/// Why a file is no result that figures can be taken from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// Something stands in it that is no result, or nothing.
    #[error("not a result of --json-file: no number at `{0}`")]
    Foreign(&'static str),
    /// It is of another version's shape.
    #[error(
        "a result of format `{found}`; this version reads format `{0}`",
        report::json::FORMAT
    )]
    Format {
        /// What stands in it.
        found: u64,
    },
}

impl Figures {
    /// Those of `summary`, of which only what a tally knows is taken.
    pub fn of(summary: &Summary, asked_per_s: Option<f64>) -> Self {
        let finished: u64 = summary.phase.outcomes.values().sum();
        let failed = summary.phase.outcomes.iter();
        let failed = failed.filter(|(outcome, _)| outcome.is_failure());
        let stats = Metric::ALL.into_iter().filter_map(|metric| {
            let stats = Stats::of(summary.get(metric)?)?;
            Some((metric.key().to_owned(), stats))
        });
        Self {
            good: summary.good(),
            failures: summary.failures(),
            cancelled: finished - summary.requests(),
            failed: failed
                .map(|(outcome, count)| (outcome.name().to_owned(), *count))
                .collect(),
            window_s: summary.window_s(),
            run_s: summary.run_s,
            prompt_tokens: summary.phase.prompt_tokens,
            output_tokens: summary.phase.output_tokens,
            output_per_s: summary.output_tokens_per_s(),
            asked_per_s,
            stats: stats.collect(),
        }
    }

    /// Those of a result file.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn read(result: &Value) -> Result<Self, ResultError> {
        let whole = |place: &'static str| {
            let found = result.pointer(place).and_then(Value::as_u64);
            found.ok_or(ResultError::Foreign(place))
        };
        let real = |place: &'static str| {
            let found = result.pointer(place).and_then(Value::as_f64);
            found.ok_or(ResultError::Foreign(place))
        };
        let found = whole("/format")?;
        if found != u64::from(report::json::FORMAT) {
            return Err(ResultError::Format { found });
        }
        let outcomes = result.pointer("/measured/outcomes");
        let outcomes = outcomes.and_then(Value::as_object);
        let outcomes = outcomes.ok_or(ResultError::Foreign("/measured/outcomes"))?;
        let counted = || {
            let counts = outcomes.iter();
            counts.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?)))
        };
        let is_failure = |name: &str| !matches!(name, "ok" | "truncated" | "cancelled");
        let metrics = result.pointer("/metrics").and_then(Value::as_object);
        let metrics = metrics.ok_or(ResultError::Foreign("/metrics"))?;
        Ok(Self {
            good: whole("/measured/good")?,
            failures: whole("/measured/failures")?,
            cancelled: counted()
                .filter_map(|(name, count)| (name == "cancelled").then_some(count))
                .sum(),
            failed: counted().filter(|(name, _)| is_failure(name)).collect(),
            window_s: real("/window/length_s")?,
            run_s: real("/window/run_s")?,
            prompt_tokens: whole("/tokens/prompt")?,
            output_tokens: whole("/tokens/output")?,
            output_per_s: real("/tokens/output_per_s").ok(),
            asked_per_s: real("/measured/asked_per_s").ok(),
            stats: metrics
                .iter()
                .filter_map(|(name, stats)| Some((name.clone(), Stats::read(stats)?)))
                .collect(),
        })
    }

    /// The distribution of `metric`, if there is one.
    pub fn get(&self, metric: Metric) -> Option<&Stats> {
        self.stats.get(metric.key())
    }

    /// `count` per second of the window; `None` when the window is empty.
    pub fn per_s(&self, count: u64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of a run")]
        let count = count as f64;
        (self.window_s > 0.0).then(|| count / self.window_s)
    }
}

impl Stats {
    pub(super) fn of(series: &Series) -> Option<Self> {
        let percentiles = QUANTILES.into_iter().filter_map(|(name, q)| {
            let percentile = Percentile {
                value: report::percentile(series, q)?,
                // Below the median it is the values below it that make it mean something.
                is_supported: series.supports(q.max(1.0 - q)),
            };
            Some((name, percentile))
        });
        Some(Self {
            count: series.count(),
            mean: report::mean(series)?,
            min: report::shown(series.min()?),
            max: report::shown(series.max()?),
            percentiles: percentiles.collect(),
        })
    }

    fn read(stats: &Value) -> Option<Self> {
        let lacking = stats.get("too_few_samples_for").and_then(Value::as_array);
        let is_lacking = |name: &str| {
            lacking.is_some_and(|names| names.iter().any(|it| it.as_str() == Some(name)))
        };
        let percentiles = QUANTILES.into_iter().filter_map(|(name, _)| {
            let percentile = Percentile {
                value: stats.get(name)?.as_f64()?,
                is_supported: !is_lacking(name),
            };
            Some((name, percentile))
        });
        let number = |name: &str| stats.get(name).and_then(Value::as_f64);
        Some(Self {
            count: stats.get("count")?.as_u64()?,
            mean: number("mean")?,
            min: number("min")?,
            max: number("max")?,
            percentiles: percentiles.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::sample;

    #[test]
    fn a_result_file_gives_the_figures_of_its_summary() {
        for sample in [sample::open(), sample::closed(), sample::embeddings()] {
            let ctx = sample.context();
            let text = report::json::result(&ctx).unwrap();
            let read = Figures::read(&serde_json::from_str(&text).unwrap()).unwrap();
            let asked = sample
                .plan
                .asked_per_s(sample.summary.from, sample.summary.to);
            let mut own = Figures::of(&sample.summary, asked.or(read.asked_per_s));
            // A result has fewer percentiles; those that it has are the same.
            for (name, stats) in &mut own.stats {
                let known = &read.stats[name].percentiles;
                stats.percentiles.retain(|name, _| known.contains_key(name));
                assert!(known.len() >= 5, "{name}");
            }
            assert_eq!(own, read);
            assert_eq!(own.good + own.failures, 4);
        }
    }

    #[test]
    fn what_is_no_result_is_refused_by_what_is_missing() {
        assert_eq!(
            Figures::read(&json!({"a": 1})),
            Err(ResultError::Foreign("/format"))
        );
        assert_eq!(
            Figures::read(&json!({"format": 1})),
            Err(ResultError::Format { found: 1 })
        );
        let words = ResultError::Format { found: 1 }.to_string();
        assert_eq!(
            words,
            "a result of format `1`; this version reads format `2`"
        );
    }

    #[test]
    fn few_values_support_few_percentiles() {
        let mut series = Series::default();
        (1..=20).for_each(|ms| series.record(ms * 1_000_000));
        let stats = Stats::of(&series).unwrap();
        let supported = stats.percentiles.iter().filter(|(_, it)| it.is_supported);
        let names: Vec<_> = supported.map(|(name, _)| *name).collect();
        assert_eq!(names, ["p10", "p25", "p5", "p50", "p75", "p90", "p95"]);
        assert!((stats.percentiles["p90"].value - 18.0).abs() < 0.02);
    }
}
