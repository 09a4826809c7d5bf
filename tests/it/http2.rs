//! HTTP/2: requests that begin at once share a handshake, what it took, and its failure.
//! What goes over the wire is tested elsewhere.

use std::rc::Rc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use llmload::client::{Clock, Connector, Failure, HyperTransport, Reuse, Transport};
use llmload::domain::{Outcome, StampSource};
use tokio::net::TcpListener;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};

use crate::wire::{NoProbe, Notes, Seen, acceptor, answer, connector, post};

/// How long the server lets a handshake wait.
const SLOW: Duration = Duration::from_millis(200);

/// Sends `count` requests at once.
async fn at_once(connector: Connector, count: u32) -> Vec<(Result<(), Failure>, Notes)> {
    let all = async {
        let clock = Clock::starting_at(Instant::now());
        let (stamps, probe) = (StampSource::Kernel, Rc::new(NoProbe));
        let transport = HyperTransport::new(connector, Reuse::Pooled, clock, stamps, probe);
        let transport = Rc::new(transport.unwrap());
        let mut tasks = JoinSet::new();
        for user in 0..count {
            let transport = Rc::clone(&transport);
            tasks.spawn_local(async move {
                let seen = Seen::default();
                let result = transport.exchange(user, post("/"), &seen).await;
                (result, seen.into_notes())
            });
        }
        tasks.join_all().await
    };
    LocalSet::new().run_until(all).await
}

#[tokio::test]
async fn the_wait_for_anothers_handshake_is_told_and_opens_nothing() {
    let (acceptor, authority) = acceptor();
    let acceptor = acceptor.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        sleep(SLOW).await;
        let stream = acceptor.accept(tcp).await.unwrap();
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let serving = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
        drop(serving.await);
    });
    let all = at_once(connector("localhost", port, authority, true), 5).await;
    assert!(all.iter().all(|(result, _)| result == &Ok(())), "{all:?}");
    let opened = all.iter().filter(|(_, notes)| notes.opened == [true]);
    assert_eq!(opened.count(), 1);
    for (_, notes) in &all {
        assert!(notes.waited[0] >= SLOW, "{:?}", notes.waited);
    }
}

#[tokio::test]
async fn who_waits_for_a_handshake_that_fails_shares_its_failure() {
    // It takes connections and shakes no hands.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut connector = connector("localhost", port, acceptor().1, true);
    connector.timeout = Some(SLOW);
    let started = Instant::now();
    let all = at_once(connector, 20).await;
    let took = started.elapsed();
    for (result, _) in &all {
        let failure = result.as_ref().unwrap_err();
        assert_eq!(failure.outcome, Outcome::TimeoutConnect);
    }
    assert!((SLOW..2 * SLOW).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_waited_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut connector = connector("localhost", port, acceptor().1, true);
    connector.timeout = Some(SLOW);
    let twice = async {
        let clock = Clock::starting_at(Instant::now());
        let (stamps, probe) = (StampSource::Kernel, Rc::new(NoProbe));
        let transport = HyperTransport::new(connector, Reuse::Pooled, clock, stamps, probe);
        let transport = transport.unwrap();
        for _ in 0..2 {
            let seen = Seen::default();
            transport.exchange(0, post("/"), &seen).await.unwrap_err();
        }
    };
    let started = Instant::now();
    LocalSet::new().run_until(twice).await;
    assert!(started.elapsed() >= 2 * SLOW, "the second tries anew");
}
