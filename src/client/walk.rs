//! The way to a server walked once, stretch by stretch, for who wants to know what each takes. Nothing is asked at its end, and
//! no request goes this way: those open their connections whole.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::Instant;

use super::Failure;
use super::connect::Connector;
use super::dial::Dialer;
use super::io::{ReadProbe, Receiver};
use super::link::Link;
use crate::domain::{Outcome, StampSource};

/// A part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// The host's name (the proxy's, where there is one) to its addresses.
    Name,
    /// The TCP connection.
    Tcp,
    /// A proxy's tunnel, and the TLS handshake.
    Tls,
}

/// What was met.
#[derive(Debug, Default)]
pub struct Walk {
    /// What each stretch took, and what is at its end, in words.
    pub walked: Vec<(Stretch, Duration, String)>,
    /// Where it ended too early.
    pub failed: Option<(Stretch, Failure)>,
}

/// What is read on the way is nobody's answer.
struct Nobody;

impl ReadProbe for Nobody {
    fn read(&self, _: Instant, _: Option<Duration>) {}

    fn clock_stepped(&self) {}
}

impl Connector {
    /// Walks it, each stretch within the time-out.
    pub async fn walk(&self) -> Walk {
        let mut walk = Walk::default();
        if let Err((at, failure)) = self.stretches(&mut walk).await {
            walk.failed = Some((at, failure));
        }
        walk
    }

    async fn stretches(&self, walk: &mut Walk) -> Result<(), (Stretch, Failure)> {
        let (host, port) = match &self.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (self.target.host.as_str(), self.target.port),
        };
        let begun = Instant::now();
        let found = self.timed(async {
            let unknown =
                |why: String| Failure::new(Outcome::Dns, format!("cannot resolve `{host}`: {why}"));
            let found = lookup_host((host, port)).await;
            let found: Vec<_> = found.map_err(|error| unknown(error.to_string()))?.collect();
            match found.is_empty() {
                true => Err(unknown("no address".to_owned())),
                false => Ok(found),
            }
        });
        let found = found.await.map_err(|failure| (Stretch::Name, failure))?;
        let addresses: Vec<_> = found.iter().map(|it| it.ip().to_string()).collect();
        let words = format!("`{host}` is {}", addresses.join(", "));
        walk.walked.push((Stretch::Name, begun.elapsed(), words));

        let begun = Instant::now();
        let dialled = self.timed(self.dial_any(&addresses, port)).await;
        let tcp = dialled.map_err(|failure| (Stretch::Tcp, failure))?;
        let to = tcp.peer_addr().map(|peer| peer.to_string());
        let to = to.unwrap_or_else(|_| host.to_owned());
        let proxy = if self.proxy.is_some() {
            "the proxy at "
        } else {
            ""
        };
        let words = format!("to {proxy}{to}");
        walk.walked.push((Stretch::Tcp, begun.elapsed(), words));
        if !self.target.tls {
            return Ok(());
        }

        let begun = Instant::now();
        let receiver = Receiver::new(StampSource::Clock, Rc::new(Nobody));
        let secured = self.timed(self.secure(tcp, &receiver)).await;
        let secured = secured.map_err(|failure| (Stretch::Tls, failure))?;
        walk.walked
            .push((Stretch::Tls, begun.elapsed(), terms(&secured)));
        Ok(())
    }

    /// A connection to the first of `addresses` that takes one.
    async fn dial_any(
        &self,
        addresses: &[String],
        port: u16,
    ) -> Result<tokio::net::TcpStream, Failure> {
        let mut last = Failure::new(Outcome::Connect, "no address");
        for host in addresses {
            let sources = &self.sources;
            let dialer = Dialer {
                host,
                port,
                sources,
            };
            match dialer.dial().await {
                Ok(tcp) => return Ok(tcp),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}

/// What was agreed on.
fn terms(link: &Link) -> String {
    let Link::Tls(secured) = link else {
        return "no TLS".to_owned();
    };
    let agreed = secured.get_ref().1;
    let version = agreed.protocol_version();
    let version = version.and_then(|version| version.as_str());
    let speaks = agreed.alpn_protocol();
    let speaks = speaks.map(|name| format!(", {}", String::from_utf8_lossy(name)));
    format!("{}{}", version.unwrap_or("TLS"), speaks.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::client::{Sources, Target, TlsSettings, install_crypto};

    fn towards(host: &str, port: u16, tls: bool) -> Connector {
        install_crypto();
        let settings = TlsSettings {
            insecure_skip_verify: false,
            ca_pem: None,
            http2: false,
        };
        Connector {
            target: Target {
                host: host.to_owned(),
                port,
                tls,
                base_path: String::new(),
            },
            tls: settings.config().unwrap(),
            proxy: None,
            sources: Sources::default(),
            http2: false,
            timeout: Some(Duration::from_secs(20)),
        }
    }

    #[tokio::test]
    async fn each_stretch_is_told_until_one_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let names = |walk: &Walk| -> Vec<_> { walk.walked.iter().map(|it| it.0).collect() };
        let walk = towards("127.0.0.1", port, false).walk().await;
        assert_eq!(names(&walk), [Stretch::Name, Stretch::Tcp]);
        assert!(walk.failed.is_none(), "{walk:?}");
        assert_eq!(walk.walked[1].2, format!("to 127.0.0.1:{port}"));

        // Who answers a handshake with other words does not speak TLS.
        let connector = towards("127.0.0.1", port, true);
        let answering = async {
            // The connection of the walk before is still in the queue.
            drop(listener.accept().await.unwrap());
            let (mut stream, _) = listener.accept().await.unwrap();
            let words = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, words)
                .await
                .unwrap();
            stream
        };
        let (walk, _stream) = tokio::join!(connector.walk(), answering);
        let (at, failure) = walk.failed.unwrap();
        assert_eq!((at, failure.outcome), (Stretch::Tls, Outcome::Tls));

        drop(listener);
        let walk = towards("127.0.0.1", port, false).walk().await;
        assert_eq!(names(&walk), [Stretch::Name]);
        assert_eq!(walk.failed.unwrap().0, Stretch::Tcp);
        let walk = towards("no.such.host.invalid", 80, false).walk().await;
        assert_eq!(walk.failed.unwrap().0, Stretch::Name);
    }
}
