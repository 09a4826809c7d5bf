//! Where connections come from: a listener's on a master, a dialer's on a worker. The system's TCP is the default;
//! a simulated network plugs in here. Nothing is said about what travels on them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::{Stream, StreamExt};

/// A stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Any of them.
pub type BoxedIo = Box<dyn Io>;

/// A connection that was accepted, and whose it is, where that is known.
pub type Accepted = (BoxedIo, Option<SocketAddr>);

/// The connections that a master accepts, as they come. An error is one connection's, unless the stream ends.
pub struct Incoming(pub(super) Pin<Box<dyn Stream<Item = io::Result<Accepted>> + Send>>);

impl Incoming {
    /// From anything that yields connections.
    pub fn new<T: Io>(
        connections: impl Stream<Item = io::Result<(T, Option<SocketAddr>)>> + Send + 'static,
    ) -> Self {
        let boxed =
            connections.map(|accepted| accepted.map(|(io, peer)| (Box::new(io) as BoxedIo, peer)));
        Self(Box::pin(boxed))
    }
}

impl From<TcpListener> for Incoming {
    fn from(listener: TcpListener) -> Self {
        Self::new(Accepting(listener))
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

/// Accepts for ever; small messages are sent at once.
struct Accepting(TcpListener);

impl Stream for Accepting {
    type Item = io::Result<(TcpStream, Option<SocketAddr>)>;

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_accept(cx).map(|accepted| {
            Some(accepted.and_then(|(tcp, peer)| {
                tcp.set_nodelay(true)?;
                Ok((tcp, Some(peer)))
            }))
        })
    }
}

/// A connection that is being made.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<BoxedIo>> + Send>>;

/// Makes connections to `(host, port)`.
#[derive(Clone)]
pub struct Dialer(Arc<dyn Fn(String, u16) -> Dialing + Send + Sync>);

impl Dialer {
    /// From a function of a host (IPv6 without brackets) and a port.
    pub fn new<F, C, T>(connect: F) -> Self
    where
        F: Fn(String, u16) -> C + Send + Sync + 'static,
        C: Future<Output = io::Result<T>> + Send + 'static,
        T: Io,
    {
        Self(Arc::new(move |host, port| {
            let connecting = connect(host, port);
            Box::pin(async move { Ok(Box::new(connecting.await?) as BoxedIo) })
        }))
    }

    pub(super) fn dial(&self, host: String, port: u16) -> Dialing {
        (self.0)(host, port)
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new(|host, port| async move {
            let tcp = TcpStream::connect((host, port)).await?;
            tcp.set_nodelay(true)?;
            Ok(tcp)
        })
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}
