//! Framing of JSON lines: bytes in, lines out, whatever the reads cut.
//! It reads no JSON, and a line that lies inside one read is not copied.

use std::mem;

use memchr::memchr2;

use super::sse::{MAX_EVENT_BYTES, TooLong};

/// Splits a stream into lines. After an error it must not be fed again.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The start of a line whose end has not come.
    open: Vec<u8>,
}

impl Lines {
    /// Takes the next piece of the stream, cut anywhere, and hands on the lines that it completes, empty ones too:
    /// CR LF ends two.
    ///
    /// # Errors
    /// `TooLong`, and whatever `on` returns.
    pub(super) fn feed<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        on: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            self.check(line.len())?;
            if self.open.is_empty() {
                on(line)?;
            } else {
                self.open.extend_from_slice(line);
                on(&self.open)?;
                self.open.clear();
            }
        }
        self.check(rest.len())?;
        self.open.extend_from_slice(rest);
        Ok(())
    }

    /// The stream is complete: a line without its end is handed on. The reader must expect that it was cut in the middle.
    ///
    /// # Errors
    /// Whatever `on` returns.
    pub(super) fn finish<E>(
        &mut self,
        on: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        on(&mem::take(&mut self.open))
    }

    fn check(&self, more: usize) -> Result<(), TooLong> {
        if self.open.len() + more > MAX_EVENT_BYTES {
            Err(TooLong)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Result<Vec<usize>, TooLong> {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        let mut keep = |line: &[u8]| {
            told.push(line.len());
            Ok(())
        };
        for piece in pieces {
            lines.feed(piece, &mut keep)?;
        }
        lines.finish(&mut keep)?;
        Ok(told)
    }

    #[test]
    fn lines_are_told_with_the_byte_that_ends_them_and_not_copied() {
        let stream = b"one\ntwo\nthr".to_vec();
        let inside = stream.as_ptr_range();
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        let mut keep = |line: &[u8]| {
            assert!(inside.contains(&line.as_ptr()));
            told.push(line.to_vec());
            Ok::<(), TooLong>(())
        };
        lines.feed(&stream, &mut keep).unwrap();
        assert_eq!(told, [b"one", b"two"]);
        assert_eq!(
            lines_of([&b"on"[..], b"e\r", b"\ntwo"].into_iter()),
            Ok(vec![3, 0, 3])
        );
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let piece = vec![b'a'; 1024 * 1024];
        let filled = |pieces| std::iter::repeat_n(&piece[..], pieces);
        assert_eq!(lines_of(filled(16)), Ok(vec![MAX_EVENT_BYTES]));
        assert_eq!(lines_of(filled(17)), Err(TooLong));
        let mut long = piece.repeat(16);
        long.extend_from_slice(b"a\n");
        assert_eq!(lines_of(std::iter::once(&long[..])), Err(TooLong));
    }
}
