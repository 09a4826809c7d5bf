//! One run, fully resolved: what a master sends to its workers and what a report says was done.
//! It composes the rooms' settings; it decides nothing and holds no secret.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::{Rate, Seed, Slo};
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

impl Plan {
    /// The rate of an open loop over the whole cluster and the name of its law; `None` for a closed loop.
    pub const fn open_loop(&self) -> Option<(Rate, &'static str)> {
        match self.schedule.pacing {
            schedule::Pacing::Open { rate, law } => Some((rate, law.name())),
            _ => None,
        }
    }
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
