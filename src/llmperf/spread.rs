//! The distribution of one figure by exact values, with pandas' arithmetic: linear interpolation, the sample's deviation.

use serde_json::{Number, Value};

/// The quantiles of a summary, by name.
pub(super) const QUANTILES: [(&str, f64); 6] = [
    ("p25", 0.25),
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
];

/// A distribution. What too few values leave undefined is `null`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spread {
    /// In the order of [`QUANTILES`].
    pub(super) quantiles: [Value; 6],
    pub(super) mean: Value,
    /// A whole number where the figure is a count.
    pub(super) min: Value,
    /// Likewise.
    pub(super) max: Value,
    pub(super) stddev: Value,
}

impl Spread {
    /// The distribution of `values`, in any order; of counts if `is_count`.
    pub(super) fn of(mut values: Vec<f64>, is_count: bool) -> Self {
        values.sort_by(f64::total_cmp);
        let extreme = |value: Option<&f64>| match value {
            Some(value) if is_count => whole(*value),
            Some(value) => Value::from(*value),
            None => Value::Null,
        };
        Self {
            quantiles: QUANTILES.map(|(_, q)| shown(quantile(&values, q))),
            mean: shown(mean(&values)),
            min: extreme(values.first()),
            max: extreme(values.last()),
            stddev: shown(deviation(&values)),
        }
    }

    /// Mean, minimum, maximum and deviation, by the names that llmperf gives them, in its order.
    pub(super) fn singles(&self) -> [(&'static str, &Value); 4] {
        [
            ("mean", &self.mean),
            ("min", &self.min),
            ("max", &self.max),
            ("stddev", &self.stddev),
        ]
    }
}

fn shown(value: Option<f64>) -> Value {
    value.map_or(Value::Null, Value::from)
}

/// A count without a point.
fn whole(value: f64) -> Value {
    let number: Option<Number> = format!("{value:.0}").parse().ok();
    number.map_or(Value::Null, Value::Number)
}

/// How many, as the divisor that it is.
pub(super) fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::from(u32::MAX), f64::from)
}

/// The quantile `q` of `sorted`: between the two values around the place `q · (n - 1)`, linearly. From the nearer one, as
/// numpy does it, so that the last digit is the same too.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q * count(last);
    let below = floor(place).min(last);
    let (low, high) = (*sorted.get(below)?, *sorted.get((below + 1).min(last))?);
    let share = place - count(below);
    Some(if share >= 0.5 {
        high - (high - low) * (1.0 - share)
    } else {
        low + (high - low) * share
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a list, never negative"
)]
fn floor(place: f64) -> usize {
    place as usize
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values.len()))
}

/// With n - 1; none of fewer than two values.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / count(values.len() - 1)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fifty-two numbers, of which those at the places that decide are chosen.
    fn fifty_two() -> Vec<f64> {
        let known = [
            (0, 33.0),
            (12, 84.0),
            (13, 84.0),
            (25, 103.0),
            (26, 103.0),
            (38, 133.0),
            (39, 133.0),
            (45, 164.0),
            (46, 176.0),
            (48, 187.0),
            (49, 198.0),
            (50, 199.0),
            (51, 236.0),
        ];
        (0..52)
            .map(|at| {
                let next = known.iter().find(|(place, _)| *place >= at);
                next.map_or(236.0, |(_, value)| *value)
            })
            .collect()
    }

    #[test]
    fn quantiles_are_those_that_pandas_prints_to_the_last_digit() {
        let spread = Spread::of(fifty_two(), true);
        let printed: Vec<String> = spread.quantiles.iter().map(Value::to_string).collect();
        assert_eq!(
            printed,
            [
                "84.0",
                "103.0",
                "133.0",
                "174.79999999999998",
                "191.94999999999996",
                "217.13000000000008"
            ]
        );
        assert_eq!((&spread.min, &spread.max), (&33.into(), &236.into()));
    }

    #[test]
    fn the_order_of_the_values_does_not_matter() {
        let mut values = fifty_two();
        values.reverse();
        assert_eq!(Spread::of(values, true), Spread::of(fifty_two(), true));
    }

    #[test]
    fn times_keep_their_point_and_counts_have_none() {
        let times = Spread::of(vec![2.0, 1.0], false);
        assert_eq!(
            (times.min.to_string(), times.max.to_string()),
            ("1.0".into(), "2.0".into())
        );
        assert_eq!(times.stddev, Value::from(0.5_f64.sqrt()));
        let counts = Spread::of(vec![2.0, 1.0], true);
        assert_eq!(counts.min.to_string(), "1");
    }

    #[test]
    fn one_value_has_no_deviation_and_none_has_nothing() {
        let one = Spread::of(vec![3.5], false);
        assert_eq!(one.quantiles[5], Value::from(3.5));
        assert_eq!((&one.mean, &one.stddev), (&Value::from(3.5), &Value::Null));
        let none = Spread::of(Vec::new(), true);
        assert!(none.quantiles.iter().all(Value::is_null));
        assert!(none.singles().iter().all(|(_, value)| value.is_null()));
    }
}
