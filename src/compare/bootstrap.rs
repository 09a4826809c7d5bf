//! Resampling: what a statistic might have been had other responses, and other runs, been drawn from the same server.
//! Intervals are percentiles of the resampled statistics, widened for small samples. It compares nothing.

use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution, Normal};
use serde::Serialize;

use super::law::{normal_cdf, normal_quantile, student_quantile};
use super::stats::{self, count};
use super::{Figure, Stat};
use crate::domain::Seed;

/// From here to there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether it holds `value`.
    pub fn holds(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Of logarithms of ratios: as shares by which the second value differs from the first.
    pub(super) fn of_shares(self) -> Self {
        Self {
            low: self.low.exp_m1(),
            high: self.high.exp_m1(),
        }
    }

    /// With its distances from `middle` multiplied.
    fn stretched(self, middle: f64, factor: f64) -> Self {
        let far = |end: f64| middle + (end - middle) * factor;
        Self {
            low: far(self.low),
            high: far(self.high),
        }
    }
}

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// The share of intervals that hold the truth, 0.95 for 95%.
    pub confidence: f64,
    /// Resamples of each side.
    pub resamples: usize,
    /// Where the draws come from.
    pub seed: Seed,
}

impl Default for Resampling {
    fn default() -> Self {
        Self {
            confidence: 0.95,
            resamples: 4_000,
            seed: Seed(0),
        }
    }
}

/// Of more responses than this a side's mean has a normal law, whatever the law of the responses; with runs that are drawn
/// first, the percentiles of more than this are taken from their law too.
const MANY: usize = 2_000;

/// Fewest responses for an interval; a p95 of fewer than 20 is next to the largest value.
pub(super) const fn fewest(stat: Stat) -> usize {
    match stat {
        Stat::P95 => 20,
        _ => 5,
    }
}

impl Resampling {
    /// Resampled statistics of one side. With `by_runs` runs are drawn first and then responses of each, otherwise all
    /// responses are drawn alike. `place` tells sides apart: equal places give equal draws.
    pub(super) fn replicates(
        &self,
        runs: &[&[f64]],
        (figure, stat): (Figure, Stat),
        by_runs: bool,
        place: u64,
    ) -> Vec<f64> {
        let name = format!("compare/{}/{}", figure.word(), stat.name());
        let mut rng = self.seed.stream(&name, place);
        if by_runs {
            let size: usize = runs.iter().map(|run| run.len()).sum();
            return if size > MANY {
                self.of_long_runs(runs, stat, &mut rng)
            } else {
                self.of_runs(runs, stat, &mut rng)
            };
        }
        let mut pooled = runs.concat();
        pooled.sort_by(f64::total_cmp);
        match stats::share(stat) {
            Some(share) => self.of_percentile(&pooled, share, &mut rng),
            None => self.of_mean(&pooled, &mut rng),
        }
    }

    fn of_mean(&self, values: &[f64], rng: &mut impl Rng) -> Vec<f64> {
        let size = values.len();
        if size > MANY {
            return self.of_many(values, rng);
        }
        let mut one = || -> f64 {
            let drawn = (0..size).filter_map(|_| values.get(rng.random_range(0..size)));
            drawn.sum::<f64>() / count(size)
        };
        (0..self.resamples).map(|_| one()).collect()
    }

    fn of_many(&self, values: &[f64], rng: &mut impl Rng) -> Vec<f64> {
        let mean = stats::mean(values).unwrap_or_default();
        let error = stats::deviation(values).unwrap_or_default() / count(values.len()).sqrt();
        let Ok(law) = Normal::new(mean, error) else {
            return Vec::new();
        };
        law.sample_iter(rng).take(self.resamples).collect()
    }

    /// The order statistics of a resample without drawing it: those of uniform numbers are of a beta law, and the resample's
    /// are the values at those places. Exact, and independent of how many values there are.
    fn of_percentile(&self, sorted: &[f64], share: f64, rng: &mut impl Rng) -> Vec<f64> {
        let size = sorted.len();
        let (at, part) = stats::place(size, share);
        let below = count(at + 1);
        let above = count(size.saturating_sub(at + 1));
        let Ok(law) = Beta::new(below, above + 1.0) else {
            return Vec::new();
        };
        let mut one = || {
            let first = law.sample(rng);
            let low = value_at(sorted, first);
            if above < 1.0 || part <= 0.0 {
                return low;
            }
            let gap: f64 = 1.0 - rng.random::<f64>().powf(1.0 / above);
            let high = value_at(sorted, first + (1.0 - first) * gap);
            low + (high - low) * part
        };
        (0..self.resamples).map(|_| one()).collect()
    }

    fn of_runs(&self, runs: &[&[f64]], stat: Stat, rng: &mut impl Rng) -> Vec<f64> {
        let mut drawn = Vec::with_capacity(runs.iter().map(|run| run.len()).sum());
        let mut one = || {
            drawn.clear();
            for _ in runs {
                let Some(run) = runs.get(rng.random_range(0..runs.len())) else {
                    continue;
                };
                let picked = (0..run.len()).filter_map(|_| run.get(rng.random_range(0..run.len())));
                drawn.extend(picked);
            }
            statistic(&mut drawn, stat)
        };
        (0..self.resamples).filter_map(|_| one()).collect()
    }

    /// The same without drawing each response, for runs long enough.
    fn of_long_runs(&self, runs: &[&[f64]], stat: Stat, rng: &mut impl Rng) -> Vec<f64> {
        let Some(long) = LongRuns::new(runs) else {
            return Vec::new();
        };
        let mut one = || {
            let picked: Vec<usize> = runs
                .iter()
                .map(|_| rng.random_range(0..runs.len()))
                .collect();
            match stats::share(stat) {
                Some(share) => long.percentile(&picked, share, rng),
                None => long.mean(&picked, rng),
            }
        };
        (0..self.resamples).filter_map(|_| one()).collect()
    }

    /// The interval around `middle` of values that stem from `fewest` responses: the shares of its ends are those of Student's
    /// law, and wider by what a sample of n lacks in variance, √(n/(n−1)) (Hesterberg, 2015).
    pub(super) fn interval(&self, mut replicates: Vec<f64>, fewest: usize) -> Option<Interval> {
        let df = count(fewest.saturating_sub(1).max(1));
        let wider = (count(fewest) / df).sqrt();
        let tail = normal_cdf(-wider * student_quantile(self.upper(), df));
        ends(&mut replicates, tail)
    }

    /// The interval of values that were resampled by runs. The runs' own spread is known from very few of them: each end is
    /// as much further from `middle` as Student's law with n₁ + n₂ − 2 degrees is wider than the normal one, and √(n/(n−1)).
    pub(super) fn interval_by_runs(
        &self,
        mut replicates: Vec<f64>,
        middle: f64,
        (first, second): (usize, usize),
    ) -> Option<Interval> {
        let df = count((first + second).saturating_sub(2).max(1));
        let few = count(first.min(second).max(2));
        let wider = (few / (few - 1.0)).sqrt() * student_quantile(self.upper(), df)
            / normal_quantile(self.upper());
        let plain = ends(&mut replicates, 1.0 - self.upper())?;
        Some(plain.stretched(middle, wider))
    }

    /// The same of the logarithms of ratios, as shares of the first value: no stretched end is a fall by more than everything.
    /// None where a ratio is not positive.
    pub(super) fn interval_of_ratios_by_runs(
        &self,
        ratios: &[f64],
        middle: f64,
        runs: (usize, usize),
    ) -> Option<Interval> {
        let logarithms: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
        let is_finite = logarithms.iter().all(|it| it.is_finite()) && middle > 0.0;
        let interval = self.interval_by_runs(logarithms, middle.ln(), runs);
        interval.filter(|_| is_finite).map(Interval::of_shares)
    }

    /// The share below an interval's upper end.
    pub(super) fn upper(&self) -> f64 {
        f64::midpoint(1.0, self.confidence)
    }
}

/// Runs with many responses each, and what is known of them beforehand.
struct LongRuns {
    sorted: Vec<Vec<f64>>,
    /// All responses of all runs.
    pooled: Vec<f64>,
    /// Of each run its size, its mean and the standard error of that.
    means: Vec<(f64, f64, f64)>,
}

impl LongRuns {
    fn new(runs: &[&[f64]]) -> Option<Self> {
        let of = |run: &&[f64]| {
            let size = count(run.len());
            let error = stats::deviation(run).unwrap_or_default() / size.sqrt();
            Some((size, stats::mean(run)?, error))
        };
        let ordered = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values
        };
        Some(Self {
            means: runs.iter().map(of).collect::<Option<_>>()?,
            sorted: runs.iter().map(|run| ordered(run.to_vec())).collect(),
            pooled: ordered(runs.concat()),
        })
    }

    /// The mean of responses drawn from each of the `picked` runs: each run's has a normal law.
    fn mean(&self, picked: &[usize], rng: &mut impl Rng) -> Option<f64> {
        let (mut sum, mut all) = (0.0, 0.0);
        for at in picked {
            let (size, mean, error) = *self.means.get(*at)?;
            sum += size * Normal::new(mean, error).ok()?.sample(rng);
            all += size;
        }
        Some(sum / all)
    }

    /// The percentile of responses drawn from each of the `picked` runs. The share of them below the runs' own percentile has
    /// the variance Σ nᵢ Fᵢ(1 − Fᵢ) / n², Fᵢ of each run's responses lying below that; a beta law with this variance stands
    /// for it, as the exact one is of one run.
    fn percentile(&self, picked: &[usize], share: f64, rng: &mut impl Rng) -> Option<f64> {
        let runs: Vec<&Vec<f64>> = picked
            .iter()
            .filter_map(|at| self.sorted.get(*at))
            .collect();
        let size = count(runs.iter().map(|run| run.len()).sum());
        let own = self.value_at(&runs, share * size)?;
        let spread = |run: &&Vec<f64>| {
            let below = count(run.partition_point(|value| *value <= own)) / count(run.len());
            count(run.len()) * below * (1.0 - below)
        };
        let variance = runs.iter().map(spread).sum::<f64>() / (size * size);
        let like = share * (1.0 - share) / variance;
        let law = Beta::new(share * like, (1.0 - share) * like);
        // Without a variance every draw gives the runs' own percentile.
        let drawn = law.map_or(share, |law| law.sample(rng));
        self.value_at(&runs, drawn * size)
    }

    /// The smallest response that has at least `rank` of those of `runs` at or below itself.
    fn value_at(&self, runs: &[&Vec<f64>], rank: f64) -> Option<f64> {
        let is_below = |value: &f64| {
            let those = |run: &&Vec<f64>| run.partition_point(|it| it <= value);
            count(runs.iter().map(those).sum()) < rank
        };
        let at = self.pooled.partition_point(is_below);
        self.pooled.get(at).or(self.pooled.last()).copied()
    }
}

fn ends(replicates: &mut [f64], tail: f64) -> Option<Interval> {
    replicates.sort_by(f64::total_cmp);
    Some(Interval {
        low: stats::quantile(replicates, tail)?,
        high: stats::quantile(replicates, 1.0 - tail)?,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index within the list"
)]
fn value_at(sorted: &[f64], uniform: f64) -> f64 {
    let at = (uniform * count(sorted.len())) as usize;
    let value = sorted.get(at.min(sorted.len().saturating_sub(1)));
    value.copied().unwrap_or(f64::NAN)
}

/// Of values whose order does not matter any more.
fn statistic(values: &mut [f64], stat: Stat) -> Option<f64> {
    let Some(share) = stats::share(stat) else {
        return stats::mean(values);
    };
    let (at, part) = stats::place(values.len(), share);
    if values.is_empty() {
        return None;
    }
    let (_, low, above) = values.select_nth_unstable_by(at, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().reduce(f64::min).unwrap_or(low);
    Some(low + (high - low) * part)
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;
