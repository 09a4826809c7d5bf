//! What a process reads of itself and of its machine: clocks, CPU time, resident memory, cores.
//! It judges nothing.

use std::fs;
use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};

/// What a process has used up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// CPU time of all its threads, user and system, in nanoseconds.
    pub(super) cpu_ns: u64,
    /// Resident memory in KiB.
    pub(super) rss_kib: u64,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub(super) at_ns: u64,
}

impl Usage {
    /// Of this process, now.
    pub(super) fn now() -> io::Result<Self> {
        // The memory first: reading it costs more than the rest, and falls before the CPU time.
        let rss_kib = resident_kib()?;
        Ok(Self {
            rss_kib,
            at_ns: monotonic(),
            cpu_ns: nanos(clock_gettime(ClockId::ProcessCPUTime)),
        })
    }
}

impl Usage {
    /// Of the process `pid`; its memory is the most that it had so far.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let at_ns = monotonic();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let unclear = || io::Error::other(format!("/proc/{pid} is not understood"));
        Ok(Self {
            rss_kib: kib(&status, "VmHWM:").ok_or_else(unclear)?,
            at_ns,
            cpu_ns: ticks(&stat).ok_or_else(unclear)? * TICK_NS,
        })
    }
}

/// What the kernel counts CPU time of other processes in, on every architecture that this program runs on: 1/100 s.
const TICK_NS: u64 = 10_000_000;

/// User and system time out of `/proc/PID/stat`. The program's name, which may hold anything, ends with the last bracket.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The number of a line that begins with `field`.
fn kib(text: &str, field: &str) -> Option<u64> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// `CLOCK_MONOTONIC` in nanoseconds: comparable between the processes of a machine.
pub(super) fn monotonic() -> u64 {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// `CLOCK_REALTIME` − `CLOCK_MONOTONIC` in nanoseconds, from the closest of a few readings.
pub(super) fn wall_offset() -> i64 {
    let reading = || {
        let before = monotonic();
        let wall = nanos(clock_gettime(ClockId::Realtime));
        let after = monotonic();
        (
            after - before,
            wall.cast_signed() - (before + (after - before) / 2).cast_signed(),
        )
    };
    let readings = std::iter::repeat_with(reading).take(5);
    readings
        .min_by_key(|&(width, _)| width)
        .map_or(0, |(_, offset)| offset)
}

pub(super) fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + rest
}

pub(super) fn timespec(nanos: u64) -> Timespec {
    let part = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Timespec {
        tv_sec: part(nanos / 1_000_000_000),
        tv_nsec: part(nanos % 1_000_000_000),
    }
}

/// Resident memory of this process. `smaps_rollup` walks the pages and is exact; the counters behind `statm` may lag
/// by some hundred KiB a thread.
fn resident_kib() -> io::Result<u64> {
    let (path, field) = if fs::exists("/proc/self/smaps_rollup").unwrap_or(false) {
        ("/proc/self/smaps_rollup", "Rss:")
    } else {
        ("/proc/self/status", "VmRSS:")
    };
    let text = fs::read_to_string(path)?;
    kib(&text, field).ok_or_else(|| io::Error::other(format!("{path} does not tell `{field}`")))
}

/// The cores that this process may use.
pub(super) fn cores() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect())
}

/// Keeps this thread, and those that it starts from now on, on these cores.
pub(super) fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_uses_cpu_time_and_has_memory() {
        let before = Usage::now().unwrap();
        let mut held = Vec::new();
        while monotonic() < before.at_ns + 20_000_000 {
            held.push(monotonic());
        }
        let after = Usage::now().unwrap();
        assert!(after.cpu_ns > before.cpu_ns && after.rss_kib > 100);
        assert!(!held.is_empty());
    }

    #[test]
    fn a_process_is_seen_from_outside_as_it_sees_itself() {
        let own = Usage::now().unwrap();
        let seen = Usage::of(std::process::id()).unwrap();
        assert!(seen.cpu_ns.abs_diff(own.cpu_ns) < 3_000_000_000 && seen.at_ns >= own.at_ns);
        assert!(seen.rss_kib > 100);
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 30 12 13 14";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn the_wall_clock_is_the_monotonic_one_and_an_offset() {
        let wall = nanos(clock_gettime(ClockId::Realtime));
        let told = monotonic().cast_signed() + wall_offset();
        assert!((told - wall.cast_signed()).abs() < 1_000_000_000);
    }
}
