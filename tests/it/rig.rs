//! An engine in this process, that is told what a worker tells it: runs to its end, and what it left behind.
//! It judges nothing but that nothing is lost or sent twice; the tests do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use llmload::client::{Connector, Reuse, Sources, Target as Address, TlsSettings};
use llmload::domain::{HttpEngine, Index, Offset, Rate, Record, Seed, StampSource};
use llmload::metrics::Tally;
use llmload::mock::MockHandle;
use llmload::plan::{ConnectionReuse, HttpVersion, Limits, Observe, Plan, Target};
use llmload::provider::{self, Kind, Sampling};
use llmload::runner::{Authority, Engine, Job, Slice, Standby};
use llmload::schedule::{AT_ONCE, Arrivals, Law, Load, Pacing, Shard, Share, Spec, UserSet};
use llmload::workload::{self, Api, Corpus, LengthLaw, LengthSpec, PromptSource, Workload};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

pub(crate) const SEED: Seed = Seed(7);
/// No machine is so slow that a request goes out so late, and no burst is so short.
pub(crate) const LATE: Duration = Duration::from_millis(200);

pub(crate) fn ms(at: u64) -> Offset {
    Offset::from_nanos(at * 1_000_000)
}

pub(crate) fn span(at: u64) -> Duration {
    Duration::from_millis(at)
}

pub(crate) fn rate(per_second: u32) -> Rate {
    Rate::per_second(per_second)
}

pub(crate) fn open(users: u32, per_second: u32, law: Law, run_ms: u64) -> Spec {
    Spec {
        users,
        spawn_rate: AT_ONCE,
        pacing: Pacing::Open {
            rate: rate(per_second),
            law,
        },
        run_time: Some(span(run_ms)),
        warmup: Duration::ZERO,
        measure_ramp: true,
        max_requests: None,
        ramp: None,
        spread: Duration::ZERO,
        think: None,
        burstiness: 1.0,
        enough: None,
    }
}

pub(crate) fn closed(users: u32, run_ms: u64) -> Spec {
    Spec {
        pacing: Pacing::Closed,
        ..open(users, 1, Law::Constant, run_ms)
    }
}

pub(crate) fn plan(mock: &MockHandle, schedule: Spec) -> Plan {
    Plan {
        seed: SEED,
        target: Target {
            base_url: format!("http://{}", mock.addr()),
            http: HttpVersion::Http1,
            insecure_skip_verify: false,
            ca_pem: None,
            connection_reuse: ConnectionReuse::Pooled,
            warm_connections: true,
            proxy: None,
            no_proxy: false,
        },
        provider: provider::Spec {
            kind: Kind::Vllm,
            model: "mock".to_owned(),
            task: provider::Task::Chat,
            stream: true,
            sampling: Sampling::default(),
            headers: indexmap::IndexMap::new(),
            fireworks: provider::Fireworks::default(),
            azure: None,
            place: provider::Place::default(),
            custom: None,
        },
        workload: workload::Spec {
            prompts: PromptSource::Generated {
                corpus: Corpus::Limericks,
                tokens: 200,
                shared_prefix_tokens: 0,
                prefix_groups: 1,
                instruction: None,
            },
            output: LengthSpec {
                mean: 2,
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
        schedule,
        limits: Limits {
            total: None,
            first_token: None,
            idle: None,
            connect: Some(span(30_000)),
            stop: span(5_000),
        },
        observe: Observe::default(),
    }
}

/// A worker of two cores, prepared.
pub(crate) struct Worker {
    pub(crate) standby: Standby,
    records: mpsc::Receiver<Record>,
}

impl Worker {
    pub(crate) async fn new(mock: &MockHandle, spec: &Spec, share: Share) -> Self {
        Self::let_in_by(mock, spec, share, None).await
    }

    /// One whose requests somebody lets in.
    pub(crate) async fn let_in_by(
        mock: &MockHandle,
        spec: &Spec,
        share: Share,
        authority: Option<Arc<dyn Authority>>,
    ) -> Self {
        Self::of(mock, plan(mock, spec.clone()), share, authority).await
    }

    /// One of a plan that says more than its schedule.
    pub(crate) async fn of(
        mock: &MockHandle,
        plan: Plan,
        share: Share,
        authority: Option<Arc<dyn Authority>>,
    ) -> Self {
        let spec = &plan.schedule;
        let (sender, records) = mpsc::channel(100_000);
        let workload = Workload::new(&plan.workload, Api::Chat, SEED, None, None, spec.users);
        let job = Job {
            run: 0,
            worker: 0,
            share,
            workload: Arc::new(workload.unwrap()),
            provider: provider::build(&plan.provider).unwrap(),
            connector: Connector {
                target: Address {
                    host: mock.addr().ip().to_string(),
                    port: mock.addr().port(),
                    tls: false,
                    base_path: String::new(),
                },
                tls: TlsSettings::default().config().unwrap(),
                proxy: None,
                sources: Sources::default(),
                http2: false,
                timeout: plan.limits.connect,
            },
            reuse: Reuse::Pooled,
            http_engine: HttpEngine::Lean,
            stamps: StampSource::Clock,
            authority,
            secret_headers: Vec::new(),
            secrets: Vec::new(),
            tokenizer: None,
            records: Some(sender),
            threads: 2,
            window_start: Offset::ZERO,
            plan,
        };
        let standby = Engine::prepare(job).await.unwrap();
        Self { standby, records }
    }

    /// Runs to its end; each of `told` is said when the clock that counts from `origin` shows its time.
    pub(crate) async fn run(self, origin: Instant, told: Vec<Told>) -> Ran {
        let mut engine = self.standby.start(origin).unwrap();
        let mut told = told.into_iter().peekable();
        let (mut slices, mut tally) = (Vec::new(), Tally::default());
        loop {
            let next = told.peek().map(|(at, _)| origin + *at);
            tokio::select! {
                slice = engine.next() => match slice {
                    Some(slice) => {
                        tally.merge(&slice.tally);
                        slices.push(slice);
                    }
                    None => break,
                },
                () = sleep_until(next.unwrap_or(origin)), if next.is_some() => {
                    let (_, say) = told.next().unwrap();
                    say(&mut engine);
                }
            }
        }
        engine.finish().unwrap();
        let (mut receiver, mut records) = (self.records, Vec::new());
        while let Ok(record) = receiver.try_recv() {
            records.push(record);
        }
        records.sort_unstable_by_key(|record| record.index);
        let ran = Ran {
            slices,
            tally,
            records,
        };
        ran.assert_conserved();
        ran
    }
}

pub(crate) type Told = (Duration, Box<dyn FnOnce(&mut Engine)>);

pub(crate) fn at(at_ms: u64, say: impl FnOnce(&mut Engine) + 'static) -> Told {
    (span(at_ms), Box::new(say))
}

pub(crate) fn share_at(at_ms: u64, share: Share) -> Told {
    at(at_ms, move |engine| engine.share(&share))
}

/// What a worker left behind.
pub(crate) struct Ran {
    pub(crate) slices: Vec<Slice>,
    pub(crate) tally: Tally,
    /// By index.
    pub(crate) records: Vec<Record>,
}

impl Ran {
    #[track_caller]
    pub(crate) fn assert_conserved(&self) {
        let counts = self.tally.counts;
        assert_eq!(
            counts.scheduled,
            counts.sent + counts.dropped + counts.late_cancelled,
            "{counts:?}"
        );
        assert_eq!(counts.sent, self.records.len() as u64);
        let indices: BTreeSet<_> = self.records.iter().map(|record| record.index).collect();
        assert_eq!(indices.len(), self.records.len(), "nothing is sent twice");
    }

    #[track_caller]
    pub(crate) fn assert_no_burst(&self) {
        for record in &self.records {
            let sent = record.sent.unwrap();
            assert!(sent.since(record.due) < LATE, "{:?}", record.index);
        }
    }

    pub(crate) fn arrivals(&self) -> Vec<(u64, Offset)> {
        let arrival = |record: &Record| match record.index {
            Index::Arrival(index) => (index, record.due),
            Index::Turn { .. } => panic!("a closed loop"),
        };
        self.records.iter().map(arrival).collect()
    }

    /// (when, turn) of each request of a user.
    pub(crate) fn turns(&self, of: u32) -> Vec<(Offset, u32)> {
        let turn = |record: &Record| match record.index {
            Index::Turn { user, turn } if user == of => Some((record.begun.unwrap(), turn)),
            _ => None,
        };
        self.records.iter().filter_map(turn).collect()
    }

    pub(crate) fn begun_between(&self, from: Offset, to: Offset) -> usize {
        let begun = self.records.iter().filter_map(|record| record.begun);
        begun.filter(|&at| at >= from && at < to).count()
    }
}

pub(crate) fn run<R>(work: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// The origin of a run that starts soon.
pub(crate) fn soon() -> Instant {
    Instant::now() + span(50)
}

pub(crate) fn load(spec: &Spec) -> Load {
    Load::of(spec)
}

/// All of a cluster, from `from` on.
pub(crate) fn whole(epoch: u32, from: u64, load: Load) -> Share {
    let mut share = Share::nothing(epoch, ms(from), load);
    share.arrivals = Some(Shard::WHOLE);
    share.users = UserSet::strided(0, 1, load.users);
    share
}

pub(crate) fn expected(spec: &Spec, changes: &[(u64, Option<Rate>)]) -> Vec<(u64, Offset)> {
    let mut arrivals = Arrivals::new(spec, SEED).unwrap();
    for &(from, rate) in changes {
        arrivals.change(ms(from), rate);
    }
    arrivals.collect()
}
