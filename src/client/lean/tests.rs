//! The lean engine held against hyper: the same bytes, cut anywhere, tell the same story.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::MAX_HEAD;
use super::parser::{Incomplete, Parser, Part, Progress};

/// What a client learned from the bytes of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
struct Story {
    status: Option<u16>,
    retry_after: Option<Vec<u8>>,
    encoding: Option<Vec<u8>>,
    body: Vec<u8>,
    end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum End {
    #[default]
    Open,
    Complete,
    /// The connection ended first.
    Cut,
    /// The bytes are not HTTP/1.1.
    Malformed,
}

/// What the lean engine says of `pieces`, after which the connection ends.
fn lean(pieces: &[Vec<u8>]) -> (Story, bool) {
    let mut story = Story::default();
    let mut parser = Parser::new();
    for piece in pieces {
        let fed = parser.feed(piece, &mut |part| {
            match part {
                Part::Head(head) => {
                    story.status = Some(head.status);
                    story.retry_after = head.field("retry-after").map(<[u8]>::to_vec);
                    story.encoding = head.field("content-encoding").map(<[u8]>::to_vec);
                }
                Part::Body(bytes) => story.body.extend_from_slice(bytes),
            }
            true
        });
        match fed {
            Ok(Progress::Open) => {}
            Ok(Progress::Complete { keep_alive }) => {
                story.end = End::Complete;
                return (story, keep_alive);
            }
            Ok(Progress::Refused) => unreachable!("nothing was refused"),
            Err(_) => {
                story.end = End::Malformed;
                return (story, false);
            }
        }
    }
    story.end = match parser.close() {
        Ok(()) => End::Complete,
        Err(Incomplete { .. }) => End::Cut,
    };
    (story, false)
}

/// A connection that takes a request and answers with pieces, one a read.
struct Scripted {
    pieces: std::vec::IntoIter<Vec<u8>>,
    asked: Arc<Mutex<(bool, Option<Waker>)>>,
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        {
            let mut asked = self.asked.lock().unwrap();
            if !asked.0 {
                asked.1 = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        if let Some(piece) = self.pieces.next() {
            let (now, later) = piece.split_at(piece.len().min(buf.remaining()));
            buf.put_slice(now);
            if !later.is_empty() {
                let mut rest = vec![later.to_vec()];
                rest.extend(self.pieces.by_ref());
                self.pieces = rest.into_iter();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut asked = self.asked.lock().unwrap();
        asked.0 = true;
        if let Some(waker) = asked.1.take() {
            waker.wake();
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What hyper says of the same.
async fn hyper_says(pieces: &[Vec<u8>]) -> Story {
    let pieces: Vec<_> = pieces
        .iter()
        .filter(|piece| !piece.is_empty())
        .cloned()
        .collect();
    let io = TokioIo::new(Scripted {
        pieces: pieces.into_iter(),
        asked: Arc::default(),
    });
    let (mut sender, driver) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(io)
        .await
        .unwrap();
    let request = Request::post("/")
        .header("host", "h")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let conversation = async {
        let mut story = Story::default();
        match sender.send_request(request).await {
            Err(error) => story.end = end_of(&error),
            Ok(response) => {
                story.status = Some(response.status().as_u16());
                let header = |name| {
                    response
                        .headers()
                        .get(name)
                        .map(|value| value.as_bytes().to_vec())
                };
                story.retry_after = header("retry-after");
                story.encoding = header("content-encoding");
                let mut body = response.into_body();
                story.end = loop {
                    match body.frame().await {
                        None => break End::Complete,
                        Some(Err(error)) => break end_of(&error),
                        Some(Ok(frame)) => {
                            if let Some(data) = frame.data_ref() {
                                story.body.extend_from_slice(data);
                            }
                        }
                    }
                };
            }
        }
        story
    };
    let mut driver = std::pin::pin!(driver);
    let mut conversation = std::pin::pin!(conversation);
    tokio::select! {
        biased;
        story = &mut conversation => return story,
        _ = &mut driver => {}
    }
    // The connection is over; what it handed on is still to be taken.
    conversation.await
}

fn end_of(error: &hyper::Error) -> End {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        // A chunk that is not one is told as bad input; an end in the middle as an early end.
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return if io.kind() == io::ErrorKind::UnexpectedEof {
                End::Cut
            } else {
                End::Malformed
            };
        }
        cause = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        End::Cut
    } else {
        End::Malformed
    }
}

fn both(pieces: &[Vec<u8>]) -> (Story, Story) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    (lean(pieces).0, runtime.block_on(hyper_says(pieces)))
}

/// How a generated answer tells its length.
#[derive(Clone, Debug)]
enum Delimiting {
    Sized(i64),
    SizedTwice(&'static str),
    Chunked {
        sizes: Vec<usize>,
        extras: Vec<u8>,
        end: usize,
        trailers: &'static str,
    },
    ChunkedAndSized,
    OtherCoding,
    Close,
}

fn delimiting() -> impl Strategy<Value = Delimiting> {
    let chunked = (
        prop::collection::vec(1_usize..40, 0..6),
        prop::collection::vec(any::<u8>(), 8),
        0_usize..8,
        prop::sample::select(vec![
            "",
            "",
            "",
            "a: b\r\n",
            "a: b\r\nc:d\r\n",
            "bad\r\n",
            ": x\r\n",
        ]),
    )
        .prop_map(|(sizes, extras, end, trailers)| Delimiting::Chunked {
            sizes,
            extras,
            end,
            trailers,
        });
    prop_oneof![
        2 => (-3_i64..4).prop_map(Delimiting::Sized),
        1 => prop::sample::select(vec!["5, 5", "5,6", "+5", "-1", "abc", "", "99999999999999999999", "5 5", " 5"])
            .prop_map(Delimiting::SizedTwice),
        5 => chunked,
        1 => Just(Delimiting::ChunkedAndSized),
        1 => Just(Delimiting::OtherCoding),
        1 => Just(Delimiting::Close),
    ]
}

/// The fields that delimit `body`, and the body as they want it.
fn delimited(how: &Delimiting, body: &[u8]) -> (String, Vec<u8>) {
    match how {
        Delimiting::Sized(off) => {
            let length = i64::try_from(body.len()).unwrap() + off;
            (
                format!("Content-Length: {}\r\n", length.max(0)),
                body.to_vec(),
            )
        }
        Delimiting::SizedTwice(text) => (format!("content-length: {text}\r\n"), body.to_vec()),
        Delimiting::Chunked {
            sizes,
            extras,
            end,
            trailers,
        } => (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            in_chunks(body, sizes, extras, *end, trailers),
        ),
        Delimiting::ChunkedAndSized => (
            "content-length: 3\r\ntransfer-encoding: gzip, Chunked\r\n".to_owned(),
            in_chunks(body, &[7, 9], &[], 0, ""),
        ),
        Delimiting::OtherCoding => (
            "transfer-encoding: chunked, gzip\r\n".to_owned(),
            body.to_vec(),
        ),
        Delimiting::Close => (String::new(), body.to_vec()),
    }
}

fn in_chunks(body: &[u8], sizes: &[usize], extras: &[u8], end: usize, trailers: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    let mut sizes = sizes.iter().copied();
    let mut extras = extras.iter().copied();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
        let (now, later) = rest.split_at(size);
        rest = later;
        let line = match extras.next().unwrap_or(0) % 8 {
            1 => format!("{size:X}\r\n"),
            2 => format!("00{size:x}\r\n"),
            3 => format!("{size:x};name=value\r\n"),
            4 => format!("{size:x} \t\r\n"),
            5 => format!("{size:x} ; a=\"b\"\r\n"),
            _ => format!("{size:x}\r\n"),
        };
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(now);
        out.extend_from_slice(b"\r\n");
    }
    match end {
        0 => {}
        1 => out.extend_from_slice(b"0\r\n"),
        _ => out.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes()),
    }
    out
}

/// The bytes of an answer: mostly right, sometimes not.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let interim = prop::sample::select(vec![
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
    ]);
    let line = prop::sample::select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 Not Modified",
        "HTTP/1.1 429 Slow Down",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 503 Später",
        "HTTP/1.1 099 Low",
    ]);
    let fields = prop::sample::select(vec![
        "",
        "retry-after: 7\r\n",
        "Connection: close\r\n",
        "connection: keep-alive, Upgrade\r\n",
        "content-encoding: gzip\r\nRetry-After:  12  \r\nretry-after: 3\r\n",
        "x-empty:\r\nX-Long: a b c\t\r\n",
    ]);
    let body = prop::collection::vec(any::<u8>(), 0..60);
    let damage = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    let tail = prop::sample::select(vec!["", "", "", "HTTP/1.1 200 OK\r\n", "\r\n"]);
    (interim, line, fields, delimiting(), body, damage, tail).prop_map(
        |(interim, line, fields, how, body, damage, tail)| {
            let (length, body) = delimited(&how, &body);
            let mut bytes = format!("{interim}{line}\r\n{fields}{length}\r\n").into_bytes();
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(tail.as_bytes());
            if let Some((index, byte)) = damage {
                // Not in trailers, whose fields nobody reads: what exactly is wrong with them is each engine's own.
                let trailers = match &how {
                    Delimiting::Chunked { trailers, .. } if !trailers.is_empty() => {
                        trailers.len() + 2 + tail.len()
                    }
                    _ => 0,
                };
                let at = index.index(bytes.len().saturating_sub(trailers).max(1));
                bytes[at] = byte;
            }
            bytes
        },
    )
}

fn cut(bytes: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes
            .next()
            .copied()
            .unwrap_or(rest.len())
            .clamp(1, rest.len());
        let (now, later) = rest.split_at(size);
        pieces.push(now.to_vec());
        rest = later;
    }
    pieces
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        Just(vec![usize::MAX]),
        prop::collection::vec(1_usize..60, 1..8),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_lean_engine_tells_the_same_story_as_hyper(bytes in answers(), sizes in sizes()) {
        let pieces = cut(&bytes, &sizes);
        let (lean, mut hyper) = both(&pieces);
        if lean != hyper {
            // hyper looks for the end of a head that comes in pieces before it parses it, so of a damaged head it tells by
            // the cuts. The lean engine must not: it says what hyper says of the whole.
            hyper = both(std::slice::from_ref(&bytes)).1;
        }
        prop_assert_eq!(lean, hyper, "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn where_the_reads_cut_does_not_matter(bytes in answers(), one in sizes(), other in sizes()) {
        prop_assert_eq!(lean(&cut(&bytes, &one)).0, lean(&cut(&bytes, &other)).0);
    }
}

fn told(text: &str) -> (Story, bool) {
    lean(&[text.as_bytes().to_vec()])
}

#[test]
fn a_connection_is_kept_where_the_answer_allows_it_and_nothing_follows() {
    let kept = |head: &str, body: &str| told(&format!("{head}\r\n{body}")).1;
    assert!(kept("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", "ab"));
    assert!(kept(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
        "0\r\n\r\n"
    ));
    assert!(kept(
        "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 2\r\n",
        "ab"
    ));
    assert!(!kept("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n", "ab"));
    assert!(!kept(
        "HTTP/1.1 200 OK\r\nconnection: foo, Close\r\ncontent-length: 2\r\n",
        "ab"
    ));
    assert!(
        !kept("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", "abc"),
        "bytes that nobody asked for"
    );
    assert!(!kept(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n",
        ""
    ));
}

#[test]
fn a_head_without_an_end_is_refused_at_its_limit_by_both() {
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    while bytes.len() <= 2 * MAX_HEAD {
        bytes.extend_from_slice(format!("x-{}: {}\r\n", bytes.len(), "y".repeat(2_000)).as_bytes());
    }
    let pieces = cut(&bytes, &[5_000]);
    let (lean, hyper) = both(&pieces);
    assert_eq!((lean.status, lean.end), (None, End::Malformed));
    assert_eq!((hyper.status, hyper.end), (None, End::Malformed));
}

#[test]
fn too_many_fields_are_refused_by_both() {
    let fields = "x: y\r\n".repeat(101);
    let bytes = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n").into_bytes();
    let (lean, hyper) = both(&[bytes]);
    assert_eq!(lean.end, End::Malformed);
    assert_eq!(lean, hyper);
}

#[test]
fn a_size_that_no_memory_holds_is_refused_by_both() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let (lean, hyper) = both(&[format!("{head}fffffffffffffffff\r\n").into_bytes()]);
    assert_eq!(lean.end, End::Malformed);
    assert_eq!(lean, hyper);
}

#[test]
fn extensions_and_trailers_without_an_end_are_refused() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let endless = "x".repeat(20_000);
    assert_eq!(told(&format!("{head}5;{endless}")).0.end, End::Malformed);
    assert_eq!(
        told(&format!("{head}0\r\na: {endless}")).0.end,
        End::Malformed
    );
}

#[test]
fn a_status_below_a_hundred_is_refused_by_both() {
    for status in ["000", "042", "099"] {
        let bytes = format!("HTTP/1.1 {status} Low\r\ncontent-length: 0\r\n\r\n").into_bytes();
        let (lean, hyper) = both(&[bytes]);
        assert_eq!((lean.status, lean.end), (None, End::Malformed));
        assert_eq!(lean, hyper);
    }
}
