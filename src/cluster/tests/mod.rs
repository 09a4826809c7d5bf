//! The cluster as a whole: machines in an invented world, and real sockets on loopback.
//! What a single file does by itself is tested beside it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "invented numbers are small"
)]

mod carry;
mod control;
mod engine;
mod epochs;
mod invariants;
mod lifecycle;
mod network;
mod seeds;
mod turmoil;
mod worker;
mod world;

use serde_json::json;

use super::ledger::finished;
use crate::domain::{Answer, Offset, Outcome};
use crate::metrics::Tally;
use crate::plan::Plan;

/// Eight users; open with this rate, or closed.
pub(super) fn plan(rate: Option<f64>, seconds: Option<u64>, max_requests: Option<u64>) -> Plan {
    let pacing = match rate {
        Some(rate) => json!({"open": {"rate": rate, "law": "constant"}}),
        None => json!("closed"),
    };
    let run_time = seconds.map(|secs| json!({"secs": secs, "nanos": 0}));
    let plan = json!({
        "seed": 7,
        "target": {
            "base_url": "http://127.0.0.1:1", "http": "http1", "insecure_skip_verify": false,
            "ca_pem": null, "connection_reuse": "pooled", "proxy": null,
        },
        "provider": {
            "kind": "openai", "model": "m", "task": "chat", "stream": true, "sampling": {}, "headers": {},
        },
        "workload": {
            "prompts": {"text": "hello"}, "tokenizer": null,
            "output": {"mean": 10, "law": "constant", "range": 0.0, "cap": null, "jitter": 0},
        },
        "schedule": {
            "users": 8, "spawn_rate": 1000.0, "pacing": pacing, "run_time": run_time,
            "warmup": {"secs": 0, "nanos": 0}, "measure_ramp": false,
            "max_requests": max_requests,
        },
        "limits": {
            "total": null, "first_token": null, "idle": null, "connect": null,
            "stop": {"secs": 5, "nanos": 0},
        },
        "observe": {"show_request": false, "show_response": false, "records": null},
    });
    serde_json::from_value(plan).unwrap()
}

/// An answer that ended at `end` (nanoseconds), with this text.
pub(super) fn answer(end: u64, text: String) -> Answer {
    Answer {
        sent: Some(Offset::ZERO),
        first_content: None,
        last_content: Some(Offset::from_nanos(end)),
        end: Offset::from_nanos(end),
        outcome: Outcome::Ok,
        code: None,
        error: String::new(),
        requested_prompt_tokens: Some(5),
        counted_prompt_tokens: None,
        server_prompt_tokens: None,
        max_tokens: 10,
        counted_output_tokens: Some(3),
        server_output_tokens: None,
        arrivals: Vec::new(),
        text: Some(text),
    }
}

/// Both identities that hold at every moment.
fn assert_conserved(tally: &Tally, in_flight: u64, waiting: u64) {
    let counts = tally.counts;
    let known = counts.sent + counts.dropped + counts.late_cancelled + counts.lost + waiting;
    assert_eq!(counts.scheduled, known, "{counts:?}");
    assert_eq!(counts.sent, finished(tally) + in_flight, "{counts:?}");
}
