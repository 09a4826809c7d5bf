//! The chunked transfer coding (RFC 9112, 7.1): cut anywhere, data comes out without being copied.
//! It knows nothing of heads or connections.

use super::head::{MAX_FIELDS, Malformed};

/// Most bytes of extensions of all chunks, and of the trailers.
const MAX_EXTRA: usize = 16 * 1024;

/// Where in the coding the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the first digit of a size.
    #[default]
    SizeStart,
    /// After a digit.
    Size,
    /// White space after the digits.
    AfterSize,
    /// An extension, which is skipped.
    Extension,
    /// The line feed of the size's line.
    SizeFeed,
    /// Inside a chunk.
    Data,
    /// The carriage return after it.
    DataReturn,
    /// The line feed after it.
    DataFeed,
    /// The trailers: everything until an empty line.
    Trailers,
    /// After the end.
    Done,
}

/// A body in chunks, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// Of the current chunk: its size while that is read, then what is left of it.
    left: u64,
    /// Bytes of extensions so far.
    extra: usize,
    /// Trailers so far. Empty, and not allocated, where there are none.
    trailers: Vec<u8>,
}

impl Chunks {
    pub(super) fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Reads from `bytes` and hands data on, until they are used up, the body ends, or `data` returns `false`.
    /// Returns how many bytes were read.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        data: &mut impl FnMut(&[u8]) -> bool,
    ) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.place != Place::Done {
            if self.place == Place::Data {
                let rest = &bytes[at..];
                let here =
                    usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                at += here;
                self.left -= here as u64;
                if self.left == 0 {
                    self.place = Place::DataReturn;
                    // Its line end, and the next size: mostly they are there, and plain.
                    if bytes[at..].starts_with(b"\r\n") {
                        self.place = Place::SizeStart;
                        at += 2;
                    }
                }
                if !data(&rest[..here]) {
                    return Ok(at);
                }
            } else if self.place == Place::SizeStart
                && let Some((size, length)) = plain_size(&bytes[at..])
            {
                at += length;
                self.left = size;
                self.place = if size == 0 {
                    Place::Trailers
                } else {
                    Place::Data
                };
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// One byte that is not data, wherever it stands.
    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        self.place = match (self.place, byte) {
            (Place::SizeStart | Place::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte)?,
            (Place::Size | Place::AfterSize, b' ' | b'\t') => Place::AfterSize,
            (Place::Size | Place::AfterSize, b';') => Place::Extension,
            (Place::Size | Place::AfterSize | Place::Extension, b'\r') => Place::SizeFeed,
            (Place::Extension, b'\n') => return Err(Malformed::Chunk),
            (Place::Extension, _) => self.extension()?,
            (Place::SizeFeed, b'\n') if self.left == 0 => Place::Trailers,
            (Place::SizeFeed, b'\n') => Place::Data,
            (Place::DataReturn, b'\r') => Place::DataFeed,
            (Place::DataFeed, b'\n') => Place::SizeStart,
            (Place::Trailers, _) => self.trailer(byte)?,
            _ => return Err(Malformed::Chunk),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<Place, Malformed> {
        let value = char::from(byte).to_digit(16).ok_or(Malformed::Chunk)?;
        self.left = self
            .left
            .checked_mul(16)
            .and_then(|size| size.checked_add(u64::from(value)))
            .ok_or(Malformed::Chunk)?;
        Ok(Place::Size)
    }

    fn extension(&mut self) -> Result<Place, Malformed> {
        self.extra += 1;
        if self.extra > MAX_EXTRA {
            return Err(Malformed::Chunk);
        }
        Ok(Place::Extension)
    }

    /// Trailers are read to find their end, and must be fields; nobody wants their values.
    fn trailer(&mut self, byte: u8) -> Result<Place, Malformed> {
        if self.trailers.last() == Some(&b'\r') && byte != b'\n' {
            return Err(Malformed::Trailers);
        }
        self.trailers.push(byte);
        if self.trailers == b"\r\n" {
            return Ok(Place::Done);
        }
        if self.trailers.len() > MAX_EXTRA {
            return Err(Malformed::Trailers);
        }
        if byte != b'\n' || !self.trailers.ends_with(b"\r\n\r\n") {
            return Ok(Place::Trailers);
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        match httparse::parse_headers(&self.trailers, &mut fields) {
            Ok(httparse::Status::Complete((length, _))) if length == self.trailers.len() => {
                Ok(Place::Done)
            }
            _ => Err(Malformed::Trailers),
        }
    }
}

/// A size line that is whole and has nothing but a few digits: the size, and the length of the line.
fn plain_size(bytes: &[u8]) -> Option<(u64, usize)> {
    /// Of so many digits no size overflows.
    const MOST_DIGITS: usize = 8;
    let mut size = 0;
    for (i, &byte) in bytes.iter().enumerate().take(MOST_DIGITS + 1) {
        match char::from(byte).to_digit(16) {
            Some(digit) => size = size * 16 + u64::from(digit),
            None if i > 0 && bytes[i..].starts_with(b"\r\n") => return Some((size, i + 2)),
            None => return None,
        }
    }
    None
}
