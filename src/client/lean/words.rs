//! A request as HTTP/1.1 writes it: the head's bytes. It sends nothing and copies no body.

use std::io::Write;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING};

use crate::client::{Proxy, Target};

/// How requests to one server are addressed.
pub(super) struct Address {
    /// What stands before each path: an absolute URI for a proxy, the target's base path, or nothing.
    prefix: String,
    host: HeaderValue,
    proxy_authorization: Option<HeaderValue>,
}

impl Address {
    /// Origin form, or the absolute form that a proxy wants for plain text. `None` when the host cannot be written.
    pub(super) fn new(target: &Target, proxy: Option<&Proxy>) -> Option<Self> {
        let authority = target.authority();
        let proxied = proxy.filter(|_| !target.tls);
        let prefix = match proxied {
            Some(_) => format!("http://{authority}{}", target.base_path),
            None => target.base_path.clone(),
        };
        Some(Self {
            prefix,
            host: HeaderValue::try_from(authority).ok()?,
            proxy_authorization: proxied.and_then(Proxy::authorization),
        })
    }

    /// Writes the head of `request` to the end of `out`.
    pub(super) fn write_head(&self, request: &Request<Bytes>, out: &mut Vec<u8>) {
        out.extend_from_slice(request.method().as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.prefix.as_bytes());
        let path = request.uri().path_and_query();
        out.extend_from_slice(path.map_or("/", http::uri::PathAndQuery::as_str).as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let headers = request.headers();
        // A host that the user names stands.
        let host = headers.get(HOST).unwrap_or(&self.host);
        field(out, HOST.as_str(), host);
        if let Some(value) = &self.proxy_authorization {
            field(out, PROXY_AUTHORIZATION.as_str(), value);
        }
        for (name, value) in headers {
            if ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
                field(out, name.as_str(), value);
            }
        }
        let has_length = !request.body().is_empty() || request.method() == http::Method::POST;
        if has_length {
            // Writing into memory cannot fail.
            let _ = write!(out, "content-length: {}\r\n", request.body().len());
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &HeaderValue) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Secret;

    fn target(tls: bool) -> Target {
        Target {
            host: "server".to_owned(),
            port: 8000,
            tls,
            base_path: "/base".to_owned(),
        }
    }

    fn written(address: &Address, request: &Request<Bytes>) -> String {
        let mut out = Vec::new();
        address.write_head(request, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn request() -> Request<Bytes> {
        Request::post("/v1/chat?x=1")
            .header("content-type", "application/json")
            .body(Bytes::from_static(b"{}"))
            .unwrap()
    }

    #[test]
    fn a_head_names_method_path_host_fields_and_length() {
        let address = Address::new(&target(false), None).unwrap();
        assert_eq!(
            written(&address, &request()),
            "POST /base/v1/chat?x=1 HTTP/1.1\r\nhost: server:8000\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n"
        );
    }

    #[test]
    fn a_host_and_a_length_of_the_user_are_not_written_twice_and_a_coding_not_at_all() {
        let address = Address::new(&target(false), None).unwrap();
        let mut request = request();
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("other"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("77"));
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        let head = written(&address, &request);
        assert!(!head.contains("chunked"), "{head}");
        assert!(head.contains("\r\nhost: other\r\n") && !head.contains("server:8000"));
        assert!(head.contains("\r\ncontent-length: 2\r\n") && !head.contains("77"));
    }

    #[test]
    fn a_proxy_gets_the_absolute_form_and_its_credentials_for_plain_text_alone() {
        let proxy = Proxy {
            host: "proxy".to_owned(),
            port: 3128,
            credentials: Some(Secret::new("user:word")),
        };
        let plain = Address::new(&target(false), Some(&proxy)).unwrap();
        let head = written(&plain, &request());
        assert!(head.starts_with("POST http://server:8000/base/v1/chat?x=1 HTTP/1.1\r\n"));
        assert!(head.contains("\r\nproxy-authorization: Basic dXNlcjp3b3Jk\r\n"));
        let tunnelled = Address::new(&target(true), Some(&proxy)).unwrap();
        let head = written(&tunnelled, &request());
        assert!(head.starts_with("POST /base/v1/chat?x=1 ") && !head.contains("proxy-"));
    }
}
