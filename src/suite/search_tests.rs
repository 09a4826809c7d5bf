//! The search against invented servers: known capacities, with and without noise.

use proptest::prelude::*;

use super::*;

fn spec(goal: Goal) -> SearchSpec {
    SearchSpec {
        goal,
        from: 1.0,
        to: None,
        repeats: 3,
        precision: 0.03,
    }
}

fn failed() -> Judgement {
    Judgement::Failed(Limit::Saturated("behind".to_owned()))
}

/// Plays a search against `server`; returns its end and how many runs that took.
fn play(spec: SearchSpec, mut server: impl FnMut(Trial) -> Judgement) -> (Found, usize) {
    let mut search = Search::new(spec);
    for runs in 0..1_000 {
        match search.next() {
            Step::Done(found) => return (found, runs),
            Step::Run(trial) => search.note(trial, server(trial)),
        }
    }
    panic!("the search does not end: {search:?}");
}

fn exact(capacity: f64) -> impl FnMut(Trial) -> Judgement {
    move |trial| {
        if trial.load <= capacity {
            Judgement::Met
        } else {
            failed()
        }
    }
}

/// A number from 0 to 1 that looks random and is a function of its input.
fn noise(seed: u64, trial: Trial) -> f64 {
    let mut mixed =
        seed ^ trial.load.to_bits() ^ u64::from(trial.repeat).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for _ in 0..3 {
        mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    #[expect(clippy::cast_precision_loss, reason = "a number for a test")]
    let share = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    share
}

proptest! {
    #[test]
    fn a_known_capacity_is_found_within_the_precision(capacity in 1.0_f64..5_000.0) {
        let (found, runs) = play(spec(Goal::MaxQps), exact(capacity));
        let maximum = found.maximum.unwrap();
        prop_assert!(maximum <= capacity && maximum * 1.035 >= capacity, "{maximum} of {capacity}");
        prop_assert_eq!(found.low, Some(maximum));
        prop_assert!(found.high.unwrap() > capacity);
        // 13 doublings, 6 halvings, two runs each, and one more for either end.
        prop_assert!(runs <= 2 * 20 + 2, "{} runs", runs);
    }

    #[test]
    fn users_are_whole_and_found_to_the_last_one_where_they_are_few(capacity in 1_u32..33) {
        let (found, _) = play(spec(Goal::MaxUsers), exact(f64::from(capacity)));
        prop_assert_eq!(found.maximum, Some(f64::from(capacity)));
    }

    #[test]
    fn noise_of_a_few_percent_is_voted_down(capacity in 2.0_f64..2_000.0, seed in any::<u64>()) {
        // Each run sees a capacity that is up to 2% off.
        let server = |trial: Trial| {
            let seen = capacity * (0.98 + 0.04 * noise(seed, trial));
            if trial.load <= seen { Judgement::Met } else { failed() }
        };
        let (found, _) = play(spec(Goal::MaxQps), server);
        let maximum = found.maximum.unwrap();
        prop_assert!((maximum / capacity - 1.0).abs() <= 0.055, "{maximum} of {capacity}");
        let low = found.low.unwrap();
        prop_assert!(low <= maximum && low <= capacity * 1.02, "{low} {maximum}");
        match found.high {
            Some(high) => prop_assert!(maximum < high && high >= capacity * 0.98, "{maximum} {high}"),
            // Only where even the highest load that was run was met once.
            None => prop_assert!(found.points.last().unwrap().met() > 0),
        }
    }

    #[test]
    fn a_latency_objective_is_found_where_the_curve_crosses_it(
        capacity in 10.0_f64..1_000.0,
        limit in 2.0_f64..20.0,
        seed in any::<u64>(),
    ) {
        // M/M/1: the latency in units of the service time is 1 / (1 − load / capacity), and each run sees it 3% off.
        let server = |trial: Trial| {
            let load = trial.load / capacity;
            let latency = if load < 1.0 { 1.0 / (1.0 - load) } else { f64::INFINITY };
            if latency * (0.97 + 0.06 * noise(seed, trial)) < limit { Judgement::Met } else { failed() }
        };
        let truth = capacity * (1.0 - 1.0 / limit);
        let (found, _) = play(spec(Goal::MaxQps), server);
        let maximum = found.maximum.unwrap();
        // A latency that is 3% off is a load that is up to 3% off where the limit is low.
        prop_assert!((maximum / truth - 1.0).abs() <= 0.065, "{maximum} of {truth}");
    }
}

#[test]
fn two_of_three_runs_that_agree_need_no_third_but_at_the_ends() {
    let mut seen = Vec::new();
    let (found, _) = play(spec(Goal::MaxUsers), |trial| {
        seen.push((trial.load, trial.repeat));
        exact(5.0)(trial)
    });
    let runs: Vec<_> = found
        .points
        .iter()
        .map(|point| (point.load, point.runs.len()))
        .collect();
    assert_eq!(
        runs,
        [(1.0, 2), (2.0, 2), (4.0, 2), (5.0, 3), (6.0, 3), (8.0, 2)]
    );
    assert_eq!(seen[..4], [(1.0, 0), (1.0, 1), (2.0, 0), (2.0, 1)]);
    assert!(matches!(
        found.outcome,
        Outcome::Limited(Limit::Saturated(_))
    ));
}

#[test]
fn a_single_outlier_moves_the_interval_and_not_the_maximum() {
    let (found, _) = play(spec(Goal::MaxUsers), |trial| {
        if trial.load.total_cmp(&4.0).is_eq() && trial.repeat == 0 {
            failed()
        } else {
            exact(5.0)(trial)
        }
    });
    assert_eq!(found.maximum, Some(5.0));
    assert_eq!((found.low, found.high), (Some(2.0), Some(6.0)));
}

#[test]
fn a_smallest_load_that_fails_ends_the_search() {
    let (found, runs) = play(spec(Goal::MaxQps), exact(0.5));
    assert_eq!((found.maximum, found.low), (None, None));
    assert_eq!(runs, 3);
    assert!(matches!(found.outcome, Outcome::NotEvenTheSmallest(_)));
}

#[test]
fn a_largest_load_that_is_met_ends_it_too() {
    let spec = SearchSpec {
        to: Some(10.0),
        ..spec(Goal::MaxQps)
    };
    let (found, _) = play(spec, exact(50.0));
    assert_eq!((found.maximum, found.high), (Some(10.0), None));
    assert_eq!(found.outcome, Outcome::AtTheTop);
}

#[test]
fn a_generator_at_its_end_is_not_taken_for_the_servers() {
    let (found, _) = play(spec(Goal::MaxQps), |trial| {
        if trial.load < 30.0 {
            Judgement::Met
        } else {
            Judgement::Failed(Limit::Generator("no core is free".to_owned()))
        }
    });
    assert_eq!((found.maximum, found.high), (Some(16.0), None));
    assert!(matches!(
        found.outcome,
        Outcome::Limited(Limit::Generator(_))
    ));
}

#[test]
fn a_tie_has_failed_and_one_repeat_decides_at_once() {
    let point = |met: usize, failures: usize| Point {
        load: 1.0,
        runs: std::iter::repeat_n(Judgement::Met, met)
            .chain(std::iter::repeat_n(failed(), failures))
            .collect(),
    };
    assert_eq!(point(1, 1).decided(2), Some(false));
    assert_eq!(point(1, 0).decided(2), None);
    assert_eq!(point(2, 0).decided(2), Some(true));
    assert_eq!(point(1, 0).decided(1), Some(true));
    assert_eq!(point(0, 1).decided(3), None);
    assert_eq!(point(1, 1).decided(3), None);
}

#[test]
fn what_is_next_depends_on_nothing_but_what_was_noted() {
    let mut search = Search::new(spec(Goal::MaxQps));
    let mut server = exact(7.3);
    while let Step::Run(trial) = search.next() {
        assert_eq!(search.next(), Step::Run(trial));
        search.note(trial, server(trial));
    }
    assert!(search.so_far().maximum.is_some());
    assert_eq!(search.so_far().outcome, Outcome::Unfinished);
}
