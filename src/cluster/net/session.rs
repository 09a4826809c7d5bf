//! A worker's connection to its master: tries until there is one, moves messages, and tries again when it is gone.
//! It knows no run; what a lost connection means is the machine's business.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use super::connect::{Connector, Verdict};
use super::security::{ClientSecurity, Rejection};
use super::socket::Dialer;
use super::{KEEPALIVE_EVERY, KEEPALIVE_WAIT, MAX_HEADER_BYTES, OUTBOUND, PULSES, TICKET};
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
        /// Dropping it ends the connection at once, whatever is still on its way.
        held: oneshot::Sender<()>,
    },
    Message(ToWorker),
    Down {
        /// Why, for the log.
        reason: String,
    },
    /// There will never be one.
    Rejected(Rejection),
}

/// The way to a master.
pub(super) struct Route {
    endpoint: Endpoint,
    /// For the log.
    master: String,
    dialer: Dialer,
    security: ClientSecurity,
}

/// Why there is no session.
enum Failed {
    /// There may be one later.
    ForNow(Status),
    /// And there will be none.
    ForGood(Rejection),
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self::ForNow(status)
    }
}

impl Route {
    /// To `master`, a `host:port`.
    pub(super) fn new(
        master: String,
        dialer: Dialer,
        security: ClientSecurity,
    ) -> Result<Self, tonic::transport::Error> {
        // TLS is the connector's: to tonic every connection is plain.
        let endpoint = Endpoint::from_shared(format!("http://{master}"))?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_WAIT)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(MAX_HEADER_BYTES);
        Ok(Self {
            endpoint,
            master,
            dialer,
            security,
        })
    }

    /// A connection.
    pub(super) async fn channel(&self, verdict: &Verdict) -> Result<Channel, Status> {
        let connector = Connector {
            dialer: self.dialer.clone(),
            tls: self.security.tls.clone(),
            verdict: verdict.clone(),
        };
        let channel = self.endpoint.connect_with_connector(connector).await;
        channel.map_err(|error| Status::unavailable(chain(&error)))
    }

    async fn client(
        &self,
        verdict: &Verdict,
    ) -> Result<pb::cluster_client::ClusterClient<Channel>, Status> {
        let channel = self.channel(verdict).await?;
        Ok(pb::cluster_client::ClusterClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// A request that says who asks.
    pub(super) fn signed<T>(&self, stream: T) -> Request<T> {
        let mut request = Request::new(stream);
        self.security.sign(request.metadata_mut());
        request
    }

    /// Opens a session, or says that whoever listens there does not answer.
    async fn open_in_time(&self) -> Result<Session, Failed> {
        let verdict = Verdict::default();
        let opened = tokio::time::timeout(OPEN_WITHIN, Session::open(self, &verdict)).await;
        let opened = opened
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer from the master").into()));
        opened.map_err(|failed| verdict.take().map_or(failed, Failed::ForGood))
    }
}

/// Keeps a connection for as long as somebody listens to `events`.
///
/// A worker that is turned away at first has something that is not right, and ends. One that was let in before waits for
/// a master that knows it: it holds figures that nobody else has.
pub(super) async fn keep(route: Route, events: mpsc::Sender<SessionEvent>) {
    let master = &route.master;
    let mut pause = FIRST_PAUSE;
    let mut complained = false;
    let mut let_in = false;
    loop {
        match route.open_in_time().await {
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
                let_in = true;
            }
            Err(Failed::ForGood(rejection)) if !let_in => {
                // Nobody who listens any more needs to know.
                let _gone = events.send(SessionEvent::Rejected(rejection)).await;
                return;
            }
            Err(failed) => {
                complain(master, &failed, complained);
                complained = true;
            }
        }
        tokio::select! {
            () = events.closed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Says that there is no master: the first time so that it is seen.
fn complain(master: &str, failed: &Failed, again: bool) {
    let reason = match failed {
        Failed::ForNow(status) => describe(status),
        Failed::ForGood(rejection) => rejection.to_string(),
    };
    if again {
        tracing::debug!(%master, %reason, "still no master");
    } else {
        tracing::info!(%master, %reason, "no master yet, trying on");
    }
}

/// Both streams to a master. Pulses have a TCP connection of their own: bytes of statistics never stand before them.
struct Session {
    control: Streaming<pb::MasterMessage>,
    pulse: Streaming<pb::PulseReply>,
    /// Ends when nobody wants the connection any more.
    held: oneshot::Receiver<()>,
    up: Option<SessionEvent>,
}

impl Session {
    async fn open(route: &Route, verdict: &Verdict) -> Result<Self, Failed> {
        let (control, sent) = mpsc::channel(OUTBOUND);
        let mut client = route.client(verdict).await?;
        let answer = client
            .control(route.signed(ReceiverStream::new(sent)))
            .await
            .map_err(|status| unwanted(status, route))?;
        let ticket = answer.metadata().get(TICKET).cloned();
        let ticket =
            ticket.ok_or_else(|| Status::failed_precondition("no ticket from the master"))?;
        let (pulse, beats) = mpsc::channel(PULSES);
        let mut request = route.signed(ReceiverStream::new(beats));
        request.metadata_mut().insert(TICKET, ticket);
        let pulses = route.client(verdict).await?.pulse(request).await?;
        let (held, still_held) = oneshot::channel();
        Ok(Self {
            control: answer.into_inner(),
            pulse: pulses.into_inner(),
            held: still_held,
            up: Some(SessionEvent::Up {
                control,
                pulse,
                held,
            }),
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
            _ = &mut self.held => Err("given up".to_owned()),
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

/// What the answer to a control stream that was not opened means.
fn unwanted(status: Status, route: &Route) -> Failed {
    match status.code() {
        Code::Unauthenticated if route.security.has_token() => {
            Failed::ForGood(Rejection::WrongToken)
        }
        Code::Unauthenticated => Failed::ForGood(Rejection::NoToken),
        _ => Failed::ForNow(status),
    }
}

fn describe(status: &Status) -> String {
    format!("{}: {}", status.code(), status.message())
}

/// An error and what caused it, on one line. Some wrap a cause only to say the same.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut words: Vec<String> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}
