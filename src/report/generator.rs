//! What the generator says of itself: how late it sent and read, where its stamps come from, how busy it was, the verdict.
//! It measures and judges nothing: both are done when it is called.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Context;
use crate::domain::format_span;
use crate::metrics::{CoreLoad, Generator, Metric, Series, Summary, Verdict, core_name};
use crate::plan::Asked;

/// The section's lines.
pub(crate) fn lines(ctx: &Context<'_>) -> Vec<String> {
    let generator = &ctx.summary.generator;
    let mut lines = Vec::new();
    lines.extend(load(ctx));
    lines.extend(delay(ctx.summary, Metric::SendDelay, "send delay"));
    let lag = if generator.has_loop_lag() {
        "event-loop lag"
    } else {
        "receive lag"
    };
    lines.extend(delay(ctx.summary, Metric::ReceiveLag, lag));
    lines.push(format!("stamps: {}", stamps(generator)));
    if generator.clock_steps > 0 {
        lines.push(format!(
            "the wall clock was set {} times; for a moment after each, stamps were clock reads",
            generator.clock_steps
        ));
    }
    if let Some(share) = generator.shared_share() {
        lines.push(format!(
            "{} of {} content events ({}) share the stamp of a later one that the same read returned",
            generator.shared,
            generator.events,
            percent(share, 2)
        ));
    }
    lines.extend(cores(generator));
    lines.extend(machine(generator));
    lines.extend(verdict(ctx.verdict));
    lines
}

/// The load that was asked for and the one that was sent.
fn load(ctx: &Context<'_>) -> Option<String> {
    let sent = ctx.summary.sent_per_s()?;
    let Some(asked) = asked(ctx) else {
        return Some(format!("sent {sent:.2} requests/s"));
    };
    let first = if ctx.is_of_several_loads() {
        " at first"
    } else {
        ""
    };
    Some(format!("asked for {asked}{first}, sent {sent:.2}/s"))
}

/// The load of an open loop, and what that is on average in the window where it is no single rate.
pub(crate) fn asked(ctx: &Context<'_>) -> Option<String> {
    let words = match ctx.plan.asked() {
        Asked::Users(_) => return None,
        Asked::Rate { per_s, law } => return Some(format!("{per_s} requests/s ({law})")),
        Asked::Rates {
            lowest,
            highest,
            law,
        } => format!("{lowest} to {highest} requests/s ({law})"),
        Asked::Burst { users, every } => {
            format!("bursts of {users} requests every {}", format_span(every))
        }
        Asked::Trace { requests } => format!("the {requests} requests of a trace"),
    };
    Some(match ctx.asked_per_s() {
        Some(mean) => format!("{words}, {mean:.2}/s on average"),
        None => words,
    })
}

fn delay(summary: &Summary, metric: Metric, name: &str) -> Option<String> {
    let series = summary.get(metric)?;
    let at = |q| {
        Some(format!(
            "{}{}",
            doubt(series, q),
            millis(series.percentile(q)?)
        ))
    };
    Some(format!(
        "{name} p50 {}, p99 {}, max {}",
        at(0.5)?,
        at(0.99)?,
        millis(series.max()?)
    ))
}

/// The tables' mark of a percentile that has too few values beyond it.
fn doubt(series: &Series, q: f64) -> &'static str {
    if series.supports(q) { "" } else { "~" }
}

/// Where the stamps come from, in words.
fn stamps(generator: &Generator) -> String {
    let (reads, kernel) = (generator.reads, generator.kernel_stamped);
    let Some(share) = generator.kernel_stamped_share() else {
        return "none, for nothing of an answer was read".to_owned();
    };
    if kernel == 0 {
        return format!("a clock read after each of {reads} reads");
    }
    let mut words = format!(
        "the kernel's for {kernel} of {reads} reads ({})",
        percent(share, 2)
    );
    if kernel < reads {
        words.push_str(", a clock read after each of the others");
    }
    words
}

fn cores(generator: &Generator) -> Option<String> {
    let count = generator.cores.len();
    let (core, load) = generator.busiest(0)?;
    let mut line = format!(
        "cores: {count}, the busiest of them ({}) busy for {}",
        core_name(core),
        percent(load.busy_share()?, 1)
    );
    let waited = load.kept_waiting_share()?;
    // A string takes every character.
    let _ = write!(
        line,
        " of {:.1} s: running {}, waiting for a processor {}",
        seconds(load.wall_ns),
        percent(load.busy_share()? - waited, 1),
        percent(waited, 1)
    );
    Some(line)
}

fn machine(generator: &Generator) -> Option<String> {
    let machine = &generator.machine;
    let stolen = machine
        .stolen_share()
        .map(|share| format!("{} of their time stolen", percent(share, 1)));
    let rate = machine.mhz.map(|(lowest, highest)| {
        if lowest == highest {
            format!("{lowest} MHz")
        } else {
            format!("{lowest} to {highest} MHz")
        }
    });
    let told: Vec<_> = [stolen, rate].into_iter().flatten().collect();
    (!told.is_empty()).then(|| format!("the machine's processors: {}", told.join(", ")))
}

/// One line a reason, the gravest first.
fn verdict(verdict: Option<&Verdict>) -> Vec<String> {
    let Some(verdict) = verdict else {
        return vec!["no verdict: nothing was measured".to_owned()];
    };
    if verdict.reasons.is_empty() {
        return vec![format!("verdict: {}", verdict.level)];
    }
    let reasons = verdict.reasons.iter();
    reasons
        .map(|reason| {
            format!(
                "verdict: {}: {}; hint: {}",
                reason.level, reason.words, reason.remedy
            )
        })
        .collect()
}

/// The `generator` of a result file.
pub(crate) fn object(generator: &Generator) -> Value {
    let cores = generator.cores.iter();
    let machine = &generator.machine;
    json!({
        "stamps": source(generator),
        "reads": generator.reads,
        "kernel_stamped_reads": generator.kernel_stamped,
        "content_events": generator.events,
        "content_events_sharing_a_stamp": generator.shared,
        "clock_steps": generator.clock_steps,
        "busiest_core": generator.busiest(0).map(|(core, _)| core),
        "cores": cores.map(|(core, load)| core_object(*core, load)).collect::<Vec<_>>(),
        "processor_ticks": machine.ticks,
        "stolen_ticks": machine.stolen,
        "stolen_share": machine.stolen_share(),
        "lowest_mhz": machine.mhz.map(|(lowest, _)| lowest),
        "highest_mhz": machine.mhz.map(|(_, highest)| highest),
    })
}

/// Where the stamps come from, in a word.
fn source(generator: &Generator) -> Option<&'static str> {
    match (generator.reads, generator.kernel_stamped) {
        (0, _) => None,
        (_, 0) => Some("clock"),
        (reads, kernel) if reads == kernel => Some("kernel"),
        _ => Some("mixed"),
    }
}

fn core_object(core: u32, load: &CoreLoad) -> Value {
    json!({
        "core": core,
        "observed_s": seconds(load.wall_ns),
        "running_s": seconds(load.cpu_ns),
        "kept_waiting_s": seconds(load.kept_waiting_ns),
        "busy_share": load.busy_share(),
    })
}

/// The `reasons` of a result file.
pub(crate) fn reasons(verdict: Option<&Verdict>) -> Vec<Value> {
    let reasons = verdict.into_iter().flat_map(|verdict| &verdict.reasons);
    reasons
        .map(|reason| {
            json!({
                "level": reason.level.name(),
                "name": reason.name,
                "text": reason.words,
                "hint": reason.remedy,
            })
        })
        .collect()
}

fn millis(nanos: u64) -> String {
    format!("{:.3} ms", super::number::shown(nanos))
}

fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$}%", share * 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "a time for display")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Machine;
    use crate::report::sample;

    #[test]
    fn the_source_of_the_stamps_is_always_named() {
        let of = |reads, kernel_stamped| {
            let generator = Generator {
                reads,
                kernel_stamped,
                ..Generator::default()
            };
            (source(&generator), stamps(&generator))
        };
        let words = |source, words: &str| (source, words.to_owned());
        assert_eq!(
            of(0, 0),
            words(None, "none, for nothing of an answer was read")
        );
        assert_eq!(
            of(7, 0),
            words(Some("clock"), "a clock read after each of 7 reads")
        );
        assert_eq!(
            of(7, 7),
            words(Some("kernel"), "the kernel's for 7 of 7 reads (100.00%)")
        );
        assert_eq!(
            of(8, 7),
            words(
                Some("mixed"),
                "the kernel's for 7 of 8 reads (87.50%), a clock read after each of the others"
            )
        );
    }

    #[test]
    fn what_the_system_does_not_tell_is_left_out() {
        let mut sample = sample::open();
        sample.summary.generator.cores.clear();
        sample.summary.generator.machine = Machine::default();
        sample.summary.generator.clock_steps = 2;
        sample.verdict = None;
        insta::assert_snapshot!(lines(&sample.context()).join("\n"), @r"
        asked for 2 requests/s (constant), sent 0.40/s
        send delay p50 0.000 ms, p99 ~0.000 ms, max 0.000 ms
        receive lag p50 0.020 ms, p99 ~0.020 ms, max 0.020 ms
        stamps: the kernel's for 12 of 12 reads (100.00%)
        the wall clock was set 2 times; for a moment after each, stamps were clock reads
        1 of 9 content events (11.11%) share the stamp of a later one that the same read returned
        no verdict: nothing was measured
        ");
    }

    #[test]
    fn the_load_that_was_asked_for_is_said_whatever_paces_it() {
        let second = json!({"secs": 2, "nanos": 0});
        let stage = json!({"from": 10.0, "to": 50.0, "lasts": {"secs": 10, "nanos": 0}});
        for (pacing, want) in [
            (json!("closed"), "sent 0.40 requests/s"),
            (
                json!({"stages": {"stages": [stage], "law": "exponential"}}),
                "asked for 10 to 50 requests/s (exponential), 30.00/s on average, sent 0.40/s",
            ),
            (
                json!({"burst": {"every": second}}),
                "asked for bursts of 4 requests every 2s, 2.00/s on average, sent 0.40/s",
            ),
            (
                json!({"trace": {"due_us": [0, 1, 2, 3]}}),
                "asked for the 4 requests of a trace, 0.40/s on average, sent 0.40/s",
            ),
        ] {
            let mut sample = sample::closed();
            sample.plan.schedule.pacing = serde_json::from_value(pacing).unwrap();
            sample.plan.schedule.spawn_rate = crate::schedule::AT_ONCE;
            assert_eq!(load(&sample.context()).as_deref(), Some(want));
        }
    }

    #[test]
    fn every_reason_of_a_verdict_has_a_line_with_its_remedy() {
        let mut sample = sample::open();
        sample.summary.counts.late_cancelled = 9;
        sample.summary.generator.machine.stolen = 200;
        sample.verdict = crate::metrics::judge(&sample.summary);
        let lines = lines(&sample.context());
        let verdict: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("verdict"))
            .collect();
        assert_eq!(
            verdict,
            [
                "verdict: INVALID: 9 of 4 requests came due and were never sent; hint: all users were busy: more of them (-u), \
                 a lower --qps, or a faster server",
                "verdict: STRAINED: the hypervisor gave 10.0% of the processors' time to somebody else; hint: a machine of its \
                 own, whose processors nobody else is given",
            ]
        );
    }
}
