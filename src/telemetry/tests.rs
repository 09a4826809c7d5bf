//! The page of a run, read by other programs' eyes: what is on it, what is promised of it, and that all formats say the same.
#![expect(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "round figures, and counts that are small"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prometheus_parse::{Scrape, Value as Parsed};
use prost::Message;

use super::*;
use crate::metrics::Tally;
use crate::report::{LifeStage, Standing, sample};

fn subject(plan: &crate::plan::Plan) -> Subject<'_> {
    Subject {
        run: 0xabc,
        plan,
        path: "/v1/chat/completions",
        version: "0.1.0",
        part: None,
    }
}

fn scraped(
    of: sample::Sample,
    change: impl FnOnce(&mut Standing),
) -> (Scrape, Vec<Family>, Vec<u8>) {
    let plan = of.plan.clone();
    let mut standing = of.standing();
    change(&mut standing);
    let text = String::from_utf8(page(&subject(&plan), &standing, Format::Text)).unwrap();
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let binary = page(&subject(&plan), &standing, Format::Protobuf);
    (scrape, families(&subject(&plan), &standing), binary)
}

fn number(scrape: &Scrape, name: &str, label: Option<(&str, &str)>) -> f64 {
    let fits = |sample: &&prometheus_parse::Sample| {
        sample.metric == name && label.is_none_or(|(l, v)| sample.labels.get(l) == Some(v))
    };
    let mut found = scrape.samples.iter().filter(fits);
    let value = match found.next().map(|sample| &sample.value) {
        Some(Parsed::Counter(n) | Parsed::Gauge(n) | Parsed::Untyped(n)) => *n,
        other => panic!("{name}: {other:?}"),
    };
    assert!(found.next().is_none(), "{name} is there twice");
    value
}

#[test]
fn a_page_says_what_the_run_is_and_how_it_stands() {
    let (scrape, ..) = scraped(sample::open(), |_| {});
    let one = |name| number(&scrape, name, None);
    assert_eq!(one("llmload_run_info"), 1.0);
    assert_eq!(one("llmload_requests_sent_total"), 4.0);
    assert_eq!(one("llmload_users"), 4.0);
    assert_eq!(one("llmload_asked_requests_per_second"), 2.0);
    assert_eq!(one("llmload_output_tokens_total"), 12.0);
    assert_eq!(one("llmload_run_time_seconds"), 10.0);
    assert_eq!(one("llmload_run_left_seconds"), 5.0);
    assert_eq!(one("llmload_run_start_timestamp_seconds"), 1_767_323_045.0);
    assert_eq!(one("llmload_error_kinds"), 1.0);
    let by = |name, label, value| number(&scrape, name, Some((label, value)));
    assert_eq!(by("llmload_run_stage", "stage", "running"), 1.0);
    assert_eq!(by("llmload_run_stage", "stage", "ended"), 0.0);
    assert_eq!(by("llmload_requests_finished_total", "outcome", "ok"), 3.0);
    assert_eq!(
        by("llmload_requests_finished_total", "outcome", "http_5xx"),
        1.0
    );
    assert_eq!(by("llmload_requests_finished_total", "outcome", "cut"), 0.0);
    assert_eq!(by("llmload_worker_up", "worker", "1"), 1.0);
    assert_eq!(
        by("llmload_generator_core_busy_seconds_total", "core", "1"),
        3.15
    );
    let info = scrape
        .samples
        .iter()
        .find(|s| s.metric == "llmload_run_info")
        .unwrap();
    let label = |name| info.labels.get(name).unwrap_or_default();
    assert_eq!(
        (label("run"), label("target")),
        ("0000000000000abc", "http://127.0.0.1:8000")
    );
    assert_eq!(
        (label("provider"), label("model"), label("path")),
        ("openai", "m", "/v1/chat/completions")
    );
}

#[test]
fn a_parts_page_has_names_of_its_own_and_nothing_that_only_a_master_knows() {
    let of = sample::open();
    let (plan, standing) = (of.plan.clone(), of.standing());
    let whole = subject(&plan);
    let part = Subject {
        part: Some(2),
        ..whole
    };
    let names = |subject: &Subject<'_>| -> BTreeSet<String> {
        let families = families(subject, &standing);
        families
            .iter()
            .map(|family| family.name().into_owned())
            .collect()
    };
    let (all, own) = (names(&whole), names(&part));
    assert!(all.is_disjoint(&own), "{:?}", all.intersection(&own));
    let named = |own: &String| own.replacen("llmload_part_", "llmload_", 1);
    let told: BTreeSet<String> = own.iter().map(named).collect();
    let untold: BTreeSet<&str> = all.difference(&told).map(String::as_str).collect();
    let masters = [
        "llmload_asked_requests_per_second",
        "llmload_load_changes_total",
        "llmload_paused",
        "llmload_requests_lost_total",
        "llmload_run_left_seconds",
        "llmload_users_wanted",
        "llmload_worker_requests_finished_total",
        "llmload_worker_requests_lost_total",
        "llmload_worker_requests_sent_total",
        "llmload_worker_silence_seconds",
        "llmload_worker_up",
        "llmload_workers",
    ];
    assert_eq!(untold, masters.into());
    for family in families(&part, &standing) {
        for sample in &family.samples {
            assert_eq!(sample.labels[3], ("worker", "3".to_owned()));
        }
    }
    let text = String::from_utf8(page(&part, &standing, Format::OpenMetrics)).unwrap();
    assert!(text.contains("# TYPE llmload_part_requests_sent counter\n"));
    assert!(text.contains("\nllmload_part_requests_sent_total{provider="));
    assert!(!text.contains("llmload_requests_"));
}

#[test]
fn a_histogram_is_the_reports_distribution() {
    let (scrape, ..) = scraped(sample::open(), |_| {});
    let of = |name: &str| {
        scrape
            .samples
            .iter()
            .find(|s| s.metric == name)
            .map(|s| &s.value)
    };
    let Some(Parsed::Histogram(buckets)) = of("llmload_time_to_first_token_seconds") else {
        panic!("no histogram");
    };
    let passed: BTreeMap<String, f64> = buckets
        .iter()
        .map(|b| (b.less_than.to_string(), b.count))
        .collect();
    // Each of three requests has its first token after 10 ms, its report says 10.0 ms, and a bound is 10 ms.
    assert_eq!(
        (passed["0.0063"], passed["0.01"], passed["inf"]),
        (0.0, 3.0, 3.0)
    );
}

#[test]
fn what_is_on_the_page_is_what_the_catalogue_promises() {
    let with_all = |sample: sample::Sample| scraped(sample, |_| {}).1;
    let pages = [
        with_all(sample::open()),
        with_all(sample::with_objectives(&["ttft<2s", "ttft:p95<1s"])),
        with_all(sample::conversations()),
        with_all(sample::embeddings()),
    ];
    let promised: BTreeMap<&str, &Def> =
        catalogue().into_iter().map(|def| (def.name, def)).collect();
    assert_eq!(promised.len(), catalogue().len(), "each name once");
    let order: Vec<&str> = catalogue().iter().map(|def| def.name).collect();
    let mut seen = BTreeSet::new();
    for page in &pages {
        let places = page
            .iter()
            .map(|family| order.iter().position(|name| *name == family.def.name));
        assert!(places.is_sorted(), "in the catalogue's order");
        for family in page {
            assert_eq!(promised.get(family.def.name), Some(&&family.def));
            seen.insert(family.def.name);
            let mut labels = BTreeSet::new();
            for sample in &family.samples {
                let names: Vec<&str> = sample.labels.iter().map(|label| label.0).collect();
                let wanted: Vec<&str> = catalogue::COMMON
                    .iter()
                    .chain(family.def.labels)
                    .copied()
                    .collect();
                assert_eq!(names, wanted, "{}", family.def.name);
                assert!(
                    labels.insert(sample.labels.clone()),
                    "{} twice",
                    family.def.name
                );
            }
        }
    }
    // No sample has these.
    let unseen: Vec<&str> = order
        .into_iter()
        .filter(|name| !seen.contains(name))
        .collect();
    assert_eq!(
        unseen,
        [
            "llmload_server_side_total_latency_seconds",
            "llmload_server_side_time_to_first_token_seconds",
            "llmload_request_cached_tokens",
            "llmload_speculation_hit_ratio",
        ]
    );
}

#[test]
fn names_are_stable_words_with_base_units() {
    for def in catalogue() {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(
            def.name.starts_with("llmload_") && def.name.chars().all(is_word),
            "{}",
            def.name
        );
        assert_eq!(
            def.name.ends_with("_total"),
            def.kind == Kind::Counter,
            "{}",
            def.name
        );
        assert_eq!(
            def.name.ends_with("_info"),
            def.kind == Kind::Info,
            "{}",
            def.name
        );
        for unit in ["_ms", "_ns", "_percent", "_count", "_sum", "_bucket"] {
            assert!(!def.name.ends_with(unit), "{}", def.name);
        }
        assert!(!def.help.ends_with('.') && !def.help.is_empty());
    }
    // In OpenMetrics two families of one stem would be one.
    let stems: BTreeSet<&str> = catalogue().iter().map(|def| def.stem()).collect();
    assert_eq!(stems.len(), catalogue().len());
}

#[test]
fn the_documented_table_is_the_catalogue() {
    let text = include_str!("../../docs/telemetry.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `llmload_"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let wanted: Vec<Vec<String>> = catalogue()
        .into_iter()
        .map(|def| {
            let labels: Vec<String> = def
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let labels = if labels.is_empty() {
                "–".to_owned()
            } else {
                labels.join(", ")
            };
            let kind = if def.kind == Kind::Info {
                "info"
            } else {
                def.kind.name()
            };
            vec![
                format!("`{}`", def.name),
                kind.to_owned(),
                labels,
                def.help.to_owned(),
            ]
        })
        .collect();
    let as_text: Vec<String> = wanted
        .iter()
        .map(|row| format!("| {} |", row.join(" | ")))
        .collect();
    assert_eq!(
        rows,
        wanted,
        "the table in docs/telemetry.md is to be:\n{}",
        as_text.join("\n")
    );
}

#[test]
fn what_was_sent_before_the_measured_window_is_in_no_measured_series_while_the_run_goes_on() {
    let ramping = |standing: &mut Standing| {
        let mut summary = (*standing.summary).clone();
        summary.ramp_included = true;
        standing.summary = Arc::new(summary);
    };
    let ttft = |scrape: &Scrape| {
        let of = scrape
            .samples
            .iter()
            .find(|s| s.metric == "llmload_time_to_first_token_seconds");
        match of.map(|s| &s.value) {
            Some(Parsed::Histogram(buckets)) => buckets.last().unwrap().count,
            other => panic!("{other:?}"),
        }
    };
    let measured = |scrape: &Scrape| {
        number(
            scrape,
            "llmload_measured_requests_finished_total",
            Some(("outcome", "ok")),
        )
    };
    let (scrape, ..) = scraped(sample::open(), ramping);
    assert_eq!((measured(&scrape), ttft(&scrape)), (0.0, 0.0));
    assert_eq!(
        number(
            &scrape,
            "llmload_requests_finished_total",
            Some(("outcome", "ok"))
        ),
        3.0
    );
    // Such a run's report has the figures of its ramp.
    let (scrape, ..) = scraped(sample::open(), |standing| {
        ramping(standing);
        standing.stage = LifeStage::Ended;
    });
    assert_eq!((measured(&scrape), ttft(&scrape)), (3.0, 3.0));
}

#[test]
fn nothing_is_on_the_page_that_is_not_known_yet() {
    let (scrape, ..) = scraped(sample::closed(), |standing| {
        standing.started_at = None;
        standing.left = None;
        standing.verdict = None;
        standing.summary = Arc::new(crate::metrics::Summary::new(
            Tally::default(),
            crate::metrics::Observation::default(),
        ));
    });
    for absent in [
        "llmload_run_start_timestamp_seconds",
        "llmload_run_left_seconds",
        "llmload_asked_requests_per_second",
    ] {
        assert!(
            scrape.samples.iter().all(|sample| sample.metric != absent),
            "{absent}"
        );
    }
    assert_eq!(number(&scrape, "llmload_requests_sent_total", None), 0.0);
    let levels = scrape
        .samples
        .iter()
        .filter(|s| s.metric == "llmload_run_verdict");
    assert!(levels.clone().count() == 3 && levels.clone().all(|s| s.value == Parsed::Gauge(0.0)));
}

#[test]
fn the_protobuf_format_says_the_same() {
    let (_, told, binary) = scraped(sample::open(), |_| {});
    let mut rest = binary.as_slice();
    let mut read = Vec::new();
    while !rest.is_empty() {
        read.push(protobuf::MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    assert_eq!(read.len(), told.len());
    for (read, told) in read.iter().zip(&told) {
        assert_eq!(read.name.as_deref(), Some(told.def.name));
        for (metric, sample) in read.metric.iter().zip(&told.samples) {
            let labels: Vec<_> = metric
                .label
                .iter()
                .map(|l| (l.name.as_deref().unwrap(), l.value.clone().unwrap()))
                .collect();
            assert_eq!(labels, sample.labels);
            let number = metric
                .counter
                .or(metric.gauge)
                .and_then(|number| number.value);
            match &sample.value {
                Value::Count(count) => assert_eq!(number, Some(*count as f64)),
                Value::Number(wanted) => assert_eq!(number, Some(*wanted)),
                Value::Distribution(wanted) => {
                    same_histogram(metric.histogram.as_ref().unwrap(), wanted);
                }
            }
        }
    }
}

fn same_histogram(read: &protobuf::Histogram, wanted: &Distribution) {
    assert_eq!(read.sample_count, Some(wanted.count));
    let classic: Vec<_> = read
        .bucket
        .iter()
        .map(|b| (b.upper_bound.unwrap(), b.cumulative_count.unwrap()))
        .collect();
    assert_eq!(classic, wanted.classic);
    let (mut number, mut count, mut native) = (0, 0_i64, Vec::new());
    let mut deltas = read.positive_delta.iter();
    for span in &read.positive_span {
        number += span.offset.unwrap();
        for _ in 0..span.length.unwrap() {
            count += deltas.next().unwrap();
            native.push((number, u64::try_from(count).unwrap()));
            number += 1;
        }
    }
    assert!(deltas.next().is_none());
    assert_eq!(native, wanted.native.buckets);
    assert_eq!(read.zero_count, Some(wanted.native.zero_count));
}

#[test]
fn open_metrics_ends_as_it_must_and_has_each_family_once() {
    let of = sample::conversations();
    let plan = of.plan.clone();
    let text =
        String::from_utf8(page(&subject(&plan), &of.standing(), Format::OpenMetrics)).unwrap();
    assert!(text.ends_with("\n# EOF\n"));
    let kinds: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let once: BTreeSet<&&str> = kinds.iter().collect();
    assert_eq!(kinds.len(), once.len());
    assert!(text.contains("# TYPE llmload_turn_latency_seconds histogram\n# UNIT llmload_turn_latency_seconds seconds\n"));
    assert!(text.contains("turn=\"11+\",le=\"+Inf\"} "));
}
