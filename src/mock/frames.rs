//! Frames of Amazon's event streams: lengths, headers, payload, and both checksums.
//! What stands in them is the dialects' matter.

use bytes::{BufMut, BytesMut};

/// A header's value that is text.
const TEXT: u8 = 7;

/// Writes one frame with these headers, whose names and values are short.
pub(super) fn write(out: &mut BytesMut, headers: &[(&str, &str)], payload: &[u8]) {
    let headers_len: usize = headers
        .iter()
        .map(|(name, value)| 4 + name.len() + value.len())
        .sum();
    let start = out.len();
    let length = 16 + headers_len + payload.len();
    out.reserve(length);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    out.put_u32(u32::try_from(headers_len).unwrap_or(u32::MAX));
    let head = crc32fast::hash(&out[start..]);
    out.put_u32(head);
    for (name, value) in headers {
        out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.put_slice(name.as_bytes());
        out.put_u8(TEXT);
        out.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        out.put_slice(value.as_bytes());
    }
    out.put_slice(payload);
    let all = crc32fast::hash(&out[start..]);
    out.put_u32(all);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_others_write() {
        // The first message of a recorded answer of Converse.
        let recorded = include_bytes!("../../tests/fixtures/aws/converse.bin");
        let mut out = BytesMut::new();
        let headers = [
            (":event-type", "messageStart"),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        write(&mut out, &headers, br#"{"role":"assistant","p":"abcd"}"#);
        assert_eq!(out, recorded[..out.len()]);
    }
}
