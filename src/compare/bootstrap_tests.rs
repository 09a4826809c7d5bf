//! Intervals on data whose truth is known: how often they hold it, and that draws repeat.

use rand_distr::{Distribution, Gamma, LogNormal, Normal};

use super::*;
use crate::compare::change::{Change, Comparison, Known, Subject};
use crate::compare::{Entry, Run};

const TTFT: Figure = Figure::Ttft;

fn entry(runs: Vec<Vec<f64>>) -> Entry {
    let run = |values: Vec<f64>| Run {
        answers: [(TTFT, values)].into(),
        ..Run::default()
    };
    Entry {
        name: String::new(),
        runs: runs.into_iter().map(run).collect(),
    }
}

fn draw(law: &impl Distribution<f64>, size: usize, seed: u64, name: &str) -> Vec<f64> {
    let mut rng = Seed(seed).stream(name, 0);
    (0..size).map(|_| law.sample(&mut rng)).collect()
}

fn change(first: Vec<Vec<f64>>, second: Vec<Vec<f64>>, stat: Stat, seed: u64) -> Change {
    let entries = [entry(first), entry(second)];
    let resampling = Resampling {
        resamples: 600,
        seed: Seed(seed),
        ..Resampling::default()
    };
    let comparison = Comparison::new(&entries, resampling);
    comparison
        .change(0, 1, Subject::Figure(TTFT, stat))
        .unwrap()
}

fn relative(change: &Change) -> Interval {
    match change.known {
        Known::Intervals { relative, .. } => relative.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Of 200 repetitions of a true +20%, those whose interval holds it. 95% of them are 190; 3 standard errors are 9.
fn held(stat: Stat, size: usize, law: &impl Distribution<f64>) -> usize {
    let holds = |seed: &u64| {
        let first = draw(law, size, *seed, "first");
        let second = draw(law, size, *seed, "second")
            .into_iter()
            .map(|it| it * 1.2);
        let change = change(vec![first], vec![second.collect()], stat, *seed);
        relative(&change).holds(0.2)
    };
    (0..200).filter(holds).count()
}

#[test]
fn about_95_of_100_intervals_hold_the_truth() {
    let skewed = LogNormal::new(0.0, 0.5).unwrap();
    let gamma = Gamma::new(4.0, 0.25).unwrap();
    for (stat, size) in [
        (Stat::Mean, 20),
        (Stat::Mean, 60),
        (Stat::Median, 41),
        (Stat::P95, 80),
    ] {
        for held in [held(stat, size, &skewed), held(stat, size, &gamma)] {
            assert!((181..=200).contains(&held), "{stat:?} of {size}: {held}");
        }
    }
    // No conservatism either: a mean of many is as well known as theory says.
    let many = held(Stat::Mean, 60, &gamma);
    assert!(many <= 199, "{many}");
}

#[test]
fn nominal_80_holds_about_80() {
    let law = Gamma::new(4.0, 0.25).unwrap();
    let holds = |seed: &u64| {
        let first = draw(&law, 50, *seed, "first");
        let second = draw(&law, 50, *seed, "second");
        let entries = [entry(vec![first]), entry(vec![second])];
        let resampling = Resampling {
            confidence: 0.8,
            resamples: 500,
            seed: Seed(*seed),
        };
        let comparison = Comparison::new(&entries, resampling);
        let change = comparison
            .change(0, 1, Subject::Figure(TTFT, Stat::Mean))
            .unwrap();
        relative(&change).holds(0.0)
    };
    let held = (0..200).filter(holds).count();
    // 160, and 3 standard errors of 5.7.
    assert!((143..=177).contains(&held), "{held}");
}

/// A server that drifts from run to run by 10%, measured in runs of 40: an interval of responses alone misses most of it.
#[test]
fn runs_that_drift_are_not_taken_for_a_difference() {
    let share = |count: usize| {
        let holds = |seed: &u64| {
            let change = change(
                drifting((count, 40), (0.1, 1.0), *seed, "a"),
                drifting((count, 40), (0.1, 1.0), *seed, "b"),
                Stat::Mean,
                *seed,
            );
            relative(&change).holds(0.0)
        };
        (0..100).filter(holds).count()
    };
    let (single, several) = (share(1), share(4));
    assert!(
        single < 80,
        "one run a side knows nothing of drift: {single}"
    );
    assert!(several >= 89, "four runs a side do: {several}");
}

/// Runs of a server whose level drifts by `drift` from run to run.
fn drifting(
    (count, size): (usize, usize),
    (drift, factor): (f64, f64),
    seed: u64,
    name: &str,
) -> Vec<Vec<f64>> {
    let law = Gamma::new(16.0, 1.0 / 16.0).unwrap();
    let drift = Normal::new(factor, drift * factor).unwrap();
    let levels = draw(&drift, count, seed, &format!("{name} level"));
    let run = |(at, level): (usize, f64)| {
        let values = draw(&law, size, seed, &format!("{name} {at}"));
        values.into_iter().map(|it| it * level).collect()
    };
    levels.into_iter().enumerate().map(run).collect()
}

#[test]
fn runs_that_differ_are_found() {
    for stat in Stat::COMPARED {
        // Above 2,000 responses a side they are taken from their laws.
        for (size, seed) in [(200, 1), (200, 2), (200, 3), (600, 4), (600, 5), (600, 6)] {
            let first = drifting((4, size), (0.03, 1.0), seed, "a");
            let second = drifting((4, size), (0.03, 1.3), seed, "b");
            let found = change(first, second, stat, seed);
            assert_eq!(found.is_significant(), Some(true), "{stat:?} {seed}");
        }
    }
}

#[test]
fn no_interval_of_runs_reaches_below_a_fall_by_everything() {
    let first = vec![vec![1.0; 20], vec![3.0; 20]];
    let second = vec![vec![0.1; 20], vec![0.2; 20]];
    for stat in Stat::COMPARED {
        let interval = relative(&change(first.clone(), second.clone(), stat, 1));
        assert!(interval.low > -1.0 && interval.low < -0.95, "{interval:?}");
    }
}

/// Long runs' short cut against resamples that are really drawn.
#[test]
fn the_laws_of_long_runs_are_those_of_resamples() {
    let law = LogNormal::new(0.0, 0.7).unwrap();
    let runs: Vec<Vec<f64>> = [(1.0, 500), (1.15, 900), (0.9, 700)]
        .into_iter()
        .map(|(level, size)| {
            let values = draw(&law, size, 8, &format!("{size}"));
            values.into_iter().map(|it| it * level).collect()
        })
        .collect();
    let runs: Vec<&[f64]> = runs.iter().map(Vec::as_slice).collect();
    let resampling = Resampling {
        resamples: 6_000,
        ..Resampling::default()
    };
    for stat in Stat::COMPARED {
        let mut rng = Seed(4).stream("drawn", 0);
        let mut short = resampling.of_long_runs(&runs, stat, &mut rng);
        let mut drawn = resampling.of_runs(&runs, stat, &mut rng);
        assert_eq!(short.len(), drawn.len());
        short.sort_by(f64::total_cmp);
        drawn.sort_by(f64::total_cmp);
        // Two samples of one law are less than 0.03 apart in 99 of 100 cases (Kolmogorov and Smirnov).
        for q in [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975] {
            let value = stats::quantile(&short, q).unwrap();
            let below = count(drawn.partition_point(|it| *it <= value)) / count(drawn.len());
            assert!((below - q).abs() < 0.03, "{stat:?} {q}: {below}");
        }
    }
}

#[test]
fn long_runs_that_do_not_vary_have_one_value() {
    let runs = [vec![2.0; 2_000], vec![2.0; 2_000]];
    let runs: Vec<&[f64]> = runs.iter().map(Vec::as_slice).collect();
    for stat in Stat::COMPARED {
        let mut drawn = Resampling::default().replicates(&runs, (TTFT, stat), true, 0);
        drawn.dedup();
        assert_eq!(drawn, [2.0], "{stat:?}");
    }
}

#[test]
fn equal_inputs_give_no_significant_difference() {
    let law = LogNormal::new(0.0, 0.7).unwrap();
    for seed in 0..20 {
        let values = draw(&law, 30, seed, "same");
        for stat in Stat::COMPARED {
            let change = change(vec![values.clone()], vec![values.clone()], stat, seed);
            assert_eq!(change.is_significant(), Some(false), "{stat:?} {seed}");
        }
    }
    let constant = change(vec![vec![2.0; 9]], vec![vec![2.0; 9]], Stat::Mean, 1);
    assert_eq!(constant.is_significant(), Some(false));
}

#[test]
fn a_planted_20_percent_is_found() {
    let law = Normal::new(1.0, 0.1).unwrap();
    for stat in Stat::COMPARED {
        let first = draw(&law, 100, 3, "first");
        let second = draw(&law, 100, 3, "second")
            .into_iter()
            .map(|it| it * 1.2)
            .collect();
        let found = change(vec![first], vec![second], stat, 0);
        assert_eq!(found.is_significant(), Some(true), "{stat:?}");
        let interval = relative(&found);
        assert!(
            interval.holds(0.2) && interval.high - interval.low < 0.2,
            "{interval:?}"
        );
    }
}

#[test]
fn equal_seeds_give_equal_intervals_and_others_do_not() {
    let law = LogNormal::new(0.0, 0.7).unwrap();
    let at = |seed| {
        let (first, second) = (draw(&law, 50, 1, "a"), draw(&law, 50, 1, "b"));
        relative(&change(vec![first], vec![second], Stat::Mean, seed))
    };
    assert_eq!(at(1), at(1));
    assert_ne!(at(1), at(2));
}

/// The percentile's short cut against resamples that are really drawn.
#[test]
fn order_statistics_are_those_of_resamples() {
    let law = LogNormal::new(0.0, 0.7).unwrap();
    let mut values = draw(&law, 37, 5, "values");
    values.sort_by(f64::total_cmp);
    let resampling = Resampling {
        resamples: 20_000,
        ..Resampling::default()
    };
    for (stat, share) in [(Stat::Median, 0.5), (Stat::P95, 0.95)] {
        let mut rng = Seed(9).stream("drawn", 0);
        let mut short = resampling.of_percentile(&values, share, &mut rng);
        let mut drawn = resampling.of_runs(&[&values], stat, &mut rng);
        short.sort_by(f64::total_cmp);
        drawn.sort_by(f64::total_cmp);
        for q in [0.05, 0.25, 0.5, 0.75, 0.95] {
            let [one, other] = [&short, &drawn].map(|all| stats::quantile(all, q).unwrap());
            assert!(
                (one / other - 1.0).abs() < 0.03,
                "{stat:?} {q}: {one} {other}"
            );
        }
    }
}

#[test]
fn a_mean_of_very_many_values_has_the_standard_error_of_theory() {
    let values = draw(&Gamma::new(4.0, 0.25).unwrap(), MANY + 1, 2, "many");
    let entries = [entry(vec![values])];
    let comparison = Comparison::new(&entries, Resampling::default());
    let interval = comparison.interval(0, TTFT, Stat::Mean).unwrap();
    let width = interval.high - interval.low;
    let theory = 2.0 * 1.96 * 0.5 / count(MANY).sqrt();
    assert!((width / theory - 1.0).abs() < 0.08, "{width} {theory}");
}

#[test]
fn too_few_responses_have_no_interval() {
    let few = change(vec![vec![1.0; 19]], vec![vec![2.0; 30]], Stat::P95, 0);
    assert_eq!(few.known, Known::TooFew(20));
    assert_eq!(few.is_significant(), None);
    let few = change(vec![vec![1.0; 4]], vec![vec![2.0; 30]], Stat::Mean, 0);
    assert_eq!(few.known, Known::TooFew(5));
}

#[test]
fn rates_of_runs_are_compared_by_runs_alone() {
    let of = |values: &[f64]| {
        let run = |value: &f64| Run {
            rates: [(crate::compare::Rate::OverallThroughput, *value)].into(),
            ..Run::default()
        };
        Entry {
            name: String::new(),
            runs: values.iter().map(run).collect(),
        }
    };
    let compare = |first: &[f64], second: &[f64]| {
        let entries = [of(first), of(second)];
        let comparison = Comparison::new(&entries, Resampling::default());
        comparison
            .change(0, 1, Subject::Rate(crate::compare::Rate::OverallThroughput))
            .unwrap()
    };
    assert_eq!(compare(&[10.0], &[20.0]).known, Known::OneRun);
    let found = compare(&[10.0, 10.2, 9.9], &[12.0, 12.1, 12.3]);
    assert_eq!(found.is_significant(), Some(true));
    // All by scipy.stats.ttest_ind(equal_var=False).confidence_interval(), the relative ones of logarithms.
    let close = |interval: Interval, low: f64, high: f64| {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-8;
        assert!(
            near(interval.low, low) && near(interval.high, high),
            "{interval:?}"
        );
    };
    let Known::Intervals { absolute, .. } = found.known else {
        panic!("{found:?}");
    };
    close(absolute, 1.753_716_455, 2.446_283_545);
    // 1.98 and 1.994 degrees of freedom.
    let found = compare(&[100.0, 101.0], &[95.0, 95.9]);
    assert_eq!(found.is_significant(), Some(true));
    let Known::Intervals { absolute, .. } = found.known else {
        panic!("{found:?}");
    };
    close(absolute, -7.975_092_278, -2.124_907_722);
    close(relative(&found), -0.077_923_14, -0.021_741_30);
    assert_eq!(
        compare(&[10.0, 14.0], &[12.0, 13.0]).is_significant(),
        Some(false)
    );
}
