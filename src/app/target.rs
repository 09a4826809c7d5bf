//! From a plan's words about the server to what the client needs to reach it.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use http::Uri;
use indexmap::IndexMap;
use rustls::ClientConfig;

use super::failure::Failure;
use crate::client::{Connector, Proxy, Reuse, Sources, Target, TlsSettings};
use crate::config::TargetOptions;
use crate::domain::Secret;
use crate::plan::{ConnectionReuse, HttpVersion, Plan};
use crate::provider;

/// Host, port and base path of a base URL.
pub(super) fn parse(base_url: &str) -> Result<Target, Failure> {
    let wrong = || {
        Failure::usage(anyhow!("`{base_url}` is not a URL of a server")).hint("-H http://host:port")
    };
    let uri: Uri = base_url.parse().map_err(|_| wrong())?;
    let tls = uri.scheme_str() == Some("https");
    let host = uri
        .host()
        .ok_or_else(wrong)?
        .trim_matches(['[', ']'])
        .to_owned();
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok(Target {
        host,
        port,
        tls,
        base_path: uri.path().trim_end_matches('/').to_owned(),
    })
}

/// TLS settings for a server that is only asked, with the version of HTTP left open.
pub(super) fn tls(
    target: &TargetOptions,
    ca_pem: Option<&str>,
) -> Result<Arc<ClientConfig>, Failure> {
    let settings = TlsSettings {
        insecure_skip_verify: target.insecure_skip_verify,
        ca_pem: ca_pem.map(str::to_owned),
        http2: target.http == HttpVersion::Http2,
    };
    config(&settings)
}

fn config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, Failure> {
    settings
        .config()
        .map_err(|error| Failure::usage(error).hint("--ca-cert takes a PEM file"))
}

/// How a plan's server is reached.
pub(super) fn connector(
    plan: &Plan,
    proxy_credentials: Option<Secret>,
    sources: Sources,
) -> Result<Connector, Failure> {
    let http2 = plan.target.http == HttpVersion::Http2;
    refuse_contradictions(plan)?;
    let settings = TlsSettings {
        insecure_skip_verify: plan.target.insecure_skip_verify,
        ca_pem: plan.target.ca_pem.clone(),
        http2,
    };
    Ok(Connector {
        target: parse(&plan.target.base_url)?,
        tls: config(&settings)?,
        proxy: plan
            .target
            .proxy
            .as_deref()
            .map(|url| proxy(url, proxy_credentials))
            .transpose()?,
        sources,
        http2,
        timeout: plan.limits.connect,
    })
}

/// The addresses that a machine connects from, each of which must be its own.
pub(super) fn sources(addresses: &[IpAddr]) -> Result<Sources, Failure> {
    let sources = Sources::new(addresses.iter().copied());
    let Some((address, error)) = sources.unusable() else {
        return Ok(sources);
    };
    let error = anyhow::Error::new(error).context(format!("cannot connect from `{address}`"));
    Err(Failure::usage(error)
        .hint("--source-ip takes addresses of this machine (`ip address` lists them)"))
}

/// What HTTP/2 cannot do here is said, not ignored.
pub(super) fn refuse_contradictions(plan: &Plan) -> Result<(), Failure> {
    if plan.target.http != HttpVersion::Http2 {
        return Ok(());
    }
    if plan.target.connection_reuse == ConnectionReuse::PerUser {
        let error =
            anyhow!("--http 2 carries many users on a connection, --connection-reuse per-user one");
        return Err(Failure::usage(error).hint("--http 1, or another --connection-reuse"));
    }
    if plan.target.proxy.is_some() && !parse(&plan.target.base_url)?.tls {
        let error = anyhow!("HTTP/2 in clear does not go through a proxy");
        return Err(Failure::usage(error).hint("--no-proxy, --http 1, or an https:// server"));
    }
    Ok(())
}

fn proxy(url: &str, credentials: Option<Secret>) -> Result<Proxy, Failure> {
    let Target {
        host, port, tls, ..
    } = parse(url).context_proxy(url)?;
    if tls {
        return Err(Failure::usage(anyhow!("the proxy `{url}` wants TLS"))
            .hint("proxies are reached over http://"));
    }
    Ok(Proxy {
        host,
        port,
        credentials,
    })
}

trait ContextProxy<T> {
    fn context_proxy(self, url: &str) -> Result<T, Failure>;
}

impl<T> ContextProxy<T> for Result<T, Failure> {
    fn context_proxy(self, url: &str) -> Self {
        self.map_err(|failure| Failure {
            error: failure.error.context(format!("the proxy `{url}`")),
            ..failure
        })
    }
}

/// When connections are opened.
pub(super) fn reuse(plan: &Plan) -> Reuse {
    match plan.target.connection_reuse {
        ConnectionReuse::Pooled => Reuse::Pooled,
        ConnectionReuse::Never => Reuse::Never,
        ConnectionReuse::PerUser => Reuse::PerUser,
    }
}

/// A provider's settings for a request that only asks what a server is.
pub(super) fn plain_spec() -> provider::Spec {
    provider::Spec {
        kind: provider::Kind::OpenAi,
        model: String::new(),
        task: provider::Task::Chat,
        stream: false,
        sampling: provider::Sampling::default(),
        headers: IndexMap::new(),
        fireworks: provider::Fireworks::default(),
        azure: None,
        custom: None,
        place: provider::Place::default(),
    }
}

/// Reads a file whose content goes into a plan.
pub(super) fn read_text(path: &std::path::Path, what: &str, hint: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {what} `{}`", path.display()))
        .map_err(|error| Failure::usage(error).hint(hint))
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
    }
}
