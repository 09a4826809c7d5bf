//! Clocks and timers: how late a thread wakes, whether somebody sets the wall clock, where stamps come from. It reads no clock.

use std::time::Duration;

use super::finding::Finding;

/// Wakings may be so late: what the verdict on a run calls harmless beside any network.
const HARMLESS: Duration = Duration::from_millis(1);
/// Later than this nothing can be sent on time.
const HOPELESS: Duration = Duration::from_millis(20);
/// The kernel slews a clock by at most 500 ppm; what is beyond that, and a reading's own time, is a step.
const SLEWED: f64 = 500e-6;
const READING: Duration = Duration::from_millis(1);
/// Share of the reads that the kernel must stamp for its stamps to be the rule.
const MOSTLY: f64 = 0.99;

/// How late a thread woke from each of its sleeps, in any order.
pub(crate) fn timers(late: &[Duration]) -> Finding {
    const CHECK: &str = "timers";
    let mut sorted = late.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().max(1) - 1));
    let (Some(&middle), Some(&tail), Some(&worst)) = (at(50), at(99), sorted.last()) else {
        return Finding::skipped(CHECK, "none was tried");
    };
    let us = |span: Duration| span.as_secs_f64() * 1e6;
    let words = format!(
        "{} sleeps ended late by p50 {:.0} µs, p99 {:.0} µs, at most {:.0} µs",
        sorted.len(),
        us(middle),
        us(tail),
        us(worst)
    );
    let hint = "nothing else on this machine, or one whose processors nobody else is given";
    if tail > HOPELESS {
        Finding::problem(CHECK, words, hint)
    } else if tail > HARMLESS {
        Finding::warning(CHECK, words, hint)
    } else {
        Finding::ok(CHECK, words)
    }
}

/// What two clocks did meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    /// By the monotonic clock.
    pub(crate) monotonic: Duration,
    /// By the wall clock, in seconds; it may have gone back.
    pub(crate) wall_s: f64,
}

/// Whether the wall clock was set while it was looked at.
pub(crate) fn steps(of: Steps) -> Finding {
    const CHECK: &str = "wall clock";
    let span = of.monotonic.as_secs_f64();
    let apart = of.wall_s - span;
    if apart.abs() > span * SLEWED + READING.as_secs_f64() {
        return Finding::warning(
            CHECK,
            format!("it was set by {:+.3} ms within {span:.1} s", apart * 1e3),
            "let it be slewed: stamps of the kernel are of this clock, and not trusted for a second after each step",
        );
    }
    Finding::ok(
        CHECK,
        format!(
            "it and the monotonic clock differ by {:+.3} ms after {span:.1} s",
            apart * 1e3
        ),
    )
}

/// Whether the wall clock follows another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synchronised {
    /// So says the system.
    Yes,
    /// The system says that it does not.
    No,
    /// Nobody says anything.
    Untold,
}

/// The same as a finding.
pub(crate) fn synchronised(is_it: Synchronised) -> Finding {
    const CHECK: &str = "time of day";
    match is_it {
        Synchronised::Yes => Finding::ok(CHECK, "synchronised"),
        Synchronised::No => Finding::warning(
            CHECK,
            "not synchronised: times in journals, records and pages are those of this clock alone",
            "chrony, ntpd or systemd-timesyncd; latencies do not depend on it",
        ),
        Synchronised::Untold => Finding::skipped(
            CHECK,
            "nobody here tells whether it is synchronised; latencies do not depend on it",
        ),
    }
}

/// Where the times of received bytes come from: the share that the kernel stamped, and whether that was `wanted`.
pub(crate) fn stamps(share: Option<f64>, wanted: bool) -> Finding {
    const CHECK: &str = "stamps";
    if !wanted {
        return Finding::ok(CHECK, "clock reads, as --stamps asks for");
    }
    match share {
        None => Finding::skipped(CHECK, "nothing was read"),
        Some(share) if share >= MOSTLY => Finding::ok(CHECK, "the kernel stamps what arrives"),
        Some(share) => Finding::warning(
            CHECK,
            format!(
                "the kernel stamped {:.0}% of the reads: the other times are when this program read",
                share * 100.0
            ),
            "Linux stamps what arrives; elsewhere keep the cores idle enough to read at once",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn late_timers_are_judged_by_their_tail() {
        let of = |tail_us: u64| {
            let late: Vec<_> = (0..200)
                .map(|at| Duration::from_micros(if at < 196 { 60 } else { tail_us }))
                .collect();
            timers(&late)
        };
        assert_eq!(of(1_000).level, Level::Ok);
        assert_eq!(of(1_001).level, Level::Warning);
        assert_eq!(of(20_001).level, Level::Problem);
        assert!(of(900).words.contains("p50 60 µs, p99 900 µs"));
        assert_eq!(timers(&[]).level, Level::Skipped);
        assert_eq!(timers(&[Duration::ZERO]).level, Level::Ok);
    }

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_is_slewed() {
        let of = |wall_s| {
            let monotonic = Duration::from_secs(2);
            steps(Steps { monotonic, wall_s }).level
        };
        assert_eq!(of(2.0019), Level::Ok);
        assert_eq!(of(2.0021), Level::Warning);
        assert_eq!(of(1.9979), Level::Warning);
        assert_eq!(of(-5.0), Level::Warning);
    }

    #[test]
    fn what_nobody_tells_is_no_fault() {
        assert_eq!(synchronised(Synchronised::Untold).level, Level::Skipped);
        assert_eq!(synchronised(Synchronised::No).level, Level::Warning);
        assert_eq!(stamps(Some(0.98), true).level, Level::Warning);
        assert_eq!(stamps(Some(0.0), false).level, Level::Ok);
        assert_eq!(stamps(None, true).level, Level::Skipped);
    }
}
