//! Opening a connection: name, TCP, proxy, TLS, and the HTTP handshake on top.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::dial::Dialer;
use super::io::{Receiver, StampedTcp, Stamps};
use super::lean::MAX_HEAD;
use super::link::Link;
use super::pool::Kept;
use super::{Failure, Proxy, Sources};
use crate::domain::Outcome;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// What stands before each request's path: empty, or `/base`.
    pub base_path: String,
}

impl Target {
    /// `host:port` with brackets around an IPv6 address; the port is left out where it is the scheme's own.
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        if self.port == default {
            self.bracketed()
        } else {
            self.authority_with_port()
        }
    }

    pub(super) fn authority_with_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

/// Opens connections to one server. Each core has its own; the TLS settings are shared.
#[derive(Clone, Debug)]
pub struct Connector {
    /// The server.
    pub target: Target,
    /// TLS settings, used when the target speaks TLS.
    pub tls: Arc<ClientConfig>,
    /// A proxy to go through.
    pub proxy: Option<Proxy>,
    /// The local addresses to connect from.
    pub sources: Sources,
    /// Speak HTTP/2.
    pub http2: bool,
    /// How long opening may take.
    pub timeout: Option<Duration>,
}

/// The sending half of an open connection.
pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An open connection.
pub(super) struct Connection {
    pub(super) sender: Sender,
    pub(super) stamps: Rc<Stamps>,
}

impl Connection {
    /// Whether the task that drives it has not seen its end.
    pub(super) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }
}

impl Kept for Connection {
    fn is_usable(&mut self) -> bool {
        self.is_open()
    }
}

impl Kept for Link {
    fn is_usable(&mut self) -> bool {
        self.is_open()
    }
}

impl Connector {
    /// Opens a connection for hyper within the time-out. The task that drives it belongs to `tasks`.
    pub(super) async fn open(
        &self,
        receiver: &Rc<Receiver>,
        tasks: &TaskTracker,
    ) -> Result<Connection, Failure> {
        self.timed(async {
            let link = self.link(receiver).await?;
            self.handshake(link, tasks).await
        })
        .await
    }

    /// Opens a byte stream within the time-out.
    pub(super) async fn open_link(&self, receiver: &Rc<Receiver>) -> Result<Link, Failure> {
        self.timed(self.link(receiver)).await
    }

    pub(super) async fn timed<C>(
        &self,
        opening: impl Future<Output = Result<C, Failure>>,
    ) -> Result<C, Failure> {
        let Some(limit) = self.timeout else {
            return opening.await;
        };
        let opened = tokio::time::timeout(limit, opening).await;
        opened.unwrap_or_else(|_| {
            Err(Failure::new(
                Outcome::TimeoutConnect,
                format!("no connection within {}", crate::domain::format_span(limit)),
            ))
        })
    }

    async fn link(&self, receiver: &Rc<Receiver>) -> Result<Link, Failure> {
        self.secure(self.dial().await?, receiver).await
    }

    /// What is spoken on below HTTP: the connection itself, or TLS, through the proxy's tunnel where there is one.
    pub(super) async fn secure(
        &self,
        tcp: TcpStream,
        receiver: &Rc<Receiver>,
    ) -> Result<Link, Failure> {
        let mut stream = StampedTcp::new(tcp, Stamps::new(), receiver);
        if !self.target.tls {
            return Ok(Link::Plain(stream));
        }
        if let Some(proxy) = &self.proxy {
            proxy
                .tunnel(&mut stream, &self.target.authority_with_port())
                .await?;
        }
        let refused = |text: String| Failure::new(Outcome::Tls, text);
        let name = ServerName::try_from(self.target.host.clone()).map_err(|_| {
            refused(format!(
                "`{}` is not a name that a certificate can have",
                self.target.host
            ))
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let secured = connector
            .connect(name, stream)
            .await
            .map_err(|error| refused(error.to_string()))?;
        if self.http2 && secured.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(refused(
                "the server does not speak HTTP/2 (ALPN)".to_owned(),
            ));
        }
        Ok(Link::Tls(Box::new(secured)))
    }

    /// Connects to the server, or to the proxy before it.
    async fn dial(&self) -> Result<TcpStream, Failure> {
        let (host, port) = match &self.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (self.target.host.as_str(), self.target.port),
        };
        let sources = &self.sources;
        let dialer = Dialer {
            host,
            port,
            sources,
        };
        dialer.dial().await
    }

    async fn handshake(&self, link: Link, tasks: &TaskTracker) -> Result<Connection, Failure> {
        let failed = |error: hyper::Error| Failure::broken(&error, false);
        let stamps = Rc::clone(link.stamps());
        let io = TokioIo::new(link);
        let sender = if self.http2 {
            let (sender, driver) = http2::Builder::new(LocalExecutor(tasks.clone()))
                .handshake(io)
                .await
                .map_err(failed)?;
            tasks.spawn_local(driver);
            Sender::Http2(sender)
        } else {
            let (sender, driver) = http1::Builder::new()
                .max_buf_size(MAX_HEAD)
                .handshake(io)
                .await
                .map_err(failed)?;
            tasks.spawn_local(driver);
            Sender::Http1(sender)
        };
        Ok(Connection { sender, stamps })
    }
}

/// Runs HTTP/2's inner tasks on the core that owns the connection.
#[derive(Clone)]
struct LocalExecutor(TaskTracker);

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        self.0.spawn_local(task);
    }
}
