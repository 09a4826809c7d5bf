//! The way to the server, leg by leg. It walks none.

use std::time::Duration;

use super::finding::Finding;

/// A leg that takes so long is seen wherever connections are opened.
const SLOW: Duration = Duration::from_secs(1);

/// A leg of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leg {
    /// The host's name to its addresses.
    Name,
    /// The TCP connection, to the proxy where there is one.
    Tcp,
    /// The tunnel of a proxy and the TLS handshake.
    Tls,
    /// A request without work for the model.
    Http,
}

impl Leg {
    const fn check(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Tcp => "connection",
            Self::Tls => "TLS",
            Self::Http => "HTTP",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Name => {
                "is the name in -H right, and does this machine (or container) resolve it?"
            }
            Self::Tcp => {
                "is the server up, is -H its address, and does a firewall or a network policy lie between?"
            }
            Self::Tls => {
                "--ca-cert for an authority of your own, --insecure-skip-verify for a test, http:// for a server without TLS"
            }
            Self::Http => {
                "does an HTTP server listen there? --http 2 or 1 says which HTTP it speaks"
            }
        }
    }
}

/// How far it was walked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walked {
    /// What each leg took, and what was met at its end.
    pub(crate) legs: Vec<(Leg, Duration, String)>,
    /// Where it ended too early, and why.
    pub(crate) failed: Option<(Leg, String)>,
}

/// A finding for each leg.
pub(crate) fn way(walked: &Walked) -> Vec<Finding> {
    let leg = |(leg, took, met): &(Leg, Duration, String)| {
        let words = format!("{:.1} ms: {met}", took.as_secs_f64() * 1e3);
        if *took > SLOW {
            let hint = "every new connection waits so long: keep them (--connection-reuse pooled), or send from nearer";
            Finding::warning(leg.check(), words, hint)
        } else {
            Finding::ok(leg.check(), words)
        }
    };
    let failed = walked.failed.iter();
    let failed = failed.map(|(leg, why)| Finding::problem(leg.check(), why.as_str(), leg.hint()));
    walked.legs.iter().map(leg).chain(failed).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_leg_that_failed_is_the_last_and_has_its_own_hint() {
        let walked = Walked {
            legs: vec![
                (
                    Leg::Name,
                    Duration::from_micros(300),
                    "127.0.0.1".to_owned(),
                ),
                (Leg::Tcp, Duration::from_millis(1_001), "far".to_owned()),
            ],
            failed: Some((Leg::Tls, "unknown issuer".to_owned())),
        };
        let found = way(&walked);
        let levels: Vec<_> = found.iter().map(|it| (it.check, it.level)).collect();
        assert_eq!(
            levels,
            [
                ("name", Level::Ok),
                ("connection", Level::Warning),
                ("TLS", Level::Problem)
            ]
        );
        assert_eq!(found[0].words, "0.3 ms: 127.0.0.1");
        assert!(found[2].hint.as_deref().unwrap().contains("--ca-cert"));
    }
}
