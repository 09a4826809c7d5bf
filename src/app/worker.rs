//! The subcommands that carry no plan of their own: `worker` and `mock-server`.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::console::Console;
use super::failure::{Failure, status};
use super::health::{Pulse, keep};
use super::observe::{Part, read_along};
use super::otlp::Collector;
use super::prepare::Machine;
use super::prometheus::Prometheus;
use super::security;
use super::signals::{self, Signal};
use super::surroundings::{cores, draw, hub_paths, worker_name};
use crate::cluster::{
    self, ClientSecurity, Dialer, ProcessClock, WorkerCommand, WorkerConfig, WorkerExit,
    engine_port,
};
use crate::config;
use crate::embed::serve;
use crate::mock::{self, MockArgs};

/// Between two runs of a worker that stays: the master of the one is to be gone before it asks for the next.
const BETWEEN: Duration = Duration::from_millis(100);

/// Before a master that turned this worker away is asked again.
const TURNED_AWAY: Duration = Duration::from_secs(2);

/// `llmload worker`: carries out one run of its master, or with `--stay` one after another.
pub(super) async fn worker(options: config::WorkerOptions) -> Result<u8, Failure> {
    let stays = options.stay;
    let health_file = options.health_file.clone();
    let (shown, part) = watch::channel(None);
    let page = match &options.prometheus {
        Some(page) => Some(Prometheus::of_part(page, part).await?),
        None => None,
    };
    let place = Place::new(options, page.is_some().then_some(shown))?;
    // It is kept as long as it is held.
    let keeping = health_file.map(|path| keep(path, worker_name(), place.pulse.clone()));
    let _kept = keeping.transpose()?;
    let tasks = TaskTracker::new();
    let mut signals = signals::listen(&tasks);
    if stays {
        return stay(&place, &tasks, &mut signals).await;
    }
    let is_told = Cell::new(false);
    let worked = place.work(&tasks, &mut signals, &is_told).await;
    if let Some(page) = page.filter(|_| !is_told.get()) {
        tokio::select! {
            () = page.stay() => {}
            Some(_) = signals.recv() => {}
        }
    }
    match worked? {
        Worked::Ended(status) => Ok(status),
        Worked::Through(exit) => conclude(&exit),
    }
}

/// One run after another, until a signal.
async fn stay(
    place: &Place,
    tasks: &TaskTracker,
    signals: &mut mpsc::Receiver<Signal>,
) -> Result<u8, Failure> {
    loop {
        let is_told = Cell::new(false);
        let worked = place.work(tasks, signals, &is_told).await;
        let pause = match worked {
            Ok(Worked::Ended(status)) => return Ok(status),
            Ok(Worked::Through(exit)) if is_told.get() => return conclude(&exit),
            Ok(Worked::Through(WorkerExit::Refused { reason })) => {
                tracing::warn!("the master turned this worker away: {reason}; waiting for another");
                TURNED_AWAY
            }
            Ok(Worked::Through(_)) => BETWEEN,
            // Settings that cannot be right are no better the next time, and who was told to go goes.
            Err(failure) if failure.status == status::USAGE || is_told.get() => {
                return Err(failure);
            }
            Err(failure) => {
                tracing::error!("{failure}");
                BETWEEN
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Some(_) = signals.recv() => return Ok(status::OK),
        }
    }
}

/// How a worker came out of a run.
enum Worked {
    /// By the last signal, with this status: nothing is waited for.
    Ended(u8),
    /// In order.
    Through(WorkerExit),
}

/// Where a worker works, for whom, and with what.
struct Place {
    master: String,
    security: ClientSecurity,
    machine: Arc<Machine>,
    /// When it last heard of a master.
    pulse: Pulse,
    /// Where its part is shown; `None` when nobody looks.
    shown: Option<watch::Sender<Option<Part>>>,
}

impl Place {
    fn new(
        options: config::WorkerOptions,
        shown: Option<watch::Sender<Option<Part>>>,
    ) -> Result<Self, Failure> {
        let machine = Machine {
            threads: options.sending.threads.map_or_else(cores, u32::from),
            http_engine: options.sending.http_engine,
            stamps: options.sending.stamps,
            source_ips: options.sending.source_ips,
            serves_itself: false,
            secrets: options.secrets,
            records_dir: options.records_dir,
            database: options.database,
            hub: hub_paths(),
            otlp: options.otlp.as_ref().map(Collector::own).transpose()?,
        };
        Ok(Self {
            security: security::of_connection(&options.connection)?,
            master: options.connection.master.to_string(),
            machine: Arc::new(machine),
            pulse: Pulse::default(),
            shown,
        })
    }

    /// One run, as a worker that no master has seen before: an engine and a machine of its own. `is_told` is set when somebody
    /// wants it to go, however it comes out.
    async fn work(
        &self,
        tasks: &TaskTracker,
        signals: &mut mpsc::Receiver<Signal>,
        is_told: &Cell<bool>,
    ) -> Result<Worked, Failure> {
        let (port, end) = engine_port(ProcessClock::start());
        let port = match &self.shown {
            Some(shown) => read_along(port, shown.clone(), tasks),
            None => port,
        };
        let serving = tasks.spawn(serve(end, Arc::clone(&self.machine)));
        let cluster_options = cluster::WorkerOptions {
            master: self.master.clone(),
            config: WorkerConfig {
                name: worker_name(),
                incarnation: draw().map_err(Failure::failed)?,
                cores: self.machine.threads,
            },
            heard: Some(self.pulse.listen()),
            security: self.security.clone(),
            dialer: Dialer::default(),
        };
        let (commands, told) = mpsc::channel(4);
        let working = cluster::run_worker(cluster_options, port, told);
        let exit = tokio::select! {
            exit = working => exit.map_err(security::broke_off),
            status = pass_signals(signals, commands, is_told) => return Ok(Worked::Ended(status)),
        };
        // What was measured is on the disk before anything else is begun.
        let aftermath = tokio::select! {
            served = serving => served.map_err(|_| Failure::failed(anyhow!("the engine ended by a defect")))?,
            // It reads a tokenizer still, or writes to a disk that hangs.
            Some(signal) = signals.recv() => return Ok(Worked::Ended(signal.exit_status())),
        };
        let exit = exit?;
        if let Some(failure) = aftermath.records_error {
            return Err(failure);
        }
        if let Some(fault) = aftermath.fault {
            tracing::warn!("this worker could not carry out its part: {fault}");
        }
        Ok(Worked::Through(exit))
    }
}

/// The first signal drains, the second drops what is in flight, the third ends the program at once with this status.
async fn pass_signals(
    signals: &mut mpsc::Receiver<Signal>,
    commands: mpsc::Sender<WorkerCommand>,
    is_told: &Cell<bool>,
) -> u8 {
    for command in [WorkerCommand::Leave, WorkerCommand::Abort] {
        let _ = signals.recv().await;
        is_told.set(true);
        // A closed channel means that the work is over: its result is on the way.
        let _ = commands.send(command).await;
    }
    signals
        .recv()
        .await
        .unwrap_or(Signal::Terminate)
        .exit_status()
}

fn conclude(exit: &WorkerExit) -> Result<u8, Failure> {
    match exit {
        WorkerExit::Finished | WorkerExit::Left { undelivered: 0 } => Ok(status::OK),
        WorkerExit::Left { undelivered } => Err(Failure::failed(anyhow!(
            "{undelivered} intervals could not be delivered to the master: their figures are lost"
        ))),
        WorkerExit::Refused { reason } => Err(Failure::usage(anyhow!(
            "the master turned this worker away: {reason}"
        ))),
    }
}

/// `llmload mock-server`: serves until it is told to stop.
pub(super) async fn mock_server(args: &MockArgs) -> Result<u8, Failure> {
    let script = args.script().map_err(Failure::usage)?;
    let handle = mock::spawn(args.address(), script, args.threads).map_err(|error| {
        let error =
            anyhow::Error::new(error).context(format!("cannot serve on {}", args.address()));
        Failure::usage(error)
            .hint("is another server running? --port takes another port, 0 any free one")
    })?;
    Console::default().print(&format!("listening on http://{}\n", handle.addr()));
    let tasks = TaskTracker::new();
    let _ = signals::listen(&tasks).recv().await;
    drop(handle);
    Ok(status::OK)
}
