//! `run` and `master`: one run from its settings to its exit status. `run` is a master with one worker in this process.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::changes::Changes;
use super::conduct::{Conductor, ORDERS, Said};
use super::console::Console;
use super::engine::{self, Aftermath};
use super::failure::Failure;
use super::files::try_writing;
use super::finish::{Ending, finish};
use super::live::{Live, in_words};
use super::prepare::{Machine, speak};
use super::security;
use super::settle::settle;
use super::signals::{self, Signal};
use super::surroundings::{cores, draw, hub_paths, wall_clock, worker_name};
use super::target::{refuse_contradictions, sources};
use crate::cluster::{
    ClusterError, Master, MasterCommand, MasterConfig, MasterEvent, OnLoss, ProcessClock,
    RunResult, START_LEAD, SharedSecrets, WorkerConfig, engine_port, run_local, serve_master,
};
use crate::config::{MasterOptions, OnWorkerLoss, RunOptions, Secrets, Settings};
use crate::mock::{self, MockHandle};
use crate::plan::Plan;
use crate::schedule::Load;

/// Events that may wait to be shown.
const EVENTS: usize = 256;

/// `llmload run`.
pub(super) async fn run(mut options: RunOptions) -> Result<u8, Failure> {
    // It serves as long as it is held.
    let _mock = start_mock(&mut options)?;
    let settings = options.settings;
    check_outputs(&settings)?;
    let source_ips = &options.sending.source_ips;
    sources(source_ips)?;
    let plan = settle(&settings, source_ips.first().copied()).await?;
    refuse_contradictions(&plan)?;
    let machine = Machine {
        threads: options.sending.threads.map_or_else(cores, u32::from),
        http_engine: options.sending.http_engine,
        stamps: options.sending.stamps,
        source_ips: options.sending.source_ips,
        serves_itself: options.mock,
        secrets: settings.secrets.clone(),
        records_dir: settings.outputs.records_dir.clone(),
        hub: hub_paths(),
    };
    let clock = ProcessClock::start();
    let (port, end) = engine_port(clock);
    let worker = WorkerConfig {
        name: worker_name(),
        incarnation: draw().map_err(Failure::failed)?,
        cores: machine.threads,
    };
    let tasks = TaskTracker::new();
    let serving = tasks.spawn(engine::serve(end, Arc::new(machine)));
    let config = MasterConfig::new(draw().map_err(Failure::failed)?, plan.clone(), 1).local();
    let stage = Stage {
        settings,
        plan,
        cluster: false,
        serving: Some(serving),
        signals: signals::listen(&tasks),
    };
    stage
        .play(|control, events| {
            run_local(
                Master::new(config, clock.now()),
                worker,
                port,
                control,
                events,
                None,
            )
        })
        .await
}

/// `llmload master`.
pub(super) async fn master(options: MasterOptions) -> Result<u8, Failure> {
    let door = security::of_master(&options)?;
    let settings = options.settings;
    let secrets = shared(&settings.secrets);
    if secrets.is_some() && !options.security.share_secrets {
        tracing::warn!(
            "keys and secret headers stay on the master: each worker takes its own (--api-key, --header, API_KEY)"
        );
    }
    check_outputs(&settings)?;
    let listener = TcpListener::bind((options.bind.host.as_str(), options.bind.port))
        .await
        .with_context(|| format!("cannot listen on {}", options.bind))
        .map_err(|error| {
            Failure::usage(error)
                .hint("is another master running? --master-bind-port takes another port")
        })?;
    let plan = settle(&settings, None).await?;
    refuse_contradictions(&plan)?;
    let run = draw().map_err(Failure::failed)?;
    let mut config = MasterConfig::new(run, plan.clone(), options.expect_workers)
        .missing_after(options.heartbeats.missing_after);
    config.max_wait = options.expect_workers_max_wait;
    config.max_workers = options.max_workers;
    config.heartbeat = options.heartbeats.interval;
    config.on_loss = on_loss(options.on_worker_loss);
    config.secrets = secrets.filter(|_| options.security.share_secrets);
    // The port that was asked for may have been 0: any free one.
    let address = listener
        .local_addr()
        .context("cannot tell where the master listens")
        .map_err(Failure::failed)?;
    let clock = ProcessClock::start();
    let stage = Stage {
        settings,
        plan,
        cluster: true,
        serving: None,
        signals: signals::listen(&TaskTracker::new()),
    };
    tracing::info!(
        "listening on {address}; waiting for {} workers",
        options.expect_workers
    );
    stage
        .play(|control, events| {
            serve_master(
                listener,
                door,
                clock,
                Master::new(config, clock.now()),
                control,
                events,
                None,
            )
        })
        .await
}

const fn on_loss(wanted: OnWorkerLoss) -> OnLoss {
    match wanted {
        OnWorkerLoss::Rebalance => OnLoss::Rebalance,
        OnWorkerLoss::Fail => OnLoss::Fail,
        OnWorkerLoss::Ignore => OnLoss::Ignore,
    }
}

/// What a master has to give to its workers, if it has anything.
fn shared(secrets: &Secrets) -> Option<SharedSecrets> {
    let headers = secrets.headers.iter();
    let shared = SharedSecrets {
        api_key: secrets.api_key.clone(),
        headers: headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    };
    (shared != SharedSecrets::default()).then_some(shared)
}

fn start_mock(options: &mut RunOptions) -> Result<Option<MockHandle>, Failure> {
    if !options.mock {
        return Ok(None);
    }
    let handle = mock::spawn_thread(demo_script(), 1)
        .context("cannot start the mock server")
        .map_err(Failure::failed)?;
    options.settings.target.base_url = format!("http://{}", handle.addr());
    options.settings.target.proxy = None;
    tracing::info!(
        "mock server on {}; -H URL drives a real one",
        options.settings.target.base_url
    );
    Ok(Some(handle))
}

/// The mock of `--mock`: it counts prompt tokens about as real tokenizers count English.
fn demo_script() -> mock::Script {
    mock::Script {
        tokens_per_word: 1.27,
        ..mock::Script::default()
    }
}

/// What cannot be written is found before the run.
fn check_outputs(settings: &Settings) -> Result<(), Failure> {
    let outputs = &settings.outputs;
    for (path, option) in [
        (&outputs.summary_file, "--summary-file"),
        (&outputs.json_file, "--json-file"),
    ] {
        if let Some(path) = path {
            try_writing(path, option)?;
        }
    }
    Ok(())
}

/// A run that is ready to be played, alone or with a cluster.
struct Stage {
    settings: Settings,
    plan: Plan,
    cluster: bool,
    serving: Option<JoinHandle<Aftermath>>,
    signals: mpsc::Receiver<Signal>,
}

impl Stage {
    async fn play<F>(
        self,
        perform: impl FnOnce(mpsc::Receiver<MasterCommand>, mpsc::Sender<MasterEvent>) -> F,
    ) -> Result<u8, Failure>
    where
        F: Future<Output = Result<RunResult, ClusterError>>,
    {
        let endpoint = speak(&self.plan)?.endpoint().clone();
        let mut live = Live::new(self.plan.clone(), endpoint.clone(), &self.settings.outputs)?;
        let mut console = Console::default();
        tracing::info!(
            "seed {}: --seed {} sends the same requests again",
            self.plan.seed.0,
            self.plan.seed.0
        );
        let (control, told) = mpsc::channel(ORDERS);
        let (events, mut happening) = mpsc::channel(EVENTS);
        let first = Load::of(&self.plan.schedule);
        let mut conductor = Conductor::new(control, self.signals, first);
        let mut changes = Changes::new(first);
        let mut performing = std::pin::pin!(perform(told, events));
        let result = loop {
            tokio::select! {
                biased;
                Some(event) = happening.recv() => {
                    conductor.note(&event);
                    show(self.cluster, &event, &mut live, &mut changes, &mut console);
                }
                result = &mut performing => break result.context("the run broke off").map_err(Failure::failed)?,
                said = conductor.next() => match said {
                    Said::Words(lines) => lines.iter().for_each(|line| tracing::info!("{line}")),
                    Said::Leave(status) => return Ok(status),
                },
            }
        };
        conductor.hush();
        while let Ok(event) = happening.try_recv() {
            show(self.cluster, &event, &mut live, &mut changes, &mut console);
        }
        let aftermath = match self.serving {
            Some(serving) => tokio::select! {
                served = serving => served.map_err(|_| Failure::failed(anyhow!("the engine ended by a defect")))?,
                // It is still preparing, or writing to a disk that hangs: what was measured is reported all the same.
                Some(_) = conductor.signal() => Aftermath::unfinished(),
            },
            None => Aftermath::default(),
        };
        let ending = Ending {
            settings: &self.settings,
            plan: &self.plan,
            endpoint: &endpoint,
            result,
            aftermath,
            changes: changes.into_all(),
            signal: conductor.last_signal(),
            cluster: self.cluster,
        };
        Ok(finish(ending, live, &mut console))
    }
}

/// Shows what happens: in tables, in files, in the log.
fn show(
    cluster: bool,
    event: &MasterEvent,
    live: &mut Live,
    changes: &mut Changes,
    console: &mut Console,
) {
    match event {
        MasterEvent::Starting { .. } => {
            live.starting(OffsetDateTime::from(wall_clock()), START_LEAD);
        }
        MasterEvent::Merged { delta, to, gauges } => live.merged(delta, *to, *gauges, console),
        _ => {}
    }
    if let Some(change) = changes.note(event) {
        tracing::info!("{change}");
        return;
    }
    // One worker in the same process is no news.
    if let Some(words) =
        in_words(event).filter(|_| cluster || matches!(event, MasterEvent::Stopping { .. }))
    {
        tracing::info!("{words}");
    }
}
