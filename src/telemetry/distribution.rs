//! From a series' buckets, each at most 0.1% of its value wide, to the buckets of other systems.
//!
//! All of a series' bucket goes to where its upper end lies, which is what the report's percentiles say: the bucket that holds a
//! percentile here is the one that the report's figure lies in. A time at a bound, or less than 0.1% below it, may so be counted
//! above it; things and percents are whole as a rule, and counted where they belong.

use super::histograms::Scale;
use crate::metrics::{Bucket, COUNT_SCALE, Series};

/// Buckets of a native histogram from one power of two to the next, as a power of two: each is 2^(1/64), or 1.1%, wide.
pub(super) const SCHEMA: i32 = 6;
const PER_OCTAVE: f64 = 64.0;

/// A distribution as monitoring systems have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Their exact sum, in the unit shown.
    pub sum: f64,
    /// Upper bounds, rising, each with the values up to it. The values above the last one are in `count` alone.
    pub classic: Vec<(f64, u64)>,
    /// The same values in narrow buckets.
    pub native: Native,
}

/// Values in exponential buckets: number `i` holds those above 2^((i-1)/64) up to 2^(i/64).
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    /// The zero bucket holds values up to this.
    pub zero_threshold: f64,
    /// How many.
    pub zero_count: u64,
    /// Buckets that hold values, by rising number.
    pub buckets: Vec<(i32, u64)>,
}

impl Distribution {
    /// That of a series, or of nothing.
    pub(super) fn new(series: Option<&Series>, scale: Scale) -> Self {
        let filled = series.map(Series::buckets).unwrap_or_default();
        let upper = |bucket: &Bucket| shown(bucket, scale);
        Self {
            count: series.map_or(0, Series::count),
            sum: series.map_or(0.0, |series| wide(series.sum()) / scale.divisor()),
            classic: classic(filled.iter().map(|one| (upper(one), one.count)), scale),
            native: native(filled.iter().map(|one| (upper(one), one.count)), scale),
        }
    }
}

/// What stands for the values of a bucket: its upper end, or the most whole things, or percents, that there can be in it.
fn shown(bucket: &Bucket, scale: Scale) -> f64 {
    let whole = bucket.high - bucket.high % COUNT_SCALE;
    let is_whole = scale != Scale::Time && whole >= bucket.low;
    exact(if is_whole { whole } else { bucket.high }) / scale.divisor()
}

fn classic(filled: impl Iterator<Item = (f64, u64)>, scale: Scale) -> Vec<(f64, u64)> {
    let mut filled = filled.peekable();
    let mut passed = 0_u64;
    let up_to = |&bound: &f64| {
        while let Some((_, count)) = filled.next_if(|&(value, _)| value <= bound) {
            passed = passed.saturating_add(count);
        }
        (bound, passed)
    };
    scale.bounds().iter().map(up_to).collect()
}

fn native(filled: impl Iterator<Item = (f64, u64)>, scale: Scale) -> Native {
    let zero_threshold = scale.zero_threshold();
    let (mut zero_count, mut buckets) = (0_u64, Vec::<(i32, u64)>::new());
    for (value, count) in filled {
        if value <= zero_threshold {
            zero_count = zero_count.saturating_add(count);
            continue;
        }
        let number = number_of(value);
        match buckets.last_mut() {
            Some((last, sum)) if *last == number => *sum = sum.saturating_add(count),
            _ => buckets.push((number, count)),
        }
    }
    Native {
        zero_threshold,
        zero_count,
        buckets,
    }
}

/// The number of the exponential bucket that holds `value`, which is above zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a logarithm of a number is small"
)]
fn number_of(value: f64) -> i32 {
    let near = (value.log2() * PER_OCTAVE).ceil() as i32;
    // A logarithm is rounded, and a bound belongs to the bucket below it.
    if value > bound_of(near) {
        near + 1
    } else if value <= bound_of(near - 1) {
        near - 1
    } else {
        near
    }
}

/// The upper bound of an exponential bucket.
pub(super) fn bound_of(number: i32) -> f64 {
    (f64::from(number) / PER_OCTAVE).exp2()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a day of nanoseconds is below 2^53"
)]
const fn exact(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum is shown with at most 17 digits"
)]
const fn wide(value: u128) -> f64 {
    value as f64
}

#[cfg(test)]
#[path = "distribution_tests.rs"]
mod tests;
