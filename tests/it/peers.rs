//! The client room against peers that misbehave: cut answers, closing connections, nobody there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmload::client::{Failure, Reuse};
use llmload::domain::{HttpEngine, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::wire::{acceptor, connector, exchange_all, on_both};

/// A peer that writes `bytes` after the request and closes.
async fn scripted(engine: HttpEngine, bytes: &'static [u8]) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = tcp.read(&mut request).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
    });
    exchange_all(
        engine,
        connector("127.0.0.1", port, None, false),
        Reuse::Pooled,
        &["/"],
    )
    .await
    .remove(0)
    .0
}

on_both!(broken_peers_end_in_their_own_outcomes);

async fn broken_peers_end_in_their_own_outcomes(engine: HttpEngine) {
    assert_eq!(
        scripted(engine, b"").await.unwrap_err().outcome,
        Outcome::Connect
    );
    assert_eq!(
        scripted(engine, b"SSH-2.0-nonsense\r\n\r\n")
            .await
            .unwrap_err()
            .outcome,
        Outcome::ParseError
    );
    let half = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel";
    assert_eq!(
        scripted(engine, half).await.unwrap_err().outcome,
        Outcome::Cut
    );
    let garbled = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n";
    assert_eq!(
        scripted(engine, garbled).await.unwrap_err().outcome,
        Outcome::ParseError
    );
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    assert_eq!(
        scripted(engine, short).await.unwrap_err().outcome,
        Outcome::Cut
    );
    assert_eq!(
        scripted(engine, b"HTTP/1.1 200 OK\r\n\r\nuntil the end").await,
        Ok(())
    );
}

// A peer that keeps each connection for one answer only, and closes it just when the next request comes.
on_both!(a_request_that_meets_a_closing_connection_is_sent_once_more);

async fn a_request_that_meets_a_closing_connection_is_sent_once_more(engine: HttpEngine) {
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
        engine,
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

on_both!(nobody_listening_and_no_such_name_are_told_apart);

async fn nobody_listening_and_no_such_name_are_told_apart(engine: HttpEngine) {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let all = exchange_all(
        engine,
        connector("127.0.0.1", free, None, false),
        Reuse::Pooled,
        &["/"],
    )
    .await;
    assert_eq!(all[0].0.as_ref().unwrap_err().outcome, Outcome::Connect);
    let all = exchange_all(
        engine,
        connector("no-such-host.invalid", 80, None, false),
        Reuse::Pooled,
        &["/"],
    )
    .await;
    let failure = all[0].0.as_ref().unwrap_err();
    assert_eq!(failure.outcome, Outcome::Dns);
    assert!(failure.text.contains("no-such-host.invalid"), "{failure}");
}

on_both!(a_peer_that_never_shakes_hands_ends_by_the_connect_timeout);

async fn a_peer_that_never_shakes_hands_ends_by_the_connect_timeout(engine: HttpEngine) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut connector = connector("localhost", port, acceptor().1, false);
    connector.timeout = Some(Duration::from_millis(50));
    let failure = exchange_all(engine, connector, Reuse::Pooled, &["/"])
        .await
        .remove(0)
        .0
        .unwrap_err();
    assert_eq!(failure.outcome, Outcome::TimeoutConnect);
    assert_eq!(failure.text, "no connection within 50ms");
}

on_both!(a_server_that_says_no_before_it_has_heard_everything_is_heard);

async fn a_server_that_says_no_before_it_has_heard_everything_is_heard(engine: HttpEngine) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut some = [0; 1024];
        let _ = tcp.read(&mut some).await.unwrap();
        tcp.write_all(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!",
        )
        .await
        .unwrap();
        // It keeps the connection open and reads no more of what is many times what the sockets hold.
        std::future::pending::<()>().await;
    });
    let connector = connector("127.0.0.1", port, None, false);
    let all = exchange_all(engine, connector, Reuse::Pooled, &["/big"]).await;
    let (result, notes) = &all[0];
    assert_eq!(result, &Ok(()));
    assert_eq!(
        (notes.status(), notes.text()),
        (Some(413), "no!".to_owned())
    );
}

on_both!(a_peer_that_has_said_its_last_word_is_heard_out_and_not_asked_again);

async fn a_peer_that_has_said_its_last_word_is_heard_out_and_not_asked_again(engine: HttpEngine) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut some = [0; 1024];
            let _ = tcp.read(&mut some).await.unwrap();
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            tcp.shutdown().await.unwrap();
            // Half closed: it would still read.
            open.push(tcp);
        }
    });
    let connector = connector("127.0.0.1", port, None, false);
    let all = exchange_all(engine, connector, Reuse::Pooled, &["/", "/"]).await;
    for (result, notes) in &all {
        assert_eq!((result, notes.text()), (&Ok(()), "ok".to_owned()));
    }
    assert_eq!(all[1].1.opened.last(), Some(&true), "on a new connection");
}

on_both!(a_long_request_is_begun_long_before_it_is_sent);

async fn a_long_request_is_begun_long_before_it_is_sent(engine: HttpEngine) {
    const REST: Duration = Duration::from_millis(200);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tokio::time::sleep(REST).await;
        let (mut all, mut count) = (vec![0; 1024 * 1024], 0);
        while count < 32 * 1024 * 1024 {
            count += tcp.read(&mut all).await.unwrap();
        }
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
    });
    let connector = connector("127.0.0.1", port, None, false);
    let all = exchange_all(engine, connector, Reuse::Pooled, &["/big"]).await;
    let (result, notes) = &all[0];
    assert_eq!(result, &Ok(()));
    let (begun, sent) = (notes.begun.unwrap(), notes.sent.unwrap());
    assert!(sent.since(begun) >= REST / 2, "{begun:?} {sent:?}");
    assert!(sent <= notes.head.unwrap().1);
}
