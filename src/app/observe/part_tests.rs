//! What passes between a worker and its engine arrives as it was, and what it says of the worker's part is shown.

use std::time::Duration;

use super::*;
use crate::cluster::Gauges;
use crate::domain::Offset;
use crate::metrics::Tally;
use crate::report::sample;
use crate::schedule::{Load, Share, UserSet};

/// A worker's port and its engine's end, with somebody who reads along.
struct Line {
    worker: EnginePort,
    engine: EngineEnd,
    shown: watch::Receiver<Option<Part>>,
    _tasks: TaskTracker,
}

fn line() -> Line {
    let tasks = TaskTracker::new();
    let (port, engine) = engine_port(ProcessClock::start());
    let (sender, shown) = watch::channel(None);
    let worker = read_along(port, sender, &tasks);
    Line {
        worker,
        engine,
        shown,
        _tasks: tasks,
    }
}

fn prepare() -> EngineCommand {
    let plan = sample::open().plan.clone();
    let share = Share {
        epoch: 0,
        from: Offset::ZERO,
        load: Load::of(&plan.schedule),
        arrivals: None,
        users: UserSet::default(),
        starts: Vec::new(),
        ends: Vec::new(),
        budget: None,
        target: None,
    };
    EngineCommand::Prepare(Box::new(Prepare {
        run: 7,
        worker: 2,
        alone: false,
        plan,
        share,
        secrets: None,
    }))
}

fn second(number: u64) -> EngineEvent {
    let mut tally = Tally::default();
    tally.counts.scheduled = 5;
    tally.counts.sent = 5;
    let of = |seconds| Offset::ZERO + Duration::from_secs(seconds);
    EngineEvent::Interval {
        from: of(number - 1),
        to: of(number),
        gauges: Gauges {
            users: 4,
            in_flight: 3,
            waiting: 0,
        },
        tally: Box::new(tally),
    }
}

impl Line {
    /// Says it to the engine, which must hear just that.
    async fn told(&mut self, command: EngineCommand) {
        self.worker.commands.send(command.clone()).await.unwrap();
        assert_eq!(self.engine.commands.recv().await, Some(command));
    }

    /// Has the engine say it to the worker.
    async fn said(&mut self, event: EngineEvent) {
        self.engine.events.send(event.clone()).await.unwrap();
        assert_eq!(self.worker.events.recv().await, Some(event));
    }

    fn part(&self) -> Part {
        self.shown.borrow().clone().unwrap()
    }
}

#[tokio::test]
async fn a_part_is_shown_from_its_preparation_to_its_end() {
    let mut line = line();
    assert!(line.shown.borrow().is_none());
    line.told(prepare()).await;
    let part = line.part();
    assert_eq!((part.run, part.worker), (7, 2));
    assert_eq!(part.standing.stage, LifeStage::Preparing);
    line.said(EngineEvent::Ready).await;
    let at = line.worker.clock.now();
    line.told(EngineCommand::Start { at }).await;
    let standing = line.part().standing;
    assert_eq!(standing.stage, LifeStage::Running);
    let started = standing.started_at.unwrap();
    let off = (OffsetDateTime::from(wall_clock()) - started).abs();
    assert!(off < time::Duration::minutes(1), "{off}");
    line.said(second(1)).await;
    line.said(second(2)).await;
    let standing = line.part().standing;
    assert_eq!(standing.now, Offset::ZERO + Duration::from_secs(2));
    assert_eq!(standing.crowd.in_flight, 3);
    assert_eq!(standing.summary.counts.sent, 10);
    line.told(EngineCommand::Stop { at: Offset::ZERO }).await;
    assert_eq!(line.part().standing.stage, LifeStage::Stopping);
    line.said(EngineEvent::Drained).await;
    let standing = line.part().standing;
    assert_eq!(
        (standing.stage, standing.crowd.in_flight),
        (LifeStage::Ended, 0)
    );
    assert!(standing.failure.is_none());
}

#[tokio::test]
async fn a_part_that_cannot_be_done_has_failed_and_the_next_begins_at_nothing() {
    let mut line = line();
    line.told(prepare()).await;
    line.told(EngineCommand::Start { at: Offset::ZERO }).await;
    line.said(second(1)).await;
    let reason = "no room".to_owned();
    line.said(EngineEvent::Unable { reason }).await;
    let standing = line.part().standing;
    assert_eq!(standing.failure.as_deref(), Some("no room"));
    line.told(prepare()).await;
    let standing = line.part().standing;
    assert_eq!(standing.stage, LifeStage::Preparing);
    assert_eq!(standing.summary.counts.sent, 0);
    assert!(standing.failure.is_none());
}

#[tokio::test]
async fn when_one_end_goes_the_other_hears_of_it() {
    let Line {
        worker, mut engine, ..
    } = line();
    drop(worker.commands);
    assert_eq!(engine.commands.recv().await, None);
    let Line {
        mut worker, engine, ..
    } = line();
    drop(engine);
    assert_eq!(worker.events.recv().await, None);
}
