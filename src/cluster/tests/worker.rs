//! A worker by itself: what it does when masters come and go.
//! Outputs are taken as they come; no world is around it.

use std::time::Duration;

use super::plan;
use crate::cluster::{
    EngineCommand, EngineEvent, Gauges, Prepare, ToMaster, ToWorker, Worker, WorkerConfig,
    WorkerExit, WorkerInput, WorkerOutput,
};
use crate::domain::Offset;
use crate::metrics::Tally;

const AT: Offset = Offset::from_nanos(50_000_000_000);

fn prepare(run: u64) -> ToWorker {
    ToWorker::Prepare(Box::new(Prepare {
        run,
        epoch: 0,
        index: 0,
        of: 1,
        plan: plan(Some(1.0), None, None),
    }))
}

fn tell(worker: &mut Worker, input: WorkerInput) -> Vec<WorkerOutput> {
    worker.handle(AT, input);
    std::iter::from_fn(|| worker.poll_output()).collect()
}

fn hear(worker: &mut Worker, message: ToWorker) -> Vec<WorkerOutput> {
    tell(worker, WorkerInput::FromMaster(message))
}

fn connect(worker: &mut Worker) {
    tell(worker, WorkerInput::Connected);
    hear(worker, ToWorker::Welcome { worker: 0 });
    let pulse = ToWorker::Pulse {
        echo: AT,
        received_at: AT,
        sent_at: AT,
    };
    hear(worker, pulse);
}

/// A worker in the middle of run 1, with an interval that is not acknowledged.
fn running() -> Worker {
    let mut worker = Worker::new(WorkerConfig {
        name: "w".to_owned(),
        incarnation: 1,
        cores: 1,
    });
    connect(&mut worker);
    hear(&mut worker, prepare(1));
    let ready = tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    assert_eq!(ready, [WorkerOutput::Send(ToMaster::Ready { run: 1 })]);
    let started = hear(&mut worker, ToWorker::Start { run: 1, at: AT });
    assert_eq!(
        started,
        [WorkerOutput::Engine(EngineCommand::Start { at: AT })]
    );
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
    connect(&mut worker);
    let told = hear(&mut worker, prepare(2));
    assert_eq!(told, [WorkerOutput::Engine(EngineCommand::Abort)]);
    let told = tell(&mut worker, WorkerInput::Engine(EngineEvent::Drained));
    assert!(
        matches!(&told[..], [WorkerOutput::Engine(EngineCommand::Prepare(part))] if part.run == 2),
        "{told:?}"
    );
    let ready = tell(&mut worker, WorkerInput::Engine(EngineEvent::Ready));
    assert_eq!(ready, [WorkerOutput::Send(ToMaster::Ready { run: 2 })]);
}

#[test]
fn a_worker_told_to_go_without_a_master_drains_and_does_not_wait_for_ever() {
    let mut worker = running();
    tell(&mut worker, WorkerInput::Disconnected);
    let told = tell(&mut worker, WorkerInput::Shutdown);
    assert_eq!(told, [WorkerOutput::Engine(EngineCommand::Stop)]);
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
        let said = hear(worker, ToWorker::Welcome { worker: 0 });
        let is_interval =
            |of: &&WorkerOutput| matches!(of, WorkerOutput::Send(ToMaster::Interval(_)));
        said.iter().filter(is_interval).count()
    };
    assert_eq!(sent_again(&mut worker), 1);
    hear(&mut worker, ToWorker::Ack { run: 1, seq: 1 });
    assert_eq!(sent_again(&mut worker), 0);
}
