//! The control service on loopback: a master that is asked and told things while it runs, by whoever `llmload ctl` is.
//! What a changed load does to workers is tested on virtual time.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::engine::{Engine, drive};
use super::plan;
use crate::cluster::wire::pb;
use crate::cluster::{
    Change, ClientSecurity, ClusterError, ControlError, Controller, Dialer, EndedBy, Master,
    MasterCommand, MasterConfig, MasterEvent, ProcessClock, Refusal, Rejection, RunPhase,
    RunResult, ServeOptions, ServerSecurity, WorkerConfig, WorkerOptions, WorkerState, engine_port,
    run_worker, serve_master,
};
use crate::domain::{Rate, Secret};

struct Stage {
    address: String,
    events: mpsc::Receiver<MasterEvent>,
    result: JoinSet<Result<RunResult, ClusterError>>,
    workers: JoinSet<()>,
    _control: mpsc::Sender<MasterCommand>,
}

impl Stage {
    /// A master of `config`, and the control connection to it.
    async fn set(config: MasterConfig) -> (Self, Controller) {
        let stage = Self::guarded(config, ServeOptions::default()).await;
        let controller = controller(&stage, ClientSecurity::default()).await;
        (stage, controller)
    }

    async fn guarded(config: MasterConfig, serving: ServeOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (control, commands) = mpsc::channel(4);
        let (sender, events) = mpsc::channel(1_024);
        let clock = ProcessClock::start();
        let master = Master::new(config, clock.now());
        let mut result = JoinSet::new();
        result.spawn(serve_master(
            listener, serving, clock, master, commands, sender, None,
        ));
        Self {
            address,
            events,
            result,
            workers: JoinSet::new(),
            _control: control,
        }
    }

    fn add_worker(&mut self) {
        let options = WorkerOptions {
            master: self.address.clone(),
            config: WorkerConfig {
                name: "w".to_owned(),
                incarnation: 1,
                cores: 2,
            },
            heard: None,
            security: ClientSecurity::default(),
            dialer: Dialer::default(),
        };
        self.workers.spawn(async move {
            let (port, end) = engine_port(ProcessClock::start());
            let mut engine = JoinSet::new();
            engine.spawn(drive(end, Engine::new(Duration::from_millis(20))));
            let (_sender, commands) = mpsc::channel(1);
            run_worker(options, port, commands).await.unwrap();
        });
    }

    async fn until(&mut self, wanted: impl Fn(&MasterEvent) -> bool) -> MasterEvent {
        while let Some(event) = self.events.recv().await {
            if wanted(&event) {
                return event;
            }
        }
        panic!("the run ended before that");
    }

    async fn ended_by(&mut self) -> EndedBy {
        let result = self.result.join_next().await.unwrap().unwrap();
        result.unwrap().ended_by
    }
}

async fn controller(stage: &Stage, security: ClientSecurity) -> Controller {
    let connecting = Controller::connect(&stage.address, Dialer::default(), security);
    connecting.await.unwrap()
}

fn refusal<T>(answer: Result<T, ControlError>) -> String {
    match answer {
        Err(ControlError::Refused(words)) => words,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_waits_can_be_asked_and_stopped_and_no_more() {
    let config = MasterConfig::new(77, plan(Some(50.0), None, None), 1);
    let (mut stage, mut controller) = Stage::set(config).await;
    let status = controller.status().await.unwrap();
    assert_eq!((status.run, status.phase), (77, RunPhase::Waiting));
    assert_eq!((status.elapsed, status.load), (None, None));
    assert_eq!(controller.workers().await.unwrap(), []);
    let early = controller.change(&[Change::Pause]).await;
    assert_eq!(refusal(early), Refusal::NotRunning.to_string());
    controller.stop(false).await.unwrap();
    assert_eq!(stage.ended_by().await, EndedBy::Stopped);
    let gone = controller.status().await.unwrap_err();
    assert!(matches!(gone, ControlError::NoMaster { .. }), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_promised_then_announced_then_so() {
    let mut config = MasterConfig::new(1, plan(Some(50.0), Some(60), None), 1);
    config.epoch_lead = Duration::from_millis(700);
    let (mut stage, mut controller) = Stage::set(config).await;
    stage.add_worker();
    stage
        .until(|event| matches!(event, MasterEvent::Merged { .. }))
        .await;
    let status = controller.status().await.unwrap();
    assert_eq!(status.phase, RunPhase::Running);
    let (elapsed, left) = (status.elapsed.unwrap(), status.left.unwrap());
    let both = (elapsed + left).as_secs_f64();
    // Eight users start at 1000 a second.
    assert!((both - 60.007).abs() < 1e-6, "{elapsed:?} {left:?}");
    assert!(status.requests > 0 && status.recent.is_some());
    assert_eq!(status.workers, [(WorkerState::Running, 1)].into());
    let before = status.load.unwrap();
    assert_eq!((before.users, status.next), (8, None));

    let rate = Rate::per_second(20);
    let coming = controller
        .change(&[Change::Rate(rate), Change::MoreUsers(-3)])
        .await
        .unwrap();
    assert_eq!((coming.load.rate, coming.load.users), (Some(rate), 5));
    let announced = stage
        .until(|event| matches!(event, MasterEvent::Changed { .. }))
        .await;
    let MasterEvent::Changed { from, load, .. } = announced else {
        unreachable!()
    };
    assert_eq!(load, coming.load);
    // It was promised for the time that it takes to announce it.
    let differs = from.since(coming.from).max(coming.from.since(from));
    assert!(differs < Duration::from_millis(300), "{from} {coming:?}");
    let next = controller.status().await.unwrap();
    assert_eq!(next.load, Some(before));
    assert_eq!(
        next.next.map(|next| (next.from, next.load)),
        Some((from, load))
    );
    tokio::time::sleep(Duration::from_millis(800)).await;
    let after = controller.status().await.unwrap();
    assert_eq!((after.load, after.next), (Some(load), None));
    let workers = controller.workers().await.unwrap();
    assert_eq!((workers.len(), workers[0].cores), (1, 2));
    assert!(workers[0].connected && workers[0].sent > 0);

    controller.stop(false).await.unwrap();
    let late = controller.change(&[Change::Users(9)]).await;
    assert_eq!(refusal(late), Refusal::Ending.to_string());
    controller.stop(true).await.unwrap();
    assert_eq!(stage.ended_by().await, EndedBy::Aborted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wishes_are_refused_as_a_whole() {
    let config = MasterConfig::new(1, plan(None, Some(60), None), 1);
    let (mut stage, mut controller) = Stage::set(config).await;
    stage.add_worker();
    stage
        .until(|event| matches!(event, MasterEvent::Starting { .. }))
        .await;
    let rate = Rate::per_second(20);
    let wishes = [Change::Users(9), Change::Rate(rate)];
    let refused = controller.change(&wishes).await;
    assert_eq!(refusal(refused), Refusal::Closed.to_string());
    let refused = controller.change(&[Change::Users(u32::MAX)]).await;
    assert_eq!(refusal(refused), Refusal::TooMany.to_string());
    let same = controller.change(&[Change::MoreUsers(0)]).await.unwrap();
    assert_eq!(same.load.users, 8);
    // What no program of ours says.
    let url = format!("http://{}", stage.address);
    let mut stranger = pb::control_client::ControlClient::connect(url)
        .await
        .unwrap();
    let nothing = stranger.change(pb::ChangeRequest::default()).await;
    assert_eq!(nothing.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_no_token_is_told_nothing_and_stops_nothing() {
    let config = MasterConfig::new(1, plan(None, Some(60), None), 1);
    let token = Secret::new("a-token-of-many-bytes");
    let serving = ServeOptions {
        security: ServerSecurity::default().with_token(&token),
        ..ServeOptions::default()
    };
    let stage = Stage::guarded(config, serving).await;
    let other = Secret::new("another-token-of-many-bytes");
    for (security, rejection) in [
        (ClientSecurity::default(), Rejection::NoToken),
        (
            ClientSecurity::default().with_token(&other).unwrap(),
            Rejection::WrongToken,
        ),
    ] {
        let mut stranger = controller(&stage, security).await;
        let answers = [
            stranger.status().await.map(drop),
            stranger.workers().await.map(drop),
            stranger.change(&[Change::Pause]).await.map(drop),
            stranger.stop(true).await,
        ];
        for answer in answers {
            let error = answer.unwrap_err().to_string();
            let wanted = ControlError::Rejected(rejection.clone()).to_string();
            assert_eq!(error, wanted);
        }
    }
    let friend = ClientSecurity::default().with_token(&token).unwrap();
    let mut friend = controller(&stage, friend).await;
    assert_eq!(friend.status().await.unwrap().phase, RunPhase::Waiting);
}
