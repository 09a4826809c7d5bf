//! A worker's connection to its master: tries until there is one, moves messages, and tries again when it is gone.
//! It knows no run; what a lost connection means is the machine's business.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use super::{KEEPALIVE_EVERY, KEEPALIVE_WAIT, OUTBOUND, PULSES, TICKET};
use crate::cluster::wire::{self, pb};
use crate::cluster::{MAX_MESSAGE_BYTES, ToWorker};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Both connections, and the first answer on each.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

/// Between two attempts: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// A connection that held so long was a good one, and the next attempt is made soon.
const GOOD_AFTER: Duration = Duration::from_secs(5);

/// What becomes of the connection.
#[derive(Debug)]
pub(super) enum SessionEvent {
    Up {
        control: mpsc::Sender<pb::WorkerMessage>,
        pulse: mpsc::Sender<pb::Heartbeat>,
    },
    Message(ToWorker),
    Down {
        /// Why, for the log.
        reason: String,
    },
}

/// Where a worker's master is.
pub(super) fn endpoint(master: &str) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{master}"))?
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_WAIT)
        .keep_alive_while_idle(true))
}

/// Keeps a connection for as long as somebody listens to `events`.
pub(super) async fn keep(endpoint: Endpoint, master: String, events: mpsc::Sender<SessionEvent>) {
    let mut pause = FIRST_PAUSE;
    let mut complained = false;
    loop {
        match open_in_time(&endpoint).await {
            Ok(session) => {
                tracing::info!(%master, "connected to the master");
                let since = tokio::time::Instant::now();
                if session.carry(&events).await.is_err() {
                    return;
                }
                if since.elapsed() >= GOOD_AFTER {
                    pause = FIRST_PAUSE;
                }
                complained = false;
            }
            Err(status) if complained => {
                tracing::debug!(%master, reason = %describe(&status), "still no master");
            }
            Err(status) => {
                complained = true;
                tracing::info!(%master, reason = %describe(&status), "no master yet, trying on");
            }
        }
        tokio::select! {
            () = events.closed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Opens a session, or says that whoever listens there does not answer.
async fn open_in_time(endpoint: &Endpoint) -> Result<Session, Status> {
    let opened = tokio::time::timeout(OPEN_WITHIN, Session::open(endpoint)).await;
    opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer from the master")))
}

/// Both streams to a master. Pulses have a TCP connection of their own: bytes of statistics never stand before them.
struct Session {
    control: Streaming<pb::MasterMessage>,
    pulse: Streaming<pb::PulseReply>,
    up: Option<SessionEvent>,
}

impl Session {
    async fn open(endpoint: &Endpoint) -> Result<Self, Status> {
        let (control, sent) = mpsc::channel(OUTBOUND);
        let answer = client(endpoint)
            .await?
            .control(ReceiverStream::new(sent))
            .await?;
        let ticket = answer.metadata().get(TICKET).cloned();
        let ticket = ticket.ok_or_else(|| Status::unauthenticated("the master gave no ticket"))?;
        let (pulse, beats) = mpsc::channel(PULSES);
        let request = ticketed(ReceiverStream::new(beats), ticket);
        let pulses = client(endpoint).await?.pulse(request).await?;
        Ok(Self {
            control: answer.into_inner(),
            pulse: pulses.into_inner(),
            up: Some(SessionEvent::Up { control, pulse }),
        })
    }

    /// Carries what the master says until either stream ends; an error when nobody listens any more.
    async fn carry(
        mut self,
        events: &mpsc::Sender<SessionEvent>,
    ) -> Result<(), mpsc::error::SendError<SessionEvent>> {
        if let Some(up) = self.up.take() {
            events.send(up).await?;
        }
        loop {
            match self.next().await {
                Ok(message) => events.send(SessionEvent::Message(message)).await?,
                Err(reason) => return events.send(SessionEvent::Down { reason }).await,
            }
        }
    }

    async fn next(&mut self) -> Result<ToWorker, String> {
        let gone = || "the master closed the connection".to_owned();
        tokio::select! {
            biased;
            reply = self.pulse.message() => {
                let reply = reply.map_err(|status| describe(&status))?.ok_or_else(gone)?;
                Ok(wire::decode_pulse(reply))
            }
            message = self.control.message() => {
                let message = message.map_err(|status| describe(&status))?.ok_or_else(gone)?;
                wire::decode_to_worker(message).map_err(|error| error.to_string())
            }
        }
    }
}

async fn client(endpoint: &Endpoint) -> Result<pb::cluster_client::ClusterClient<Channel>, Status> {
    let channel = endpoint.connect().await;
    let channel = channel.map_err(|error| Status::unavailable(chain(&error)))?;
    Ok(pb::cluster_client::ClusterClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

fn ticketed<T>(stream: T, ticket: MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(stream);
    request.metadata_mut().insert(TICKET, ticket);
    request
}

fn describe(status: &Status) -> String {
    format!("{}: {}", status.code(), status.message())
}

/// An error and what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}
