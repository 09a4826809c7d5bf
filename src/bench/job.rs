//! The traffic of a measurement as the product knows it: a plan, a workload, a provider, a job.
//! The worker runs the job; the bare loop sends the same requests' bytes.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Map;

use super::args::Engine;
use super::error::BenchError;
use super::message::Traffic;
use super::request;
use crate::client::{Connector, Reuse, Sources, Target as Address, TlsSettings};
use crate::domain::{HttpEngine, Index, Offset, Rate, Seed, StampSource};
use crate::plan::{ConnectionReuse, HttpVersion, Limits, Observe, Plan, Target};
use crate::provider::{self, Kind, Provider, Sampling};
use crate::runner::Job;
use crate::schedule::{self, AT_ONCE, Law, Pacing, Share};
use crate::workload::{self, Api, Corpus, LengthLaw, LengthSpec, PromptSource, Row, Workload};

const HOST: &str = "127.0.0.1";

/// Streams that a worker opens a second: no more than a listening socket's queue takes while the server is busy.
const OPENED_A_SECOND: u32 = 5_000;

/// What is asked, and how it is said.
pub(super) struct Words {
    plan: Plan,
    workload: Workload,
    provider: Arc<dyn Provider>,
}

impl Words {
    /// For this traffic; with `numbered` each prompt carries the number of its stream.
    pub(super) fn new(traffic: &Traffic, port: u16, numbered: bool) -> Result<Self, BenchError> {
        let plan = plan(traffic, port, numbered);
        let users = plan.schedule.users;
        // The bench asks for nothing but chats.
        let workload = Workload::new(&plan.workload, Api::Chat, plan.seed, None, None, users)?;
        let provider = provider::build(&plan.provider)?;
        Ok(Self {
            plan,
            workload,
            provider,
        })
    }

    /// The bytes of the first request of stream `stream`.
    pub(super) fn request(&self, stream: u32, port: u16) -> Result<Vec<u8>, BenchError> {
        let index = match self.plan.schedule.pacing {
            Pacing::Closed => Index::Turn {
                user: stream,
                turn: 0,
            },
            _ => Index::Arrival(stream.into()),
        };
        let shaped = self.provider.shape(&self.workload.ask(index))?;
        Ok(request::bytes(&shaped, &format!("{HOST}:{port}")))
    }

    /// The job of a worker that is the whole cluster, as the app makes it of a plan.
    pub(super) fn job(self, engine: Engine, port: u16, threads: u32) -> Result<Job, BenchError> {
        let connector = Connector {
            target: Address {
                host: HOST.to_owned(),
                port,
                tls: false,
                base_path: String::new(),
            },
            tls: TlsSettings::default().config()?,
            proxy: None,
            sources: Sources::default(),
            http2: false,
            timeout: self.plan.limits.connect,
        };
        Ok(Job {
            run: 0,
            worker: 0,
            share: Share::first(&self.plan.schedule, 0, 1),
            workload: Arc::new(self.workload),
            provider: self.provider,
            connector,
            reuse: match self.plan.target.connection_reuse {
                ConnectionReuse::Never => Reuse::Never,
                _ => Reuse::Pooled,
            },
            http_engine: match engine {
                Engine::Lean => HttpEngine::Lean,
                Engine::Hyper => HttpEngine::Hyper,
            },
            stamps: StampSource::Kernel,
            authority: None,
            secret_headers: Vec::new(),
            secrets: Vec::new(),
            tokenizer: None,
            records: None,
            threads,
            window_start: self.plan.schedule.window_start(),
            plan: self.plan,
        })
    }
}

fn plan(traffic: &Traffic, port: u16, numbered: bool) -> Plan {
    Plan {
        seed: Seed(1),
        target: Target {
            base_url: format!("http://{HOST}:{port}"),
            http: HttpVersion::Http1,
            insecure_skip_verify: false,
            ca_pem: None,
            connection_reuse: if traffic.fresh {
                ConnectionReuse::Never
            } else {
                ConnectionReuse::Pooled
            },
            // What is compared begins with nothing, too.
            warm_connections: false,
            proxy: None,
            no_proxy: false,
        },
        provider: provider::Spec {
            kind: Kind::Vllm,
            model: "bench".to_owned(),
            task: provider::Task::Chat,
            stream: true,
            sampling: Sampling {
                temperature: Some(1.0),
                ..Sampling::default()
            },
            headers: IndexMap::new(),
            fireworks: provider::Fireworks::default(),
            azure: None,
            custom: None,
            place: provider::Place::default(),
        },
        workload: workload::Spec {
            prompts: prompts(traffic, numbered),
            output: LengthSpec {
                mean: traffic.events,
                law: LengthLaw::Constant,
                range: 0.0,
                cap: None,
                jitter: 0,
            },
            tokenizer: None,
            shape: workload::Shape::default(),
            forced: None,
            batch: workload::Batch::default(),
            around: workload::Around::default(),
        },
        schedule: schedule_of(traffic),
        // As a run without any time-out option has them.
        limits: Limits {
            total: None,
            first_token: None,
            idle: None,
            connect: Some(Duration::from_secs(30)),
            stop: Duration::from_secs(30),
        },
        observe: Observe::default(),
    }
}

fn schedule_of(traffic: &Traffic) -> schedule::Spec {
    let open = traffic.rate.map(|rate| {
        let rate = Rate::per_second(rate.max(1));
        let span = rate.nth(traffic.requests).since(Offset::ZERO);
        (rate, span)
    });
    schedule::Spec {
        users: traffic.streams,
        spawn_rate: if open.is_some() {
            AT_ONCE
        } else {
            Rate::per_second(OPENED_A_SECOND)
        },
        pacing: open.map_or(Pacing::Closed, |(rate, _)| Pacing::Open {
            rate,
            law: Law::Constant,
        }),
        run_time: open.map(|(_, span)| span),
        warmup: Duration::ZERO,
        measure_ramp: true,
        max_requests: Some(traffic.requests),
        ramp: None,
        spread: Duration::ZERO,
        think: None,
        burstiness: 1.0,
        enough: None,
    }
}

fn prompts(traffic: &Traffic, numbered: bool) -> PromptSource {
    if !numbered {
        return PromptSource::Generated {
            corpus: Corpus::Limericks,
            tokens: traffic.prompt_tokens,
            shared_prefix_tokens: 0,
            prefix_groups: 1,
            instruction: None,
        };
    }
    let row = |stream| Row {
        prompt: Some(format!("Tell me of {}.", request::numbered(stream))),
        messages: None,
        extra: Map::new(),
    };
    PromptSource::Rows((0..u64::from(traffic.streams)).map(row).collect())
}
