//! One run of a server and a client, each a process of its own on a core of its own; and runs in pairs.
//! It starts them, passes the word between them, and believes nothing that does not add up.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::args::Engine;
use super::error::BenchError;
use super::hall::Held;
use super::message::{
    Child, ClientSpec, Done, Gates, Pace, Role, Said, Served, ServerSpec, Spread, Traffic,
};
use super::meter::Usage;
use super::stamps::Stamps;
use serde::Serialize;

/// No run takes so long.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the runs of one program have in common.
pub(super) struct Lab {
    pub(super) program: PathBuf,
    pub(super) cores: Vec<usize>,
    pub(super) engine: Engine,
    /// A command before that of the worker, as a profiler wants it.
    pub(super) wrap: Vec<String>,
    pub(super) pairs: u32,
    /// What was counted in every run so far.
    pub(super) runs: RefCell<Vec<Counted>>,
    /// Runs in which the server may have been too slow for its own pace.
    pub(super) breathless: RefCell<u32>,
    /// What was seen of every master so far.
    pub(super) held: RefCell<Vec<Held>>,
}

/// What both sides counted in a run, for the report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Counted {
    role: Role,
    traffic: Traffic,
    threads: u32,
    answers_seen: u64,
    answers_sent: u64,
    events_seen: u64,
    events_sent: u64,
    request_bytes: u64,
    connections: u64,
    /// Writes that a socket did not take whole: the client was behind.
    blocked: u64,
    server_cpu_ns: u64,
    client_cpu_ns: u64,
    wall_ns: u64,
}

/// What one run is.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) traffic: Traffic,
    pub(super) per_write: u32,
    pub(super) pace: Pace,
    /// After how many events of the first answers all streams wait, and the client tells what it has used.
    pub(super) gates: Vec<u32>,
    pub(super) threads: u32,
    /// Whether the times of sending and of arrival are held against each other.
    pub(super) stamped: bool,
}

/// What one run gave.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) served: Served,
    /// What the client had used at each gate.
    pub(super) marks: Vec<Usage>,
    pub(super) done: Done,
    /// Arrived − sent of all events.
    pub(super) errors: Option<Spread>,
}

/// Runs of both, the k-th of one beside the k-th of the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    pub(super) bare: Vec<Run>,
    pub(super) worker: Vec<Run>,
}

impl Lab {
    /// The bare loop and the worker in turns; who begins changes from pair to pair.
    pub(super) fn pairs(&self, setup: &Setup) -> Result<Pairs, BenchError> {
        let mut pairs = Pairs::default();
        for pair in 0..self.pairs {
            let (bare, worker) = if pair % 2 == 0 {
                let bare = self.run(setup, Role::Bare)?;
                (bare, self.run(setup, Role::Worker(self.engine))?)
            } else {
                let worker = self.run(setup, Role::Worker(self.engine))?;
                (self.run(setup, Role::Bare)?, worker)
            };
            pairs.bare.push(bare);
            pairs.worker.push(worker);
        }
        Ok(pairs)
    }

    /// One run. The counts of both sides must agree.
    pub(super) fn run(&self, setup: &Setup, role: Role) -> Result<Run, BenchError> {
        let scratch = setup.stamped.then(Scratch::new).transpose()?;
        let log = |name: &str| scratch.as_ref().map(|scratch| scratch.0.join(name));
        let (sent, arrived) = (log("sent"), log("arrived"));
        let (voice, heard) = sync_channel(16);
        let mut room = Room {
            heard,
            children: Vec::new(),
        };
        let server = ServerSpec {
            cores: self.server_cores(),
            events: setup.traffic.events,
            per_write: setup.per_write,
            pace: setup.pace,
            gates: Gates {
                streams: setup.traffic.streams,
                after: setup.gates.clone(),
            },
            log: sent.clone(),
        };
        room.children
            .push(self.start(SERVER, &Child::Server(server), &[], &voice)?);
        let port = room.expect("port", |said| match said {
            Said::Port(port) => Some(port),
            _ => None,
        })?;
        let client = ClientSpec {
            role,
            cores: self.client_cores(setup.threads),
            threads: setup.threads,
            port,
            traffic: setup.traffic,
            log: arrived.clone(),
        };
        let wrap = match role {
            Role::Worker(_) => &self.wrap[..],
            _ => &[],
        };
        room.children
            .push(self.start(CLIENT, &Child::Client(client), wrap, &voice)?);
        drop(voice);
        let mut run = room.conduct(setup.gates.len())?;
        check(&run, setup.traffic.requests)?;
        let counted = Counted::new(&run, setup, role);
        if setup.pace != Pace::AtOnce && counted.server_was_busy() {
            *self.breathless.borrow_mut() += 1;
        }
        self.runs.borrow_mut().push(counted);
        if let (Some(sent), Some(arrived)) = (sent, arrived) {
            let errors = Stamps::read(&sent)?.errors(&Stamps::read(&arrived)?)?;
            run.errors = Spread::of(errors);
        }
        Ok(run)
    }

    pub(super) fn server_cores(&self) -> Vec<usize> {
        self.cores.first().copied().into_iter().collect()
    }

    /// Cores of their own as far as there are any; the server's is the last to be shared.
    pub(super) fn client_cores(&self, threads: u32) -> Vec<usize> {
        let mut cores = self.cores.clone();
        let turn = 1.min(cores.len());
        cores.rotate_left(turn);
        cores.truncate(threads as usize);
        cores
    }

    pub(super) fn start(
        &self,
        who: &'static str,
        child: &Child,
        wrap: &[String],
        voice: &SyncSender<(&'static str, Option<Said>)>,
    ) -> Result<Process, BenchError> {
        let program = self.program.display().to_string();
        let mut words = wrap.iter().cloned().chain([program]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .args(["bench-self", "--child"])
            .arg(serde_json::to_string(child)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(BenchError::system("start a process"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let voice = voice.clone();
        let follow = move || {
            for line in stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines())
            {
                let said = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                if said.is_none() || voice.send((who, said)).is_err() {
                    break;
                }
            }
            // Nobody listens any more when the run has ended.
            let _ = voice.send((who, None));
        };
        thread::Builder::new()
            .name("follow".to_owned())
            .spawn(follow)
            .map_err(BenchError::system("start a thread"))?;
        Ok(Process { child, stdin, who })
    }
}

const SERVER: &str = "server process";
const CLIENT: &str = "client process";
pub(super) const CROWD: &str = "process of workers";

impl Counted {
    /// Whether the server had hardly a moment without work: then its lateness is in the figures.
    fn server_was_busy(&self) -> bool {
        self.server_cpu_ns * 20 > self.wall_ns * 19
    }

    fn new(run: &Run, setup: &Setup, role: Role) -> Self {
        let Run { served, done, .. } = run;
        Self {
            role,
            traffic: setup.traffic,
            threads: setup.threads,
            answers_seen: done.answers,
            answers_sent: served.answers,
            events_seen: done.events,
            events_sent: served.events,
            request_bytes: served.request_bytes,
            connections: served.connections,
            blocked: served.blocked,
            server_cpu_ns: served.cpu_ns,
            client_cpu_ns: done.end.cpu_ns - done.begin.cpu_ns,
            wall_ns: done.end.at_ns - done.begin.at_ns,
        }
    }
}

fn check(run: &Run, requests: u64) -> Result<(), BenchError> {
    if let Some(failure) = run.done.failures.first() {
        return Err(BenchError::Counts(format!("requests failed: {failure}")));
    }
    let (done, served) = (&run.done, &run.served);
    let told = [done.answers, served.answers];
    if told != [requests; 2] || done.events != served.events {
        return Err(BenchError::Counts(format!(
            "{requests} requests were to be sent; the client saw {} answers with {} events, the server sent {} with {}",
            done.answers, done.events, served.answers, served.events
        )));
    }
    Ok(())
}

/// A child process. It is killed when this is dropped before its end.
pub(super) struct Process {
    pub(super) child: std::process::Child,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) who: &'static str,
}

impl Process {
    fn tell(&mut self, word: &str) -> Result<(), BenchError> {
        let line = format!("{word}\n");
        let Some(stdin) = &mut self.stdin else {
            return Ok(());
        };
        stdin
            .write_all(line.as_bytes())
            .map_err(BenchError::system("tell a process what to do"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is over already, or the run has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes of a run, and what they say.
pub(super) struct Room {
    pub(super) heard: Receiver<(&'static str, Option<Said>)>,
    pub(super) children: Vec<Process>,
}

impl Room {
    /// From the client's readiness to the last words of both.
    fn conduct(&mut self, gates: usize) -> Result<Run, BenchError> {
        self.expect("ready", |said| matches!(said, Said::Ready).then_some(()))?;
        self.tell(CLIENT, "start")?;
        let mut marks = Vec::new();
        for _ in 0..gates {
            self.expect("gate", |said| matches!(said, Said::Gate(_)).then_some(()))?;
            // What has been sent is also to have arrived.
            thread::sleep(SETTLING);
            self.tell(CLIENT, "mark")?;
            marks.push(self.expect("mark", |said| match said {
                Said::Mark(usage) => Some(usage),
                _ => None,
            })?);
            self.tell(SERVER, "go")?;
        }
        let done = self.expect("done", |said| match said {
            Said::Done(done) => Some(done),
            _ => None,
        })?;
        // The end of its input is the server's end.
        for server in self.children.iter_mut().filter(|child| child.who == SERVER) {
            drop(server.stdin.take());
        }
        let served = self.expect("served", |said| match said {
            Said::Served(served) => Some(served),
            _ => None,
        })?;
        for process in &mut self.children {
            process
                .child
                .wait()
                .map_err(BenchError::system("wait for a process"))?;
        }
        Ok(Run {
            served,
            marks,
            done,
            errors: None,
        })
    }

    fn tell(&mut self, who: &str, word: &str) -> Result<(), BenchError> {
        let mut named = self.children.iter_mut().filter(|child| child.who == who);
        named.try_for_each(|process| process.tell(word))
    }

    /// The next thing that is said, which must be what `wanted` takes. A client that has said everything may end.
    pub(super) fn expect<T>(
        &self,
        what: &str,
        wanted: impl Fn(Said) -> Option<T>,
    ) -> Result<T, BenchError> {
        loop {
            let (who, said) = match self.heard.recv_timeout(PATIENCE) {
                Ok((CLIENT, None)) if what == "served" => continue,
                Ok(heard) => heard,
                Err(RecvTimeoutError::Timeout) => (CLIENT, None),
                Err(RecvTimeoutError::Disconnected) => (SERVER, None),
            };
            let failed = |what: String| BenchError::Child { who, what };
            let said = match said {
                None => {
                    return Err(failed(format!(
                        "ended, or hangs, where it was to say `{what}`"
                    )));
                }
                Some(Said::Unable(why)) => return Err(failed(format!("cannot go on: {why}"))),
                Some(said) => said,
            };
            let other = format!("said {said:?} where `{what}` was expected");
            return wanted(said).ok_or_else(|| failed(other));
        }
    }
}

/// From the last write before a gate until everything has been read.
const SETTLING: Duration = Duration::from_millis(50);

/// A folder for the files of a run, which goes away with this.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, BenchError> {
        let name = format!("llmload-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(BenchError::system("make a folder for stamps"))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left there is of no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
