//! From a plan's words about the server to what the client needs to reach it.

use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use rustls::ClientConfig;

use super::error::Error;
use crate::client::{Connector, Proxy, Reuse, Sources, Target, TlsSettings};
use crate::domain::Secret;
use crate::plan::{ConnectionReuse, HttpVersion, Plan};

/// Host, port and base path of a base URL. One with a user's name or password is refused: it would stand in every report.
pub(crate) fn parse(base_url: &str) -> Result<Target, Error> {
    let wrong = || {
        if base_url.contains('@') {
            Error::UserInfo
        } else {
            Error::Url(base_url.to_owned())
        }
    };
    let uri: Uri = base_url.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.as_str().contains('@') {
        return Err(Error::UserInfo);
    }
    // What is no port is a password with a slash in it, or a slip.
    let behind = authority.as_str().strip_prefix(authority.host());
    let is_port = uri.port_u16().is_some() || matches!(behind, Some("" | ":"));
    if authority.host().is_empty() || !is_port {
        return Err(wrong());
    }
    let tls = uri.scheme_str() == Some("https");
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok(Target {
        host,
        port,
        tls,
        base_path: uri.path().trim_end_matches('/').to_owned(),
    })
}

/// How a plan's server is reached.
pub(crate) fn connector(
    plan: &Plan,
    proxy_credentials: Option<Secret>,
    sources: Sources,
) -> Result<Connector, Error> {
    let http2 = plan.target.http == HttpVersion::Http2;
    refuse_contradictions(plan)?;
    let proxy = plan.target.proxy.as_deref();
    Ok(Connector {
        target: parse(&plan.target.base_url)?,
        tls: tls(plan)?,
        proxy: proxy
            .map(|url| self::proxy(url, proxy_credentials))
            .transpose()?,
        sources,
        http2,
        timeout: plan.limits.connect,
    })
}

fn tls(plan: &Plan) -> Result<Arc<ClientConfig>, Error> {
    let settings = TlsSettings {
        insecure_skip_verify: plan.target.insecure_skip_verify,
        ca_pem: plan.target.ca_pem.clone(),
        http2: plan.target.http == HttpVersion::Http2,
    };
    Ok(settings.config()?)
}

/// The addresses that a machine connects from, each of which must be its own.
pub(crate) fn sources(addresses: &[IpAddr]) -> Result<Sources, Error> {
    let sources = Sources::new(addresses.iter().copied());
    match sources.unusable() {
        None => Ok(sources),
        Some((address, source)) => Err(Error::Source { address, source }),
    }
}

/// What HTTP/2 cannot do here, and an open loop, is said, not ignored.
pub(crate) fn refuse_contradictions(plan: &Plan) -> Result<(), Error> {
    if plan.schedule.enough.is_some() && plan.schedule.is_open() {
        return Err(Error::EnoughOfOpen);
    }
    if plan.target.http != HttpVersion::Http2 {
        return Ok(());
    }
    if plan.target.connection_reuse == ConnectionReuse::PerUser {
        return Err(Error::Http2PerUser);
    }
    if plan.target.proxy.is_some() && !parse(&plan.target.base_url)?.tls {
        return Err(Error::Http2Proxy);
    }
    Ok(())
}

/// A proxy by its address.
pub(crate) fn proxy(url: &str, credentials: Option<Secret>) -> Result<Proxy, Error> {
    let parsed = parse(url).map_err(|error| match error {
        // The proxy's own address must not be shown either.
        Error::UserInfo => Error::UserInfo,
        error => Error::Proxy {
            url: url.to_owned(),
            source: Box::new(error),
        },
    });
    let Target {
        host, port, tls, ..
    } = parsed?;
    if tls {
        return Err(Error::ProxyTls(url.to_owned()));
    }
    Ok(Proxy {
        host,
        port,
        credentials,
    })
}

/// When connections are opened.
pub(crate) fn reuse(plan: &Plan) -> Reuse {
    match plan.target.connection_reuse {
        ConnectionReuse::Pooled => Reuse::Pooled,
        ConnectionReuse::Never => Reuse::Never,
        ConnectionReuse::PerUser => Reuse::PerUser,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_taken_apart() {
        let target = parse("http://[::1]:8000/inference").unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.tls),
            ("::1", 8000, false)
        );
        assert_eq!(
            (target.base_path.as_str(), target.authority().as_str()),
            ("/inference", "[::1]:8000")
        );
        let target = parse("https://api.example.com").unwrap();
        assert_eq!(
            (target.authority().as_str(), target.port, target.tls),
            ("api.example.com", 443, true)
        );
        assert_eq!(target.base_path, "");
        assert!(parse("http://host/a@b").is_ok());
        assert_eq!(parse("http://host:/").unwrap().port, 80);
        for url in [
            "http://host:port",
            "http://host:70000",
            "/path",
            "http://:80",
        ] {
            assert!(matches!(parse(url), Err(Error::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_user_or_a_password_in_an_address_is_refused_and_not_shown() {
        for url in [
            "http://user@host",
            "http://user:hush@host:1/base",
            "http://:hush@host",
            "http://user:hu/sh@host",
            "user:hush@host",
        ] {
            assert!(matches!(parse(url), Err(Error::UserInfo)), "{url}");
            assert!(matches!(proxy(url, None), Err(Error::UserInfo)), "{url}");
        }
    }
}
