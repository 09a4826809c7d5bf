//! Runs a worker against a master on the network: one task owns the machine, the connection has another.
//! A worker started before its master waits for it; one whose run is over is through.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::security::ClientSecurity;
use super::session::{self, Route, SessionEvent};
use super::socket::Dialer;
use crate::cluster::shell::{self, ClusterError, WorkerCommand};
use crate::cluster::wire::{self, FromWorker, pb};
use crate::cluster::worker::{Input, Output, Worker, WorkerConfig, WorkerExit};
use crate::cluster::{EngineCommand, EnginePort, ToMaster, ToWorker};
use crate::domain::Offset;

/// Events of the connection that may wait for the machine.
const EVENTS: usize = 128;

/// How long the last messages have to leave.
const LINGER: Duration = Duration::from_secs(2);

/// Which master to work for, and as whom.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// `host:port`.
    pub master: String,
    /// Who the worker is.
    pub config: WorkerConfig,
    /// Where to say what shows how near the master is. Nothing waits for who listens there.
    pub heard: Option<mpsc::Sender<Heard>>,
    /// What it tells the master, and what it believes.
    pub security: ClientSecurity,
    /// How it gets there: TCP by default.
    pub dialer: Dialer,
}

/// What a worker heard of its master, for measurements. Times are of the process's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Intervals up to a number are merged.
    Ack {
        /// When it was heard.
        at: Offset,
        /// The highest sequence number up to which none is missing.
        seq: u64,
    },
    /// A heartbeat was answered.
    Pulse {
        /// When it was heard.
        at: Offset,
        /// When the heartbeat was sent.
        echo: Offset,
    },
}

impl Heard {
    fn of(event: &SessionEvent, at: Offset) -> Option<Self> {
        match event {
            SessionEvent::Message(ToWorker::Ack { seq, .. }) => Some(Self::Ack { at, seq: *seq }),
            SessionEvent::Message(ToWorker::Pulse { echo, .. }) => {
                Some(Self::Pulse { at, echo: *echo })
            }
            _ => None,
        }
    }
}

/// Works for the master until a run is over, or until told to go.
///
/// # Errors
///
/// When the address is none, the master will not have this worker, the engine is gone, or something cannot be put into
/// a message.
pub async fn run_worker(
    options: WorkerOptions,
    engine: EnginePort,
    commands: mpsc::Receiver<WorkerCommand>,
) -> Result<WorkerExit, ClusterError> {
    let master = options.master;
    let route = Route::new(master.clone(), options.dialer, options.security);
    let route = route.map_err(|source| ClusterError::Address {
        address: master,
        source,
    })?;
    let (sender, events) = mpsc::channel(EVENTS);
    // Dropping the set ends the task.
    let mut tasks = JoinSet::new();
    tasks.spawn(session::keep(route, sender));
    let host = Host {
        worker: Worker::new(options.config),
        engine: engine.commands.clone(),
        link: None,
        exit: None,
        heard: options.heard,
    };
    host.run(engine, events, commands).await
}

/// The sending halves of a connection.
struct Link {
    control: mpsc::Sender<pb::WorkerMessage>,
    pulse: mpsc::Sender<pb::Heartbeat>,
    held: oneshot::Sender<()>,
}

/// The machine, its connection and its engine.
struct Host {
    worker: Worker,
    engine: mpsc::Sender<EngineCommand>,
    link: Option<Link>,
    exit: Option<WorkerExit>,
    heard: Option<mpsc::Sender<Heard>>,
}

impl Host {
    async fn run(
        mut self,
        mut port: EnginePort,
        mut session: mpsc::Receiver<SessionEvent>,
        mut commands: mpsc::Receiver<WorkerCommand>,
    ) -> Result<WorkerExit, ClusterError> {
        let clock = port.clock;
        loop {
            self.settle()?;
            if let Some(exit) = self.exit.take() {
                // What was said is still to leave: the streams end, the connection is held.
                let _held = self.link.take().map(|link| link.held);
                // The other end answers the end of the streams with its own; then everything has arrived.
                let _late = tokio::time::timeout(LINGER, hung_up(&mut session)).await;
                return Ok(exit);
            }
            let timeout = self.worker.poll_timeout();
            tokio::select! {
                biased;
                Some(command) = commands.recv() => {
                    let input = match command {
                        WorkerCommand::Leave => Input::Shutdown,
                        WorkerCommand::Abort => Input::Abort,
                    };
                    self.worker.handle(clock.now(), input);
                }
                () = shell::sleep_until(clock, timeout) => self.worker.handle_timeout(clock.now()),
                Some(event) = session.recv() => {
                    let now = clock.now();
                    self.tell(&event, now);
                    let input = self.linked(event)?;
                    self.worker.handle(now, input);
                }
                event = port.events.recv() => {
                    let event = event.ok_or(ClusterError::EngineGone)?;
                    self.worker.handle(clock.now(), Input::Engine(event));
                }
            }
        }
    }

    fn tell(&self, event: &SessionEvent, now: Offset) {
        if let Some(listener) = &self.heard
            && let Some(heard) = Heard::of(event, now)
        {
            let _late = listener.try_send(heard);
        }
    }

    fn linked(&mut self, event: SessionEvent) -> Result<Input, ClusterError> {
        Ok(match event {
            SessionEvent::Up {
                control,
                pulse,
                held,
            } => {
                self.link = Some(Link {
                    control,
                    pulse,
                    held,
                });
                Input::Connected
            }
            SessionEvent::Message(message) => Input::FromMaster(message),
            SessionEvent::Down { reason } => {
                tracing::info!(%reason, "the connection to the master is gone");
                self.link = None;
                Input::Disconnected
            }
            SessionEvent::Rejected(rejection) => return Err(rejection.into()),
        })
    }

    /// Carries all outputs away.
    fn settle(&mut self) -> Result<(), ClusterError> {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Send(message) => self.send(message)?,
                Output::Engine(command) => {
                    shell::tell_engine(&self.engine, command)?;
                }
                Output::HangUp => {
                    tracing::warn!(
                        "no word from this run's master on this connection; trying another"
                    );
                    self.link = None;
                }
                Output::Orphaned { run: _, intervals } => tracing::warn!(
                    "the master of the last run is gone: {intervals} intervals of it reach nobody"
                ),
                Output::Done(exit) => self.exit = Some(exit),
            }
        }
        Ok(())
    }

    /// Queues a message. With a full queue the connection is given up: what is not acknowledged is sent again on the next.
    fn send(&mut self, message: ToMaster) -> Result<(), ClusterError> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        match wire::encode_to_master(message)? {
            FromWorker::Control(message) => {
                if link.control.try_send(*message).is_err() {
                    self.link = None;
                }
            }
            FromWorker::Pulse(beat) => {
                let _late = link.pulse.try_send(beat);
            }
        }
        Ok(())
    }
}

/// Waits for the connection to be gone.
async fn hung_up(session: &mut mpsc::Receiver<SessionEvent>) {
    while let Some(event) = session.recv().await {
        if !matches!(event, SessionEvent::Message(_)) {
            return;
        }
    }
}
