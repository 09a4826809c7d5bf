//! Framing of Amazon's event streams (`application/vnd.amazon.eventstream`): bytes in, messages with sound checksums out. A message
//! lies where its bytes came: nothing is copied or allocated for it. Payloads are not read here.

use crate::provider::DecodeError;
use crate::provider::errors::error_text;
use crate::provider::reader::Out;
use crate::provider::sse::{MAX_EVENT_BYTES, TooLong};

/// A frame begins with its length, its headers' length and the checksum of both.
const PRELUDE: usize = 12;

/// The shortest frame: a prelude and the checksum of all.
const SHORTEST: usize = PRELUDE + 4;

/// Splits a stream into messages. After an error it must not be fed again.
#[derive(Debug, Default)]
pub(in crate::provider) struct Frames {
    /// The start of a frame whose end has not come.
    open: Vec<u8>,
}

impl Frames {
    /// A stream of which this came already.
    pub(in crate::provider) const fn with(open: Vec<u8>) -> Self {
        Self { open }
    }

    /// Takes the next piece of the stream, cut anywhere, and hands on the messages that it completes.
    ///
    /// # Errors
    /// A wrong checksum, a frame that is too long or not one, and whatever `on` returns.
    pub(in crate::provider) fn feed(
        &mut self,
        bytes: &[u8],
        on: &mut impl FnMut(Message<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut rest = bytes;
        while !self.open.is_empty() {
            let whole = length_of(&self.open)?;
            let missing = whole.unwrap_or(PRELUDE).saturating_sub(self.open.len());
            let (now, later) = rest.split_at(missing.min(rest.len()));
            self.open.extend_from_slice(now);
            rest = later;
            if now.len() < missing {
                return Ok(());
            }
            if whole.is_some() {
                on(message_in(&self.open)?)?;
                self.open.clear();
            }
        }
        while let Some(length) = length_of(rest)?.filter(|&length| length <= rest.len()) {
            let (frame, later) = rest.split_at(length);
            on(message_in(frame)?)?;
            rest = later;
        }
        self.open.extend_from_slice(rest);
        Ok(())
    }

    /// Whether no frame is unfinished.
    pub(in crate::provider) const fn is_between_frames(&self) -> bool {
        self.open.is_empty()
    }
}

/// The length of the frame that begins here, its prelude checked; `None` while that is not complete.
fn length_of(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE>() else {
        return Ok(None);
    };
    let (length, checksum) = (number(&prelude[..4]), number(&prelude[8..]));
    // A damaged length would be waited for.
    if crc32fast::hash(&prelude[..8]) != checksum {
        return Err(unframed("the checksum of a frame's head is wrong"));
    }
    match usize::try_from(length) {
        Ok(length) if length < SHORTEST => Err(unframed("a frame is shorter than any can be")),
        Ok(length) if length <= MAX_EVENT_BYTES => Ok(Some(length)),
        _ => Err(TooLong.into()),
    }
}

/// Bytes, the most significant first.
fn number(bytes: &[u8]) -> u32 {
    let digit = |number: u32, &byte: &u8| number << 8 | u32::from(byte);
    bytes.iter().fold(0, digit)
}

/// One message, as it lies in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) struct Message<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub(in crate::provider) payload: &'a [u8],
}

/// A header's name, and its value where that is a text.
type Header<'a> = (&'a str, Option<&'a str>);

impl<'a> Message<'a> {
    /// Its headers; `None` stands for what is none, and is the last.
    fn headers(self) -> impl Iterator<Item = Option<Header<'a>>> {
        let mut rest = self.headers;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let header = header(&mut rest);
            if header.is_none() {
                rest = &[];
            }
            Some(header)
        })
    }

    /// The value of a header that is a text.
    fn text(self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers().flatten();
        headers.find(|(known, _)| *known == name)?.1
    }
}

/// The message of a frame that is complete, its prelude checked already.
fn message_in(frame: &[u8]) -> Result<Message<'_>, DecodeError> {
    let (sealed, checksum) = frame.split_at(frame.len().saturating_sub(4));
    if crc32fast::hash(sealed) != number(checksum) {
        return Err(unframed("the checksum of a frame is wrong"));
    }
    let length = sealed.get(4..8).map_or(0, number);
    let parts = usize::try_from(length)
        .ok()
        .and_then(|length| sealed.get(PRELUDE..)?.split_at_checked(length));
    let message = parts.map(|(headers, payload)| Message { headers, payload });
    let sound = message.filter(|message| message.headers().all(|header| header.is_some()));
    sound.ok_or_else(|| unframed("the headers of a frame are none"))
}

/// Takes the header that `rest` begins with; `None` if it is none.
fn header<'a>(rest: &mut &'a [u8]) -> Option<Header<'a>> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let length = *take(rest, 1)?.first()?;
    let name = text(take(rest, usize::from(length))?)?;
    let fixed = match *take(rest, 1)?.first()? {
        // True and false.
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        // A number of eight bytes, and a time.
        5 | 8 => 8,
        9 => 16,
        kind @ (6 | 7) => {
            let length = number(take(rest, 2)?);
            let value = take(rest, usize::try_from(length).ok()?)?;
            let value = if kind == 7 { Some(text(value)?) } else { None };
            return Some((name, value));
        }
        _ => return None,
    };
    take(rest, fixed)?;
    Some((name, None))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, later) = rest.split_at_checked(length)?;
    *rest = later;
    Some(taken)
}

fn unframed(cause: &str) -> DecodeError {
    DecodeError::Frame {
        cause: cause.to_owned(),
    }
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) enum Said<'a> {
    /// An event of this name.
    Event(&'a str),
    /// A failure of this name, its words in the payload.
    Exception(&'a str),
    /// A failure that the API does not name: a code and its words.
    Error(&'a str, &'a str),
}

impl<'a> Said<'a> {
    /// What the headers of `message` say.
    pub(in crate::provider) fn of(message: Message<'a>) -> Self {
        let or_empty = |name: &str| message.text(name).unwrap_or_default();
        match message.text(":message-type") {
            Some("exception") => Self::Exception(or_empty(":exception-type")),
            Some("error") => Self::Error(or_empty(":error-code"), or_empty(":error-message")),
            _ => Self::Event(or_empty(":event-type")),
        }
    }

    /// Says the failure, if it is one.
    pub(in crate::provider) fn tell_failure(self, payload: &[u8], out: &mut Out<'_>) {
        let (name, words) = match self {
            Self::Event(_) => return,
            Self::Exception(name) => (name, error_text(payload)),
            Self::Error(code, words) => (code, words.to_owned()),
        };
        let text = if name.is_empty() {
            words
        } else {
            format!("{name}: {words}")
        };
        out.coded_error(&text, code_of(name));
    }
}

/// The status that a failure of this name has where it is a whole answer.
fn code_of(name: &str) -> Option<i32> {
    Some(
        match name.to_ascii_lowercase().trim_end_matches("exception") {
            "validation" => 400,
            "accessdenied" => 403,
            "resourcenotfound" => 404,
            "modeltimeout" => 408,
            "modelstreamerror" | "modelerror" => 424,
            "throttling" | "modelnotready" => 429,
            "internalserver" | "internalstreamfailure" | "internalfailure" => 500,
            "serviceunavailable" => 503,
            _ => return None,
        },
    )
}

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
    use aws_smithy_types::DateTime;
    use aws_smithy_types::event_stream::{Header, HeaderValue, Message as Theirs};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header::new(":event-type", HeaderValue::String("chunk".into()));
        write_message_to(&Theirs::new(payload.to_vec()).add_header(header), &mut out).unwrap();
        out
    }

    /// A frame's checksums as they ought to be.
    fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
        let end = frame.len() - 4;
        let head = crc32fast::hash(&frame[..8]);
        frame[8..12].copy_from_slice(&head.to_be_bytes());
        let all = crc32fast::hash(&frame[..end]);
        frame[end..].copy_from_slice(&all.to_be_bytes());
        frame
    }

    fn payloads(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
        let (mut frames, mut all) = (Frames::default(), Vec::new());
        for piece in pieces {
            let mut keep = |message: Message<'_>| {
                all.push(message.payload.to_vec());
                Ok(())
            };
            frames
                .feed(piece, &mut keep)
                .map_err(|error| error.to_string())?;
        }
        assert!(frames.is_between_frames());
        Ok(all)
    }

    #[test]
    fn each_of_the_two_checksums_is_checked() {
        let sound = frame(b"{}");
        assert_eq!(payloads(&[&sound]), Ok(vec![b"{}".to_vec()]));
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            assert!(payloads(&[&damaged]).is_err(), "{at}");
        }
        let mut head = sound.clone();
        head[3] ^= 1;
        assert_eq!(
            payloads(&[&head]).unwrap_err(),
            "unreadable answer: the checksum of a frame's head is wrong"
        );
    }

    #[test]
    fn a_frame_that_is_too_long_or_too_short_is_refused_by_its_head() {
        let head = |length: u32| {
            let mut head = length.to_be_bytes().to_vec();
            head.extend([0; 4]);
            head.extend(crc32fast::hash(&head).to_be_bytes());
            payloads(&[&head]).unwrap_err()
        };
        assert_eq!(head(17 << 20), TooLong.to_string());
        assert_eq!(
            head(15),
            "unreadable answer: a frame is shorter than any can be"
        );
    }

    #[test]
    fn failures_have_the_codes_that_they_have_as_whole_answers() {
        assert_eq!(code_of("throttlingException"), Some(429));
        assert_eq!(code_of("ModelStreamError"), Some(424));
        assert_eq!(code_of("InternalStreamFailure"), Some(500));
        assert_eq!(code_of("another"), None);
    }

    /// What a frame holds: the headers' names, with those values that are texts, and the payload.
    type Held = (Vec<(String, Option<String>)>, Vec<u8>);

    fn ours(frame: &[u8]) -> Option<Held> {
        let owned = |(name, text): super::Header<'_>| (name.to_owned(), text.map(str::to_owned));
        let message = message_in(frame).ok()?;
        let headers = message.headers().map(|header| header.map(owned));
        Some((headers.collect::<Option<_>>()?, message.payload.to_vec()))
    }

    /// The same as Amazon's own crate reads it.
    fn theirs(mut frame: &[u8]) -> Option<Held> {
        let message = read_message_from(&mut frame).ok()?;
        let text = |header: &Header| {
            let text = header.value().as_string().ok();
            text.map(|text| text.as_str().to_owned())
        };
        let headers = message.headers().iter();
        let headers = headers.map(|header| (header.name().as_str().to_owned(), text(header)));
        Some((headers.collect(), message.payload().to_vec()))
    }

    fn any_value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            any::<bool>().prop_map(HeaderValue::Bool),
            any::<i8>().prop_map(HeaderValue::Byte),
            any::<i16>().prop_map(HeaderValue::Int16),
            any::<i32>().prop_map(HeaderValue::Int32),
            any::<i64>().prop_map(HeaderValue::Int64),
            vec(any::<u8>(), 0..20).prop_map(|bytes| HeaderValue::ByteArray(bytes.into())),
            ".{0,20}".prop_map(|text| HeaderValue::String(text.into())),
            any::<u32>().prop_map(|time| HeaderValue::Timestamp(DateTime::from_secs(time.into()))),
            any::<u128>().prop_map(HeaderValue::Uuid),
        ]
    }

    proptest! {
        #[test]
        fn messages_are_read_as_amazons_own_crate_reads_them(
            headers in vec((".{1,20}", any_value()), 0..5),
            payload in vec(any::<u8>(), 0..60),
        ) {
            let message = Theirs::new(payload);
            let message = headers.into_iter().fold(message, |message, (name, value)| {
                message.add_header(Header::new(name, value))
            });
            let mut frame = Vec::new();
            write_message_to(&message, &mut frame).unwrap();
            let read = theirs(&frame);
            prop_assert!(read.is_some());
            prop_assert_eq!(ours(&frame), read);
        }

        #[test]
        fn what_a_server_seals_is_sound_where_amazons_own_crate_says_so(
            headers in 0_u32..60,
            middle in vec(prop_oneof![0_u8..10, any::<u8>()], 0..60),
        ) {
            let length = u32::try_from(SHORTEST + middle.len()).unwrap();
            let mut body = length.to_be_bytes().to_vec();
            body.extend(headers.to_be_bytes());
            body.extend([0; 4]);
            body.extend(middle);
            body.extend([0; 4]);
            let body = sealed(body);
            prop_assert_eq!(ours(&body), theirs(&body));
        }

        #[test]
        fn any_cut_gives_the_same_messages(
            texts in vec(vec(any::<u8>(), 0..40), 1..6),
            sizes in vec(1_usize..30, 1..8),
        ) {
            let body: Vec<u8> = texts.iter().flat_map(|text| frame(text)).collect();
            let (mut rest, mut pieces) = (body.as_slice(), Vec::new());
            for size in sizes.iter().cycle() {
                let (piece, later) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(payloads(&pieces), Ok(texts));
        }

        /// Nothing that a server seals can break the reading of its headers.
        #[test]
        fn no_bytes_behind_sound_checksums_break_it(
            headers in any::<u16>(),
            middle in vec(any::<u8>(), 0..80),
        ) {
            let length = u32::try_from(SHORTEST + middle.len()).unwrap();
            let mut body = length.to_be_bytes().to_vec();
            body.extend(u32::from(headers % 100).to_be_bytes());
            body.extend([0; 4]);
            body.extend(middle);
            body.extend([0; 4]);
            let _ = payloads(&[&sealed(body)]);
        }
    }
}
