//! Exact statistics of a list of values, as pandas computes them. It resamples nothing.

use super::Stat;

/// The statistic of `values`; none where there are too few of them.
pub(super) fn stat(values: &[f64], stat: Stat) -> Option<f64> {
    match stat {
        Stat::Mean => mean(values),
        Stat::Min => values.iter().copied().reduce(f64::min),
        Stat::Max => values.iter().copied().reduce(f64::max),
        Stat::StdDev => deviation(values),
        Stat::Median | Stat::P95 => {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            quantile(&sorted, share(stat)?)
        }
    }
}

/// Of the two percentiles.
pub(super) const fn share(stat: Stat) -> Option<f64> {
    match stat {
        Stat::Median => Some(0.5),
        Stat::P95 => Some(0.95),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "no list is that long")]
pub(super) const fn count(n: usize) -> f64 {
    n as f64
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values.len()))
}

/// The sample's, with n − 1; none below two values.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / count(values.len() - 1)).sqrt())
}

/// The value at the share `q` of sorted values, interpolated linearly between neighbours.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let (at, part) = place(sorted.len(), q);
    let low = *sorted.get(at)?;
    let high = sorted.get(at + 1).copied().unwrap_or(low);
    Some(low + (high - low) * part)
}

/// Where the share `q` of `n` values lies: an index, and how far to the next.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index within the list"
)]
pub(super) fn place(n: usize, q: f64) -> (usize, f64) {
    let at = count(n.saturating_sub(1)) * q;
    (at as usize, at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_pandas() {
        let values = [3.0, 1.0, 4.0, 1.5, 9.0];
        let got = Stat::ALL.map(|it| stat(&values, it).unwrap());
        let want = [3.7, 3.0, 1.0, 9.0, 8.0, 3.193_743_885];
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-8, "{got} {want}");
        }
    }

    #[test]
    fn what_has_no_values_has_no_statistic() {
        assert!(Stat::ALL.iter().all(|it| stat(&[], *it).is_none()));
        assert_eq!(stat(&[2.0], Stat::StdDev), None);
        assert_eq!(stat(&[2.0], Stat::P95), Some(2.0));
    }
}
