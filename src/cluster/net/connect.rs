//! A worker's way to its master: dials, shakes hands, and remembers when a master will never have it.
//! When to try again is not its business.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::security::{ClientTls, Rejection, server_name};
use super::socket::{BoxedIo, Dialer};

/// What was found out about the master while connecting to it; the last word stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict(Arc<Mutex<Option<Rejection>>>);

impl Verdict {
    pub(super) fn take(&self) -> Option<Rejection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Remembers an error of TLS itself. One of the network below says nothing about who is there.
    fn learn(&self, error: &io::Error) {
        let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(error) = of_tls.map(|error: &rustls::Error| error.to_string()) {
            let mut verdict = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *verdict = Some(Rejection::Tls(error));
        }
    }
}

/// Connects for tonic.
#[derive(Clone)]
pub(super) struct Connector {
    pub dialer: Dialer,
    pub tls: Option<ClientTls>,
    pub verdict: Verdict,
}

impl Connector {
    async fn connect(self, uri: Uri) -> io::Result<Watched> {
        let nowhere = || io::Error::from(io::ErrorKind::AddrNotAvailable);
        let host = uri.host().ok_or_else(nowhere)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().ok_or_else(nowhere)?;
        let io = self.dialer.dial(host.to_owned(), port).await?;
        let io = match self.tls {
            None => io,
            Some(tls) => {
                let name = tls.server_name.map_or_else(|| server_name(host), Ok);
                let name = name.map_err(io::Error::other)?;
                let shaking = TlsConnector::from(tls.config).connect(name, io);
                let shaken = shaking.await.inspect_err(|error| self.verdict.learn(error));
                Box::new(shaken?) as BoxedIo
            }
        };
        Ok(Watched {
            io,
            verdict: self.verdict,
        })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Watched>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.clone().connect(uri);
        Box::pin(async move { connecting.await.map(TokioIo::new) })
    }
}

/// A connection whose errors are looked at: a master says that it does not believe a certificate after the handshake.
pub(super) struct Watched {
    io: BoxedIo,
    verdict: Verdict,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read {
            self.verdict.learn(error);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
