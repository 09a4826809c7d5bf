//! Listens, deals connections to the threads that answer, and serves HTTP/1.1 and HTTP/2 on each.
//! What is answered is `service`'s matter.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::alarm::{Alarm, Timer};
use super::place::Places;
use super::script::Script;
use super::service;
use super::stats::Stats;

/// Connections that wait in the kernel to be accepted (it may allow fewer).
const BACKLOG: i32 = 16_384;
/// Connections on their way from the listener to one thread.
const DEALT: usize = 1_024;
/// HTTP/2 streams that one connection may have open: as many as a test may want.
const MAX_H2_STREAMS: u32 = 100_000;
/// The pause after a failed accept: it fails when files run out, and those take a while to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What all threads share.
#[derive(Debug)]
pub(super) struct Shared {
    script: Script,
    stats: Arc<Stats>,
    places: Places,
}

impl Shared {
    pub(super) fn new(script: Script, lanes: usize) -> Arc<Self> {
        Arc::new(Self {
            stats: Arc::new(Stats::new(&script, lanes)),
            places: Places::of(&script),
            script,
        })
    }

    pub(super) fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }
}

/// One thread's (or one runtime's) share of the server.
#[derive(Debug)]
pub(super) struct Lane {
    shared: Arc<Shared>,
    index: usize,
    alarm: Option<Arc<Alarm>>,
}

impl Lane {
    /// Needs to be within a tokio runtime.
    fn new(shared: Arc<Shared>, index: usize) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        let alarm = shared
            .script
            .precise
            .then(Alarm::new)
            .transpose()?
            .map(Arc::new);
        #[cfg(not(target_os = "linux"))]
        let alarm = None;
        Ok(Self {
            shared,
            index,
            alarm,
        })
    }

    pub(super) fn script(&self) -> &Script {
        &self.shared.script
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    pub(super) fn places(&self) -> &Places {
        &self.shared.places
    }

    pub(super) fn timer(&self) -> Timer {
        Timer::new(self.stats().epoch(), self.alarm.clone())
    }

    /// Something scheduled was sent so much after its time, in ns.
    pub(super) fn late(&self, nanos: u64) {
        self.stats().late(self.index, nanos);
    }
}

/// The mock, bound to its port and not yet serving.
#[derive(Debug)]
pub struct Mock {
    listener: TcpListener,
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Mock {
    /// Takes the port; connections are accepted once it serves.
    ///
    /// # Errors
    /// The port is taken, or the script contradicts itself (`InvalidInput`).
    #[expect(
        clippy::unused_async,
        reason = "binding registers with the runtime, which an async signature makes sure of"
    )]
    pub async fn bind(addr: SocketAddr, script: Script) -> io::Result<Self> {
        let (listener, addr) = listen(addr)?;
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            addr,
            shared: checked(script, 1)?,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its counts, readable while it serves and after.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.shared.stats)
    }

    /// Serves on the runtime of the caller until `shutdown`; then all connections are closed at once.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let (sender, receiver) = mpsc::channel(DEALT);
        let stats = Arc::clone(&self.shared.stats);
        tokio::select! {
            () = accept(self.listener, &stats, vec![sender]) => {}
            _ = run_lane(self.shared, 0, receiver) => {}
            () = shutdown => {}
        }
    }
}

/// The shared part of a server whose script makes sense.
pub(super) fn checked(script: Script, lanes: usize) -> io::Result<Arc<Shared>> {
    script
        .check()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(Shared::new(script, lanes))
}

/// A listener with a long backlog, and its address.
pub(super) fn listen(addr: SocketAddr) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// The channels from the listener to so many lanes.
pub(super) fn deal(
    lanes: usize,
) -> (
    Vec<mpsc::Sender<std::net::TcpStream>>,
    Vec<mpsc::Receiver<std::net::TcpStream>>,
) {
    (0..lanes).map(|_| mpsc::channel(DEALT)).unzip()
}

/// Accepts connections and deals them to the lanes in turn, which keeps those evenly loaded.
pub(super) async fn accept(
    listener: TcpListener,
    stats: &Stats,
    lanes: Vec<mpsc::Sender<std::net::TcpStream>>,
) {
    for lane in lanes.iter().cycle() {
        let stream = next_connection(&listener, stats).await;
        stats.accepted.add(1);
        if lane.send(stream).await.is_err() {
            return;
        }
    }
}

async fn next_connection(listener: &TcpListener, stats: &Stats) -> std::net::TcpStream {
    loop {
        let accepted = listener.accept().await;
        if let Ok(stream) = accepted.and_then(|(stream, _)| prepare(stream)) {
            return stream;
        }
        stats.accept_errors.add(1);
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

fn prepare(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    stream.set_nodelay(true)?;
    stream.into_std()
}

/// Serves the connections dealt to one lane until there are no more to come.
pub(super) async fn run_lane(
    shared: Arc<Shared>,
    index: usize,
    mut dealt: mpsc::Receiver<std::net::TcpStream>,
) -> io::Result<()> {
    let lane = Arc::new(Lane::new(shared, index)?);
    let mut tasks = JoinSet::new();
    #[cfg(target_os = "linux")]
    if let Some(alarm) = lane.alarm.clone() {
        tasks.spawn(async move { alarm.drive().await });
    }
    loop {
        tokio::select! {
            stream = dealt.recv() => {
                let Some(stream) = stream else { return Ok(()) };
                tasks.spawn(connection(Arc::clone(&lane), stream));
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Counts one open connection.
struct Open<'a>(&'a Stats);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.sub(1);
    }
}

async fn connection(lane: Arc<Lane>, stream: std::net::TcpStream) {
    lane.stats().open.add(1);
    let _open = Open(lane.stats());
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let service = service_fn(|request| service::answer(Arc::clone(&lane), request));
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http2().max_concurrent_streams(MAX_H2_STREAMS);
    // A connection that breaks is a client's leaving or a fault of the script: both are counted elsewhere.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
