//! The wire: connections, TLS, proxies, HTTP/1.1 and HTTP/2, and a stamp for everything that passes.
//! It knows no provider, no schedule and no statistics; it never retries in secret.

mod clock;
mod connect;
mod dial;
mod encoding;
mod failure;
mod hyper_transport;
mod io;
mod kernel;
mod lean;
mod link;
mod pool;
mod proxy;
mod stamp;
mod tls;
mod transport;
mod walk;

pub use clock::Clock;
pub use connect::{Connector, Target};
pub use dial::Sources;
pub use failure::Failure;
pub use hyper_transport::HyperTransport;
pub use io::ReadProbe;
pub use lean::LeanTransport;
pub use pool::{MAX_STREAMS, Reuse};
pub use proxy::Proxy;
pub use tls::{TlsError, TlsSettings, install_crypto};
pub use transport::{Fields, Head, Observer, Transport};
pub use walk::{Stretch, Walk};
