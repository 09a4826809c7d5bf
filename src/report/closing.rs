//! The closing sections after the tables: was everything accounted for, can the figures be trusted, and what is in doubt.
//! Every kind of doubt is said once; no table and no file is written here.

use std::fmt::Write;

use super::{Context, PERCENTILES, generator, load, objectives, server, turns};
use crate::domain::{Outcome, TokenSource, Warning};
use crate::metrics::{Metric, Series, Summary};

/// All sections, each with a heading and indented lines.
pub fn sections(ctx: &Context<'_>) -> String {
    let mut text = String::new();
    for (heading, lines) in accounts(ctx) {
        section(&mut text, heading, lines);
        if heading == "Tokens" {
            section(&mut text, "Turns", turns::lines(ctx));
        }
    }
    section(&mut text, "Generator", generator::lines(ctx));
    section(&mut text, "Warnings", warnings(ctx));
    section(&mut text, "Workers", workers(ctx));
    section(&mut text, "Notes", notes(ctx));
    text
}

/// The sections that say what became of requests, load and tokens.
pub(super) fn accounts(ctx: &Context<'_>) -> [(&'static str, Vec<String>); 6] {
    [
        ("Requests", requests(ctx)),
        ("Load", load::lines(ctx)),
        ("Objectives", objectives::lines(ctx)),
        ("Tokens", tokens(ctx)),
        ("Connections", connections(ctx.summary)),
        ("Server", server::lines(ctx)),
    ]
}

fn section(text: &mut String, heading: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{heading}");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
    text.push('\n');
}

fn requests(ctx: &Context<'_>) -> Vec<String> {
    let summary = ctx.summary;
    let mut lines = conservation(summary);
    let failed: Vec<_> = summary
        .outcomes
        .iter()
        .filter(|(outcome, _)| outcome.is_failure())
        .map(|(outcome, count)| format!("{outcome} {count}"))
        .collect();
    if !failed.is_empty() {
        lines.push(format!("failed by kind: {}", failed.join(", ")));
    }
    lines.extend(cancelled(ctx));
    lines.push(figures_are_of(summary));
    lines.extend(match ctx.plan.observe.warmup_requests {
        0 => None,
        count => Some(format!(
            "{count} requests were sent before the run to warm the server up, and are counted nowhere"
        )),
    });
    lines
}

/// What cancelled requests mean for the figures, where they were asked for.
fn cancelled(ctx: &Context<'_>) -> Option<String> {
    let rate = ctx.plan.observe.cancel_rate;
    let phase = &ctx.summary.phase;
    let (count, of) = (
        phase.count(|outcome| outcome == Outcome::Cancelled),
        phase.finished(),
    );
    (rate > 0.0).then(|| {
        format!(
            "cancelled {count} of the {of} that the figures are of (--cancel-rate {rate} drops streams after their first \
             token): they are neither good nor failed, and stand in no latency"
        )
    })
}

/// Both identities, written out; a broken one is said aloud.
fn conservation(summary: &Summary) -> Vec<String> {
    let counts = &summary.counts;
    let waiting = match summary.waiting {
        0 => String::new(),
        waiting => format!(" + waiting {waiting}"),
    };
    let mut lines = vec![
        format!(
            "scheduled {} = sent {} + dropped {} + late-cancelled {} + lost {}{waiting}",
            counts.scheduled, counts.sent, counts.dropped, counts.late_cancelled, counts.lost
        ),
        format!(
            "sent {} = completed {} + failed {} + cancelled {} + in flight {}",
            counts.sent,
            summary.whole_run(Outcome::is_good),
            summary.whole_run(Outcome::is_failure),
            summary.whole_run(|outcome| outcome == Outcome::Cancelled),
            summary.in_flight
        ),
    ];
    if let Err(imbalance) = summary.balance {
        lines.push(format!("THIS DOES NOT ADD UP: {imbalance}"));
    }
    lines
}

pub(super) fn figures_are_of(summary: &Summary) -> String {
    let (count, seconds) = (summary.phase.finished(), summary.window_s());
    if summary.ramp_included {
        format!(
            "the run ended before anything was measured: the figures are of all {count} requests, the ramp included"
        )
    } else {
        format!(
            "the figures are of {count} requests sent in a window of {seconds:.1} s; {} before it are left out",
            summary.warmup_requests
        )
    }
}

fn tokens(ctx: &Context<'_>) -> Vec<String> {
    let summary = ctx.summary;
    let phase = &summary.phase;
    let mut lines = Vec::new();
    let generates = ctx.plan.provider.task.generates();
    let (output, prompt) = (phase.output_tokens, phase.prompt_tokens);
    if generates && output + prompt > 0 {
        let sources = sources(summary);
        lines.push(format!("output {output} ({sources}), prompt {prompt}"));
    } else if prompt > 0 {
        lines.push(format!("prompt {prompt}"));
    }
    if let (true, Some(inside), Some(whole)) = (
        generates,
        summary.output_tokens_per_s(),
        summary.whole_run_tokens_per_s(),
    ) {
        lines.push(format!(
            "output throughput {inside:.2} tokens/s in the window, {whole:.2} tokens/s over the whole run"
        ));
    }
    let tpot = summary.get(Metric::TimePerOutputToken);
    if let Some(mean_ns) = tpot.and_then(Series::mean).filter(|&ns| ns > 0.0) {
        lines.push(format!(
            "speed of one user {:.2} tokens/s after the first token (1 / mean time_per_output_token)",
            1e9 / mean_ns
        ));
    }
    lines.extend(prompt_lengths(summary));
    if ctx.plan.observe.first_visible_token {
        lines.push(
            "a first token is the first that is no reasoning, where there was one (--first-visible-token)".to_owned(),
        );
    }
    lines
}

fn sources(summary: &Summary) -> String {
    let word = |source: &TokenSource| match source {
        TokenSource::Usage => "the server's usage",
        TokenSource::Logprobs => "log probabilities",
        TokenSource::Tokenizer => "the tokenizer",
    };
    let sources = &summary.phase.token_sources;
    match sources.len() {
        0 => "of unknown source".to_owned(),
        1 => format!(
            "counted by {}",
            sources.keys().map(word).collect::<String>()
        ),
        _ => {
            let parts: Vec<_> = sources
                .iter()
                .map(|(source, count)| format!("{} for {count} requests", word(source)))
                .collect();
            format!("counted by {}", parts.join(", "))
        }
    }
}

fn prompt_lengths(summary: &Summary) -> Option<String> {
    let mean = |metric| summary.get(metric).and_then(super::number::mean);
    let asked = mean(Metric::RequestedPromptTokens)?;
    let real = mean(Metric::PromptTokens)?;
    Some(format!(
        "prompts were asked to be {asked:.1} tokens long and were {real:.1} ({:+.1})",
        real - asked
    ))
}

fn connections(summary: &Summary) -> Vec<String> {
    let (opened, reused) = (summary.connections_opened, summary.connections_reused);
    if opened + reused == 0 {
        return Vec::new();
    }
    let ahead = match summary.connections_warmed {
        0 => String::new(),
        warmed => format!(", of which {warmed} before they were needed"),
    };
    vec![format!("opened {opened}{ahead}, reused {reused} times")]
}

pub(super) fn warnings(ctx: &Context<'_>) -> Vec<String> {
    let mut lines: Vec<_> = ctx
        .summary
        .warnings
        .iter()
        .map(|(&warning, count)| {
            let need = users_hint(ctx, warning).unwrap_or_default();
            format!("{count} x {}: {}{need}", warning.name(), warning.text())
        })
        .collect();
    lines.extend(unsupported(ctx.summary));
    lines.extend(server::warnings(ctx));
    lines
}

/// How many users the rate takes by Little's law, beside the warning that there were too few.
fn users_hint(ctx: &Context<'_>, warning: Warning) -> Option<String> {
    let rate = ctx
        .asked_per_s()
        .filter(|_| warning == Warning::UsersTooFew)?;
    let need = ctx.summary.users_needed(rate)?;
    let rate = (rate * 1e3).round() / 1e3;
    let users = u64::from(ctx.plan.schedule.users);
    Some(if need > users {
        format!(
            "; hint: at {rate}/s and the mean latency seen, -u {need} or more are needed (there were {users})"
        )
    } else {
        format!(
            "; at {rate}/s and the mean latency seen, {need} of the {users} were busy on average: it was peaks that waited"
        )
    })
}

fn unsupported(summary: &Summary) -> Option<String> {
    let series = summary.get(Metric::TotalLatency)?;
    let lacking = PERCENTILES.iter().filter(|(_, q)| !series.supports(*q));
    let names: Vec<_> = lacking.map(|(name, _)| *name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} good requests are too few for these percentiles: {}",
            series.count(),
            names.join(" ")
        )
    })
}

fn workers(ctx: &Context<'_>) -> Vec<String> {
    if ctx.workers.is_empty() {
        return Vec::new();
    }
    let lengths = ctx.workers.iter().map(|worker| worker.name.chars().count());
    let width = lengths.max().unwrap_or(0).max("name".len());
    let all = ctx.workers.iter();
    let gaps = all.clone().any(|of| of.dropped + of.lost_requests > 0);
    let heading = if gaps { "   dropped      lost" } else { "" };
    let mut lines = vec![format!(
        "{:<width$} {:>9}{heading}  clock offset to the master",
        "name", "requests"
    )];
    lines.extend(all.map(|worker| {
        let clock = worker.clock.map_or("same clock".to_owned(), clock_words);
        let lost = if worker.lost { "  LOST" } else { "" };
        let books = if gaps {
            format!(" {:>9} {:>9}", worker.dropped, worker.lost_requests)
        } else {
            String::new()
        };
        format!(
            "{:<width$} {:>9}{books}  {clock}{lost}",
            worker.name, worker.requests
        )
    }));
    lines
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an offset shown to a microsecond"
)]
pub(super) fn clock_words((offset_ns, bound_ns): (i64, u64)) -> String {
    let (offset, bound) = (offset_ns as f64 / 1e6, bound_ns as f64 / 1e6);
    format!("{offset:+.3} ms ± {bound:.3} ms")
}

pub(super) fn notes(ctx: &Context<'_>) -> Vec<String> {
    let mut lines = ctx.notes.to_vec();
    lines.extend(
        ctx.failure
            .map(|failure| format!("the run failed: {failure}")),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn everything_a_reader_must_know_is_said() {
        let mut sample = sample::open();
        sample.summary.warnings.insert(Warning::UsersTooFew, 3);
        insta::assert_snapshot!(sections(&sample.context()), @r#"
        Requests
          scheduled 4 = sent 4 + dropped 0 + late-cancelled 0 + lost 0
          sent 4 = completed 3 + failed 1 + cancelled 0 + in flight 0
          failed by kind: http_5xx 1
          the figures are of 4 requests sent in a window of 10.0 s; 0 before it are left out

        Tokens
          output 12 (counted by the server's usage), prompt 300
          output throughput 1.20 tokens/s in the window, 18.69 tokens/s over the whole run
          speed of one user 100.00 tokens/s after the first token (1 / mean time_per_output_token)
          prompts were asked to be 100.0 tokens long and were 100.0 (+0.0)

        Connections
          opened 1, reused 3 times

        Generator
          asked for 2 requests/s (constant), sent 0.40/s
          send delay p50 0.000 ms, p99 ~0.000 ms, max 0.000 ms
          receive lag p50 0.020 ms, p99 ~0.020 ms, max 0.020 ms
          stamps: the kernel's for 12 of 12 reads (100.00%)
          1 of 9 content events (11.11%) share the stamp of a later one that the same read returned
          cores: 2, the busiest of them (1) busy for 35.0% of 9.0 s: running 25.0%, waiting for a processor 10.0%
          the machine's processors: 0.4% of their time stolen, 2596 to 2600 MHz
          verdict: OK

        Warnings
          3 x users_too_few: not enough users to keep up with the desired QPS: requests waited for a free one; at 2/s and the mean latency seen, 1 of the 4 were busy on average: it was peaks that waited
          3 good requests are too few for these percentiles: 75% 80% 90% 95% 98% 99% 99.9% 99.99%

        Workers
          name      requests   dropped      lost  clock offset to the master
          alpha-17         3         0         0  -1.250 ms ± 0.080 ms
          beta-4           1         0         4  same clock  LOST

        Notes
          no --run-time: stopped by hand
        "#);
    }

    #[test]
    fn what_was_asked_of_the_requests_is_said_where_it_changes_what_figures_mean() {
        let mut sample = sample::open();
        let plain = sections(&sample.context());
        let observe = &mut sample.plan.observe;
        (observe.cancel_rate, observe.warmup_requests) = (0.25, 8);
        observe.first_visible_token = true;
        sample.summary.phase.outcomes.insert(Outcome::Cancelled, 1);
        let text = sections(&sample.context());
        let new: Vec<_> = text.lines().filter(|line| !plain.contains(line)).collect();
        insta::assert_snapshot!(new.join("\n"), @r#"
        cancelled 1 of the 5 that the figures are of (--cancel-rate 0.25 drops streams after their first token): they are neither good nor failed, and stand in no latency
        the figures are of 5 requests sent in a window of 10.0 s; 0 before it are left out
        8 requests were sent before the run to warm the server up, and are counted nowhere
        a first token is the first that is no reasoning, where there was one (--first-visible-token)
        asked for 2 requests/s (constant), sent 0.50/s
        "#);
    }

    #[test]
    fn what_generates_nothing_has_no_output_to_tell_of() {
        for sample in [sample::embeddings(), sample::rerank()] {
            let text = sections(&sample.context());
            assert!(text.contains("\nTokens\n  prompt 400\n"), "{text}");
            assert!(!text.contains("output"), "{text}");
        }
    }

    #[test]
    fn what_does_not_add_up_is_said_aloud() {
        let mut sample = sample::closed();
        sample.summary.balance = Err(crate::metrics::Imbalance::Sent {
            sent: 5,
            accounted: 4,
        });
        let text = sections(&sample.context());
        assert!(text.contains(
            "  THIS DOES NOT ADD UP: `5` requests were sent and `4` are accounted for\n"
        ));
        assert!(text.contains("  sent 0.40 requests/s\n"));
    }

    #[test]
    fn connections_that_were_opened_ahead_are_told_apart() {
        let mut sample = sample::open();
        sample.summary.connections_opened = 9;
        sample.summary.connections_warmed = 8;
        let text = sections(&sample.context());
        let line = "\n  opened 9, of which 8 before they were needed, reused 3 times\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn a_run_that_measured_nothing_says_so() {
        let mut sample = sample::closed();
        sample.summary.ramp_included = true;
        let text = sections(&sample.context());
        assert!(text.contains("the run ended before anything was measured"));
    }
}
