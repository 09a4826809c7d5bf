//! One exchange after another over kept connections: writes a request, reads its answer, keeps the connection.
//! What the bytes of an answer mean is the parser's matter; when to connect where is the connector's.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::io::AsyncWrite as _;
use tokio::time::Instant;

use super::parser::{Parser, Part, Progress};
use super::words::Address;
use crate::client::connect::Connector;
use crate::client::encoding::Encoding;
use crate::client::io::{Receiver, Stamps, is_closing};
use crate::client::link::{Clear, Link};
use crate::client::pool::Pool;
use crate::client::{Clock, Failure, Head, Observer, ReadProbe, Reuse, Transport};
use crate::domain::{Offset, Outcome, StampSource};

/// Most bytes of one TLS record.
const CLEAR_SIZE: usize = 16 * 1024;

/// HTTP/1.1, as plain as it can be.
pub struct LeanTransport {
    clock: Cell<Clock>,
    connector: Connector,
    reuse: Reuse,
    receiver: Rc<Receiver>,
    pool: Pool<Link>,
    address: Address,
    /// Heads are written here before they are sent; each is done with before the next one begins.
    head: RefCell<Vec<u8>>,
    clear: Clear,
}

impl LeanTransport {
    /// A transport for one core, which tells `probe` of each read.
    pub fn new(
        connector: Connector,
        reuse: Reuse,
        clock: Clock,
        source: StampSource,
        probe: Rc<dyn ReadProbe>,
    ) -> Result<Self, Failure> {
        let address =
            Address::new(&connector.target, connector.proxy.as_ref()).ok_or_else(|| {
                let authority = connector.target.authority();
                Failure::new(Outcome::Connect, format!("`{authority}` is not a host"))
            })?;
        let clear = if connector.target.tls { CLEAR_SIZE } else { 0 };
        Ok(Self {
            clock: Cell::new(clock),
            connector,
            reuse,
            receiver: Receiver::new(source, probe),
            pool: Pool::new(reuse),
            address,
            head: RefCell::default(),
            clear: RefCell::new(vec![0; clear].into_boxed_slice()),
        })
    }

    async fn open(&self, observer: &impl Observer) -> Result<Link, Failure> {
        let (link, took) = self.open_timed().await?;
        observer.connected(true, took);
        Ok(link)
    }

    async fn open_timed(&self) -> Result<(Link, Duration), Failure> {
        let asked = Instant::now();
        // Boxed, so that a request on a kept connection does not carry the state of all handshakes around.
        let link = Box::pin(self.connector.open_link(&self.receiver)).await?;
        Ok((link, asked.elapsed()))
    }

    /// A kept connection (`true`), else a new one.
    async fn idle_or_new(
        &self,
        user: u32,
        observer: &impl Observer,
    ) -> Result<(Link, bool), Failure> {
        if let Some(link) = self.pool.take(user) {
            observer.connected(false, Duration::ZERO);
            return Ok((link, true));
        }
        Ok((self.open(observer).await?, false))
    }

    /// Sends `request` and reads the answer to its end.
    async fn converse(
        &self,
        link: &mut Link,
        request: &mut Option<Request<Bytes>>,
        keep_request: bool,
        observer: &impl Observer,
    ) -> Result<bool, Broken> {
        let mut course = Course::new(self.clock.get(), Rc::clone(link.stamps()), observer);
        link.stamps().begin();
        let _under_way = link.stamps().under_way();
        let mut unsent = self.write(link, request.as_ref());
        if !keep_request {
            *request = None;
        }
        let ended = poll_fn(|cx| {
            if let Some(rest) = &mut unsent
                && let Poll::Ready(written) = rest.poll(cx, link)
            {
                unsent = None;
                if let Err(error) = written {
                    course.write_error = Some(error);
                }
            }
            if unsent.is_none() {
                course.sending.tell(observer, None);
            }
            let polled = course.poll_answer(cx, link, &self.clear);
            if course.heard && request.is_some() {
                // An answer has begun: the request will not be sent again.
                *request = None;
            }
            polled
        })
        .await;
        course.sending.tell(observer, None);
        let all_sent = unsent.is_none() && course.write_error.is_none();
        let heard = course.heard;
        match ended {
            Ok(keep_alive) => Ok(keep_alive && all_sent),
            Err(ended) => Err(Broken {
                unanswered: !heard && ended.is_closed(),
                failure: course.failure(ended),
            }),
        }
    }

    /// Writes what the socket takes at once: nearly always everything.
    fn write(&self, link: &mut Link, request: Option<&Request<Bytes>>) -> Option<Unsent> {
        let request = request?;
        let mut head = self.head.borrow_mut();
        head.clear();
        self.address.write_head(request, &mut head);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let taken = match link.poll_send(&mut cx, &head, request.body()) {
            Poll::Ready(Ok(count)) => count,
            // It is tried again at once, with a waker; an error comes again.
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        let flushed = matches!(Pin::new(link).poll_flush(&mut cx), Poll::Ready(Ok(())));
        if flushed && taken == head.len() + request.body().len() {
            return None;
        }
        Some(Unsent {
            head: head.clone(),
            body: request.body().clone(),
            taken,
        })
    }
}

impl Transport for LeanTransport {
    fn begin(&self, clock: Clock) {
        self.clock.set(clock);
    }

    async fn warm(&self, user: u32) -> Result<Option<Duration>, Failure> {
        if self.reuse == Reuse::Never {
            return Ok(None);
        }
        let (link, took) = self.open_timed().await?;
        self.pool.give_back(user, link);
        Ok(Some(took))
    }

    async fn exchange(
        &self,
        user: u32,
        request: Request<Bytes>,
        observer: &impl Observer,
    ) -> Result<(), Failure> {
        let (mut link, kept) = self.idle_or_new(user, observer).await?;
        let mut request = Some(request);
        let mut ended = self.converse(&mut link, &mut request, kept, observer).await;
        // Some servers (llama.cpp after a stream) close a kept connection without having said so. A user who sends at
        // once meets that closing half-way; whoever reuses connections has to send again (RFC 9112, 9.3.1).
        if kept && request.is_some() && ended.as_ref().is_err_and(|broken| broken.unanswered) {
            observer.sent_again();
            drop(link);
            link = self.open(observer).await?;
            ended = self
                .converse(&mut link, &mut request, false, observer)
                .await;
        }
        match ended {
            Ok(keep_alive) => {
                if keep_alive {
                    self.pool.give_back(user, link);
                }
                Ok(())
            }
            Err(broken) => Err(broken.failure),
        }
    }
}

/// An exchange that did not come to its end.
struct Broken {
    failure: Failure,
    /// The connection was closed before the first byte of an answer.
    unanswered: bool,
}

/// What the socket did not take at once.
struct Unsent {
    head: Vec<u8>,
    body: Bytes,
    taken: usize,
}

impl Unsent {
    fn poll(&mut self, cx: &mut Context<'_>, link: &mut Link) -> Poll<io::Result<()>> {
        loop {
            let head = self.head.get(self.taken..).unwrap_or_default();
            let body_from = self.taken.saturating_sub(self.head.len());
            let body = &self.body[body_from..];
            if head.is_empty() && body.is_empty() {
                return Pin::new(link).poll_flush(cx);
            }
            match std::task::ready!(link.poll_send(cx, head, body))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.taken += count,
            }
        }
    }
}

/// Why reading ended without an answer.
enum Ended {
    /// The server closed the connection too early.
    Closed,
    Io(io::Error),
    Failed(Failure),
}

impl Ended {
    fn is_closed(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Io(error) => is_closing(error),
            Self::Failed(_) => false,
        }
    }
}

/// When a request was handed to the socket; told once.
struct Sending {
    clock: Clock,
    stamps: Rc<Stamps>,
    told: bool,
}

impl Sending {
    /// Of a request that failed, or whose answer came before it was written whole (at `answered`), what had gone until then.
    fn tell(&mut self, observer: &impl Observer, answered: Option<Offset>) {
        if !self.told
            && let Some((first, last)) = self.stamps.writes()
        {
            self.told = true;
            let before = |at| {
                let at = self.clock.offset_of(at);
                at.min(answered.unwrap_or(Offset::MAX))
            };
            observer.sent(before(first), before(last));
        }
    }
}

/// One answer as it is read.
struct Course<'a, O> {
    clock: Clock,
    sending: Sending,
    observer: &'a O,
    parser: Parser,
    encoding: Encoding,
    /// A byte of the answer came.
    heard: bool,
    head_seen: bool,
    write_error: Option<io::Error>,
}

impl<'a, O: Observer> Course<'a, O> {
    fn new(clock: Clock, stamps: Rc<Stamps>, observer: &'a O) -> Self {
        Self {
            clock,
            sending: Sending {
                clock,
                stamps,
                told: false,
            },
            observer,
            parser: Parser::new(),
            encoding: Encoding::Identity,
            heard: false,
            head_seen: false,
            write_error: None,
        }
    }

    /// Reads until nothing more has come; ready at the end of the answer, with whether the connection may be kept.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link,
        clear: &Clear,
    ) -> Poll<Result<bool, Ended>> {
        loop {
            let step = std::task::ready!(link.poll_receive(cx, clear, |bytes, at| {
                self.take(bytes, self.clock.offset_of(at))
            }));
            match step {
                Err(error) => return Poll::Ready(Err(Ended::Io(error))),
                Ok(Err(ended)) => return Poll::Ready(Err(ended)),
                Ok(Ok(Progress::Open)) => {}
                Ok(Ok(Progress::Complete { keep_alive })) => return Poll::Ready(Ok(keep_alive)),
                Ok(Ok(Progress::Refused)) => {
                    let unwanted = "no more of the answer was wanted";
                    let failure = Failure::new(Outcome::Cancelled, unwanted);
                    return Poll::Ready(Err(Ended::Failed(failure)));
                }
            }
        }
    }

    /// Takes the bytes of one read.
    fn take(&mut self, bytes: &[u8], at: Offset) -> Result<Progress, Ended> {
        if bytes.is_empty() {
            return self.take_end(at);
        }
        self.heard = true;
        let mut failed = None;
        let Self {
            observer,
            sending,
            parser,
            encoding,
            head_seen,
            ..
        } = self;
        let progress = parser.feed(bytes, &mut |part| {
            let done = match part {
                Part::Head(head) => {
                    *head_seen = true;
                    sending.tell(*observer, Some(at));
                    let status = StatusCode::from_u16(head.status).unwrap_or_default();
                    let field = &|name: &str| head.field(name);
                    observer.head(Head { status, field }, at);
                    Encoding::of(head.field("content-encoding")).map(|found| {
                        *encoding = found;
                        true
                    })
                }
                Part::Body(bytes) => encoding.decode(bytes, |bytes| observer.body(bytes, at)),
            };
            done.unwrap_or_else(|failure| {
                failed = Some(failure);
                false
            })
        });
        if let Some(failure) = failed {
            return Err(Ended::Failed(failure));
        }
        let progress = progress.map_err(|malformed| {
            Ended::Failed(Failure::new(Outcome::ParseError, malformed.to_string()))
        })?;
        if matches!(progress, Progress::Complete { .. }) {
            self.observer.end(at);
        }
        Ok(progress)
    }

    fn take_end(&self, at: Offset) -> Result<Progress, Ended> {
        self.parser.close().map_err(|_| Ended::Closed)?;
        self.observer.end(at);
        Ok(Progress::Complete { keep_alive: false })
    }

    /// Before the response head it is the connection's fault, after it the stream was cut.
    fn failure(&mut self, ended: Ended) -> Failure {
        let outcome = if self.head_seen {
            Outcome::Cut
        } else {
            Outcome::Connect
        };
        match (ended, self.write_error.take()) {
            (Ended::Failed(failure), _) => failure,
            (Ended::Io(error), None) | (_, Some(error)) => Failure::new(outcome, error.to_string()),
            (Ended::Closed, None) => Failure::new(
                outcome,
                "the connection was closed before the answer was complete",
            ),
        }
    }
}
