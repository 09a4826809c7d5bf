//! The least HTTP/1.1 client that can tell how a body ended. It shares nothing with the product's.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// By its length, or its last chunk.
    Proper,
    /// The connection closed before.
    Torn,
}

#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
    pub(super) end: BodyEnd,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.starts_with(name))?;
        line.split_once(": ").map(|(_, value)| value)
    }

    /// The data of each event, of streams with one line of data in each.
    pub(super) fn data(&self) -> Vec<&str> {
        let lines = self.body.lines();
        lines
            .filter_map(|line| line.strip_prefix("data:"))
            .map(str::trim_start)
            .collect()
    }

    /// The data that are JSON.
    pub(super) fn json(&self) -> Vec<serde_json::Value> {
        self.data()
            .into_iter()
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    }

    /// Text of all chat deltas.
    pub(super) fn text(&self) -> String {
        let delta = |event: &serde_json::Value| {
            event["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned)
        };
        self.json().iter().filter_map(delta).collect()
    }
}

pub(super) async fn open(addr: SocketAddr, path: &str, headers: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let method = if body.is_empty() { "GET" } else { "POST" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// A whole exchange; `None` if the connection closed without a byte.
pub(super) async fn exchange(
    addr: SocketAddr,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<Received> {
    let mut stream = open(addr, path, headers, body).await;
    let mut bytes = Vec::new();
    // A reset is an end like any other here.
    let _ = stream.read_to_end(&mut bytes).await;
    if bytes.is_empty() {
        return None;
    }
    Some(parse(&String::from_utf8(bytes).unwrap()))
}

pub(super) async fn post(addr: SocketAddr, path: &str, body: &str) -> Received {
    exchange(addr, path, "", body).await.unwrap()
}

pub(super) async fn fetch(addr: SocketAddr, path: &str) -> Received {
    exchange(addr, path, "", "").await.unwrap()
}

fn parse(text: &str) -> Received {
    let (head, rest) = text.split_once("\r\n\r\n").unwrap();
    let chunked = head.contains("transfer-encoding: chunked");
    let (body, end) = if chunked {
        dechunk(rest)
    } else {
        (rest.to_owned(), BodyEnd::Proper)
    };
    Received {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body,
        end,
    }
}

fn dechunk(mut rest: &str) -> (String, BodyEnd) {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, BodyEnd::Proper);
        }
        let Some(chunk) = after.get(..size) else {
            break;
        };
        body.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    (body, BodyEnd::Torn)
}
