//! The door of a master: accepts connections up to a limit, shakes hands, and turns calls without a token away, before
//! anything of them is read. Whatever is wrong, a stranger hears the same word.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::gate::{Gate, Gated, HELLO_WITHIN};
use super::security::ServerSecurity;
use super::socket::{Accepted, BoxedIo, Incoming};
use super::{Limits, ServeOptions};

/// Connections beside two a worker: of those that are closing, and of others than workers.
const SPARE_CONNECTIONS: usize = 64;

/// Connections that are ready and wait to be served.
const READY: usize = 64;

/// How long to wait when the system has no more connections to give.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// The same address is complained about once in this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Addresses that are kept in mind for that.
const ADDRESSES: usize = 1024;

/// What is said to whoever is not let in, whatever the reason.
pub(super) fn turned_away() -> Status {
    Status::unauthenticated("")
}

/// Accepts, shakes hands beside each other, and hands on what is ready to be served.
pub(super) struct Porter {
    security: ServerSecurity,
    limits: Limits,
    places: Arc<Semaphore>,
    complaints: Arc<Complaints>,
    ready: mpsc::Sender<io::Result<Gated>>,
}

impl Porter {
    /// Also gives what it will hand on.
    pub(super) fn new(
        options: &ServeOptions,
        complaints: Arc<Complaints>,
    ) -> (Self, mpsc::Receiver<io::Result<Gated>>) {
        let (ready, served) = mpsc::channel(READY);
        let workers = usize::try_from(options.limits.max_workers).unwrap_or(usize::MAX);
        let places = workers
            .saturating_mul(2)
            .saturating_add(SPARE_CONNECTIONS)
            .min(Semaphore::MAX_PERMITS);
        let porter = Self {
            security: options.security.clone(),
            limits: options.limits,
            places: Arc::new(Semaphore::new(places)),
            complaints,
            ready,
        };
        (porter, served)
    }

    /// Until told to stop, or the connections end.
    pub(super) async fn work(
        self,
        mut incoming: Incoming,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let porter = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = incoming.0.next() => accepted,
            };
            match accepted {
                None => return,
                Some(Ok(accepted)) => porter.receive(accepted, &tasks, &stop),
                Some(Err(error)) => {
                    tracing::debug!(%error, "a connection did not come about");
                    tokio::time::sleep(OUT_OF_FILES).await;
                }
            }
        }
    }

    fn receive(
        self: &Arc<Self>,
        (io, peer): Accepted,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let gate = Gate::new(peer, self.limits.heartbeat);
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.complaints
                .say(&gate, "turned away: too many connections");
            return;
        };
        let porter = Arc::clone(self);
        let stop = stop.clone();
        drop(tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = porter.shake_hands(io, gate, place) => {}
            }
        }));
    }

    async fn shake_hands(&self, io: BoxedIo, gate: Gate, place: OwnedSemaphorePermit) {
        let until = Instant::now() + HELLO_WITHIN;
        let io = match &self.security.tls {
            None => io,
            Some(config) => {
                let shaking = TlsAcceptor::from(Arc::clone(config)).accept(io);
                match tokio::time::timeout_at(until, shaking).await {
                    Ok(Ok(tls)) => Box::new(tls),
                    Ok(Err(error)) => {
                        let what = format!("turned away: no TLS came about: {error}");
                        return self.complaints.say(&gate, &what);
                    }
                    Err(_) => return self.complaints.say(&gate, "turned away: no TLS in time"),
                }
            }
        };
        // The server is gone when nobody takes it, and the connection with it.
        let _gone = self
            .ready
            .send(Ok(Gated::new(io, gate, until, place)))
            .await;
    }
}

/// Looks at each call's token, whatever the call.
#[derive(Clone, Debug)]
pub(super) struct Doorkeeper {
    security: ServerSecurity,
    complaints: Arc<Complaints>,
}

impl Doorkeeper {
    pub(super) fn new(security: ServerSecurity, complaints: Arc<Complaints>) -> Self {
        Self {
            security,
            complaints,
        }
    }
}

impl Interceptor for Doorkeeper {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        if self.security.admits(request.metadata()) {
            return Ok(request);
        }
        if let Some(gate) = request.extensions().get::<Arc<Gate>>() {
            self.complaints
                .say(gate, "turned away: no token, or a wrong one");
        }
        Err(turned_away())
    }
}

/// Complaints about strangers: one an address and a minute, so that nobody fills a log from outside.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<BTreeMap<Option<IpAddr>, Instant>>);

impl Complaints {
    pub(super) fn say(&self, gate: &Gate, what: &str) {
        let address = gate.address();
        if self.is_due(address, Instant::now()) {
            let peer = address.map_or_else(|| "somebody".to_owned(), |ip| ip.to_string());
            tracing::warn!(%peer, "{what}");
        }
    }

    fn is_due(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= ADDRESSES {
            said.retain(|_, at| now - *at < COMPLAIN_EVERY);
        }
        let recent = said
            .get(&address)
            .is_some_and(|at| now - *at < COMPLAIN_EVERY);
        if recent || said.len() >= ADDRESSES {
            return false;
        }
        said.insert(address, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_complained_about_once_a_minute_and_only_so_many_are() {
        let complaints = Complaints::default();
        let ip = |n: u32| Some(IpAddr::V4(Ipv4Addr::from_bits(n)));
        let start = Instant::now();
        assert!(complaints.is_due(ip(0), start) && !complaints.is_due(ip(0), start));
        assert!(complaints.is_due(ip(1), start));
        let later = start + COMPLAIN_EVERY;
        assert!(complaints.is_due(ip(0), later));
        let many = u32::try_from(2 * ADDRESSES).unwrap();
        let said = (2..many).filter(|n| complaints.is_due(ip(*n), later));
        assert_eq!(said.count(), ADDRESSES - 2 + 1);
        assert!(complaints.0.lock().unwrap().len() <= ADDRESSES);
    }
}
