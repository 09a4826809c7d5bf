//! One run, fully resolved: what a master sends to its workers and what a report says was done.
//! It composes the rooms' settings; it decides nothing and holds no secret.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::{Keep, Offset, Seed, Slo};
use crate::schedule::{Pacing, Stage};
use crate::{provider, schedule, workload};

/// One run. Equal plans send equal requests, on any number of workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Where every random draw comes from.
    pub seed: Seed,
    /// The server.
    pub target: Target,
    /// How to say it.
    pub provider: provider::Spec,
    /// What to ask.
    pub workload: workload::Spec,
    /// When to ask.
    pub schedule: schedule::Spec,
    /// How long to wait for what.
    pub limits: Limits,
    /// What is kept and shown of each request.
    pub observe: Observe,
}

/// The load that a plan asks for, over the whole cluster, in the terms of a report. Ramps count as what they grow to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    /// A closed loop.
    Users(u32),
    /// An open loop of one rate.
    Rate {
        /// Mean arrivals per second.
        per_s: f64,
        /// The name of the gaps' law.
        law: &'static str,
    },
    /// An open loop whose rate goes through stages.
    Rates {
        /// The lowest rate of any stage's ends, in arrivals per second.
        lowest: f64,
        /// The highest.
        highest: f64,
        /// The name of the gaps' law.
        law: &'static str,
    },
    /// All users at once, again and again.
    Burst {
        /// How many there are.
        users: u32,
        /// From one burst to the next.
        every: Duration,
    },
    /// An open loop at a trace's own times.
    Trace {
        /// How many there are.
        requests: u64,
    },
}

impl Plan {
    /// The load that is asked for.
    pub fn asked(&self) -> Asked {
        let users = self.schedule.users;
        match &self.schedule.pacing {
            Pacing::Closed => Asked::Users(users),
            Pacing::Open { rate, law } => Asked::Rate {
                per_s: rate.as_f64(),
                law: law.name(),
            },
            Pacing::Stages { stages, law } => {
                let ends = || stages.iter().flat_map(|stage| [stage.from, stage.to]);
                Asked::Rates {
                    lowest: ends().reduce(f64::min).unwrap_or(0.0),
                    highest: ends().reduce(f64::max).unwrap_or(0.0),
                    law: law.name(),
                }
            }
            Pacing::Burst { every } => Asked::Burst {
                users,
                every: *every,
            },
            Pacing::Trace { due_us } => Asked::Trace {
                requests: self.at_most(due_us.len() as u64),
            },
        }
    }

    /// Whether requests are due at times of their own, whatever the server does.
    pub fn is_open(&self) -> bool {
        self.schedule.is_open()
    }

    /// Arrivals per second that are asked for between two times of the run, on average; what the achieved rate is held
    /// against. `None` for a closed loop, for no time at all, and while an open loop's rate still grows.
    #[expect(clippy::cast_precision_loss, reason = "a rate for reports")]
    pub fn asked_per_s(&self, from: Offset, to: Offset) -> Option<f64> {
        let grows = self.schedule.ramp.is_some()
            && (self.schedule.measure_ramp || from < self.schedule.window_start());
        let seconds = Offset::from_nanos(to.nanos_since(from)).as_secs_f64();
        if grows || seconds <= 0.0 {
            return None;
        }
        match &self.schedule.pacing {
            Pacing::Closed => None,
            Pacing::Open { rate, .. } => Some(rate.as_f64()),
            Pacing::Stages { stages, .. } => {
                let arrivals = |at: Offset| arrivals_until(stages, at.as_secs_f64());
                Some((arrivals(to) - arrivals(from)) / seconds)
            }
            Pacing::Burst { every } => {
                let users = u64::from(self.schedule.users);
                let first = self.schedule.all_spawned();
                let bursts = |at: Offset| at.nanos_since(first).div_ceil(nanos(*every).max(1));
                let arrivals = |at| self.at_most(bursts(at).saturating_mul(users));
                Some((arrivals(to) - arrivals(from)) as f64 / seconds)
            }
            Pacing::Trace { due_us } => {
                let before = |at: Offset| {
                    due_us.partition_point(|due| due.saturating_mul(1_000) < at.as_nanos())
                };
                let arrivals = |at| self.at_most(before(at) as u64);
                Some((arrivals(to) - arrivals(from)) as f64 / seconds)
            }
        }
    }

    /// `requests`, or as many as there may be at all.
    fn at_most(&self, requests: u64) -> u64 {
        requests.min(self.schedule.max_requests.unwrap_or(u64::MAX))
    }
}

/// Arrivals that are asked for in the first `seconds` of stages: the area under their straight lines.
fn arrivals_until(stages: &[Stage], seconds: f64) -> f64 {
    let mut begun = 0.0;
    let mut arrivals = 0.0;
    for stage in stages {
        let lasts = stage.lasts.as_secs_f64();
        let inside = (seconds - begun).clamp(0.0, lasts);
        if inside > 0.0 {
            let slope = (stage.to - stage.from) / lasts;
            arrivals += inside * (stage.from + slope * inside / 2.0);
        }
        begun += lasts;
    }
    arrivals
}

fn nanos(span: Duration) -> u64 {
    Offset::from(span).as_nanos()
}

/// The server and how to reach it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// `http://host:port/base`: what stands before the provider's path. No user info, no trailing slash.
    pub base_url: String,
    /// Which HTTP to speak.
    pub http: HttpVersion,
    /// Do not verify the server's certificate.
    pub insecure_skip_verify: bool,
    /// PEM of further certificate authorities to trust (the content, so that it travels to the workers).
    pub ca_pem: Option<String>,
    /// When connections are opened.
    pub connection_reuse: ConnectionReuse,
    /// Open each user's connection before its first request.
    #[serde(default = "warm_by_default")]
    pub warm_connections: bool,
    /// A proxy to go through. Credentials in it are a secret and never stand here.
    pub proxy: Option<String>,
    /// No proxy is to be used for anything, whatever the environment of whoever sends says.
    #[serde(default)]
    pub no_proxy: bool,
}

/// What a plan means that says nothing about it.
const fn warm_by_default() -> bool {
    true
}

/// Which HTTP to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpVersion {
    /// HTTP/1.1, one request at a time on a connection.
    Http1,
    /// HTTP/2: by ALPN over TLS, with prior knowledge on plain text.
    Http2,
}

/// When connections are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionReuse {
    /// Kept alive and shared.
    Pooled,
    /// A new one for each request.
    Never,
    /// Each user keeps its own.
    PerUser,
}

/// How long to wait for what; `None` waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// From sent to the end of the answer.
    pub total: Option<Duration>,
    /// From sent to the first content event.
    pub first_token: Option<Duration>,
    /// Between two reads of an answer.
    pub idle: Option<Duration>,
    /// To have a connection.
    pub connect: Option<Duration>,
    /// For requests in flight when sending ends; then they are cancelled and counted.
    pub stop: Duration,
}

/// What is kept and shown of each request, beside the figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observe {
    /// Print each request's body.
    pub show_request: bool,
    /// Print each answer's text.
    pub show_response: bool,
    /// Write a line for each request to a file of this name (a name, not a path: workers choose their folder).
    pub records: Option<String>,
    /// TTFT counts from the first content that is no reasoning (`--first-visible-token`), where there is some.
    #[serde(default)]
    pub first_visible_token: bool,
    /// Share of the streams that are dropped after their first token, from 0 to 1, chosen from (seed, index).
    #[serde(default)]
    pub cancel_rate: f64,
    /// Requests sent before the run and measured nowhere, over the whole cluster.
    #[serde(default)]
    pub warmup_requests: u32,
    /// What a good request is, and a good run.
    #[serde(default)]
    pub slos: Vec<Slo>,
    /// Keep each answer by itself, beside the distributions: they travel in the tallies.
    #[serde(default)]
    pub answers: Option<Keep>,
    /// Of these answers only so many, chosen by their indices alone; `None` for all.
    #[serde(default)]
    pub answers_at_most: Option<u32>,
    /// Which requests are traced, and who is told of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
}

/// Requests that are traced: they bear a header `traceparent`, and whoever sends them makes a span of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracing {
    /// The share of all requests, from 0 to 1, chosen from (seed, index).
    pub sample: f64,
    /// The address of the OpenTelemetry collector for spans of who has none of its own. It has no secret.
    pub collector: String,
}

impl Plan {
    /// A number that differs when anything in the plan does: who reads a plan and knows not all of it gets another one.
    pub fn digest(&self) -> u64 {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let digest = Sha256::digest(&json);
        digest
            .iter()
            .take(8)
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(pacing: &serde_json::Value, max_requests: Option<u64>) -> Plan {
        let mut plan = crate::report::sample::closed().plan;
        plan.schedule.pacing = serde_json::from_value(pacing.clone()).unwrap();
        plan.schedule.max_requests = max_requests;
        plan
    }

    fn seconds(seconds: f64) -> Offset {
        Offset::from(Duration::from_secs_f64(seconds))
    }

    fn asked(plan: &Plan, from: f64, to: f64) -> Option<f64> {
        plan.asked_per_s(seconds(from), seconds(to))
    }

    #[test]
    fn stages_ask_for_the_area_under_their_lines() {
        let lasts = json!({"secs": 10, "nanos": 0});
        let stages = json!([
            {"from": 0.0, "to": 20.0, "lasts": lasts}, {"from": 20.0, "to": 20.0, "lasts": lasts},
            {"from": 5.0, "to": 3.0, "lasts": lasts},
        ]);
        let plan = plan(
            &json!({"stages": {"stages": stages, "law": "constant"}}),
            None,
        );
        assert_eq!(
            plan.asked(),
            Asked::Rates {
                lowest: 0.0,
                highest: 20.0,
                law: "constant"
            }
        );
        for (from, to, want) in [
            (0.0, 10.0, 10.0),
            (5.0, 10.0, 15.0),
            (5.0, 15.0, 17.5),
            (20.0, 30.0, 4.0),
            (25.0, 35.0, 1.75),
        ] {
            let got = asked(&plan, from, to).unwrap();
            assert!((got - want).abs() < 1e-9, "{from} to {to}: {got}");
        }
        assert_eq!(asked(&plan, 5.0, 5.0), None);
    }

    #[test]
    fn bursts_and_traces_are_counted_one_by_one() {
        let every = json!({"secs": 2, "nanos": 0});
        let at_once = |max: Option<u64>| {
            let mut plan = plan(&json!({"burst": {"every": every}}), max);
            plan.schedule.spawn_rate = schedule::AT_ONCE;
            plan
        };
        let bursts = at_once(None);
        assert_eq!(asked(&bursts, 0.0, 8.0), Some(2.0));
        // Those at 2 s and 4 s, of four users.
        assert_eq!(asked(&bursts, 1.0, 5.0), Some(2.0));
        assert_eq!(asked(&bursts, 2.0, 3.0), Some(4.0));
        let few = at_once(Some(6));
        assert_eq!(asked(&few, 0.0, 8.0), Some(0.75));
        let times = json!({"trace": {"due_us": [0, 500_000, 1_000_000, 1_500_000]}});
        let trace = plan(&times, Some(3));
        assert_eq!(trace.asked(), Asked::Trace { requests: 3 });
        assert_eq!(asked(&trace, 0.0, 1.0), Some(2.0));
        assert_eq!(asked(&trace, 0.5, 2.5), Some(1.0));
    }

    #[test]
    fn a_rate_that_still_grows_is_none_to_be_held_to() {
        let rate = json!({"open": {"rate": 2.0, "law": "gamma"}});
        let mut plan = plan(&rate, None);
        assert_eq!(asked(&plan, 0.0, 1.0), Some(2.0));
        let ramp = json!({"warmup": {"secs": 0, "nanos": 0}, "time": {"secs": 60, "nanos": 0}, "curve": "geometric"});
        plan.schedule.ramp = serde_json::from_value(ramp).unwrap();
        let start = plan.schedule.window_start();
        assert!(
            plan.asked_per_s(start, start + Duration::from_secs(9))
                .is_some()
        );
        plan.schedule.measure_ramp = true;
        assert_eq!(asked(&plan, 0.0, 9.0), None);
        plan.schedule.pacing = Pacing::Closed;
        plan.schedule.ramp = None;
        assert_eq!(
            (plan.asked(), asked(&plan, 0.0, 9.0)),
            (Asked::Users(4), None)
        );
    }
}
