//! As much of HTTP requests as the server and the bare loop need: their bytes, their end, the number that they carry.

use http::Request;
use memchr::memmem;

/// What stands before the number of a stream in its prompt.
pub(super) const MARK: &str = "stream number ";
/// Digits of the number.
const DIGITS: usize = 8;

/// The words by which a request tells its stream.
pub(super) fn numbered(stream: u64) -> String {
    format!("{MARK}{stream:0DIGITS$}")
}

/// The number in a request's body.
pub(super) fn number(request: &[u8]) -> Option<u64> {
    let at = memmem::find(request, MARK.as_bytes())? + MARK.len();
    let digits = std::str::from_utf8(request.get(at..at + DIGITS)?).ok()?;
    digits.parse().ok()
}

/// Whether these bytes are a whole request.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return false;
    };
    let head = &bytes[..end + 2];
    // Both clients are this program: they write header names in small letters.
    let length = memmem::find(head, LENGTH).and_then(|at| {
        let digits = head[at + LENGTH.len()..]
            .split(|&byte| byte == b'\r')
            .next()?;
        std::str::from_utf8(digits).ok()?.parse::<usize>().ok()
    });
    bytes.len() >= end + 4 + length.unwrap_or(0)
}

/// A request as hyper writes it.
pub(super) fn bytes(request: &Request<bytes::Bytes>, host: &str) -> Vec<u8> {
    let mut bytes =
        format!("{} {} HTTP/1.1\r\n", request.method(), request.uri().path()).into_bytes();
    for (name, value) in request.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let length = request.body().len();
    bytes.extend(format!("host: {host}\r\ncontent-length: {length}\r\n\r\n").into_bytes());
    bytes.extend_from_slice(request.body());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_complete_with_its_last_byte_and_tells_its_number() {
        let request = Request::post("/v1")
            .header("accept", "text/event-stream")
            .body(bytes::Bytes::from(format!("say {} now", numbered(42))))
            .unwrap();
        let written = bytes(&request, "127.0.0.1:1");
        for cut in 0..written.len() {
            assert!(!is_complete(&written[..cut]), "{cut}");
        }
        assert!(is_complete(&written));
        assert_eq!(number(&written), Some(42));
        assert_eq!(number(b"nothing"), None);
        assert!(written.starts_with(b"POST /v1 HTTP/1.1\r\naccept: text/event-stream\r\nhost: "));
    }
}
