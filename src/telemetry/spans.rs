//! A finished request as a span, with the attributes that OpenTelemetry's conventions for generative AI name, and this program's own
//! beside them. Which requests have one is decided by `domain::Traced`.

use http::Uri;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::otlp::{real, text, texts, whole};
use crate::domain::{FinishReason, Index, Offset, Record, Traced};
use crate::plan::Plan;
use crate::provider::Task;

/// The flags of a span that is sampled and whose parent, as there is none, is not remote: those of `traceparent`, and bit 8.
const SAMPLED: u32 = 0x101;

/// Makes spans of the requests of a run.
#[derive(Clone, Debug)]
pub struct Tracer {
    run: u64,
    sample: f64,
    plan: Plan,
    /// What all spans say.
    common: Vec<KeyValue>,
    name: String,
}

impl Tracer {
    /// Of the share `sample` of the requests of `plan`.
    pub fn new(run: u64, plan: &Plan, sample: f64) -> Self {
        let spec = &plan.provider;
        let operation = operation(plan);
        let mut common = vec![
            text("gen_ai.operation.name", operation),
            text("gen_ai.provider.name", provider(spec.kind.name())),
            text("gen_ai.request.model", spec.model.as_str()),
        ];
        if let Ok(uri) = plan.target.base_url.parse::<Uri>() {
            let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
                Some("https") => 443,
                _ => 80,
            });
            common.extend(uri.host().map(|host| text("server.address", host)));
            common.push(whole("server.port", i64::from(port)));
        }
        Self {
            run,
            sample,
            name: format!("{operation} {}", spec.model),
            plan: plan.clone(),
            common,
        }
    }

    /// The span of a request, if it has one. `zero` is the run's zero in nanoseconds of Unix time.
    pub fn span(&self, record: &Record, zero: u64) -> Option<Span> {
        let traced = Traced::sampled(self.run, self.plan.seed, record.index, self.sample)?;
        let at = |offset: Offset| zero.saturating_add(offset.as_nanos());
        // What a time to first token is counted from; of a request that was never sent, when it could have been.
        let start = record.sent.or(record.begun).unwrap_or(record.ready);
        let mut attributes = self.common.clone();
        attributes.extend(told(record));
        Some(Span {
            trace_id: traced.trace.to_vec(),
            span_id: traced.span.to_vec(),
            flags: SAMPLED,
            name: self.name.clone(),
            kind: SpanKind::Client.into(),
            start_time_unix_nano: at(start),
            end_time_unix_nano: at(record.end.max(start)),
            attributes,
            events: events(record, at),
            status: status(record),
            ..Span::default()
        })
    }
}

/// What happened meanwhile.
fn events(record: &Record, at: impl Fn(Offset) -> u64) -> Vec<Event> {
    let event = |name: &str, when: Option<Offset>, attributes| {
        when.map(|when| Event {
            time_unix_nano: at(when),
            name: name.to_owned(),
            attributes,
            ..Event::default()
        })
    };
    let marks = &record.marks;
    let first = record.first_content();
    let ttft = first.zip(record.sent).map(|(first, sent)| {
        real(
            "llmload.time_to_first_token",
            seconds(first.nanos_since(sent)),
        )
    });
    let last = marks.last().map(|mark| mark.at);
    let count = i64::try_from(marks.len()).unwrap_or(i64::MAX);
    [
        event("llmload.headers", record.headers, Vec::new()),
        event("llmload.first_token", first, ttft.into_iter().collect()),
        event(
            "llmload.last_token",
            last,
            vec![whole("llmload.content_events", count)],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is known of the request by now.
fn told(record: &Record) -> Vec<KeyValue> {
    let mut told = vec![text("llmload.outcome", record.outcome.name())];
    match record.index {
        Index::Arrival(number) => {
            told.push(whole(
                "llmload.arrival",
                i64::try_from(number).unwrap_or(i64::MAX),
            ));
        }
        Index::Turn { user, turn } => {
            told.push(whole("llmload.user", i64::from(user)));
            told.push(whole("llmload.turn", i64::from(turn)));
        }
    }
    if record.max_tokens > 0 && record.vectors == 0 {
        told.push(whole(
            "gen_ai.request.max_tokens",
            i64::from(record.max_tokens),
        ));
    }
    let tokens = [
        ("gen_ai.usage.input_tokens", record.prompt_tokens()),
        (
            "gen_ai.usage.output_tokens",
            record.output_tokens().map(|found| found.0),
        ),
    ];
    let known = tokens
        .into_iter()
        .filter_map(|(key, count)| Some((key, count?)));
    told.extend(known.map(|(key, count)| whole(key, i64::from(count))));
    told.extend(
        record
            .finish
            .map(|finish| texts("gen_ai.response.finish_reasons", &[reason(finish)])),
    );
    told.extend(
        record
            .status
            .map(|code| whole("http.response.status_code", i64::from(code))),
    );
    let session = record.turn.map(|turn| turn.session.to_string());
    told.extend(session.map(|session| text("gen_ai.conversation.id", session)));
    if record.outcome.is_failure() {
        told.push(text("error.type", record.outcome.name()));
    }
    let late = record.sent.map(|sent| sent.nanos_since(record.due));
    told.extend(late.map(|nanos| real("llmload.lateness", seconds(nanos))));
    told
}

/// A client leaves the status of what went well unset.
fn status(record: &Record) -> Option<Status> {
    record.outcome.is_failure().then(|| Status {
        message: record.error.clone(),
        code: StatusCode::Error.into(),
    })
}

/// The conventions' word for what is asked.
fn operation(plan: &Plan) -> &'static str {
    match plan.provider.task {
        Task::Chat => "chat",
        Task::Completion => "text_completion",
        Task::Embeddings(_) => "embeddings",
        Task::Rerank(_) => "rerank",
    }
}

/// The conventions' word for a provider that they know.
fn provider(name: &'static str) -> &'static str {
    match name {
        "responses" => "openai",
        "azure" => "azure.ai.openai",
        "bedrock" | "bedrock-invoke" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "vertex-predict" | "vertex-anthropic" => "gcp.vertex_ai",
        other => other,
    }
}

const fn reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other => "other",
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of a run are exact to 104 days"
)]
const fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
#[path = "spans_tests.rs"]
mod tests;
