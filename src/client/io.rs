//! A TCP stream that remembers when its bytes arrived and left: the stamps of everything above it.
//! The kernel tells when bytes arrived (`SO_TIMESTAMPING`, software receive time, Linux); elsewhere a clock is read after the read.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::kernel;
use super::stamp::{Placed, Placer, Sample};
use crate::domain::StampSource;

/// Is told of each read that brought bytes while a request was under way: what a connection hears before, between and
/// after requests (handshakes, session tickets) is read when somebody looks, and says nothing of this program's speed.
/// Called on the measuring thread: it must be quick.
pub trait ReadProbe {
    /// Bytes that arrived at `at` were read; `lag` is how long the kernel had kept them, `None` where it does not tell.
    fn read(&self, at: Instant, lag: Option<Duration>);
    /// The wall clock was set, and the kernel's stamps are not trusted for a moment.
    fn clock_stepped(&self);
}

/// Most bytes of one read.
const READ_SIZE: usize = 64 * 1024;

/// What the connections of one core read with: one buffer for all of them, and what is known of the clocks.
pub(super) struct Receiver {
    source: StampSource,
    placer: Placer,
    buffer: RefCell<Box<[u8]>>,
    origin: Instant,
    probe: Rc<dyn ReadProbe>,
}

/// When a connection last moved bytes. Shared by the stream and the exchange that uses it.
#[derive(Debug)]
pub(super) struct Stamps {
    read: Cell<Instant>,
    written: Cell<Option<(Instant, Instant)>>,
    /// Requests that are under way on it.
    under_way: Cell<u32>,
    /// Whether the server said anything since the last request began, TLS's own words apart.
    heard: Cell<bool>,
}

/// A request is under way on a connection as long as this lives.
pub(super) struct UnderWay(Rc<Stamps>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

impl Stamps {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            read: Cell::new(Instant::now()),
            written: Cell::new(None),
            under_way: Cell::new(0),
            heard: Cell::new(false),
        })
    }

    /// Whether a byte of an answer came since the last request began.
    pub(super) fn was_heard(&self) -> bool {
        self.heard.get()
    }

    /// A byte of an answer came.
    pub(super) fn note_heard(&self) {
        self.heard.set(true);
    }

    /// A request is about to be written: until its answer is over, the probe is told of reads.
    pub(super) fn under_way(self: &Rc<Self>) -> UnderWay {
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(Rc::clone(self))
    }

    /// When the bytes of the last read arrived; of several segments, the last one's arrival.
    pub(super) fn last_read(&self) -> Instant {
        self.read.get()
    }

    /// Right before the first and the last write since `forget_writes` that took bytes.
    pub(super) fn writes(&self) -> Option<(Instant, Instant)> {
        self.written.get()
    }

    /// A new request begins.
    pub(super) fn begin(&self) {
        self.written.set(None);
        self.heard.set(false);
    }
}

impl Receiver {
    pub(super) fn new(source: StampSource, probe: Rc<dyn ReadProbe>) -> Rc<Self> {
        let origin = Instant::now();
        Rc::new(Self {
            source,
            placer: Placer::new(measure(origin)),
            buffer: RefCell::new(vec![0; READ_SIZE].into_boxed_slice()),
            origin,
            probe,
        })
    }

    /// The stamp of bytes that were just read, for which the kernel told `arrived` on the wall clock. The probe hears of
    /// it where `is_answer`.
    fn stamp(&self, arrived: Option<i64>, is_answer: bool) -> Instant {
        let now = Instant::now();
        let placed = arrived.map_or(Placed::Untold, |arrived| {
            let sample = Sample {
                wall: kernel::wall_clock(),
                mono: nanos(self.origin, now),
            };
            self.placer.place(arrived, sample, || measure(self.origin))
        });
        let (at, lag) = match placed {
            Placed::At(at) => {
                let lag = Duration::from_nanos(nanos(self.origin, now).abs_diff(at));
                (now.checked_sub(lag).unwrap_or(now), Some(lag))
            }
            Placed::Untold => (now, None),
            Placed::Stepped => {
                self.probe.clock_stepped();
                (now, None)
            }
        };
        if is_answer {
            self.probe.read(at, lag);
        }
        at
    }
}

fn nanos(origin: Instant, at: Instant) -> i64 {
    i64::try_from(at.saturating_duration_since(origin).as_nanos()).unwrap_or(i64::MAX)
}

/// Reads the wall clock between two readings of the other one, and keeps the closest of a few tries.
fn measure(origin: Instant) -> Sample {
    let attempt = || {
        let before = nanos(origin, Instant::now());
        let wall = kernel::wall_clock();
        let width = nanos(origin, Instant::now()) - before;
        let mono = before + width / 2;
        (width, Sample { wall, mono })
    };
    let [first, rest @ ..] = [attempt(), attempt(), attempt()];
    let closest = rest.into_iter().fold(
        first,
        |best, next| if next.0 < best.0 { next } else { best },
    );
    closest.1
}

/// Whether an error says that the connection is closed, in whatever way: politely, by a reset, or, under TLS, without a word.
pub(super) fn is_closing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}

/// A TCP stream that keeps `Stamps`.
pub(super) struct StampedTcp {
    tcp: TcpStream,
    stamps: Rc<Stamps>,
    receiver: Rc<Receiver>,
    /// Whether the kernel stamps what this socket receives.
    stamped: bool,
}

impl StampedTcp {
    pub(super) fn new(tcp: TcpStream, stamps: Rc<Stamps>, receiver: &Rc<Receiver>) -> Self {
        let stamped = receiver.source == StampSource::Kernel && kernel::ask_for_stamps(&tcp);
        Self {
            tcp,
            stamps,
            receiver: Rc::clone(receiver),
            stamped,
        }
    }

    pub(super) const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(super) const fn stamps(&self) -> &Rc<Stamps> {
        &self.stamps
    }

    /// Reads what has arrived, at most `limit` bytes, and lends it to `take`; no bytes are the end of the stream.
    ///
    /// All connections of a core read into one buffer: `take` must not read from another one.
    pub(super) fn poll_receive<R>(
        &self,
        cx: &mut Context<'_>,
        limit: usize,
        take: impl FnOnce(&[u8], Instant) -> R,
    ) -> Poll<io::Result<R>> {
        let mut buffer = self.receiver.buffer.borrow_mut();
        let room = limit.min(READ_SIZE);
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            let mut read = None;
            // A short read emptied the socket: saying "would block" spares the call that would find nothing.
            let tried = self.tcp.try_io(Interest::READABLE, || {
                let (count, arrived) =
                    kernel::receive(&self.tcp, &mut buffer[..room], self.stamped)?;
                read = Some((count, arrived));
                if count > 0 && count < room {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            if let Some((count, arrived)) = read {
                if count > 0 {
                    let is_answer = self.stamps.under_way.get() > 0;
                    self.stamps
                        .read
                        .set(self.receiver.stamp(arrived, is_answer));
                }
                return Poll::Ready(Ok(take(&buffer[..count], self.stamps.read.get())));
            }
            match tried {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                _ => {}
            }
        }
    }

    fn note_write(&self, before: Instant, polled: &Poll<io::Result<usize>>) {
        if matches!(polled, Poll::Ready(Ok(_))) {
            let first = self.stamps.written.get().map_or(before, |(first, _)| first);
            self.stamps.written.set(Some((first, before)));
        }
    }
}

impl AsyncRead for StampedTcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_receive(cx, buf.remaining(), |bytes, _| buf.put_slice(bytes))
    }
}

impl AsyncWrite for StampedTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let before = Instant::now();
        let polled = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.note_write(before, &polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let before = Instant::now();
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.note_write(before, &polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
