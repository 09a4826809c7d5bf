//! Numbers as the tools that read our files expect them: milliseconds or things, shortest form, Python's words.
//! It knows no metric by name.

use crate::metrics::{COUNT_SCALE, Series};

/// Nanoseconds as milliseconds; scaled counts as things.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ns are 104 days, and a time is shown with its 17 best digits"
)]
pub(crate) fn shown(value: u64) -> f64 {
    value as f64 / COUNT_SCALE as f64
}

/// The same without its fraction, as integer columns show it.
pub(crate) const fn whole(value: u64) -> u64 {
    value / COUNT_SCALE
}

/// The exact mean in milliseconds or things.
pub(crate) fn mean(series: &Series) -> Option<f64> {
    series.mean().map(|mean| mean / shown_unit())
}

#[expect(clippy::cast_precision_loss, reason = "a million is exact")]
const fn shown_unit() -> f64 {
    COUNT_SCALE as f64
}

/// A percentile in milliseconds or things: four digits, for the histogram's buckets are up to 0.1% wide.
///
/// The exact minimum and maximum are given whole, so that 100% equals the maximum to the last digit.
pub(crate) fn percentile(series: &Series, q: f64) -> Option<f64> {
    let (value, min, max) = (series.percentile(q)?, series.min()?, series.max()?);
    if value == min || value == max {
        return Some(shown(value));
    }
    Some(four_digits(shown(value)).clamp(shown(min), shown(max)))
}

/// `value` rounded to four significant digits.
pub(crate) fn four_digits(value: f64) -> f64 {
    // Through text, so that 0.1234 is the double that is written 0.1234.
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// A float as Python's `repr` writes it: `64.0`, `0.0001`, `1e-05`, `1e+16`.
pub(crate) fn python_float(value: f64) -> String {
    let text = format!("{value:e}");
    let parts = text
        .split_once('e')
        .and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?)));
    match parts {
        Some((digits, exponent)) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}

/// The shortest decimal that reads back as `value`, whole numbers without a point.
pub(crate) fn plain(value: f64) -> String {
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (value, want) in [
            (64.0, "64.0"),
            (109.193_244_249_968_3, "109.1932442499683"),
            (0.0, "0.0"),
            (0.0001, "0.0001"),
            (0.000_05, "5e-05"),
            (1.25e-7, "1.25e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(python_float(value), want);
        }
    }

    #[test]
    fn percentiles_keep_four_digits_and_the_extremes_are_exact() {
        let mut series = Series::default();
        for value in [1_234_567, 777_777_777, 987_654_321] {
            series.record(value);
        }
        assert_eq!(percentile(&series, 0.1), Some(1.235));
        assert_eq!(percentile(&series, 1.0), Some(987.654_321));
        let middle = percentile(&series, 0.5).map(plain);
        assert_eq!(middle.as_deref(), Some("778"));
        assert_eq!(percentile(&Series::default(), 0.5), None);
    }

    #[test]
    fn times_below_ten_milliseconds_do_not_become_zero() {
        assert_eq!(plain(four_digits(0.012_345_6)), "0.01235");
        assert_eq!(plain(four_digits(12.0)), "12");
    }
}
