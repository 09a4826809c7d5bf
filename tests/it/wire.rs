//! The client room against servers of the test's own: TLS, HTTP/2, proxies, keep-alive, base paths, IPv6, broken peers.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use llmload::client::{
    Clock, Connector, Failure, Head, HyperTransport, LeanTransport, Observer, Proxy, ReadProbe,
    Reuse, Sources, Target, TlsSettings, Transport, install_crypto,
};
use llmload::domain::{HttpEngine, Offset, Outcome, Secret, StampSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// A test of both engines of HTTP/1.1.
macro_rules! on_both {
    ($name:ident) => {
        mod $name {
            use llmload::domain::HttpEngine;

            #[tokio::test]
            async fn lean() {
                super::$name(HttpEngine::Lean).await;
            }

            #[tokio::test]
            async fn hyper() {
                super::$name(HttpEngine::Hyper).await;
            }
        }
    };
}
pub(crate) use on_both;

/// Everything that an exchange reported.
#[derive(Default)]
pub(crate) struct Seen(RefCell<Notes>);

impl Seen {
    pub(crate) fn into_notes(self) -> Notes {
        self.0.into_inner()
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) opened: Vec<bool>,
    pub(crate) sent_again: usize,
    pub(crate) waited: Vec<Duration>,
    pub(crate) begun: Option<Offset>,
    pub(crate) sent: Option<Offset>,
    pub(crate) head: Option<(u16, Offset)>,
    body: Vec<u8>,
    last: Option<Offset>,
    end: Option<Offset>,
}

impl Notes {
    pub(crate) fn status(&self) -> Option<u16> {
        self.head.map(|(status, _)| status)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

impl Observer for Seen {
    fn connected(&self, new: bool, waited: Duration) {
        let mut notes = self.0.borrow_mut();
        notes.opened.push(new);
        notes.waited.push(waited);
    }

    fn sent_again(&self) {
        self.0.borrow_mut().sent_again += 1;
    }

    fn sent(&self, first: Offset, last: Offset) {
        let mut notes = self.0.borrow_mut();
        assert_eq!(notes.head, None, "sending comes before an answer");
        (notes.begun, notes.sent) = (Some(first), Some(last));
    }

    fn head(&self, head: Head<'_>, at: Offset) {
        self.0.borrow_mut().head = Some((head.status.as_u16(), at));
    }

    fn body(&self, bytes: &[u8], at: Offset) -> bool {
        let mut notes = self.0.borrow_mut();
        notes.body.extend_from_slice(bytes);
        notes.last = Some(at);
        true
    }

    fn end(&self, at: Offset) {
        self.0.borrow_mut().end = Some(at);
    }
}

/// A server that answers with what it was asked, and counts its connections.
struct Echo {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    ca_pem: Option<String>,
}

pub(crate) async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        request.headers().get(name).map_or(String::new(), |value| {
            value.to_str().unwrap_or("?").to_owned()
        })
    };
    let text = format!(
        "{} {} {:?} host={} proxy-authorization={}",
        request.method(),
        request.uri(),
        request.version(),
        header("host"),
        header("proxy-authorization")
    );
    let mut response = Response::new(Full::new(Bytes::from(text)));
    if request.uri().path().ends_with("/slow") {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    if request.uri().path().ends_with("/close") {
        response
            .headers_mut()
            .insert("connection", "close".parse().unwrap());
    }
    if request.uri().path().ends_with("/gzip") {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"unpacked").unwrap();
        *response.body_mut() = Full::new(encoder.finish().unwrap().into());
        response
            .headers_mut()
            .insert("content-encoding", "gzip".parse().unwrap());
    }
    Ok(response)
}

impl Echo {
    async fn start(bind: &str, tls: bool) -> Self {
        let listener = TcpListener::bind(bind).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (acceptor, ca_pem) = if tls { acceptor() } else { (None, None) };
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    match acceptor {
                        None => drop(
                            builder
                                .serve_connection(TokioIo::new(tcp), service_fn(answer))
                                .await,
                        ),
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(tcp).await else {
                                return;
                            };
                            drop(
                                builder
                                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                                    .await,
                            );
                        }
                    }
                });
            }
        });
        Self {
            address,
            connections,
            ca_pem,
        }
    }

    fn connector(&self, host: &str) -> Connector {
        connector(host, self.address.port(), self.ca_pem.clone(), false)
    }
}

pub(crate) fn acceptor() -> (Option<TlsAcceptor>, Option<String>) {
    install_crypto();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let chain = vec![key.cert.der().clone()];
    let private =
        rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (
        Some(TlsAcceptor::from(Arc::new(config))),
        Some(key.cert.pem()),
    )
}

pub(crate) fn connector(host: &str, port: u16, ca_pem: Option<String>, http2: bool) -> Connector {
    let tls = ca_pem.is_some();
    let settings = TlsSettings {
        insecure_skip_verify: false,
        ca_pem,
        http2,
    };
    Connector {
        target: Target {
            host: host.to_owned(),
            port,
            tls,
            base_path: String::new(),
        },
        tls: settings.config().unwrap(),
        proxy: None,
        sources: Sources::default(),
        http2,
        timeout: Some(Duration::from_secs(10)),
    }
}

pub(crate) fn post(path: &str) -> Request<Bytes> {
    let body = match path {
        "/big" => Bytes::from(vec![b' '; 32 * 1024 * 1024]),
        _ => Bytes::from_static(b"{}"),
    };
    Request::post(path).body(body).unwrap()
}

/// Sends `paths` one after another on one transport.
pub(crate) async fn exchange_all(
    engine: HttpEngine,
    connector: Connector,
    reuse: Reuse,
    paths: &[&str],
) -> Vec<(Result<(), Failure>, Notes)> {
    let local = LocalSet::new();
    local
        .run_until(async {
            let clock = Clock::starting_at(Instant::now());
            let (stamps, probe) = (StampSource::Kernel, Rc::new(NoProbe));
            match engine {
                HttpEngine::Lean => {
                    let transport = LeanTransport::new(connector, reuse, clock, stamps, probe);
                    exchange_on(&transport.unwrap(), paths).await
                }
                HttpEngine::Hyper => {
                    let transport = HyperTransport::new(connector, reuse, clock, stamps, probe);
                    exchange_on(&transport.unwrap(), paths).await
                }
            }
        })
        .await
}

async fn exchange_on(
    transport: &impl Transport,
    paths: &[&str],
) -> Vec<(Result<(), Failure>, Notes)> {
    let mut all = Vec::new();
    for path in paths {
        let seen = Seen::default();
        let result = transport.exchange(0, post(path), &seen).await;
        all.push((result, seen.0.into_inner()));
    }
    all
}

/// Wants to know of no read.
pub(crate) struct NoProbe;

impl ReadProbe for NoProbe {
    fn read(&self, _: Instant, _: Option<Duration>) {}
    fn clock_stepped(&self) {}
}

fn body(notes: &Notes) -> String {
    String::from_utf8(notes.body.clone()).unwrap()
}

on_both!(a_connection_is_kept_and_stamps_are_in_order);

async fn a_connection_is_kept_and_stamps_are_in_order(engine: HttpEngine) {
    let server = Echo::start("127.0.0.1:0", false).await;
    let all = exchange_all(
        engine,
        server.connector("127.0.0.1"),
        Reuse::Pooled,
        &["/a", "/b"],
    )
    .await;
    for (result, notes) in &all {
        assert_eq!(result, &Ok(()));
        let (status, head) = notes.head.unwrap();
        assert_eq!(status, 200);
        assert!(
            notes.sent.unwrap() <= head && head <= notes.last.unwrap() && notes.last <= notes.end,
            "{notes:?}"
        );
    }
    assert_eq!(
        (all[0].1.opened.as_slice(), all[1].1.opened.as_slice()),
        (&[true][..], &[false][..])
    );
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
    let expected = format!(
        "POST /a HTTP/1.1 host=127.0.0.1:{} proxy-authorization=",
        server.address.port()
    );
    assert_eq!(body(&all[0].1), expected);
}

on_both!(never_opens_a_new_connection_for_each_request);

async fn never_opens_a_new_connection_for_each_request(engine: HttpEngine) {
    let server = Echo::start("127.0.0.1:0", false).await;
    let all = exchange_all(
        engine,
        server.connector("127.0.0.1"),
        Reuse::Never,
        &["/", "/", "/"],
    )
    .await;
    assert!(
        all.iter()
            .all(|(result, notes)| result.is_ok() && notes.opened == [true])
    );
    assert_eq!(server.connections.load(Ordering::Relaxed), 3);
}

on_both!(a_connection_that_the_server_closes_is_replaced_without_a_failure);

async fn a_connection_that_the_server_closes_is_replaced_without_a_failure(engine: HttpEngine) {
    let server = Echo::start("127.0.0.1:0", false).await;
    let all = exchange_all(
        engine,
        server.connector("127.0.0.1"),
        Reuse::PerUser,
        &["/close", "/close", "/"],
    )
    .await;
    assert!(
        all.iter()
            .all(|(result, notes)| result.is_ok() && notes.opened == [true]),
        "{all:?}"
    );
}

on_both!(base_path_and_ipv6_reach_the_server);

async fn base_path_and_ipv6_reach_the_server(engine: HttpEngine) {
    let server = Echo::start("[::1]:0", false).await;
    let mut connector = server.connector("::1");
    "/inference".clone_into(&mut connector.target.base_path);
    let all = exchange_all(engine, connector, Reuse::Pooled, &["/v1/chat/completions"]).await;
    assert_eq!(all[0].0, Ok(()));
    let text = body(&all[0].1);
    assert!(
        text.starts_with("POST /inference/v1/chat/completions HTTP/1.1 host=[::1]:"),
        "{text}"
    );
}

on_both!(tls_is_verified_against_the_given_authority);

async fn tls_is_verified_against_the_given_authority(engine: HttpEngine) {
    let server = Echo::start("127.0.0.1:0", true).await;
    let all = exchange_all(engine, server.connector("localhost"), Reuse::Pooled, &["/"]).await;
    assert_eq!(all[0].0, Ok(()));
    assert!(body(&all[0].1).contains("HTTP/1.1"));
    // Another authority than the server's own.
    let stranger = acceptor().1;
    let all = exchange_all(
        engine,
        connector("localhost", server.address.port(), stranger, false),
        Reuse::Pooled,
        &["/"],
    )
    .await;
    assert_eq!(all[0].0.as_ref().unwrap_err().outcome, Outcome::Tls);
}

on_both!(tls_without_verification_trusts_anybody);

async fn tls_without_verification_trusts_anybody(engine: HttpEngine) {
    let server = Echo::start("127.0.0.1:0", true).await;
    let mut connector = server.connector("localhost");
    connector.tls = TlsSettings {
        insecure_skip_verify: true,
        ..TlsSettings::default()
    }
    .config()
    .unwrap();
    let all = exchange_all(engine, connector, Reuse::Pooled, &["/"]).await;
    assert_eq!(all[0].0, Ok(()));
}

#[tokio::test]
async fn http2_multiplexes_over_tls_and_in_clear() {
    for tls in [false, true] {
        let server = Echo::start("127.0.0.1:0", tls).await;
        let mut connector = connector(
            "localhost",
            server.address.port(),
            server.ca_pem.clone(),
            true,
        );
        connector.target.base_path = "/base".to_owned();
        let all = exchange_all(HttpEngine::Hyper, connector, Reuse::Pooled, &["/a", "/b"]).await;
        for (result, notes) in &all {
            assert_eq!(result, &Ok(()));
            assert!(notes.sent.unwrap() <= notes.head.unwrap().1);
            assert!(
                body(notes).contains("/base/") && body(notes).contains("HTTP/2.0"),
                "{}",
                body(notes)
            );
        }
        assert_eq!(server.connections.load(Ordering::Relaxed), 1, "tls {tls}");
    }
}

#[tokio::test]
async fn many_http2_streams_get_more_connections_instead_of_waiting() {
    let server = Echo::start("127.0.0.1:0", false).await;
    let connector = connector("127.0.0.1", server.address.port(), None, true);
    let local = LocalSet::new();
    local
        .run_until(async {
            let clock = Clock::starting_at(Instant::now());
            let transport = HyperTransport::new(
                connector,
                Reuse::Pooled,
                clock,
                StampSource::Kernel,
                Rc::new(NoProbe),
            );
            let transport = Rc::new(transport.unwrap());
            let mut tasks = tokio::task::JoinSet::new();
            for user in 0..250 {
                let transport = Rc::clone(&transport);
                tasks.spawn_local(async move {
                    transport
                        .exchange(user, post("/slow"), &Seen::default())
                        .await
                });
            }
            while let Some(done) = tasks.join_next().await {
                assert_eq!(done.unwrap(), Ok(()));
            }
        })
        .await;
    assert!(server.connections.load(Ordering::Relaxed) >= 3);
}

/// A proxy that knows CONNECT and nothing else, and keeps what it was sent.
async fn tunnel_proxy(refuse: bool) -> (SocketAddr, Arc<std::sync::Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(std::sync::Mutex::new(String::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        kept.lock().unwrap().push_str(&head);
        if refuse {
            client
                .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                .await
                .unwrap();
            return;
        }
        let authority = head.split(' ').nth(1).unwrap().to_owned();
        let mut server = TcpStream::connect(authority).await.unwrap();
        client
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await
            .unwrap();
        drop(copy_bidirectional(&mut client, &mut server).await);
    });
    (address, asked)
}

on_both!(tls_goes_through_a_proxy_by_a_tunnel);

async fn tls_goes_through_a_proxy_by_a_tunnel(engine: HttpEngine) {
    let server = Echo::start("127.0.0.1:0", true).await;
    let (address, asked) = tunnel_proxy(false).await;
    let mut connector = server.connector("localhost");
    let credentials = Some(Secret::new("me:open sesame"));
    connector.proxy = Some(Proxy {
        host: "127.0.0.1".to_owned(),
        port: address.port(),
        credentials,
    });
    let all = exchange_all(engine, connector, Reuse::Pooled, &["/"]).await;
    assert_eq!(all[0].0, Ok(()));
    let asked = asked.lock().unwrap().clone();
    assert!(
        asked.starts_with(&format!(
            "CONNECT localhost:{} HTTP/1.1",
            server.address.port()
        )),
        "{asked}"
    );
    assert!(
        asked.contains("Proxy-Authorization: Basic bWU6b3BlbiBzZXNhbWU="),
        "{asked}"
    );
    assert!(
        body(&all[0].1).ends_with("proxy-authorization="),
        "the server must not see the proxy's password"
    );
}

on_both!(a_proxy_that_refuses_is_named_with_its_status);

async fn a_proxy_that_refuses_is_named_with_its_status(engine: HttpEngine) {
    let server = Echo::start("127.0.0.1:0", true).await;
    let (address, _) = tunnel_proxy(true).await;
    let mut connector = server.connector("localhost");
    connector.proxy = Some(Proxy {
        host: "127.0.0.1".to_owned(),
        port: address.port(),
        credentials: None,
    });
    let failure = exchange_all(engine, connector, Reuse::Pooled, &["/"])
        .await
        .remove(0)
        .0
        .unwrap_err();
    assert_eq!(failure.outcome, Outcome::Connect);
    assert!(failure.text.contains("407"), "{failure}");
}

on_both!(plain_text_goes_through_a_proxy_in_absolute_form);

async fn plain_text_goes_through_a_proxy_in_absolute_form(engine: HttpEngine) {
    let proxy = Echo::start("127.0.0.1:0", false).await;
    let mut connector = connector("model.example", 8000, None, false);
    let credentials = Some(Secret::new("me:pw"));
    connector.proxy = Some(Proxy {
        host: "127.0.0.1".to_owned(),
        port: proxy.address.port(),
        credentials,
    });
    let all = exchange_all(engine, connector, Reuse::Pooled, &["/v1"]).await;
    let text = body(&all[0].1);
    let expected = "POST http://model.example:8000/v1 HTTP/1.1 host=model.example:8000";
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.ends_with("proxy-authorization=Basic bWU6cHc="),
        "{text}"
    );
}

on_both!(a_compressed_answer_is_unpacked);

async fn a_compressed_answer_is_unpacked(engine: HttpEngine) {
    let server = Echo::start("127.0.0.1:0", false).await;
    let all = exchange_all(
        engine,
        server.connector("127.0.0.1"),
        Reuse::Pooled,
        &["/gzip"],
    )
    .await;
    assert_eq!(
        (all[0].0.clone(), body(&all[0].1)),
        (Ok(()), "unpacked".to_owned())
    );
}
