//! What one connection to a master may cost before it has shown who it is, and how much it may say afterwards.
//! Who is believed is decided elsewhere.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tonic::transport::server::Connected;

use super::socket::BoxedIo;

/// Bytes that are read of a connection that has not shown who it is: a hello and the frames around it are much less.
pub(super) const STRANGER_BYTES: usize = 64 * 1024;

/// How long a connection may be open before it says hello, or shows its ticket.
pub(super) const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Messages of a control stream: each second an interval, after a reconnect all that are kept.
const CONTROL_PACE: Pace = Pace {
    every: Duration::from_micros(62_500),
    burst: 512,
};

/// Heartbeats that may come at once: what a network held back.
const BEATS_AT_ONCE: u32 = 64;

/// How many times the rate of heartbeats that was agreed on is still no flood.
const BEATS_FOR_ONE: u32 = 4;

/// How often something may happen.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Between two, in the long run.
    every: Duration,
    /// So many at once.
    burst: u32,
}

/// A pace that is kept: the instant at which all that was said would have been said evenly.
#[derive(Debug)]
struct Budget {
    pace: Pace,
    spent_until: Option<Instant>,
}

impl Budget {
    fn new(pace: Pace) -> Self {
        Self {
            pace,
            spent_until: None,
        }
    }

    /// Whether one more is within the pace.
    fn spend(&mut self, now: Instant) -> bool {
        let spent = self.spent_until.map_or(now, |until| until.max(now));
        if spent - now >= self.pace.every * self.pace.burst {
            return false;
        }
        self.spent_until = Some(spent + self.pace.every);
        true
    }
}

/// One connection, as all of its streams see it.
#[derive(Debug)]
pub(super) struct Gate {
    peer: Option<SocketAddr>,
    known: AtomicBool,
    control: Mutex<Budget>,
    beats: Mutex<Budget>,
}

impl Gate {
    /// Of a connection whose heartbeats should come each `heartbeat`.
    pub(super) fn new(peer: Option<SocketAddr>, heartbeat: Duration) -> Self {
        let beats = Pace {
            every: heartbeat / BEATS_FOR_ONE,
            burst: BEATS_AT_ONCE,
        };
        Self {
            peer,
            known: AtomicBool::new(false),
            control: Mutex::new(Budget::new(CONTROL_PACE)),
            beats: Mutex::new(Budget::new(beats)),
        }
    }

    /// Whose it is, without the port.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip())
    }

    /// Who connected has said hello, or shown a ticket: it may stay, and say more.
    pub(super) fn admit(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Whether one more message of a control stream is no flood.
    pub(super) fn may_say(&self) -> bool {
        spend(&self.control)
    }

    /// Whether one more heartbeat is no flood.
    pub(super) fn may_beat(&self) -> bool {
        spend(&self.beats)
    }
}

fn spend(budget: &Mutex<Budget>) -> bool {
    let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
    budget.spend(Instant::now())
}

/// A connection behind its gate. Each call on it finds the gate among its extensions.
pub(super) struct Gated {
    io: BoxedIo,
    gate: Arc<Gate>,
    deadline: Option<Pin<Box<Sleep>>>,
    read: usize,
    /// Its place among the connections; given back when it is dropped.
    _place: OwnedSemaphorePermit,
}

impl Gated {
    /// `until` is when it must have shown who it is.
    pub(super) fn new(
        io: BoxedIo,
        gate: Gate,
        until: Instant,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            io,
            gate: Arc::new(gate),
            deadline: Some(Box::pin(tokio::time::sleep_until(until))),
            read: 0,
            _place: place,
        }
    }

    /// Whether a stranger has had its time.
    fn overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.deadline.as_mut();
        deadline.is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
    }
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.deadline.is_some() && self.gate.is_known() {
            self.deadline = None;
        }
        if self.overdue(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if self.deadline.is_some() {
            self.read += buf.filled().len() - before;
            if self.read > STRANGER_BYTES {
                return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl Connected for Gated {
    type ConnectInfo = Arc<Gate>;

    fn connect_info(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::Semaphore;

    use super::*;

    fn gated() -> (DuplexStream, Gated) {
        let (ours, theirs) = tokio::io::duplex(2 * STRANGER_BYTES);
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let gate = Gate::new(None, Duration::from_secs(1));
        let until = Instant::now() + HELLO_WITHIN;
        (ours, Gated::new(Box::new(theirs), gate, until, place))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_may_say_64_kib_and_a_known_one_more() {
        for (known, bytes, allowed) in [
            (false, STRANGER_BYTES, true),
            (false, STRANGER_BYTES + 1, false),
            (true, STRANGER_BYTES + 1, true),
        ] {
            let (mut ours, mut gated) = gated();
            if known {
                gated.gate.admit();
            }
            ours.write_all(&vec![0; bytes]).await.unwrap();
            let mut read = vec![0; bytes];
            let outcome = gated.read_exact(&mut read).await;
            assert_eq!(outcome.is_ok(), allowed, "{known} {bytes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_that_says_nothing_is_cut_off_in_time_and_a_known_one_is_not() {
        let (_ours, mut stranger) = gated();
        let began = Instant::now();
        let error = stranger.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), HELLO_WITHIN.as_secs());
        let (mut ours, mut known) = gated();
        known.gate.admit();
        tokio::time::advance(2 * HELLO_WITHIN).await;
        ours.write_u8(7).await.unwrap();
        assert_eq!(known.read_u8().await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_a_flood_does_not() {
        let gate = Gate::new(None, Duration::from_secs(1));
        assert!((0..CONTROL_PACE.burst).all(|_| gate.may_say()));
        assert!(!gate.may_say());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..100).filter(|_| gate.may_say()).count(), 16);
        assert!((0..BEATS_AT_ONCE).all(|_| gate.may_beat()));
        assert!(!gate.may_beat());
        // At the rate that was agreed on there is no end.
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(gate.may_beat() && gate.may_say());
        }
    }
}
