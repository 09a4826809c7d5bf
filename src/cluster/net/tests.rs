//! Strangers at the door of a real master on loopback: each tries what a worker may do, while a run goes on.
//! The engine is invented: what the plan asks for in each of two seconds, so that anything more or less would show.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::gate::STRANGER_BYTES;
use super::*;
use crate::cluster::wire::{self, FromWorker, pb};
use crate::cluster::{
    ClusterError, EngineCommand, EngineEnd, EngineEvent, Gauges, Hello, Interval, Master,
    MasterConfig, MasterEvent, PROTOCOL_VERSION, ProcessClock, RunResult, ToMaster, WorkerCommand,
    WorkerConfig, WorkerExit, engine_port,
};
use crate::domain::{Offset, Outcome, Secret};
use crate::metrics::Tally;

const TOKEN: &str = "a-token-of-many-bytes";
const RUN: u64 = 7;
const INCARNATION: u64 = 42;
/// Requests of the two seconds; the last is due at the very end.
const REQUESTS: [u64; 2] = [10, 11];

fn secured() -> ServeOptions {
    ServeOptions {
        security: ServerSecurity::default().with_token(&Secret::new(TOKEN)),
        limits: Limits::default(),
    }
}

fn plan() -> crate::plan::Plan {
    let plan = serde_json::json!({
        "seed": 7,
        "target": {
            "base_url": "http://127.0.0.1:1", "http": "http1", "insecure_skip_verify": false,
            "ca_pem": null, "connection_reuse": "pooled", "proxy": null,
        },
        "provider": {
            "kind": "openai", "model": "m", "task": "chat", "stream": true, "sampling": {}, "headers": {},
        },
        "workload": {
            "prompts": {"text": "hello"}, "tokenizer": null,
            "output": {"mean": 10, "law": "constant", "range": 0.0, "cap": null, "jitter": 0},
        },
        "schedule": {
            "users": 8, "spawn_rate": 1000.0, "pacing": {"open": {"rate": 10.0, "law": "constant"}},
            "run_time": {"secs": REQUESTS.len(), "nanos": 0}, "warmup": {"secs": 0, "nanos": 0},
            "measure_ramp": false, "max_requests": null,
        },
        "limits": {
            "total": null, "first_token": null, "idle": null, "connect": null,
            "stop": {"secs": 5, "nanos": 0},
        },
        "observe": {"show_request": false, "show_response": false, "records": null},
    });
    serde_json::from_value(plan).unwrap()
}

struct Running {
    events: mpsc::Receiver<MasterEvent>,
    result: JoinSet<Result<RunResult, ClusterError>>,
}

impl Running {
    async fn result(&mut self) -> RunResult {
        self.result.join_next().await.unwrap().unwrap().unwrap()
    }

    async fn until(&mut self, wanted: impl Fn(&MasterEvent) -> bool) {
        while !wanted(&self.events.recv().await.unwrap()) {}
    }
}

fn serve(incoming: impl Into<Incoming>, options: ServeOptions) -> Running {
    let clock = ProcessClock::start();
    let master = Master::new(MasterConfig::new(RUN, plan(), 1), clock.now());
    // Nobody commands: without a sender the branch is never taken again.
    let (_, commands) = mpsc::channel(1);
    let (sender, events) = mpsc::channel(1024);
    let mut result = JoinSet::new();
    let incoming = incoming.into();
    result.spawn(serve_master(
        incoming, options, clock, master, commands, sender, None,
    ));
    Running { events, result }
}

async fn listen(options: ServeOptions) -> (Running, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (serve(listener, options), address)
}

fn told(token: &str) -> ClientSecurity {
    let security = ClientSecurity::default();
    security.with_token(&Secret::new(token)).unwrap()
}

/// A worker with the invented engine.
async fn work(
    master: String,
    security: ClientSecurity,
    dialer: Dialer,
) -> Result<WorkerExit, ClusterError> {
    let (port, end) = engine_port(ProcessClock::start());
    let mut engine = JoinSet::new();
    engine.spawn(drive(end));
    let options = WorkerOptions {
        heard: None,
        master,
        config: WorkerConfig {
            name: "honest".to_owned(),
            incarnation: INCARNATION,
            cores: 1,
        },
        security,
        dialer,
    };
    let (_leave, commands) = mpsc::channel::<WorkerCommand>(1);
    run_worker(options, port, commands).await
}

async fn drive(mut end: EngineEnd) {
    let mut measuring = JoinSet::new();
    // Everything else that it is told matters to a real one.
    while let Some(command) = end.commands.recv().await {
        match command {
            EngineCommand::Prepare(_) => end.events.send(EngineEvent::Ready).await.unwrap(),
            EngineCommand::Start { at } => {
                drop(measuring.spawn(measure(at, end.clock, end.events.clone())));
            }
            _ => {}
        }
    }
}

async fn measure(at: Offset, clock: ProcessClock, events: mpsc::Sender<EngineEvent>) {
    for (second, count) in (0..).zip(REQUESTS) {
        let [from, to] = [second, second + 1].map(|at| Offset::from(Duration::from_secs(at)));
        let over = at + Duration::from_secs(second + 1);
        tokio::time::sleep_until(clock.instant(over)).await;
        let event = EngineEvent::Interval {
            from,
            to,
            gauges: Gauges::default(),
            tally: Box::new(requests(count)),
        };
        events.send(event).await.unwrap();
    }
    events.send(EngineEvent::Drained).await.unwrap();
}

fn requests(count: u64) -> Tally {
    let mut tally = Tally::default();
    tally.counts.scheduled = count;
    tally.counts.sent = count;
    tally.measured.outcomes.insert(Outcome::Ok, count);
    tally
}

/// The run was what the one worker did, and nobody else was there.
fn assert_untouched(result: &RunResult) {
    assert_eq!(result.workers.len(), 1, "{:?}", result.workers);
    let all = REQUESTS.iter().sum();
    assert_eq!(result.tally.counts.sent, all, "{result:?}");
    let done = &result.tally.measured.outcomes;
    assert_eq!(done.get(&Outcome::Ok), Some(&all));
    assert_eq!(result.tally.counts.lost, 0);
}

type Client = pb::cluster_client::ClusterClient<Channel>;

async fn connect(address: &str) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    Client::new(endpoint.connect().await.unwrap())
}

fn hello(name: &str, incarnation: u64, run: Option<u64>) -> pb::WorkerMessage {
    spoken(ToMaster::Hello(Hello {
        version: "1".to_owned(),
        protocol: PROTOCOL_VERSION,
        name: name.to_owned(),
        incarnation,
        cores: 1,
        run,
    }))
}

fn spoken(message: ToMaster) -> pb::WorkerMessage {
    match wire::encode_to_master(message).unwrap() {
        FromWorker::Control(message) => *message,
        FromWorker::Pulse(_) => panic!("no message of a control stream"),
    }
}

fn forged(seq: u64) -> pb::WorkerMessage {
    spoken(ToMaster::Interval(Box::new(Interval {
        run: RUN,
        seq,
        from: Offset::ZERO,
        to: Offset::from(Duration::from_secs(1)),
        gauges: Gauges::default(),
        tally: requests(1_000_000),
    })))
}

/// What a stranger may have in its hands: nothing, or something that looks like a token.
const GUESSES: [Option<&str>; 6] = [
    None,
    Some(""),
    Some("Bearer "),
    Some("Bearer another-token-of-many"),
    Some("a-token-of-many-bytes"),
    Some("Basic YS10b2tlbi1vZi1tYW55LWJ5dGVz"),
];

fn guessing<T>(guess: Option<&str>, stream: T) -> Request<T> {
    let mut request = Request::new(stream);
    if let Some(guess) = guess {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", guess.parse().unwrap());
    }
    request
}

/// All that an answer gives away: its code, its words, and the names and values of what came with it but for the date.
fn given_away(status: &Status) -> (Code, String, Vec<String>) {
    let mut metadata: Vec<_> = format!("{:?}", status.metadata().as_ref())
        .split(", ")
        .filter(|part| !part.contains("date"))
        .map(str::to_owned)
        .collect();
    metadata.sort();
    (status.code(), status.message().to_owned(), metadata)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_learns_and_changes_nothing() {
    let (mut running, address) = listen(secured()).await;
    let mut set = JoinSet::new();
    set.spawn(work(address.clone(), told(TOKEN), Dialer::default()));
    running
        .until(|event| matches!(event, MasterEvent::Merged { .. }))
        .await;
    let mut answers = Vec::new();
    for guess in GUESSES {
        for attempt in Attempt::ALL {
            answers.push(attempt.refused(&address, guess).await);
        }
    }
    for answer in &answers {
        assert_eq!(answer.code(), Code::Unauthenticated, "{answer:?}");
        assert_eq!(given_away(answer), given_away(&answers[0]));
        assert_eq!(answer.message(), "");
    }
    assert_untouched(&running.result().await);
    assert_eq!(
        set.join_next().await.unwrap().unwrap().unwrap(),
        WorkerExit::Finished
    );
    while let Ok(event) = running.events.try_recv() {
        let said = format!("{event:?}");
        assert!(!said.contains("stranger"), "{said}");
        assert!(!matches!(
            event,
            MasterEvent::Lost { .. } | MasterEvent::Returned { .. }
        ));
    }
}

/// What a stranger tries.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    /// Hello, and a forged interval.
    Join,
    /// The worker's own number: who believed it would close the worker's connection.
    Evict,
    /// A heartbeat for a guessed ticket.
    Beat,
    /// A call of something that is not there.
    Ask,
}

impl Attempt {
    const ALL: [Self; 4] = [Self::Join, Self::Evict, Self::Beat, Self::Ask];

    /// What it hears. A connection that broke before the answer was read is tried again.
    async fn refused(self, address: &str, guess: Option<&str>) -> Status {
        for _ in 0..20 {
            let heard = match self {
                Self::Join => {
                    let words = vec![hello("stranger", 1, None), forged(1)];
                    speak(address, guess, words).await
                }
                Self::Evict => {
                    let again = hello("honest", INCARNATION, Some(RUN));
                    let gone = spoken(ToMaster::Leaving);
                    speak(address, guess, vec![again, forged(2), forged(3), gone]).await
                }
                Self::Beat => beat(address, guess).await,
                Self::Ask => unknown_method(address, guess).await,
            };
            if std::error::Error::source(&heard).is_none() {
                return heard;
            }
        }
        panic!("{self:?} is never answered");
    }
}

async fn speak(address: &str, guess: Option<&str>, words: Vec<pb::WorkerMessage>) -> Status {
    let request = guessing(guess, tokio_stream::iter(words));
    connect(address).await.control(request).await.unwrap_err()
}

async fn beat(address: &str, guess: Option<&str>) -> Status {
    let mut request = guessing(guess, tokio_stream::iter([pb::Heartbeat::default()]));
    let ticket = "0".repeat(32).parse().unwrap();
    request.metadata_mut().insert(TICKET, ticket);
    connect(address).await.pulse(request).await.unwrap_err()
}

async fn unknown_method(address: &str, guess: Option<&str>) -> Status {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<pb::Heartbeat, pb::PulseReply>::default();
    let path = http::uri::PathAndQuery::from_static("/llmload.v1.Cluster/Settings");
    let request = guessing(guess, pb::Heartbeat::default());
    client.unary(request, path, codec).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_strangers_does_not_disturb_a_run() {
    let (mut running, address) = listen(secured()).await;
    let mut set = JoinSet::new();
    set.spawn(work(address.clone(), told(TOKEN), Dialer::default()));
    let mut strangers = JoinSet::new();
    for n in 0..200 {
        let address = address.clone();
        strangers.spawn(async move {
            let mut client = connect(&address).await;
            let words = tokio_stream::iter([hello("stranger", n, None), forged(n + 1)]);
            client.control(words).await.unwrap_err()
        });
    }
    strangers.join_all().await;
    assert_untouched(&running.result().await);
    set.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_turned_away_ends_and_says_why() {
    let (_running, address) = listen(secured()).await;
    for (security, wanted) in [
        (ClientSecurity::default(), Rejection::NoToken),
        (told("another-token-of-many"), Rejection::WrongToken),
    ] {
        let exit = work(address.clone(), security, Dialer::default()).await;
        let Err(ClusterError::Rejected(rejection)) = exit else {
            panic!("{exit:?}");
        };
        assert_eq!(rejection, wanted);
    }
}

/// A client that knows the token, and no manners.
async fn insider(
    address: &str,
    words: Vec<pb::WorkerMessage>,
) -> Result<
    (
        tonic::Streaming<pb::MasterMessage>,
        mpsc::Sender<pb::WorkerMessage>,
    ),
    Status,
> {
    let (sender, messages) = mpsc::channel(words.len() + 1);
    for message in words {
        sender.send(message).await.unwrap();
    }
    let mut request = Request::new(ReceiverStream::new(messages));
    told(TOKEN).sign(request.metadata_mut());
    let answer = connect(address).await.control(request).await?;
    Ok((answer.into_inner(), sender))
}

/// Whether a stream ends by itself, before its worker would be missing.
async fn is_cut_off(mut answers: tonic::Streaming<pb::MasterMessage>) -> bool {
    let ended = async { while let Ok(Some(_)) = answers.message().await {} };
    let ended = tokio::time::timeout(Duration::from_millis(2_500), ended).await;
    ended.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knows_the_token_and_no_manners_is_cut_off() {
    let (_running, address) = listen(secured()).await;
    let no_hello = vec![spoken(ToMaster::Leaving)];
    let (answers, _open) = insider(&address, no_hello).await.unwrap();
    assert!(is_cut_off(answers).await, "no hello");
    let mut flood = vec![hello("w", 1, None)];
    // Of another run: the machine itself would let it pass for ever.
    let (run, digest) = (RUN + 1, 0);
    flood.extend((0..600).map(|_| spoken(ToMaster::Ready { run, digest })));
    let (answers, _open) = insider(&address, flood).await.unwrap();
    assert!(is_cut_off(answers).await, "a flood");
    let nonsense = vec![hello("w", 2, None), pb::WorkerMessage { body: None }];
    let (answers, _open) = insider(&address, nonsense).await.unwrap();
    assert!(is_cut_off(answers).await, "nonsense");
    let name = "x".repeat(STRANGER_BYTES);
    let long = pb::WorkerMessage {
        body: Some(pb::worker_message::Body::Hello(pb::Hello {
            name,
            ..pb::Hello::default()
        })),
    };
    // The answer to the call may come before the connection is gone.
    if let Ok((answers, _open)) = insider(&address, vec![long]).await {
        assert!(is_cut_off(answers).await, "a hello without end");
    }
    let polite = vec![hello("w", 3, None)];
    let (mut answers, _open) = insider(&address, polite).await.unwrap();
    let welcome = answers.message().await.unwrap().unwrap();
    assert!(matches!(
        welcome.body,
        Some(pb::master_message::Body::Welcome(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_connections_are_held() {
    let mut options = secured();
    options.limits.max_workers = 1;
    let (_running, address) = listen(options).await;
    let mut held = Vec::new();
    for _ in 0..66 {
        held.push(TcpStream::connect(&address).await.unwrap());
    }
    // The server speaks first: whoever is held hears its settings.
    for tcp in &mut held {
        tcp.read_u8().await.unwrap();
    }
    let mut one_too_many = TcpStream::connect(&address).await.unwrap();
    let read = one_too_many.read_u8().await;
    assert!(read.is_err(), "{read:?}");
    drop(held.pop());
    for _ in 0..1_000 {
        let mut next = TcpStream::connect(&address).await.unwrap();
        if next.read_u8().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the place was not given back");
}

/// A network of pipes: whoever dials gets one end, and the master of the moment the other.
#[derive(Clone)]
struct Pipes(mpsc::Sender<DuplexStream>);

impl Pipes {
    fn new() -> (Self, mpsc::Receiver<DuplexStream>) {
        let (sender, pipes) = mpsc::channel(8);
        (Self(sender), pipes)
    }

    fn dialer(&self) -> Dialer {
        let pipes = self.0.clone();
        Dialer::new(move |_, _| {
            let pipes = pipes.clone();
            async move {
                let (near, far) = tokio::io::duplex(64 * 1024);
                let refused = std::io::ErrorKind::ConnectionRefused;
                pipes.send(far).await.map_err(|_| refused)?;
                Ok(near)
            }
        })
    }
}

fn arriving(pipes: mpsc::Receiver<DuplexStream>) -> Incoming {
    Incoming::new(ReceiverStream::new(pipes).map(|pipe| Ok((pipe, None))))
}

// Without sockets the clock may be a paused one: two seconds take none.
#[tokio::test(start_paused = true)]
async fn master_and_worker_meet_on_any_network() {
    let (network, pipes) = Pipes::new();
    let mut running = serve(arriving(pipes), secured());
    let exit = work("master:5557".to_owned(), told(TOKEN), network.dialer());
    let (exit, result) = tokio::join!(exit, running.result());
    assert_eq!(exit.unwrap(), WorkerExit::Finished);
    assert_untouched(&result);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_let_in_before_waits_for_a_master_that_knows_it() {
    let (network, pipes) = Pipes::new();
    let (switch, mut masters) = mpsc::channel::<mpsc::Sender<DuplexStream>>(1);
    let first = {
        let (to_master, from_network) = mpsc::channel(8);
        switch.send(to_master).await.unwrap();
        serve(arriving(from_network), secured())
    };
    let mut wires = JoinSet::new();
    wires.spawn(async move {
        let mut pipes = pipes;
        let mut to = masters.recv().await.unwrap();
        loop {
            tokio::select! {
                Some(next) = masters.recv() => to = next,
                Some(pipe) = pipes.recv() => drop(to.send(pipe).await),
                else => return,
            }
        }
    });
    let mut set = JoinSet::new();
    set.spawn(work(
        "master:5557".to_owned(),
        told(TOKEN),
        network.dialer(),
    ));
    let Running { mut events, result } = first;
    while !matches!(events.recv().await.unwrap(), MasterEvent::Joined { .. }) {}
    drop(result);
    let mut other = secured();
    let another = Secret::new("another-token-of-many");
    other.security = ServerSecurity::default().with_token(&another);
    let (to_master, from_network) = mpsc::channel(8);
    switch.send(to_master).await.unwrap();
    let _other = serve(arriving(from_network), other);
    let waited = tokio::time::timeout(Duration::from_secs(600), set.join_next()).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn keys_are_never_told_in_plain_text() {
    // Whatever the settings say: a connection without TLS is told a plan without keys.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let clock = ProcessClock::start();
    let mut config = MasterConfig::new(RUN, plan(), 1);
    config.secrets = Some(crate::cluster::SharedSecrets {
        api_key: Some(Secret::new("sk-secret-123")),
        ..Default::default()
    });
    let master = Master::new(config, clock.now());
    let (_commands, commands) = mpsc::channel(1);
    let (sender, _events) = mpsc::channel(1024);
    let mut result = JoinSet::new();
    result.spawn(serve_master(
        listener,
        secured(),
        clock,
        master,
        commands,
        sender,
        None,
    ));
    let (mut answers, _open) = insider(&address, vec![hello("w", 1, None)]).await.unwrap();
    loop {
        let message = answers.message().await.unwrap().unwrap();
        if let Some(pb::master_message::Body::Prepare(prepare)) = message.body {
            assert!(prepare.secrets.is_none());
            let mut bytes = Vec::new();
            prost::Message::encode(&prepare, &mut bytes).unwrap();
            let key = b"sk-secret";
            assert!(!bytes.windows(key.len()).any(|seen| seen == key));
            return;
        }
    }
}

#[tokio::test]
async fn what_is_no_http_at_all_harms_nobody() {
    let (_running, address) = listen(secured()).await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x16, 3, 1, 2, 0],
        &[0xff; 4096],
    ] {
        let mut tcp = TcpStream::connect(&address).await.unwrap();
        tcp.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        let reading = tcp.read_to_end(&mut answer);
        let closed = tokio::time::timeout(Duration::from_secs(20), reading).await;
        assert!(closed.is_ok(), "{garbage:?}");
    }
    let (mut answers, _open) = insider(&address, vec![hello("w", 1, None)]).await.unwrap();
    assert!(answers.message().await.unwrap().is_some());
}
