//! A TCP stream that remembers when it last read and wrote: the stamps of everything above it.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// When a connection last moved bytes. Shared by the stream and the exchange that uses it.
#[derive(Debug)]
pub(super) struct Stamps {
    read: Cell<Instant>,
    written: Cell<Option<Instant>>,
}

impl Stamps {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            read: Cell::new(Instant::now()),
            written: Cell::new(None),
        })
    }

    /// When the last read that brought bytes returned.
    pub(super) fn last_read(&self) -> Instant {
        self.read.get()
    }

    /// When the last write since `forget_writes` returned.
    pub(super) fn last_write(&self) -> Option<Instant> {
        self.written.get()
    }

    /// A new request begins.
    pub(super) fn forget_writes(&self) {
        self.written.set(None);
    }
}

/// A TCP stream that keeps `Stamps`.
pub(super) struct StampedTcp {
    tcp: TcpStream,
    stamps: Rc<Stamps>,
}

impl StampedTcp {
    pub(super) fn new(tcp: TcpStream, stamps: Rc<Stamps>) -> Self {
        Self { tcp, stamps }
    }
}

impl AsyncRead for StampedTcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.stamps.read.set(Instant::now());
        }
        polled
    }
}

impl AsyncWrite for StampedTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, buf);
        if polled.is_ready() {
            self.stamps.written.set(Some(Instant::now()));
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        if polled.is_ready() {
            self.stamps.written.set(Some(Instant::now()));
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
