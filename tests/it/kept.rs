//! Connections between two requests: what the server says there is nobody's answer, and no read of this program's is late.
//! How connections are counted is tested elsewhere.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use llmload::client::{
    Clock, Connector, HyperTransport, LeanTransport, ReadProbe, Reuse, Transport,
};
use llmload::domain::{HttpEngine, StampSource};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use crate::wire::{Notes, Seen, acceptor, connector, on_both, post};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// How long connections are left alone.
const IDLE: Duration = Duration::from_millis(300);

/// Keeps how late reads were.
#[derive(Default)]
struct Lags(RefCell<Vec<Option<Duration>>>);

impl ReadProbe for Lags {
    fn read(&self, _: Instant, lag: Option<Duration>) {
        self.0.borrow_mut().push(lag);
    }

    fn clock_stepped(&self) {}
}

/// What was told of the exchanges, and of the reads of each.
type Told = Vec<(Notes, Vec<Option<Duration>>)>;

/// Opens a connection ahead, then makes `count` exchanges with a rest before each.
async fn visit(engine: HttpEngine, connector: Connector, count: usize) -> Told {
    let rests = async {
        let (clock, stamps) = (Clock::starting_at(Instant::now()), StampSource::Kernel);
        let lags = Rc::new(Lags::default());
        let probe = Rc::clone(&lags) as Rc<dyn ReadProbe>;
        let reuse = Reuse::Pooled;
        match engine {
            HttpEngine::Lean => {
                let transport = LeanTransport::new(connector, reuse, clock, stamps, probe);
                visit_on(&transport.unwrap(), &lags, count).await
            }
            HttpEngine::Hyper => {
                let transport = HyperTransport::new(connector, reuse, clock, stamps, probe);
                visit_on(&transport.unwrap(), &lags, count).await
            }
        }
    };
    LocalSet::new().run_until(rests).await
}

async fn visit_on(transport: &impl Transport, lags: &Lags, count: usize) -> Told {
    transport.warm(0).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..count {
        sleep(IDLE).await;
        let before = lags.0.take();
        assert_eq!(before, [], "nothing was asked");
        let seen = Seen::default();
        transport.exchange(0, post("/"), &seen).await.unwrap();
        told.push((seen.into_notes(), lags.0.take()));
    }
    told
}

/// A TLS server on a port of its own; `serve` is given each connection.
async fn tls_server<F>(serve: impl Fn(TlsAcceptor, TcpStream) -> F + 'static + Send) -> Connector
where
    F: Future<Output = ()> + Send + 'static,
{
    let (acceptor, authority) = acceptor();
    let acceptor = acceptor.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(acceptor.clone(), tcp));
        }
    });
    connector("localhost", port, authority, false)
}

/// Answers one request; `false` when there was none.
async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> bool {
    let mut request = [0; 1024];
    let asked = stream.read(&mut request).await.is_ok_and(|count| count > 0);
    asked && stream.write_all(ANSWER).await.is_ok()
}

on_both!(session_tickets_make_no_read_late);

async fn session_tickets_make_no_read_late(engine: HttpEngine) {
    let connector = tls_server(|acceptor, tcp| async move {
        let mut tls = acceptor.accept(tcp).await.unwrap();
        while answer(&mut tls).await {}
    })
    .await;
    for (notes, lags) in visit(engine, connector, 2).await {
        assert_eq!((notes.opened, notes.sent_again), (vec![false], 0));
        assert_eq!(lags.len(), 1, "{lags:?}");
        assert!(lags[0] < Some(IDLE / 2), "{lags:?}");
    }
}

on_both!(a_server_that_takes_its_leave_over_tls_is_not_asked_again);

async fn a_server_that_takes_its_leave_over_tls_is_not_asked_again(engine: HttpEngine) {
    let connector = tls_server(|acceptor, tcp| async move {
        let mut tls = acceptor.accept(tcp).await.unwrap();
        answer(&mut tls).await;
        tls.shutdown().await.unwrap();
    })
    .await;
    let told = visit(engine, connector, 2).await;
    assert_eq!(told[0].0.opened, [false]);
    assert_eq!(
        (told[1].0.opened.as_slice(), told[1].0.sent_again),
        (&[true][..], 0)
    );
}

on_both!(a_word_too_many_over_tls_ends_a_connection);

async fn a_word_too_many_over_tls_ends_a_connection(engine: HttpEngine) {
    let connector = tls_server(|acceptor, tcp| async move {
        let mut tls = acceptor.accept(tcp).await.unwrap();
        answer(&mut tls).await;
        sleep(IDLE / 3).await;
        tls.write_all(ANSWER).await.unwrap();
        answer(&mut tls).await;
    })
    .await;
    let told = visit(engine, connector, 2).await;
    assert_eq!(
        (told[1].0.opened.as_slice(), told[1].0.sent_again),
        (&[true][..], 0)
    );
}

/// A server that keeps each connection for one answer and leaves when the next request has come, in the way of `leave`.
async fn leaving<F>(leave: fn(tokio_rustls::server::TlsStream<TcpStream>) -> F) -> Connector
where
    F: Future<Output = ()> + Send + 'static,
{
    tls_server(move |acceptor, tcp| async move {
        let mut tls = acceptor.accept(tcp).await.unwrap();
        answer(&mut tls).await;
        let mut request = [0; 1024];
        let _ = tls.read(&mut request).await.unwrap();
        leave(tls).await;
    })
    .await
}

on_both!(a_request_that_meets_a_closing_tls_connection_is_sent_once_more);

async fn a_request_that_meets_a_closing_tls_connection_is_sent_once_more(engine: HttpEngine) {
    let without_a_word = leaving(|tls| async move {
        let (mut tcp, _) = tls.into_inner();
        tcp.shutdown().await.unwrap();
    });
    let politely = leaving(|mut tls| async move { tls.shutdown().await.unwrap() });
    for connector in [without_a_word.await, politely.await] {
        let told = visit(engine, connector, 2).await;
        assert_eq!((told[0].0.sent_again, told[1].0.sent_again), (0, 1));
        assert_eq!(told[1].0.opened, [false, true]);
    }
}

on_both!(the_old_connection_is_given_up_before_a_new_one_is_opened);

async fn the_old_connection_is_given_up_before_a_new_one_is_opened(engine: HttpEngine) {
    // How many connections came, how many the client had given up, and that when the second came.
    let (came, given_up, then) = (counter(), counter(), counter());
    let (counted, told) = (Arc::clone(&given_up), Arc::clone(&then));
    let connector = tls_server(move |acceptor, tcp| {
        let (came, given_up, then) = (Arc::clone(&came), Arc::clone(&counted), Arc::clone(&told));
        async move {
            if came.fetch_add(1, Relaxed) == 1 {
                sleep(IDLE).await;
                then.store(given_up.load(Relaxed), Relaxed);
            }
            let mut tls = acceptor.accept(tcp).await.unwrap();
            answer(&mut tls).await;
            let mut request = [0; 1024];
            let _ = tls.read(&mut request).await.unwrap();
            let (mut tcp, _) = tls.into_inner();
            tcp.shutdown().await.unwrap();
            while tcp.read(&mut request).await.is_ok_and(|count| count > 0) {}
            given_up.fetch_add(1, Relaxed);
        }
    })
    .await;
    let told = visit(engine, connector, 2).await;
    assert_eq!(told[1].0.sent_again, 1);
    assert_eq!(then.load(Relaxed), 1);
}

fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}
