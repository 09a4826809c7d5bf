//! The gRPC service of a master: accepts streams, checks what comes, and queues it for the machine.
//! It answers nothing by itself.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::{OUTBOUND, PULSES, TICKET};
use crate::cluster::wire::{self, pb};
use crate::cluster::{ConnId, ToMaster, WireError};

/// Connections at a time; each costs a task and two small queues.
const MOST_CONNECTIONS: usize = 10_000;

/// How long a connection may be open before it says hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// The sending half of a control stream.
pub(super) type ControlSender = mpsc::Sender<Result<pb::MasterMessage, Status>>;
/// The sending half of a pulse stream.
pub(super) type PulseSender = mpsc::Sender<Result<pb::PulseReply, Status>>;

/// What happens on connections.
#[derive(Debug)]
pub(super) enum Inbound {
    Opened(ConnId, ControlSender),
    PulseOpened(ConnId, PulseSender),
    Message(ConnId, ToMaster),
    Closed(ConnId),
}

/// The service. Heartbeats have a queue of their own, so that statistics never stand before them.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    inbound: mpsc::Sender<Inbound>,
    pulses: mpsc::Sender<Inbound>,
    tickets: Arc<Mutex<Tickets>>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Tickets {
    conns: BTreeMap<String, ConnId>,
    next: u64,
}

impl Listener {
    pub(super) fn new(
        inbound: mpsc::Sender<Inbound>,
        pulses: mpsc::Sender<Inbound>,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            inbound,
            pulses,
            tickets: Arc::default(),
            tasks,
        }
    }

    /// Numbers a connection and draws its ticket.
    fn admit(&self) -> Result<(ConnId, String), Status> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|_| Status::internal("no randomness for a ticket"))?;
        let ticket = format!("{:032x}", u128::from_le_bytes(bytes));
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.conns.len() >= MOST_CONNECTIONS {
            return Err(Status::resource_exhausted("too many workers are connected"));
        }
        let conn = ConnId(tickets.next);
        tickets.next += 1;
        tickets.conns.insert(ticket.clone(), conn);
        Ok((conn, ticket))
    }

    fn conn_of<T>(&self, request: &Request<T>) -> Option<ConnId> {
        let ticket = request.metadata().get(TICKET)?.to_str().ok()?;
        let tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.conns.get(ticket).copied()
    }

    fn forget(&self, ticket: &str) {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.conns.remove(ticket);
    }

    /// Reads a control stream to its end and says that it ended.
    async fn read_control(
        self,
        conn: ConnId,
        ticket: String,
        mut stream: Streaming<pb::WorkerMessage>,
    ) {
        let first = tokio::time::timeout(HELLO_WITHIN, stream.message()).await;
        let mut next = first.unwrap_or(Ok(None));
        while let Ok(Some(message)) = next {
            let Some(message) = understood(conn, wire::decode_to_master(message)) else {
                break;
            };
            let queued = self.inbound.send(Inbound::Message(conn, message));
            if queued.await.is_err() {
                return;
            }
            next = stream.message().await;
        }
        self.forget(&ticket);
        // Nobody listens any more once the master is through.
        let _through = self.inbound.send(Inbound::Closed(conn)).await;
    }

    async fn read_pulse(self, conn: ConnId, mut stream: Streaming<pb::Heartbeat>) {
        while let Ok(Some(beat)) = stream.message().await {
            let Some(message) = understood(conn, wire::decode_heartbeat(beat)) else {
                return;
            };
            let queued = self.pulses.send(Inbound::Message(conn, message));
            if queued.await.is_err() {
                return;
            }
        }
    }
}

/// A message, or a word in the log about why its connection is cut off.
fn understood(conn: ConnId, message: Result<ToMaster, WireError>) -> Option<ToMaster> {
    message
        .map_err(
            |error| tracing::warn!(conn = conn.0, %error, "a worker's message is not understood"),
        )
        .ok()
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl pb::cluster_server::Cluster for Listener {
    type ControlStream = Answers<pb::MasterMessage>;
    type PulseStream = Answers<pb::PulseReply>;

    async fn control(
        &self,
        request: Request<Streaming<pb::WorkerMessage>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let (conn, ticket) = self.admit()?;
        let (sender, answers) = mpsc::channel(OUTBOUND);
        let opened = self.inbound.send(Inbound::Opened(conn, sender)).await;
        opened.map_err(|_| Status::unavailable("the run is over"))?;
        let value = MetadataValue::try_from(ticket.as_str());
        let value = value.map_err(|_| Status::internal("a ticket is no metadata"))?;
        let reader = self
            .clone()
            .read_control(conn, ticket, request.into_inner());
        drop(self.tasks.spawn(reader));
        let stream: Self::ControlStream = Box::pin(ReceiverStream::new(answers));
        let mut response = Response::new(stream);
        response.metadata_mut().insert(TICKET, value);
        Ok(response)
    }

    async fn pulse(
        &self,
        request: Request<Streaming<pb::Heartbeat>>,
    ) -> Result<Response<Self::PulseStream>, Status> {
        let conn = self.conn_of(&request);
        let conn = conn.ok_or_else(|| Status::unauthenticated("no such ticket"))?;
        let (sender, answers) = mpsc::channel(PULSES);
        let opened = self.pulses.send(Inbound::PulseOpened(conn, sender)).await;
        opened.map_err(|_| Status::unavailable("the run is over"))?;
        let reader = self.clone().read_pulse(conn, request.into_inner());
        drop(self.tasks.spawn(reader));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
