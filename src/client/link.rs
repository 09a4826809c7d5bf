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
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
    ) -> Poll<io::Result<usize>> {
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        Pin::new(self).poll_write_vectored(cx, &slices)
    }
}

/// As hyper reads it: its stamps tell whether anything was heard.
impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (link, before) = (self.get_mut(), buf.filled().len());
        ready!(match link {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        })?;
        if buf.filled().len() > before {
            link.stamps().note_heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}
