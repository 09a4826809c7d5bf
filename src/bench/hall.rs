//! One run of a master, a process of its own as users start it, with a crowd of synthetic workers in another.
//! It reads what the master uses from outside, and holds its result against what the crowd sent.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::crowd::METRICS;
use super::error::BenchError;
use super::lab::{CROWD, Lab, Process, Room, Scratch};
use super::message::{Child, CrowdDone, CrowdSpec, Said, Spread};
use super::meter::{self, Usage};

/// From the run's start until what is measured begins, and from its end to the run's: starting and ending are not counted.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_millis(1_500);
/// No master takes longer to listen, or to end after its workers.
const PATIENCE: Duration = Duration::from_secs(30);
/// Options that matter: closed loop, a user a worker, no server that could be asked.
const PLAN: &str = "master --master-bind-host 127.0.0.1 --master-bind-port 0 --expect-workers-max-wait 120s \
    --provider vllm --model x -H http://127.0.0.1:1 --json-file result.json --allow-invalid";
const LOG: &str = "log";

const MASTER: &str = "master process";

/// How many workers, for how long, and how much each says a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) workers: u32,
    pub(super) seconds: u32,
    pub(super) values: u32,
}

/// What one run gave.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Held {
    pub(super) workers: u32,
    /// Values of each of a worker's histograms each second.
    pub(super) values: u32,
    pub(super) metrics: usize,
    /// Of the master, during the steady part of the run.
    pub(super) cpu_ns: u64,
    /// Of the process of all workers: where it has no time to spare, what takes long took long there.
    pub(super) crowd_cpu_ns: u64,
    pub(super) wall_ns: u64,
    /// The most resident memory of the master up to then.
    pub(super) peak_kib: u64,
    /// Intervals that all workers handed over, and as many were merged.
    pub(super) intervals: u64,
    pub(super) round_trip: Spread,
    pub(super) delay: Spread,
    /// Workers that the master missed, and leases that ended before the next came.
    pub(super) missed: u64,
}

impl Lab {
    /// One run; an error when what was merged is not what was sent.
    pub(super) fn hold(&self, size: Size) -> Result<Held, BenchError> {
        let scratch = Scratch::new()?;
        let mut master = self.master(&scratch.0, size)?;
        let address = address(&scratch.0.join(LOG), &mut master)?;
        let crowd = CrowdSpec {
            cores: self.client_cores(1),
            master: address.to_string(),
            workers: size.workers,
            values: size.values,
        };
        let (voice, heard) = sync_channel(4);
        let crowd = self.start(CROWD, &Child::Crowd(crowd), &[], &voice)?;
        let pids = [master.child.id(), crowd.child.id()];
        let room = Room {
            heard,
            children: vec![crowd],
        };
        let begun_ns = room.expect("begun", |said| match said {
            Said::Begun(at) => Some(at),
            _ => None,
        })?;
        let steady = begun_ns + nanos(BEFORE);
        let over = begun_ns + u64::from(size.seconds) * 1_000_000_000 - nanos(AFTER);
        let [before, after] = [steady, over].map(|at| {
            thread::sleep(Duration::from_nanos(at.saturating_sub(meter::monotonic())));
            let usages = pids.map(Usage::of);
            let [master, crowd] =
                usages.map(|of| of.map_err(BenchError::system("see what it uses")));
            Ok::<_, BenchError>((master?, crowd?))
        });
        let ((before, crowd_before), (after, crowd_after)) = (before?, after?);
        let done = room.expect("crowd", |said| match said {
            Said::Crowd(done) => Some(done),
            _ => None,
        })?;
        end(&mut master)?;
        let missed = check(&scratch.0, size, &done)?;
        Ok(Held {
            workers: size.workers,
            values: size.values,
            metrics: METRICS.len(),
            cpu_ns: after.cpu_ns - before.cpu_ns,
            crowd_cpu_ns: crowd_after.cpu_ns - crowd_before.cpu_ns,
            wall_ns: after.at_ns - before.at_ns,
            peak_kib: after.rss_kib,
            intervals: done.intervals,
            round_trip: done.round_trip,
            delay: done.delay,
            missed: missed + done.lapses,
        })
    }

    /// The program as users start it, in a folder of its own and on a core of its own.
    fn master(&self, folder: &Path, size: Size) -> Result<Process, BenchError> {
        let log = File::create(folder.join(LOG)).map_err(BenchError::system("write a log"))?;
        let workers = size.workers.to_string();
        let seconds = format!("{}s", size.seconds);
        let mut command = Command::new(&self.program);
        command
            .current_dir(folder)
            .args(PLAN.split_whitespace())
            .args(["--expect-workers", &workers, "-u", &workers, "-r", &workers])
            .args(["-t", &seconds])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        // A process is on the cores of the thread that starts it.
        let pinned = meter::pin(&self.server_cores());
        let child = pinned.and_then(|()| command.spawn());
        let freed = meter::pin(&self.cores);
        let child = child.map_err(BenchError::system("start a master"))?;
        let process = Process {
            child,
            stdin: None,
            who: MASTER,
        };
        freed.map_err(BenchError::system("leave the master's core"))?;
        Ok(process)
    }
}

/// Where the master listens, which its log tells.
fn address(log: &Path, master: &mut Process) -> Result<SocketAddr, BenchError> {
    let late = meter::monotonic() + nanos(PATIENCE);
    loop {
        let text = fs::read_to_string(log).map_err(BenchError::system("read the master's log"))?;
        let rest = text.split_once("listening on ").map(|(_, rest)| rest);
        let word = rest.and_then(|rest| rest.split_once(['\n', ' ', ';', ',']));
        if let Some(address) = word.and_then(|(word, _)| word.parse().ok()) {
            return Ok(address);
        }
        let ended = master
            .child
            .try_wait()
            .map_err(BenchError::system("watch the master"))?;
        if ended.is_some() || meter::monotonic() > late {
            return Err(failed(format!("does not listen: {}", text.trim())));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn end(master: &mut Process) -> Result<(), BenchError> {
    let late = meter::monotonic() + nanos(PATIENCE);
    loop {
        let ended = master
            .child
            .try_wait()
            .map_err(BenchError::system("watch the master"))?;
        match ended {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(failed(format!("ended with {status}"))),
            None if meter::monotonic() > late => return Err(failed("does not end".to_owned())),
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn failed(what: String) -> BenchError {
    BenchError::Child { who: MASTER, what }
}

/// Holds the master's result against what was sent; returns how many workers it missed.
fn check(folder: &Path, size: Size, done: &CrowdDone) -> Result<u64, BenchError> {
    let read = |name| {
        fs::read_to_string(folder.join(name))
            .map_err(BenchError::system("read the master's result"))
    };
    let result: Value = serde_json::from_str(&read("result.json")?)?;
    let sent = done.intervals * u64::from(size.values);
    let mut told = vec![("sent", &result["totals"]["sent"])];
    let metrics = METRICS.map(|metric| (metric.name(), &result["metrics"][metric.key()]["count"]));
    told.extend(metrics);
    if let Some((name, told)) = told
        .into_iter()
        .find(|(_, told)| told.as_u64() != Some(sent))
    {
        return Err(BenchError::Counts(format!(
            "workers sent {} intervals with {sent} values of each kind; the master merged {told} of `{name}`",
            done.intervals
        )));
    }
    let workers = result["workers"].as_array().map_or(&[][..], Vec::as_slice);
    let lost = workers.iter().filter(|worker| worker["lost"] == true);
    let log = read(LOG)?;
    let named = log
        .lines()
        .filter(|line| line.contains("missing") || line.contains(" lost"));
    Ok(lost
        .count()
        .max(named.count())
        .try_into()
        .unwrap_or(u64::MAX))
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
