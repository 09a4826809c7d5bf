//! The control service of a master, and whoever calls it: `llmload ctl`. Questions and wishes queue for the machine like
//! everything else; nothing is decided here.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::connect::Verdict;
use super::security::{ClientSecurity, Rejection};
use super::session::Route;
use super::socket::Dialer;
use crate::cluster::master::{Change, Refusal};
use crate::cluster::shell::MasterCommand;
use crate::cluster::wire::{control as wire, pb};
use crate::cluster::{Coming, RunPhase, RunStatus, WireError, WorkerStatus};

/// Questions and wishes that may wait for the machine before their callers have to.
const ASKED: usize = 16;

/// For a whole call.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The service.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    asked: mpsc::Sender<MasterCommand>,
}

impl Desk {
    /// Also gives what it will ask.
    pub(super) fn new() -> (Self, mpsc::Receiver<MasterCommand>) {
        let (asked, heard) = mpsc::channel(ASKED);
        (Self { asked }, heard)
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> MasterCommand,
    ) -> Result<T, Status> {
        let (answer, answered) = oneshot::channel();
        self.tell(question(answer)).await?;
        answered.await.map_err(|_| through())
    }

    async fn tell(&self, command: MasterCommand) -> Result<(), Status> {
        self.asked.send(command).await.map_err(|_| through())
    }
}

/// The master is through with its run, and about to end.
fn through() -> Status {
    Status::unavailable("the run is over")
}

fn refused(refusal: Refusal) -> Status {
    Status::failed_precondition(refusal.to_string())
}

#[tonic::async_trait]
impl pb::control_server::Control for Desk {
    async fn status(
        &self,
        _: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusReply>, Status> {
        let status = self.ask(MasterCommand::Status).await?;
        Ok(Response::new(wire::encode_status(&status)))
    }

    async fn workers(
        &self,
        _: Request<pb::WorkersRequest>,
    ) -> Result<Response<pb::WorkersReply>, Status> {
        let workers = self.ask(MasterCommand::Workers).await?;
        let workers = workers.into_iter().map(wire::encode_worker).collect();
        Ok(Response::new(pb::WorkersReply { workers }))
    }

    async fn change(
        &self,
        request: Request<pb::ChangeRequest>,
    ) -> Result<Response<pb::ChangeReply>, Status> {
        let changes = wire::decode_changes(request.get_ref());
        let changes = changes.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let mut coming = None;
        for change in changes {
            let answer = self.ask(|answer| MasterCommand::Change(change, answer));
            coming = Some(answer.await?.map_err(refused)?);
        }
        let coming = coming.map(wire::encode_coming);
        Ok(Response::new(pb::ChangeReply { coming }))
    }

    async fn stop(
        &self,
        request: Request<pb::StopRequest>,
    ) -> Result<Response<pb::StopReply>, Status> {
        let status = self.ask(MasterCommand::Status).await?;
        if status.phase == RunPhase::Ended {
            return Err(refused(Refusal::Ending));
        }
        self.tell(if request.get_ref().abort {
            MasterCommand::Abort
        } else {
            MasterCommand::Stop
        })
        .await?;
        Ok(Response::new(pb::StopReply {}))
    }
}

/// Why a master did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The address of the master is none.
    #[error("`{address}` is no address of a master (host:port)")]
    Address {
        /// The address.
        address: String,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// Nobody answers there.
    #[error("there is no master at `{address}`: {reason}")]
    NoMaster {
        /// The address.
        address: String,
        /// What the network says.
        reason: String,
    },
    /// The run does not allow it.
    #[error("{0}")]
    Refused(String),
    /// The master does not believe whoever asks, or is not believed.
    #[error("{}", turned_away(.0))]
    Rejected(Rejection),
    /// The master is of a version without this service.
    #[error("the master of this version takes no orders")]
    Deaf,
    /// It broke off.
    #[error("the master could not answer: {0}")]
    Failed(String),
    /// The answer is not understood.
    #[error("the master's answer is not understood")]
    Wire(#[from] WireError),
}

fn turned_away(rejection: &Rejection) -> String {
    match rejection {
        Rejection::NoToken => "the master asks for a token, and there is none".to_owned(),
        Rejection::WrongToken => "the master does not accept the token".to_owned(),
        Rejection::Tls(_) => rejection.to_string(),
    }
}

/// A connection to a master that takes orders.
pub struct Controller {
    client: pb::control_client::ControlClient<Channel>,
    route: Route,
    verdict: Verdict,
    has_token: bool,
    address: String,
}

impl Controller {
    /// Connects to `master`, a `host:port`.
    ///
    /// # Errors
    ///
    /// When that is no address, nobody is there, or one end does not believe the other.
    pub async fn connect(
        master: &str,
        dialer: Dialer,
        security: ClientSecurity,
    ) -> Result<Self, ControlError> {
        let address = master.to_owned();
        let has_token = security.has_token();
        let route = Route::new(address.clone(), dialer, security);
        let route = route.map_err(|source| ControlError::Address {
            address: address.clone(),
            source,
        })?;
        let verdict = Verdict::default();
        match route.channel(&verdict).await {
            Ok(channel) => Ok(Self {
                client: pb::control_client::ControlClient::new(channel),
                route,
                verdict,
                has_token,
                address,
            }),
            Err(status) => Err(verdict.take().map_or_else(
                || ControlError::NoMaster {
                    reason: status.message().to_owned(),
                    address,
                },
                ControlError::Rejected,
            )),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.route.signed(message);
        request.set_timeout(ANSWER_WITHIN);
        request
    }

    /// How the run stands.
    pub async fn status(&mut self) -> Result<RunStatus, ControlError> {
        let request = self.request(pb::StatusRequest {});
        let reply = self.client.status(request).await;
        let reply = reply.map_err(|status| self.unwanted(&status))?;
        Ok(wire::decode_status(reply.into_inner())?)
    }

    /// How each worker stands.
    pub async fn workers(&mut self) -> Result<Vec<WorkerStatus>, ControlError> {
        let request = self.request(pb::WorkersRequest {});
        let reply = self.client.workers(request).await;
        let reply = reply.map_err(|status| self.unwanted(&status))?;
        let workers = reply.into_inner().workers.into_iter();
        Ok(workers
            .map(wire::decode_worker)
            .collect::<Result<_, WireError>>()?)
    }

    /// Another load; tells what it will be, and from when. All of the wishes come true, or none.
    pub async fn change(&mut self, changes: &[Change]) -> Result<Coming, ControlError> {
        let request = self.request(wire::encode_changes(changes));
        let reply = self.client.change(request).await;
        let reply = reply.map_err(|status| self.unwanted(&status))?;
        let coming = reply.into_inner().coming;
        let coming = coming.ok_or(WireError::Missing("coming"))?;
        Ok(wire::decode_coming(coming)?)
    }

    /// No new requests; or, to abort, none at all any more.
    pub async fn stop(&mut self, abort: bool) -> Result<(), ControlError> {
        let request = self.request(pb::StopRequest { abort });
        let stopped = self.client.stop(request).await;
        stopped.map_err(|status| self.unwanted(&status))?;
        Ok(())
    }

    fn unwanted(&self, status: &Status) -> ControlError {
        if let Some(rejection) = self.verdict.take() {
            return ControlError::Rejected(rejection);
        }
        let words = status.message().to_owned();
        match status.code() {
            Code::FailedPrecondition => ControlError::Refused(words),
            Code::Unauthenticated if self.has_token => {
                ControlError::Rejected(Rejection::WrongToken)
            }
            Code::Unauthenticated => ControlError::Rejected(Rejection::NoToken),
            Code::Unimplemented => ControlError::Deaf,
            // The last two are a connection's that broke off.
            Code::Unavailable | Code::Cancelled | Code::Unknown => ControlError::NoMaster {
                address: self.address.clone(),
                reason: words,
            },
            _ => ControlError::Failed(words),
        }
    }
}
