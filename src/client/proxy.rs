//! Reaching a server through an HTTP proxy: absolute-form requests for plain text, a CONNECT tunnel for TLS.
//! Which proxy to use is decided elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Failure;
use crate::domain::{Outcome, Secret};

/// Most bytes that a proxy may answer a CONNECT with.
const MAX_ANSWER: usize = 16 * 1024;

/// An HTTP proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `user:password`, if it wants one.
    pub credentials: Option<Secret>,
}

impl Proxy {
    /// The value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let credentials = self.credentials.as_ref()?;
        let mut value =
            HeaderValue::try_from(format!("Basic {}", STANDARD.encode(credentials.expose())))
                .ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Asks the proxy at the other end of `stream` for a tunnel to `authority` (`host:port`).
    pub(super) async fn tunnel(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        authority: &str,
    ) -> Result<(), Failure> {
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(value) = self
            .authorization()
            .as_ref()
            .and_then(|value| value.to_str().ok())
        {
            request.push_str("Proxy-Authorization: ");
            request.push_str(value);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let failed = |error| Failure::connecting(&error);
        stream.write_all(request.as_bytes()).await.map_err(failed)?;
        let status = read_status(stream).await?;
        if (200..300).contains(&status) {
            Ok(())
        } else {
            let text = format!(
                "the proxy {}:{} refused the tunnel with status {status}",
                self.host, self.port
            );
            Err(Failure::new(Outcome::Connect, text))
        }
    }
}

/// Reads an answer's head byte by byte: what follows it belongs to the tunnel.
async fn read_status(stream: &mut (impl AsyncRead + Unpin)) -> Result<u16, Failure> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == MAX_ANSWER {
            return Err(Failure::new(
                Outcome::Connect,
                "the proxy's answer has no end",
            ));
        }
        answer.push(
            stream
                .read_u8()
                .await
                .map_err(|error| Failure::connecting(&error))?,
        );
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    head.parse(&answer)
        .ok()
        .and(head.code)
        .ok_or_else(|| Failure::new(Outcome::Connect, "the proxy's answer is not HTTP"))
}
