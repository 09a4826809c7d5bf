//! The subcommands that carry no plan of their own: `worker` and `mock-server`.

use std::sync::Arc;

use anyhow::anyhow;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::console::Console;
use super::failure::{Failure, status};
use super::prepare::Machine;
use super::security;
use super::signals::{self, Signal};
use super::surroundings::{cores, draw, hub_paths, worker_name};
use crate::cluster::{
    self, Dialer, ProcessClock, WorkerCommand, WorkerConfig, WorkerExit, engine_port,
};
use crate::config;
use crate::embed::serve;
use crate::mock::{self, MockArgs};

/// `llmload worker`: carries out one run of its master.
pub(super) async fn worker(options: config::WorkerOptions) -> Result<u8, Failure> {
    let security = security::of_connection(&options.connection)?;
    let threads = options.sending.threads.map_or_else(cores, u32::from);
    let machine = Machine {
        threads,
        http_engine: options.sending.http_engine,
        stamps: options.sending.stamps,
        source_ips: options.sending.source_ips,
        serves_itself: false,
        secrets: options.secrets,
        records_dir: options.records_dir,
        hub: hub_paths(),
    };
    let (port, end) = engine_port(ProcessClock::start());
    let tasks = TaskTracker::new();
    let serving = tasks.spawn(serve(end, Arc::new(machine)));
    let cluster_options = cluster::WorkerOptions {
        master: options.connection.master.to_string(),
        config: WorkerConfig {
            name: worker_name(),
            incarnation: draw().map_err(Failure::failed)?,
            cores: threads,
        },
        heard: None,
        security,
        dialer: Dialer::default(),
    };
    let (commands, told) = mpsc::channel(4);
    let mut signals = signals::listen(&tasks);
    let working = cluster::run_worker(cluster_options, port, told);
    let exit = tokio::select! {
        exit = working => exit.map_err(security::broke_off)?,
        status = pass_signals(&mut signals, commands) => return Ok(status),
    };
    let aftermath = serving
        .await
        .map_err(|_| Failure::failed(anyhow!("the engine ended by a defect")))?;
    if let Some(failure) = aftermath.records_error {
        return Err(failure);
    }
    conclude(&exit)
}

/// The first signal drains, the second drops what is in flight, the third ends the program at once with this status.
async fn pass_signals(
    signals: &mut mpsc::Receiver<Signal>,
    commands: mpsc::Sender<WorkerCommand>,
) -> u8 {
    for command in [WorkerCommand::Leave, WorkerCommand::Abort] {
        let _ = signals.recv().await;
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
