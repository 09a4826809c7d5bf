//! Which proxy the environment names for a server, by curl's rules. It connects to nothing.

use core::net::IpAddr;

use http::Uri;

use crate::domain::{Secret, percent_decoded};

use super::error::Fault;
use super::source::Source;
use super::{ConfigError, Surroundings};

/// A proxy, its credentials apart from its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyTarget {
    /// `http://host:port`.
    pub url: String,
    /// `user:password`, percent decoding done.
    pub credentials: Option<Secret>,
    /// The environment variable that names it.
    pub variable: String,
}

impl ProxyTarget {
    pub(super) fn into_parts(self) -> (Option<String>, Option<Secret>) {
        (Some(self.url), self.credentials)
    }
}

/// The proxy for `base_url`: `HTTP_PROXY` or `HTTPS_PROXY` by its scheme, else `ALL_PROXY`, unless
/// `NO_PROXY` excepts the host. Lower case names come first, empty variables count as absent, and a
/// loopback server is no exception.
///
/// # Errors
/// The variable that would apply does not hold an `http://` address.
pub fn proxy_for(
    base_url: &str,
    around: &dyn Surroundings,
) -> Result<Option<ProxyTarget>, ConfigError> {
    let Ok(uri) = base_url.parse::<Uri>() else {
        return Ok(None);
    };
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or_default();
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    let excepted =
        either_case("no_proxy", around).is_some_and(|(_, list)| is_excepted(host, port, &list));
    if excepted {
        return Ok(None);
    }
    let named = either_case(&format!("{scheme}_proxy"), around)
        .or_else(|| either_case("all_proxy", around));
    named
        .map(|(variable, text)| {
            address(&text, &variable).map_err(|fault| fault.at(Source::Environment(variable)))
        })
        .transpose()
}

fn either_case(name: &str, around: &dyn Surroundings) -> Option<(String, String)> {
    [name.to_owned(), name.to_ascii_uppercase()]
        .into_iter()
        .find_map(|name| {
            let text = around.variable(&name)?;
            (!text.trim().is_empty()).then(|| (name, text.trim().to_owned()))
        })
}

/// No message shows `text`: it may hold a password.
fn address(text: &str, variable: &str) -> Result<ProxyTarget, Fault> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(Fault::new(format!("a `{scheme}` proxy is not supported"))
            .hint("name an http:// proxy, except the server with NO_PROXY, or give --no-proxy"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(Secret::new(percent_decoded(credentials))), host),
        None => (None, authority),
    };
    let url = format!("http://{host}");
    let sound = url
        .parse::<Uri>()
        .is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if !sound {
        return Err(Fault::new("not the address of a proxy")
            .hint("write http://host:port, or give --no-proxy"));
    }
    let variable = variable.to_owned();
    Ok(ProxyTarget {
        url,
        credentials,
        variable,
    })
}

fn is_excepted(host: &str, port: u16, list: &str) -> bool {
    let host = host
        .trim_matches(['[', ']'])
        .trim_end_matches('.')
        .to_ascii_lowercase();
    list.split([',', ' '])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| matches_entry(&host, port, entry))
}

fn matches_entry(host: &str, port: u16, entry: &str) -> bool {
    if entry == "*" {
        return true;
    }
    let entry = entry.to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        return matches_address(address, port, &entry);
    }
    let (name, wanted_port) = match entry.rsplit_once(':') {
        Some((name, wanted)) => (name, Some(wanted)),
        None => (entry.as_str(), None),
    };
    let name = name.trim_start_matches("*.").trim_matches('.');
    let same_port = wanted_port.is_none_or(|wanted| wanted.parse() == Ok(port));
    let within = host == name
        || host
            .strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('.'));
    same_port && !name.is_empty() && within
}

fn matches_address(address: IpAddr, port: u16, entry: &str) -> bool {
    if let Ok(socket) = entry.parse::<core::net::SocketAddr>() {
        return socket.ip() == address && socket.port() == port;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let network = network.trim_matches(['[', ']']).parse();
        return matches!((network, bits.parse()), (Ok(network), Ok(bits)) if is_in_network(address, network, bits));
    }
    entry.trim_matches(['[', ']']).parse() == Ok(address)
}

fn is_in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let differing = u32::from(address) ^ u32::from(network);
            differing.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let differing = u128::from(address) ^ u128::from(network);
            differing.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Around;
    use super::*;

    fn proxied(base_url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let found = proxy_for(base_url, &Around::with(variables)).unwrap();
        found.map(|proxy| proxy.url)
    }

    #[test]
    fn the_scheme_of_the_server_picks_the_variable() {
        let variables = [
            ("HTTP_PROXY", "plain:1"),
            ("https_proxy", "http://tls:2/"),
            ("ALL_PROXY", "all:3"),
        ];
        assert_eq!(
            proxied("http://h", &variables).as_deref(),
            Some("http://plain:1")
        );
        assert_eq!(
            proxied("https://h", &variables).as_deref(),
            Some("http://tls:2")
        );
        assert_eq!(
            proxied("https://h", &variables[2..]).as_deref(),
            Some("http://all:3")
        );
        assert_eq!(
            proxied(
                "http://h",
                &[("http_proxy", "low:1"), ("HTTP_PROXY", "up:1")]
            )
            .as_deref(),
            Some("http://low:1")
        );
        assert_eq!(
            proxied("http://localhost:80", &variables).as_deref(),
            Some("http://plain:1")
        );
        assert_eq!(
            proxied("http://h", &[("http_proxy", ""), ("https_proxy", "x:1")]),
            None
        );
    }

    #[test]
    fn no_proxy_excepts_hosts_suffixes_addresses_and_networks() {
        let is_direct = |url: &str, list: &str| {
            proxied(url, &[("http_proxy", "p:1"), ("NO_PROXY", list)]).is_none()
        };
        for (url, list) in [
            ("http://a.example", "*"),
            ("http://a.example", "x, a.example"),
            ("http://a.example", "example"),
            ("http://A.example.", ".example"),
            ("http://a.example:81", "a.example:81"),
            ("http://127.0.0.1:8000", "127.0.0.0/8"),
            ("http://10.1.2.3", "10.1.2.3"),
            ("http://10.1.2.3:80", "10.1.2.3:80"),
            ("http://[::1]:8000", "::1"),
            ("http://[fd00::1]", "fd00::/8"),
            ("http://10.1.2.3", "0.0.0.0/0"),
            ("http://10.128.0.1", "10.0.0.0/8"),
            ("http://10.1.2.3", "10.1.2.3/32"),
            ("http://[fdff::1]", "fd00::/8"),
        ] {
            assert!(is_direct(url, list), "{url} {list}");
        }
        for (url, list) in [
            ("http://anexample", "example"),
            ("http://a.example", "b.example"),
            ("http://a.example:80", "a.example:81"),
            ("http://128.0.0.1", "127.0.0.0/8"),
            ("http://10.1.2.3", "1.2.3"),
            ("http://10.1.2.3", "::/0"),
            ("http://10.1.2.3", "10.1.2.2/32"),
            ("http://11.0.0.1", "10.0.0.0/8"),
            ("http://10.1.2.3", "10.1.2.3/33"),
            ("http://a.example", "."),
        ] {
            assert!(!is_direct(url, list), "{url} {list}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_kept_apart() {
        let proxy = proxy_for(
            "http://h",
            &Around::with(&[("http_proxy", "http://us%40er:p%3ass%@p:3128")]),
        );
        let proxy = proxy.unwrap().unwrap();
        assert_eq!(proxy.url, "http://p:3128");
        assert_eq!(proxy.credentials.unwrap().expose(), "us@er:p:ss%");
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_its_password() {
        for text in [
            "socks5://u:hunter2@h:1",
            "http://u:hunter2@",
            "http://u:hunter2@a b",
        ] {
            let error = proxy_for("http://h", &Around::with(&[("http_proxy", text)])).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains("http_proxy") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
    }
}
