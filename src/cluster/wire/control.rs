//! The words of the control service as protobuf and back. Both ends check what they hear.

use std::time::Duration;

use super::share::{load_in, load_out};
use super::{MAX_NAME_BYTES, WireError, cut, gauges_in, gauges_out, pb, state_in, state_out, text};
use crate::cluster::master::Change;
use crate::cluster::{
    ClockEstimate, Coming, Quantiles, RecentRate, RunPhase, RunStatus, WorkerStatus,
};
use crate::domain::{Offset, Rate};

/// Puts wishes into one request; of two of a kind the later one counts.
pub(in crate::cluster) fn encode_changes(changes: &[Change]) -> pb::ChangeRequest {
    let mut request = pb::ChangeRequest::default();
    for change in changes {
        match *change {
            Change::Users(users) => request.users = Some(users),
            Change::MoreUsers(more) => request.more_users = Some(more),
            Change::SpawnRate(rate) => request.spawn_rate = Some(rate.as_f64()),
            Change::Rate(rate) => request.rate = Some(rate.as_f64()),
            Change::Pause => request.paused = Some(true),
            Change::Resume => request.paused = Some(false),
        }
    }
    request
}

/// Reads wishes, in an order in which the run refuses the first of them or none.
pub(in crate::cluster) fn decode_changes(
    request: &pb::ChangeRequest,
) -> Result<Vec<Change>, WireError> {
    let rate = |what, rate: Option<f64>| {
        let rate = rate.map(Rate::try_from).transpose();
        rate.map_err(|_| WireError::Impossible(what))
    };
    let users = match (request.users, request.more_users) {
        (Some(_), Some(_)) => return Err(WireError::Impossible("users")),
        (Some(users), None) => Some(Change::Users(users)),
        (None, more) => more.map(Change::MoreUsers),
    };
    let pause = request.paused.map(|paused| {
        if paused {
            Change::Pause
        } else {
            Change::Resume
        }
    });
    let wishes = [
        rate("rate", request.rate)?.map(Change::Rate),
        users,
        rate("spawn_rate", request.spawn_rate)?.map(Change::SpawnRate),
        pause,
    ];
    let changes: Vec<Change> = wishes.into_iter().flatten().collect();
    if changes.is_empty() {
        return Err(WireError::NoBody);
    }
    Ok(changes)
}

pub(in crate::cluster) fn encode_coming(coming: Coming) -> pb::ComingLoad {
    pb::ComingLoad {
        from_offset: coming.from.as_nanos(),
        load: Some(load_out(coming.load)),
    }
}

pub(in crate::cluster) fn decode_coming(coming: pb::ComingLoad) -> Result<Coming, WireError> {
    Ok(Coming {
        from: Offset::from_nanos(coming.from_offset),
        load: load_in(coming.load.ok_or(WireError::Missing("load"))?)?,
    })
}

pub(in crate::cluster) fn encode_status(status: &RunStatus) -> pb::StatusReply {
    let workers = status.workers.iter();
    pb::StatusReply {
        run: status.run,
        phase: phase_out(status.phase).into(),
        elapsed_ns: status.elapsed.map(nanos),
        left_ns: status.left.map(nanos),
        load: status.load.map(load_out),
        next: status.next.map(encode_coming),
        gauges: Some(gauges_out(status.gauges)),
        requests: status.requests,
        failures: status.failures,
        lost: status.lost,
        recent: status.recent.map(|recent| pb::RecentRate {
            requests_per_s: recent.requests_per_s,
            failures_per_s: recent.failures_per_s,
            span_ns: nanos(recent.span),
        }),
        ttft: status.ttft.map(quantiles_out),
        latency: status.latency.map(quantiles_out),
        workers: workers
            .map(|(&state, &count)| pb::WorkersInState {
                state: state_out(state).into(),
                count,
            })
            .collect(),
    }
}

pub(in crate::cluster) fn decode_status(reply: pb::StatusReply) -> Result<RunStatus, WireError> {
    let workers = reply.workers.into_iter();
    Ok(RunStatus {
        run: reply.run,
        phase: phase_in(reply.phase)?,
        elapsed: reply.elapsed_ns.map(Duration::from_nanos),
        left: reply.left_ns.map(Duration::from_nanos),
        load: reply.load.map(load_in).transpose()?,
        next: reply.next.map(decode_coming).transpose()?,
        gauges: gauges_in(reply.gauges)?,
        requests: reply.requests,
        failures: reply.failures,
        lost: reply.lost,
        recent: reply.recent.map(recent_in).transpose()?,
        ttft: reply.ttft.map(quantiles_in),
        latency: reply.latency.map(quantiles_in),
        workers: workers
            .map(|of| Ok((state_in(of.state)?, of.count)))
            .collect::<Result<_, WireError>>()?,
    })
}

pub(in crate::cluster) fn encode_worker(worker: WorkerStatus) -> pb::WorkerStanding {
    pb::WorkerStanding {
        worker: worker.worker,
        name: cut(worker.name, MAX_NAME_BYTES),
        version: cut(worker.version, MAX_NAME_BYTES),
        cores: worker.cores,
        state: state_out(worker.state).into(),
        connected: worker.connected,
        gauges: Some(gauges_out(worker.gauges)),
        sent: worker.sent,
        finished: worker.finished,
        lost: worker.lost,
        silent_ns: nanos(worker.silent),
        clock: worker.clock.map(|clock| pb::ClockEstimate {
            offset_ns: clock.offset_ns,
            bound_ns: clock.bound_ns,
        }),
    }
}

pub(in crate::cluster) fn decode_worker(
    worker: pb::WorkerStanding,
) -> Result<WorkerStatus, WireError> {
    Ok(WorkerStatus {
        worker: worker.worker,
        name: text("name", worker.name, MAX_NAME_BYTES)?,
        version: text("version", worker.version, MAX_NAME_BYTES)?,
        cores: worker.cores,
        state: state_in(worker.state)?,
        connected: worker.connected,
        gauges: gauges_in(worker.gauges)?,
        sent: worker.sent,
        finished: worker.finished,
        lost: worker.lost,
        silent: Duration::from_nanos(worker.silent_ns),
        clock: worker.clock.map(|clock| ClockEstimate {
            offset_ns: clock.offset_ns,
            bound_ns: clock.bound_ns,
        }),
    })
}

fn nanos(span: Duration) -> u64 {
    Offset::from(span).as_nanos()
}

fn recent_in(recent: pb::RecentRate) -> Result<RecentRate, WireError> {
    let sound = |rate: f64| rate.is_finite() && rate >= 0.0;
    if !sound(recent.requests_per_s) || !sound(recent.failures_per_s) {
        return Err(WireError::Impossible("recent"));
    }
    Ok(RecentRate {
        requests_per_s: recent.requests_per_s,
        failures_per_s: recent.failures_per_s,
        span: Duration::from_nanos(recent.span_ns),
    })
}

fn quantiles_out(quantiles: Quantiles) -> pb::Quantiles {
    pb::Quantiles {
        count: quantiles.count,
        p50: nanos(quantiles.p50),
        p95: nanos(quantiles.p95),
        p99: nanos(quantiles.p99),
    }
}

const fn quantiles_in(quantiles: pb::Quantiles) -> Quantiles {
    Quantiles {
        count: quantiles.count,
        p50: Duration::from_nanos(quantiles.p50),
        p95: Duration::from_nanos(quantiles.p95),
        p99: Duration::from_nanos(quantiles.p99),
    }
}

const fn phase_out(phase: RunPhase) -> pb::RunPhase {
    match phase {
        RunPhase::Waiting => pb::RunPhase::Waiting,
        RunPhase::Preparing => pb::RunPhase::Preparing,
        RunPhase::Running => pb::RunPhase::Running,
        RunPhase::Stopping => pb::RunPhase::Stopping,
        RunPhase::Ended => pb::RunPhase::Ended,
    }
}

fn phase_in(number: i32) -> Result<RunPhase, WireError> {
    let what = "phase";
    Ok(match pb::RunPhase::try_from(number) {
        Ok(pb::RunPhase::Waiting) => RunPhase::Waiting,
        Ok(pb::RunPhase::Preparing) => RunPhase::Preparing,
        Ok(pb::RunPhase::Running) => RunPhase::Running,
        Ok(pb::RunPhase::Stopping) => RunPhase::Stopping,
        Ok(pb::RunPhase::Ended) => RunPhase::Ended,
        Ok(pb::RunPhase::Unspecified) | Err(_) => return Err(WireError::Unknown { what, number }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Gauges, WorkerState};
    use crate::schedule::Load;

    fn load() -> Load {
        Load {
            users: 20,
            spawn_rate: Rate::per_second(5),
            rate: Some(Rate::per_second(50)),
            paused: true,
        }
    }

    #[test]
    fn a_status_survives_the_wire() {
        let span = Duration::from_millis;
        let of = |ms| Quantiles {
            count: 9,
            p50: span(ms),
            p95: span(2 * ms),
            p99: span(3 * ms),
        };
        let status = RunStatus {
            run: u64::MAX,
            phase: RunPhase::Stopping,
            elapsed: Some(span(1_500)),
            left: Some(span(7)),
            load: Some(load()),
            next: Some(Coming {
                from: Offset::from_nanos(5),
                load: Load {
                    rate: None,
                    ..load()
                },
            }),
            gauges: Gauges {
                users: 1,
                in_flight: 2,
                waiting: 3,
            },
            requests: 10,
            failures: 1,
            lost: 4,
            recent: Some(RecentRate {
                requests_per_s: 2.5,
                failures_per_s: 0.5,
                span: span(2_000),
            }),
            ttft: Some(of(10)),
            latency: Some(of(100)),
            workers: [(WorkerState::Idle, 1), (WorkerState::Lost, 2)].into(),
        };
        assert_eq!(decode_status(encode_status(&status)).unwrap(), status);
        let mut wrong = encode_status(&status);
        wrong.recent = Some(pb::RecentRate {
            requests_per_s: f64::NAN,
            ..Default::default()
        });
        assert!(decode_status(wrong).is_err());
        let mut wrong = encode_status(&status);
        wrong.phase = 77;
        assert!(decode_status(wrong).is_err());
    }

    #[test]
    fn a_worker_survives_the_wire_and_moves_no_cursor() {
        let worker = WorkerStatus {
            worker: 3,
            name: "host:1".to_owned(),
            version: "1.2.3".to_owned(),
            cores: 8,
            state: WorkerState::Preparing,
            connected: true,
            gauges: Gauges::default(),
            sent: 7,
            finished: 6,
            lost: 5,
            silent: Duration::from_millis(12),
            clock: Some(ClockEstimate {
                offset_ns: -5,
                bound_ns: 6,
            }),
        };
        assert_eq!(
            decode_worker(encode_worker(worker.clone())).unwrap(),
            worker
        );
        let mut wrong = encode_worker(worker);
        wrong.name = "\u{1b}[2J".to_owned();
        assert!(decode_worker(wrong).is_err());
    }

    #[test]
    fn wishes_come_in_an_order_in_which_none_is_half_done() {
        let changes = [
            Change::Pause,
            Change::SpawnRate(Rate::per_second(3)),
            Change::MoreUsers(-4),
            Change::Rate(Rate::per_second(2)),
        ];
        let heard = decode_changes(&encode_changes(&changes)).unwrap();
        let [pause, spawn_rate, users, rate] = changes;
        assert_eq!(heard, [rate, users, spawn_rate, pause]);
    }

    #[test]
    fn no_wish_and_impossible_ones_are_refused() {
        assert!(decode_changes(&pb::ChangeRequest::default()).is_err());
        let wishes = |change: fn(&mut pb::ChangeRequest)| {
            let mut request = pb::ChangeRequest::default();
            change(&mut request);
            decode_changes(&request)
        };
        assert!(wishes(|of| of.rate = Some(0.0)).is_err());
        assert!(wishes(|of| of.spawn_rate = Some(f64::NAN)).is_err());
        assert!(wishes(|of| (of.users, of.more_users) = (Some(1), Some(1))).is_err());
        assert_eq!(wishes(|of| of.users = Some(0)).unwrap(), [Change::Users(0)]);
    }
}
