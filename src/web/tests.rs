//! A run as JSON: the same figures as its report, and nothing that is not described.

use serde_json::{Value, json};

use super::*;
use crate::domain::Offset;
use crate::gauges::Look;
use crate::metrics::{Metric, Tally};
use crate::report::{Crowd, History, sample, stats_csv};

fn sampled() -> Value {
    let sample = sample::open();
    let standing = sample::open().standing();
    let ctx = sample.context();
    super::standing(Seen {
        id: "00ab",
        ctx: &ctx,
        standing: &standing,
        cluster: true,
        command: "llmload run",
        look: Some(&Look {
            at_s: 1.0,
            running: Some(3.0),
            ..Look::default()
        }),
    })
}

#[test]
fn a_standing_has_the_figures_of_the_report() {
    let (value, sample) = (sampled(), sample::open());
    let summary = &sample.summary;
    assert_eq!(value["so_far"]["requests"], summary.requests());
    assert_eq!(value["so_far"]["failures"], summary.failures());
    let csv = stats_csv::stats(&sample.context()).unwrap();
    let rows = value["statistics"]["rows"].as_array().unwrap();
    assert_eq!(csv.lines().count(), rows.len() + 1);
    for (line, row) in csv.lines().skip(1).zip(rows) {
        let fields = row
            .as_array()
            .unwrap()
            .iter()
            .map(|field| field.as_str().unwrap());
        assert_eq!(line, fields.collect::<Vec<_>>().join(","));
    }
    let columns = value["statistics"]["columns"].as_array().unwrap();
    let columns = columns.iter().map(|name| name.as_str().unwrap());
    assert_eq!(
        csv.lines().next().unwrap(),
        columns.collect::<Vec<_>>().join(",")
    );
    let ttft = summary.get(Metric::TimeToFirstToken).unwrap();
    let p95 = shown(ttft.percentile(0.95).unwrap());
    assert_eq!(value["so_far"]["ttft_ms"]["p95"], p95);
    assert_eq!(
        value["server"],
        json!({"running": 3.0, "waiting": null, "cache": null})
    );
}

#[test]
fn steps_are_lists_in_the_order_of_the_columns() {
    let (mut history, mut delta) = (History::default(), Tally::default());
    delta.counts.scheduled = 4;
    let crowd = Crowd {
        users: 2,
        in_flight: 1,
        waiting: 0,
    };
    history.push(&delta, Offset::from_nanos(2_000_000_000), crowd);
    let rows = steps(history.steps());
    let row = rows[0].as_array().unwrap();
    assert_eq!(row.len(), columns().len());
    let at = |name| row[columns().iter().position(|column| *column == name).unwrap()].clone();
    assert_eq!((at("from_s"), at("to_s")), (json!(0.0), json!(2.0)));
    assert_eq!((at("asked_per_s"), at("users")), (json!(2.0), json!(2)));
    assert_eq!(
        (at("ttft_p95_ms"), at("requests_per_s")),
        (Value::Null, json!(0.0))
    );
}

#[test]
fn looks_are_counted_from_the_start() {
    let look = Look {
        at_s: 103.5,
        waiting: Some(2.0),
        ..Look::default()
    };
    assert_eq!(looks(&[look], 100.0), json!([[3.5, null, 2.0, null]]));
}

#[test]
fn the_page_asks_nobody_but_its_own_server() {
    assert!(!PAGE.contains("http://") && !PAGE.contains("https://"));
    assert!(!PAGE.contains("<style") && !PAGE.contains(" style=") && !PAGE.contains("onclick"));
    for source in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
    ] {
        assert!(POLICY.contains(source));
    }
    assert!(!POLICY.contains("unsafe"));
}

#[test]
fn every_path_of_the_description_names_its_answers() {
    let description: Value = serde_json::from_str(OPENAPI).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    let text = OPENAPI;
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        let is_used = text.contains(&format!("#/components/schemas/{name}\""));
        assert!(is_used || name == "Event", "{name} is used nowhere");
        assert_eq!(schema["additionalProperties"], Value::Bool(false), "{name}");
    }
    for (path, ways) in description["paths"].as_object().unwrap() {
        for way in ways.as_object().unwrap().values() {
            assert!(way["responses"]["403"].is_object(), "{path}");
        }
    }
}
