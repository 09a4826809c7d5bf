//! Figures as people read them at a glance: few digits, and a unit that fits. Files and tables have the exact ones.

use std::time::Duration;

use crate::metrics::Series;

/// What stands where nothing is known.
pub(super) const NOTHING: &str = "–";

/// A count, its thousands set apart.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: three digits, and all those before the point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates; no rate is below 0"
)]
pub(super) fn rate(per_s: f64) -> String {
    match per_s {
        rate if rate.is_nan() => NOTHING.to_owned(),
        rate if rate >= 99.95 => count(rate.round() as u64),
        rate if rate >= 9.995 => format!("{rate:.1}"),
        rate => format!("{rate:.2}"),
    }
}

/// A time of `nanos` nanoseconds, in the unit that leaves at most four digits before the point.
pub(super) fn time(nanos: u64) -> String {
    let value = exact(nanos);
    match nanos {
        0 => "0 ms".to_owned(),
        1..999_500 => format!("{:.0} µs", value / 1e3),
        999_500..9_995_000 => format!("{:.2} ms", value / 1e6),
        9_995_000..99_950_000 => format!("{:.1} ms", value / 1e6),
        99_950_000..999_500_000 => format!("{:.0} ms", value / 1e6),
        999_500_000..99_950_000_000 => format!("{:.2} s", value / 1e9),
        _ => format!("{:.0} s", value / 1e9),
    }
}

/// A percentile of a series of times. Like in the tables, `~` says that few values are beyond it.
pub(super) fn percentile(series: Option<&Series>, q: f64) -> String {
    let known = series.and_then(|series| Some((series.percentile(q)?, series.supports(q))));
    match known {
        Some((nanos, true)) => time(nanos),
        Some((nanos, false)) => format!("~{}", time(nanos)),
        None => NOTHING.to_owned(),
    }
}

/// The greatest value of a series of times.
pub(super) fn greatest(series: Option<&Series>) -> String {
    let known = series.and_then(Series::max);
    known.map_or_else(|| NOTHING.to_owned(), time)
}

/// A share of 1, in percent.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 9.95 {
        format!("{percent:.0}%")
    } else if percent < 0.01 {
        "<0.01%".to_owned()
    } else {
        format!("{percent:.2}%")
    }
}

/// A span in whole seconds: `42 s`, `3:07`, `2:00:07`.
pub(super) fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes}:{rest:02}"),
        _ => format!("{hours}:{minutes:02}:{rest:02}"),
    }
}

/// So many of something.
pub(super) fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and times of a run are far below 2^53"
)]
pub(super) const fn exact(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_a_unit_that_fits() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        let rates = [0.0, 0.126, 9.994, 9.996, 99.94, 99.96, 12_345.6].map(rate);
        assert_eq!(
            rates,
            ["0.00", "0.13", "9.99", "10.0", "99.9", "100", "12,346"]
        );
        let times = [
            0,
            1,
            999_499,
            999_500,
            9_995_000,
            99_950_000,
            999_500_000,
            99_950_000_000,
            7_200_000_000_000,
        ];
        let words = [
            "0 ms", "0 µs", "999 µs", "1.00 ms", "10.0 ms", "100 ms", "1.00 s", "100 s", "7200 s",
        ];
        assert_eq!(times.map(time), words);
        let shares = [0.0, 0.000_01, 0.0123, 0.5, 1.0].map(percent);
        assert_eq!(shares, ["0%", "<0.01%", "1.23%", "50%", "100%"]);
        let spans = [7, 187, 7_207].map(|s| clock(Duration::from_secs(s)));
        assert_eq!(spans, ["7 s", "3:07", "2:00:07"]);
        assert_eq!(
            (rate(f64::NAN), counted(1, "worker")),
            (NOTHING.to_owned(), "1 worker".to_owned())
        );
    }

    #[test]
    fn a_percentile_of_few_values_is_doubted() {
        let mut series = Series::default();
        assert_eq!(
            (percentile(None, 0.5), greatest(Some(&series))),
            (NOTHING.to_owned(), NOTHING.to_owned())
        );
        series.record_n(52_000_000, 10);
        assert_eq!(percentile(Some(&series), 0.99).chars().next(), Some('~'));
        series.record_n(52_000_000, 10_000);
        assert_eq!(percentile(Some(&series), 0.99).chars().next(), Some('5'));
    }
}
