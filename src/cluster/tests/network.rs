//! Real gRPC on loopback, and the local run: the same machines with an invented engine and the real clock.
//! Short runs; what the machines decide is tested on virtual time.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::engine::{Engine, drive};
use super::{assert_conserved, plan};
use crate::cluster::wire::pb;
use crate::cluster::{
    ClientSecurity, ClusterError, Dialer, EndedBy, Master, MasterCommand, MasterConfig,
    MasterEvent, PROTOCOL_VERSION, ProcessClock, RunResult, ServeOptions, WorkerCommand,
    WorkerConfig, WorkerExit, WorkerOptions, WorkerState, engine_port, run_local, run_worker,
    serve_master,
};
use crate::metrics::Tally;

struct Running {
    address: String,
    control: mpsc::Sender<MasterCommand>,
    events: mpsc::Receiver<MasterEvent>,
    result: JoinSet<Result<RunResult, ClusterError>>,
}

impl Running {
    async fn result(&mut self) -> RunResult {
        self.result.join_next().await.unwrap().unwrap().unwrap()
    }

    async fn until(&mut self, wanted: impl Fn(&MasterEvent) -> bool) {
        while let Some(event) = self.events.recv().await {
            if wanted(&event) {
                return;
            }
        }
        panic!("the run ended before that");
    }
}

async fn master(config: MasterConfig) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    serve(config, listener, address)
}

fn serve(config: MasterConfig, listener: TcpListener, address: String) -> Running {
    let (control, commands) = mpsc::channel(4);
    let (sender, events) = mpsc::channel(1_024);
    let clock = ProcessClock::start();
    let master = Master::new(config, clock.now());
    let mut result = JoinSet::new();
    result.spawn(serve_master(
        listener,
        ServeOptions::default(),
        clock,
        master,
        commands,
        sender,
        None,
    ));
    Running {
        address,
        control,
        events,
        result,
    }
}

fn identity(n: u64) -> WorkerConfig {
    WorkerConfig {
        name: format!("w{n}"),
        incarnation: n,
        cores: 1,
    }
}

type Exit = (Result<WorkerExit, ClusterError>, Tally);

/// A worker with an invented engine; what it ended with, and what its engine really did.
async fn work(n: u64, address: String, commands: mpsc::Receiver<WorkerCommand>) -> Exit {
    let (port, end) = engine_port(ProcessClock::start());
    let mut engine = JoinSet::new();
    engine.spawn(drive(end, Engine::new(Duration::from_millis(20))));
    let options = WorkerOptions {
        master: address,
        config: identity(n),
        heard: None,
        security: ClientSecurity::default(),
        dialer: Dialer::default(),
    };
    let exit = run_worker(options, port, commands).await;
    (exit, engine.join_next().await.unwrap().unwrap().truth)
}

fn workers(count: u64, address: &str) -> (JoinSet<Exit>, Vec<mpsc::Sender<WorkerCommand>>) {
    let mut set = JoinSet::new();
    let mut senders = Vec::new();
    for n in 0..count {
        let (sender, commands) = mpsc::channel(4);
        senders.push(sender);
        set.spawn(work(n, address.to_owned(), commands));
    }
    (set, senders)
}

async fn truth(set: JoinSet<Exit>) -> Tally {
    let mut truth = Tally::default();
    for (exit, tally) in set.join_all().await {
        assert_eq!(exit.unwrap(), WorkerExit::Finished);
        truth.merge(&tally);
    }
    truth
}

fn assert_sums(result: &RunResult, truth: &Tally) {
    assert_conserved(&result.tally, result.in_flight_at_deadline, 0);
    assert_eq!(&result.tally, truth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_on_the_network_report_what_they_did() {
    let mut running = master(MasterConfig::new(1, plan(Some(50.0), Some(2), None), 3)).await;
    let (set, _senders) = workers(3, &running.address);
    let result = running.result().await;
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_eq!(result.tally.counts.scheduled, 101);
    assert_eq!(result.workers.len(), 3);
    assert!(result.workers.iter().all(|worker| worker.clock.is_some()));
    assert_sums(&result, &truth(set).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_started_before_its_master_waits_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (set, _senders) = workers(1, &address);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let listener = TcpListener::bind(&address).await.unwrap();
    let config = MasterConfig::new(1, plan(Some(20.0), Some(1), None), 1);
    let mut running = serve(config, listener, address);
    let result = running.result().await;
    assert_sums(&result, &truth(set).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_drains_and_a_snapshot_is_answered_meanwhile() {
    let mut running = master(MasterConfig::new(1, plan(Some(50.0), None, None), 2)).await;
    let (set, _senders) = workers(2, &running.address);
    running
        .until(|event| matches!(event, MasterEvent::Merged { .. }))
        .await;
    let (answer, snapshot) = tokio::sync::oneshot::channel();
    running
        .control
        .send(MasterCommand::Snapshot(answer))
        .await
        .unwrap();
    assert!(snapshot.await.unwrap().tally.counts.sent > 0);
    running.control.send(MasterCommand::Stop).await.unwrap();
    let result = running.result().await;
    assert_eq!(result.ended_by, EndedBy::Stopped);
    assert_sums(&result, &truth(set).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_vanishes_is_counted() {
    let mut running = master(MasterConfig::new(1, plan(Some(50.0), Some(5), None), 2)).await;
    let (set, _senders) = workers(1, &running.address);
    let (mut other, _kept) = {
        let (sender, commands) = mpsc::channel(1);
        let mut set = JoinSet::new();
        set.spawn(work(77, running.address.clone(), commands));
        (set, sender)
    };
    running
        .until(|event| matches!(event, MasterEvent::Merged { .. }))
        .await;
    other.abort_all();
    running
        .until(|event| matches!(event, MasterEvent::Lost { .. }))
        .await;
    let result = running.result().await;
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_conserved(&result.tally, 0, 0);
    assert_eq!(result.tally.counts.scheduled, 251);
    assert!(result.tally.counts.lost > 0);
    let lost = result
        .workers
        .iter()
        .filter(|worker| worker.state == WorkerState::Lost);
    assert_eq!(lost.count(), 1);
    truth(set).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_told_to_go_hands_over_and_drains_first() {
    let mut running = master(MasterConfig::new(1, plan(Some(50.0), Some(8), None), 2)).await;
    let (mut set, senders) = workers(2, &running.address);
    running
        .until(|event| matches!(event, MasterEvent::Merged { .. }))
        .await;
    senders[0].send(WorkerCommand::Leave).await.unwrap();
    let result = running.result().await;
    let mut truth = Tally::default();
    let mut left = 0;
    while let Some(exit) = set.join_next().await {
        let (exit, tally) = exit.unwrap();
        left += u32::from(exit.unwrap() == WorkerExit::Left { undelivered: 0 });
        truth.merge(&tally);
    }
    assert_eq!(left, 1);
    assert_eq!(result.tally.measured, truth.measured);
    let counts = result.tally.counts;
    assert_eq!((counts.sent, counts.lost), (401, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_version_is_refused_and_heartbeats_need_a_ticket() {
    let running = master(MasterConfig::new(1, plan(Some(50.0), Some(1), None), 1)).await;
    let url = format!("http://{}", running.address);
    let mut client = pb::cluster_client::ClusterClient::connect(url)
        .await
        .unwrap();
    let hello = pb::Hello {
        protocol: PROTOCOL_VERSION + 1,
        version: "9.9.9".to_owned(),
        name: "future".to_owned(),
        incarnation: 1,
        cores: 1,
        run: None,
    };
    let body = Some(pb::worker_message::Body::Hello(hello));
    let (sender, messages) = mpsc::channel(1);
    sender.send(pb::WorkerMessage { body }).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(messages);
    let mut answers = client.control(stream).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(pb::master_message::Body::Refused(refused)) = answer.body else {
        panic!("{answer:?}");
    };
    assert!(refused.reason.contains("future"), "{}", refused.reason);
    assert_eq!(answers.message().await.unwrap(), None);
    let beats = tokio_stream::iter([pb::Heartbeat::default()]);
    let error = client.pulse(beats).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_local_run_is_a_master_and_a_worker_in_one_process() {
    let clock = ProcessClock::start();
    let (port, end) = engine_port(clock);
    let mut engine = JoinSet::new();
    engine.spawn(drive(end, Engine::new(Duration::from_millis(20))));
    let config = MasterConfig::new(1, plan(Some(50.0), Some(60), None), 1).local();
    let master = Master::new(config, clock.now());
    let (_control, commands) = mpsc::channel(1);
    let (sender, _events) = mpsc::channel(1_024);
    let result = run_local(master, identity(0), port, commands, sender, None)
        .await
        .unwrap();
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_eq!(result.tally.counts.scheduled, 3_001);
    assert_sums(&result, &engine.join_next().await.unwrap().unwrap().truth);
}
