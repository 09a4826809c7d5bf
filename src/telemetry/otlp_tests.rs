//! A collector is sent the figures of the page, in its own numbering.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

use super::*;
use crate::report::sample;
use crate::telemetry::distribution::bound_of;

const COUNTED: Counted = Counted { from: 1, to: 2 };

fn sent() -> (Vec<Family>, ResourceMetrics) {
    let of = sample::open();
    let plan = of.plan.clone();
    let standing = of.standing();
    let subject = Subject {
        run: 0xabc,
        plan: &plan,
        path: "/p",
        version: "0.1.0",
        part: None,
    };
    let bytes = metrics_message(&subject, &standing, COUNTED);
    let mut read = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
    (
        families(&subject, &standing),
        read.resource_metrics.remove(0),
    )
}

#[test]
fn each_family_is_a_metric_of_its_kind_and_counts_from_the_runs_zero() {
    let (families, sent) = sent();
    let metrics = &sent.scope_metrics[0].metrics;
    assert_eq!(metrics.len(), families.len());
    for (metric, family) in metrics.iter().zip(&families) {
        assert_eq!(metric.name, family.def.stem());
        let cumulative: i32 = AggregationTemporality::Cumulative.into();
        match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert_eq!(family.def.kind, Kind::Counter);
                assert!(sum.is_monotonic && sum.aggregation_temporality == cumulative);
                let point = &sum.data_points[0];
                assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
            }
            Data::Gauge(_) => assert!(matches!(family.def.kind, Kind::Gauge | Kind::Info)),
            Data::ExponentialHistogram(of) => {
                assert_eq!(of.aggregation_temporality, cumulative);
                for (point, sample) in of.data_points.iter().zip(&family.samples) {
                    same(point, sample);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let run = sent.resource.unwrap().attributes;
    assert!(
        run.contains(&text("llmload.run", "0000000000000abc")),
        "{run:?}"
    );
}

/// Bucket i of OTLP is above base^(offset + i) and up to the next.
fn same(point: &ExponentialHistogramDataPoint, sample: &Sample) {
    let Value::Distribution(wanted) = &sample.value else {
        panic!("{sample:?}");
    };
    assert_eq!((point.count, point.scale), (wanted.count, 6));
    let positive = point.positive.as_ref().unwrap();
    let mut upper = Vec::new();
    for (at, &count) in (0_i32..).zip(&positive.bucket_counts) {
        if count > 0 {
            upper.push((f64::from(positive.offset + at + 1) / 64.0, count));
        }
    }
    let bounds = wanted.native.buckets.iter();
    let bounds: Vec<_> = bounds
        .map(|&(number, count)| (bound_of(number).log2(), count))
        .collect();
    assert_eq!(upper.len(), bounds.len());
    for (read, told) in upper.iter().zip(&bounds) {
        assert!(
            (read.0 - told.0).abs() < 1e-9 && read.1 == told.1,
            "{read:?} {told:?}"
        );
    }
    let all: u64 = positive.bucket_counts.iter().sum();
    assert_eq!(all + point.zero_count, point.count);
}

#[test]
fn what_a_collector_rejects_is_read() {
    let answer = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 3,
            error_message: "full".to_owned(),
        }),
    };
    assert_eq!(rejected(&answer.encode_to_vec()), 3);
    assert_eq!((rejected(b""), rejected(b"{}")), (0, 0));
}
