//! A worker by itself: what it does when masters come and go.
//! Outputs are taken as they come; no world is around it.

use std::time::Duration;

use super::plan;
use crate::cluster::{
    EngineCommand, EngineEvent, Gauges, Prepare, Terms, ToMaster, ToWorker, Worker, WorkerConfig,
    WorkerExit, WorkerInput, WorkerOutput,
};
use crate::domain::Offset;
use crate::metrics::Tally;
use crate::schedule::{Load, Share};

const AT: Offset = Offset::from_nanos(50_000_000_000);

fn prepare(run: u64) -> ToWorker {
    ToWorker::Prepare(part(run, 0, 1))
}

fn part(run: u64, index: u32, of: u32) -> Box<Prepare> {
    Box::new(Prepare {
        run,
        worker: 0,
        alone: true,
        share: Share::first(&plan(Some(1.0), None, None).schedule, index, of),
        plan: plan(Some(1.0), None, None),
        secrets: None,
    })
}

fn tell(worker: &mut Worker, input: WorkerInput) -> Vec<WorkerOutput> {
    worker.handle(AT, input);
    std::iter::from_fn(|| worker.poll_output()).collect()
}

fn hear(worker: &mut Worker, message: ToWorker) -> Vec<WorkerOutput> {
    tell(worker, WorkerInput::FromMaster(message))
}

const TERMS: Terms = Terms {
    heartbeat: Duration::from_secs(1),
    lease: Duration::from_secs(3),
};

fn welcome(run: u64) -> ToWorker {
    ToWorker::Welcome {
        worker: 0,
        run,
        terms: TERMS,
    }
}

fn pulse(run: u64, epoch: u32) -> ToWorker {
    ToWorker::Pulse {
        echo: AT,
        received_at: AT,
        sent_at: AT,
        run,
        epoch,
    }
}

fn connect(worker: &mut Worker, run: u64) {
    tell(worker, WorkerInput::Connected);
    hear(worker, welcome(run));
    beat(worker);
    hear(worker, pulse(run, 0));
}

/// The first heartbeats, which come close together.
fn beat(worker: &mut Worker) {
    for _ in 0..8 {
        let at = worker.poll_timeout().unwrap();
        worker.handle_timeout(at);
        while worker.poll_output().is_some() {}
    }
}

fn ready(run: u64) -> WorkerOutput {
    let digest = plan(Some(1.0), None, None).digest();
    WorkerOutput::Send(ToMaster::Ready { run, digest })
}

/// A worker in the middle of run 1, with an interval that is not acknowledged.
fn running() -> Worker {
    let mut worker = Worker::new(WorkerConfig {
        name: "w".to_owned(),
        incarnation: 1,
        cores: 1,
    });
    connect(&mut worker, 1);
    hear(&mut worker, prepare(1));
    let said = tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    assert_eq!(said, [ready(1)]);
    let started = hear(&mut worker, ToWorker::Start { run: 1, at: AT });
    let lease = EngineCommand::Lease {
        until: AT + TERMS.lease,
    };
    let start = EngineCommand::Start { at: AT };
    assert_eq!(started[0], WorkerOutput::Engine(lease));
    assert_eq!(started.last(), Some(&WorkerOutput::Engine(start)));
    let interval = EngineEvent::Interval {
        from: Offset::ZERO,
        to: AT,
        gauges: Gauges::default(),
        tally: Box::new(Tally::default()),
    };
    tell(&mut worker, WorkerInput::Engine(interval));
    worker
}

#[test]
fn another_masters_run_begins_only_when_the_engine_is_rid_of_the_old_one() {
    let mut worker = running();
    tell(&mut worker, WorkerInput::Disconnected);
    tell(&mut worker, WorkerInput::Connected);
    // While the old lease holds, the old master may live: this one is another by mistake.
    assert_eq!(hear(&mut worker, welcome(2)), [WorkerOutput::HangUp]);
    tell(&mut worker, WorkerInput::Disconnected);
    let later = AT + TERMS.lease;
    worker.handle(later, WorkerInput::Connected);
    worker.handle(later, WorkerInput::FromMaster(welcome(2)));
    let told: Vec<_> = std::iter::from_fn(|| worker.poll_output()).collect();
    let orphaned = WorkerOutput::Orphaned {
        run: 1,
        intervals: 1,
    };
    assert!(told.contains(&orphaned), "{told:?}");
    assert!(told.contains(&WorkerOutput::Engine(EngineCommand::Abort)));
    beat(&mut worker);
    hear(&mut worker, pulse(2, 0));
    assert_eq!(hear(&mut worker, prepare(2)), []);
    let told = tell(&mut worker, WorkerInput::Engine(EngineEvent::Drained));
    assert!(
        matches!(&told[..], [WorkerOutput::Engine(EngineCommand::Prepare(part))] if part.run == 2),
        "{told:?}"
    );
    let said = tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    assert_eq!(said, [ready(2)]);
}

#[test]
fn a_worker_told_to_go_without_a_master_drains_and_does_not_wait_for_ever() {
    let mut worker = running();
    tell(&mut worker, WorkerInput::Disconnected);
    let told = tell(&mut worker, WorkerInput::Shutdown);
    assert_eq!(
        told,
        [WorkerOutput::Engine(EngineCommand::Stop {
            at: Offset::ZERO
        })]
    );
    assert_eq!(worker.poll_timeout(), None);
    assert_eq!(
        tell(&mut worker, WorkerInput::Engine(EngineEvent::Drained)),
        []
    );
    let patience = worker.poll_timeout().unwrap();
    assert_eq!(patience, AT + Duration::from_secs(10));
    worker.handle_timeout(patience);
    let exit = WorkerExit::Left { undelivered: 1 };
    assert_eq!(worker.poll_output(), Some(WorkerOutput::Done(exit)));
}

#[test]
fn after_a_reconnect_only_what_is_not_acknowledged_is_sent_again() {
    let mut worker = running();
    let sent_again = |worker: &mut Worker| {
        tell(worker, WorkerInput::Disconnected);
        tell(worker, WorkerInput::Connected);
        let said = hear(worker, welcome(1));
        let is_interval =
            |of: &&WorkerOutput| matches!(of, WorkerOutput::Send(ToMaster::Interval(_)));
        said.iter().filter(is_interval).count()
    };
    assert_eq!(sent_again(&mut worker), 1);
    hear(&mut worker, ToWorker::Ack { run: 1, seq: 1 });
    assert_eq!(sent_again(&mut worker), 0);
}

fn share(epoch: u32) -> ToWorker {
    let schedule = plan(Some(1.0), None, None).schedule;
    let from = Offset::from_nanos(u64::from(epoch) * 1_000_000_000);
    let share = Share::nothing(epoch, from, Load::of(&schedule));
    ToWorker::Share {
        run: 1,
        share: Box::new(share),
    }
}

fn leases(said: &[WorkerOutput]) -> usize {
    let is_lease =
        |of: &&WorkerOutput| matches!(of, WorkerOutput::Engine(EngineCommand::Lease { .. }));
    said.iter().filter(is_lease).count()
}

#[test]
fn who_has_not_heard_of_an_epoch_gets_no_lease() {
    let mut worker = running();
    let later = |epoch, run| ToWorker::Pulse {
        echo: AT + Duration::from_secs(1),
        received_at: AT + Duration::from_secs(1),
        sent_at: AT + Duration::from_secs(1),
        run,
        epoch,
    };
    assert_eq!(leases(&hear(&mut worker, later(1, 1))), 0);
    // Another run's master grants nothing either.
    assert_eq!(leases(&hear(&mut worker, later(0, 2))), 0);
    hear(&mut worker, later(1, 1));
    let said = hear(&mut worker, share(1));
    assert_eq!(leases(&said), 1, "{said:?}");
}

#[test]
fn a_stale_share_is_refused() {
    let mut worker = running();
    let is_share = |of: &WorkerOutput| matches!(of, WorkerOutput::Engine(EngineCommand::Share(_)));
    assert!(hear(&mut worker, share(1)).iter().any(is_share));
    assert!(hear(&mut worker, share(2)).iter().any(is_share));
    for stale in [1, 2] {
        assert_eq!(hear(&mut worker, share(stale)), []);
    }
    let other = match share(3) {
        ToWorker::Share { share, .. } => ToWorker::Share { run: 5, share },
        other => other,
    };
    assert_eq!(hear(&mut worker, other), []);
}

#[test]
fn what_the_worker_counted_is_said_with_its_last_word() {
    let mut worker = running();
    let mut tally = Tally::default();
    tally.counts.scheduled = 7;
    tally.counts.sent = 5;
    let interval = EngineEvent::Interval {
        from: AT,
        to: AT,
        gauges: Gauges::default(),
        tally: Box::new(tally),
    };
    tell(&mut worker, WorkerInput::Engine(interval));
    let said = tell(&mut worker, WorkerInput::Engine(EngineEvent::Drained));
    let last = said.iter().find_map(|of| match of {
        WorkerOutput::Send(ToMaster::Final {
            last_seq, totals, ..
        }) => Some((*last_seq, *totals)),
        _ => None,
    });
    let (last_seq, totals) = last.unwrap();
    assert_eq!(
        (last_seq, totals.scheduled, totals.sent, totals.finished),
        (2, 7, 5, 0)
    );
}

/// A worker that its master gave up before the start, and that is back on another connection: what it heard there, with
/// `prepared` before it was cut off.
fn back_before_the_start(prepared: bool) -> Worker {
    let mut worker = Worker::new(WorkerConfig {
        name: "w".to_owned(),
        incarnation: 1,
        cores: 1,
    });
    connect(&mut worker, 1);
    hear(&mut worker, ToWorker::Prepare(part(1, 1, 2)));
    if prepared {
        tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    }
    tell(&mut worker, WorkerInput::Disconnected);
    connect(&mut worker, 1);
    worker
}

#[test]
fn a_worker_given_up_before_the_start_takes_the_part_that_it_gets_when_it_is_back() {
    let mut worker = back_before_the_start(true);
    let again = hear(&mut worker, ToWorker::Prepare(part(1, 1, 2)));
    assert_eq!(again, [ready(1)]);
    let other = part(1, 0, 2);
    let told = hear(&mut worker, ToWorker::Prepare(other.clone()));
    let prepare = WorkerOutput::Engine(EngineCommand::Prepare(other));
    assert_eq!(told, [prepare]);
    let said = tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    assert_eq!(said, [ready(1)]);
}

#[test]
fn a_worker_that_is_back_says_ready_for_the_part_that_it_is_told_there_alone() {
    let mut worker = back_before_the_start(false);
    let said = tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    assert_eq!(said, []);
    let other = part(1, 0, 2);
    let told = hear(&mut worker, ToWorker::Prepare(other.clone()));
    assert_eq!(told, [WorkerOutput::Engine(EngineCommand::Prepare(other))]);
    // The engine answers for the first part yet, when another comes meanwhile.
    let mut worker = back_before_the_start(false);
    let other = part(1, 0, 2);
    assert_eq!(hear(&mut worker, ToWorker::Prepare(other.clone())), []);
    let told = tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    assert_eq!(told, [WorkerOutput::Engine(EngineCommand::Prepare(other))]);
    let said = tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    assert_eq!(said, [ready(1)]);
}

#[test]
fn an_engine_knows_whose_everything_is_before_it_starts_late() {
    let mut worker = back_before_the_start(true);
    let first = part(1, 1, 2);
    let spec = plan(Some(1.0), None, None).schedule;
    let share = Share::nothing(1, AT, Load::of(&spec));
    hear(&mut worker, ToWorker::Prepare(first));
    let message = Box::new(share.clone());
    assert_eq!(
        hear(
            &mut worker,
            ToWorker::Share {
                run: 1,
                share: message
            }
        ),
        []
    );
    let started = hear(&mut worker, ToWorker::Start { run: 1, at: AT });
    let tail = [
        WorkerOutput::Engine(EngineCommand::Share(Box::new(share))),
        WorkerOutput::Engine(EngineCommand::Start { at: AT }),
    ];
    assert!(started.ends_with(&tail), "{started:?}");
}

#[test]
fn a_lease_ends_at_its_time_by_the_masters_clock_too() {
    let mut worker = running();
    // By this clock the answer is to a heartbeat of five seconds later; the master's says that one has passed.
    let said = hear(
        &mut worker,
        ToWorker::Pulse {
            echo: AT + Duration::from_secs(5),
            received_at: AT + Duration::from_secs(1),
            sent_at: AT + Duration::from_secs(1),
            run: 1,
            epoch: 0,
        },
    );
    let lease = EngineCommand::Lease {
        until: AT + Duration::from_secs(1) + TERMS.lease,
    };
    assert!(said.contains(&WorkerOutput::Engine(lease)), "{said:?}");
}
