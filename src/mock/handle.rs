//! The mock on threads of its own, for programs that are busy themselves: tests, demonstrations, benchmarks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::script::Script;
use super::server::{self, Shared};
use super::stats::Stats;

/// A running mock; it stops when this is dropped.
#[derive(Debug)]
pub struct MockHandle {
    addr: SocketAddr,
    stats: Arc<Stats>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl MockHandle {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its counts, readable while it serves and after.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }
}

impl Drop for MockHandle {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// The mock on a free port of 127.0.0.1, on `threads` threads of its own.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_thread(script: Script, threads: usize) -> io::Result<MockHandle> {
    spawn(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script, threads)
}

/// The mock at `addr` on `threads` threads (at least one), each with an event loop of its own.
///
/// # Errors
/// The port is taken, a thread cannot be had, or the script contradicts itself (`InvalidInput`).
pub fn spawn(addr: SocketAddr, script: Script, threads: usize) -> io::Result<MockHandle> {
    let lanes = threads.max(1);
    let shared = server::checked(script, lanes)?;
    let (listener, addr) = server::listen(addr)?;
    let (senders, receivers) = server::deal(lanes);
    let mut handle = MockHandle {
        addr,
        stats: Arc::clone(shared.stats()),
        stop: CancellationToken::new(),
        threads: Vec::with_capacity(lanes),
    };
    let mut door = Some((listener, senders));
    for (index, dealt) in receivers.into_iter().enumerate() {
        let lane = LaneThread {
            runtime: runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            shared: Arc::clone(&shared),
            index,
            dealt,
            door: door.take(),
            stop: handle.stop.clone(),
        };
        let name = format!("mock-{index}");
        let thread = Builder::new().name(name).spawn(move || lane.run())?;
        handle.threads.push(thread);
    }
    Ok(handle)
}

type Door = (
    std::net::TcpListener,
    Vec<mpsc::Sender<std::net::TcpStream>>,
);

/// What one thread is given to do; the first also accepts.
struct LaneThread {
    runtime: Runtime,
    shared: Arc<Shared>,
    index: usize,
    dealt: mpsc::Receiver<std::net::TcpStream>,
    door: Option<Door>,
    stop: CancellationToken,
}

impl LaneThread {
    fn run(self) {
        let stats = Arc::clone(self.shared.stats());
        let stop = self.stop;
        self.runtime.block_on(async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = accept(self.door, &stats) => {}
                ended = server::run_lane(self.shared, self.index, self.dealt) => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a thread of the mock server cannot start");
                    }
                }
            }
        });
        // One thread's end is the end of all: a server of half its threads would mislead.
        stop.cancel();
    }
}

async fn accept(door: Option<Door>, stats: &Stats) {
    let Some((listener, senders)) = door else {
        return std::future::pending().await;
    };
    match TcpListener::from_std(listener) {
        Ok(listener) => server::accept(listener, stats, senders).await,
        Err(error) => tracing::error!(%error, "the mock server cannot listen"),
    }
}
