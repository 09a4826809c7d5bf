//! Spans say what records say.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;

use super::*;
use crate::domain::Outcome;
use crate::report::sample;

const ZERO: u64 = 1_767_323_045_000_000_000;

fn span(of: &Record) -> Span {
    Tracer::new(0xabc, &sample::closed().plan, 1.0)
        .span(of, ZERO)
        .unwrap()
}

fn attribute(span: &Span, key: &str) -> Option<Any> {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

#[test]
fn a_span_begins_when_it_was_sent_and_has_its_first_token_where_the_record_has_it() {
    let record = sample::record(200);
    let span = span(&record);
    let at = |ms: u64| ZERO + ms * 1_000_000;
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (at(201), at(243))
    );
    let events: Vec<_> = span
        .events
        .iter()
        .map(|e| (e.name.as_str(), e.time_unix_nano))
        .collect();
    assert_eq!(
        events,
        [
            ("llmload.headers", at(205)),
            ("llmload.first_token", at(211)),
            ("llmload.last_token", at(241)),
        ]
    );
    assert_eq!(
        span.events[1].attributes,
        [real("llmload.time_to_first_token", 0.01)]
    );
    assert_eq!(
        (span.kind, span.status.is_none()),
        (SpanKind::Client.into(), true)
    );
    assert_eq!(span.name, "chat m");
    let words = |text: &str| Some(Any::StringValue(text.to_owned()));
    assert_eq!(attribute(&span, "gen_ai.provider.name"), words("openai"));
    assert_eq!(attribute(&span, "server.address"), words("127.0.0.1"));
    assert_eq!(attribute(&span, "server.port"), Some(Any::IntValue(8000)));
    assert_eq!(
        attribute(&span, "gen_ai.usage.output_tokens"),
        Some(Any::IntValue(4))
    );
    assert_eq!(attribute(&span, "error.type"), None);
}

#[test]
fn a_failure_has_its_outcome_and_its_words_and_one_that_was_never_sent_its_time() {
    let failed = Record {
        outcome: Outcome::Connect,
        error: "refused".to_owned(),
        begun: None,
        sent: None,
        headers: None,
        marks: Vec::new(),
        status: None,
        ..sample::record(200)
    };
    let span = span(&failed);
    let status = span.status.clone().unwrap();
    assert_eq!(
        (status.code, status.message.as_str()),
        (StatusCode::Error.into(), "refused")
    );
    assert_eq!(
        attribute(&span, "error.type"),
        Some(Any::StringValue("connect".to_owned()))
    );
    assert_eq!(span.start_time_unix_nano, ZERO + 200_000_000);
    assert!(span.events.is_empty());
}

#[test]
fn names_are_those_of_the_header_and_others_have_none() {
    let record = sample::record(0);
    let plan = sample::closed().plan;
    let traced = Traced::of(0xabc, plan.seed, record.index);
    let span = span(&record);
    assert_eq!(
        (span.trace_id, span.span_id),
        (traced.trace.to_vec(), traced.span.to_vec())
    );
    assert_eq!(Tracer::new(0xabc, &plan, 0.0).span(&record, ZERO), None);
}
