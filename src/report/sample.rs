//! Small runs with round figures, for the tests of this room.

use serde_json::json;
use time::macros::datetime;

use super::{Context, Endpoint, LoadChange, Worker};
use crate::domain::{Index, Mark, Offset, Outcome, Record, Usage};
use crate::metrics::{
    CoreLoad, Generator, Machine, Metric, Observation, Series, Summary, Tally, Verdict, Window,
    judge,
};
use crate::plan::Plan;

pub(crate) struct Sample {
    pub(crate) plan: Plan,
    pub(crate) summary: Summary,
    pub(crate) workers: Vec<Worker>,
    pub(crate) changes: Vec<LoadChange>,
    pub(crate) notes: Vec<String>,
    pub(crate) verdict: Option<Verdict>,
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
        }
    }
}

/// Two requests per second for 10 s, of which four were sent: three good ones and a failure.
pub(crate) fn open() -> Sample {
    let rate = json!({"open": {"rate": 2.0, "law": "constant"}});
    sample(plan(&rate), tally())
}

/// Four users instead.
pub(crate) fn closed() -> Sample {
    sample(plan(&json!("closed")), tally())
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

fn tally() -> Tally {
    let window = Window::default();
    let mut tally = Tally::default();
    for due_ms in [0, 200, 400] {
        tally.record(&record(due_ms), &window);
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
    tally.record(&failed, &window);
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
            "kind": "openai", "model": "m", "chat": true, "stream": true, "headers": {},
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
