//! Histories by the hundred: whatever is delayed, repeated or broken, every request is counted exactly once.
//! The world checks both identities after every merge; here are the sums at the end.

use super::plan;
use super::world::World;
use crate::cluster::{EndedBy, MasterConfig, MasterEvent, RunResult, WorkerState};

const SEEDS: u64 = 200;

/// Arrivals of ten seconds at 37 a second, and of the 7 ms that eight users take to start.
const ARRIVALS: u64 = 371;

fn world(seed: u64, workers: usize) -> World {
    let config = MasterConfig::new(seed + 1, plan(Some(37.0), Some(10), None), workers as u32);
    let mut world = World::new(seed, config, workers).with_repeats();
    let latency = [1, 20, 200][world.below(3) as usize];
    world.latency_up_to(latency)
}

fn assert_complete(seed: u64, world: &World, result: &RunResult) {
    assert_eq!(result.ended_by, EndedBy::Time, "seed {seed}");
    assert_eq!(result.tally, world.truth(), "seed {seed}");
    assert_eq!(result.tally.counts.scheduled, ARRIVALS, "seed {seed}");
    assert_eq!(result.tally.counts.lost, 0, "seed {seed}");
}

#[test]
fn connections_that_break_and_come_back_lose_and_repeat_nothing() {
    let mut complete = 0;
    for seed in 0..SEEDS {
        let mut world = world(seed, 3);
        for node in 0..3 {
            for _ in 0..world.below(4) {
                let (at, back) = (world.below(12_000), world.below(1_500));
                let seen = world.below(3) > 0;
                world.break_at(node, at, back, seen);
            }
        }
        let result = world.run();
        // Several breaks in a row can keep a worker away until the others are through.
        if result
            .workers
            .iter()
            .all(|worker| worker.state == WorkerState::Done)
        {
            complete += 1;
            assert_complete(seed, &world, &result);
        }
    }
    assert!(complete >= SEEDS - 2, "only {complete} were complete");
}

#[test]
fn a_worker_that_is_lost_and_returns_counts_after_all() {
    let mut returned = 0;
    for seed in 0..SEEDS {
        let mut world = world(seed, 2);
        let (at, back) = (1_500 + world.below(3_000), 3_300 + world.below(2_000));
        world.break_at(1, at, back, seed % 2 == 0);
        let result = world.run();
        if world.saw(|event| matches!(event, MasterEvent::Returned { .. })) {
            returned += 1;
            assert_complete(seed, &world, &result);
        }
    }
    assert!(returned > SEEDS * 9 / 10, "only {returned} returned");
}

#[test]
fn a_worker_that_dies_is_counted_to_the_last_arrival_it_owned() {
    for seed in 0..SEEDS {
        let mut world = world(seed, 3);
        let (node, at) = (world.below(3) as usize, 1_800 + world.below(7_000));
        world.kill_at(node, at);
        let result = world.run();
        assert!(
            world.saw(|event| matches!(event, MasterEvent::Lost { .. })),
            "seed {seed}"
        );
        assert_eq!(result.ended_by, EndedBy::Time, "seed {seed}");
        assert_eq!(result.tally.counts.scheduled, ARRIVALS, "seed {seed}");
        assert_eq!(result.in_flight_at_deadline, 0, "seed {seed}");
        let of_workers: u64 = result
            .workers
            .iter()
            .map(|worker| worker.counts.scheduled)
            .sum();
        assert_eq!(of_workers, ARRIVALS, "seed {seed}");
        let gone = result
            .workers
            .iter()
            .find(|worker| worker.state == WorkerState::Lost)
            .unwrap();
        assert_eq!(gone.counts.lost, result.tally.counts.lost, "seed {seed}");
        assert_eq!(
            gone.counts.lost,
            gone.counts.scheduled - gone.finished,
            "seed {seed}"
        );
        assert!(gone.counts.lost > 0, "seed {seed}");
    }
}

#[test]
fn one_worker_or_five_end_with_the_same_sums() {
    let sums = |workers| {
        let mut world = world(workers as u64, workers);
        world.run().tally.counts
    };
    assert_eq!(sums(1), sums(5));
}
