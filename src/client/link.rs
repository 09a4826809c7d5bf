//! An open byte stream to the server, with or without TLS.
//! It knows no HTTP; its stamps are of the TCP connection under it.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::io::{StampedTcp, Stamps};

/// A stream to the server.
pub(super) enum Link {
    Plain(StampedTcp),
    Tls(Box<TlsStream<StampedTcp>>),
}

/// Where decrypted bytes are read to; all TLS connections of a core share it.
pub(super) type Clear = RefCell<Box<[u8]>>;

impl Link {
    pub(super) fn stamps(&self) -> &Rc<Stamps> {
        self.tcp().stamps()
    }

    fn tcp(&self) -> &StampedTcp {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Whether the server has neither ended the connection nor said a word that nobody asked for.
    /// What TLS says of its own between answers (session tickets) is taken in here, so that no answer is late for it.
    pub(super) fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let mut seen = ReadBuf::new(&mut byte);
        match self {
            Self::Plain(tcp) => tcp.tcp().poll_peek(&mut cx, &mut seen).is_pending(),
            Self::Tls(tls) => Pin::new(&mut **tls)
                .poll_read(&mut cx, &mut seen)
                .is_pending(),
        }
    }

    /// Reads what has come and lends it to `take`, with the time of its arrival; no bytes are the end.
    pub(super) fn poll_receive<R>(
        &mut self,
        cx: &mut Context<'_>,
        clear: &Clear,
        take: impl FnOnce(&[u8], Instant) -> R,
    ) -> Poll<io::Result<R>> {
        match self {
            Self::Plain(tcp) => tcp.poll_receive(cx, usize::MAX, take),
            Self::Tls(tls) => {
                let mut clear = clear.borrow_mut();
                let mut buffer = ReadBuf::new(&mut clear);
                ready!(Pin::new(&mut **tls).poll_read(cx, &mut buffer))?;
                let at = tls.get_ref().0.stamps().last_read();
                Poll::Ready(Ok(take(buffer.filled(), at)))
            }
        }
    }

    /// Hands over as much of `head` and `body` as is taken now; how much that was.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
    ) -> Poll<io::Result<usize>> {
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, &slices),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, &slices),
        }
    }

    /// Sends on what the layers under this one still hold.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }
}
