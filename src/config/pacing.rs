//! The options that say when requests are sent and which of them are good: arguments, and what they come to.
//! What they mean beside each other is decided here; a schedule is walked elsewhere.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::build::{Builder, Result};
use super::cli::LoadArgs;
use super::error::Fault;
use super::value;
use crate::domain::{Rate, Slo, format_span, parse_span};
use crate::schedule::{self, AT_ONCE, Curve, Law, Pacing, Ramp, Stage, Think};

/// How requests are paced, beside users and rate.
#[derive(Args)]
#[command(next_help_heading = "Load")]
pub(super) struct PacingArgs {
    /// Gaps between requests with --qps and --stages: even, uniform, a Poisson process, or gamma
    #[arg(long, value_name = "LAW", default_value = "constant", value_parser = value::choice(value::LAWS))]
    pub qps_distribution: Law,
    /// Shape of gamma gaps: 1 is a Poisson process, less comes in bursts, more is evener
    #[arg(long, value_name = "F", default_value = "1.0", value_parser = value::burstiness)]
    pub burstiness: f64,
    /// Open loop in stages: RATEqps:SPAN or FROM-TOqps:SPAN, with commas (10qps:1m,10-50qps:2m)
    #[arg(long, value_name = "LIST", value_delimiter = ',', action = ArgAction::Append)]
    pub stages: Vec<String>,
    /// All users send at once, again and again, this many seconds apart
    #[arg(long, value_name = "SPAN", value_parser = value::positive_span)]
    pub burst: Option<Duration>,
    /// Grow from one user to all, or from 1 request/s to --qps, over this time
    #[arg(long, value_name = "SPAN", value_parser = value::positive_span)]
    pub ramping_time: Option<Duration>,
    /// Hold the one before growing for this time
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = value::span)]
    pub ramping_warmup_time: Duration,
    /// Grow by factors, or by steps
    #[arg(long, value_name = "CURVE", default_value = "geometric", value_parser = value::choice(value::CURVES))]
    pub ramping_curve: Curve,
    /// A user thinks between an answer and its next request: SPAN, FROM-TO, or exp:MEAN
    #[arg(long, value_name = "LAW")]
    pub think_time: Option<String>,
    /// Delay each user's first request by up to this, so that they do not march in step
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = value::span)]
    pub start_spread: Duration,
    /// Send this many requests before the run; they are in no figure (of a data set they are its last rows)
    #[arg(long, value_name = "N", default_value = "0", value_parser = value::tokens)]
    pub warmup_requests: u32,
    /// Drop this share of the streams after their first token
    #[arg(long, value_name = "F", default_value = "0", value_parser = value::fraction)]
    pub cancel_rate: f64,
    /// What a good request is, for goodput: ttft<500ms, or ttft:p95<500ms (ttft, tpot, itl, latency); repeatable
    #[arg(long, value_name = "SLO", action = ArgAction::Append)]
    pub slo: Vec<Slo>,
    /// Speed up a trace's own times by this factor
    #[arg(long, value_name = "F", default_value = "1.0", value_parser = value::positive)]
    pub trace_speed: f64,
}

impl Builder<'_> {
    pub(super) fn schedule(&self, load: &LoadArgs, args: &PacingArgs) -> Result<schedule::Spec> {
        let pacing = self.pacing(load, args)?;
        let think = args.think_time.as_deref().map(think);
        let run_time = match &pacing {
            Pacing::Stages { stages, .. } => {
                let whole = stages.iter().map(|stage| stage.lasts).sum();
                Some(load.run_time.map_or(whole, |run_time| run_time.min(whole)))
            }
            _ => load.run_time,
        };
        self.check("warmup", sound_window(load, run_time))?;
        let spec = schedule::Spec {
            users: load.users,
            spawn_rate: spawn_rate(load, &pacing, args.ramping_time.is_some()),
            spread: match pacing {
                // One user marches with nobody.
                Pacing::Closed if load.users > 1 || self.merged.is_given("start_spread") => {
                    args.start_spread
                }
                _ => Duration::ZERO,
            },
            pacing,
            run_time,
            warmup: load.warmup,
            measure_ramp: load.no_reset_stats && !load.reset_stats,
            max_requests: load.max_requests,
            ramp: args.ramping_time.map(|time| Ramp {
                warmup: args.ramping_warmup_time,
                time,
                curve: args.ramping_curve,
            }),
            think: self.check("think_time", think.transpose())?,
            burstiness: args.burstiness,
            enough: None,
        };
        self.check("stages", measurable(&spec))?;
        Ok(spec)
    }

    fn pacing(&self, load: &LoadArgs, args: &PacingArgs) -> Result<Pacing> {
        let law = args.qps_distribution;
        if !args.stages.is_empty() {
            let stages = args.stages.iter().map(|text| stage(text)).collect();
            let stages = self.check("stages", stages)?;
            return Ok(Pacing::Stages { stages, law });
        }
        if let Some(every) = args.burst {
            return Ok(Pacing::Burst { every });
        }
        Ok(load
            .qps
            .map_or(Pacing::Closed, |rate| Pacing::Open { rate, law }))
    }
}

/// In a closed loop one user a second, so that the load grows gently; in an open loop the users are
/// mere slots for requests, and all are there at once.
fn spawn_rate(load: &LoadArgs, pacing: &Pacing, ramps: bool) -> Rate {
    let default = match pacing {
        // Of users that move later; those of the ramp start by it.
        Pacing::Closed if ramps => Rate::per_second(10),
        Pacing::Closed => Rate::per_second(1),
        _ => AT_ONCE,
    };
    load.spawn_rate.unwrap_or(default)
}

fn sound_window(load: &LoadArgs, run_time: Option<Duration>) -> std::result::Result<(), Fault> {
    let warmup = format_span(load.warmup);
    if run_time.is_some_and(|run_time| load.warmup >= run_time) {
        return Err(Fault::new(format!(
            "a warm-up of {warmup} leaves nothing of the run to measure"
        ))
        .hint(
            "make --run-time longer: it counts from when all users are started, as --warmup does",
        ));
    }
    if load.no_reset_stats && !load.warmup.is_zero() {
        return Err(Fault::new(
            "--warmup leaves the beginning out and --no-reset-stats keeps it in",
        )
        .hint("give one of them"));
    }
    Ok(())
}

/// Stages end by themselves, maybe before all users are there.
fn measurable(spec: &schedule::Spec) -> std::result::Result<(), Fault> {
    let start = spec.window_start();
    match spec.end_of_sending().filter(|&end| end <= start) {
        None => Ok(()),
        Some(end) => Err(Fault::new(format!(
            "sending ends {:.0} s after the start, and measuring would begin after {:.0} s",
            end.as_secs_f64(),
            start.as_secs_f64()
        ))
        .hint("start users faster (--spawn-rate), or make the stages longer")),
    }
}

/// `10qps:1m`, `10-50qps:90s`.
fn stage(text: &str) -> std::result::Result<Stage, Fault> {
    let read = || {
        let (rates, lasts) = text.trim().split_once(':')?;
        let rates = rates.trim().to_ascii_lowercase();
        let rates = rates.strip_suffix("qps")?;
        let (from, to) = rates.split_once('-').unwrap_or((rates, rates));
        let rate = |text: &str| {
            let rate: f64 = text.trim().parse().ok()?;
            (0.0..=1e9).contains(&rate).then_some(rate)
        };
        let lasts = parse_span(lasts.trim())
            .ok()
            .filter(|span| !span.is_zero())?;
        let (from, to) = (rate(from)?, rate(to)?);
        Some(Stage { from, to, lasts })
    };
    read().ok_or_else(|| {
        Fault::new(format!("`{text}` is no stage"))
            .hint("write --stages 10qps:1m,20qps:1m, or 10-20qps:1m for a straight ramp")
    })
}

/// `2s`, `1s-3s`, `exp:2s`.
fn think(text: &str) -> std::result::Result<Think, Fault> {
    let read = || {
        let text = text.trim();
        if let Some(mean) = text.strip_prefix("exp:") {
            return parse_span(mean).ok().map(Think::Exponential);
        }
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to) = (parse_span(from).ok()?, parse_span(to).ok()?);
        (from <= to).then_some(Think::Between(from, to))
    };
    read().ok_or_else(|| {
        Fault::new(format!("`{text}` is no think time")).hint("write 2s, 1s-3s, or exp:2s")
    })
}
