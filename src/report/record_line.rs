//! One line of a record file: a request with all its times, described by `schema/record.schema.json`.
//! It derives no figure, so that a reader can hold every figure of a report against the records.

use serde::Serialize;
use serde::ser::Serializer;

use crate::domain::{FinishReason, HitRate, Index, Mark, Offset, Outcome, Record};

/// The JSON schema of a line.
pub const SCHEMA: &str = include_str!("schema/record.schema.json");

/// Appends `record` to `line` as one line of JSON, its end included.
///
/// # Errors
///
/// When the JSON writer refuses a value, which no record holds.
pub fn write(record: &Record, line: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *line, &Line::of(record))?;
    line.push(b'\n');
    Ok(())
}

/// The fields of a line. Times are nanoseconds of the run's time, the same for all workers; what is unknown is `null`.
#[derive(Serialize)]
struct Line<'a> {
    index: Index,
    outcome: Outcome,
    due_ns: u64,
    sent_ns: Option<u64>,
    headers_ns: Option<u64>,
    content_ns: Times<'a>,
    /// Tokens of each content event, 0 where the server did not tell.
    tokens: Tokens<'a>,
    first_visible_ns: Option<u64>,
    end_ns: u64,
    streamed: bool,
    status: Option<u16>,
    error: &'a str,
    retry_after_s: Option<f64>,
    finish: Option<FinishReason>,
    usage: UsageFields,
    logprob_tokens: Option<u32>,
    tokenizer_tokens: Option<u32>,
    max_tokens: u32,
    requested_prompt_tokens: Option<u32>,
    counted_prompt_tokens: Option<u32>,
    output_chars: u64,
    body_bytes: u64,
    new_connection: bool,
    connect_ns: u64,
    /// Answers asked for, where that is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<u32>,
    /// Embeddings or ranked documents, where the answer is such.
    #[serde(skip_serializing_if = "Option::is_none")]
    vectors: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerFields<'a>>,
}

/// A place in a conversation; turns are counted from 1, as in the names of metrics.
#[derive(Serialize)]
struct Place {
    session: u64,
    turn: u32,
    of: u32,
}

/// What the server measured itself.
#[derive(Serialize)]
struct ServerFields<'a> {
    total_ns: Option<u64>,
    first_token_ns: Option<u64>,
    speculation: Speculation<'a>,
}

/// The server's counts under the names that this file promises.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names in the file")]
struct UsageFields {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    cached_tokens: Option<u32>,
    reasoning_tokens: Option<u32>,
}

/// Times of marks, and by how much the run's time is behind them.
struct Times<'a>(&'a [Mark], i64);

impl Serialize for Times<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|mark| run_time(mark.at, self.1)))
    }
}

const fn run_time(at: Offset, behind_ns: i64) -> u64 {
    at.as_nanos()
        .saturating_add_signed(behind_ns.saturating_neg())
}

struct Tokens<'a>(&'a [Mark]);

impl Serialize for Tokens<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|mark| mark.tokens))
    }
}

struct Speculation<'a>(&'a [HitRate]);

impl Serialize for Speculation<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|rate| HitFields {
            position: rate.position,
            hits: rate.hits,
            total: rate.total,
        }))
    }
}

/// How many speculated tokens of one position were right.
#[derive(Serialize)]
struct HitFields {
    position: u32,
    hits: u32,
    total: u32,
}

impl<'a> Line<'a> {
    fn of(record: &'a Record) -> Self {
        let usage = record.usage;
        let behind_ns = record.behind_ns;
        let time = |at: Offset| run_time(at, behind_ns);
        Self {
            index: record.index,
            outcome: record.outcome,
            due_ns: time(record.due),
            sent_ns: record.sent.map(time),
            headers_ns: record.headers.map(time),
            content_ns: Times(&record.marks, behind_ns),
            tokens: Tokens(&record.marks),
            first_visible_ns: record.first_visible.map(time),
            end_ns: time(record.end),
            streamed: record.streamed,
            status: record.status,
            error: &record.error,
            retry_after_s: record.retry_after_s,
            finish: record.finish,
            usage: UsageFields {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: usage.completion_tokens,
                cached_tokens: usage.cached_tokens,
                reasoning_tokens: usage.reasoning_tokens,
            },
            logprob_tokens: record.logprob_tokens,
            tokenizer_tokens: record.tokenizer_tokens,
            max_tokens: record.max_tokens,
            requested_prompt_tokens: record.requested_prompt_tokens,
            counted_prompt_tokens: record.counted_prompt_tokens,
            output_chars: record.output_chars,
            body_bytes: record.body_bytes,
            new_connection: record.new_connection,
            connect_ns: record.connect_ns,
            choices: Some(record.choices).filter(|&choices| choices > 1),
            vectors: Some(record.vectors).filter(|&vectors| vectors > 0),
            conversation: record.turn.map(|turn| Place {
                session: turn.session,
                turn: turn.number.saturating_add(1),
                of: turn.of,
            }),
            server: record.server.as_deref().map(|server| ServerFields {
                total_ns: server.total_ns,
                first_token_ns: server.first_token_ns,
                speculation: Speculation(&server.speculation),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ServerFigures, Turn};
    use crate::report::sample;

    fn read(record: &Record) -> serde_json::Value {
        let mut line = b"earlier\n".to_vec();
        write(record, &mut line).unwrap();
        let text = String::from_utf8(line).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "earlier"));
        serde_json::from_str(lines[1]).unwrap()
    }

    /// One that has everything which most have not.
    fn rich() -> Record {
        let rate = HitRate {
            position: 2,
            hits: 3,
            total: 4,
        };
        Record {
            choices: 4,
            vectors: 8,
            turn: Some(Turn {
                session: 5,
                number: 0,
                of: 3,
            }),
            server: Some(Box::new(ServerFigures {
                total_ns: Some(40_000_000),
                first_token_ns: None,
                speculation: vec![rate],
            })),
            ..sample::record(0)
        }
    }

    #[test]
    fn what_few_records_have_stands_only_in_theirs() {
        let line = read(&rich());
        assert_eq!(
            (&line["choices"], &line["vectors"]),
            (&serde_json::json!(4), &serde_json::json!(8))
        );
        assert_eq!(
            line["conversation"],
            serde_json::json!({"session": 5, "turn": 1, "of": 3})
        );
        let speculation = serde_json::json!([{"position": 2, "hits": 3, "total": 4}]);
        assert_eq!(
            line["server"],
            serde_json::json!({"total_ns": 40_000_000, "first_token_ns": null, "speculation": speculation})
        );
        let plain = read(&sample::record(0));
        for absent in ["choices", "vectors", "conversation", "server"] {
            assert!(plain.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn lines_follow_the_shipped_schema() {
        let schema = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let failed = Record {
            index: Index::Turn { user: 3, turn: 1 },
            outcome: Outcome::TimeoutConnect,
            sent: None,
            headers: None,
            marks: Vec::new(),
            error: "two\nlines".to_owned(),
            retry_after_s: Some(1.5),
            finish: Some(FinishReason::Length),
            ..sample::record(7)
        };
        for record in [sample::record(0), failed, rich()] {
            assert!(validator.is_valid(&read(&record)), "{record:?}");
        }
        let mut wrong = read(&sample::record(0));
        wrong["outcome"] = serde_json::json!("fine");
        assert!(!validator.is_valid(&wrong));
    }

    #[test]
    fn every_time_is_there_in_nanoseconds() {
        let line = read(&sample::record(1_000));
        assert_eq!(line["index"], serde_json::json!({"arrival": 1_000}));
        assert_eq!(
            line["content_ns"],
            serde_json::json!([1_011_000_000, 1_021_000_000, 1_041_000_000])
        );
        assert_eq!(line["tokens"], serde_json::json!([1, 1, 2]));
        assert_eq!(line["sent_ns"], serde_json::json!(1_001_000_000));
        assert_eq!(line["usage"]["completion_tokens"], serde_json::json!(4));
    }
}
