//! HTTP/2, and HTTP/1.1 as the reference: hyper's own client connections, one pool a core.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HOST, PROXY_AUTHORIZATION};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::connect::{Connection, Sender};
use super::encoding::Encoding;
use super::io::{Receiver, Stamps, is_closing};
use super::pool::{Lease, Multiplexed, Pool};
use super::{Clock, Connector, Failure, Head, Observer, ReadProbe, Reuse, Transport};
use crate::domain::{Offset, Outcome, StampSource};

/// HTTP/1.1 and HTTP/2 through hyper.
pub struct HyperTransport {
    clock: Cell<Clock>,
    connector: Connector,
    receiver: Rc<Receiver>,
    reuse: Reuse,
    pool: Pool<Connection>,
    multiplexed: Multiplexed,
    /// Held while a connection is opened that others may share; when the last of them failed, and how.
    opening: Mutex<Option<(Instant, Failure)>>,
    /// Users whose streams were provided for ahead.
    expected: Cell<usize>,
    tasks: TaskTracker,
    host: HeaderValue,
    /// A path, and the URI made of it.
    last_uri: RefCell<Option<(Uri, Uri)>>,
}

impl HyperTransport {
    /// A transport for one core, which tells `probe` of each read. Must be used inside a `LocalSet`: connections are
    /// driven by local tasks.
    pub fn new(
        connector: Connector,
        reuse: Reuse,
        clock: Clock,
        source: StampSource,
        probe: Rc<dyn ReadProbe>,
    ) -> Result<Self, Failure> {
        let authority = connector.target.authority();
        let host = HeaderValue::try_from(authority.as_str())
            .map_err(|_| Failure::new(Outcome::Connect, format!("`{authority}` is not a host")))?;
        let (pool, tasks) = (Pool::new(reuse), TaskTracker::new());
        Ok(Self {
            clock: Cell::new(clock),
            connector,
            receiver: Receiver::new(source, probe),
            reuse,
            pool,
            multiplexed: Multiplexed::default(),
            opening: Mutex::default(),
            expected: Cell::new(0),
            tasks,
            host,
            last_uri: RefCell::default(),
        })
    }

    async fn open(&self, observer: &impl Observer) -> Result<Connection, Failure> {
        let (connection, took) = self.open_timed().await?;
        observer.connected(true, took);
        Ok(connection)
    }

    async fn open_timed(&self) -> Result<(Connection, Duration), Failure> {
        let asked = Instant::now();
        // Boxed, so that a request on a kept connection does not carry the state of all handshakes around.
        let connection = Box::pin(self.connector.open(&self.receiver, &self.tasks)).await?;
        Ok((connection, asked.elapsed()))
    }

    /// Opens a connection that others wait for, in one's turn. Who `asked` before the last one failed has waited for that
    /// one, and shares its failure: else each of them would wait for one time-out after another.
    async fn open_shared(
        &self,
        turn: &mut Option<(Instant, Failure)>,
        asked: Instant,
    ) -> Result<(Connection, Duration), Failure> {
        if let Some((at, failure)) = turn
            && *at >= asked
        {
            return Err(failure.clone());
        }
        let opened = self.open_timed().await;
        *turn = opened
            .as_ref()
            .err()
            .map(|failure| (Instant::now(), failure.clone()));
        opened
    }

    /// Opens a connection when those that are there do not carry one user more.
    async fn warm_http2(&self) -> Result<Option<Duration>, Failure> {
        let asked = Instant::now();
        let mut turn = self.opening.lock().await;
        self.expected.set(self.expected.get() + 1);
        if self.multiplexed.places() >= self.expected.get() {
            return Ok(None);
        }
        let (connection, took) = self.open_shared(&mut turn, asked).await?;
        if let Some(lease) = self.multiplexed.add(connection) {
            self.multiplexed.release(lease.id);
        }
        Ok(Some(took))
    }

    /// A kept connection that is ready (`true`), else a new one. One that the server closed meanwhile is passed over:
    /// nothing was sent on it.
    async fn idle_or_new(
        &self,
        user: u32,
        observer: &impl Observer,
    ) -> Result<(Connection, bool), Failure> {
        while let Some(mut connection) = self.pool.take(user) {
            if connection.ready().await.is_ok() {
                observer.connected(false, Duration::ZERO);
                return Ok((connection, true));
            }
        }
        Ok((self.open(observer).await?, false))
    }

    async fn over_http1(
        &self,
        user: u32,
        request: Request<Bytes>,
        observer: &impl Observer,
    ) -> Result<(), Failure> {
        let (mut connection, kept) = self.idle_or_new(user, observer).await?;
        let request = self.addressed_http1(request)?;
        let spare = kept.then(|| request.clone());
        let mut _under_way = connection.stamps.under_way();
        let mut answered = self.ask(&mut connection, request, observer).await;
        // Some servers (llama.cpp after a stream) close a kept connection without having said so. A user who sends at
        // once meets that closing half-way; whoever reuses connections has to send again (RFC 9112, 9.3.1).
        if let Some(request) = spare
            && answered.as_ref().is_err_and(is_closed)
            && !connection.stamps.was_heard()
        {
            observer.sent_again();
            drop(connection);
            connection = self.open(observer).await?;
            _under_way = connection.stamps.under_way();
            answered = self.ask(&mut connection, request, observer).await;
        }
        let response = answered.map_err(|error| Failure::broken(&error, false))?;
        self.read(response, &connection.stamps, observer).await?;
        self.pool.give_back(user, connection);
        Ok(())
    }

    async fn over_http2(
        &self,
        request: Request<Bytes>,
        observer: &impl Observer,
    ) -> Result<(), Failure> {
        let not_http2 = || Failure::new(Outcome::Connect, "the connection does not speak HTTP/2");
        if self.reuse == Reuse::Never {
            let mut connection = self.open(observer).await?;
            return self
                .converse(&mut connection, self.addressed_http2(request)?, observer)
                .await;
        }
        let lease = match self.multiplexed.take() {
            Some(lease) => {
                observer.connected(false, Duration::ZERO);
                lease
            }
            None => self.join_or_open(observer).await?.ok_or_else(not_http2)?,
        };
        let mut place = Place {
            pool: &self.multiplexed,
            lease,
        };
        let request = self.addressed_http2(request)?;
        self.converse(&mut place.lease.connection, request, observer)
            .await
    }

    /// A place on a connection that somebody else opened meanwhile, else on a new one: a hundred requests that begin
    /// at once share one handshake.
    async fn join_or_open(&self, observer: &impl Observer) -> Result<Option<Lease>, Failure> {
        let asked = Instant::now();
        let mut turn = self.opening.lock().await;
        if let Some(lease) = self.multiplexed.take() {
            observer.connected(false, asked.elapsed());
            return Ok(Some(lease));
        }
        let (connection, _) = self.open_shared(&mut turn, asked).await?;
        observer.connected(true, asked.elapsed());
        Ok(self.multiplexed.add(connection))
    }

    /// One exchange on an open connection, where others may be under way beside it.
    async fn converse(
        &self,
        connection: &mut Connection,
        request: Request<Full<Bytes>>,
        observer: &impl Observer,
    ) -> Result<(), Failure> {
        let _under_way = connection.stamps.under_way();
        let answered = self.ask(connection, request, observer).await;
        let response = answered.map_err(|error| Failure::broken(&error, false))?;
        self.read(response, &connection.stamps, observer).await
    }

    /// Sends a request and waits for the head of its answer.
    async fn ask(
        &self,
        connection: &mut Connection,
        request: Request<Full<Bytes>>,
        observer: &impl Observer,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let stamps = Rc::clone(&connection.stamps);
        stamps.begin();
        let handed_over = self.clock.get().now();
        let answered = connection.send(request).await;
        // A server may answer before it has heard everything.
        let heard = match &answered {
            Ok(_) => self.clock.get().offset_of(stamps.last_read()),
            Err(_) => Offset::MAX,
        };
        let before = |at| self.clock.get().offset_of(at).min(heard);
        let sent = match &connection.sender {
            Sender::Http1(_) => stamps
                .writes()
                .map(|(first, last)| (before(first), before(last))),
            // Others write on it too: the moment at which hyper got the request is the closest that is known.
            Sender::Http2(_) => Some((handed_over, handed_over)),
        };
        // A request that failed may have been written whole before: then it was sent.
        if let Some((first, last)) = sent {
            observer.sent(first, last);
        }
        answered
    }

    async fn read(
        &self,
        response: Response<Incoming>,
        stamps: &Stamps,
        observer: &impl Observer,
    ) -> Result<(), Failure> {
        let (parts, mut body) = response.into_parts();
        let at = self.clock.get().offset_of(stamps.last_read());
        observer.head(
            Head {
                status: parts.status,
                field: &|name| parts.headers.get(name).map(HeaderValue::as_bytes),
            },
            at,
        );
        let mut encoding = Encoding::of(
            parts
                .headers
                .get(CONTENT_ENCODING)
                .map(HeaderValue::as_bytes),
        )?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::broken(&error, true))?;
            let Some(bytes) = frame.data_ref() else {
                continue;
            };
            let at = self.clock.get().offset_of(stamps.last_read());
            if !encoding.decode(bytes, |bytes| observer.body(bytes, at))? {
                return Err(Failure::new(
                    Outcome::Cancelled,
                    "no more of the answer was wanted",
                ));
            }
        }
        observer.end(self.clock.get().offset_of(stamps.last_read()));
        Ok(())
    }

    /// Origin form and a `Host` header; through a proxy, plain text wants the absolute form.
    fn addressed_http1(&self, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, Failure> {
        let (mut parts, body) = request.into_parts();
        // A host that the user names stands.
        parts
            .headers
            .entry(HOST)
            .or_insert_with(|| self.host.clone());
        let proxied = self
            .connector
            .proxy
            .as_ref()
            .filter(|_| !self.connector.target.tls);
        parts.uri = self.uri(&parts.uri, proxied.is_some())?;
        if let Some(value) = proxied.and_then(super::Proxy::authorization) {
            parts.headers.insert(PROXY_AUTHORIZATION, value);
        }
        Ok(Request::from_parts(parts, Full::new(body)))
    }

    /// HTTP/2 takes scheme and authority from the URI.
    fn addressed_http2(&self, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, Failure> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.uri(&parts.uri, true)?;
        parts.version = http::Version::HTTP_2;
        Ok(Request::from_parts(parts, Full::new(body)))
    }

    /// The URI that goes over the wire; a core asks for one path again and again, so the last one is kept.
    fn uri(&self, path: &Uri, absolute: bool) -> Result<Uri, Failure> {
        if let Some((asked, made)) = &*self.last_uri.borrow()
            && asked == path
        {
            return Ok(made.clone());
        }
        let made = self.full_uri(path, absolute)?;
        *self.last_uri.borrow_mut() = Some((path.clone(), made.clone()));
        Ok(made)
    }

    fn full_uri(&self, path: &Uri, absolute: bool) -> Result<Uri, Failure> {
        let target = &self.connector.target;
        let rest = path.path_and_query().map_or("/", PathAndQuery::as_str);
        let text = if absolute {
            let scheme = if target.tls { "https" } else { "http" };
            format!(
                "{scheme}://{}{}{rest}",
                target.authority(),
                target.base_path
            )
        } else {
            format!("{}{rest}", target.base_path)
        };
        Uri::try_from(&text)
            .map_err(|_| Failure::new(Outcome::Connect, format!("`{text}` is not a URI")))
    }
}

impl Transport for HyperTransport {
    fn begin(&self, clock: Clock) {
        self.clock.set(clock);
    }

    async fn warm(&self, user: u32) -> Result<Option<Duration>, Failure> {
        if self.reuse == Reuse::Never {
            return Ok(None);
        }
        if self.connector.http2 {
            return self.warm_http2().await;
        }
        let (connection, took) = self.open_timed().await?;
        self.pool.give_back(user, connection);
        Ok(Some(took))
    }

    async fn exchange(
        &self,
        user: u32,
        request: Request<Bytes>,
        observer: &impl Observer,
    ) -> Result<(), Failure> {
        if self.connector.http2 {
            self.over_http2(request, observer).await
        } else {
            self.over_http1(user, request, observer).await
        }
    }
}

impl Connection {
    async fn ready(&mut self) -> Result<(), hyper::Error> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await,
            Sender::Http2(sender) => sender.ready().await,
        }
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        self.ready().await?;
        match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        }
    }
}

/// Gives the place on an HTTP/2 connection back, also when the exchange is dropped in the middle.
struct Place<'a> {
    pool: &'a Multiplexed,
    lease: Lease,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pool.release(self.lease.id);
    }
}

/// Whether the connection was closed, in whatever way.
fn is_closed(error: &hyper::Error) -> bool {
    let reset = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .is_some_and(is_closing);
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || reset
}
