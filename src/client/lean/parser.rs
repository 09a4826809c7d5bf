//! One answer after another out of the bytes of a connection: pure, cut anywhere, without copying a body.
//! It reads no socket and knows no encoding of content.

use super::head::{self, Delimiter, MAX_HEAD, Malformed};

/// A part of an answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) enum Part<'a> {
    /// The head of the final answer; interim ones (1xx) are passed over.
    Head(HeadPart<'a>),
    /// A piece of the body.
    Body(&'a [u8]),
}

/// What the engine needs of a head.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct HeadPart<'a> {
    pub(in crate::client) status: u16,
    fields: &'a [httparse::Header<'a>],
}

impl<'a> HeadPart<'a> {
    /// The header of this name (in lower case); of several the first.
    pub(in crate::client) fn field(&self, name: &str) -> Option<&'a [u8]> {
        head::first(self.fields, name)
    }
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Progress {
    /// More must come.
    Open,
    /// It is complete; whether the connection may carry another request.
    Complete {
        /// The server allows it, and nothing came after the end.
        keep_alive: bool,
    },
    /// The receiver of the parts wanted no more.
    Refused,
}

/// The connection ended before the answer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Incomplete {
    /// Whether its head had come.
    pub(in crate::client) head_seen: bool,
}

/// Reads one answer.
#[derive(Debug)]
pub(in crate::client) struct Parser {
    /// `None` while the head is read.
    body: Option<Delimiter>,
    keep_alive: bool,
    /// The start of a head that came in pieces. Empty, and not allocated, where it came in one.
    pieces: Vec<u8>,
}

impl Parser {
    pub(in crate::client) const fn new() -> Self {
        Self {
            body: None,
            keep_alive: false,
            pieces: Vec::new(),
        }
    }

    /// Takes the next bytes of the connection and hands on what they complete.
    pub(in crate::client) fn feed(
        &mut self,
        bytes: &[u8],
        on: &mut impl FnMut(Part<'_>) -> bool,
    ) -> Result<Progress, Malformed> {
        let mut rest = bytes;
        while self.body.is_none() {
            match self.read_head(rest, on)? {
                Headway::Waiting => return Ok(Progress::Open),
                Headway::Refused => return Ok(Progress::Refused),
                Headway::Past(length) => rest = &rest[length..],
            }
        }
        self.read_body(rest, on)
    }

    /// The connection is at its end: fine for a body that ends with it.
    pub(in crate::client) fn close(&self) -> Result<(), Incomplete> {
        match self.body {
            Some(Delimiter::Close) => Ok(()),
            _ => Err(Incomplete {
                head_seen: self.body.is_some(),
            }),
        }
    }

    fn read_head(
        &mut self,
        bytes: &[u8],
        on: &mut impl FnMut(Part<'_>) -> bool,
    ) -> Result<Headway, Malformed> {
        if self.pieces.is_empty() {
            let read = self.try_head(bytes, on)?;
            if matches!(read, Headway::Waiting) {
                self.pieces.extend_from_slice(bytes);
            }
            return Ok(read);
        }
        let before = self.pieces.len();
        let mut pieces = std::mem::take(&mut self.pieces);
        // No more than a head may have, so that a body that follows is not copied far.
        let room = (MAX_HEAD + 1).saturating_sub(before).min(bytes.len());
        pieces.extend_from_slice(&bytes[..room]);
        let read = self.try_head(&pieces, on)?;
        Ok(match read {
            Headway::Waiting => {
                self.pieces = pieces;
                Headway::Waiting
            }
            // What came in earlier reads was used up, or the head would have been complete with them.
            Headway::Past(length) => Headway::Past(length - before),
            Headway::Refused => Headway::Refused,
        })
    }

    fn try_head(
        &mut self,
        bytes: &[u8],
        on: &mut impl FnMut(Part<'_>) -> bool,
    ) -> Result<Headway, Malformed> {
        let parsed = head::parse(bytes, |head| {
            let interim = (100..200).contains(&head.status) && head.status != 101;
            if interim {
                return Headway::Past(head.length);
            }
            self.body = Some(head.delimiter);
            self.keep_alive = head.keep_alive;
            let part = HeadPart {
                status: head.status,
                fields: head.fields,
            };
            if on(Part::Head(part)) {
                Headway::Past(head.length)
            } else {
                Headway::Refused
            }
        })?;
        Ok(parsed.unwrap_or(Headway::Waiting))
    }

    fn read_body(
        &mut self,
        bytes: &[u8],
        on: &mut impl FnMut(Part<'_>) -> bool,
    ) -> Result<Progress, Malformed> {
        let mut refused = false;
        let mut hand_on = |data: &[u8]| {
            refused = !data.is_empty() && !on(Part::Body(data));
            !refused
        };
        let (used, complete) = match &mut self.body {
            None => (0, false),
            Some(Delimiter::Close) => {
                hand_on(bytes);
                (bytes.len(), false)
            }
            Some(Delimiter::Sized(left)) => {
                let here = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= here as u64;
                hand_on(&bytes[..here]);
                (here, *left == 0)
            }
            Some(Delimiter::Chunked(chunks)) => {
                let used = chunks.feed(bytes, &mut hand_on)?;
                (used, chunks.is_done())
            }
        };
        Ok(if refused {
            Progress::Refused
        } else if complete {
            // Bytes after the end answer nothing that was asked.
            let keep_alive = self.keep_alive && used == bytes.len();
            Progress::Complete { keep_alive }
        } else {
            Progress::Open
        })
    }
}

/// What came of looking for a head.
enum Headway {
    Waiting,
    /// It is read, and ends after so many of the bytes given.
    Past(usize),
    Refused,
}
