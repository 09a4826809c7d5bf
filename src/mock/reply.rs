//! The three kinds of response body: whole, whole up to where it breaks, and streamed.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::stream::{Stream, Torn};

/// A response's body.
pub(super) enum Reply {
    Whole(Bytes),
    /// Goes out as a chunked body that ends properly; then, if `tear`, the connection breaks instead.
    Part {
        bytes: Bytes,
        tear: bool,
        flushed: bool,
    },
    Stream(Box<Stream>),
}

impl Reply {
    /// A part of a body; `tear` breaks the connection after it.
    pub(super) fn part(bytes: Bytes, tear: bool) -> Self {
        Self::Part {
            bytes,
            tear,
            flushed: false,
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        match self.get_mut() {
            Self::Stream(stream) => stream
                .poll_bytes(cx)
                .map(|bytes| bytes.map(|bytes| bytes.map(Frame::data))),
            Self::Whole(bytes) => Poll::Ready(take(bytes)),
            Self::Part { bytes, .. } if !bytes.is_empty() => Poll::Ready(take(bytes)),
            Self::Part { tear: false, .. } => Poll::Ready(None),
            Self::Part { flushed, .. } if !*flushed => {
                *flushed = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Part { .. } => Poll::Ready(Some(Err(Torn))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Part { bytes, tear, .. } => bytes.is_empty() && !tear,
            Self::Stream(stream) => stream.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Part { .. } | Self::Stream(_) => SizeHint::default(),
        }
    }
}

fn take(bytes: &mut Bytes) -> Option<Result<Frame<Bytes>, Torn>> {
    if bytes.is_empty() {
        return None;
    }
    Some(Ok(Frame::data(std::mem::take(bytes))))
}
