//! Reads what this machine tells of its limits, its processors and its clocks. It judges none of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::app::surroundings::{cores, wall_clock};
use crate::config::RunOptions;
use crate::doctor::{
    Cores, Exam, Files, Memory, Part, Ports, Steps, Synchronised, contention, files, governor,
    memory, needed_memory, ports, quota_of, room_of, shares_of, steps, synchronised, timers,
};
use crate::embed::open_files::needed;
use crate::plan::ConnectionReuse;

/// Sleeps that are tried, and how long each is.
const SLEEPS: u32 = 400;
const SLEEP: Duration = Duration::from_millis(1);
/// How long another program may take to tell of the clock.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn look(run: &RunOptions, exam: &mut Exam) {
    let settings = &run.settings;
    let threads = run.sending.threads.map_or_else(cores, u32::from);
    let users = settings.schedule.users;
    let reuse = settings.target.connection_reuse;
    let (connections, own) = needed(settings.target.http, reuse, users, threads);
    let ends = if run.mock { 2 } else { 1 };
    let mut note = |finding| exam.note(Part::Machine, finding);
    note(files(Files {
        limit: getrlimit(Resource::Nofile).current,
        needed: connections * ends + own,
        users,
    }));
    note(ports(Ports {
        range: port_range(),
        sources: run.sending.source_ips.len().max(1) as u64,
        connections,
        renewed: reuse == ConnectionReuse::Never,
    }));
    let groups = groups();
    note(crate::doctor::cores(Cores {
        threads,
        there: cores(),
        quota: quota(&groups),
    }));
    note(memory(Memory {
        available: available(&groups),
        needed: needed_memory(users, threads),
    }));
    note(governor(&governors()));
    let meanwhile = aside(watch).await;
    if let Some(meanwhile) = &meanwhile {
        note(contention(shares_of(&meanwhile.before, &meanwhile.after)));
    }
    let mut note = |finding| exam.note(Part::Clock, finding);
    if let Some(meanwhile) = meanwhile {
        note(timers(&meanwhile.late));
        note(steps(meanwhile.steps));
    }
    note(synchronised(time_of_day().await));
}

/// Does `work` on a thread of its own, which may outlive who waits for it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = oneshot::channel();
    let named = thread::Builder::new().name("doctor".to_owned());
    named
        .spawn(move || {
            // Whoever does not wait for it does not want it.
            let _ = tell.send(work());
        })
        .ok()?;
    told.await.ok()
}

fn port_range() -> Option<(u16, u16)> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = text.split_whitespace();
    Some((ends.next()?.parse().ok()?, ends.next()?.parse().ok()?))
}

/// The folders of this process's control group and of those that it lies in, of the second version.
fn groups() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let Some(path) = path else {
        return Vec::new();
    };
    let root = Path::new("/sys/fs/cgroup");
    let folder = root.join(path);
    let all = folder.ancestors().take_while(|it| it.starts_with(root));
    all.map(Path::to_owned).collect()
}

/// The least that any of them gives.
fn quota(groups: &[PathBuf]) -> Option<f64> {
    let read = |group: &PathBuf| fs::read_to_string(group.join("cpu.max")).ok();
    let quotas = groups.iter().filter_map(read);
    quotas
        .filter_map(|text| quota_of(&text))
        .min_by(f64::total_cmp)
}

fn available(groups: &[PathBuf]) -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let within = groups.iter().filter_map(|group| {
        let read = |name: &str| fs::read_to_string(group.join(name)).ok();
        let (most, used) = (read("memory.max"), read("memory.current"));
        room_of(&machine, most.as_deref(), used.as_deref())
    });
    within.chain(room_of(&machine, None, None)).min()
}

fn governors() -> BTreeSet<String> {
    let Ok(processors) = fs::read_dir("/sys/devices/system/cpu") else {
        return BTreeSet::new();
    };
    let files = processors
        .flatten()
        .map(|it| it.path().join("cpufreq/scaling_governor"));
    let names = files.filter_map(|file| fs::read_to_string(file).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// What happened while this program did nothing but sleep.
struct Meanwhile {
    late: Vec<Duration>,
    steps: Steps,
    /// `/proc/stat`.
    before: String,
    after: String,
}

fn watch() -> Meanwhile {
    let stat = || fs::read_to_string("/proc/stat").unwrap_or_default();
    let (before, begun, wall) = (stat(), Instant::now(), wall_clock());
    let late = (0..SLEEPS)
        .map(|_| {
            let due = Instant::now() + SLEEP;
            thread::sleep(SLEEP);
            Instant::now().saturating_duration_since(due)
        })
        .collect();
    let wall_s = match wall_clock().duration_since(wall) {
        Ok(span) => span.as_secs_f64(),
        Err(back) => -back.duration().as_secs_f64(),
    };
    Meanwhile {
        late,
        steps: Steps {
            monotonic: begun.elapsed(),
            wall_s,
        },
        before,
        after: stat(),
    }
}

/// What systemd knows of it, which has asked the kernel. The kernel's own call has no safe binding.
async fn time_of_day() -> Synchronised {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Synchronised::Yes;
    }
    let asking = aside(|| {
        let mut timedatectl = Command::new("timedatectl");
        let said = timedatectl.args(["show", "--property=NTPSynchronized", "--value"]);
        said.output().ok().map(|said| said.stdout)
    });
    let said = timeout(PATIENCE, asking).await.ok().flatten().flatten();
    match said.as_deref() {
        Some(b"yes\n") => Synchronised::Yes,
        Some(b"no\n") => Synchronised::No,
        _ => Synchronised::Untold,
    }
}
