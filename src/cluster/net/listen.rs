//! The gRPC service of a master: accepts streams, checks what comes, and queues it for the machine.
//! It answers nothing by itself.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::door::turned_away;
use super::gate::{Gate, HELLO_WITHIN};
use super::tickets::{NoTicket, Tickets};
use super::{OUTBOUND, PULSES, TICKET};
use crate::cluster::wire::{self, pb};
use crate::cluster::{ConnId, ToMaster, WireError};

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
    tickets: Arc<Tickets>,
    tasks: TaskTracker,
}

/// A control stream that is being read.
struct Control {
    conn: ConnId,
    ticket: String,
    gate: Arc<Gate>,
}

impl Listener {
    pub(super) fn new(
        inbound: mpsc::Sender<Inbound>,
        pulses: mpsc::Sender<Inbound>,
        tasks: TaskTracker,
        most_workers: u32,
    ) -> Self {
        Self {
            inbound,
            pulses,
            tickets: Arc::new(Tickets::new(most_workers)),
            tasks,
        }
    }

    fn conn_of<T>(&self, request: &Request<T>) -> Option<ConnId> {
        let ticket = request.metadata().get(TICKET)?.to_str().ok()?;
        self.tickets.conn_of(ticket)
    }

    /// Reads a control stream to its end and says that it ended.
    async fn read_control(self, control: Control, mut stream: Streaming<pb::WorkerMessage>) {
        if let Some(hello) = Self::hello(&control, &mut stream).await {
            control.gate.admit();
            let mut next = Some(hello);
            while let Some(message) = next {
                let queued = self.inbound.send(Inbound::Message(control.conn, message));
                if queued.await.is_err() {
                    return;
                }
                next = spoken(&control, &mut stream).await;
            }
        }
        self.tickets.forget(&control.ticket);
        // Nobody listens any more once the master is through.
        let _through = self.inbound.send(Inbound::Closed(control.conn)).await;
    }

    /// The first message, which must come in time and be a hello.
    async fn hello(
        control: &Control,
        stream: &mut Streaming<pb::WorkerMessage>,
    ) -> Option<ToMaster> {
        let first = tokio::time::timeout(HELLO_WITHIN, spoken(control, stream)).await;
        let message = first.ok().flatten()?;
        if !matches!(message, ToMaster::Hello(_)) {
            tracing::warn!(
                conn = control.conn.0,
                "cut off: its first message is no hello"
            );
            return None;
        }
        Some(message)
    }

    /// Reads heartbeats to their end. Without them the connection is worth nothing, whatever its other half does.
    async fn read_pulse(self, conn: ConnId, gate: Arc<Gate>, stream: Streaming<pb::Heartbeat>) {
        self.pass_beats(conn, &gate, stream).await;
        // Nobody listens any more once the master is through.
        let _through = self.inbound.send(Inbound::Closed(conn)).await;
    }

    async fn pass_beats(&self, conn: ConnId, gate: &Gate, mut stream: Streaming<pb::Heartbeat>) {
        while let Ok(Some(beat)) = stream.message().await {
            if !gate.may_beat() {
                tracing::warn!(conn = conn.0, "cut off: a flood of heartbeats");
                return;
            }
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

/// The next message of a control stream; none at its end, and when it is not understood or one too many.
async fn spoken(control: &Control, stream: &mut Streaming<pb::WorkerMessage>) -> Option<ToMaster> {
    let message = stream.message().await.ok().flatten()?;
    if !control.gate.may_say() {
        tracing::warn!(conn = control.conn.0, "cut off: a flood of messages");
        return None;
    }
    understood(control.conn, wire::decode_to_master(message))
}

fn full() -> Status {
    Status::resource_exhausted("the master has as many connections as --max-workers lets it have")
}

/// The gate of the connection that a call came on.
fn gate_of<T>(request: &Request<T>) -> Result<Arc<Gate>, Status> {
    let gate = request.extensions().get::<Arc<Gate>>();
    gate.cloned()
        .ok_or_else(|| Status::internal("a call without a connection"))
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
        let gate = gate_of(&request)?;
        let (conn, ticket) = self.tickets.issue().map_err(|none| match none {
            NoTicket::Full => full(),
            NoTicket::NoRandomness => Status::internal("no randomness for a ticket"),
        })?;
        let value = MetadataValue::try_from(ticket.as_str());
        let value = value.map_err(|_| Status::internal("a ticket is no metadata"))?;
        let (sender, answers) = mpsc::channel(OUTBOUND);
        let control = Control { conn, ticket, gate };
        let opened = self.inbound.send(Inbound::Opened(conn, sender)).await;
        opened.map_err(|_| Status::unavailable("the run is over"))?;
        let reader = self.clone().read_control(control, request.into_inner());
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
        let gate = gate_of(&request)?;
        let conn = self.conn_of(&request).ok_or_else(turned_away)?;
        gate.admit();
        let (sender, answers) = mpsc::channel(PULSES);
        let opened = self.pulses.send(Inbound::PulseOpened(conn, sender)).await;
        opened.map_err(|_| Status::unavailable("the run is over"))?;
        let reader = self.clone().read_pulse(conn, gate, request.into_inner());
        drop(self.tasks.spawn(reader));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
