//! A tiny HTTP server on a thread: keeps every request's head and body, and quotes what it was told in its refusals.
//! It is no mock of an API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it answers with.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// A refusal of everything that quotes the request's head.
    Refuse(u16),
    /// The same, with so many characters before the quotation.
    RefuseAfter(u16, usize),
    /// A list of models, and a refusal of everything else.
    ListThenRefuse(u16),
    /// A whole stream whose text is the request's head.
    Echo,
    /// A whole completion of so many tokens, without any text.
    Complete(u64),
    /// An event that is no JSON and quotes the request's head, with status 200.
    Babble,
}

pub(crate) struct Server {
    address: SocketAddr,
    seen: Seen,
}

/// The head and the body of each request so far.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

impl Server {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let kept = Arc::clone(&seen);
        // It serves to the end of the process: nothing waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, answer, &kept));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(head, _)| head.clone()).collect()
    }

    /// The head and the body of each request so far.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request and its answer. `None` when the client goes away.
fn serve(mut stream: TcpStream, answer: Answer, seen: &Mutex<Vec<(String, String)>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.parse().unwrap());
    let mut asked = vec![0; length];
    reader.read_exact(&mut asked).ok()?;
    let asked = String::from_utf8(asked).unwrap();
    seen.lock().unwrap().push((head.clone(), asked));
    let (status, body) = body(answer, &head);
    let kind = if status == 200 {
        "text/event-stream"
    } else {
        "application/json"
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).ok()
}

fn body(answer: Answer, head: &str) -> (u16, String) {
    let quote = |padding: usize| {
        let lines = head.lines().filter(|line| {
            let name = line
                .split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            name.contains("auth") || name.contains("key")
        });
        let lines: Vec<_> = lines.collect();
        "x".repeat(padding) + &lines.join(", ")
    };
    let refusal = |padding| {
        let message = format!("wrong key: {}", quote(padding));
        serde_json::json!({"error": {"message": message}}).to_string()
    };
    match answer {
        Answer::ListThenRefuse(_) if head.starts_with("GET ") => {
            let list =
                r#"{"object":"list","data":[{"id":"m","object":"model","owned_by":"vllm"}]}"#;
            (200, list.to_owned())
        }
        Answer::Refuse(status) | Answer::ListThenRefuse(status) => (status, refusal(0)),
        Answer::RefuseAfter(status, padding) => (status, refusal(padding)),
        Answer::Complete(tokens) => {
            let usage = serde_json::json!({"prompt_tokens": 9, "completion_tokens": tokens});
            (
                200,
                serde_json::json!({"choices": [], "usage": usage}).to_string(),
            )
        }
        Answer::Echo => {
            let delta =
                serde_json::json!({"choices": [{"index": 0, "delta": {"content": quote(0)}}]});
            let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
            (
                200,
                format!("data: {delta}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
            )
        }
        Answer::Babble => (200, format!("data: {}\n\n", quote(0))),
    }
}
