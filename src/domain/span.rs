//! Spans of time as people write them: `300`, `20s`, `5min`, `1h20m`, `500ms`, `1.5h`, `1d`.

use std::fmt::Write;
use std::time::Duration;

use fundu::{CustomDurationParser, CustomTimeUnit, TimeUnit};

/// A span that cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{0}` is not a span of time (like 300, 20s, 5min, 1h20m, 500ms, 1.5h; at most ten years)")]
pub struct SpanError(String);

/// Ten years.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

const UNITS: [CustomTimeUnit<'static>; 6] = [
    CustomTimeUnit::with_default(TimeUnit::NanoSecond, &["ns"]),
    CustomTimeUnit::with_default(TimeUnit::MilliSecond, &["ms", "msec"]),
    CustomTimeUnit::with_default(TimeUnit::Second, &["s", "sec", "secs", "second", "seconds"]),
    CustomTimeUnit::with_default(TimeUnit::Minute, &["m", "min", "mins", "minute", "minutes"]),
    CustomTimeUnit::with_default(TimeUnit::Hour, &["h", "hr", "hour", "hours"]),
    CustomTimeUnit::with_default(TimeUnit::Day, &["d", "day", "days"]),
];

/// Reads a span; a number alone is seconds.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let parser = CustomDurationParser::builder()
        .time_units(&UNITS)
        .parse_multiple(None)
        .disable_exponent()
        .disable_infinity()
        .build();
    let wrong = || SpanError(text.to_owned());
    let span = parser.parse(text.trim()).map_err(|_| wrong())?;
    let span = Duration::try_from(span).map_err(|_| wrong())?;
    // Sums of spans, and multiples that are drawn, stay within what a run's clock can say.
    if span > LONGEST {
        Err(wrong())
    } else {
        Ok(span)
    }
}

/// Writes a span as short as it can be read back: `1h20m`, `500ms`, `90s` as `1m30s`.
pub fn format_span(span: Duration) -> String {
    let millis = span.as_millis();
    if millis == 0 {
        return if span.is_zero() {
            "0s".to_owned()
        } else {
            format!("{}ns", span.as_nanos())
        };
    }
    let parts = [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut rest = millis;
    let mut text = String::new();
    for (size, unit) in parts {
        if rest >= size {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        let read = |text| parse_span(text).map(|span| span.as_millis());
        for (text, millis) in [
            ("300", 300_000),
            ("20s", 20_000),
            ("3m", 180_000),
            ("2h", 7_200_000),
            ("1h20m", 4_800_000),
            ("3h30m10s", 12_610_000),
            ("1min", 60_000),
            ("5min", 300_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("1d", 86_400_000),
            (" 0.5 ", 500),
        ] {
            assert_eq!(read(text), Ok(millis), "{text}");
        }
        for text in ["", "x", "5 parsecs", "-3s", "1e3", "s", "5x", "1h 20q"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        for millis in [0, 1, 999, 1_000, 61_500, 4_800_000, 90_061_001] {
            let span = Duration::from_millis(millis);
            assert_eq!(parse_span(&format_span(span)), Ok(span));
        }
    }
}
