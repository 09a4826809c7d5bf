//! Framing of the WHATWG event stream: bytes in, events out, whatever the reads cut.
//! It knows no API and no JSON, and an event that lies inside one read is not copied.

use std::mem;

use memchr::memchr2;

/// The most bytes that one event may have: a server that never ends an event must not fill the memory.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// One event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field; empty when there is none.
    pub name: &'a [u8],
    /// The `data` fields, joined by line feeds.
    pub data: &'a [u8],
}

/// An event grew beyond `MAX_EVENT_BYTES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT_BYTES} bytes")]
pub struct TooLong;

/// Splits a stream into events. After an error it must not be fed again.
#[derive(Debug, Default)]
pub struct Framer {
    /// Bytes of the byte order mark seen; its length when the start of the stream is past.
    bom: usize,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    /// The open event's name.
    name: Vec<u8>,
    /// The open event's data, where it could not stay in the read buffer.
    data: Vec<u8>,
    /// Whether `data` holds anything: an event may have empty data.
    kept: bool,
}

impl Framer {
    /// Takes the next piece of the stream, cut anywhere, and hands on the events that it completes.
    ///
    /// # Errors
    /// `TooLong`, and whatever `on` returns.
    pub fn feed<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        on: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = self.past_bom(bytes);
        let mut here = None;
        loop {
            rest = self.past_line_feed(rest);
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                break;
            };
            let line = &rest[..end];
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.check(here.map_or(0, <[u8]>::len) + line.len())?;
            if self.line.is_empty() {
                self.take_line(line, &mut here, on)?;
            } else {
                self.take_split_line(line, on)?;
            }
        }
        if let Some(data) = here {
            self.keep(data);
        }
        self.check(rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// The stream is complete.
    ///
    /// By the standard an event without its final blank line is dropped. Servers that close right after their
    /// last line are common, so it is handed on; the reader must expect that it was cut in the middle.
    ///
    /// # Errors
    /// Whatever `on` returns.
    pub fn finish<E>(&mut self, on: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let line = mem::take(&mut self.line);
        let mut here = None;
        if !line.is_empty() {
            self.take_line(&line, &mut here, on)?;
        }
        self.dispatch(here, on)
    }

    /// Whether the next byte begins a new event.
    pub fn is_between_events(&self) -> bool {
        self.bom == BOM.len()
            && !self.after_cr
            && !self.kept
            && self.line.is_empty()
            && self.name.is_empty()
    }

    fn check(&self, more: usize) -> Result<(), TooLong> {
        if self.line.len() + self.data.len() + more > MAX_EVENT_BYTES {
            Err(TooLong)
        } else {
            Ok(())
        }
    }

    fn past_bom<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        while self.bom < BOM.len() {
            match rest.split_first() {
                None => break,
                Some((&byte, tail)) if byte == BOM[self.bom] => {
                    self.bom += 1;
                    rest = tail;
                }
                Some(_) => {
                    self.line.extend_from_slice(&BOM[..self.bom]);
                    self.bom = BOM.len();
                }
            }
        }
        rest
    }

    fn past_line_feed<'b>(&mut self, rest: &'b [u8]) -> &'b [u8] {
        if !self.after_cr || rest.is_empty() {
            return rest;
        }
        self.after_cr = false;
        rest.strip_prefix(b"\n").unwrap_or(rest)
    }

    /// A line that began in an earlier read. It is the first of this one, so no data can be borrowed yet.
    fn take_split_line<E>(
        &mut self,
        end: &[u8],
        on: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut line = mem::take(&mut self.line);
        line.extend_from_slice(end);
        let mut here = None;
        self.take_line(&line, &mut here, on)?;
        if let Some(data) = here {
            self.keep(data);
        }
        line.clear();
        self.line = line;
        Ok(())
    }

    fn take_line<'b, E>(
        &mut self,
        line: &'b [u8],
        here: &mut Option<&'b [u8]>,
        on: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if line.is_empty() {
            return self.dispatch(here.take(), on);
        }
        if let Some(value) = value_of(line, b"data") {
            self.add_data(value, here);
        } else if let Some(value) = value_of(line, b"event") {
            self.name.clear();
            self.name.extend_from_slice(value);
        }
        Ok(())
    }

    fn add_data<'b>(&mut self, value: &'b [u8], here: &mut Option<&'b [u8]>) {
        if let Some(first) = here.take() {
            self.keep(first);
        }
        if self.kept {
            self.data.push(b'\n');
            self.data.extend_from_slice(value);
        } else {
            *here = Some(value);
        }
    }

    fn keep(&mut self, data: &[u8]) {
        self.data.extend_from_slice(data);
        self.kept = true;
    }

    fn dispatch<E>(
        &mut self,
        here: Option<&[u8]>,
        on: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let told = match here {
            Some(data) => on(Event {
                name: &self.name,
                data,
            }),
            None if self.kept => on(Event {
                name: &self.name,
                data: &self.data,
            }),
            None => Ok(()),
        };
        self.name.clear();
        self.data.clear();
        self.kept = false;
        told
    }
}

/// The value of a line if its field is `field`: one space after the colon is not part of it, and a line
/// without a colon is a field with an empty value.
fn value_of<'b>(line: &'b [u8], field: &[u8]) -> Option<&'b [u8]> {
    match line.strip_prefix(field)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}
