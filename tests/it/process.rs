//! Runs the real binary as processes: clean surroundings, captured words, exit statuses, a master and its workers.
//! It judges nothing; the tests do.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use llmload::mock::{MockHandle, Script, Snapshot, spawn_thread};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes so long, whatever else the machine does; who is still waiting then has found a defect.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tests that measure times have the machine for themselves, as far as this binary goes.
static MACHINE: RwLock<()> = RwLock::new(());

/// For tests whose outcome does not depend on the machine's speed.
pub(crate) fn shared() -> RwLockReadGuard<'static, ()> {
    MACHINE
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// For tests that measure times.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A mock that answers at once, after 2 ms and with 1 ms between tokens, and notes every request.
pub(crate) fn quick_mock() -> MockHandle {
    mock("2ms", "1ms")
}

/// A mock with these times, which notes every request.
pub(crate) fn mock(ttft: &str, inter_token: &str) -> MockHandle {
    faulty_mock(ttft, inter_token, &[])
}

/// The same with faults, each written as `--fault` is.
pub(crate) fn faulty_mock(ttft: &str, inter_token: &str, faults: &[&str]) -> MockHandle {
    let script = Script {
        ttft: ttft.parse().unwrap(),
        inter_token: inter_token.parse().unwrap(),
        keep_arrivals: 100_000,
        keep_requests: 100_000,
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..Script::default()
    };
    spawn_thread(script, 1).unwrap()
}

/// What a mock counted, once it has seen the end of every answer: the client may know it a moment earlier.
pub(crate) fn settled(mock: &MockHandle) -> Snapshot {
    eventually("all answers are over", || {
        let snapshot = mock.stats().snapshot();
        (snapshot.streams.open == 0 && snapshot.wholes.open == 0).then_some(snapshot)
    })
}

/// Polls until there is something.
pub(crate) fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < until, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the mock has begun to answer so many requests.
pub(crate) fn wait_for_requests(mock: &MockHandle, count: u64) {
    eventually(&format!("{count} requests"), || {
        (mock.stats().snapshot().requests.numbered >= count).then_some(())
    });
}

/// What a process has said on standard error so far.
#[derive(Default)]
struct Log {
    state: Mutex<(String, bool)>,
    more: Condvar,
}

impl Log {
    fn follow(self: Arc<Self>, stream: impl Read + Send + 'static) -> JoinHandle<()> {
        thread::spawn(move || {
            let mut lines = BufReader::new(stream);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                self.state.lock().unwrap().0.push_str(&line);
                self.more.notify_all();
                line.clear();
            }
            self.state.lock().unwrap().1 = true;
            self.more.notify_all();
        })
    }

    /// The rest of the first line that contains `words`, from behind them.
    fn wait_for(&self, words: &str) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap();
        loop {
            let found = state.0.lines().find_map(|line| line.split_once(words));
            if let Some((_, rest)) = found {
                return Some(rest.to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.1 || left.is_zero() {
                return None;
            }
            state = self.more.wait_timeout(state, left).unwrap().0;
        }
    }

    fn text(&self) -> String {
        self.state.lock().unwrap().0.clone()
    }
}

/// Tests share a machine, and what they hold is true on a slow one too: a run that the generator calls invalid ends
/// like any other, unless a test says `--no-allow-invalid`.
pub(crate) const TOLERANT: [(&str, &str); 1] = [("LLMLOAD_ALLOW_INVALID", "true")];

/// A running llmload, in a folder of its own that is also its home. It is killed when dropped.
pub(crate) struct Program {
    line: String,
    child: Child,
    folder: Arc<TempDir>,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<()>>,
    log: Arc<Log>,
}

impl Program {
    /// Starts `llmload` with the words of `line`, none of which contains a space.
    pub(crate) fn start(line: &str) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), line)
    }

    /// The same in a given folder.
    pub(crate) fn start_in(folder: Arc<TempDir>, line: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmload"));
        command.args(line.split_whitespace()).stdin(Stdio::null());
        Self::launch(folder, line, command)
    }

    /// Starts `command`, in which the words of `line` are, in a given folder.
    pub(crate) fn launch(folder: Arc<TempDir>, line: &str, mut command: Command) -> Self {
        let mut child = command
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            // No test leaves this machine.
            .env("HF_HUB_OFFLINE", "1")
            .envs(TOLERANT)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let log = Arc::new(Log::default());
        let stderr = Arc::clone(&log).follow(child.stderr.take().unwrap());
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        Self {
            line: line.to_owned(),
            child,
            folder,
            stdout: Some(stdout),
            stderr: Some(stderr),
            log,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits until a line on standard error contains `words`; returns what follows them.
    pub(crate) fn wait_for_words(&self, words: &str) -> String {
        self.log.wait_for(words).unwrap_or_else(|| {
            panic!(
                "`llmload {}` never said `{words}`:\n{}",
                self.line,
                self.log.text()
            )
        })
    }

    /// Waits for the process's end.
    pub(crate) fn wait(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < until,
                "`llmload {}` does not end:\n{}",
                self.line,
                self.log.text()
            );
            thread::sleep(Duration::from_millis(5));
        };
        let stdout = self.stdout.take().unwrap().join().unwrap();
        self.stderr.take().unwrap().join().unwrap();
        Ended {
            line: std::mem::take(&mut self.line),
            pid: self.child.id(),
            status,
            stdout,
            stderr: self.log.text(),
            folder: Arc::clone(&self.folder),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It is over already, or this test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An llmload that is over.
pub(crate) struct Ended {
    line: String,
    pub(crate) pid: u32,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    folder: Arc<TempDir>,
}

impl Ended {
    /// Fails the test, with everything that was said, unless the exit status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(
            (self.status.code(), self.status.signal()),
            (Some(status), None),
            "`llmload {}`\n{}\n{}",
            self.line,
            self.stdout,
            self.stderr
        );
        self
    }

    /// The exit status; `None` of one that a signal ended.
    pub(crate) fn status(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name))
            .unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.stderr))
    }

    /// The file that `--json-file result.json` made.
    pub(crate) fn result(&self) -> Report {
        Report(serde_json::from_str(&self.read("result.json")).unwrap())
    }

    /// The lines of a records file.
    pub(crate) fn records(&self, name: &str) -> Vec<Value> {
        let text = self.read(name);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The result of a run as JSON.
pub(crate) struct Report(pub(crate) Value);

impl Report {
    /// The value at a JSON pointer.
    #[track_caller]
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.0
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer} in {:#}", self.0))
    }

    #[track_caller]
    pub(crate) fn count(&self, pointer: &str) -> u64 {
        let value = self.at(pointer);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{pointer} is {value}"))
    }

    #[track_caller]
    pub(crate) fn number(&self, pointer: &str) -> f64 {
        let value = self.at(pointer);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{pointer} is {value}"))
    }

    #[track_caller]
    pub(crate) fn total(&self, name: &str) -> u64 {
        self.count(&format!("/totals/{name}"))
    }
}

/// A master and its workers.
pub(crate) struct Cluster {
    /// Where the master listens.
    pub(crate) address: String,
    pub(crate) master: Program,
    pub(crate) workers: Vec<Program>,
}

impl Cluster {
    /// Starts a master with the options of `line`, on a free port, and so many workers.
    pub(crate) fn start(line: &str, workers: usize) -> Self {
        Self::with(line, workers, "")
    }

    /// The same, with these options of the workers.
    pub(crate) fn with(line: &str, workers: usize, of_workers: &str) -> Self {
        let master = Program::start(&format!(
            "master --master-bind-port 0 --expect-workers {} {line}",
            workers.max(1)
        ));
        let address = master.wait_for_words("listening on ");
        let address = address.split(';').next().unwrap().to_owned();
        let worker = |_| {
            Program::start(&format!(
                "worker --master {address} --threads 1 {of_workers}"
            ))
        };
        Self {
            workers: (0..workers).map(worker).collect(),
            master,
            address,
        }
    }

    /// Waits for all of them.
    pub(crate) fn wait(self) -> (Ended, Vec<Ended>) {
        let workers = self.workers.into_iter().map(Program::wait).collect();
        (self.master.wait(), workers)
    }

    /// Waits for all of them; every one must have done what it was asked.
    #[track_caller]
    pub(crate) fn succeed(self) -> (Ended, Vec<Ended>) {
        let (master, workers) = self.wait();
        let workers = workers.into_iter().map(|worker| worker.expect(0)).collect();
        (master.expect(0), workers)
    }
}

/// The options that all runs of these tests share: a short prompt, five tokens, a seed, a result.
pub(crate) fn towards(mock: &MockHandle, line: &str) -> String {
    format!(
        "-H http://{} -m mock --provider openai -p 40 -o 5 --seed 7 --only-summary --start-spread 0s --json-file result.json {line}",
        mock.addr()
    )
}
