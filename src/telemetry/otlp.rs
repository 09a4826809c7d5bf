//! What OpenTelemetry's collectors are sent: a run's families as metrics, finished requests as spans, in OTLP's protobuf messages.
//! Cumulative sums, exponential histograms of the same buckets as the page's native ones. It sends nothing.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::catalogue::Kind;
use super::distribution::{Distribution, Native, SCHEMA};
use super::families::{Family, Sample, Subject, Value, families};
use crate::report::Standing;

/// This program, as a collector knows it.
const SERVICE: &str = "llmload";

/// Between when and when a message's figures were counted, in nanoseconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The run's zero.
    pub from: u64,
    /// Now.
    pub to: u64,
}

/// Everything of a run that can be told now, as a message of metrics.
pub fn metrics_message(subject: &Subject<'_>, standing: &Standing, counted: Counted) -> Vec<u8> {
    let metrics = families(subject, standing);
    let metrics = metrics.iter().map(|family| metric(family, counted));
    let scope = ScopeMetrics {
        scope: Some(scope(subject.version)),
        metrics: metrics.collect(),
        schema_url: String::new(),
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource(subject.run, subject.version, None)),
            scope_metrics: vec![scope],
            schema_url: String::new(),
        }],
    };
    request.encode_to_vec()
}

/// Spans of one worker, as a message.
pub fn spans_message(run: u64, worker: u32, version: &str, spans: Vec<Span>) -> Vec<u8> {
    let scope = ScopeSpans {
        scope: Some(scope(version)),
        spans,
        schema_url: String::new(),
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(run, version, Some(worker))),
            scope_spans: vec![scope],
            schema_url: String::new(),
        }],
    };
    request.encode_to_vec()
}

fn scope(version: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: SERVICE.to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    }
}

/// How many things of a message a collector says that it has not taken, by its answer to a good request: the first field of its one
/// message is that number, for spans as for metrics.
pub fn rejected(answer: &[u8]) -> u64 {
    let read = ExportTraceServiceResponse::decode(answer).ok();
    let partial = read.and_then(|answer| answer.partial_success);
    let rejected = partial.map_or(0, |partial| partial.rejected_spans);
    u64::try_from(rejected).unwrap_or_default()
}

/// Who says it: the run, or one worker of it.
fn resource(run: u64, version: &str, worker: Option<u32>) -> Resource {
    let run = format!("{run:016x}");
    // People count workers from 1, as tables and files do.
    let instance = match worker {
        Some(worker) => format!("{run}-{}", u64::from(worker) + 1),
        None => run.clone(),
    };
    Resource {
        attributes: vec![
            text("service.name", SERVICE),
            text("service.version", version),
            text("service.instance.id", instance),
            text("llmload.run", run),
        ],
        ..Resource::default()
    }
}

fn metric(family: &Family, counted: Counted) -> Metric {
    let def = &family.def;
    let cumulative = AggregationTemporality::Cumulative.into();
    let numbers = || {
        let points = family.samples.iter();
        points.map(|sample| number_point(sample, counted)).collect()
    };
    let data = match def.kind {
        Kind::Counter => Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Gauge | Kind::Info => Data::Gauge(Gauge {
            data_points: numbers(),
        }),
        Kind::Histogram => {
            let points = family.samples.iter();
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: points
                    .filter_map(|sample| histogram_point(sample, counted))
                    .collect(),
                aggregation_temporality: cumulative,
            })
        }
    };
    Metric {
        name: family.stem().into_owned(),
        description: def.help.to_owned(),
        unit: match def.unit() {
            Some("seconds") => "s",
            Some("bytes") => "By",
            _ => "1",
        }
        .to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number_point(sample: &Sample, counted: Counted) -> NumberDataPoint {
    let value = match &sample.value {
        Value::Count(count) => Some(Number::AsInt(i64::try_from(*count).unwrap_or(i64::MAX))),
        Value::Number(number) => Some(Number::AsDouble(*number)),
        Value::Distribution(_) => None,
    };
    NumberDataPoint {
        attributes: labels(sample),
        start_time_unix_nano: counted.from,
        time_unix_nano: counted.to,
        value,
        ..NumberDataPoint::default()
    }
}

fn histogram_point(sample: &Sample, counted: Counted) -> Option<ExponentialHistogramDataPoint> {
    let Value::Distribution(distribution) = &sample.value else {
        return None;
    };
    let Distribution {
        count, sum, native, ..
    } = &**distribution;
    Some(ExponentialHistogramDataPoint {
        attributes: labels(sample),
        start_time_unix_nano: counted.from,
        time_unix_nano: counted.to,
        count: *count,
        sum: Some(*sum),
        scale: SCHEMA,
        zero_count: native.zero_count,
        zero_threshold: native.zero_threshold,
        positive: Some(dense(native)),
        negative: Some(Buckets::default()),
        ..ExponentialHistogramDataPoint::default()
    })
}

/// Buckets without gaps from the lowest filled one: a day has some two thousand. Prometheus numbers a bucket by its upper bound, OTLP by its lower one.
fn dense(native: &Native) -> Buckets {
    let Some(&(first, _)) = native.buckets.first() else {
        return Buckets::default();
    };
    let mut counts: Vec<u64> = Vec::new();
    for &(number, count) in &native.buckets {
        let at = usize::try_from(number - first).unwrap_or_default();
        counts.resize(at, 0);
        counts.push(count);
    }
    Buckets {
        offset: first - 1,
        bucket_counts: counts,
    }
}

fn labels(sample: &Sample) -> Vec<KeyValue> {
    let labels = sample.labels.iter();
    labels
        .map(|(name, value)| text(name, value.as_str()))
        .collect()
}

fn with(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    with(key, Any::StringValue(value.into()))
}

pub(super) fn whole(key: &str, value: impl Into<i64>) -> KeyValue {
    with(key, Any::IntValue(value.into()))
}

pub(super) fn real(key: &str, value: f64) -> KeyValue {
    with(key, Any::DoubleValue(value))
}

pub(super) fn texts(key: &str, values: &[&str]) -> KeyValue {
    let value = |text: &&str| AnyValue {
        value: Some(Any::StringValue((*text).to_owned())),
    };
    let values = values.iter().map(value).collect();
    with(key, Any::ArrayValue(ArrayValue { values }))
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
