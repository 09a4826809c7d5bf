//! The log of `HdrHistogram` (version 1.3 of the format): a line an interval and metric, each a compressed histogram under its tag.
//! It writes lines; it reads none, and records no value.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::domain::Offset;
use crate::metrics::{COUNT_SCALE, Metric, Phase, Series, Tally};

/// What a compressed histogram begins with.
const COOKIE: u32 = 0x1c84_9314;
/// What stands before the tags of requests that were sent before the measured window.
const BEFORE: &str = "before_window_";

/// The lines that a log begins with. Where the time of day is unknown, times are since the run's start.
///
/// # Errors
///
/// When `into` cannot be written.
pub fn header(
    into: &mut dyn Write,
    version: &str,
    started_at: Option<OffsetDateTime>,
) -> io::Result<()> {
    writeln!(into, "#[Logged with llmload {version}]")?;
    writeln!(into, "#[Histogram log format version 1.3]")?;
    writeln!(
        into,
        "#[Values are nanoseconds; of tokens and percents, millionths: a million is 1 ms, one token, 1%]"
    )?;
    if let Some(at) = started_at {
        let nanos = at.unix_timestamp_nanos();
        let (seconds, millis) = (nanos.div_euclid(1_000_000_000), at.millisecond());
        // A year beyond 9999 is the only thing that the format cannot hold.
        let words = at.format(&Rfc2822).unwrap_or_default();
        let since = "(seconds since epoch)";
        writeln!(into, "#[BaseTime: {seconds}.{millis:03} {since}]")?;
        writeln!(into, "#[StartTime: {seconds}.{millis:03} {since}, {words}]")?;
    }
    writeln!(
        into,
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
    )
}

/// The lines of what was merged between two times of the run. Returns how many there are.
///
/// # Errors
///
/// When `into` cannot be written.
pub fn interval(into: &mut dyn Write, tally: &Tally, from: Offset, to: Offset) -> io::Result<u64> {
    let before = lines(into, &tally.warmup, BEFORE, from, to)?;
    Ok(before + lines(into, &tally.measured, "", from, to)?)
}

fn lines(
    into: &mut dyn Write,
    phase: &Phase,
    prefix: &str,
    from: Offset,
    to: Offset,
) -> io::Result<u64> {
    let mut written = 0;
    let span = Offset::from_nanos(to.nanos_since(from));
    for metric in Metric::ALL {
        let Some(series) = phase.get(metric).filter(|series| !series.is_empty()) else {
            continue;
        };
        writeln!(
            into,
            "Tag={prefix}{},{:.3},{:.3},{:.6},{}",
            metric.name(),
            from.as_secs_f64(),
            span.as_secs_f64(),
            highest(series),
            compressed(series)?,
        )?;
        written += 1;
    }
    Ok(written)
}

/// The exact maximum in milliseconds or things.
#[expect(clippy::cast_precision_loss, reason = "it is shown with six digits")]
fn highest(series: &Series) -> f64 {
    series.max().unwrap_or(0) as f64 / COUNT_SCALE as f64
}

/// The histogram in the V2 format, compressed, in base 64.
fn compressed(series: &Series) -> io::Result<String> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&series.to_v2())?;
    let packed = packed.finish()?;
    let length = u32::try_from(packed.len()).map_err(io::Error::other)?;
    let mut bytes = COOKIE.to_be_bytes().to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.extend(packed);
    Ok(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::metrics::{Rules, Window};
    use crate::report::sample;

    /// Histograms by tag, of all intervals together, and how many lines there were, as the crate reads them.
    fn read(log: &[u8]) -> (BTreeMap<String, Histogram<u64>>, usize) {
        let (mut found, mut lines) = (BTreeMap::new(), 0);
        for entry in IntervalLogIterator::new(log) {
            let LogEntry::Interval(line) = entry.unwrap() else {
                continue;
            };
            let bytes = STANDARD.decode(line.encoded_histogram()).unwrap();
            let one: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            let tag = line.tag().unwrap().as_str().to_owned();
            let whole = found
                .entry(tag)
                .or_insert_with(|| Histogram::new_from(&one));
            whole.add(&one).unwrap();
            lines += 1;
        }
        (found, lines)
    }

    fn log(tallies: &[Tally]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let started = Some(datetime!(2026-01-02 03:04:05.678 UTC));
        header(&mut bytes, "0.1.0", started).unwrap();
        for (second, tally) in (0_u64..).zip(tallies) {
            let at = |second: u64| Offset::from_nanos(second * 1_000_000_000);
            interval(&mut bytes, tally, at(second), at(second + 1)).unwrap();
        }
        bytes
    }

    proptest! {
        #[test]
        fn the_intervals_of_a_tag_add_up_to_all_values(seconds in prop::collection::vec(
            prop::collection::vec(1_000_u64..86_400_000_000_000, 0..20), 1..4)) {
            let mut whole = Series::default();
            let tallies: Vec<_> = seconds.iter().map(|values| {
                let mut tally = Tally::default();
                let series = tally.measured.series.entry(Metric::Latency).or_default();
                for value in values {
                    series.record(*value);
                    whole.record(*value);
                }
                tally
            }).collect();
            let (found, lines) = read(&log(&tallies));
            prop_assert_eq!(lines, seconds.iter().filter(|values| !values.is_empty()).count());
            if let Some(found) = found.get("latency") {
                prop_assert_eq!(found.len(), whole.count());
                for q in [0.5, 0.9, 0.99] {
                    let own = whole.percentile(q).unwrap();
                    prop_assert!(found.equivalent(found.value_at_quantile(q), own));
                }
            }
        }
    }

    #[test]
    fn requests_before_the_window_have_tags_of_their_own() {
        let mut tally = Tally::default();
        let window = Window {
            start: Offset::from_nanos(500_000_000),
            end: None,
        };
        for due_ms in [0, 1_000] {
            tally.record(&sample::record(due_ms), &window, &Rules::default());
        }
        let bytes = log(&[tally]);
        let (found, _) = read(&bytes);
        let counts = ["time_to_first_token", "before_window_time_to_first_token"];
        assert_eq!(counts.map(|tag| found[tag].len()), [1, 1]);
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.contains("#[StartTime: 1767323045.678 (seconds since epoch), Fri, 02 Jan 2026")
        );
        assert!(text.contains("Tag=total_latency,0.000,1.000,"));
        assert!(text.contains(",HISTFAAA"));
    }
}
