//! A plan in few words: what `llmload run` does without options, and what is said otherwise.
//! It reads no file and asks no server; everything else of a plan is a public field of it.

use std::time::Duration;

use indexmap::IndexMap;

use super::error::Error;
use crate::domain::{Rate, Seed, Slo};
use crate::plan::{ConnectionReuse, HttpVersion, Limits, Observe, Plan, Target};
use crate::provider::{self, Kind, Sampling, Task};
use crate::schedule::{self, AT_ONCE, Law, Pacing};
use crate::workload::{self, Corpus, LengthLaw, LengthSpec, PromptSource, Tokenizer, TokenizerRef};

/// How long to wait for a connection, and for what is in flight at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes a [`Plan`]. Without further words: one user in a closed loop who asks for 64 tokens about limericks of some 512
/// tokens, streamed, until it is stopped.
///
/// A plan can be loaded from JSON, too: it is what `llmload` sends to its workers.
#[derive(Clone, Debug)]
#[must_use]
pub struct PlanBuilder {
    plan: Plan,
    seed: Option<Seed>,
    spawn_rate: Option<Rate>,
}

impl PlanBuilder {
    /// Chats with `model` behind `base_url` (`http://host:port`, what stands before `/v1/…`), in OpenAI's words.
    pub fn chat(base_url: &str, model: &str) -> Self {
        Self {
            plan: Plan {
                seed: Seed(0),
                target: target(base_url),
                provider: words(model),
                workload: usual_workload(),
                schedule: usual_schedule(),
                limits: Limits {
                    total: None,
                    first_token: None,
                    idle: None,
                    connect: Some(PATIENCE),
                    stop: PATIENCE,
                },
                observe: Observe::default(),
            },
            seed: None,
            spawn_rate: None,
        }
    }

    /// The same for texts to go on with.
    pub fn completion(base_url: &str, model: &str) -> Self {
        Self::chat(base_url, model).with(|plan| plan.provider.task = Task::Completion)
    }

    /// Whose words are spoken; no matter where a provider of one's own is given.
    pub fn api(self, kind: Kind) -> Self {
        self.with(|plan| plan.provider.kind = kind)
    }

    /// A closed loop of so many users, at least one: each asks again when its answer is there. In an open loop, the most requests
    /// in flight.
    pub fn users(self, users: u32) -> Self {
        self.with(|plan| plan.schedule.users = users.max(1))
    }

    /// Users started per second; without it one in a closed loop, all at once in an open one.
    pub fn spawn_rate(mut self, rate: Rate) -> Self {
        self.spawn_rate = Some(rate);
        self
    }

    /// An open loop: requests are due at this rate, whatever the server does. Needs enough [`users`](Self::users).
    pub fn rate(self, rate: Rate, law: Law) -> Self {
        self.with(|plan| plan.schedule.pacing = Pacing::Open { rate, law })
    }

    /// How long to send after all users are started.
    pub fn run_time(self, time: Duration) -> Self {
        self.with(|plan| plan.schedule.run_time = Some(time))
    }

    /// Time after all users are started that is not measured yet.
    pub fn warmup(self, time: Duration) -> Self {
        self.with(|plan| plan.schedule.warmup = time)
    }

    /// Requests to send, at most.
    pub fn max_requests(self, requests: u64) -> Self {
        self.with(|plan| plan.schedule.max_requests = Some(requests))
    }

    /// Where prompts come from.
    pub fn prompts(self, source: PromptSource) -> Self {
        self.with(|plan| plan.workload.prompts = source)
    }

    /// The same prompt every time.
    pub fn prompt(self, text: &str) -> Self {
        self.prompts(PromptSource::Text(text.to_owned()))
    }

    /// Prompts made of a corpus, each of so many tokens: exactly with a tokenizer, about without.
    pub fn generated(self, corpus: Corpus, tokens: u32) -> Self {
        self.prompts(generated(corpus, tokens))
    }

    /// How many output tokens to ask for.
    pub fn output_tokens(self, tokens: u32) -> Self {
        self.with(|plan| plan.workload.output.mean = tokens)
    }

    /// Has tokens counted by this tokenizer, which [`Benchmark::tokenizer`](super::Benchmark::tokenizer) must be given, too.
    pub fn tokenizer(self, tokenizer: &Tokenizer) -> Self {
        let wanted = TokenizerRef {
            name: tokenizer.name().to_owned(),
            sha256: tokenizer.sha256().to_owned(),
        };
        self.with(|plan| plan.workload.tokenizer = Some(wanted))
    }

    /// Whether answers are streamed.
    pub fn stream(self, stream: bool) -> Self {
        self.with(|plan| plan.provider.stream = stream)
    }

    /// How long an answer may take.
    pub fn timeout(self, time: Duration) -> Self {
        self.with(|plan| plan.limits.total = Some(time))
    }

    /// What a good request is; one objective more.
    pub fn objective(self, slo: Slo) -> Self {
        self.with(|plan| plan.observe.slos.push(slo))
    }

    /// Where every random draw comes from; without it one is drawn.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Anything else.
    pub fn with(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(&mut self.plan);
        self
    }

    /// The plan.
    ///
    /// # Errors
    /// The base URL is none, or holds a user's name; there are no random numbers for a seed.
    pub fn build(self) -> Result<Plan, Error> {
        let Self {
            mut plan,
            seed,
            spawn_rate,
        } = self;
        let url = &plan.target.base_url;
        super::address::parse(url)?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Error::Url(url.clone()));
        }
        plan.seed = match seed {
            Some(seed) => seed,
            None => Seed(draw()? >> 32),
        };
        let usual = match plan.schedule.pacing {
            Pacing::Closed => Rate::per_second(1),
            _ => AT_ONCE,
        };
        plan.schedule.spawn_rate = spawn_rate.unwrap_or(usual);
        Ok(plan)
    }
}

/// A number that no other process draws.
pub(super) fn draw() -> Result<u64, Error> {
    getrandom::u64().map_err(|error| Error::Random(std::io::Error::other(error)))
}

fn target(base_url: &str) -> Target {
    Target {
        base_url: base_url.trim_end_matches('/').to_owned(),
        http: HttpVersion::Http1,
        insecure_skip_verify: false,
        ca_pem: None,
        connection_reuse: ConnectionReuse::Pooled,
        warm_connections: true,
        proxy: None,
        no_proxy: false,
    }
}

fn words(model: &str) -> provider::Spec {
    provider::Spec {
        kind: Kind::OpenAi,
        model: model.to_owned(),
        task: Task::Chat,
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
    }
}

fn generated(corpus: Corpus, tokens: u32) -> PromptSource {
    PromptSource::Generated {
        corpus,
        tokens,
        shared_prefix_tokens: 0,
        prefix_groups: 1,
        instruction: None,
    }
}

fn usual_workload() -> workload::Spec {
    workload::Spec {
        prompts: generated(Corpus::Limericks, 512),
        output: LengthSpec {
            mean: 64,
            law: LengthLaw::Constant,
            range: 0.3,
            cap: None,
            jitter: 0,
        },
        tokenizer: None,
        shape: workload::Shape::default(),
        forced: None,
        batch: workload::Batch::default(),
        around: workload::Around::default(),
    }
}

fn usual_schedule() -> schedule::Spec {
    schedule::Spec {
        users: 1,
        spawn_rate: Rate::per_second(1),
        pacing: Pacing::Closed,
        run_time: None,
        warmup: Duration::ZERO,
        measure_ramp: false,
        max_requests: None,
        ramp: None,
        spread: Duration::ZERO,
        think: None,
        burstiness: 1.0,
        enough: None,
    }
}
