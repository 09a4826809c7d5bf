//! The binary as a process with an environment and folders of its own, and what it left behind.
//! It starts no server and judges nothing.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use llmload::mock::{MockHandle, Script, spawn_thread};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::TOLERANT;

/// No run of these tests takes longer; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test: this build's, or the one that `LLMLOAD_BINARY` names.
pub(crate) fn binary() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_llmload"));
    std::env::var_os("LLMLOAD_BINARY").map_or_else(built, PathBuf::from)
}

/// A home and a working directory for one process, or for several that share them.
pub(crate) struct Place {
    folder: TempDir,
}

/// A process that is over.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process that goes on; it is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        Self { folder }
    }

    /// The working directory.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.file(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The lines of a records file.
    pub(crate) fn records(&self, name: &str) -> Vec<Value> {
        let text = self.read(name);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Every file below the working directory, with its content.
    pub(crate) fn files(&self) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    // A device may have no end.
                    let content = std::fs::read(&path).unwrap();
                    found.push((path, String::from_utf8_lossy(&content).into_owned()));
                }
            }
        }
        found
    }

    /// A command with nothing of this process's environment but the way to find programs.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.file("home"))
            // No test leaves this machine.
            .env("HF_HUB_OFFLINE", "1")
            .envs(TOLERANT)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        self.start(args, env).wait()
    }

    pub(crate) fn start(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        let mut command = self.command(binary());
        command.args(args).envs(env.iter().copied());
        Running::start(&mut command)
    }
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        Self {
            stdout: child.stdout.take().map(gather),
            stderr: child.stderr.take().map(gather),
            child,
        }
    }

    /// The process's end, which must come.
    pub(crate) fn wait(mut self) -> Ran {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break Some(status);
            }
            if started.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let joined = |thread: Option<JoinHandle<String>>| thread.unwrap().join().unwrap();
        let ran = Ran {
            status: status.and_then(|status| status.code()),
            stdout: joined(self.stdout.take()),
            stderr: joined(self.stderr.take()),
        };
        assert!(status.is_some(), "it hangs: {ran:#?}");
        ran
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is over already where `wait` was called.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gather(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Ran {
    /// What is told to a person who looks for the reason: the lines from `error:` on, without log lines.
    pub(crate) fn complaint(&self) -> String {
        let lines = self.stderr.lines();
        let lines: Vec<_> = lines
            .skip_while(|line| !line.starts_with("error:"))
            .collect();
        lines.join("\n")
    }

    pub(crate) fn expect(&self, status: i32) -> &Self {
        assert_eq!(
            self.status,
            Some(status),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// A mock whose tokens come at once, with these faults (`KIND=SHARE[:PARAM]`).
pub(crate) fn faulty(faults: &[&str]) -> MockHandle {
    serve(Script {
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..at_once()
    })
}

/// A script without any waiting.
pub(crate) fn at_once() -> Script {
    Script {
        ttft: "1ms".parse().unwrap(),
        inter_token: "0ms".parse().unwrap(),
        ..Script::default()
    }
}

pub(crate) fn serve(script: Script) -> MockHandle {
    spawn_thread(script, 1).unwrap()
}

pub(crate) fn url(mock: &MockHandle) -> String {
    format!("http://{}", mock.addr())
}

/// A command line without quotes, word by word.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The count of a name in an object of counts; 0 when it is not there.
pub(crate) fn count(counts: &Value, name: &str) -> u64 {
    counts[name].as_u64().unwrap_or(0)
}
