//! `llmload ctl`: asks a running master for something, and prints what it says.

use std::time::Duration;

use serde_json::{Value, json};

use super::changes::reported;
use super::console::Console;
use super::failure::{Failure, status};
use super::security;
use crate::cluster::{
    Change, ClientSecurity, Coming, ControlError, Controller, Dialer, Quantiles, Refusal, RunPhase,
    RunStatus, WorkerState, WorkerStatus,
};
use crate::config::{CtlOptions, Order, Users};
use crate::domain::Rate;
use crate::report::plain;
use crate::schedule::Load;

/// Carries one order out.
pub(super) async fn ctl(options: CtlOptions) -> Result<u8, Failure> {
    let security = security::of_connection(&options.connection)?;
    let said = obey(&options, security).await.map_err(explained)?;
    Console::default().print(&said);
    Ok(status::OK)
}

async fn obey(options: &CtlOptions, security: ClientSecurity) -> Result<String, ControlError> {
    let address = options.connection.master.to_string();
    let mut master = Controller::connect(&address, Dialer::default(), security).await?;
    let changes = match options.order {
        Order::Status => {
            let status = master.status().await?;
            return Ok(shown(options.json, &status, status_json, status_text));
        }
        Order::Workers => {
            let workers = master.workers().await?;
            return Ok(shown(
                options.json,
                workers.as_slice(),
                workers_json,
                workers_text,
            ));
        }
        Order::Stop { abort } => {
            master.stop(abort).await?;
            return Ok(stop_text(abort).to_owned());
        }
        Order::Users { users, spawn_rate } => {
            let users = match users {
                Users::Exactly(users) => Change::Users(users),
                Users::More(more) => Change::MoreUsers(more),
            };
            let spawn_rate = spawn_rate.map(Change::SpawnRate);
            std::iter::once(users).chain(spawn_rate).collect()
        }
        Order::Rate(rate) => vec![Change::Rate(rate)],
        Order::Pause => vec![Change::Pause],
        Order::Resume => vec![Change::Resume],
    };
    Ok(coming_text(master.change(&changes).await?))
}

fn shown<T: ?Sized>(
    as_json: bool,
    what: &T,
    json: fn(&T) -> Value,
    text: fn(&T) -> String,
) -> String {
    if as_json {
        format!("{:#}\n", json(what))
    } else {
        text(what)
    }
}

/// Why it came to nothing, and what to do.
pub(super) fn explained(error: ControlError) -> Failure {
    let (status, hint) = match &error {
        ControlError::Address { .. } => (status::USAGE, Some("write --master HOST:PORT")),
        ControlError::NoMaster { .. } => (
            status::WORKERS,
            Some("does the run still go on, and is it --master HOST:PORT that it listens on?"),
        ),
        ControlError::Rejected(rejection) => (status::USAGE, Some(security::way_in(rejection))),
        ControlError::Refused(words) => (status::FAILED, way_out(words)),
        ControlError::Deaf | ControlError::Failed(_) | ControlError::Wire(_) => {
            (status::FAILED, None)
        }
    };
    Failure {
        error: error.into(),
        hint: hint.map(str::to_owned),
        status,
    }
}

/// What to do about a refusal, which came as words.
fn way_out(words: &str) -> Option<&'static str> {
    let all = [
        Refusal::NotRunning,
        Refusal::Ending,
        Refusal::Closed,
        Refusal::Timed,
        Refusal::Counted,
        Refusal::TooMany,
    ];
    let refusal = all
        .into_iter()
        .find(|refusal| refusal.to_string() == words)?;
    Some(match refusal {
        Refusal::NotRunning => "`llmload ctl status` tells when it has",
        Refusal::Ending => "start another run",
        Refusal::Closed => "`llmload ctl users N` changes its users; --qps makes an open loop",
        Refusal::Timed => "--qps or --stages makes a run that has a rate",
        Refusal::Counted => "--run-time instead of --max-requests makes a run that can be changed",
        Refusal::TooMany => "ask for fewer",
    })
}

fn coming_text(coming: Coming) -> String {
    format!(
        "from {:.1} s of the run on: {}\n",
        coming.from.as_secs_f64(),
        reported(coming.load)
    )
}

const fn stop_text(abort: bool) -> &'static str {
    if abort {
        "the run ends: what is in flight is dropped\n"
    } else {
        "the run ends: no new requests, those in flight are waited for\n"
    }
}

pub(super) const fn phase_name(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Waiting => "waiting",
        RunPhase::Preparing => "preparing",
        RunPhase::Running => "running",
        RunPhase::Stopping => "stopping",
        RunPhase::Ended => "ended",
    }
}

const fn state_name(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Idle => "idle",
        WorkerState::Preparing => "preparing",
        WorkerState::Ready => "ready",
        WorkerState::Running => "running",
        WorkerState::Done => "done",
        WorkerState::Lost => "lost",
    }
}

fn status_text(status: &RunStatus) -> String {
    let mut pairs = Vec::new();
    if let Some(elapsed) = status.elapsed {
        let left = status.left.map(|left| format!(", {} left", seconds(left)));
        let time = format!("{}{}", seconds(elapsed), left.unwrap_or_default());
        pairs.push(("time", time));
    }
    if let Some(load) = status.load {
        pairs.push(("load", reported(load).to_string()));
    }
    if let Some(next) = status.next {
        let (from, load) = (next.from.as_secs_f64(), reported(next.load));
        pairs.push(("next", format!("from {from:.1} s on: {load}")));
    }
    let gauges = status.gauges;
    pairs.push((
        "now",
        format!(
            "{} users, {} requests in flight, {} waiting for a user",
            gauges.users, gauges.in_flight, gauges.waiting
        ),
    ));
    pairs.push((
        "requests",
        format!(
            "{} ended, {} of them failed, {} lost",
            status.requests, status.failures, status.lost
        ),
    ));
    if let Some(recent) = status.recent {
        let rates = (recent.requests_per_s, recent.failures_per_s);
        let span = seconds(recent.span);
        let text = format!(
            "{:.2} requests/s and {:.2} failures/s over the last {span}",
            rates.0, rates.1
        );
        pairs.push(("rate", text));
    }
    for (name, quantiles) in [("ttft", status.ttft), ("latency", status.latency)] {
        pairs.extend(quantiles.map(|quantiles| (name, quantiles_text(quantiles))));
    }
    let workers = status.workers.iter();
    let workers: Vec<_> = workers
        .map(|(&state, count)| format!("{count} {}", state_name(state)))
        .collect();
    let nobody = workers.is_empty().then(|| "none".to_owned());
    pairs.push(("workers", nobody.unwrap_or_else(|| workers.join(", "))));
    format!(
        "run {:016x} is {}\n{}",
        status.run,
        phase_name(status.phase),
        plain::pairs(&pairs)
    )
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn quantiles_text(of: Quantiles) -> String {
    format!(
        "p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, of {} requests",
        millis(of.p50),
        millis(of.p95),
        millis(of.p99),
        of.count
    )
}

fn status_json(status: &RunStatus) -> Value {
    let workers = status.workers.iter();
    json!({
        "run": format!("{:016x}", status.run),
        "phase": phase_name(status.phase),
        "elapsed_s": status.elapsed.map(|span| span.as_secs_f64()),
        "left_s": status.left.map(|span| span.as_secs_f64()),
        "load": status.load.map(load_json),
        "next": status.next.map(|next| json!({
            "from_s": next.from.as_secs_f64(),
            "load": load_json(next.load),
        })),
        "users": status.gauges.users,
        "in_flight": status.gauges.in_flight,
        "waiting": status.gauges.waiting,
        "requests": status.requests,
        "failures": status.failures,
        "lost": status.lost,
        "recent": status.recent.map(|recent| json!({
            "requests_per_s": recent.requests_per_s,
            "failures_per_s": recent.failures_per_s,
            "span_s": recent.span.as_secs_f64(),
        })),
        "ttft_ms": status.ttft.map(quantiles_json),
        "latency_ms": status.latency.map(quantiles_json),
        "workers": workers
            .map(|(&state, &count)| (state_name(state).to_owned(), Value::from(count)))
            .collect::<serde_json::Map<_, _>>(),
    })
}

fn load_json(load: Load) -> Value {
    json!({
        "users": load.users,
        "spawn_rate_per_s": load.spawn_rate.as_f64(),
        "asked_per_s": load.rate.map(Rate::as_f64),
        "paused": load.paused,
    })
}

fn quantiles_json(of: Quantiles) -> Value {
    json!({
        "count": of.count,
        "p50": millis(of.p50),
        "p95": millis(of.p95),
        "p99": millis(of.p99),
    })
}

fn workers_text(workers: &[WorkerStatus]) -> String {
    let heading = [
        "name",
        "state",
        "cores",
        "users",
        "in flight",
        "sent",
        "finished",
        "lost",
        "heard",
        "clock",
    ];
    let rows: Vec<_> = workers.iter().map(worker_row).collect();
    plain::table(heading, &rows)
}

fn worker_row(worker: &WorkerStatus) -> [String; 10] {
    let state = if worker.connected {
        state_name(worker.state).to_owned()
    } else {
        format!("{}, away", state_name(worker.state))
    };
    let clock = worker.clock.map(|clock| {
        let bound = millis(Duration::from_nanos(clock.bound_ns));
        let offset = millis(Duration::from_nanos(clock.offset_ns.unsigned_abs()));
        let sign = if clock.offset_ns < 0 { '-' } else { '+' };
        format!("{sign}{offset:.3} ms ± {bound:.3} ms")
    });
    [
        worker.name.clone(),
        state,
        worker.cores.to_string(),
        worker.gauges.users.to_string(),
        worker.gauges.in_flight.to_string(),
        worker.sent.to_string(),
        worker.finished.to_string(),
        worker.lost.to_string(),
        format!("{} ago", seconds(worker.silent)),
        clock.unwrap_or_else(|| "unknown".to_owned()),
    ]
}

fn workers_json(workers: &[WorkerStatus]) -> Value {
    let worker = |worker: &WorkerStatus| {
        json!({
            "worker": worker.worker,
            "name": worker.name,
            "version": worker.version,
            "cores": worker.cores,
            "state": state_name(worker.state),
            "connected": worker.connected,
            "users": worker.gauges.users,
            "in_flight": worker.gauges.in_flight,
            "waiting": worker.gauges.waiting,
            "sent": worker.sent,
            "finished": worker.finished,
            "lost": worker.lost,
            "silent_s": worker.silent.as_secs_f64(),
            "clock_offset_ns": worker.clock.map(|clock| clock.offset_ns),
            "clock_bound_ns": worker.clock.map(|clock| clock.bound_ns),
        })
    };
    workers.iter().map(worker).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ClockEstimate, Gauges, RecentRate};
    use crate::domain::Offset;

    fn load(rate: u32) -> Load {
        Load {
            users: 20,
            spawn_rate: Rate::per_second(5),
            rate: Some(Rate::per_second(rate)),
            paused: false,
        }
    }

    fn status() -> RunStatus {
        let span = Duration::from_millis;
        RunStatus {
            run: 0xabc,
            phase: RunPhase::Running,
            elapsed: Some(span(34_240)),
            left: Some(span(25_760)),
            load: Some(load(20)),
            next: Some(Coming {
                from: Offset::from_nanos(38_100_000_000),
                load: load(50),
            }),
            gauges: Gauges {
                users: 20,
                in_flight: 3,
                waiting: 0,
            },
            requests: 1_200,
            failures: 3,
            lost: 1,
            recent: Some(RecentRate {
                requests_per_s: 19.9,
                failures_per_s: 0.0,
                span: span(10_000),
            }),
            ttft: Some(Quantiles {
                count: 1_197,
                p50: span(10),
                p95: span(20),
                p99: span(31),
            }),
            latency: None,
            workers: [(WorkerState::Running, 3), (WorkerState::Lost, 1)].into(),
        }
    }

    #[test]
    fn a_status_reads_like_this() {
        insta::assert_snapshot!(status_text(&status()), @r"
        run 0000000000000abc is running
          time      34.2 s, 25.8 s left
          load      20 requests/s, at most 20 in flight
          next      from 38.1 s on: 50 requests/s, at most 20 in flight
          now       20 users, 3 requests in flight, 0 waiting for a user
          requests  1200 ended, 3 of them failed, 1 lost
          rate      19.90 requests/s and 0.00 failures/s over the last 10.0 s
          ttft      p50 10.0 ms, p95 20.0 ms, p99 31.0 ms, of 1197 requests
          workers   3 running, 1 lost
        ");
        let json = status_json(&status());
        assert_eq!(json["next"]["load"]["asked_per_s"], 50.0);
        assert_eq!(
            (&json["ttft_ms"]["p99"], &json["latency_ms"]),
            (&json!(31.0), &Value::Null)
        );
        assert_eq!(json["workers"], json!({"running": 3, "lost": 1}));
    }

    #[test]
    fn workers_read_like_this() {
        let worker = |name: &str, connected, clock| WorkerStatus {
            worker: 0,
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            cores: 8,
            state: WorkerState::Running,
            connected,
            gauges: Gauges {
                users: 10,
                in_flight: 2,
                waiting: 0,
            },
            sent: 600,
            finished: 598,
            lost: 0,
            silent: Duration::from_millis(240),
            clock,
        };
        let clock = ClockEstimate {
            offset_ns: -1_250_000,
            bound_ns: 80_000,
        };
        let workers = vec![
            worker("alpha:17", true, Some(clock)),
            worker("b:4", false, None),
        ];
        insta::assert_snapshot!(workers_text(&workers), @r"
        name      state          cores  users  in flight  sent  finished  lost      heard  clock
        alpha:17  running            8     10          2   600       598     0  0.2 s ago  -1.250 ms ± 0.080 ms
        b:4       running, away      8     10          2   600       598     0  0.2 s ago  unknown
        ");
        assert_eq!(workers_json(&workers)[0]["clock_offset_ns"], -1_250_000);
    }

    #[test]
    fn every_refusal_has_a_way_out() {
        let refused = |refusal: Refusal| explained(ControlError::Refused(refusal.to_string()));
        for refusal in [
            Refusal::NotRunning,
            Refusal::Ending,
            Refusal::Closed,
            Refusal::Timed,
            Refusal::Counted,
            Refusal::TooMany,
        ] {
            let failure = refused(refusal);
            assert!(failure.hint.is_some() && failure.status == 1, "{refusal}");
        }
        let coming = Coming {
            from: Offset::from_nanos(34_200_000_000),
            load: load(50),
        };
        assert_eq!(
            coming_text(coming),
            "from 34.2 s of the run on: 50 requests/s, at most 20 in flight\n"
        );
    }
}
