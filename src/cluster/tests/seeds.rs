//! Histories by the thousand: whatever is delayed, held back, repeated, broken, frozen or killed, every request is begun at
//! most once and counted exactly once. The witness looks after every step; here are the sums at the end.
//!
//! A failing seed is named; `LLMLOAD_SEED=n cargo test --lib histories` plays it alone, `LLMLOAD_SEEDS=n` so many.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::plan;
use super::world::World;
use crate::cluster::{
    Change, EndedBy, MasterConfig, MasterEvent, MasterInput, RunResult, WorkerState,
};
use crate::domain::{Keep, Rate};
use crate::plan::Plan;
use crate::schedule::{Curve, Enough, Law, Pacing, Ramp, Stage};

/// Arrivals of ten seconds at 37 a second, and of the 7 ms that eight users take to start.
const ARRIVALS: u64 = 371;

pub(super) fn number(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test is told by its surroundings which seed to play"
    )]
    std::env::var(name).ok()?.parse().ok()
}

/// Plays so many seeds, or the one that is asked for, and names the one that fails.
pub(super) fn play(most: u64, history: impl Fn(u64)) {
    let seeds = match number("LLMLOAD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LLMLOAD_SEEDS").unwrap_or(most),
    };
    for seed in seeds {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| history(seed))) {
            eprintln!("failing seed: {seed}; LLMLOAD_SEED={seed} plays it again");
            resume_unwind(cause);
        }
    }
}

fn world(seed: u64, workers: usize) -> World {
    let config = MasterConfig::new(seed + 1, plan(Some(37.0), Some(10), None), workers as u32);
    world_of(seed, config, workers)
}

fn world_of(seed: u64, mut config: MasterConfig, workers: usize) -> World {
    config.plan.observe.answers = seed.is_multiple_of(2).then_some(Keep::Text);
    config.plan.observe.answers_at_most = seed.is_multiple_of(4).then_some(seed as u32 % 60);
    let mut world = World::new(seed, config, workers).with_repeats();
    world.told = number("LLMLOAD_SEED").is_some();
    let latency = [1, 20, 200][world.below(3) as usize];
    world.latency_up_to(latency)
}

fn assert_complete(world: &World, result: &RunResult) {
    assert_eq!(result.ended_by, EndedBy::Time);
    assert_eq!(result.tally.counts, world.truth().counts);
    assert_eq!(result.tally, world.truth());
    assert_eq!(result.tally.counts.scheduled, ARRIVALS);
    assert_eq!(result.tally.counts.lost, 0);
}

#[test]
fn histories_of_connections_that_break_and_come_back_lose_and_repeat_nothing() {
    play(300, |seed| {
        let mut world = world(seed, 3);
        for node in 0..3 {
            for _ in 0..world.below(4) {
                let (at, back) = (world.below(9_000), world.below(1_200));
                let seen = world.below(3) > 0;
                world.break_at(node, at, back, seen);
            }
        }
        let result = world.run();
        let all = |worker: &crate::cluster::WorkerSummary| worker.state == WorkerState::Done;
        if result.workers.iter().all(all) {
            assert_complete(&world, &result);
        }
    });
}

#[test]
fn histories_of_one_short_break_send_everything() {
    play(300, |seed| {
        let mut world = world(seed, 3);
        let (node, at) = (world.below(3) as usize, 1_500 + world.below(7_000));
        let back = world.below(400);
        world.break_at(node, at, back, seed.is_multiple_of(2));
        let result = world.run();
        assert_complete(&world, &result);
        assert_eq!(result.tally.counts.sent, ARRIVALS);
    });
}

#[test]
fn histories_of_a_worker_that_is_lost_and_returns_count_after_all() {
    play(300, |seed| {
        let config = MasterConfig::new(seed + 1, plan(Some(37.0), Some(20), None), 2);
        let mut world = world_of(seed, config, 2);
        let (at, back) = (1_500 + world.below(3_000), 4_000 + world.below(4_000));
        world.break_at(1, at, back, seed.is_multiple_of(2));
        let result = world.run();
        assert!(world.saw(|event| matches!(event, MasterEvent::Returned { .. })));
        assert_eq!(
            result.tally.counts.scheduled,
            world.witness.due(Duration::from_millis(20_007))
        );
        // Everything that the worker did is delivered; what was due while nobody sent is dropped, or lost.
        assert_eq!(result.tally.measured, world.truth().measured);
        let gap = result.tally.counts.lost + result.tally.counts.dropped;
        // Its half of the rate, from its lease's end to the epoch without it.
        assert!((1..=37 / 2 * 8).contains(&gap), "{:?}", result.tally.counts);
    });
}

#[test]
fn histories_of_a_worker_that_dies_are_counted_to_the_last_arrival_it_owned() {
    play(300, |seed| {
        let config = MasterConfig::new(seed + 1, plan(Some(37.0), Some(20), None), 3);
        let mut world = world_of(seed, config, 3);
        let (node, at) = (world.below(3) as usize, 1_800 + world.below(7_000));
        world.kill_at(node, at);
        let result = world.run();
        assert!(world.saw(|event| matches!(event, MasterEvent::Lost { .. })));
        assert_eq!(result.ended_by, EndedBy::Time);
        assert_eq!(result.tally.counts.scheduled, 741);
        assert_eq!(result.in_flight_at_deadline, 0);
        let gone = result
            .workers
            .iter()
            .find(|worker| worker.state == WorkerState::Lost);
        let gone = gone.unwrap();
        assert_eq!(gone.counts.lost, result.tally.counts.lost);
        assert_eq!(gone.counts.lost, gone.counts.scheduled - gone.finished);
        // Its share of the rate until the others have it, and what it had in flight.
        assert!(
            (1..=37 / 3 * 12).contains(&gone.counts.lost),
            "{}",
            gone.counts.lost
        );
    });
}

/// A plan of 25 s of every kind: two of three of one rate or closed, the others with times of their own.
fn plan_of(seed: u64) -> Plan {
    let law = [Law::Constant, Law::Gamma][(seed / 12 % 2) as usize];
    let rate = (!seed.is_multiple_of(3)).then_some(37.0);
    let mut plan = plan(rate, Some(25), None);
    plan.schedule.burstiness = 0.5;
    let stage = |from, to, secs| Stage {
        from,
        to,
        lasts: Duration::from_secs(secs),
    };
    match seed % 12 {
        1 => {
            let stages = vec![
                stage(5.0, 60.0, 9),
                stage(0.0, 0.0, 4),
                stage(40.0, 30.0, 12),
            ];
            plan.schedule.pacing = Pacing::Stages { stages, law };
        }
        4 => {
            let every = Duration::from_millis(700);
            plan.schedule.pacing = Pacing::Burst { every };
        }
        7 => {
            let due_us = (0..900).map(|i: u64| i * 27_000 + i % 5 * 3_000).collect();
            plan.schedule.pacing = Pacing::Trace { due_us };
        }
        10 => {
            let rate = Rate::per_second(50);
            plan.schedule.pacing = Pacing::Open { rate, law };
            plan.schedule.run_time = Some(Duration::from_secs(15));
            plan.schedule.ramp = Some(Ramp {
                warmup: Duration::from_secs(3),
                time: Duration::from_secs(7),
                curve: Curve::Geometric,
            });
        }
        9 => {
            let after = Duration::from_secs(seed / 12 % 28);
            let requests = seed % 700;
            plan.schedule.enough = Some(Enough { after, requests });
            plan.schedule.max_requests = (seed / 24 % 2 == 1).then_some(1 + seed * 7 % 600);
        }
        _ => {}
    }
    plan
}

/// Everything at once, on an open or a closed loop.
fn chaos(seed: u64) {
    let plan = plan_of(seed);
    let open = plan.schedule.is_open();
    let journal = seed.is_multiple_of(2);
    let config = MasterConfig {
        journal,
        // Before the start a part may be left without a worker for good.
        max_wait: Some(Duration::from_secs(30)),
        ..MasterConfig::new(seed * 2 + 1, plan, 3)
    };
    let mut world = world_of(seed, config, 3).with_drift();
    if journal {
        let disk = [1, 300, 4_000][world.below(3) as usize];
        world = world.with_disk(disk);
    }
    for _ in 0..=world.below(6) {
        mishap(&mut world, open);
    }
    if journal && world.below(4) == 0 {
        let (at, back) = (2_000 + world.below(15_000), 500 + world.below(4_000));
        world.kill_master_at(at, Some(back));
    }
    let result = world.run();
    let schedule = &world.config.plan.schedule;
    if let (Some(enough), EndedBy::MaxRequests) = (schedule.enough, &result.ended_by) {
        let most = schedule.max_requests.unwrap_or(u64::MAX);
        let sent = result.tally.counts.scheduled;
        assert!((enough.requests.min(most)..=most).contains(&sent), "{sent}");
    }
    let end = result.window.end;
    if let (Some(end), true, EndedBy::Time) = (end, open, &result.ended_by) {
        let due = world.witness.due(Duration::from_nanos(end.as_nanos()));
        assert_eq!(
            result.tally.counts.scheduled, due,
            "{:?}",
            result.tally.counts
        );
    }
}

fn mishap(world: &mut World, open: bool) {
    let (node, at) = (world.below(3) as usize, 1_000 + world.below(22_000));
    let span = 200 + world.below(9_000);
    match world.below(10) {
        0 | 1 => world.break_at(node, at, span, span.is_multiple_of(2)),
        2 | 3 => world.hold_at(node, at, span),
        4 => world.freeze_at(node, at, span),
        5 => world.kill_at(node, at),
        6 => world.shutdown_at(node, at),
        7 => world.join_at(at),
        8 => {
            let users = world.below(14) as u32;
            world.change_at(at, Change::Users(users));
        }
        _ if open => {
            let rate = Rate::per_second(1 + world.below(80) as u32);
            world.change_at(at, Change::Rate(rate));
            let pause = world.below(3) == 0;
            if pause {
                world.change_at(at + span, Change::Pause);
                world.change_at(at + span + 2_000, Change::Resume);
            }
        }
        _ => world.command_at(at + 8_000, MasterInput::Stop),
    }
}

#[test]
fn histories_of_everything_at_once_keep_every_rule() {
    play(3_000, chaos);
}

#[test]
fn one_worker_or_five_end_with_the_same_sums() {
    let sums = |workers| {
        let mut world = world(workers as u64, workers);
        world.run().tally.counts
    };
    assert_eq!(sums(1), sums(5));
}

#[test]
fn the_worlds_clocks_may_differ_and_drift_and_requests_stay_evenly_spaced() {
    for seed in 0..20 {
        let config = MasterConfig::new(1, plan(Some(20.0), Some(120), None), 4);
        let mut world = World::new(seed, config, 4).latency_up_to(2);
        world = world.with_drift();
        world.run();
        let variation = world.witness.gap_variation();
        assert!(variation <= 0.05, "seed {seed}: CV {variation}");
    }
}
