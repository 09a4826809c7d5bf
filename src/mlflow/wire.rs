//! Calls to the tracking server, tried again where that may help. It knows no order of calls.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, StatusCode};
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::time::timeout;

use super::patience::Patience;
use super::server::Server;
use super::trouble::Trouble;

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: Method,
    url: Url,
    body: Bytes,
    media_type: &'static str,
    credentials: bool,
    /// Whether a try has no limit but the end of all: large bodies take their time.
    long: bool,
}

impl Call {
    /// Of the tracking API: `path` below `/api/2.0/mlflow/`.
    pub(super) fn post(server: &Server, path: &str, body: &Value) -> Self {
        Self {
            method: Method::POST,
            url: api(server, path),
            body: body.to_string().into(),
            media_type: "application/json",
            credentials: true,
            long: false,
        }
    }

    /// The same, that changes nothing.
    pub(super) fn get(server: &Server, path: &str, query: (&str, &str)) -> Self {
        let mut url = api(server, path);
        url.query_pairs_mut().append_pair(query.0, query.1);
        Self {
            method: Method::GET,
            url,
            body: Bytes::new(),
            media_type: "",
            credentials: true,
            long: false,
        }
    }

    /// A file that goes to `url`.
    pub(super) const fn put(
        url: Url,
        body: Bytes,
        media_type: &'static str,
        credentials: bool,
    ) -> Self {
        Self {
            method: Method::PUT,
            url,
            body,
            media_type,
            credentials,
            long: true,
        }
    }
}

fn api(server: &Server, path: &str) -> Url {
    let mut url = server.url.clone();
    let base = server.url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/api/2.0/mlflow/{path}"));
    url
}

/// The way to the server.
pub(super) struct Wire {
    client: Client,
    pub(super) server: Server,
    pub(super) patience: Patience,
    /// Somebody was told that it does not go smoothly.
    complained: bool,
}

impl Wire {
    pub(super) const fn new(client: Client, server: Server, patience: Patience) -> Self {
        Self {
            client,
            server,
            patience,
            complained: false,
        }
    }

    /// A call whose answer is JSON, tried until it has one.
    pub(super) async fn ask(&mut self, call: &Call) -> Result<Value, Trouble> {
        let bytes = self.send(call).await?;
        read(&bytes)
    }

    /// A call tried until it has succeeded, or cannot succeed, or no time is left.
    pub(super) async fn send(&mut self, call: &Call) -> Result<Bytes, Trouble> {
        let mut tries = 0;
        loop {
            match self.once(call).await {
                Ok(bytes) => return Ok(bytes),
                Err(trouble) => {
                    tries += 1;
                    self.wait(tries, trouble).await?;
                }
            }
        }
    }

    /// Waits before another try.
    ///
    /// # Errors
    /// `trouble`, when another try is not worth it.
    pub(super) async fn wait(&mut self, tries: u32, trouble: Trouble) -> Result<(), Trouble> {
        if !trouble.may_pass() {
            return Err(trouble);
        }
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(
                "the ML Repo at {} is tried again: {trouble}",
                self.server.address()
            );
        }
        self.patience.pause(tries, trouble).await
    }

    /// One try of a call whose answer is JSON.
    pub(super) async fn ask_once(&mut self, call: &Call) -> Result<Value, Trouble> {
        let bytes = self.once(call).await?;
        read(&bytes)
    }

    async fn once(&mut self, call: &Call) -> Result<Bytes, Trouble> {
        let answer = tokio::select! {
            biased;
            answer = self.exchange(call) => answer,
            () = self.patience.over() => Err(Trouble::Late),
        };
        if matches!(answer, Ok(_) | Err(Trouble::Refused { .. })) {
            self.patience.heard();
        }
        answer
    }

    async fn exchange(&self, call: &Call) -> Result<Bytes, Trouble> {
        if call.long {
            return self.whole_answer(call).await;
        }
        let limit = self.patience.call();
        let late = |_| Trouble::NoAnswer {
            words: format!("no answer within {} s", limit.as_secs_f64()),
            unsent: false,
        };
        timeout(limit, self.whole_answer(call))
            .await
            .map_err(late)?
    }

    async fn whole_answer(&self, call: &Call) -> Result<Bytes, Trouble> {
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        if let Some(header) = self
            .server
            .authorization
            .as_ref()
            .filter(|_| call.credentials)
        {
            request = request.header(AUTHORIZATION, header);
        }
        if call.method != Method::GET {
            request = request
                .header(CONTENT_TYPE, call.media_type)
                .body(call.body.clone());
        }
        let answer = request.send().await.map_err(|error| self.broken(error))?;
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER).cloned();
        let bytes = answer.bytes().await;
        if status.is_success() {
            return bytes.map_err(|error| self.broken(error));
        }
        Err(self.refused(status, retry_after.as_ref(), &bytes.unwrap_or_default()))
    }

    fn refused(
        &self,
        status: StatusCode,
        retry_after: Option<&http::HeaderValue>,
        body: &[u8],
    ) -> Trouble {
        // What is quoted is masked before it is cut.
        let body = self.server.masked(&String::from_utf8_lossy(body));
        let retry_after = retry_after.and_then(|value| value.to_str().ok());
        Trouble::refused(status, retry_after, body.as_bytes())
    }

    fn broken(&self, error: reqwest::Error) -> Trouble {
        let unsent = error.is_connect();
        Trouble::NoAnswer {
            words: self.server.masked(&chain(&error.without_url())),
            unsent,
        }
    }
}

fn read(bytes: &[u8]) -> Result<Value, Trouble> {
    serde_json::from_slice(bytes)
        .map_err(|_| Trouble::strange(&Value::from(String::from_utf8_lossy(bytes))))
}

/// The causes of an error in one line, without the layers that say no more than that there is one.
fn chain(error: &dyn std::error::Error) -> String {
    let layers = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = layers.map(ToString::to_string).collect();
    let empty = |words: &&String| {
        words.starts_with("error sending request") || words.starts_with("client error (")
    };
    let telling = words.iter().skip_while(empty).cloned().collect::<Vec<_>>();
    let telling = if telling.is_empty() { words } else { telling };
    telling.join(": ")
}
