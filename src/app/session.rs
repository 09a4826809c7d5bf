//! `run` and `master`: one run from its settings to its exit status. `run` is a master with one worker in this process.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::data_set;
use super::door::Door;
use super::failure::Failure;
use super::files::try_writing;
use super::finish::Rules;
use super::journal::{self, Writing};
use super::otlp::Collector;
use super::played::{Played, Showing};
use super::prepare::Machine;
use super::security;
use super::settle::settle;
use super::signals::{self, Signal};
use super::stage::Stage;
use super::surroundings::{cores, draw, hub_paths, worker_name};
use crate::cluster::{
    ClusterError, JournalPort, Master, MasterConfig, OnLoss, RunResult, SharedSecrets,
    WorkerConfig, engine_port, run_local, serve_master,
};
use crate::config::{
    MasterOptions, OnWorkerLoss, Outputs, Prompts, RunOptions, Secrets, Sending, Settings,
};
use crate::embed::address::{refuse_contradictions, sources};
use crate::embed::serve;
use crate::mock::{self, MockHandle};
use crate::plan::Plan;
use crate::workload::PromptSource;

/// `llmload run`.
pub(super) async fn run(options: RunOptions) -> Result<u8, Failure> {
    Ok(Box::pin(play_run(options, Showing::Itself)).await?.status)
}

/// One run in this process. One that does not show itself prints no figures.
pub(super) async fn play_run(
    mut options: RunOptions,
    showing: Showing<'_>,
) -> Result<Played, Failure> {
    // It serves as long as it is held.
    let _mock = start_mock(&mut options)?;
    let settings = options.settings;
    check_outputs(&settings.outputs)?;
    let source_ips = &options.sending.source_ips;
    sources(source_ips)?;
    let source = source_ips.first().copied();
    let tasks = TaskTracker::new();
    let settling = settle(&settings, source);
    let (plan, signals) = match attentively(settling, &tasks, showing.is_quiet()).await? {
        Ok(settled) => settled,
        Err(signal) => return Ok(Played::left(signal.exit_status())),
    };
    refuse_contradictions(&plan)?;
    let ready = journal::open(journal::Wish {
        journal: &options.journal,
        plan,
        seeded: settings.seed.is_some(),
        command: &settings.command,
        rules: Rules::from(&settings),
        lease: None,
    })?;
    let (journal, writing) = writing(ready.journal)?;
    let machine = Machine {
        database: settings.database.clone().filter(|_| options.pg_requests),
        ..machine(options.sending, options.mock, &settings)?
    };
    let clock = ready.clock;
    let (port, end) = engine_port(clock);
    let worker = WorkerConfig {
        name: worker_name(),
        incarnation: draw().map_err(Failure::failed)?,
        cores: machine.threads,
    };
    let serving = tasks.spawn(serve(end, Arc::new(machine)));
    let mut config = local_config(&settings, ready.run, ready.plan.clone());
    config.journal = journal.is_some();
    let stage = Stage {
        run: ready.run,
        settings,
        plan: ready.plan,
        cluster: false,
        serving: Some(serving),
        signals,
        clock_zero: ready.clock_zero,
        writing,
        goes_on: false,
        source,
        epochs: Vec::new(),
        showing,
    };
    let playing = stage.play(|control, events| {
        run_local(
            Master::new(config, clock.now()),
            worker,
            port,
            control,
            events,
            journal,
        )
    });
    // What a whole run keeps while it waits is too much for a caller's own state.
    Box::pin(playing).await
}

/// What this machine adds to the plan of its own run.
fn machine(sending: Sending, serves_itself: bool, settings: &Settings) -> Result<Machine, Failure> {
    let collector = settings.telemetry.otlp.as_ref().map(Collector::own);
    Ok(Machine {
        threads: sending.threads.map_or_else(cores, u32::from),
        http_engine: sending.http_engine,
        stamps: sending.stamps,
        source_ips: sending.source_ips,
        serves_itself,
        secrets: settings.secrets.clone(),
        records_dir: settings.outputs.records_dir.clone(),
        database: None,
        hub: hub_paths(),
        otlp: collector.transpose()?,
    })
}

/// The plan of a run, with the signals that come from there on. One of many (`is_quiet`) listens before: the process outlives it,
/// and a signal does not end it by itself.
async fn attentively(
    settling: impl Future<Output = Result<Plan, Failure>>,
    tasks: &TaskTracker,
    is_quiet: bool,
) -> Result<Result<(Plan, mpsc::Receiver<Signal>), Signal>, Failure> {
    if !is_quiet {
        let plan = settling.await?;
        return Ok(Ok((plan, signals::listen(tasks))));
    }
    let mut signals = signals::listen(tasks);
    tokio::select! {
        biased;
        Some(signal) = signals.recv() => Ok(Err(signal)),
        plan = settling => Ok(Ok((plan?, signals))),
    }
}

/// `llmload master`.
pub(super) async fn master(options: MasterOptions) -> Result<u8, Failure> {
    Ok(Box::pin(play_master(options, Showing::Itself))
        .await?
        .status)
}

/// One run that workers carry out, who come to a door of its own.
pub(super) async fn play_master(
    options: MasterOptions,
    showing: Showing<'_>,
) -> Result<Played, Failure> {
    Box::pin(play_master_at(&Door::default(), options, showing)).await
}

/// The same for one of a series: its workers come to `door`, which stays open when the run is over.
pub(super) async fn play_master_at(
    door: &Door,
    options: MasterOptions,
    showing: Showing<'_>,
) -> Result<Played, Failure> {
    let terms = security::of_master(&options)?;
    let settings = options.settings.clone();
    let secrets = shared(&settings.secrets);
    if secrets.is_some() && !options.security.share_secrets {
        tracing::warn!(
            "keys and secret headers stay on the master: each worker takes its own (--api-key, --header, API_KEY)"
        );
    }
    check_outputs(&settings.outputs)?;
    let listener = door.listener(&options.bind).await?;
    let plan = settle(&settings, None).await?;
    refuse_contradictions(&plan)?;
    data_set::fits_a_message(&plan)?;
    let ready = journal::open(journal::Wish {
        journal: &options.journal,
        plan,
        seeded: settings.seed.is_some(),
        command: &settings.command,
        rules: Rules::from(&settings),
        lease: Some(options.heartbeats.missing_after),
    })?;
    let (journal, writing) = writing(ready.journal)?;
    let expected = options.expect_workers;
    let mut config = config(&options, ready.run, ready.plan.clone());
    config.journal = journal.is_some();
    config.secrets = secrets.filter(|_| options.security.share_secrets);
    // The port that was asked for may have been 0: any free one.
    let address = listener
        .local_addr()
        .context("cannot tell where the master listens")
        .map_err(Failure::failed)?;
    let stage = Stage {
        run: ready.run,
        settings,
        plan: ready.plan,
        cluster: true,
        serving: None,
        signals: signals::listen(&TaskTracker::new()),
        clock_zero: ready.clock_zero,
        writing,
        goes_on: ready.past.is_some(),
        source: None,
        epochs: ready
            .past
            .as_ref()
            .map_or_else(Vec::new, |past| past.epochs.clone()),
        showing,
    };
    if stage.goes_on {
        tracing::info!("listening on {address}; a run goes on");
    } else {
        tracing::info!("listening on {address}; waiting for {expected} workers");
    }
    let clock = ready.clock;
    let playing = stage.play(|control, events| {
        aside(Box::pin(async move {
            // Only now: from here on the workers of a run that goes on are waited for.
            let master = match ready.past {
                None => Some(Master::new(config, clock.now())),
                Some(past) => Master::adopt(config, past, clock.now()),
            };
            let master = master.ok_or(ClusterError::NoResult)?;
            serve_master(listener, terms, clock, master, control, events, journal).await
        }))
    });
    // What a whole run keeps while it waits is too much for a caller's own state.
    Box::pin(playing).await
}

/// Does `work` on another thread: a terminal that stands still must not keep heartbeats from being answered.
async fn aside(
    work: impl Future<Output = Result<RunResult, ClusterError>> + Send + 'static,
) -> Result<RunResult, ClusterError> {
    let mut working = JoinSet::new();
    working.spawn(work);
    let done = working.join_next().await.and_then(Result::ok);
    done.unwrap_or(Err(ClusterError::NoResult))
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
        aws: secrets.aws.clone(),
    };
    (shared != SharedSecrets::default()).then_some(shared)
}

/// What a run in this process says of its cluster.
fn local_config(settings: &Settings, run: u64, plan: Plan) -> MasterConfig {
    let usual = MasterConfig::new(run, plan, 1);
    let lead = usual.start_lead;
    let mut config = usual.local();
    if settings.server_metrics.is_some() {
        // The first look is to be over before the first request.
        config.start_lead = lead;
    }
    config
}

/// What the options say of a cluster.
fn config(options: &MasterOptions, run: u64, plan: Plan) -> MasterConfig {
    let mut config = MasterConfig::new(run, plan, options.expect_workers)
        .missing_after(options.heartbeats.missing_after);
    config.heartbeat = options.heartbeats.interval;
    config.on_loss = on_loss(options.on_worker_loss);
    config.max_workers = options.max_workers;
    config.max_wait = options.expect_workers_max_wait;
    config
}

/// Begins to write a journal, if there is one.
fn writing(
    journal: Option<journal::JournalFile>,
) -> Result<(Option<JournalPort>, Option<Writing>), Failure> {
    let started = journal.map(journal::start).transpose();
    Ok(started.map_err(Failure::failed)?.unzip())
}

/// Starts the mock of `--mock` and aims at it; it serves as long as it is held.
pub(super) fn start_mock(options: &mut RunOptions) -> Result<Option<MockHandle>, Failure> {
    if !options.mock {
        return Ok(None);
    }
    let handle = mock::spawn_thread(demo_script(&options.settings), 1)
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

/// The mock of `--mock`: it counts prompt tokens about as real tokenizers count English, and reads numbers
/// where it is asked about them.
fn demo_script(settings: &Settings) -> mock::Script {
    let numerals = Prompts::Ready(PromptSource::Numerals);
    mock::Script {
        numerals: settings.prompts == numerals,
        tokens_per_word: 1.27,
        ..mock::Script::default()
    }
}

/// What cannot be written is found before the run.
pub(super) fn check_outputs(outputs: &Outputs) -> Result<(), Failure> {
    for (path, option) in [
        (&outputs.summary_file, "--summary-file"),
        (&outputs.json_file, "--json-file"),
        (&outputs.html, "--html"),
    ] {
        if let Some(path) = path {
            try_writing(path, option)?;
        }
    }
    Ok(())
}
