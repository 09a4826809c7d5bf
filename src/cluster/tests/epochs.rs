//! What a distributed runner is expected to do when workers come and go and the user changes his mind, one rule at a time.

use std::time::Duration;

use super::plan;
use super::world::World;
use crate::cluster::{
    Change, EndedBy, MasterConfig, MasterEvent, MasterInput, OnLoss, Refusal, WorkerExit,
    WorkerState,
};
use crate::domain::{Offset, Rate};

fn closed(seconds: u64, workers: u32) -> MasterConfig {
    MasterConfig::new(9, plan(None, Some(seconds), None), workers)
}

fn open(seconds: u64, workers: u32) -> MasterConfig {
    MasterConfig::new(9, plan(Some(20.0), Some(seconds), None), workers)
}

/// How many users begin requests on each worker in a span of the world's time.
fn users_at(world: &World, from: u64, to: u64) -> usize {
    let millis = 1_000_000;
    let during = |time: u64| (from * millis..to * millis).contains(&time);
    let sent = world.witness.sent.iter();
    let users: std::collections::BTreeSet<u64> = sent
        .filter(|(_, time)| during(*time))
        .map(|(user, _)| *user)
        .collect();
    users.len()
}

fn rate_at(world: &World, from: u64, to: u64) -> f64 {
    let millis = 1_000_000;
    let during = |time: u64| (from * millis..to * millis).contains(&time);
    let sent = world.witness.sent.iter().filter(|(_, time)| during(*time));
    sent.count() as f64 * 1e3 / (to - from) as f64
}

fn changes(world: &World) -> Vec<(u32, u32)> {
    let of = |event: &MasterEvent| match event {
        MasterEvent::Changed { epoch, members, .. } => Some((*epoch, *members)),
        _ => None,
    };
    world.events.iter().filter_map(of).collect()
}

#[test]
fn users_are_split_evenly_and_the_odd_ones_one_each() {
    let mut world = World::new(3, closed(6, 3), 3);
    world.run_for(4_000);
    let mut shares: Vec<u32> = world.gauges().iter().map(|gauges| gauges.users).collect();
    shares.sort_unstable();
    assert_eq!(shares, [2, 3, 3]);
    world.run();
}

#[test]
fn three_workers_become_six_and_three_again_without_burst_or_gap() {
    let mut world = World::new(4, open(40, 3), 3);
    for _ in 0..3 {
        world.join_at(6_000);
    }
    for node in 0..3 {
        world.shutdown_at(node, 20_000);
    }
    let result = world.run();
    let members: Vec<u32> = changes(&world)
        .iter()
        .map(|&(_, members)| members)
        .collect();
    assert!(
        members.contains(&6) && members.last() == Some(&3),
        "{members:?}"
    );
    let counts = result.tally.counts;
    assert_eq!((counts.scheduled, counts.sent, counts.lost), (801, 801, 0));
    assert_eq!(result.tally, world.truth());
    world.witness.assert_on_time(2_000_000);
    for node in 3..6 {
        assert!(!world.nodes[node].engine.truth.counts.sent.eq(&0));
    }
}

#[test]
fn users_move_one_after_another_and_none_is_there_twice() {
    let mut config = closed(40, 2);
    config.plan.schedule.spawn_rate = Rate::per_second(2);
    let mut world = World::new(4, config, 2);
    world.join_at(8_000);
    world.run_for(30_000);
    let mut shares: Vec<u32> = world.gauges().iter().map(|gauges| gauges.users).collect();
    shares.sort_unstable();
    assert_eq!(shares, [2, 3, 3]);
    assert_eq!(users_at(&world, 7_000, 8_000), 8);
    // Two users of eight are on their way, half a second apart: at no time are fewer than eight at work.
    for second in 9..28 {
        assert_eq!(
            users_at(&world, second * 1_000, second * 1_000 + 900),
            8,
            "at {second} s"
        );
    }
    world.run();
}

#[test]
fn the_users_of_a_lost_worker_go_to_the_others_at_the_spawn_rate() {
    let mut config = closed(40, 2);
    config.plan.schedule.spawn_rate = Rate::per_second(1);
    let mut world = World::new(4, config, 2);
    world.kill_at(0, 12_000);
    let result = world.run();
    assert_eq!(users_at(&world, 12_500, 13_500), 4, "the others go on");
    assert_eq!(users_at(&world, 24_000, 25_000), 8, "all are back");
    let middle = users_at(&world, 18_900, 19_800);
    assert!((5..8).contains(&middle), "one after another: {middle}");
    assert_eq!(result.ended_by, EndedBy::Time);
}

#[test]
fn the_last_worker_lost_ends_the_run() {
    let mut world = World::new(5, open(20, 1), 1);
    world.kill_at(0, 4_000);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::WorkersLost);
    assert!(result.tally.counts.lost > 0);
}

#[test]
fn a_run_whose_workers_are_all_cut_off_waits_for_them_and_goes_on() {
    let mut world = World::new(5, open(20, 2), 2);
    world.hold_at(0, 5_000, 6_000);
    world.hold_at(1, 5_000, 6_000);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::Time);
    let counts = result.tally.counts;
    assert_eq!(counts.scheduled, 401);
    assert_eq!(counts.sent + counts.dropped + counts.lost, 401);
    assert!(rate_at(&world, 16_000, 19_000) > 19.0, "the rate returns");
    // Nothing is caught up.
    assert!(rate_at(&world, 10_500, 12_000) < 22.0);
}

#[test]
fn a_partition_that_heals_adds_no_load() {
    for seed in 0..50 {
        let mut world = World::new(seed, open(40, 3), 3).latency_up_to(20);
        world.hold_at(1, 6_000, 10_000);
        let result = world.run();
        for half in 0..78 {
            let rate = rate_at(&world, 500 + half * 500, 1_500 + half * 500);
            assert!(
                rate <= 22.0,
                "seed {seed}: {rate}/s at {} ms",
                500 + half * 500
            );
        }
        assert!(rate_at(&world, 30_000, 38_000) > 19.5, "seed {seed}");
        assert_eq!(result.tally.measured, world.truth().measured, "seed {seed}");
        assert_eq!(result.tally.counts.scheduled, 801, "seed {seed}");
    }
}

#[test]
fn a_process_that_stood_still_sends_nothing_that_was_due_meanwhile() {
    for seed in 0..50 {
        let mut world = World::new(seed, open(40, 2), 2).latency_up_to(20);
        world.freeze_at(1, 6_000, 10_000);
        world.run();
        let rate = rate_at(&world, 15_900, 16_900);
        assert!(rate <= 22.0, "seed {seed}: {rate}/s");
    }
}

#[test]
fn on_loss_fail_ends_the_run_and_says_whose_loss_it_was() {
    let config = MasterConfig {
        on_loss: OnLoss::Fail,
        ..open(30, 3)
    };
    let mut world = World::new(5, config, 3);
    world.kill_at(1, 4_000);
    let result = world.run();
    let EndedBy::WorkerLost { worker } = &result.ended_by else {
        panic!("{:?}", result.ended_by);
    };
    assert_eq!((worker.as_str(), result.ended_by.exit_status()), ("w1", 3));
    assert!(result.window.end.unwrap() < Offset::from(Duration::from_secs(10)));
}

#[test]
fn on_loss_ignore_goes_on_without_and_counts_what_is_missing() {
    let config = MasterConfig {
        on_loss: OnLoss::Ignore,
        ..open(20, 2)
    };
    let mut world = World::new(5, config, 2);
    world.kill_at(1, 5_000);
    let result = world.run();
    assert_eq!(changes(&world), []);
    assert_eq!(result.tally.counts.scheduled, 401);
    assert!(
        (140..=175).contains(&result.tally.counts.lost),
        "{:?}",
        result.tally.counts
    );
}

#[test]
fn zero_users_send_nothing_and_more_users_send_again() {
    let mut world = World::new(5, closed(40, 2), 2);
    world.change_at(5_000, Change::Users(0));
    world.change_at(15_000, Change::Users(4));
    let result = world.run();
    assert_eq!(users_at(&world, 9_500, 15_000), 0);
    assert_eq!(users_at(&world, 20_000, 21_000), 4);
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_eq!(result.tally, world.truth());
}

#[test]
fn fewer_users_than_workers_leave_some_without_and_none_is_lost() {
    let mut world = World::new(5, closed(30, 5), 5);
    world.change_at(6_000, Change::Users(2));
    let result = world.run();
    assert_eq!(users_at(&world, 12_000, 13_000), 2);
    assert_eq!(result.tally, world.truth());
    let done = result
        .workers
        .iter()
        .filter(|worker| worker.state == WorkerState::Done);
    assert_eq!(done.count(), 5);
}

#[test]
fn idle_workers_are_called_in_when_there_are_more_users() {
    let mut world = World::new(5, closed(40, 10), 10);
    world.change_at(6_000, Change::Users(20));
    let result = world.run();
    assert!(result.workers.iter().all(|worker| worker.part.is_some()));
    assert_eq!(users_at(&world, 30_000, 31_000), 20);
    assert_eq!(result.tally, world.truth());
}

#[test]
fn a_stop_in_mid_ramp_starts_no_further_user() {
    let mut config = closed(60, 2);
    config.plan.schedule.spawn_rate = Rate::per_second(1);
    let mut world = World::new(5, config, 2);
    world.command_at(5_000, MasterInput::Stop);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::Stopped);
    assert!(users_at(&world, 0, 60_000) < 6);
    assert_eq!(result.tally, world.truth());
}

#[test]
fn a_change_in_mid_ramp_goes_on_from_the_users_that_are_there() {
    let mut config = closed(60, 2);
    config.plan.schedule.spawn_rate = Rate::per_second(1);
    config.plan.schedule.users = 40;
    let mut world = World::new(5, config, 2);
    world.change_at(5_000, Change::SpawnRate(Rate::per_second(10)));
    world.run_for(9_000);
    let before = world
        .gauges()
        .iter()
        .map(|gauges| gauges.users)
        .sum::<u32>();
    assert!(before >= 8, "{before}");
    let result = world.run();
    assert_eq!(users_at(&world, 14_000, 15_000), 40);
    assert_eq!(result.tally, world.truth());
}

#[test]
fn ready_after_stop_changes_nothing() {
    let mut world = World::new(5, open(20, 2), 2);
    world.join_at(3_990);
    world.nodes[2].engine = super::engine::Engine::new(Duration::from_secs(3));
    world.command_at(4_500, MasterInput::Stop);
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::Stopped);
    assert_eq!(changes(&world), []);
    assert_eq!(world.nodes[2].engine.truth.counts.sent, 0);
    assert_eq!(result.tally, world.truth());
}

#[test]
fn the_rate_changes_for_all_at_one_instant() {
    let mut world = World::new(5, open(60, 3), 3);
    world.change_at(5_000, Change::Rate(Rate::per_second(50)));
    world.change_at(20_000, Change::Pause);
    world.change_at(30_000, Change::Resume);
    let result = world.run();
    world.witness.assert_on_time(2_000_000);
    assert_eq!(result.tally, world.truth());
    let end = Duration::from_nanos(result.window.end.unwrap().as_nanos());
    assert_eq!(result.tally.counts.sent, world.witness.due(end));
    assert!((rate_at(&world, 10_000, 20_000) - 50.0).abs() < 1.0);
    assert!(rate_at(&world, 24_500, 30_000) < 0.1);
    assert!((rate_at(&world, 35_000, 45_000) - 50.0).abs() < 1.0);
}

#[test]
fn what_cannot_be_changed_is_refused_in_words() {
    let mut world = World::new(5, closed(20, 2), 2);
    world.change_at(5_000, Change::Rate(Rate::per_second(5)));
    world.change_at(18_500, Change::Users(5));
    world.run();
    assert_eq!(world.refusals, [Refusal::Closed, Refusal::Ending]);
    let mut world = World::new(
        5,
        MasterConfig::new(9, plan(None, Some(10), Some(60)), 2),
        2,
    );
    world.change_at(1_500, Change::Users(5));
    world.run();
    assert_eq!(world.refusals, [Refusal::Counted]);
}

#[test]
fn a_master_that_dies_leaves_silence_and_one_that_takes_over_ends_the_run() {
    let config = MasterConfig {
        journal: true,
        ..open(30, 3)
    };
    let mut world = World::new(5, config, 3).with_disk(100);
    world.kill_master_at(8_000, Some(6_000));
    let result = world.run();
    assert!(world.saw(|event| matches!(event, MasterEvent::Adopted { workers: 3, .. })));
    assert!(rate_at(&world, 11_000, 14_000) < 0.1);
    assert!(rate_at(&world, 20_000, 30_000) > 19.0);
    assert_eq!(result.ended_by, EndedBy::Time);
    let counts = result.tally.counts;
    assert_eq!((counts.scheduled, counts.lost), (601, 0));
    assert_eq!(counts.sent + counts.dropped, 601);
    assert_eq!(result.tally, world.truth());
    assert_eq!(world.orphaned(), 0);
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.exit == Some(WorkerExit::Finished))
    );
}

#[test]
fn a_master_that_begins_another_run_stops_the_workers_of_the_old_one_and_takes_them() {
    let mut world = World::new(5, open(30, 3), 3);
    world.kill_master_at(8_000, Some(1_000));
    let result = world.run();
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_eq!(result.tally.counts.sent, 601);
    assert!(world.orphaned() > 0);
}

#[test]
fn a_disk_that_breaks_costs_the_journal_and_nothing_else() {
    let config = MasterConfig {
        journal: true,
        ..open(20, 2)
    };
    let mut world = World::new(5, config, 2).with_disk(2_000);
    world.break_disk_at(7_000);
    let result = world.run();
    assert!(world.saw(|event| *event == MasterEvent::JournalBroken));
    assert_eq!(result.tally, world.truth());
    assert_eq!(result.tally.counts.sent, 401);
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.exit == Some(WorkerExit::Finished))
    );
}

#[test]
fn a_missing_worker_that_is_told_to_go_delivers_when_it_is_heard_of_again() {
    for seed in 0..20 {
        let mut world = World::new(seed, open(30, 2), 2).latency_up_to(20);
        world.hold_at(0, 5_000, 7_000);
        world.shutdown_at(0, 9_500);
        let result = world.run();
        let exit = Some(WorkerExit::Left { undelivered: 0 });
        assert_eq!(world.nodes[0].exit, exit, "seed {seed}");
        assert_eq!(result.ended_by, EndedBy::Time, "seed {seed}");
        assert_eq!(result.tally.measured, world.truth().measured, "seed {seed}");
        assert_eq!(result.tally.counts.scheduled, 601, "seed {seed}");
    }
}
