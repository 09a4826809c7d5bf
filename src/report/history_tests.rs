//! A history adds up, however a run was cut and however long it was.

use proptest::prelude::*;

use super::*;
use crate::metrics::{CoreLoad, Rules, Window};
use crate::report::sample;

const SECOND: u64 = 1_000_000_000;

fn at(nanos: u64) -> Offset {
    Offset::from_nanos(nanos)
}

/// One request that took `ms` longer than the sample's, in the warm-up or after it, good or failed.
fn delta(ms: u64, is_warmup: bool, is_good: bool) -> Tally {
    let mut record = sample::record(0);
    for mark in &mut record.marks {
        mark.at = at(mark.at.as_nanos() + ms * 1_000_000);
    }
    record.end = at(record.end.as_nanos() + ms * 1_000_000);
    if !is_good {
        record.outcome = Outcome::Cut;
    }
    let start = if is_warmup { at(SECOND) } else { Offset::ZERO };
    let mut tally = Tally::default();
    tally.record(&record, &Window { start, end: None }, &Rules::default());
    tally.counts.scheduled = 2;
    tally.counts.sent = 1;
    let load = CoreLoad {
        wall_ns: SECOND,
        cpu_ns: ms,
        kept_waiting_ns: 1,
    };
    tally.generator.cores = [(0, load), (1, load)].into();
    tally.pack();
    tally
}

#[track_caller]
fn assert_adds_up(history: &History, all: &Tally) {
    let mut sum = Step::default();
    for step in history.steps() {
        assert!(step.to >= step.from);
        assert_eq!(step.from, sum.to, "no gap");
        sum.absorb(step.clone(), step.reports);
    }
    assert_eq!(sum.counts, all.counts);
    let mut phase = all.warmup.clone();
    phase.merge(&all.measured);
    assert_eq!(sum.outcomes, phase.outcomes);
    assert_eq!(sum.output_tokens, phase.output_tokens);
    assert_eq!(sum.prompt_tokens, phase.prompt_tokens);
    for metric in KEPT {
        assert_eq!(sum.get(metric), phase.get(metric), "{metric:?}");
    }
    let cores = all.generator.cores.values();
    assert_eq!(sum.observed_ns, cores.map(|core| core.wall_ns).sum::<u64>());
    assert_eq!(history.ended(), phase.finished());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn sums_are_the_tallys_whatever_the_cuts(
        cuts in proptest::collection::vec((0..3 * SECOND, 0_u64..500, any::<bool>(), any::<bool>()), 1..40),
        halvings in 0_usize..3,
    ) {
        let (mut history, mut all, mut now) = (History::default(), Tally::default(), 0);
        for (number, (span, ms, is_warmup, is_good)) in cuts.iter().enumerate() {
            now += span;
            let delta = delta(*ms, *is_warmup, *is_good);
            all.merge(&delta);
            history.push(&delta, at(now), Crowd { users: 7, ..Crowd::default() });
            if number % 13 < halvings {
                history.halve();
            }
        }
        assert_adds_up(&history, &all);
        prop_assert_eq!(history.steps().last().unwrap().crowd.users, 7);
        prop_assert_eq!(history.steps().last().unwrap().to, at(now));
    }
}

#[test]
fn a_long_run_stays_small_and_its_steps_alike() {
    let (mut history, mut all) = (History::default(), Tally::default());
    let deltas = [delta(3, false, true), delta(90, false, false)];
    for second in 1..=7_300_u64 {
        let delta = &deltas[usize::from(second % 3 == 0)];
        all.merge(delta);
        history.push(delta, at(second * SECOND), Crowd::default());
        assert!(history.steps().len() <= MOST_STEPS);
    }
    assert!(history.steps().len() > MOST_STEPS / 2);
    assert_adds_up(&history, &all);
    let (last, others) = history.steps().split_last().unwrap();
    // The step that ended the first halving has an odd neighbour.
    let odd = others.iter().filter(|step| step.reports != 8).count();
    assert!(odd <= 3, "{odd} steps of another length");
    assert!(last.reports <= 8);
}

#[test]
fn a_late_report_is_a_rate_over_its_own_time_and_a_moment_is_none() {
    let mut history = History::default();
    for (to, number) in [(1_000, 1), (4_000, 6), (4_100, 3)] {
        let mut tally = Tally::default();
        tally.measured.outcomes.insert(Outcome::Ok, number);
        history.push(&tally, at(to * 1_000_000), Crowd::default());
    }
    let rates: Vec<_> = history
        .steps()
        .iter()
        .map(|step| step.per_s(step.ended()))
        .collect();
    assert_eq!(rates, [Some(1.0), Some(9.0 / 3.1)]);
    let mut nothing = History::default();
    nothing.push(&Tally::default(), Offset::ZERO, Crowd::default());
    assert_eq!(nothing.steps()[0].per_s(1), None);
}

#[test]
fn a_last_moment_without_users_leaves_those_that_there_were() {
    let mut history = History::default();
    for (to, users) in [(1_000, 4), (1_100, 0), (2_000, 6), (3_000, 0)] {
        let crowd = Crowd {
            users,
            ..Crowd::default()
        };
        history.push(&Tally::default(), at(to * 1_000_000), crowd);
    }
    let users = |history: &History| {
        let steps = history.steps().iter();
        steps
            .map(|step| (step.crowd.users, step.most_users))
            .collect::<Vec<_>>()
    };
    assert_eq!(users(&history), [(0, 4), (6, 6), (0, 0)]);
    history.halve();
    assert_eq!(users(&history), [(6, 6), (0, 0)]);
}
