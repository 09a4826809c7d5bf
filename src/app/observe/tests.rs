//! A run that is watched: its standing is that of its events, and who is slow misses seconds that are counted.

use super::sample::merged;
use super::*;
use crate::report::LifeStage;

#[tokio::test(start_paused = true)]
async fn a_standing_follows_the_events_and_ends_with_the_reports_figures() {
    let (orders, _told) = mpsc::channel(1);
    let run = sample::Run::new();
    let mut observatory = Observatory::new(run.prospect(orders)).unwrap();
    let mut view = observatory.view();
    let mut seconds = observatory.listen();
    let mut observation = observatory.open();
    assert_eq!(view.standing.borrow().stage, LifeStage::Waiting);
    observation.note(&MasterEvent::Dealt { parts: 1, idle: 0 });
    observation.note(&MasterEvent::Starting { at: Offset::ZERO });
    for second in 1..=3 {
        observation.note(&merged(second, 10));
    }
    for to in 1..=3 {
        let second = seconds.recv().await.unwrap();
        assert_eq!(second.to, Offset::from_nanos(to * 1_000_000_000));
        assert_eq!(second.standing.summary.requests(), to * 10);
        assert_eq!((second.missed, second.standing.now), (0, second.to));
    }
    assert_eq!(view.standing.borrow_and_update().stage, LifeStage::Running);
    assert_eq!(with_history(&view, History::ended), 30);
    let outcome = Outcome {
        figures: None,
        failure: Some("too slow".to_owned()),
        workers: Vec::new(),
    };
    observation.end(outcome).await;
    let last = Arc::clone(&view.standing.borrow_and_update());
    assert_eq!(last.stage, LifeStage::Ended);
    assert_eq!(last.failure.as_deref(), Some("too slow"));
    assert!(seconds.recv().await.is_none() && view.standing.changed().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_listen_misses_seconds_that_are_counted() {
    let (orders, _told) = mpsc::channel(1);
    let run = sample::Run::new();
    let mut observatory = Observatory::new(run.prospect(orders)).unwrap();
    let mut seconds = observatory.listen();
    let mut observation = observatory.open();
    let more = 7;
    for second in 1..=SECONDS + more {
        observation.note(&merged(second as u64, 1));
    }
    // Whoever follows has had its turn by then.
    tokio::time::sleep(Duration::from_millis(1)).await;
    for _ in 0..SECONDS {
        assert_eq!(seconds.recv().await.unwrap().missed, 0);
    }
    observation.note(&merged(2_000, 1));
    assert_eq!(seconds.recv().await.unwrap().missed, more as u64);
}
