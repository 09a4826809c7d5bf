//! Families in Prometheus' protobuf format, the one that has native histograms: a length before each family, and no end.
//! Messages and numbers are those of `io.prometheus.client`; what this program has no use for is left out.

use prost::Message;

use super::catalogue::Kind;
use super::distribution::{Distribution, Native, SCHEMA};
use super::families::{self, Value};

/// The page, as bytes.
pub(super) fn delimited(families: &[families::Family]) -> Vec<u8> {
    let all = families.iter().map(family);
    all.flat_map(|family| family.encode_length_delimited_to_vec())
        .collect()
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) help: Option<String>,
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    pub(super) kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(super) metric: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(super) label: Vec<Label>,
    #[prost(message, optional, tag = "2")]
    pub(super) gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    pub(super) counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    pub(super) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Label {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) value: Option<String>,
}

/// A counter or a gauge: they look the same.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Number {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(super) bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    pub(super) schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    pub(super) zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub(super) zero_count: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    pub(super) positive_span: Vec<Span>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub(super) positive_delta: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub(super) cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) upper_bound: Option<f64>,
}

/// Buckets without a gap: how far after the end of those before, the first one's own number for the first; and how many.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Span {
    #[prost(sint32, optional, tag = "1")]
    pub(super) offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(super) length: Option<u32>,
}

fn family(family: &families::Family) -> MetricFamily {
    let kind = match family.def.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge | Kind::Info => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let metric = |sample: &families::Sample| {
        let number = match &sample.value {
            Value::Count(count) => Some(exact(*count)),
            Value::Number(number) => Some(*number),
            Value::Distribution(_) => None,
        };
        let histogram = match &sample.value {
            Value::Distribution(distribution) => Some(histogram(distribution)),
            _ => None,
        };
        let is = |wanted| (kind == wanted).then_some(Number { value: number });
        Metric {
            label: sample.labels.iter().map(label).collect(),
            gauge: is(MetricType::Gauge),
            counter: is(MetricType::Counter),
            histogram,
        }
    };
    MetricFamily {
        name: Some(family.name().into_owned()),
        help: Some(family.def.help.to_owned()),
        kind: Some(kind.into()),
        metric: family.samples.iter().map(metric).collect(),
    }
}

fn label((name, value): &(&'static str, String)) -> Label {
    Label {
        name: Some((*name).to_owned()),
        value: Some(value.clone()),
    }
}

fn histogram(distribution: &Distribution) -> Histogram {
    let bucket = |&(bound, count): &(f64, u64)| Bucket {
        cumulative_count: Some(count),
        upper_bound: Some(bound),
    };
    let (positive_span, positive_delta) = spans(&distribution.native);
    Histogram {
        sample_count: Some(distribution.count),
        sample_sum: Some(distribution.sum),
        bucket: distribution.classic.iter().map(bucket).collect(),
        schema: Some(SCHEMA),
        zero_threshold: Some(distribution.native.zero_threshold),
        zero_count: Some(distribution.native.zero_count),
        positive_span,
        positive_delta,
    }
}

/// Runs of buckets, and each bucket's count less the one's before it.
fn spans(native: &Native) -> (Vec<Span>, Vec<i64>) {
    let span = |offset, length| Span {
        offset: Some(offset),
        length: Some(length),
    };
    let (mut spans, mut deltas) = (Vec::<Span>::new(), Vec::new());
    let (mut next, mut before) = (0, 0_i64);
    for &(number, count) in &native.buckets {
        match spans.last_mut() {
            Some(last) if number == next => last.length = last.length.map(|length| length + 1),
            _ => spans.push(span(number - next, 1)),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        (next, before) = (number + 1, count);
    }
    (spans, deltas)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the format has no other numbers; counts of a run are far below 2^53"
)]
const fn exact(count: u64) -> f64 {
    count as f64
}
