//! Who may ask, and what every answer says to a browser. A page of this machine alone is guarded against other pages that the
//! same browser has open; one that others reach asks for a token as well.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, LOCATION,
    ORIGIN, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::api::Refused;
use crate::domain::Secret;
use crate::web::POLICY;

/// How the page can be reached.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) port: u16,
    /// From this machine alone.
    pub(super) is_local: bool,
    pub(super) token: Option<Secret>,
}

/// Lets in, and keeps out.
#[derive(Debug)]
pub(super) struct Guard {
    is_local: bool,
    cookie: String,
    /// Digests of the token, and of what stands for it in a cookie.
    digests: Option<[[u8; 32]; 2]>,
    session: Option<Secret>,
}

impl Guard {
    pub(super) fn new(way: &Way) -> Self {
        // What a browser keeps is not the token itself, and is good for nothing but this page.
        let session = way
            .token
            .as_ref()
            .map(|token| Secret::new(hex(digest(&format!("session {}", token.expose())))));
        let digests = way.token.as_ref().zip(session.as_ref());
        let digests =
            digests.map(|(token, session)| [digest(token.expose()), digest(session.expose())]);
        Self {
            is_local: way.is_local,
            // Cookies do not tell ports apart.
            cookie: format!("llmload-{}", way.port),
            digests,
            session,
        }
    }

    /// `None` lets the request through; anything else is the answer to it.
    pub(super) fn check(&self, request: &Request<Body>) -> Option<Response> {
        let headers = request.headers();
        if let Err(refused) = self.is_meant(headers).and_then(|()| is_own(request)) {
            return Some(refused.into_response());
        }
        if let Some(token) = offered(request.uri()) {
            return Some(self.welcome(&token));
        }
        if self.is_let_in(headers) {
            return None;
        }
        let refused = Refused::new(StatusCode::UNAUTHORIZED, "this page asks for its token").hint(
            "open the address that the program printed, or send `Authorization: Bearer TOKEN`",
        );
        Some(refused.into_response())
    }

    /// A name that somebody else's server resolves to this machine must not reach a page without a token.
    fn is_meant(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if !self.is_local || is_local_name(host(headers)) {
            return Ok(());
        }
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            "this page is served on this machine alone",
        )
        .hint("open it as localhost; --web-host 0.0.0.0 serves it to others, with a token"))
    }

    fn is_let_in(&self, headers: &HeaderMap) -> bool {
        let Some([token, session]) = &self.digests else {
            return true;
        };
        let bearer = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let cookies = headers.get_all(COOKIE).iter();
        let mut cookies = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let cookie = cookies.find(|(name, _)| *name == self.cookie);
        bearer.is_some_and(|word| is_same(word, token))
            || cookie.is_some_and(|(_, word)| is_same(word, session))
    }

    /// The token came in the address: it goes into a cookie, and out of the address.
    fn welcome(&self, word: &str) -> Response {
        let good = match (&self.digests, &self.session) {
            (Some([token, _]), Some(session)) if is_same(word, token) => Some(session),
            (None, _) => None,
            _ => {
                return Refused::new(StatusCode::UNAUTHORIZED, "this is not the token")
                    .hint("open the address that the program printed")
                    .into_response();
            }
        };
        let mut response = StatusCode::SEE_OTHER.into_response();
        let headers = response.headers_mut();
        headers.insert(LOCATION, HeaderValue::from_static("/"));
        let kept = good.map(|session| {
            format!(
                "{}={}; Path=/; HttpOnly; SameSite=Strict",
                self.cookie,
                session.expose()
            )
        });
        if let Some(mut kept) = kept.and_then(|kept| HeaderValue::try_from(kept).ok()) {
            kept.set_sensitive(true);
            headers.insert(SET_COOKIE, kept);
        }
        response
    }
}

/// What another page makes a browser ask is not asked by anybody here.
fn is_own(request: &Request<Body>) -> Result<(), Refused> {
    let headers = request.headers();
    let says = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_page = request.uri().path() == "/" && request.method() == Method::GET;
    let site = says(HeaderName::from_static("sec-fetch-site"));
    let is_foreign = site.is_some_and(|site| !["same-origin", "none"].contains(&site));
    let origin = headers
        .get(ORIGIN)
        .map(|value| value.to_str().unwrap_or_default());
    let is_elsewhere = origin.is_some_and(|origin| {
        origin.split_once("://").map(|(_, authority)| authority) != Some(host(headers))
    });
    if !is_page && (is_foreign || is_elsewhere) {
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            "another page asks this one",
        ));
    }
    let is_json = says(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/json")
    });
    if request.method() == Method::POST && !is_json {
        let refused = Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a POST takes JSON");
        return Err(refused.hint("send `Content-Type: application/json`"));
    }
    Ok(())
}

fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    host.unwrap_or_default()
}

/// `localhost`, or an address of this machine's own, with any port: it may be another machine's end of a tunnel.
fn is_local_name(host: &str) -> bool {
    let Ok(uri) = Uri::try_from(format!("http://{host}/")) else {
        return false;
    };
    let name = uri.host().unwrap_or_default();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The token in the address of the page.
fn offered(uri: &Uri) -> Option<String> {
    let query = uri.query().filter(|_| uri.path() == "/")?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == "token")
        .map(|(_, word)| percent_decoded(word))
}

fn percent_decoded(word: &str) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digest(word: &str) -> [u8; 32] {
    Sha256::digest(word.as_bytes()).into()
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How long it takes tells nothing of the token.
fn is_same(word: &str, wanted: &[u8; 32]) -> bool {
    digest(word).ct_eq(wanted).into()
}

/// What every answer says, unless it says it otherwise.
pub(super) fn harden(headers: &mut HeaderMap) {
    let all = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in all {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(token: Option<&str>, is_local: bool) -> Guard {
        Guard::new(&Way {
            port: 8089,
            is_local,
            token: token.map(Secret::new),
        })
    }

    fn status(guard: &Guard, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        guard
            .check(&request)
            .map_or(200, |response| response.status().as_u16())
    }

    #[test]
    fn a_page_of_this_machine_answers_to_its_own_names_alone() {
        let guard = guard(None, true);
        let asked = |host| status(&guard, "GET", "/api/runs", &[("host", host)]);
        for host in [
            "localhost:8089",
            "LOCALHOST",
            "127.0.0.1:8089",
            "127.1.2.3",
            "[::1]:9",
        ] {
            assert_eq!(asked(host), 200, "{host}");
        }
        for host in [
            "evil.example:8089",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "a b",
            "localhost.evil",
        ] {
            assert_eq!(asked(host), 403, "{host}");
        }
    }

    #[test]
    fn what_another_page_asks_is_refused() {
        let guard = guard(None, true);
        let json = ("content-type", "application/json; charset=utf-8");
        let here = ("host", "localhost:8089");
        let post = |more: &[(&str, &str)]| {
            status(&guard, "POST", "/api/runs", &[&[here, json], more].concat())
        };
        assert_eq!(post(&[]), 200);
        assert_eq!(post(&[("origin", "http://localhost:8089")]), 200);
        for origin in ["http://localhost:8090", "http://evil.example", "null", ""] {
            assert_eq!(post(&[("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(post(&[("sec-fetch-site", "same-site")]), 403);
        let form = ("content-type", "application/x-www-form-urlencoded");
        assert_eq!(status(&guard, "POST", "/api/runs", &[here, form]), 415);
        let linked = [here, ("sec-fetch-site", "cross-site")];
        assert_eq!(
            status(&guard, "GET", "/", &linked),
            200,
            "a link may be followed"
        );
        assert_eq!(status(&guard, "GET", "/api/runs", &linked), 403);
    }

    #[test]
    fn a_token_lets_in_as_a_header_a_link_and_then_a_cookie() {
        let guard = guard(Some("0123456789abcdef+"), false);
        let here = ("host", "bench.example:8089");
        let asked = |more: (&str, &str)| status(&guard, "GET", "/api/runs", &[here, more]);
        assert_eq!(asked(("x", "y")), 401);
        assert_eq!(asked(("authorization", "Bearer 0123456789abcdef+")), 200);
        assert_eq!(asked(("authorization", "Bearer 0123456789abcdef")), 401);
        assert_eq!(status(&guard, "GET", "/?token=wrong", &[here]), 401);
        let request = Request::get("/?token=0123456789abcdef%2B");
        let request = request.header(HOST, "x").body(Body::empty()).unwrap();
        let welcome = guard.check(&request).unwrap();
        assert_eq!(welcome.status(), 303);
        assert_eq!(welcome.headers()[LOCATION], "/");
        let cookie = welcome.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(!cookie.contains("0123456789") && cookie.contains("HttpOnly; SameSite=Strict"));
        let kept = cookie.split(';').next().unwrap();
        assert_eq!(asked(("cookie", &format!("a=b; {kept}"))), 200);
        assert_eq!(asked(("cookie", "llmload-8089=0123456789abcdef+")), 401);
    }
}
