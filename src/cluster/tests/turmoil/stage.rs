//! The programs on the simulated machines: a real master, real workers with an invented engine, and all that can be seen
//! of them. What becomes of the machines is not decided here.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use turmoil::net::{TcpListener, TcpStream};

use super::super::engine::{Begun, Engine, drive_seen};
use super::super::invariants::Witness;
use super::super::plan;
use super::super::seeds::number;
use super::{NAMES, RUN_SECONDS};
use crate::cluster::{
    ClientSecurity, Dialer, Heard, Incoming, Master, MasterCommand, MasterConfig, MasterEvent,
    ProcessClock, RunResult, ServeOptions, ServerSecurity, WorkerConfig, WorkerExit, WorkerOptions,
    engine_port, run_worker, serve_master,
};
use crate::domain::Secret;
use crate::metrics::Tally;

const TOKEN: &str = "a-token-of-many-bytes";

/// All that can be seen of a run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct History {
    pub(super) events: Vec<(u64, MasterEvent)>,
    pub(super) begun: Vec<(u64, usize, u64)>,
    /// Not when: a server that is told to end leaves to chance what it looks at first.
    pub(super) exits: BTreeMap<usize, WorkerExit>,
    pub(super) result: Option<RunResult>,
    pub(super) truth: Tally,
}

/// What everybody on the simulated machines shares with who watches.
#[derive(Clone)]
pub(super) struct Stage {
    config: Rc<MasterConfig>,
    pub(super) witness: Rc<RefCell<Witness>>,
    pub(super) history: Rc<RefCell<History>>,
    workers: Rc<Cell<usize>>,
    /// Processes that are through, by host.
    pub(super) through: Rc<RefCell<BTreeSet<&'static str>>>,
}

/// The time of the simulation, in nanoseconds.
fn now() -> u64 {
    turmoil::sim_elapsed().unwrap().as_nanos() as u64
}

impl Stage {
    pub(super) fn new(seed: u64) -> Self {
        let config = MasterConfig {
            max_wait: Some(Duration::from_secs(30)),
            ..MasterConfig::new(seed + 1, plan(Some(37.0), Some(RUN_SECONDS), None), 3)
        };
        Self {
            witness: Rc::new(RefCell::new(Witness::new(&config))),
            config: Rc::new(config),
            history: Rc::default(),
            workers: Rc::default(),
            through: Rc::default(),
        }
    }

    pub(super) async fn master(self) -> turmoil::Result {
        let (clock, security) = (ProcessClock::start(), ServerSecurity::default());
        let options = ServeOptions {
            security: security.with_token(&Secret::new(TOKEN)),
            ..ServeOptions::default()
        };
        let listener = TcpListener::bind("0.0.0.0:5557").await?;
        let (accepted, connections) = mpsc::channel(1);
        tokio::task::spawn_local(async move {
            while let Ok((io, peer)) = listener.accept().await {
                if accepted.send(Ok((io, Some(peer)))).await.is_err() {
                    return;
                }
            }
        });
        let incoming = Incoming::new(ReceiverStream::new(connections));
        let master = Master::new((*self.config).clone(), clock.now());
        let (control, commands) = mpsc::channel(4);
        let (sender, events) = mpsc::channel(1_024);
        let serving = serve_master(incoming, options, clock, master, commands, sender, None);
        let (result, ()) = tokio::join!(serving, self.watch(events, control));
        self.history.borrow_mut().result = Some(result.unwrap());
        self.leave("master").await
    }

    async fn watch(
        &self,
        mut events: mpsc::Receiver<MasterEvent>,
        control: mpsc::Sender<MasterCommand>,
    ) {
        while let Some(event) = events.recv().await {
            let (answer, snapshot) = oneshot::channel();
            let asked = control.send(MasterCommand::Snapshot(answer)).await;
            if number("LLMLOAD_SEED").is_some() && !matches!(event, MasterEvent::Merged { .. }) {
                eprintln!("{} ms: {event:?}", now() / 1_000_000);
            }
            self.history
                .borrow_mut()
                .events
                .push((now(), event.clone()));
            if asked.is_ok()
                && let Ok(snapshot) = snapshot.await
            {
                self.witness.borrow_mut().saw(&event, &snapshot);
            }
        }
    }

    pub(super) async fn worker(self, node: usize) -> turmoil::Result {
        let worker = self.workers.replace(self.workers.get() + 1);
        let (born, (port, end)) = (now(), engine_port(ProcessClock::start()));
        let (_leave, commands) = mpsc::channel(1);
        let (sender, mut heard) = mpsc::channel(1_024);
        let security = ClientSecurity::default().with_token(&Secret::new(TOKEN))?;
        let options = WorkerOptions {
            master: "master:5557".to_owned(),
            config: WorkerConfig {
                name: format!("{}-{worker}", NAMES[node]),
                incarnation: 1_000 + worker as u64,
                cores: 1,
            },
            heard: Some(sender),
            security,
            dialer: Dialer::new(|host, port| TcpStream::connect((host, port))),
        };
        let engine = drive_seen(end, Engine::new(Duration::from_millis(20)), |engine| {
            self.look(worker, born, engine, &mut heard);
        });
        let (exit, engine) = tokio::join!(run_worker(options, port, commands), engine);
        self.history.borrow_mut().truth.merge(&engine.truth);
        let exit = exit.unwrap();
        self.history.borrow_mut().exits.insert(worker, exit);
        self.leave(NAMES[node]).await
    }

    /// Notes what an engine began, and holds it against everything that must hold.
    fn look(
        &self,
        worker: usize,
        born: u64,
        engine: &mut Engine,
        heard: &mut mpsc::Receiver<Heard>,
    ) {
        let mut witness = self.witness.borrow_mut();
        while let Ok(heard) = heard.try_recv() {
            if let Heard::Pulse { at, .. } = heard {
                witness.answered(worker, born + at.as_nanos());
            }
        }
        for Begun { what, at } in std::mem::take(&mut engine.begun) {
            witness.begun(worker, what, born + at);
            self.history
                .borrow_mut()
                .begun
                .push((born + at, worker, what));
        }
    }

    /// A process that is through is ended from outside, with all of its connections.
    async fn leave(&self, host: &'static str) -> turmoil::Result {
        self.through.borrow_mut().insert(host);
        std::future::pending().await
    }
}
