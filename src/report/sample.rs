//! Small runs with round figures, for the tests of this room.

use std::sync::Arc;

use serde_json::json;
use time::macros::datetime;

use super::{
    Context, Crowd, Endpoint, Lately, LifeStage, LoadChange, Standing, Worker, WorkerStanding,
};
use crate::domain::{Index, Mark, Offset, Outcome, Record, Turn, Usage};
use crate::gauges::Watched;
use crate::metrics::{
    CoreLoad, Generator, Machine, Metric, Observation, Rules, Series, Summary, Tally, Verdict,
    Window, judge,
};
use crate::plan::Plan;

pub(crate) struct Sample {
    pub(crate) plan: Plan,
    pub(crate) summary: Summary,
    pub(crate) workers: Vec<Worker>,
    pub(crate) changes: Vec<LoadChange>,
    pub(crate) notes: Vec<String>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) watched: Option<Box<Watched>>,
}

impl Sample {
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            plan: &self.plan,
            endpoint: Endpoint {
                method: "POST",
                name: "/v1/chat/completions",
            },
            summary: &self.summary,
            workers: &self.workers,
            started_at: datetime!(2026-01-02 03:04:05 UTC),
            changes: &self.changes,
            notes: &self.notes,
            version: "0.1.0",
            verdict: self.verdict.as_ref(),
            failure: None,
            watched: self.watched.as_deref(),
        }
    }
}

impl Sample {
    /// The run as it stands after its last second.
    pub(crate) fn standing(self) -> Standing {
        let schedule = &self.plan.schedule;
        Standing {
            stage: LifeStage::Running,
            started_at: Some(datetime!(2026-01-02 03:04:05 UTC)),
            now: self.summary.to,
            left: Some(std::time::Duration::from_secs(5)),
            load: super::Load {
                users: schedule.users,
                spawn_rate: schedule.spawn_rate,
                rate: None,
                paused: false,
            },
            asked_per_s: schedule.rate_at(self.summary.to),
            crowd: Crowd {
                users: 4,
                in_flight: 1,
                waiting: 0,
            },
            lately: Arc::new(Lately {
                phase: self.summary.phase.clone(),
                span_s: 10.0,
                requests_per_s: 0.4,
                failures_per_s: 0.1,
            }),
            summary: Arc::new(self.summary),
            workers: Arc::new(vec![WorkerStanding {
                worker: 0,
                name: "host:17".to_owned(),
                version: "0.1.0".to_owned(),
                cores: 8,
                state: "running",
                connected: true,
                crowd: Crowd::default(),
                sent: 5,
                finished: 4,
                lost: 0,
                silent: std::time::Duration::from_millis(240),
                clock: Some((-1_250_000, 80_000)),
            }]),
            changes: Arc::new(self.changes),
            verdict: self.verdict.map(Arc::new),
            failure: None,
        }
    }
}

/// Two requests per second for 10 s, of which four were sent: three good ones and a failure.
pub(crate) fn open() -> Sample {
    let rate = json!({"open": {"rate": 2.0, "law": "constant"}});
    sample(plan(&rate), tally(&Rules::default()))
}

/// Four users instead.
pub(crate) fn closed() -> Sample {
    sample(plan(&json!("closed")), tally(&Rules::default()))
}

/// `open`, folded by objectives.
pub(crate) fn with_objectives(slos: &[&str]) -> Sample {
    let mut plan = plan(&json!({"open": {"rate": 2.0, "law": "constant"}}));
    plan.observe.slos = slos.iter().map(|slo| slo.parse().unwrap()).collect();
    let rules = Rules {
        slos: plan.observe.slos.clone(),
        ..Rules::default()
    };
    let tally = tally(&rules);
    sample(plan, tally)
}

/// `closed`, of requests that are turns of two conversations of 12 turns each, of which the last had no time.
pub(crate) fn conversations() -> Sample {
    let mut all = tally(&Rules::default());
    for session in 0..2 {
        for number in 0..(12 - session) {
            let longer = u64::from(number) * 2_000_000;
            let mut record = record(1_000 + u64::from(number) * 100);
            record.turn = Some(Turn {
                session: u64::from(session),
                number,
                of: 12,
            });
            record.usage.prompt_tokens = Some(100 + 20 * number);
            for mark in &mut record.marks {
                mark.at = Offset::from_nanos(mark.at.as_nanos() + longer);
            }
            record.end = Offset::from_nanos(record.end.as_nanos() + longer);
            all.record(&record, &Window::default(), &Rules::default());
            all.counts.scheduled += 1;
            all.counts.sent += 1;
        }
    }
    sample(plan(&json!("closed")), all)
}

/// Four users that ask for the vectors of two texts: three requests of 42 and one of 20 ms.
pub(crate) fn embeddings() -> Sample {
    let normalize = json!({"dimensions": null, "prompt_template": null, "return_logits": null, "normalize": false});
    without_text(&json!({"embeddings": normalize}), 2)
}

/// The same for the order of ten documents.
pub(crate) fn rerank() -> Sample {
    let query = json!({"query": "?", "top_n": null, "return_documents": true});
    without_text(&json!({"rerank": query}), 10)
}

fn without_text(task: &serde_json::Value, vectors: u32) -> Sample {
    let mut plan = plan(&json!("closed"));
    plan.provider.task = serde_json::from_value(task.clone()).unwrap();
    plan.provider.stream = false;
    let rules = Rules {
        embeddings: plan.provider.task.embeds(),
        ..Rules::default()
    };
    let mut tally = Tally::default();
    for (due_ms, faster_ns) in [(0, 0), (200, 0), (400, 0), (600, 22_000_000)] {
        let mut record = record(due_ms);
        record.end = Offset::from_nanos(record.end.as_nanos() - faster_ns);
        let vectors = Record {
            streamed: false,
            marks: Vec::new(),
            first_visible: None,
            output_chars: 0,
            usage: Usage {
                completion_tokens: Some(0),
                ..record.usage
            },
            vectors,
            ..record
        };
        tally.record(&vectors, &Window::default(), &rules);
    }
    tally.counts.scheduled = 4;
    tally.counts.sent = 4;
    tally.generator = generator();
    sample(plan, tally)
}

/// 10 ms to the first token, 42 ms to the end, four tokens, 800 bytes.
pub(crate) fn record(due_ms: u64) -> Record {
    let at = |ms: u64| Offset::from_nanos((due_ms + ms) * 1_000_000);
    let mark = |ms, tokens| Mark { at: at(ms), tokens };
    Record {
        index: Index::Arrival(due_ms),
        due: at(0),
        behind_ns: 0,
        ready: at(0),
        begun: Some(at(1)),
        sent: Some(at(1)),
        headers: Some(at(5)),
        marks: vec![mark(11, 1), mark(21, 1), mark(41, 2)],
        first_visible: Some(at(11)),
        end: at(43),
        streamed: true,
        outcome: Outcome::Ok,
        error: String::new(),
        status: Some(200),
        server_code: None,
        retry_after_s: None,
        choices: 1,
        vectors: 0,
        server: None,
        turn: None,
        finish: None,
        usage: Usage {
            prompt_tokens: Some(100),
            completion_tokens: Some(4),
            cached_tokens: None,
            reasoning_tokens: None,
        },
        logprob_tokens: None,
        tokenizer_tokens: None,
        max_tokens: 4,
        requested_prompt_tokens: Some(100),
        counted_prompt_tokens: None,
        output_chars: 20,
        body_bytes: 800,
        new_connection: due_ms == 0,
        connect_ns: 2_000_000,
    }
}

fn tally(rules: &Rules) -> Tally {
    let window = Window::default();
    let mut tally = Tally::default();
    for due_ms in [0, 200, 400] {
        tally.record(&record(due_ms), &window, rules);
    }
    let failed = Record {
        outcome: Outcome::Http5xx,
        error: "busy, \"really\"".to_owned(),
        status: Some(503),
        marks: Vec::new(),
        first_visible: None,
        usage: Usage::default(),
        ..record(600)
    };
    tally.record(&failed, &window, rules);
    tally.counts.scheduled = 4;
    tally.counts.sent = 4;
    tally.generator = generator();
    let mut lag = Series::default();
    lag.record_n(20_000, 12);
    tally.measured.series.insert(Metric::ReceiveLag, lag);
    tally
}

/// Two cores, of which one was busy for a third of the time; every stamp is the kernel's.
fn generator() -> Generator {
    let load = |cpu_ms: u64, kept_waiting_ms: u64| CoreLoad {
        wall_ns: 9_000_000_000,
        cpu_ns: cpu_ms * 1_000_000,
        kept_waiting_ns: kept_waiting_ms * 1_000_000,
    };
    Generator {
        reads: 12,
        kernel_stamped: 12,
        events: 9,
        shared: 1,
        clock_steps: 0,
        cores: [(0, load(1_000, 0)), (1, load(2_250, 900))].into(),
        machine: Machine {
            ticks: 2_000,
            stolen: 8,
            mhz: Some((2_596, 2_600)),
        },
    }
}

fn sample(plan: Plan, tally: Tally) -> Sample {
    let end = Offset::from_nanos(10_000_000_000);
    let seen = Observation {
        window: Window {
            start: Offset::ZERO,
            end: Some(end),
        },
        until: end,
        ..Observation::default()
    };
    let worker = |name: &str, requests, clock, lost| Worker {
        name: name.to_owned(),
        requests,
        finished: requests,
        dropped: 0,
        lost_requests: if lost { 4 } else { 0 },
        clock,
        lost,
    };
    let summary = Summary::new(tally, seen);
    Sample {
        plan,
        verdict: judge(&summary),
        summary,
        workers: vec![
            worker("alpha-17", 3, Some((-1_250_000, 80_000)), false),
            worker("beta-4", 1, None, true),
        ],
        changes: Vec::new(),
        notes: vec!["no --run-time: stopped by hand".to_owned()],
        watched: None,
    }
}

fn plan(pacing: &serde_json::Value) -> Plan {
    let second = json!({"secs": 1, "nanos": 0});
    let plan = json!({
        "seed": 1,
        "target": {
            "base_url": "http://127.0.0.1:8000", "http": "http1", "insecure_skip_verify": false,
            "ca_pem": null, "connection_reuse": "pooled", "proxy": null,
        },
        "provider": {
            "kind": "openai", "model": "m", "task": "chat", "stream": true, "headers": {},
            "sampling": {
                "temperature": 1.0, "top_k": null, "n": null, "logprobs": null, "reasoning_effort": null,
            },
        },
        "workload": {
            "prompts": {"text": "hello"},
            "output": {"mean": 4, "law": "constant", "range": 0.3, "cap": null, "jitter": 0},
            "tokenizer": null,
        },
        "schedule": {
            "users": 4, "spawn_rate": 1.0, "pacing": pacing, "run_time": null,
            "warmup": second, "measure_ramp": false, "max_requests": null,
        },
        "limits": {"total": null, "first_token": null, "idle": null, "connect": null, "stop": second},
        "observe": {"show_request": false, "show_response": false, "records": null},
    });
    serde_json::from_value(plan).unwrap()
}
