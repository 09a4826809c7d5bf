//! A run's life, one rule at a time: waiting, refusing, dealing, stopping, leaving, ending.
//! Virtual time; `seeds` does the same under faults.

use std::time::Duration;

use super::engine::Engine;
use super::plan;
use super::world::World;
use crate::cluster::{
    ConnId, EndedBy, Hello, Master, MasterConfig, MasterEvent, MasterInput, MasterOutput, OnLoss,
    PROTOCOL_VERSION, ToMaster, ToWorker, WorkerExit, WorkerState,
};
use crate::domain::{Offset, Outcome};
use crate::plan::Plan;
use crate::schedule::Enough;

fn open(workers: u32) -> MasterConfig {
    MasterConfig::new(9, plan(Some(20.0), Some(6), None), workers)
}

fn endless(workers: u32) -> MasterConfig {
    MasterConfig::new(9, plan(Some(20.0), None, None), workers)
}

#[test]
fn all_start_at_the_same_instant_whatever_their_clocks_show() {
    for latency in [1, 40] {
        let mut world = World::new(3, open(3), 3).latency_up_to(latency);
        world.run();
        let at = world.events.iter().find_map(|event| match event {
            MasterEvent::Starting { at } => Some(*at),
            _ => None,
        });
        let at = at.unwrap().as_nanos();
        for node in &world.nodes {
            let start = node.engine.starts[0].as_nanos() - node.skew();
            assert!(
                start.abs_diff(at) <= latency * 500_000 + 500_000,
                "{start} against {at}"
            );
        }
    }
}

#[test]
fn too_few_workers_end_it_with_the_names_of_those_who_came() {
    let mut config = open(3);
    config.max_wait = Some(Duration::from_secs(5));
    let mut world = World::new(1, config, 2);
    let result = world.run();
    let mut present = vec!["w0".to_owned(), "w1".to_owned()];
    present.sort();
    let EndedBy::TooFewWorkers {
        present: mut names,
        expected,
    } = result.ended_by.clone()
    else {
        panic!("{:?}", result.ended_by);
    };
    names.sort();
    assert_eq!(
        (names, expected, result.ended_by.exit_status()),
        (present, 3, 3)
    );
    assert_eq!(result.window.end, None);
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.exit == Some(WorkerExit::Finished))
    );
}

#[test]
fn another_protocol_is_refused_by_name_and_nothing_else_is_heard() {
    let mut master = Master::new(open(1), Offset::ZERO);
    let hello = Hello {
        version: "9.9.9".to_owned(),
        protocol: PROTOCOL_VERSION + 1,
        name: "future".to_owned(),
        incarnation: 1,
        cores: 1,
        run: None,
    };
    let message = MasterInput::Message(ConnId(1), ToMaster::Hello(hello));
    master.handle(Offset::ZERO, message);
    let outputs: Vec<MasterOutput> = std::iter::from_fn(|| master.poll_output()).collect();
    let refused = outputs.iter().any(|output| {
        matches!(output, MasterOutput::Send(ConnId(1), ToWorker::Refused { reason })
            if reason.contains("`future` (llmload 9.9.9) speaks protocol 3") && reason.contains("protocol 2"))
    });
    assert!(refused, "{outputs:?}");
    assert_eq!(outputs.last(), Some(&MasterOutput::Close(ConnId(1))));
    let ready = MasterInput::Message(ConnId(1), ToMaster::Ready { run: 9, digest: 0 });
    master.handle(Offset::ZERO, ready);
    assert_eq!(master.poll_output(), Some(MasterOutput::Close(ConnId(1))));
}

#[test]
fn a_worker_that_reads_the_settings_otherwise_is_named_and_the_run_does_not_begin() {
    let mut master = Master::new(open(1), Offset::ZERO);
    let hello = Hello {
        version: "0.0.9".to_owned(),
        protocol: PROTOCOL_VERSION,
        name: "old".to_owned(),
        incarnation: 1,
        cores: 1,
        run: None,
    };
    let digest = open(1).plan.digest() + 1;
    for message in [ToMaster::Hello(hello), ToMaster::Ready { run: 9, digest }] {
        master.handle(Offset::ZERO, MasterInput::Message(ConnId(1), message));
    }
    let finished = std::iter::from_fn(|| master.poll_output()).find_map(|output| match output {
        MasterOutput::Finished(result) => Some(result),
        _ => None,
    });
    let EndedBy::Unable { worker, reason } = finished.unwrap().ended_by else {
        panic!("it is not refused");
    };
    assert_eq!(worker, "old");
    assert!(reason.contains("llmload 0.0.9 there"), "{reason}");
}

#[test]
fn more_workers_than_users_leave_some_idle_and_lose_nothing() {
    let mut world = World::new(5, open(10), 10);
    let result = world.run();
    assert!(world.saw(|event| *event == MasterEvent::Dealt { parts: 8, idle: 2 }));
    let idle = result
        .workers
        .iter()
        .filter(|worker| worker.state == WorkerState::Idle);
    assert_eq!(idle.count(), 2);
    assert_eq!(result.tally, world.truth());
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.exit == Some(WorkerExit::Finished))
    );
}

#[test]
fn a_worker_that_comes_late_stays_idle_when_nothing_is_dealt_again() {
    let config = MasterConfig {
        on_loss: OnLoss::Ignore,
        ..open(2)
    };
    let mut world = World::new(5, config, 2);
    world.join_at(3_000);
    let result = world.run();
    assert!(world.saw(|event| matches!(event, MasterEvent::Joined { late: true, .. })));
    assert_eq!(result.workers[2].part, None);
    assert_eq!(world.nodes[2].exit, Some(WorkerExit::Finished));
}

#[test]
fn a_stop_drains_and_counts_everything() {
    let mut world = World::new(5, endless(3), 3);
    world.command_at(5_500, MasterInput::Stop);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::Stopped);
    assert_eq!(result.tally, world.truth());
    assert_eq!(
        result.tally.measured.outcomes.get(&Outcome::Cancelled),
        None
    );
    let end = result.window.end.unwrap().as_secs_f64();
    assert!((3.5..5.1).contains(&end), "sending ended at {end}");
}

#[test]
fn an_abort_cancels_what_is_in_flight_and_counts_it() {
    let mut world = World::new(5, endless(2), 2);
    world.command_at(4_000, MasterInput::Stop);
    world.command_at(4_050, MasterInput::Abort);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::Aborted);
    assert_eq!(result.tally, world.truth());
    assert!(result.tally.measured.outcomes[&Outcome::Cancelled] > 0);
}

#[test]
fn a_stop_before_the_start_ends_at_once_with_nothing_measured() {
    let mut world = World::new(5, endless(3), 2);
    world.command_at(2_000, MasterInput::Stop);
    let result = world.run();
    assert_eq!(
        (result.ended_by, result.window.end),
        (EndedBy::Stopped, None)
    );
    assert_eq!(result.tally.counts.scheduled, 0);
}

#[test]
fn a_worker_that_cannot_ends_the_run_with_its_reason() {
    let mut world = World::new(5, open(2), 2);
    world.nodes[1].engine.unable = Some("no such tokenizer".to_owned());
    let result = world.run();
    let ended_by = EndedBy::Unable {
        worker: "w1".to_owned(),
        reason: "no such tokenizer".to_owned(),
    };
    assert_eq!(result.ended_by.exit_status(), 2);
    assert_eq!(result.ended_by, ended_by);
}

#[test]
fn a_worker_told_to_go_hands_its_share_over_and_nothing_is_lost() {
    let config = MasterConfig::new(9, plan(Some(20.0), Some(10), None), 2);
    let mut world = World::new(5, config, 2);
    world.shutdown_at(0, 3_500);
    let result = world.run();
    assert_eq!(
        world.nodes[0].exit,
        Some(WorkerExit::Left { undelivered: 0 })
    );
    assert!(world.saw(|event| matches!(
        event,
        MasterEvent::Leaving {
            handed_over: true,
            ..
        }
    )));
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_eq!(result.tally, world.truth());
    let counts = result.tally.counts;
    assert_eq!((counts.scheduled, counts.sent, counts.lost), (201, 201, 0));
    world.witness.assert_on_time(2_000_000);
}

#[test]
fn a_worker_told_to_go_that_nobody_replaces_drains_and_the_rest_of_its_share_is_lost() {
    let config = MasterConfig {
        on_loss: OnLoss::Ignore,
        ..open(2)
    };
    let mut world = World::new(5, config, 2);
    world.shutdown_at(0, 3_500);
    let result = world.run();
    assert_eq!(
        world.nodes[0].exit,
        Some(WorkerExit::Left { undelivered: 0 })
    );
    let truth = world.truth();
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_eq!(result.tally.counts.sent, truth.counts.sent);
    assert_eq!(result.tally.measured, truth.measured);
    assert_eq!(result.tally.counts.scheduled, 121);
    assert_eq!(result.tally.counts.lost, 121 - truth.counts.scheduled);
}

#[test]
fn when_all_are_gone_the_run_is_over() {
    let mut world = World::new(5, open(2), 2);
    world.kill_at(0, 2_000);
    world.kill_at(1, 2_500);
    let result = world.run();
    assert_eq!(
        (result.ended_by.exit_status(), result.ended_by),
        (3, EndedBy::WorkersLost)
    );
    assert_eq!(result.in_flight_at_deadline, 0);
}

#[test]
fn a_worker_that_dies_before_the_start_is_replaced_by_the_next() {
    let mut config = open(2);
    config.max_wait = Some(Duration::from_secs(20));
    let mut world = World::new(5, config, 2);
    world.nodes[1].engine = Engine::new(Duration::from_secs(3));
    world.kill_at(0, 2_000);
    world.join_at(6_000);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_eq!(result.tally, world.truth());
}

#[test]
fn a_closed_loop_loses_what_was_in_flight_and_no_more() {
    let config = MasterConfig::new(9, plan(None, Some(8), None), 2);
    let mut world = World::new(5, config, 2);
    world.kill_at(0, 4_000);
    let result = world.run();
    let lost = result.tally.counts.lost;
    assert!((1..=16).contains(&lost), "{lost}");
    assert_eq!(
        result.tally.counts.scheduled - lost,
        result.tally.counts.sent
    );
}

#[test]
fn a_budget_ends_the_run_and_is_counted_to_the_last_request_of_a_lost_worker() {
    let config = MasterConfig::new(9, plan(Some(20.0), None, Some(101)), 2);
    let mut world = World::new(5, config, 2);
    world.kill_at(1, 3_000);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::MaxRequests);
    assert_eq!(result.tally.counts.scheduled, 101);
}

/// A closed loop of eight users, each of which asks every so often; enough after `after` seconds with `requests`.
fn until_enough(seconds: Option<u64>, after: u64, requests: u64) -> Plan {
    let mut plan = plan(None, seconds, None);
    plan.schedule.enough = Some(Enough {
        after: Duration::from_secs(after),
        requests,
    });
    plan
}

#[test]
fn a_closed_loop_ends_when_enough_was_sent_and_its_window_with_the_last_answer() {
    let played = |plan: Plan| {
        let mut world = World::new(5, MasterConfig::new(9, plan, 2), 2);
        let result = world.run();
        assert_eq!(result.tally.counts, world.truth().counts);
        (
            result.ended_by,
            result.tally.counts.scheduled,
            result.window.end,
        )
    };
    let whole = |seconds| played(plan(None, Some(seconds), None)).1;
    let (ended_by, sent, end) = played(until_enough(Some(60), 2, 101));
    assert_eq!(
        (ended_by, sent),
        (EndedBy::MaxRequests, 101),
        "the number came after the time"
    );
    assert!(end.unwrap() < Offset::from(Duration::from_secs(59)));
    let (ended_by, sent, _) = played(until_enough(None, 4, 3));
    assert_eq!(
        ended_by,
        EndedBy::MaxRequests,
        "the time came after the number"
    );
    assert!(sent.abs_diff(whole(4)) <= 8, "{sent} of {}", whole(4));
    let (ended_by, sent, end) = played(until_enough(Some(3), 2, 1_000_000));
    assert_eq!(
        (ended_by, sent),
        (EndedBy::Time, whole(3)),
        "the run time came before both"
    );
    assert_eq!(end, plan(None, Some(3), None).schedule.end_of_sending());
    assert_eq!(played(until_enough(Some(3), 4, 2)).0, EndedBy::Time);
    assert_eq!(
        played(until_enough(Some(60), 4, 3)).0,
        EndedBy::MaxRequests,
        "the last request was begun before the time"
    );
}

#[test]
fn a_worker_that_is_lost_before_enough_was_sent_owes_what_it_had_to_begin() {
    let mut world = World::new(5, MasterConfig::new(9, until_enough(None, 2, 301), 2), 2);
    world.kill_at(1, 3_000);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::MaxRequests);
    assert_eq!(result.tally.counts.scheduled, 301);
    assert!(result.tally.counts.lost > 0);
}

#[test]
fn who_is_lost_owes_its_whole_budget_where_that_was_spent_before_enough_could_be() {
    for after in [None, Some(50), Some(59), Some(90)] {
        let mut plan = plan(None, Some(60), Some(200));
        plan.schedule.enough = after.map(|after| Enough {
            after: Duration::from_secs(after),
            requests: 40,
        });
        let mut world = World::new(5, MasterConfig::new(9, plan, 2), 2);
        world.kill_at(1, 3_000);
        let result = world.run();
        assert_eq!(result.ended_by, EndedBy::MaxRequests, "{after:?}");
        assert_eq!(result.tally.counts.scheduled, 200, "{after:?}");
        let end = result.window.end.unwrap();
        assert!(end < Offset::from(Duration::from_secs(15)), "{end}");
    }
}

#[test]
fn who_is_lost_owes_its_part_of_what_is_enough_where_the_budget_was_not_spent() {
    let mut plan = until_enough(Some(60), 2, 301);
    plan.schedule.max_requests = Some(4_000);
    let mut world = World::new(5, MasterConfig::new(9, plan, 2), 2);
    world.kill_at(1, 3_000);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::MaxRequests);
    assert_eq!(result.tally.counts.scheduled, 301);
}

#[test]
fn who_comes_after_the_end_is_told_so_though_there_is_no_room() {
    let mut config = open(1);
    config.max_workers = 1;
    let mut master = Master::new(config, Offset::ZERO);
    let mut told = |conn: u64, name: &str| {
        let hello = Hello {
            version: "1.0.0".to_owned(),
            protocol: PROTOCOL_VERSION,
            name: name.to_owned(),
            incarnation: conn,
            cores: 1,
            run: None,
        };
        let message = MasterInput::Message(ConnId(conn), ToMaster::Hello(hello));
        master.handle(Offset::ZERO, message);
        if conn == 2 {
            master.handle(Offset::ZERO, MasterInput::Abort);
        }
        let outputs = std::iter::from_fn(|| master.poll_output());
        let sent = outputs.filter_map(|output| match output {
            MasterOutput::Send(to, message) if to == ConnId(conn) => Some(message),
            _ => None,
        });
        sent.collect::<Vec<_>>()
    };
    told(1, "first");
    let refused = told(2, "second");
    assert!(
        matches!(refused[..], [ToWorker::Refused { .. }]),
        "{refused:?}"
    );
    let late = told(3, "third");
    assert!(
        matches!(late[..], [ToWorker::Welcome { .. }, ToWorker::Quit]),
        "{late:?}"
    );
}

#[test]
fn a_worker_that_never_finishes_is_told_to_drop_and_then_given_up() {
    let mut world = World::new(5, open(2), 2);
    world.nodes[1].engine.hung = true;
    let result = world.run();
    assert!(
        world.saw(|event| matches!(event, MasterEvent::Overdue { workers } if *workers == ["w1"]))
    );
    assert_eq!(
        result
            .workers
            .iter()
            .filter(|w| w.state == WorkerState::Lost)
            .count(),
        1
    );
}

#[test]
fn an_engine_that_cannot_go_on_ends_the_run_for_all_and_nothing_is_forgotten() {
    let mut world = World::new(5, open(2), 2);
    world.nodes[1].engine.breaks_at = Some(Duration::from_secs(2));
    let result = world.run();
    assert!(matches!(&result.ended_by, EndedBy::Unable { worker, .. } if worker == "w1"));
    let truth = world.truth();
    assert_eq!(result.tally.measured, truth.measured);
    assert!(result.in_flight_at_deadline <= truth.counts.sent);
}
