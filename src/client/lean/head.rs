//! The head of an answer: where it ends, and how the body after it is delimited (RFC 9112, 6.3).
//! It reads no body.

use super::chunks::Chunks;

/// Most bytes of a head, interim answers apart.
pub(in crate::client) const MAX_HEAD: usize = 64 * 1024;
/// Most fields of a head.
pub(in crate::client) const MAX_FIELDS: usize = 100;

/// An answer that is not HTTP/1.1 as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::client) enum Malformed {
    #[error("the head of the answer is not HTTP/1.1: {0}")]
    Head(#[from] httparse::Error),
    #[error("the head of the answer is larger than {MAX_HEAD} bytes")]
    TooLarge,
    #[error("the answer's status is {0:03}, and the lowest that there is is 100")]
    Status(u16),
    #[error("the answer's Content-Length is not a number, or there are several")]
    Length,
    #[error("an answer in HTTP/1.0 cannot have a Transfer-Encoding")]
    OldTransferEncoding,
    #[error("a chunk of the answer is not as HTTP/1.1 writes it")]
    Chunk,
    #[error("the trailers of the answer are not as HTTP/1.1 writes them")]
    Trailers,
}

/// How the end of a body is told.
#[derive(Debug)]
pub(super) enum Delimiter {
    /// So many bytes are still to come.
    Sized(u64),
    /// In chunks.
    Chunked(Chunks),
    /// By the end of the connection.
    Close,
}

/// A head that is complete.
pub(super) struct Parsed<'a, 'b> {
    pub(super) length: usize,
    pub(super) status: u16,
    pub(super) fields: &'a [httparse::Header<'b>],
    pub(super) delimiter: Delimiter,
    /// Whether the connection may be used again after the body, as far as the head tells.
    pub(super) keep_alive: bool,
}

/// Reads the head at the start of `bytes` and hands it to `with`; `None` while it is not complete.
pub(super) fn parse<R>(
    bytes: &[u8],
    with: impl FnOnce(Parsed<'_, '_>) -> R,
) -> Result<Option<R>, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes)? else {
        return if bytes.len() >= MAX_HEAD {
            Err(Malformed::TooLarge)
        } else {
            Ok(None)
        };
    };
    if length > MAX_HEAD {
        return Err(Malformed::TooLarge);
    }
    let status = head.code.unwrap_or_default();
    if status < 100 {
        return Err(Malformed::Status(status));
    }
    let modern = head.version == Some(1);
    let delimiter = delimiter(status, modern, head.headers)?;
    let keep_alive = status != 101
        && !matches!(delimiter, Delimiter::Close)
        && if modern {
            !has_token(head.headers, "connection", "close")
        } else {
            has_token(head.headers, "connection", "keep-alive")
        };
    Ok(Some(with(Parsed {
        length,
        status,
        fields: head.headers,
        delimiter,
        keep_alive,
    })))
}

fn delimiter(
    status: u16,
    modern: bool,
    fields: &[httparse::Header<'_>],
) -> Result<Delimiter, Malformed> {
    if status < 200 || status == 204 || status == 304 {
        return Ok(Delimiter::Sized(0));
    }
    if let Some(last) = values(fields, "transfer-encoding").last() {
        if !modern {
            return Err(Malformed::OldTransferEncoding);
        }
        let outermost = last.rsplit(|&byte| byte == b',').next().unwrap_or_default();
        // A value that is no text names no coding.
        let is_text = last
            .iter()
            .all(|&byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        return Ok(
            if is_text && outermost.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                Delimiter::Chunked(Chunks::default())
            } else {
                Delimiter::Close
            },
        );
    }
    Ok(length(fields)?.map_or(Delimiter::Close, Delimiter::Sized))
}

/// The one length that all `Content-Length` fields agree on.
fn length(fields: &[httparse::Header<'_>]) -> Result<Option<u64>, Malformed> {
    let mut agreed = None;
    for value in values(fields, "content-length") {
        for part in value.split(|&byte| byte == b',') {
            let number = number(part.trim_ascii()).ok_or(Malformed::Length)?;
            if agreed.is_some_and(|before| before != number) {
                return Err(Malformed::Length);
            }
            agreed = Some(number);
        }
    }
    Ok(agreed)
}

/// A number of digits alone, below the largest that could mean "unknown" to somebody.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
    (number < u64::MAX - 2).then_some(number)
}

/// The value of the first field called `name` (in lower case).
pub(super) fn first<'a>(fields: &'a [httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

/// The values of every field called `name` (in lower case).
pub(super) fn values<'a>(
    fields: &'a [httparse::Header<'_>],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

fn has_token(fields: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    values(fields, name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|word| word.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
