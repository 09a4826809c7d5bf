//! How long requests took: a histogram of each latency, and all of them by percentile.

use super::bins::Bins;
use super::outline::{axis, log_axis, quantity, series, shown};
use crate::metrics::{Metric, Series, Summary};
use crate::page::{At, Axis, Block, Chart, Kind, Mark, Scale};
use crate::report::number;

/// The percentiles that are marked.
const MARKED: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];
/// Points of a percentile curve for each nine of the percentile.
const POINTS_A_NINE: u32 = 20;
/// No curve goes on beyond 99.9999%.
const MOST_NINES: u32 = 6;

pub(super) fn blocks(summary: &Summary) -> Vec<Block> {
    let known: Vec<(&str, &Series)> = latencies(summary)
        .into_iter()
        .filter_map(|(metric, name)| Some((name, summary.get(metric)?)))
        .collect();
    let histograms = known
        .iter()
        .filter_map(|(name, series)| histogram(name, series));
    let curves = (!known.is_empty()).then(|| curves(&known));
    histograms.chain(curves).map(Block::Chart).collect()
}

/// Gaps are by token where the tokens of each event are known, else by event.
fn latencies(summary: &Summary) -> [(Metric, &'static str); 4] {
    let by_token = summary.get(Metric::InterTokenLatency).is_some();
    [
        (Metric::TimeToFirstToken, "Time to first token"),
        if by_token {
            (Metric::InterTokenLatency, "Inter-token latency")
        } else {
            (Metric::InterChunkLatency, "Inter-chunk latency")
        },
        (Metric::TimePerOutputToken, "Time per output token"),
        (Metric::TotalLatency, "Total latency"),
    ]
}

fn histogram(name: &str, values: &Series) -> Option<Chart> {
    let buckets = values.buckets();
    // Of the outermost buckets more is known: where the values really end.
    let (least, most) = (values.min()?, values.max()?);
    let range = |low: u64, high: u64| (low.max(least), high.min(most).max(low.max(least)));
    let counted: Vec<(f64, f64, u64)> = buckets
        .iter()
        .map(|bucket| {
            let (low, high) = range(bucket.low, bucket.high);
            (number::shown(low), number::shown(high), bucket.count)
        })
        .collect();
    let bins = Bins::of_ranges(&counted)?;
    Some(Chart {
        title: name.to_owned(),
        summary: in_words(name, values)?,
        x: bins.axis(&name.to_lowercase(), "ms"),
        y: vec![axis("values", "")],
        series: vec![bins.bars("values")],
        marks: marks(values),
        group: String::new(),
    })
}

fn in_words(name: &str, values: &Series) -> Option<String> {
    let at = |q| number::percentile(values, q).map(shown);
    Some(format!(
        "{name} of {} values: from {} to {} ms, p50 {} ms, p95 {} ms, p99 {} ms.",
        values.count(),
        shown(number::shown(values.min()?)),
        shown(number::shown(values.max()?)),
        at(0.5)?,
        at(0.95)?,
        at(0.99)?,
    ))
}

fn marks(values: &Series) -> Vec<Mark> {
    let supported = MARKED.iter().filter(|(_, q)| values.supports(*q));
    let mark = |(name, q): &(&str, f64)| {
        let value = number::percentile(values, *q)?;
        Some(Mark {
            name: format!("{name} {} ms", shown(value)),
            at: At::X(value),
        })
    };
    supported.filter_map(mark).collect()
}

fn curves(known: &[(&str, &Series)]) -> Chart {
    let words: Vec<_> = known
        .iter()
        .filter_map(|(name, values)| {
            let half = shown(number::percentile(values, 0.5)?);
            let tail = shown(number::percentile(values, 0.99)?);
            Some(format!(
                "{} {half} ms at 50%, {tail} ms at 99%",
                name.to_lowercase()
            ))
        })
        .collect();
    let curve = |(name, values): &(&str, &Series)| series(*name, Kind::Line, curve(values));
    Chart {
        title: "Latencies by percentile".to_owned(),
        summary: format!("By percentile: {}.", words.join("; ")),
        x: Axis {
            scale: Scale::Percentile,
            ..axis("percentile", "")
        },
        y: vec![log_axis("latency", "ms")],
        series: known.iter().map(curve).collect(),
        marks: Vec::new(),
        group: String::new(),
    }
}

/// The values at percentiles that lie evenly on the axis, as far as there are enough values for them.
fn curve(values: &Series) -> Vec<(f64, Option<f64>)> {
    let last = 1.0 - 1.0 / quantity(values.count().max(1));
    (0..=MOST_NINES * POINTS_A_NINE)
        .map(|number| 1.0 - 10.0_f64.powf(-f64::from(number) / f64::from(POINTS_A_NINE)))
        .take_while(|q| *q <= last)
        .map(|q| (q, number::percentile(values, q)))
        .collect()
}
