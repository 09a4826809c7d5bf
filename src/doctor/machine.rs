//! A machine's limits against what a load needs of them. What is read of `/proc` and `/sys` comes in as values or as text.

use std::collections::BTreeSet;

use super::finding::Finding;

/// Of what there is, so much may be needed before it counts as tight.
const COMFORTABLE: f64 = 0.8;
/// Of the memory, for the page cache and what else runs.
const COMFORTABLE_MEMORY: f64 = 0.5;
/// Share of the processors' time that may be stolen before figures suffer, as the verdict on a run has it.
const MOST_STOLEN: f64 = 0.05;
/// Share of the processors' time that others may use.
const MOST_USED: f64 = 0.25;
/// Free bytes below which a disk is full soon.
const LITTLE_ROOM: u64 = 256 * MIB;
const MIB: u64 = 1024 * 1024;
/// How long a closed connection keeps its port (`TIME_WAIT` of Linux), in seconds.
const PORT_RESTS_S: u64 = 60;

/// Open files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files {
    /// How many there may be; `None` without a limit.
    pub(crate) limit: Option<u64>,
    /// How many a part with these users needs.
    pub(crate) needed: u64,
    /// The users.
    pub(crate) users: u32,
}

/// Whether the users' connections may be open.
pub(crate) fn files(of: Files) -> Finding {
    const CHECK: &str = "open files";
    let hint = "ulimit -n, LimitNOFILE= of a unit, --ulimit nofile= of a container; or fewer users, or more workers";
    let needed = format!("{} are needed for -u {}", of.needed, of.users);
    match of.limit {
        None => Finding::ok(CHECK, format!("no limit; {needed}")),
        Some(limit) => {
            let words = format!("{limit} may be open; {needed}");
            if of.needed > limit {
                Finding::problem(CHECK, words, hint)
            } else if is_tight(of.needed, limit, COMFORTABLE) {
                Finding::warning(CHECK, words, hint)
            } else {
                Finding::ok(CHECK, words)
            }
        }
    }
}

/// Local ports towards one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// The first and the last that connections get, where the system tells.
    pub(crate) range: Option<(u16, u16)>,
    /// Addresses that connections are made from.
    pub(crate) sources: u64,
    /// Connections that are open at once.
    pub(crate) connections: u64,
    /// Each request opens its own.
    pub(crate) renewed: bool,
}

/// Whether the connections get ports.
pub(crate) fn ports(of: Ports) -> Finding {
    const CHECK: &str = "local ports";
    let hint = "--source-ip with further addresses of this machine, a wider net.ipv4.ip_local_port_range, kept connections, or more workers";
    let Some((first, last)) = of.range else {
        return Finding::skipped(CHECK, "the system does not tell their range");
    };
    let each = u64::from(last.saturating_sub(first)) + 1;
    let there = each * of.sources.max(1);
    let words = format!(
        "{there} towards one server; {} connections are open at once",
        of.connections
    );
    if of.connections > there {
        return Finding::problem(CHECK, words, hint);
    }
    if of.renewed {
        let words = format!(
            "{words}, and each request takes one for a minute: {} requests/s at most",
            there / PORT_RESTS_S
        );
        return Finding::warning(CHECK, words, hint);
    }
    if is_tight(of.connections, there, COMFORTABLE) {
        return Finding::warning(CHECK, words, hint);
    }
    Finding::ok(CHECK, words)
}

/// Processors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// Threads that send.
    pub(crate) threads: u32,
    /// Processors that this process may run on.
    pub(crate) there: u32,
    /// Processors' worth of time that its control group gives it, where that is limited.
    pub(crate) quota: Option<f64>,
}

/// Whether each sending thread has a processor.
pub(crate) fn cores(of: Cores) -> Finding {
    const CHECK: &str = "cores";
    let words = format!("{} send, of {} that may be used", of.threads, of.there);
    match of.quota {
        Some(quota) if quota < f64::from(of.threads) => Finding::warning(
            CHECK,
            format!(
                "{words}; the control group gives the time of {quota:.2}: whoever has used it up stands still for a while"
            ),
            "a limit of whole processors above --threads, or none, for the container",
        ),
        _ if of.threads > of.there => Finding::warning(
            CHECK,
            words,
            "fewer --threads: two on one processor make each other late",
        ),
        Some(quota) => Finding::ok(
            CHECK,
            format!("{words}; the control group gives the time of {quota:.2}"),
        ),
        None => Finding::ok(CHECK, words),
    }
}

/// The processors' worth of time in a control group's `cpu.max` (`QUOTA PERIOD`, or `max PERIOD`).
pub(crate) fn quota_of(cpu_max: &str) -> Option<f64> {
    let mut words = cpu_max.split_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (period > 0.0).then_some(quota / period)
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What can be had, where the system tells.
    pub(crate) available: Option<u64>,
    /// What a load needs, about.
    pub(crate) needed: u64,
}

/// What so many users on so many threads need, about: a generous estimate of the program, of each thread's histograms and of
/// each stream with its connection and prompt.
pub(crate) fn needed_memory(users: u32, threads: u32) -> u64 {
    64 * MIB + 32 * MIB * u64::from(threads) + 64 * 1024 * u64::from(users)
}

/// Whether there is memory for the load.
pub(crate) fn memory(of: Memory) -> Finding {
    const CHECK: &str = "memory";
    let hint = "fewer users, more workers, or a larger limit of the container";
    let Some(available) = of.available else {
        return Finding::skipped(CHECK, "the system does not tell what is available");
    };
    let words = format!(
        "{} MiB can be had; about {} MiB are needed",
        available / MIB,
        of.needed / MIB
    );
    if of.needed > available {
        Finding::problem(CHECK, words, hint)
    } else if is_tight(of.needed, available, COMFORTABLE_MEMORY) {
        Finding::warning(CHECK, words, hint)
    } else {
        Finding::ok(CHECK, words)
    }
}

/// What can be had: of `/proc/meminfo`, and of the control group's `memory.max` and `memory.current` where these are numbers.
pub(crate) fn room_of(meminfo: &str, most: Option<&str>, used: Option<&str>) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let number = |text: Option<&str>| text?.trim().parse::<u64>().ok();
    let limited = number(most).map(|most| most.saturating_sub(number(used).unwrap_or(0)));
    let machine = kib.saturating_mul(1024);
    Some(limited.map_or(machine, |limited| limited.min(machine)))
}

/// Whether processors keep their clock rate, by the names of their governors; empty where nothing is told.
pub(crate) fn governor(names: &BTreeSet<String>) -> Finding {
    const CHECK: &str = "cpu governor";
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    match all[..] {
        [] => Finding::skipped(
            CHECK,
            "the system tells of none, as virtual machines and containers often do not",
        ),
        ["performance"] => Finding::ok(CHECK, "performance"),
        _ => Finding::warning(
            CHECK,
            format!(
                "{}: a processor that is idle between tokens slows down",
                all.join(", ")
            ),
            "cpupower frequency-set -g performance",
        ),
    }
}

/// Shares of the processors' time, stolen and used, between two readings of `/proc/stat`.
pub(crate) fn shares_of(before: &str, after: &str) -> Option<(f64, f64)> {
    let (before, after) = (ticks_of(before)?, ticks_of(after)?);
    let mut spent = [0_u64; FIELDS];
    for (spent, (before, after)) in spent.iter_mut().zip(before.into_iter().zip(after)) {
        *spent = after.saturating_sub(before);
    }
    let all: u64 = spent.iter().sum();
    let [_, _, _, idle, waiting, _, _, stolen] = spent;
    #[expect(clippy::cast_precision_loss, reason = "ticks of a second")]
    let share = |ticks: u64| ticks as f64 / all as f64;
    (all > 0).then(|| (share(stolen), share(all - idle - waiting - stolen)))
}

/// User, nice, system, idle, waiting for a disk, two kinds of interrupts, stolen.
const FIELDS: usize = 8;

fn ticks_of(stat: &str) -> Option<[u64; FIELDS]> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut ticks = [0; FIELDS];
    let mut words = line.split_whitespace();
    for field in &mut ticks {
        *field = words.next()?.parse().ok()?;
    }
    Some(ticks)
}

/// Whether others use the processors, by shares of their time while this program did nothing: `stolen` by a hypervisor, `used` by
/// whatever runs here. `None` where nothing is told.
pub(crate) fn contention(shares: Option<(f64, f64)>) -> Finding {
    const CHECK: &str = "others";
    let Some((stolen, used)) = shares else {
        return Finding::skipped(CHECK, "the system does not tell who uses its processors");
    };
    let words = format!(
        "{:.1}% of the processors' time is used by other programs, {:.1}% given to other machines",
        100.0 * used,
        100.0 * stolen
    );
    if stolen > MOST_STOLEN {
        let hint = "a machine of its own, whose processors nobody else is given";
        Finding::warning(CHECK, words, hint)
    } else if used > MOST_USED {
        Finding::warning(
            CHECK,
            words,
            "end what else runs here, or send from another machine",
        )
    } else {
        Finding::ok(CHECK, words)
    }
}

/// Whether results can be written to `place`: why not, or the free bytes there, where the system tells.
pub(crate) fn disk(place: &str, found: Result<Option<u64>, String>) -> Finding {
    const CHECK: &str = "disk";
    match found {
        Err(why) => Finding::problem(
            CHECK,
            format!("nothing can be written to {place}: {why}"),
            "another folder, or its permissions",
        ),
        Ok(None) => Finding::ok(CHECK, format!("{place} can be written to")),
        Ok(Some(free)) => {
            let words = format!("{place} can be written to, {} MiB are free", free / MIB);
            if free < LITTLE_ROOM {
                let hint = "make room, or another folder: --records takes about 1 KB a request";
                Finding::warning(CHECK, words, hint)
            } else {
                Finding::ok(CHECK, words)
            }
        }
    }
}

/// Whether `needed` is more than the share `comfortable` of `there`.
fn is_tight(needed: u64, there: u64, comfortable: f64) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of counts far below 2^53"
    )]
    let share = needed as f64 / there.max(1) as f64;
    share > comfortable
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn files_and_ports_are_held_against_the_users() {
        let of = |limit, needed| {
            files(Files {
                limit,
                needed,
                users: 100,
            })
            .level
        };
        assert_eq!(of(None, 1 << 40), Level::Ok);
        assert_eq!(of(Some(1_000), 800), Level::Ok);
        assert_eq!(of(Some(1_000), 801), Level::Warning);
        assert_eq!(of(Some(1_000), 1_000), Level::Warning);
        assert_eq!(of(Some(1_000), 1_001), Level::Problem);
        let towards = |connections, sources, renewed| {
            ports(Ports {
                range: Some((32_768, 60_999)),
                sources,
                connections,
                renewed,
            })
        };
        assert_eq!(towards(28_232, 1, false).level, Level::Warning);
        assert_eq!(towards(28_233, 1, false).level, Level::Problem);
        assert_eq!(towards(28_233, 2, false).level, Level::Ok);
        let renewed = towards(10, 1, true);
        assert_eq!(renewed.level, Level::Warning);
        assert!(renewed.words.contains("470 requests/s"), "{renewed:?}");
    }

    #[test]
    fn a_quota_below_the_threads_is_told() {
        let of = |threads, there, quota| {
            cores(Cores {
                threads,
                there,
                quota,
            })
            .level
        };
        assert_eq!(of(2, 2, None), Level::Ok);
        assert_eq!(of(3, 2, None), Level::Warning);
        assert_eq!(of(2, 8, Some(1.5)), Level::Warning);
        assert_eq!(of(2, 8, Some(2.0)), Level::Ok);
        assert_eq!(quota_of("150000 100000\n"), Some(1.5));
        assert_eq!(quota_of("max 100000\n"), None);
        assert_eq!(quota_of("5 0"), None);
    }

    #[test]
    fn memory_is_the_least_of_the_machines_and_the_groups() {
        let meminfo = "MemTotal: 9 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(room_of(meminfo, None, None), Some(2 * MIB));
        assert_eq!(room_of(meminfo, Some("max\n"), Some("5")), Some(2 * MIB));
        let group = room_of(meminfo, Some("1048576\n"), Some("48576\n"));
        assert_eq!(group, Some(1_000_000));
        assert_eq!(room_of("MemTotal: 9 kB\n", None, None), None);
        let of = |available| {
            let needed = needed_memory(1_000, 2);
            memory(Memory { available, needed }).level
        };
        // 64 + 64 + 62.5 MiB.
        assert_eq!(of(Some(190 * MIB)), Level::Problem);
        assert_eq!(of(Some(191 * MIB)), Level::Warning);
        assert_eq!(of(Some(400 * MIB)), Level::Ok);
        assert_eq!(of(None), Level::Skipped);
    }

    #[test]
    fn what_others_do_to_the_processors_is_told() {
        let names = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(governor(&names(&[])).level, Level::Skipped);
        assert_eq!(governor(&names(&["performance"])).level, Level::Ok);
        let mixed = governor(&names(&["powersave", "performance"]));
        assert_eq!(mixed.level, Level::Warning);
        assert!(mixed.words.starts_with("performance, powersave:"));
        assert_eq!(contention(None).level, Level::Skipped);
        assert_eq!(contention(Some((0.05, 0.25))).level, Level::Ok);
        assert_eq!(contention(Some((0.06, 0.0))).level, Level::Warning);
        assert_eq!(contention(Some((0.0, 0.26))).level, Level::Warning);
    }

    #[test]
    fn time_between_two_readings_is_shared_out() {
        let before = "cpu  10 0 10 100 0 0 0 5 0 0\ncpu0 1 1\n";
        let after = "cpu  30 0 20 150 10 0 0 15 9 9\n";
        assert_eq!(shares_of(before, after), Some((0.1, 0.3)));
        assert_eq!(shares_of(before, before), None);
        assert_eq!(shares_of("cpu  1 2\n", after), None);
    }

    #[test]
    fn a_disk_is_full_before_its_last_byte() {
        let of = |found| disk("here", found).level;
        assert_eq!(of(Ok(Some(256 * MIB))), Level::Ok);
        assert_eq!(of(Ok(Some(255 * MIB))), Level::Warning);
        assert_eq!(of(Ok(None)), Level::Ok);
        assert_eq!(of(Err("read-only".to_owned())), Level::Problem);
    }
}
