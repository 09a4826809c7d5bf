//! What is seen of one exchange while it happens: stamps, content events, counts, and how it ended.
//! It decodes nothing itself and computes no figure.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;

use super::watchdog::Watched;
use crate::client::{Clock, Failure, Head, Observer};
use crate::domain::{
    Ask, ContentKind, FinishReason, Index, Mark, Offset, Outcome, Record, ServerFigures, Signal,
    Turn, Usage, Warning, format_span,
};
use crate::provider::{self, Decoder};

/// Most bytes kept of an error's body.
const MAX_ERROR_BODY: usize = 4096;

/// The time-outs that can end an exchange, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimedOut {
    FirstToken(Duration),
    Idle(Duration),
    Total(Duration),
}

/// How an exchange came to its end.
pub(super) enum Ended {
    Done(Result<(), Failure>),
    TimedOut(TimedOut),
    Cancelled,
}

/// One exchange, seen from the engine. Written by the transport.
pub(super) struct Reading {
    clock: Clock,
    watched: Rc<Watched>,
    stamps: RefCell<Stamps>,
    answer: RefCell<Answer>,
}

/// Which request it is, and when it was wanted.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) index: Index,
    pub(super) due: Offset,
    /// By how much the run's time is behind the clock.
    pub(super) behind_ns: i64,
    /// From when a user was free for it.
    pub(super) ready: Offset,
}

/// What of an ask is still needed when its text is sent.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    max_tokens: u32,
    requested_prompt_tokens: Option<u32>,
    counted_prompt_tokens: Option<u32>,
    turn: Option<Turn>,
}

impl Asked {
    /// Whether it is a turn of a conversation that goes on after it.
    pub(super) fn is_turn(&self) -> bool {
        self.turn.is_some()
    }
}

/// What is wanted of an exchange beside its record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// The visible text of its answer.
    pub(super) answer: bool,
    /// Nothing after its first content event: the stream is dropped there.
    pub(super) first_event_alone: bool,
}

impl From<&Ask> for Asked {
    fn from(ask: &Ask) -> Self {
        Self {
            max_tokens: ask.max_tokens,
            requested_prompt_tokens: ask.requested_prompt_tokens,
            counted_prompt_tokens: ask.counted_prompt_tokens,
            turn: ask.turn,
        }
    }
}

#[derive(Default)]
struct Stamps {
    begun: Option<Offset>,
    sent: Option<Offset>,
    /// From when it could have been sent once more.
    ready_again: Option<Offset>,
    headers: Option<Offset>,
    end: Option<Offset>,
    opened: bool,
    waited: Duration,
    sent_again: Option<Offset>,
}

/// The answer as decoded so far.
struct Answer {
    decoder: Box<dyn Decoder>,
    status: Option<StatusCode>,
    retry_after_s: Option<f64>,
    error_body: Vec<u8>,
    broken: Option<(Outcome, String)>,
    heard: Heard,
}

/// What the decoder said.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that was heard or not"
)]
struct Heard {
    marks: Vec<Mark>,
    /// Content events that came in one read with a later one.
    shared: u64,
    /// The event that is being read has text that is not reasoning.
    visible: bool,
    first_visible: Option<Offset>,
    usage: Usage,
    finish: Option<FinishReason>,
    /// An error inside a 200.
    server_error: Option<String>,
    /// Its number.
    server_code: Option<i32>,
    ended: bool,
    after_end: bool,
    chars: u64,
    bytes: u64,
    /// Tokens that the server marked one by one.
    marked_tokens: u32,
    /// A piece of output had no such marks: their sum is not the count.
    unmarked: bool,
    /// Embeddings, or ranked documents.
    vectors: u32,
    server: Option<Box<ServerFigures>>,
    /// What the decoder warned about.
    warnings: Vec<Warning>,
    text: Option<String>,
    /// What of it is visible, where it is wanted.
    answer: Option<String>,
    /// The stream is to be dropped at its first content event.
    drops: bool,
    /// That was there.
    dropped: bool,
}

impl Reading {
    /// A reading whose answer `decoder` understands; `keep_text` joins the output for those who need it.
    pub(super) fn new(
        clock: Clock,
        watched: Rc<Watched>,
        decoder: Box<dyn Decoder>,
        keep_text: bool,
    ) -> Self {
        let heard = Heard {
            text: keep_text.then(String::new),
            ..Heard::default()
        };
        let answer = Answer {
            decoder,
            status: None,
            retry_after_s: None,
            error_body: Vec::new(),
            broken: None,
            heard,
        };
        Self {
            clock,
            watched,
            stamps: RefCell::default(),
            answer: RefCell::new(answer),
        }
    }

    /// The same, of which more is wanted.
    pub(super) fn wanting(mut self, wanted: Wanted) -> Self {
        let heard = &mut self.answer.get_mut().heard;
        heard.answer = wanted.answer.then(String::new);
        heard.drops = wanted.first_event_alone;
        self
    }
}

impl Observer for Reading {
    fn connected(&self, new: bool, waited: Duration) {
        let now = self.clock.now();
        self.watched.begun.set(Some(now));
        self.watched.last_activity.set(now);
        let stamps = &mut *self.stamps.borrow_mut();
        stamps.opened = new;
        stamps.waited = waited;
    }

    fn sent_again(&self) {
        self.stamps.borrow_mut().sent_again = Some(self.clock.now());
    }

    fn sent(&self, first: Offset, last: Offset) {
        let stamps = &mut *self.stamps.borrow_mut();
        stamps.begun = Some(first);
        stamps.sent = Some(last);
        stamps.ready_again = stamps.sent_again;
    }

    fn head(&self, head: Head<'_>, at: Offset) {
        self.watched.last_activity.set(at);
        self.stamps.borrow_mut().headers = Some(at);
        let mut answer = self.answer.borrow_mut();
        answer.status = Some(head.status);
        let retry_after = (head.field)("retry-after").and_then(|value| str::from_utf8(value).ok());
        answer.retry_after_s = retry_after.and_then(|seconds| seconds.trim().parse().ok());
        if head.status.is_success() {
            let Answer { decoder, heard, .. } = &mut *answer;
            decoder.head(head.field, &mut |signal| heard.hear(&signal, at));
        }
    }

    fn body(&self, bytes: &[u8], at: Offset) -> bool {
        self.watched.last_activity.set(at);
        let mut answer = self.answer.borrow_mut();
        let more = answer.take(bytes, at);
        if !answer.heard.marks.is_empty() {
            self.watched.has_content.set(true);
        }
        more && !answer.heard.dropped
    }

    fn end(&self, at: Offset) {
        self.stamps.borrow_mut().end = Some(at);
    }
}

impl Answer {
    /// Decodes a piece of the body; `false` when the rest cannot be understood.
    fn take(&mut self, bytes: &[u8], at: Offset) -> bool {
        self.heard.bytes += bytes.len() as u64;
        if !self.status.is_some_and(|status| status.is_success()) {
            let room = MAX_ERROR_BODY.saturating_sub(self.error_body.len());
            self.error_body
                .extend_from_slice(&bytes[..bytes.len().min(room)]);
            return true;
        }
        let Self { decoder, heard, .. } = self;
        match decoder.feed(bytes, &mut |signal| heard.hear(&signal, at)) {
            Ok(()) => true,
            Err(error) => {
                self.broken = Some((Outcome::ParseError, error.to_string()));
                false
            }
        }
    }

    fn finish(&mut self, at: Offset) {
        if self.broken.is_some() || !self.status.is_some_and(|status| status.is_success()) {
            return;
        }
        let Self { decoder, heard, .. } = self;
        if let Err(error) = decoder.finish(&mut |signal| heard.hear(&signal, at)) {
            self.broken = Some((Outcome::ParseError, error.to_string()));
        }
    }

    /// The fate of an answer whose exchange was completed by the transport, or broke with `failure`.
    fn outcome(&self, failure: Option<Failure>, max_tokens: u32) -> (Outcome, String) {
        if let Some(status) = self.status
            && let Some(outcome) = provider::outcome_of_status(status.as_u16())
        {
            return (
                outcome,
                format!(
                    "{}: {}",
                    status.as_u16(),
                    provider::error_text(&self.error_body)
                ),
            );
        }
        if let Some((outcome, text)) = &self.broken {
            return (*outcome, text.clone());
        }
        if let Some(text) = &self.heard.server_error {
            return (Outcome::InStreamError, text.clone());
        }
        match failure {
            // Once the terminal event was read, what the connection does is its own affair.
            Some(failure) if !self.heard.ended => (failure.outcome, failure.text),
            _ => self.heard.outcome(max_tokens),
        }
    }
}

impl Heard {
    fn hear(&mut self, signal: &Signal<'_>, at: Offset) {
        // How the bytes were cut must not show: of a stream that is dropped nothing counts that came with its first event.
        if self.dropped {
            return;
        }
        match *signal {
            Signal::Content {
                kind,
                text,
                tokens,
                choice,
            } => {
                self.content(kind, text, tokens);
                self.note_answer(kind, text, choice);
            }
            Signal::EventEnd { tokens } => self.event_end(tokens, at),
            Signal::SilentTokens(tokens) => self.marked_tokens += tokens,
            Signal::Usage(usage) => self.usage = self.usage.updated(usage),
            Signal::Finish(reason) => self.finish = Some(reason),
            Signal::End => self.ended = true,
            Signal::ServerError { text, code } => {
                self.server_error = Some(text.to_owned());
                self.server_code = code;
            }
            Signal::AfterEnd => self.after_end = true,
            Signal::Vectors(count) => self.vectors += count,
            Signal::Server(figures) => self.server = Some(Box::new(figures.clone())),
            Signal::Warning(warning) => self.warnings.push(warning),
        }
    }

    fn content(&mut self, kind: ContentKind, text: &str, tokens: Option<u32>) {
        self.marked_tokens += tokens.unwrap_or(0);
        self.unmarked |= tokens.is_none();
        self.visible |= kind != ContentKind::Reasoning;
        self.chars += count_chars(text);
        if let Some(joined) = &mut self.text {
            joined.push_str(text);
        }
    }

    /// A conversation goes on with what its user could read.
    fn note_answer(&mut self, kind: ContentKind, text: &str, choice: u32) {
        if let Some(answer) = &mut self.answer
            && choice == 0
            && matches!(kind, ContentKind::Text | ContentKind::Refusal)
        {
            answer.push_str(text);
        }
    }

    fn event_end(&mut self, tokens: Option<u32>, at: Offset) {
        // No two reads have one stamp, but all events of one read do: that of the last bytes.
        if self.marks.last().is_some_and(|last| last.at == at) {
            self.shared += 1;
        }
        self.marks.push(Mark {
            at,
            tokens: tokens.unwrap_or(0),
        });
        if std::mem::take(&mut self.visible) && self.first_visible.is_none() {
            self.first_visible = Some(at);
        }
        self.dropped = self.drops;
    }

    fn outcome(&self, max_tokens: u32) -> (Outcome, String) {
        if !self.ended {
            return (
                Outcome::Cut,
                "the answer ended without its terminal event".to_owned(),
            );
        }
        if self.chars == 0
            && self.vectors == 0
            && self.usage.completion_tokens.unwrap_or(0) == 0
            && max_tokens > 0
        {
            return (
                Outcome::Empty,
                "the answer has neither text nor output tokens".to_owned(),
            );
        }
        let outcome = if self.finish == Some(FinishReason::Length) {
            Outcome::Truncated
        } else {
            Outcome::Ok
        };
        (outcome, String::new())
    }
}

/// Unicode scalar values: bytes that do not continue a character.
fn count_chars(text: &str) -> u64 {
    text.bytes().filter(|&byte| byte & 0xc0 != 0x80).count() as u64
}

/// A request that is over: its record, and what only the engine needs.
pub(super) struct Finished {
    pub(super) record: Record,
    pub(super) text: Option<String>,
    /// What of it is visible, where it is wanted.
    pub(super) answer: Option<String>,
    pub(super) shared: u64,
    pub(super) after_end: bool,
    pub(super) warnings: Vec<Warning>,
    pub(super) sent_again: bool,
}

impl Reading {
    /// Closes the reading of the request in `slot`, which asked for `asked`.
    pub(super) fn close(self, ended: Ended, slot: Slot, asked: Asked, streamed: bool) -> Finished {
        let now = self.clock.now();
        let stamps = self.stamps.into_inner();
        let mut answer = self.answer.into_inner();
        // Once the terminal event was read, a body that stays open is the connection's own affair: it ended with that.
        let is_over = answer.heard.ended || answer.heard.dropped;
        let over = is_over.then(|| self.watched.last_activity.get());
        let end = stamps.end.or(over).unwrap_or(now);
        let ended = match (answer.heard.dropped, answer.heard.ended) {
            (true, _) => Ended::Cancelled,
            (false, true) => Ended::Done(Ok(())),
            (false, false) => ended,
        };
        let (outcome, error) = match ended {
            Ended::Done(result) => {
                // A body that broke off is not complete, whatever it said until then.
                if result.is_ok() {
                    answer.finish(end);
                }
                answer.outcome(result.err(), asked.max_tokens)
            }
            Ended::TimedOut(which) => which.outcome(),
            Ended::Cancelled => (Outcome::Cancelled, String::new()),
        };
        let heard = answer.heard;
        let counted = !heard.marks.is_empty() && !heard.unmarked;
        let record = Record {
            index: slot.index,
            due: slot.due,
            behind_ns: slot.behind_ns,
            // What a connection that was just being closed cost is the server's affair.
            ready: stamps.ready_again.unwrap_or(slot.ready),
            // A request that got no answer was written when its connection was there, within microseconds.
            begun: stamps.begun.or(self.watched.begun.get()),
            sent: stamps.sent.or(self.watched.begun.get()),
            headers: stamps.headers,
            marks: if streamed { heard.marks } else { Vec::new() },
            first_visible: heard.first_visible.filter(|_| streamed),
            end,
            streamed,
            outcome,
            error,
            status: answer.status.map(|status| status.as_u16()),
            server_code: heard.server_code,
            retry_after_s: answer.retry_after_s,
            choices: 1,
            vectors: heard.vectors,
            server: heard.server,
            turn: asked.turn,
            finish: heard.finish,
            usage: heard.usage,
            logprob_tokens: counted.then_some(heard.marked_tokens),
            tokenizer_tokens: None,
            max_tokens: asked.max_tokens,
            requested_prompt_tokens: asked.requested_prompt_tokens,
            counted_prompt_tokens: asked.counted_prompt_tokens,
            output_chars: heard.chars,
            body_bytes: heard.bytes,
            new_connection: stamps.opened,
            connect_ns: u64::try_from(stamps.waited.as_nanos()).unwrap_or(u64::MAX),
        };
        Finished {
            record,
            text: heard.text,
            answer: heard.answer,
            shared: if streamed { heard.shared } else { 0 },
            after_end: heard.after_end,
            warnings: heard.warnings,
            sent_again: stamps.sent_again.is_some(),
        }
    }
}

impl TimedOut {
    fn outcome(self) -> (Outcome, String) {
        let (outcome, what, limit) = match self {
            Self::FirstToken(limit) => (Outcome::TimeoutFirstToken, "no content", limit),
            Self::Idle(limit) => (Outcome::TimeoutIdle, "nothing arrived", limit),
            Self::Total(limit) => (Outcome::TimeoutTotal, "not complete", limit),
        };
        (outcome, format!("{what} within {}", format_span(limit)))
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
