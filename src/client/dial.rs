//! The TCP connection alone: which of the server's addresses, from which of this machine's.
//! Nothing is spoken on it here, and how long it may take is the caller's matter.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::Failure;
use crate::domain::Outcome;

/// The local addresses that connections are made from, in turn; without any the system chooses.
/// Clones share the turn.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<Turns>);

#[derive(Debug, Default)]
struct Turns {
    v4: Family,
    v6: Family,
}

/// Addresses of one kind, and whose turn it is among them.
#[derive(Debug, Default)]
struct Family {
    addresses: Vec<IpAddr>,
    next: AtomicUsize,
}

impl From<Vec<IpAddr>> for Family {
    fn from(addresses: Vec<IpAddr>) -> Self {
        let next = AtomicUsize::new(0);
        Self { addresses, next }
    }
}

impl Sources {
    /// These addresses, in this order.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
        Self(Arc::new(Turns {
            v4: v4.into(),
            v6: v6.into(),
        }))
    }

    /// The first address that nothing can be sent from, and why; `None` when all are this machine's.
    pub fn unusable(&self) -> Option<(IpAddr, io::Error)> {
        let mut all = self.0.v4.addresses.iter().chain(&self.0.v6.addresses);
        all.find_map(|&source| bound_to(source).err().map(|error| (source, error)))
    }

    fn is_empty(&self) -> bool {
        self.0.v4.addresses.is_empty() && self.0.v6.addresses.is_empty()
    }

    /// Every address that could reach `server`, beginning with the one whose turn it is.
    fn towards(&self, server: SocketAddr) -> impl Iterator<Item = IpAddr> {
        let family = if server.is_ipv4() {
            &self.0.v4
        } else {
            &self.0.v6
        };
        let first = family.next.fetch_add(1, Relaxed);
        let all = &family.addresses;
        (0..all.len()).map(move |step| all[first.wrapping_add(step) % all.len()])
    }
}

/// Connects to one host and port.
pub(super) struct Dialer<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) sources: &'a Sources,
}

/// Why a connection did not come about.
enum Refused {
    /// Every local port towards the server is taken.
    NoPorts,
    Otherwise(Failure),
}

impl Dialer<'_> {
    /// A connection to the first address of the host that takes one.
    pub(super) async fn dial(&self) -> Result<TcpStream, Failure> {
        let dialled = self.try_all().await;
        if dialled.is_err() {
            // A refusal may come at once, again and again: it must not keep the core from its other work.
            tokio::task::yield_now().await;
        }
        dialled
    }

    async fn try_all(&self) -> Result<TcpStream, Failure> {
        let unknown = |why: String| {
            let text = format!("cannot resolve `{}`: {why}", self.host);
            Failure::new(Outcome::Dns, text)
        };
        let addresses = lookup_host((self.host, self.port))
            .await
            .map_err(|error| unknown(error.to_string()))?;
        let mut last = None;
        for server in addresses {
            match self.reach(server).await {
                Ok(tcp) => {
                    // A load generator that waits to fill segments would measure its own delay.
                    tcp.set_nodelay(true)
                        .map_err(|error| Failure::connecting(&error))?;
                    return Ok(tcp);
                }
                Err(failure) => last = Some(failure),
            }
        }
        Err(last.unwrap_or_else(|| unknown("no address".to_owned())))
    }

    /// A connection to `server`, from the next source address as long as the last one has no ports left.
    async fn reach(&self, server: SocketAddr) -> Result<TcpStream, Failure> {
        if self.sources.is_empty() {
            return match TcpStream::connect(server).await {
                Ok(tcp) => Ok(tcp),
                Err(error) => Err(self.in_words(server, refused(server, &error))),
            };
        }
        let mut last = None;
        for source in self.sources.towards(server) {
            match connect_from(source, server).await {
                Ok(tcp) => return Ok(tcp),
                Err(Refused::NoPorts) => last = Some(Refused::NoPorts),
                Err(other) => return Err(self.in_words(server, other)),
            }
        }
        let no_source = || {
            let text = format!(
                "no --source-ip is of the same family as the server's address {}",
                server.ip()
            );
            Refused::Otherwise(Failure::new(Outcome::Connect, text))
        };
        Err(self.in_words(server, last.unwrap_or_else(no_source)))
    }

    fn in_words(&self, server: SocketAddr, refused: Refused) -> Failure {
        let sources = if self.sources.is_empty() {
            ""
        } else {
            " from any --source-ip"
        };
        match refused {
            Refused::Otherwise(failure) => failure,
            Refused::NoPorts => Failure::new(
                Outcome::Connect,
                format!(
                    "out of local ports to connect to {server}{sources}; hint: --source-ip with a further address of \
                     this machine, connections that are kept (--connection-reuse), or more workers"
                ),
            ),
        }
    }
}

async fn connect_from(source: IpAddr, server: SocketAddr) -> Result<TcpStream, Refused> {
    let socket = bound_to(source).map_err(|error| {
        // Where a port is reserved by binding, that is where they run out.
        if error.kind() == io::ErrorKind::AddrInUse {
            return Refused::NoPorts;
        }
        let text = format!("cannot connect from `{source}`: {error}");
        Refused::Otherwise(Failure::new(Outcome::Connect, text))
    })?;
    let connected = socket.connect(server).await;
    connected.map_err(|error| refused(server, &error))
}

/// A socket that will connect from `source`. Its port is chosen when it connects, so that one port serves a
/// connection to each server, not one in all.
fn bound_to(source: IpAddr) -> io::Result<TcpSocket> {
    let socket = if source.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Where the system does not know it (Linux before 4.2), there are fewer ports; nothing else changes.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::socket::setsockopt(
        &socket,
        nix::sys::socket::sockopt::IpBindAddressNoPort,
        &true,
    );
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(socket)
}

fn refused(server: SocketAddr, error: &io::Error) -> Refused {
    if error.kind() == io::ErrorKind::AddrNotAvailable && has_a_way_to(server) {
        Refused::NoPorts
    } else {
        Refused::Otherwise(Failure::connecting(error))
    }
}

/// Whether this machine has an address to reach `server` from. The system has the same error for having none (IPv6
/// switched off) as for having no port left; a datagram socket, which connects without a word, tells them apart.
fn has_a_way_to(server: SocketAddr) -> bool {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    UdpSocket::bind((any, 0))
        .and_then(|probe| probe.connect(server))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(texts: &[&str]) -> Sources {
        Sources::new(texts.iter().map(|text| text.parse().unwrap()))
    }

    async fn peer_of(listener: &TcpListener, sources: &Sources) -> IpAddr {
        let dialer = Dialer {
            host: "127.0.0.1",
            port: listener.local_addr().unwrap().port(),
            sources,
        };
        let _kept = dialer.dial().await.unwrap();
        listener.accept().await.unwrap().1.ip()
    }

    #[tokio::test]
    async fn connections_are_made_from_each_source_address_in_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sources = addresses(&["127.0.0.2", "::1", "127.0.0.3"]);
        let mut peers = Vec::new();
        for _ in 0..4 {
            peers.push(peer_of(&listener, &sources.clone()).await.to_string());
        }
        assert_eq!(peers, ["127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3"]);
    }

    #[test]
    fn each_family_has_its_own_turns() {
        let sources = addresses(&["127.0.0.2", "127.0.0.3", "::2", "::3"]);
        let servers = ["127.0.0.1:1", "[::1]:1"].map(|server| server.parse().unwrap());
        let mut firsts = Vec::new();
        for _ in 0..2 {
            for server in servers {
                firsts.push(sources.towards(server).next().unwrap().to_string());
            }
        }
        assert_eq!(firsts, ["127.0.0.2", "::2", "127.0.0.3", "::3"]);
    }

    #[tokio::test]
    async fn a_server_of_another_family_is_not_reached_and_the_words_say_why() {
        let sources = addresses(&["::1"]);
        let dialer = Dialer {
            host: "127.0.0.1",
            port: 9,
            sources: &sources,
        };
        let failure = dialer.dial().await.unwrap_err();
        assert_eq!(failure.outcome, Outcome::Connect);
        assert_eq!(
            failure.text,
            "no --source-ip is of the same family as the server's address 127.0.0.1"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn binding_takes_no_port_so_that_each_server_has_all_of_them() {
        for source in ["127.0.0.1", "::1"] {
            let Ok(socket) = bound_to(source.parse().unwrap()) else {
                assert_eq!(source, "::1", "every machine has the other");
                continue;
            };
            assert_eq!(socket.local_addr().unwrap().port(), 0, "{source}");
        }
    }

    #[test]
    fn an_address_of_another_machine_is_found() {
        assert!(addresses(&["127.0.0.1", "127.0.0.9"]).unusable().is_none());
        let (address, _) = addresses(&["127.0.0.1", "192.0.2.7"]).unusable().unwrap();
        assert_eq!(address.to_string(), "192.0.2.7");
    }
}
