//! Writes the bytes of an event stream into one growing buffer: line ends, stamps, and the count of events.
//! What stands in an event is the dialects' matter.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};

use super::frames;

/// How much is set aside at a time; a buffer serves several dozen events.
const CHUNK: usize = 4_096;

/// The writer of one stream.
#[derive(Debug)]
pub(super) struct Sse {
    out: BytesMut,
    line_end: &'static str,
    stamp: bool,
    sent_ns: u64,
    events: u64,
}

impl Sse {
    pub(super) fn new(line_end: &'static str, stamp: bool) -> Self {
        Self {
            out: BytesMut::new(),
            line_end,
            stamp,
            sent_ns: 0,
            events: 0,
        }
    }

    /// The time that goes into the stamps of the events from here on.
    pub(super) fn set_time(&mut self, sent_ns: u64) {
        self.sent_ns = sent_ns;
    }

    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// What was written since the last time, and how many events that was.
    pub(super) fn take(&mut self) -> (Bytes, u64) {
        (self.out.split().freeze(), std::mem::take(&mut self.events))
    }

    /// The buffer itself, for text that needs no escaping.
    pub(super) fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        // Writing to memory cannot fail.
        let _ = write!(self.out, "{}", number.into());
        self
    }

    /// The start of an event whose first bytes are known beforehand (`data: {...`).
    pub(super) fn begin(&mut self, head: &str) -> &mut Self {
        if self.out.capacity() - self.out.len() < 512 {
            self.out.reserve(CHUNK);
        }
        self.text(head)
    }

    /// The `event:` field, for dialects that name their events.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        let line_end = self.line_end;
        self.begin("event: ").text(name).text(line_end)
    }

    /// The end of an event whose data is an object: its stamp, its last brace, the empty line.
    pub(super) fn close_object(&mut self) {
        if self.stamp {
            let sent_ns = self.sent_ns;
            self.text(",\"mock_sent_ns\":").number(sent_ns);
        }
        self.text("}");
        self.close();
    }

    /// The end of an object that is a line of its own: its stamp, its last brace, the line end.
    pub(super) fn close_line(&mut self) {
        if self.stamp {
            let sent_ns = self.sent_ns;
            self.text(",\"mock_sent_ns\":").number(sent_ns);
        }
        self.text("}");
        self.break_line();
    }

    /// The end of a line that is an event.
    pub(super) fn break_line(&mut self) {
        let line_end = self.line_end;
        self.text(line_end);
        self.events += 1;
    }

    /// The end of any event.
    pub(super) fn close(&mut self) {
        let line_end = self.line_end;
        self.text(line_end).text(line_end);
        self.events += 1;
    }

    /// A frame of Amazon's event streams.
    pub(super) fn frame(&mut self, headers: &[(&str, &str)], payload: &[u8]) {
        frames::write(&mut self.out, headers, payload);
        self.events += 1;
    }

    /// The same of an object, which gets its stamp and its last brace here.
    pub(super) fn frame_object(&mut self, headers: &[(&str, &str)], mut payload: String) {
        if self.stamp {
            // Writing to a string cannot fail.
            let _ = write!(payload, ",\"mock_sent_ns\":{}", self.sent_ns);
        }
        payload.push('}');
        self.frame(headers, payload.as_bytes());
    }

    /// A writer of what stands inside of frames.
    pub(super) fn inner(&self) -> Self {
        Self {
            sent_ns: self.sent_ns,
            ..Self::new("\n", self.stamp)
        }
    }

    /// A comment, which is no event.
    pub(super) fn comment(&mut self, comment: &str) {
        let line_end = self.line_end;
        self.text(": ").text(comment).text(line_end).text(line_end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_and_comments_are_not() {
        let mut sse = Sse::new("\r\n", true);
        sse.set_time(42);
        sse.begin("data: {\"a\":").number(7_u32).close_object();
        sse.comment("ping");
        sse.name("x").text("data: 1").close();
        let (bytes, events) = sse.take();
        let text =
            "data: {\"a\":7,\"mock_sent_ns\":42}\r\n\r\n: ping\r\n\r\nevent: x\r\ndata: 1\r\n\r\n";
        assert_eq!(bytes, text);
        assert_eq!(events, 2);
        assert_eq!(sse.take(), (Bytes::new(), 0));
    }
}
