//! The body of an answer as a dialect sees it: a stream of events or one whole document.
//! It does the framing and the bookkeeping that all dialects share; what a field means they know alone.

use super::aws::stream::{Frames, Message, Said};
use super::errors::{error_code, error_text};
use super::lines::Lines;
use super::sse::{Event, Framer, MAX_EVENT_BYTES, TooLong};
use super::{DecodeError, Decoder, Fields};
use crate::domain::{ContentKind, FinishReason, ServerFigures, Signal, Usage, Warning};

/// How a stream is cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// An event stream (`text/event-stream`).
    Events,
    /// One JSON document a line (`application/x-ndjson`).
    Lines,
    /// Amazon's messages (`application/vnd.amazon.eventstream`).
    Messages,
}

/// What the events and bodies of one API mean.
pub(super) trait Dialect: Send {
    /// How its streams are cut into events.
    fn framing(&self) -> Framing {
        Framing::Events
    }

    /// The head of the answer, of which something may be remembered.
    fn head(&mut self, _field: &Fields<'_>) {}

    /// One event of a stream.
    fn event(&mut self, data: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError>;

    /// The same for an event that differs from an earlier one in its text alone; `false` for any other, of which nothing
    /// is said. An event that is recognised has no line end in it.
    fn recognise(&mut self, _data: &[u8], _out: &mut Out<'_>) -> bool {
        false
    }

    /// One of Amazon's messages that is no failure.
    fn message(
        &mut self,
        _name: &str,
        payload: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), DecodeError> {
        self.event(payload, out)
    }

    /// The whole body of an answer that is not a stream.
    fn whole(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError>;

    /// A stream's body is complete: the chance of a dialect whose terminal event is just that.
    fn close(&mut self, out: &mut Out<'_>);
}

/// What is remembered from event to event, whatever the dialect.
#[derive(Debug, Default)]
struct Flow {
    /// The terminal event was seen.
    ended: bool,
    /// Marked tokens without text since the last content event.
    silent: u32,
}

/// Where a dialect says what it read in one event: first all content, then `event_end`, then the rest.
pub(super) struct Out<'a> {
    flow: &'a mut Flow,
    on: &'a mut dyn FnMut(Signal<'_>),
    /// Whether this event has content.
    spoke: bool,
    /// Marked tokens of this event's content; `None` when a piece was not marked.
    marked: Option<u32>,
}

impl<'a> Out<'a> {
    fn new(flow: &'a mut Flow, on: &'a mut dyn FnMut(Signal<'_>)) -> Self {
        Self {
            flow,
            on,
            spoke: false,
            marked: Some(0),
        }
    }

    /// A piece of output; an empty one is none.
    pub(super) fn content(
        &mut self,
        kind: ContentKind,
        text: &str,
        tokens: Option<u32>,
        choice: u32,
    ) {
        if text.is_empty() {
            return;
        }
        self.spoke = true;
        self.marked = self.marked.zip(tokens).map(|(a, b)| a.saturating_add(b));
        if !self.flow.ended {
            (self.on)(Signal::Content {
                kind,
                text,
                tokens,
                choice,
            });
        }
    }

    /// Marked tokens without text.
    pub(super) fn silent_tokens(&mut self, tokens: u32) {
        if tokens > 0 && !self.flow.ended {
            self.flow.silent = self.flow.silent.saturating_add(tokens);
            (self.on)(Signal::SilentTokens(tokens));
        }
    }

    /// Whether this event has content.
    pub(super) const fn spoke(&self) -> bool {
        self.spoke
    }

    /// The event's content is complete; `told` is the growth of the server's own count, where it is known.
    pub(super) fn event_end(&mut self, told: Option<u32>) {
        if !self.spoke {
            return;
        }
        self.spoke = false;
        let marked = self.marked.replace(0);
        if self.flow.ended {
            (self.on)(Signal::AfterEnd);
            return;
        }
        let marked = marked.map(|n| n.saturating_add(self.flow.silent));
        self.flow.silent = 0;
        let tokens = told.or(marked).filter(|&n| n > 0);
        (self.on)(Signal::EventEnd { tokens });
    }

    /// Embeddings, or ranked documents.
    pub(super) fn vectors(&mut self, count: u32) {
        if count > 0 {
            (self.on)(Signal::Vectors(count));
        }
    }

    /// What the server measured itself.
    pub(super) fn server(&mut self, figures: &ServerFigures) {
        if *figures != ServerFigures::default() {
            (self.on)(Signal::Server(figures));
        }
    }

    /// The answer is to be warned about.
    pub(super) fn warn(&mut self, warning: Warning) {
        (self.on)(Signal::Warning(warning));
    }

    pub(super) fn usage(&mut self, usage: Usage) {
        if usage != Usage::default() {
            (self.on)(Signal::Usage(usage));
        }
    }

    /// A choice is complete, if there is a reason why.
    pub(super) fn finish(&mut self, reason: Option<FinishReason>) {
        if let Some(reason) = reason.filter(|_| !self.flow.ended) {
            (self.on)(Signal::Finish(reason));
        }
    }

    pub(super) fn error(&mut self, words: &str) {
        self.coded_error(words, None);
    }

    /// An error that the server gave a number.
    pub(super) fn coded_error(&mut self, words: &str, code: Option<i32>) {
        (self.on)(Signal::ServerError { text: words, code });
    }

    /// The terminal event; a second one is none.
    pub(super) fn end(&mut self) {
        if !self.flow.ended {
            self.flow.ended = true;
            (self.on)(Signal::End);
        }
    }
}

/// A decoder made of a dialect.
#[derive(Debug)]
pub(super) struct Reader<D> {
    dialect: D,
    body: Body,
    flow: Flow,
}

/// How the body is read.
#[derive(Debug)]
enum Body {
    /// A stream was asked for and only white space came so far.
    Undecided(Vec<u8>),
    /// A stream of events.
    Events(Framer),
    /// A stream of lines. An answer that is one document on one line reads as one of them.
    Lines(Lines),
    /// A stream of Amazon's messages.
    Messages(Frames),
    /// One document.
    Whole(Vec<u8>),
}

impl<D: Dialect> Reader<D> {
    /// A decoder for one answer, asked for as a stream or not.
    pub(super) fn new(dialect: D, stream: bool) -> Self {
        let body = match (stream, dialect.framing()) {
            (false, _) => Body::Whole(Vec::new()),
            (true, Framing::Events | Framing::Messages) => Body::Undecided(Vec::new()),
            (true, Framing::Lines) => Body::Lines(Lines::default()),
        };
        Self {
            dialect,
            body,
            flow: Flow::default(),
        }
    }

    /// Servers answer with a whole document to a request for a stream: errors, and mocks that ignore `stream`.
    /// No event stream begins with a bracket: it would be an unknown field, or the length of a message beyond all limits.
    fn decide(&mut self, bytes: &[u8]) {
        let Body::Undecided(blank) = &mut self.body else {
            return;
        };
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        match first {
            None => {}
            Some(b'{' | b'[') => self.body = Body::Whole(std::mem::take(blank)),
            Some(_) if self.dialect.framing() == Framing::Messages => {
                self.body = Body::Messages(Frames::with(std::mem::take(blank)));
            }
            Some(_) => {
                // White space alone makes no event; the framer still wants it for its line ends.
                let mut framer = Framer::default();
                let fed = framer.feed(blank, &mut |_| Ok::<(), TooLong>(()));
                debug_assert_eq!(fed, Ok(()));
                self.body = Body::Events(framer);
            }
        }
    }
}

/// Reads one event.
fn read<D: Dialect>(
    dialect: &mut D,
    flow: &mut Flow,
    event: Event<'_>,
    on: &mut dyn FnMut(Signal<'_>),
) -> Result<(), DecodeError> {
    let mut out = Out::new(flow, on);
    if event.name == b"error" {
        out.coded_error(&error_text(event.data), error_code(event.data));
        return Ok(());
    }
    let data = event.data.trim_ascii();
    if data.is_empty() {
        return Ok(());
    }
    dialect.event(data, &mut out)
}

/// Reads one line that is a document.
fn read_line<D: Dialect>(
    dialect: &mut D,
    flow: &mut Flow,
    line: &[u8],
    on: &mut dyn FnMut(Signal<'_>),
) -> Result<(), DecodeError> {
    match line.trim_ascii() {
        [] => Ok(()),
        data => dialect.event(data, &mut Out::new(flow, on)),
    }
}

/// Reads one of Amazon's messages.
fn read_message<D: Dialect>(
    dialect: &mut D,
    flow: &mut Flow,
    message: Message<'_>,
    on: &mut dyn FnMut(Signal<'_>),
) -> Result<(), DecodeError> {
    let mut out = Out::new(flow, on);
    match Said::of(message) {
        Said::Event(name) => dialect.message(name, message.payload, &mut out),
        failure => {
            failure.tell_failure(message.payload, &mut out);
            Ok(())
        }
    }
}

/// A stream is complete, and this became of its last, unfinished event: that may have been cut; if it reads, it was not.
fn close<D: Dialect>(
    rest: Result<(), DecodeError>,
    dialect: &mut D,
    out: &mut Out<'_>,
) -> Result<(), DecodeError> {
    if !matches!(rest, Err(DecodeError::Json { .. })) {
        rest?;
        dialect.close(out);
    }
    Ok(())
}

/// What stands between `data:` and the blank line, if that is all there is.
fn only_event(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(b"data: ")?.strip_suffix(b"\n\n")
}

fn store(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), DecodeError> {
    if buffer.len() + bytes.len() > MAX_EVENT_BYTES {
        return Err(TooLong.into());
    }
    buffer.extend_from_slice(bytes);
    Ok(())
}

impl<D: Dialect> Decoder for Reader<D> {
    fn head(&mut self, field: &Fields<'_>, _on: &mut dyn FnMut(Signal<'_>)) {
        self.dialect.head(field);
    }

    fn feed(&mut self, bytes: &[u8], on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError> {
        self.decide(bytes);
        let Self {
            dialect,
            body,
            flow,
        } = self;
        match body {
            Body::Undecided(buffer) | Body::Whole(buffer) => store(buffer, bytes),
            Body::Events(framer) => {
                // Mostly a piece is one event. Its frame is then plain to see, and need not be looked for.
                if framer.is_between_events()
                    && let Some(data) = only_event(bytes)
                    && dialect.recognise(data, &mut Out::new(flow, on))
                {
                    return Ok(());
                }
                framer.feed(bytes, &mut |event| read(dialect, flow, event, on))
            }
            Body::Lines(lines) => lines.feed(bytes, &mut |line| read_line(dialect, flow, line, on)),
            Body::Messages(frames) => frames.feed(bytes, &mut |message| {
                read_message(dialect, flow, message, on)
            }),
        }
    }

    fn finish(&mut self, on: &mut dyn FnMut(Signal<'_>)) -> Result<(), DecodeError> {
        let Self {
            dialect,
            body,
            flow,
        } = self;
        match body {
            Body::Messages(frames) if frames.is_between_frames() => {
                dialect.close(&mut Out::new(flow, on));
            }
            // Of messages: it was cut within one.
            Body::Undecided(_) | Body::Messages(_) => {}
            Body::Whole(body) => match dialect.whole(body, &mut Out::new(flow, on)) {
                // A document that stops short is a cut answer, not a garbled one: no `End` comes.
                Err(DecodeError::Json {
                    incomplete: true, ..
                }) => {}
                other => return other,
            },
            Body::Events(framer) => {
                let rest = framer.finish(&mut |event| read(dialect, flow, event, on));
                return close(rest, dialect, &mut Out::new(flow, on));
            }
            Body::Lines(lines) => {
                let rest = lines.finish(&mut |line| read_line(dialect, flow, line, on));
                return close(rest, dialect, &mut Out::new(flow, on));
            }
        }
        Ok(())
    }
}
