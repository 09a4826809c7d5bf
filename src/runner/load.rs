//! What the system tells of this program's work: the time of a core's thread, and of the machine's processors.
//! It judges nothing; where the system tells nothing, nothing is told.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::control::Control;
use super::engine::INTERVAL;
use crate::client::Clock;
use crate::domain::Offset;
use crate::metrics::{CoreLoad, Machine, Window};

/// Watches the thread that made it; each look tells what the thread did since the last one.
pub(super) struct ThreadWatch {
    at: Offset,
    used: Option<Used>,
}

/// A thread's time so far, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Used {
    cpu_ns: u64,
    kept_waiting_ns: u64,
}

impl ThreadWatch {
    /// From `now` on.
    pub(super) fn new(now: Offset) -> Self {
        Self {
            at: now,
            used: system::thread(),
        }
    }

    /// What the thread did since the last look, unless that was mostly outside of `window`.
    pub(super) fn look(&mut self, now: Offset, window: &Window) -> Option<CoreLoad> {
        let (from, before) = (self.at, self.used);
        (self.at, self.used) = (now, system::thread());
        let (before, after) = (before?, self.used?);
        is_mostly_inside(from, now, window).then(|| CoreLoad {
            wall_ns: now.nanos_since(from),
            cpu_ns: after.cpu_ns.saturating_sub(before.cpu_ns),
            kept_waiting_ns: after.kept_waiting_ns.saturating_sub(before.kept_waiting_ns),
        })
    }
}

/// Watches the machine once a second on a thread of its own: some systems take long to tell a clock rate.
/// The thread ends when this is dropped.
pub(super) struct MachineWatch {
    seen: Arc<Mutex<Machine>>,
    _end: SyncSender<()>,
}

impl MachineWatch {
    /// Watches from now on, and keeps what is mostly inside of the measured window.
    pub(super) fn start(
        clock: Clock,
        window_start: Offset,
        control: Arc<Control>,
    ) -> std::io::Result<Self> {
        let seen = Arc::new(Mutex::new(Machine::default()));
        let (end, ended) = sync_channel::<()>(0);
        let kept = Arc::clone(&seen);
        thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || {
                let (mut from, mut before) = (clock.now(), system::ticks());
                while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    let (now, after) = (clock.now(), system::ticks());
                    let window = control.window(window_start);
                    if is_mostly_inside(from, now, &window) {
                        let told = Machine {
                            mhz: system::mhz(),
                            ..between(before, after)
                        };
                        lock(&kept).merge(told);
                    }
                    (from, before) = (now, after);
                }
            })?;
        Ok(Self { seen, _end: end })
    }

    /// What was seen since the last time.
    pub(super) fn take(&self) -> Machine {
        std::mem::take(&mut *lock(&self.seen))
    }
}

fn lock(seen: &Mutex<Machine>) -> std::sync::MutexGuard<'_, Machine> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processor time of the machine since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    all: u64,
    stolen: u64,
}

/// The time between two looks. Systems are known to take stolen time back: then there is none.
fn between(before: Option<Ticks>, after: Option<Ticks>) -> Machine {
    let ticks = before
        .zip(after)
        .and_then(|(before, after)| after.all.checked_sub(before.all).zip(Some((before, after))));
    match ticks {
        None => Machine::default(),
        Some((all, (before, after))) => Machine {
            ticks: all,
            stolen: after.stolen.saturating_sub(before.stolen).min(all),
            mhz: None,
        },
    }
}

/// Whether at least half of the time from `from` to `to` lies in `window`.
fn is_mostly_inside(from: Offset, to: Offset, window: &Window) -> bool {
    let start = from.max(window.start);
    let end = window.end.map_or(to, |end| end.min(to));
    let inside = end.nanos_since(start);
    inside > 0 && inside >= to.nanos_since(from) / 2
}

#[cfg(target_os = "linux")]
mod system {
    //! Linux: `/proc` and `/sys`.

    use std::fs;

    use rustix::time::{ClockId, clock_gettime};

    use super::{
        Ticks, Used, mhz_of_cpuinfo, mhz_of_khz, range, ticks_of_stat, waited_of_schedstat,
    };

    pub(super) fn thread() -> Option<Used> {
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(cpu.tv_sec).ok()?;
        let nanos = u64::try_from(cpu.tv_nsec).ok()?;
        // Kernels without scheduler statistics have no such file.
        let waited = fs::read_to_string("/proc/thread-self/schedstat").ok();
        Some(Used {
            cpu_ns: seconds * 1_000_000_000 + nanos,
            kept_waiting_ns: waited.as_deref().and_then(waited_of_schedstat).unwrap_or(0),
        })
    }

    pub(super) fn ticks() -> Option<Ticks> {
        ticks_of_stat(&fs::read_to_string("/proc/stat").ok()?)
    }

    pub(super) fn mhz() -> Option<(u32, u32)> {
        governed().or_else(|| mhz_of_cpuinfo(&fs::read_to_string("/proc/cpuinfo").ok()?))
    }

    /// Of the processors whose clock rate the system governs.
    fn governed() -> Option<(u32, u32)> {
        let processors = fs::read_dir("/sys/devices/system/cpu").ok()?;
        let rates = processors.flatten().filter_map(|processor| {
            let file = processor.path().join("cpufreq/scaling_cur_freq");
            mhz_of_khz(&fs::read_to_string(file).ok()?)
        });
        range(rates)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    //! Elsewhere: nothing is told.

    use super::{Ticks, Used};

    pub(super) const fn thread() -> Option<Used> {
        None
    }

    pub(super) const fn ticks() -> Option<Ticks> {
        None
    }

    pub(super) const fn mhz() -> Option<(u32, u32)> {
        None
    }
}

/// Nanoseconds that a thread waited for a processor: the second number of `schedstat`.
#[cfg(any(target_os = "linux", test))]
fn waited_of_schedstat(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// The sum of all processors: `cpu`, then the ticks of user, nice, system, idle, iowait, irq, softirq, steal; the time of
/// guests after them is part of user and nice already.
#[cfg(any(target_os = "linux", test))]
fn ticks_of_stat(text: &str) -> Option<Ticks> {
    const KINDS: usize = 8;
    const STEAL: usize = 7;
    let mut words = text.lines().next()?.split_whitespace();
    words.next().filter(|&word| word == "cpu")?;
    let kinds: Result<Vec<u64>, _> = words.take(KINDS).map(str::parse).collect();
    let kinds = kinds.ok().filter(|kinds| kinds.len() == KINDS)?;
    let all = kinds
        .iter()
        .try_fold(0_u64, |sum, &ticks| sum.checked_add(ticks));
    Some(Ticks {
        all: all?,
        stolen: kinds[STEAL],
    })
}

/// Of every `cpu MHz` line.
#[cfg(any(target_os = "linux", test))]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
fn mhz_of_cpuinfo(text: &str) -> Option<(u32, u32)> {
    let rate = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let mhz: f64 = value.trim().parse().ok()?;
        (name.trim() == "cpu MHz" && mhz >= 1.0).then(|| mhz.round() as u32)
    };
    range(text.lines().filter_map(rate))
}

/// Of a number of kHz.
#[cfg(any(target_os = "linux", test))]
fn mhz_of_khz(text: &str) -> Option<u32> {
    let khz: u32 = text.trim().parse().ok()?;
    (khz >= 1_000).then(|| khz.saturating_add(500) / 1_000)
}

#[cfg(any(target_os = "linux", test))]
fn range(rates: impl Iterator<Item = u32>) -> Option<(u32, u32)> {
    rates.fold(None, |range, mhz| match range {
        None => Some((mhz, mhz)),
        Some((lowest, highest)) => Some((mhz.min(lowest), mhz.max(highest))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Offset {
        Offset::from_nanos(at * 1_000_000)
    }

    #[test]
    fn the_wait_is_the_second_number_of_schedstat() {
        assert_eq!(waited_of_schedstat("901 1966555 17\n"), Some(1_966_555));
        assert_eq!(waited_of_schedstat("901"), None);
        assert_eq!(waited_of_schedstat(""), None);
    }

    #[test]
    fn the_machines_time_is_its_first_line_without_the_guests() {
        let text = "cpu  10 2 30 1000 4 5 6 70 9 8\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        let want = Ticks {
            all: 1_127,
            stolen: 70,
        };
        assert_eq!(ticks_of_stat(text), Some(want));
        assert_eq!(ticks_of_stat("cpu  10 2 30 1000 4 5 6\n"), None);
        assert_eq!(ticks_of_stat("intr 10 2 30 1000 4 5 6 7\n"), None);
        assert_eq!(ticks_of_stat("cpu 1 2 3 x 5 6 7 8\n"), None);
        assert_eq!(ticks_of_stat(""), None);
    }

    #[test]
    fn clock_rates_are_a_range_in_megahertz() {
        let text =
            "processor\t: 0\ncpu MHz\t\t: 2596.120\nmodel: x\ncpu MHz : 800.6\ncpu MHz : 0.000\n";
        assert_eq!(mhz_of_cpuinfo(text), Some((801, 2_596)));
        assert_eq!(mhz_of_cpuinfo("model name : A 2000 MHz\n"), None);
        assert_eq!(mhz_of_khz("3400123\n"), Some(3_400));
        assert_eq!(mhz_of_khz("<unknown>\n"), None);
        assert_eq!(range([3, 1, 2].into_iter()), Some((1, 3)));
    }

    #[test]
    fn stolen_time_is_what_was_added_and_never_more_than_there_was() {
        let ticks = |all, stolen| Some(Ticks { all, stolen });
        let machine = |ticks, stolen| Machine {
            ticks,
            stolen,
            mhz: None,
        };
        assert_eq!(between(ticks(100, 5), ticks(300, 9)), machine(200, 4));
        assert_eq!(between(ticks(100, 5), ticks(300, 4)), machine(200, 0));
        assert_eq!(between(ticks(100, 5), ticks(101, 9)), machine(1, 1));
        assert_eq!(between(ticks(100, 5), ticks(99, 5)), machine(0, 0));
        assert_eq!(between(None, ticks(300, 9)), machine(0, 0));
    }

    #[test]
    fn an_interval_counts_when_at_least_half_of_it_is_measured() {
        let window = Window {
            start: ms(1_500),
            end: Some(ms(4_000)),
        };
        let inside = |from, to| is_mostly_inside(ms(from), ms(to), &window);
        assert!(!inside(0, 1_000));
        assert!(inside(1_000, 2_000));
        assert!(!inside(900, 1_900));
        assert!(inside(2_000, 3_000));
        assert!(inside(3_500, 4_500));
        assert!(!inside(3_600, 4_600));
        assert!(!inside(4_000, 5_000));
        assert!(!inside(2_000, 2_000));
        let open = Window {
            end: None,
            ..window
        };
        assert!(is_mostly_inside(ms(4_000), ms(5_000), &open));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_computes_is_busy_and_one_that_sleeps_is_not() {
        let window = Window::default();
        let mut watch = ThreadWatch::new(ms(0));
        let used = |watch: &ThreadWatch| watch.used.unwrap().cpu_ns;
        let before = used(&watch);
        let until = before + 20_000_000;
        while system::thread().unwrap().cpu_ns < until {}
        let load = watch.look(ms(1_000), &window).unwrap();
        assert!(load.cpu_ns >= 20_000_000, "{load:?}");
        assert_eq!(load.wall_ns, 1_000_000_000);
        thread::sleep(std::time::Duration::from_millis(50));
        let load = watch.look(ms(2_000), &window).unwrap();
        assert!(load.cpu_ns < 20_000_000, "{load:?}");
        let outside = Window {
            start: ms(9_000),
            end: None,
        };
        assert_eq!(watch.look(ms(3_000), &outside), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells_its_time() {
        let before = system::ticks();
        assert!(before.is_some());
        thread::sleep(std::time::Duration::from_millis(50));
        assert!(between(before, system::ticks()).ticks > 0);
    }
}
