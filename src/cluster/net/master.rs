//! Serves a master on a socket: one task owns the machine, everything else queues for it.
//! When a run is over and what merging means is the machine's business.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::InterceptorLayer;
use tonic::transport::Server;

use super::control::Desk;
use super::door::{Complaints, Doorkeeper, Porter};
use super::gate::Gated;
use super::listen::{ControlSender, Inbound, Listener, PulseSender};
use super::socket::Incoming;
use super::{KEEPALIVE_EVERY, KEEPALIVE_WAIT, MAX_HEADER_BYTES, ServerSecurity};
use crate::cluster::master::{Input, Master, Output};
use crate::cluster::shell::{
    self, ClusterError, EventSink, JournalPort, JournalSink, MasterCommand,
};
use crate::cluster::wire::{self, FromMaster, pb};
use crate::cluster::{
    ConnId, MAX_MESSAGE_BYTES, MasterEvent, ProcessClock, RunResult, ToWorker, WireError,
};

/// Messages that may wait for the machine before connections have to.
const INBOUND: usize = 256;

/// Streams of a connection at a time; a worker has one on each of its two.
const MOST_STREAMS: u32 = 8;

/// Streams that a peer opened and gave up before anybody looked at them; more is an attack.
const MOST_RESETS: usize = 20;

/// How long workers have to take their leave after the run.
const LINGER: Duration = Duration::from_secs(2);

/// Who may come, and how many.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// What is asked of whoever connects.
    pub security: ServerSecurity,
    /// How much of it there may be.
    pub limits: Limits,
}

/// How much a master takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Workers at a time; connections are limited to a little more than two each.
    pub max_workers: u32,
    /// How often each says that it is there; who says it more than four times as often for long is cut off.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_workers: 10_000,
            heartbeat: Duration::from_secs(1),
        }
    }
}

/// Runs `master` for the workers that come by `incoming` (a listener, or anything else that yields connections), until
/// the run is over.
///
/// `clock` is the one that `master` was made with. Events are never waited for: a reader that is behind is told
/// how many it missed.
pub async fn serve_master(
    incoming: impl Into<Incoming>,
    options: ServeOptions,
    clock: ProcessClock,
    master: Master,
    control: mpsc::Receiver<MasterCommand>,
    events: mpsc::Sender<MasterEvent>,
    journal: Option<JournalPort>,
) -> Result<RunResult, ClusterError> {
    let (inbound, received) = mpsc::channel(INBOUND);
    let (pulses, beats) = mpsc::channel(INBOUND);
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let complaints = Arc::new(Complaints::default());
    let (porter, connections) = Porter::new(&options, Arc::clone(&complaints));
    drop(tasks.spawn(porter.work(incoming.into(), tasks.clone(), stop.clone())));
    let doorkeeper = Doorkeeper::new(options.security.clone(), complaints);
    let service = Listener::new(inbound, pulses, tasks.clone(), options.limits.max_workers);
    let (desk, asked) = Desk::new();
    let serving = serve(connections, doorkeeper, service, desk, stop.clone());
    let server = tasks.spawn(serving);
    let host = Host {
        clock,
        master,
        encrypted: options.security.is_encrypted(),
        links: BTreeMap::new(),
        events: EventSink::new(events),
        journal: JournalSink::new(journal),
        result: None,
        broken: None,
    };
    let result = tokio::select! {
        result = host.run(received, beats, [control, asked]) => result,
        failed = server => Err(match failed {
            Ok(Err(error)) => ClusterError::Serve(error),
            Ok(Ok(())) | Err(_) => ClusterError::NoResult,
        }),
    };
    stop.cancel();
    tasks.close();
    // Connections that do not end by themselves end with the process.
    let _late = tokio::time::timeout(LINGER, tasks.wait()).await;
    result
}

async fn serve(
    connections: mpsc::Receiver<io::Result<Gated>>,
    doorkeeper: Doorkeeper,
    service: Listener,
    desk: Desk,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let service = pb::cluster_server::ClusterServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_WAIT))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MOST_RESETS))
        .max_concurrent_streams(MOST_STREAMS)
        .layer(InterceptorLayer::new(doorkeeper))
        .add_service(service)
        .add_service(pb::control_server::ControlServer::new(desk))
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), stop.cancelled_owned())
        .await
}

/// The streams of one connection.
#[derive(Debug, Default)]
struct Link {
    control: Option<ControlSender>,
    pulse: Option<PulseSender>,
}

/// The machine and its connections.
struct Host {
    clock: ProcessClock,
    master: Master,
    /// Nobody on the way reads what workers are told.
    encrypted: bool,
    links: BTreeMap<ConnId, Link>,
    events: EventSink,
    journal: JournalSink,
    result: Option<Box<RunResult>>,
    broken: Option<WireError>,
}

impl Host {
    async fn run(
        mut self,
        mut received: mpsc::Receiver<Inbound>,
        mut beats: mpsc::Receiver<Inbound>,
        [mut control, mut asked]: [mpsc::Receiver<MasterCommand>; 2],
    ) -> Result<RunResult, ClusterError> {
        let mut linger_until = None;
        loop {
            self.settle();
            if let Some(error) = self.broken.take() {
                return Err(ClusterError::Wire(error));
            }
            if self.result.is_some() {
                let until = *linger_until.get_or_insert(self.clock.now() + LINGER);
                if self.links.is_empty() || self.clock.now() >= until {
                    return shell::finished(self.result);
                }
            }
            let timeout = self.master.poll_timeout().or(linger_until);
            tokio::select! {
                biased;
                Some(command) = control.recv() => {
                    shell::command(&mut self.master, self.clock.now(), command);
                }
                Some(inbound) = beats.recv() => self.take(inbound),
                input = self.journal.next() => self.master.handle(self.clock.now(), input),
                () = shell::sleep_until(self.clock, timeout) => {
                    self.master.handle_timeout(self.clock.now());
                }
                Some(command) = asked.recv() => {
                    shell::command(&mut self.master, self.clock.now(), command);
                }
                Some(inbound) = received.recv() => self.take(inbound),
            }
        }
    }

    fn take(&mut self, inbound: Inbound) {
        let now = self.clock.now();
        match inbound {
            Inbound::Opened(conn, sender) => {
                self.links.entry(conn).or_default().control = Some(sender);
            }
            Inbound::PulseOpened(conn, sender) => {
                self.links.entry(conn).or_default().pulse = Some(sender);
            }
            Inbound::Message(conn, message) => {
                self.master.handle(now, Input::Message(conn, message));
            }
            Inbound::Closed(conn) => {
                self.links.remove(&conn);
                self.master.handle(now, Input::Closed(conn));
            }
        }
    }

    /// Carries all outputs away.
    fn settle(&mut self) {
        while let Some(output) = self.master.poll_output() {
            match output {
                Output::Send(conn, message) => self.send(conn, message),
                Output::Close(conn) => {
                    self.links.remove(&conn);
                }
                Output::Event(event) => self.events.push(event),
                Output::Persist(frame) => self.journal.push(frame),
                Output::Finished(result) => self.result = Some(result),
            }
        }
    }

    /// Queues a message. A worker that does not read what it is told is cut off, a late pulse is dropped.
    fn send(&mut self, conn: ConnId, mut message: ToWorker) {
        if let ToWorker::Prepare(prepare) = &mut message {
            // The settings do not allow the other case; keys would be lost if they did.
            prepare.secrets.take_if(|_| !self.encrypted);
        }
        let Some(link) = self.links.get(&conn) else {
            return;
        };
        let sent = match wire::encode_to_worker(message) {
            Ok(FromMaster::Control(message)) => {
                let sender = link.control.as_ref();
                sender.is_some_and(|sender| sender.try_send(Ok(message)).is_ok())
            }
            Ok(FromMaster::Pulse(reply)) => {
                use mpsc::error::TrySendError::Closed;
                let sender = link.pulse.as_ref();
                let sent = sender.map(|sender| sender.try_send(Ok(reply)));
                !matches!(sent, Some(Err(Closed(_))))
            }
            Err(error) => {
                self.broken = Some(error);
                true
            }
        };
        if !sent {
            self.links.remove(&conn);
            self.master.handle(self.clock.now(), Input::Closed(conn));
        }
    }
}
