//! The client room against peers that misbehave: cut answers, closing connections, nobody there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmload::client::{Failure, Reuse};
use llmload::domain::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::wire::{acceptor, connector, exchange_all};

/// A peer that writes `bytes` after the request and closes.
async fn scripted(bytes: &'static [u8]) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = tcp.read(&mut request).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
    });
    exchange_all(
        connector("127.0.0.1", port, None, false),
        Reuse::Pooled,
        &["/"],
    )
    .await
    .remove(0)
    .0
}

#[tokio::test]
async fn broken_peers_end_in_their_own_outcomes() {
    assert_eq!(scripted(b"").await.unwrap_err().outcome, Outcome::Connect);
    assert_eq!(
        scripted(b"SSH-2.0-nonsense\r\n\r\n")
            .await
            .unwrap_err()
            .outcome,
        Outcome::ParseError
    );
    let half = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel";
    assert_eq!(scripted(half).await.unwrap_err().outcome, Outcome::Cut);
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    assert_eq!(scripted(short).await.unwrap_err().outcome, Outcome::Cut);
    assert_eq!(
        scripted(b"HTTP/1.1 200 OK\r\n\r\nuntil the end").await,
        Ok(())
    );
}

/// A peer that keeps each connection for one answer only, and closes it just when the next request comes.
#[tokio::test]
async fn a_request_that_meets_a_closing_connection_is_sent_once_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = tcp.read(&mut request).await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            let _ = tcp.read(&mut request).await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let all = exchange_all(
        connector("127.0.0.1", port, None, false),
        Reuse::Pooled,
        &["/", "/"],
    )
    .await;
    assert!(all.iter().all(|(result, _)| result == &Ok(())), "{all:?}");
    assert_eq!((all[0].1.sent_again, all[1].1.sent_again), (0, 1));
    assert_eq!(all[1].1.opened, [false, true]);
    assert_eq!(
        asked.load(Ordering::Relaxed),
        3,
        "the second request came twice"
    );
}

#[tokio::test]
async fn nobody_listening_and_no_such_name_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let all = exchange_all(
        connector("127.0.0.1", free, None, false),
        Reuse::Pooled,
        &["/"],
    )
    .await;
    assert_eq!(all[0].0.as_ref().unwrap_err().outcome, Outcome::Connect);
    let all = exchange_all(
        connector("no-such-host.invalid", 80, None, false),
        Reuse::Pooled,
        &["/"],
    )
    .await;
    let failure = all[0].0.as_ref().unwrap_err();
    assert_eq!(failure.outcome, Outcome::Dns);
    assert!(failure.text.contains("no-such-host.invalid"), "{failure}");
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_ends_by_the_connect_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut connector = connector("localhost", port, acceptor().1, false);
    connector.timeout = Some(Duration::from_millis(50));
    let failure = exchange_all(connector, Reuse::Pooled, &["/"])
        .await
        .remove(0)
        .0
        .unwrap_err();
    assert_eq!(failure.outcome, Outcome::TimeoutConnect);
    assert_eq!(failure.text, "no connection within 50ms");
}
