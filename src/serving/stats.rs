//! The statistics of the files: numpy's percentiles, deviations and fitted lines. It knows nothing of what the values are.

/// A count as the divisor that it is.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 tokens are more than any suite has"
)]
pub(super) const fn quantity(count: u64) -> f64 {
    count as f64
}

/// How many, as the divisor that it is.
pub(super) fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::from(u32::MAX), f64::from)
}

/// A whole number below it as a count; 0 for what is no count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float to integer saturates, and is wanted to"
)]
pub(super) const fn whole(value: f64) -> u64 {
    value as u64
}

/// `above / below`; 0 where that is no number, so that no file can hold anything else.
pub(super) fn ratio(above: f64, below: f64) -> f64 {
    let value = above / below;
    if below > 0.0 && value.is_finite() {
        value
    } else {
        0.0
    }
}

/// The mean; 0 of nothing.
pub(super) fn mean(values: &[f64]) -> f64 {
    ratio(values.iter().sum(), count(values.len()))
}

/// The values in order.
pub(super) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The percentile `p` (0 to 100) of `sorted`: between the two values around the place p/100 · (n − 1), linearly, from the
/// nearer one, as numpy does it. None of nothing.
pub(super) fn percentile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = p / 100.0 * count(last);
    let below = usize::try_from(whole(place)).unwrap_or(last).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    let part = place - place.floor();
    Some(if part < 0.5 {
        low + (high - low) * part
    } else {
        high - (high - low) * (1.0 - part)
    })
}

/// The median of values in any order; none of nothing.
pub(super) fn median(values: Vec<f64>) -> Option<f64> {
    percentile(&sorted(values), 50.0)
}

/// The standard deviation of a sample, divided by n − 1; 0 of fewer than two values.
pub(super) fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    ratio(squares, count(values.len()) - 1.0).sqrt()
}

/// A straight line y = slope · x + intercept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

impl Line {
    /// The line that is nearest to the points by least squares; none where they do not name one: fewer than two, or all at
    /// one place. Reckoned around the means, so that large x cost no digits.
    pub(super) fn through(points: &[(f64, f64)]) -> Option<Self> {
        let of = |pick: fn(&(f64, f64)) -> f64| mean(&points.iter().map(pick).collect::<Vec<_>>());
        let (x, y) = (of(|point| point.0), of(|point| point.1));
        let across: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let along: f64 = points
            .iter()
            .map(|point| (point.0 - x) * (point.1 - y))
            .sum();
        let slope = along / across;
        (across > 0.0 && slope.is_finite()).then_some(Self {
            slope,
            intercept: y - slope * x,
        })
    }

    /// Its value there.
    pub(super) fn at(self, x: f64) -> f64 {
        self.slope * x + self.intercept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_are_numpys() {
        let values = sorted(vec![10.0, 2.0, 4.0, 1.0]);
        for (p, wanted) in [
            (0.0, 1.0),
            (25.0, 1.75),
            (50.0, 3.0),
            (75.0, 5.5),
            (90.0, 8.2),
            (99.0, 9.82),
            (100.0, 10.0),
        ] {
            let found = percentile(&values, p).unwrap();
            assert!((found - wanted).abs() < 1e-12, "{p}: {found}");
        }
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(percentile(&[7.0], 99.0), Some(7.0));
    }

    #[test]
    fn a_deviation_is_of_a_sample_and_nothing_has_none() {
        assert!((deviation(&[1.0, 2.0, 3.0, 4.0]) - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(deviation(&[5.0]).abs() < 1e-12);
        assert!(mean(&[]).abs() < 1e-12);
    }

    #[test]
    fn a_line_needs_two_places() {
        let line = Line::through(&[(1.0, 3.0), (2.0, 5.0), (4.0, 9.0)]).unwrap();
        assert!((line.slope - 2.0).abs() < 1e-12 && (line.intercept - 1.0).abs() < 1e-12);
        assert!((line.at(10.0) - 21.0).abs() < 1e-12);
        assert_eq!(Line::through(&[(1.0, 3.0), (1.0, 5.0)]), None);
        assert_eq!(Line::through(&[]), None);
    }

    proptest! {
        #[test]
        fn a_percentile_lies_between_the_values_of_its_ranks(
            values in prop::collection::vec(-1e6_f64..1e6, 1..60), p in 0.0_f64..=100.0,
        ) {
            let values = sorted(values);
            let found = percentile(&values, p).unwrap();
            // By the definition: of the n - 1 gaps, p percent lie before it.
            let place = p / 100.0 * count(values.len() - 1);
            let (mut passed, mut wanted) = (0.0, values[0]);
            for pair in values.windows(2) {
                let part = (place - passed).clamp(0.0, 1.0);
                wanted += (pair[1] - pair[0]) * part;
                passed += 1.0;
            }
            prop_assert!((found - wanted).abs() <= 1e-6, "{found} {wanted}");
        }

        #[test]
        fn a_fitted_line_is_the_one_the_points_lie_on(slope in -5.0_f64..5.0, intercept in -9.0_f64..9.0, n in 2_u32..40) {
            let points: Vec<(f64, f64)> = (0..n)
                .map(|x| (f64::from(x), slope * f64::from(x) + intercept))
                .collect();
            let line = Line::through(&points).unwrap();
            prop_assert!((line.slope - slope).abs() < 1e-9 && (line.intercept - intercept).abs() < 1e-9);
        }
    }
}
