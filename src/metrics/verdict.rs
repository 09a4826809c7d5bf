//! Whether a run's figures can be trusted: the generator's measurements of itself, held against limits.
//! It measures nothing, prints nothing and decides on no exit status.
//!
//! A run is **invalid** when the load that was asked for was not sent, or when this program itself was slow enough to be
//! seen in the figures; it is **strained** when that was close, or cannot be ruled out. The rules:
//!
//! | what | strained | invalid |
//! |---|---|---|
//! | requests that came due and were never sent | | > 1% of those scheduled |
//! | busiest core: on a processor, or waiting for one | ≥ 75% of the time | ≥ 95% |
//! | send delay, p99 | > L/2 | > L |
//! | receive lag, p99, where stamps are clock reads (the event loop's, by a timer of its own) | > R/2 | > R |
//! | receive lag, p99, where the kernel stamped ≥ 99% of reads | > R | > R, and > 5% of the content events share a stamp |
//! | processor time that a hypervisor gave to others | > 5% | |
//!
//! L is 1 ms, or 1% of the median time to first token (of the median total latency where nothing is streamed) where that is
//! more. R is L, but no more than 10% of the median time between chunks, or 1 ms where that is more. Of too few values for a p99 the worst one strains a run when it passes the whole limit.
//! Events that share a stamp while the lag is small
//! came together from the server: they are shown, and held against nobody.

use std::fmt;

use super::{CoreLoad, Metric, Series, Summary, core_name};

/// Share of the requests that may be due and never sent: the last few before the end always are in danger.
const MOST_UNSENT: f64 = 0.01;
/// Share of its time that the busiest core may be busy.
const MOST_BUSY: f64 = 0.95;
/// The same, before the run counts as strained.
const COMFORTABLY_BUSY: f64 = 0.75;
/// A core that was observed for less than about a second (the first report may come a moment early) tells nothing.
const LEAST_OBSERVED_NS: u64 = 900_000_000;
/// Share of the latency that users look at which may be the generator's own.
const MOST_OF_LATENCY: f64 = 0.01;
/// Share of the time between chunks which may be the generator's own.
const MOST_OF_GAP: f64 = 0.1;
/// Delays up to this are harmless beside any network, in nanoseconds.
const HARMLESS_NS: f64 = 1e6;
/// The percentile that delays are held to a limit by.
const TAIL: f64 = 0.99;
/// Share of reads that the kernel must have stamped for its stamps to be the rule.
const MOSTLY_STAMPED: f64 = 0.99;
/// Share of content events that may have been read together because a read came late.
const MOST_SHARED: f64 = 0.05;
/// Share of the processors' time that may be stolen.
const MOST_STOLEN: f64 = 0.05;

const ALL_USERS_BUSY: &str =
    "all users were busy: more of them (-u), a lower --qps, or a faster server";
const MORE_CORES: &str = "more cores (--threads), more machines (`llmload worker`), fewer streams (-u), or nothing else on this machine";
const OTHERS_COMPETE: &str = "something else used this machine's processors: leave them to this program, or send from another machine (`llmload worker`)";
const OWN_MACHINE: &str = "a machine of its own, whose processors nobody else is given";

/// How far the figures can be trusted, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The generator is not to be seen in the figures.
    Ok,
    /// It was close to being seen, or that it was cannot be ruled out.
    Strained,
    /// The figures show the generator, or another load than was asked for.
    Invalid,
}

impl fmt::Display for Level {
    /// The word in texts for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Strained => "STRAINED",
            Self::Invalid => "INVALID",
        })
    }
}

impl Level {
    /// The word in result files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Strained => "strained",
            Self::Invalid => "invalid",
        }
    }
}

/// The judgement of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The gravest level of all reasons; `Ok` without any.
    pub level: Level,
    /// Why, the gravest first.
    pub reasons: Vec<Reason>,
}

/// One limit that was passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// How grave it is.
    pub level: Level,
    /// Which rule, as result files call it.
    pub name: &'static str,
    /// What was seen, with its figures.
    pub words: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Judges a run that is over; `None` when nothing was measured that could be judged.
pub fn judge(summary: &Summary) -> Option<Verdict> {
    let measured = !summary.ramp_included && summary.phase.finished() > 0;
    let mut reasons: Vec<Reason> = not_sent(summary).into_iter().collect();
    if measured {
        let rules = [saturated, send_delay, receive_lag, stolen];
        reasons.extend(rules.into_iter().filter_map(|rule| rule(summary)));
    } else if reasons.is_empty() {
        return None;
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.level));
    let level = reasons.first().map_or(Level::Ok, |reason| reason.level);
    Some(Verdict { level, reasons })
}

fn not_sent(summary: &Summary) -> Option<Reason> {
    let counts = &summary.counts;
    let unsent = counts.dropped + counts.late_cancelled;
    (exact(unsent) > MOST_UNSENT * exact(counts.scheduled)).then(|| Reason {
        level: Level::Invalid,
        name: "not_sent",
        words: format!(
            "{unsent} of {} requests came due and were never sent",
            counts.scheduled
        ),
        remedy: ALL_USERS_BUSY,
    })
}

fn saturated(summary: &Summary) -> Option<Reason> {
    let (core, load) = summary.generator.busiest(LEAST_OBSERVED_NS)?;
    let busy = load.busy_share()?;
    let level = match busy {
        busy if busy >= MOST_BUSY => Level::Invalid,
        busy if busy >= COMFORTABLY_BUSY => Level::Strained,
        _ => return None,
    };
    let waited = load.kept_waiting_share()?;
    Some(Reason {
        level,
        name: "saturated",
        words: format!(
            "core {} was busy for {} of {:.1} s: running {}, waiting for a processor {}",
            core_name(core),
            percent(busy),
            exact(load.wall_ns) / 1e9,
            percent(busy - waited),
            percent(waited)
        ),
        remedy: if is_crowded_out(load) {
            OTHERS_COMPETE
        } else {
            MORE_CORES
        },
    })
}

/// Whether a core would have been at ease if it had not been kept waiting.
fn is_crowded_out(load: CoreLoad) -> bool {
    let alone = CoreLoad {
        kept_waiting_ns: 0,
        ..load
    };
    alone
        .busy_share()
        .is_some_and(|busy| busy < COMFORTABLY_BUSY)
}

fn send_delay(summary: &Summary) -> Option<Reason> {
    let limit = Limit::of(summary);
    let series = summary.get(Metric::SendDelay)?;
    let level = limit.level(series)?;
    Some(Reason {
        level,
        name: "send_delay",
        words: format!(
            "99% of the requests were sent within {} of the moment from which they could have been, {}",
            tail(series)?,
            limit.words(level, series)
        ),
        remedy: MORE_CORES,
    })
}

fn receive_lag(summary: &Summary) -> Option<Reason> {
    let limit = Limit::of_reads(summary);
    let series = summary.get(Metric::ReceiveLag)?;
    let level = limit.level(series)?;
    if summary.generator.has_loop_lag() {
        return Some(Reason {
            level,
            name: "receive_lag",
            words: format!(
                "99% of the event loop's timers were served within {} of their time, {}; stamps are clock reads, which were as late",
                tail(series)?,
                limit.words(level, series)
            ),
            remedy: MORE_CORES,
        });
    }
    let read = |stamps| {
        Some(format!(
            "99% of the reads came within {} of what they read, {}; {stamps}",
            tail(series)?,
            limit.words(level, series)
        ))
    };
    let stamped = summary.generator.kernel_stamped_share();
    if stamped.is_none_or(|share| share < MOSTLY_STAMPED) {
        return Some(Reason {
            level,
            name: "receive_lag",
            words: read("stamps are made by reading a clock after that")?,
            remedy: MORE_CORES,
        });
    }
    if !limit.is_passed(series) {
        return None;
    }
    let shared = summary.generator.shared_share().unwrap_or(0.0);
    let level = if shared > MOST_SHARED {
        level
    } else {
        Level::Strained
    };
    let events = percent(shared);
    let stamps = format!(
        "the kernel's stamps are exact all the same, but {events} of the content events were read with a later one and share its stamp"
    );
    Some(Reason {
        level,
        name: "receive_lag",
        words: read(&stamps)?,
        remedy: MORE_CORES,
    })
}

fn stolen(summary: &Summary) -> Option<Reason> {
    let share = summary.generator.machine.stolen_share()?;
    (share > MOST_STOLEN).then(|| Reason {
        level: Level::Strained,
        name: "stolen",
        words: format!(
            "the hypervisor gave {} of the processors' time to somebody else",
            percent(share)
        ),
        remedy: OWN_MACHINE,
    })
}

/// How much of its own delay a generator may add, and where that comes from.
struct Limit {
    nanos: f64,
    basis: &'static str,
}

impl Limit {
    fn of(summary: &Summary) -> Self {
        let median = |metric| {
            summary
                .get(metric)
                .and_then(|series| series.percentile(0.5))
        };
        let latencies = [
            (
                Metric::TimeToFirstToken,
                "1% of the median time to first token",
            ),
            (Metric::TotalLatency, "1% of the median total latency"),
        ];
        let latency = latencies
            .into_iter()
            .find_map(|(metric, basis)| Some((median(metric)?, basis)));
        let shares = latency.map(|(nanos, basis)| (exact(nanos) * MOST_OF_LATENCY, basis));
        match shares {
            Some((nanos, basis)) if nanos > HARMLESS_NS => Self { nanos, basis },
            _ => Self {
                nanos: HARMLESS_NS,
                basis: "the limit where latencies are short",
            },
        }
    }

    /// The same for reads: gaps between chunks are far shorter than latencies.
    fn of_reads(summary: &Summary) -> Self {
        let limit = Self::of(summary);
        let gap = summary
            .get(Metric::InterChunkLatency)
            .and_then(|series| series.percentile(0.5));
        match gap.map(|nanos| (exact(nanos) * MOST_OF_GAP).max(HARMLESS_NS)) {
            Some(nanos) if nanos < limit.nanos => Self {
                nanos,
                basis: if nanos > HARMLESS_NS {
                    "10% of the median time between chunks"
                } else {
                    "the limit where chunks come fast"
                },
            },
            _ => limit,
        }
    }

    fn is_passed(&self, series: &Series) -> bool {
        series
            .percentile(TAIL)
            .is_some_and(|nanos| exact(nanos) > self.nanos)
    }

    /// Half of the limit strains, all of it invalidates. Of few values, whose worst one stands for the p99, all of it strains.
    fn level(&self, series: &Series) -> Option<Level> {
        let nanos = exact(series.percentile(TAIL)?);
        let (strained, invalid) = if series.supports(TAIL) {
            (self.nanos / 2.0, self.nanos)
        } else {
            (self.nanos, f64::INFINITY)
        };
        if nanos > invalid {
            Some(Level::Invalid)
        } else {
            (nanos > strained).then_some(Level::Strained)
        }
    }

    fn words(&self, level: Level, series: &Series) -> String {
        let most = format!("{} ({})", millis(self.nanos), self.basis);
        match level {
            _ if !self.is_passed(series) => format!("more than half of {most}"),
            Level::Invalid => format!("more than {most}"),
            _ if series.supports(TAIL) => format!("more than {most}"),
            _ => format!(
                "more than {most}, as far as {} values can tell",
                series.count()
            ),
        }
    }
}

fn tail(series: &Series) -> Option<String> {
    series.percentile(TAIL).map(|nanos| millis(exact(nanos)))
}

fn millis(nanos: f64) -> String {
    format!("{:.2} ms", nanos / 1e6)
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and times of a run are far below 2^53"
)]
const fn exact(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
