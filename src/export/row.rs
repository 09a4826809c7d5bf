//! The columns of one request, the same in every table: names with units, and how each is read off a record.
//! It writes no format. What is unknown of a request is empty, never 0.

use crate::domain::{FinishReason, Index, Mark, Offset, Record, TokenSource};
use crate::metrics::time_per_output_token;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers.
    Whole,
    /// Numbers with a fraction.
    Real,
    /// Words.
    Text,
    /// Yes or no.
    Flag,
}

/// What stands in one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// It is unknown, or not defined for this request.
    Empty,
    /// A whole number.
    Whole(u64),
    /// A number with a fraction.
    Real(f64),
    /// Words.
    Text(&'a str),
    /// Yes or no.
    Flag(bool),
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its name, with the unit where there is one.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// What stands in it.
    pub(super) read: fn(&Record) -> Cell<'_>,
}

/// A column whose places hold lists of whole numbers; tables that are flat have none.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListColumn {
    /// Its name, with the unit where there is one.
    pub(super) name: &'static str,
    /// What stands in it, appended.
    pub(super) read: fn(&Record, &mut Vec<u64>),
}

const fn whole(name: &'static str, read: fn(&Record) -> Cell<'_>) -> Column {
    let kind = Kind::Whole;
    Column { name, kind, read }
}

const fn real(name: &'static str, read: fn(&Record) -> Cell<'_>) -> Column {
    let kind = Kind::Real;
    Column { name, kind, read }
}

const fn text(name: &'static str, read: fn(&Record) -> Cell<'_>) -> Column {
    let kind = Kind::Text;
    Column { name, kind, read }
}

const fn flag(name: &'static str, read: fn(&Record) -> Cell<'_>) -> Column {
    let kind = Kind::Flag;
    Column { name, kind, read }
}

/// The columns, in order. Names that end in `_ns` are times since the start of the run, or spans where they say so;
/// those in `_ms` are derived, by the formulas of the report.
pub(super) const COLUMNS: [Column; 45] = [
    whole("arrival", |it| match it.index {
        Index::Arrival(arrival) => Cell::Whole(arrival),
        Index::Turn { .. } => Cell::Empty,
    }),
    whole("user", |it| match it.index {
        Index::Arrival(_) => Cell::Empty,
        Index::Turn { user, .. } => Cell::Whole(user.into()),
    }),
    whole("user_request", |it| match it.index {
        Index::Arrival(_) => Cell::Empty,
        Index::Turn { turn, .. } => Cell::Whole(turn.into()),
    }),
    text("outcome", |it| Cell::Text(it.outcome.name())),
    flag("good", |it| Cell::Flag(it.outcome.is_good())),
    whole("status", |it| count(it.status)),
    text("error", |it| match it.error.as_str() {
        "" => Cell::Empty,
        words => Cell::Text(words),
    }),
    text("finish", |it| {
        it.finish.map_or(Cell::Empty, |it| Cell::Text(word(it)))
    }),
    flag("streamed", |it| Cell::Flag(it.streamed)),
    whole("due_ns", |it| Cell::Whole(it.due.as_nanos())),
    whole("sent_ns", |it| time(it.sent)),
    whole("headers_ns", |it| time(it.headers)),
    whole("first_content_ns", |it| time(it.first_content())),
    whole("first_visible_ns", |it| time(it.first_visible)),
    whole("last_content_ns", |it| {
        time(it.marks.last().map(|mark| mark.at))
    }),
    whole("end_ns", |it| Cell::Whole(it.end.as_nanos())),
    whole("content_events", |it| Cell::Whole(it.marks.len() as u64)),
    real("lateness_ms", |it| since(it.sent, Some(it.due))),
    real("ttft_ms", |it| {
        since(it.first_content().filter(|_| it.streamed), it.sent)
    }),
    real("tpot_ms", |it| {
        let streamed = it.streamed && it.marks.len() > 1;
        let nanos = time_per_output_token(it).filter(|_| streamed);
        nanos.map_or(Cell::Empty, |nanos| Cell::Real(millis(nanos)))
    }),
    real("latency_ms", |it| since(it.last_content(), it.sent)),
    real("total_latency_ms", |it| since(Some(it.end), it.sent)),
    whole("prompt_tokens", |it| count(it.prompt_tokens())),
    whole("output_tokens", |it| {
        count(it.output_tokens().map(|(tokens, _)| tokens))
    }),
    text("output_tokens_by", |it| match it.output_tokens() {
        None => Cell::Empty,
        Some((_, TokenSource::Usage)) => Cell::Text("usage"),
        Some((_, TokenSource::Logprobs)) => Cell::Text("logprobs"),
        Some((_, TokenSource::Tokenizer)) => Cell::Text("tokenizer"),
    }),
    whole("usage_prompt_tokens", |it| count(it.usage.prompt_tokens)),
    whole("usage_completion_tokens", |it| {
        count(it.usage.completion_tokens)
    }),
    whole("usage_cached_tokens", |it| count(it.usage.cached_tokens)),
    whole("usage_reasoning_tokens", |it| {
        count(it.usage.reasoning_tokens)
    }),
    whole("logprob_tokens", |it| count(it.logprob_tokens)),
    whole("tokenizer_tokens", |it| count(it.tokenizer_tokens)),
    whole("max_tokens", |it| Cell::Whole(it.max_tokens.into())),
    whole("requested_prompt_tokens", |it| {
        count(it.requested_prompt_tokens)
    }),
    whole("counted_prompt_tokens", |it| {
        count(it.counted_prompt_tokens)
    }),
    whole("output_chars", |it| Cell::Whole(it.output_chars)),
    whole("body_bytes", |it| Cell::Whole(it.body_bytes)),
    flag("new_connection", |it| Cell::Flag(it.new_connection)),
    whole("connect_span_ns", |it| Cell::Whole(it.connect_ns)),
    real("retry_after_s", |it| {
        it.retry_after_s.map_or(Cell::Empty, Cell::Real)
    }),
    whole("choices", |it| Cell::Whole(it.choices.into())),
    whole("vectors", |it| Cell::Whole(it.vectors.into())),
    whole("session", |it| count(it.turn.map(|turn| turn.session))),
    whole("turn", |it| {
        count(it.turn.map(|turn| u64::from(turn.number) + 1))
    }),
    whole("server_total_span_ns", |it| {
        count(it.server.as_ref().and_then(|server| server.total_ns))
    }),
    whole("server_first_token_span_ns", |it| {
        count(it.server.as_ref().and_then(|server| server.first_token_ns))
    }),
];

/// What only tables with lists have beside them.
pub(super) const LISTS: [ListColumn; 5] = [
    ListColumn {
        name: "content_ns",
        read: |it, into| into.extend(it.marks.iter().map(|mark| mark.at.as_nanos())),
    },
    ListColumn {
        name: "content_tokens",
        read: |it, into| into.extend(it.marks.iter().map(tokens)),
    },
    ListColumn {
        name: "speculation_position",
        read: |it, into| into.extend(speculation(it, |rate| rate.position)),
    },
    ListColumn {
        name: "speculation_hits",
        read: |it, into| into.extend(speculation(it, |rate| rate.hits)),
    },
    ListColumn {
        name: "speculation_total",
        read: |it, into| into.extend(speculation(it, |rate| rate.total)),
    },
];

fn tokens(mark: &Mark) -> u64 {
    mark.tokens.into()
}

fn speculation(
    record: &Record,
    of: fn(&crate::domain::HitRate) -> u32,
) -> impl Iterator<Item = u64> + '_ {
    let rates = record.server.iter().flat_map(|server| &server.speculation);
    rates.map(move |rate| of(rate).into())
}

fn count<'a>(number: Option<impl Into<u64>>) -> Cell<'a> {
    number.map_or(Cell::Empty, |number| Cell::Whole(number.into()))
}

fn time<'a>(at: Option<Offset>) -> Cell<'a> {
    count(at.map(Offset::as_nanos))
}

/// From `from` to `at`, in milliseconds.
fn since<'a>(at: Option<Offset>, from: Option<Offset>) -> Cell<'a> {
    match at.zip(from) {
        Some((at, from)) => Cell::Real(millis(at.nanos_since(from))),
        None => Cell::Empty,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ns are 104 days, and a time is shown with its 17 best digits"
)]
const fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

const fn word(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::Outcome;
    use crate::report::sample;

    fn cell<'a>(record: &'a Record, name: &str) -> Cell<'a> {
        let column = COLUMNS.iter().find(|column| column.name == name).unwrap();
        (column.read)(record)
    }

    #[test]
    fn derived_figures_are_those_of_the_report() {
        let mut tally = crate::metrics::Tally::default();
        let record = sample::record(1_000);
        tally.record(
            &record,
            &crate::metrics::Window::default(),
            &crate::metrics::Rules::default(),
        );
        for (name, key) in [
            ("lateness_ms", "lateness_ms"),
            ("ttft_ms", "ttft_ms"),
            ("tpot_ms", "tpot_ms"),
            ("latency_ms", "latency_ms"),
            ("total_latency_ms", "total_latency_ms"),
        ] {
            let series = tally.measured.series.iter();
            let (_, series) = series.clone().find(|(it, _)| it.key() == key).unwrap();
            assert_eq!(
                cell(&record, name),
                Cell::Real(series.mean().unwrap() / 1e6),
                "{name}"
            );
        }
        assert_eq!(cell(&record, "output_tokens"), Cell::Whole(4));
        assert_eq!(cell(&record, "output_tokens_by"), Cell::Text("usage"));
    }

    #[test]
    fn what_is_unknown_is_empty() {
        let failed = Record {
            outcome: Outcome::Connect,
            sent: None,
            headers: None,
            marks: Vec::new(),
            first_visible: None,
            usage: crate::domain::Usage::default(),
            ..sample::record(7)
        };
        for name in [
            "sent_ns",
            "headers_ns",
            "first_content_ns",
            "ttft_ms",
            "tpot_ms",
            "total_latency_ms",
            "lateness_ms",
            "output_tokens",
            "user",
            "session",
        ] {
            assert_eq!(cell(&failed, name), Cell::Empty, "{name}");
        }
        assert_eq!(cell(&failed, "good"), Cell::Flag(false));
    }

    #[test]
    fn every_column_has_its_own_name_and_keeps_to_its_kind() {
        let names: BTreeSet<_> = COLUMNS.iter().map(|column| column.name).collect();
        let lists: BTreeSet<_> = LISTS.iter().map(|column| column.name).collect();
        assert_eq!((names.len(), lists.len()), (COLUMNS.len(), LISTS.len()));
        assert!(names.is_disjoint(&lists));
        let record = sample::record(0);
        for column in COLUMNS {
            let fits = match (column.read)(&record) {
                Cell::Empty => true,
                Cell::Whole(_) => column.kind == Kind::Whole,
                Cell::Real(_) => column.kind == Kind::Real,
                Cell::Text(_) => column.kind == Kind::Text,
                Cell::Flag(_) => column.kind == Kind::Flag,
            };
            assert!(fits, "{}", column.name);
        }
    }

    #[test]
    fn the_manual_names_every_column() {
        let manual = include_str!("../../docs/export.md");
        let lists = LISTS.iter().map(|column| column.name);
        for name in COLUMNS.iter().map(|column| column.name).chain(lists) {
            assert!(manual.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
