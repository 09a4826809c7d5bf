//! Undoing a content encoding that was not asked for. Requests ask for `identity`; some gateways compress anyway.

use std::io::Write;

use super::Failure;
use crate::domain::Outcome;
use flate2::write::{GzDecoder, ZlibDecoder};

/// Decodes a body piece by piece.
pub(super) enum Encoding {
    /// Nothing to undo.
    Identity,
    /// `gzip`.
    Gzip(GzDecoder<Vec<u8>>),
    /// `deflate`, which means zlib.
    Deflate(ZlibDecoder<Vec<u8>>),
}

impl Encoding {
    /// The encoding that a response's `Content-Encoding` names.
    pub(super) fn of(content_encoding: Option<&[u8]>) -> Result<Self, Failure> {
        let name =
            content_encoding.map_or("identity", |value| str::from_utf8(value).unwrap_or("?"));
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip(GzDecoder::new(Vec::new()))),
            "deflate" => Ok(Self::Deflate(ZlibDecoder::new(Vec::new()))),
            other => {
                let text = format!(
                    "the answer has the content encoding `{other}`, which was not asked for"
                );
                Err(Failure::new(Outcome::ParseError, text))
            }
        }
    }

    /// Hands the decoded form of `bytes` to `next`.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        next: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool, Failure> {
        match self {
            Self::Identity => Ok(next(bytes)),
            Self::Gzip(decoder) => {
                through(decoder, bytes)?;
                Ok(drained(decoder.get_mut(), next))
            }
            Self::Deflate(decoder) => {
                through(decoder, bytes)?;
                Ok(drained(decoder.get_mut(), next))
            }
        }
    }
}

/// Flushes too: a token must not wait in a decompressor for the next one.
fn through(decoder: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    decoder
        .write_all(bytes)
        .and_then(|()| decoder.flush())
        .map_err(|error| {
            Failure::new(
                Outcome::ParseError,
                format!("the compressed answer is damaged: {error}"),
            )
        })
}

fn drained(decoded: &mut Vec<u8>, next: impl FnOnce(&[u8]) -> bool) -> bool {
    let more = decoded.is_empty() || next(decoded);
    decoded.clear();
    more
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn each_flushed_event_comes_out_of_gzip_at_once() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut decoding = Encoding::of(Some(b"gzip")).unwrap();
        for event in ["data: one\n\n", "data: two\n\n"] {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let packed = std::mem::take(encoder.get_mut());
            let mut seen = Vec::new();
            decoding
                .decode(&packed, |bytes| {
                    seen.extend_from_slice(bytes);
                    true
                })
                .unwrap();
            assert_eq!(seen, event.as_bytes());
        }
    }

    #[test]
    fn an_encoding_that_is_not_spoken_is_named() {
        let failure = Encoding::of(Some(b"br")).err().unwrap();
        assert_eq!(failure.outcome, Outcome::ParseError);
        assert!(failure.text.contains("`br`"), "{}", failure.text);
    }
}
