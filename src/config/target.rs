//! Addresses and headers: the checks that a single clap parser cannot make without showing a secret.
//! Nothing is resolved or connected.

use core::net::IpAddr;

use http::{HeaderName, HeaderValue, Uri};
use indexmap::IndexMap;

use crate::domain::{Secret, is_secret_header};

use super::Endpoint;
use super::error::Fault;

/// `http://host:port/base` without a trailing slash.
pub(super) fn base_url(text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(
            Fault::new("a user name or password in --host is not supported")
                .hint("use --api-key, or --header 'Authorization: …'"),
        );
    }
    if scheme.is_empty() {
        return Err(Fault::new(format!("`{text}` has no scheme"))
            .hint(format!("write http://{rest} or https://{rest}")));
    }
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(
            Fault::new(format!("`{scheme}` is not a scheme to send requests with"))
                .hint("use http:// or https://"),
        );
    }
    if rest.contains(['?', '#']) {
        return Err(Fault::new(format!("`{text}` has a query or a fragment"))
            .hint("leave the part from ? or # out"));
    }
    check_address(text)?;
    let base = text.trim_end_matches('/');
    if base.len() > scheme.len() + 3 + authority.len() && base.ends_with("/v1") {
        return Err(Fault::new(format!(
            "`{text}` ends in /v1, which is added to every address"
        ))
        .hint(format!("write {}", base.trim_end_matches("/v1"))));
    }
    let after_scheme = base.get(scheme.len()..).unwrap_or_default();
    Ok(format!("{}{after_scheme}", scheme.to_ascii_lowercase()))
}

/// The address of a page, as it is; `None` for `auto`.
pub(super) fn page(text: &str) -> Result<Option<String>, Fault> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("auto") {
        return Ok(None);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Fault::new(format!("`{text}` has no scheme"))
            .hint("write http://HOST:PORT/metrics, or auto"));
    };
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
        || rest.contains(['?', '#'])
    {
        // A query may hold a secret, and the address is shown.
        return Err(Fault::new(format!("`{text}` is not the address of a page"))
            .hint("write http://HOST:PORT/metrics, or auto"));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(
            Fault::new("a user name or password in --server-metrics is not supported")
                .hint("use --header 'Authorization: …'"),
        );
    }
    check_address(text)?;
    Ok(Some(text.to_owned()))
}

pub(super) fn check_address(text: &str) -> Result<(), Fault> {
    let wrong = || {
        Fault::new(format!("`{text}` is not an address"))
            .hint("write one like http://localhost:8000 or http://[::1]:8000/base")
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    let host = authority.host();
    let after_host = authority.as_str().strip_prefix(host).ok_or_else(wrong)?;
    let port_is_sound = after_host.is_empty() || authority.port_u16().is_some_and(|port| port > 0);
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_is_sound = match bracketed {
        Some(host) => host.parse::<core::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '[', ']']),
    };
    if port_is_sound && host_is_sound {
        Ok(())
    } else {
        Err(wrong())
    }
}

/// `HOST`, `HOST:PORT`, `[IPv6]:PORT` or a bare IPv6 address.
pub(super) fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, Fault> {
    let wrong = || {
        Fault::new(format!("`{text}` is not a host and a port"))
            .hint("write one like master.example:5557 or [::1]:5557")
    };
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<core::net::Ipv6Addr>().map_err(|_| wrong())?;
            (host, port)
        }
        None if text.parse::<core::net::Ipv6Addr>().is_ok() => (text, ""),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    if host.is_empty() || host.contains(['/', '@']) || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| wrong())?,
        None if port.is_empty() => default_port,
        None => return Err(wrong()),
    };
    Ok(Endpoint {
        host: host.to_owned(),
        port,
    })
}

/// Whether only this machine can reach `host`. A name other than `localhost` is taken for public.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Headers, plain ones and secret ones apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Headers {
    pub plain: IndexMap<String, String>,
    pub secret: IndexMap<String, Secret>,
}

/// Reads `NAME: VALUE` lines; of two with one name the later stands.
pub(super) fn headers(lines: &[String]) -> Result<Headers, Fault> {
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = header(line)?;
        if is_secret_header(&name) {
            headers.secret.insert(name, Secret::new(value));
        } else {
            headers.plain.insert(name, value);
        }
    }
    Ok(headers)
}

/// One header, its name in lower case. No message shows the value: it may be a secret.
pub(super) fn header(line: &str) -> Result<(String, String), Fault> {
    let how = "write --header 'Name: value'";
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| Fault::new("a --header has no `:`").hint(how))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| Fault::new(format!("`{}` is not a header name", name.trim())).hint(how))?;
    if matches!(
        name.as_str(),
        "content-length" | "transfer-encoding" | "connection"
    ) {
        return Err(Fault::new(format!("the header `{name}` cannot be set"))
            .hint("the request's framing follows from its body"));
    }
    let value = value.trim();
    if HeaderValue::from_str(value).is_err() {
        return Err(Fault::new(format!(
            "the value of the header `{name}` has characters that a header cannot carry"
        )));
    }
    Ok((name.as_str().to_owned(), value.to_owned()))
}

/// An API key that a header can carry.
pub(super) fn api_key(text: &str) -> Result<Secret, Fault> {
    let key = text.trim();
    if key.is_empty() {
        return Err(
            Fault::new("the API key is empty").hint("is the variable that it comes from set?")
        );
    }
    if HeaderValue::from_str(key).is_err() {
        return Err(Fault::new(
            "the API key has characters that a header cannot carry",
        ));
    }
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_base_path_and_lose_their_slash() {
        for (text, base) in [
            ("http://localhost:80", "http://localhost:80"),
            ("http://[::1]:8000/base/", "http://[::1]:8000/base"),
            (
                "https://api.example.com/inference",
                "https://api.example.com/inference",
            ),
            ("http://v1/", "http://v1"),
            ("HTTP://h", "http://h"),
        ] {
            assert_eq!(base_url(text).as_deref(), Ok(base), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "localhost:8000",
            "http://",
            "http:///x",
            "http://h:99999",
            "http://h:0",
            "http://h:x",
            "http://::1",
            "http://[::1",
            "http://[nonsense]:1",
            "http://a b",
            "ftp://h",
            "http://h?x=1",
            "http://h/v1",
            "http://h/v1/",
            "http://u:p@h",
        ] {
            assert!(base_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_message_repeats_a_password() {
        for text in ["http://u:hunter2@h", "u:hunter2@h/x", "ftp://u:hunter2@h"] {
            let fault = format!("{:?}", base_url(text).unwrap_err());
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        for line in [
            "Authorization Bearer hunter2",
            "Authorization: hunter2\u{1}",
            "content-length: hunter2",
        ] {
            let fault = format!("{:?}", header(line).unwrap_err());
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        assert!(!format!("{:?}", api_key("hunter2\n\u{7f}x").unwrap_err()).contains("hunter2"));
    }

    #[test]
    fn endpoints_are_read_in_every_form() {
        let read = |text: &str| endpoint(text, 5557).map(|e| e.to_string());
        assert_eq!(read("host:1").as_deref(), Ok("host:1"));
        assert_eq!(read("host").as_deref(), Ok("host:5557"));
        assert_eq!(read("[::1]:7").as_deref(), Ok("[::1]:7"));
        assert_eq!(read("::1").as_deref(), Ok("[::1]:5557"));
        for text in [
            "",
            ":1",
            "h:",
            "h:x",
            "h:1:2",
            "[x]:1",
            "[::1]1",
            "http://h:1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_that_carry_secrets_are_kept_apart() {
        let lines = [
            "X-Trace: a:b",
            "authorization:Bearer x",
            "X-Api-Key: k",
            "Set_Token: t",
            "x-trace: c",
        ];
        let headers = headers(&lines.map(str::to_owned)).unwrap();
        assert_eq!(
            headers.plain.into_iter().collect::<Vec<_>>(),
            [("x-trace".to_owned(), "c".to_owned())]
        );
        assert_eq!(
            headers.secret.keys().collect::<Vec<_>>(),
            ["authorization", "x-api-key", "set_token"]
        );
        assert_eq!(headers.secret["authorization"].expose(), "Bearer x");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        assert!(
            is_loopback("127.0.0.1")
                && is_loopback("127.9.9.9")
                && is_loopback("::1")
                && is_loopback("localhost")
        );
        assert!(
            !is_loopback("0.0.0.0")
                && !is_loopback("::")
                && !is_loopback("*")
                && !is_loopback("host.example")
        );
    }
}
