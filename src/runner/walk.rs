//! A core's way through the arrivals of the cluster: which is its next one, as rates and owners change.
//! It waits for nothing: whoever walks knows the time.

use std::collections::VecDeque;

use crate::domain::{Offset, Seed};
use crate::schedule::{Arrivals, Pace, Shard, Spec};

/// Arrivals in order, those of other owners passed over.
///
/// It looks ahead to the next one of its own, which is not taken yet: a change still moves it, or gives it away. Who owns an
/// arrival follows from when it is due, and from nothing else.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Before the first one, with all changes to come.
    origin: Arrivals,
    /// Everything before is passed over; `here` may still have to.
    floor: Offset,
    reached: bool,
    /// After the last one that was taken, or passed over for good.
    here: Cursor,
    /// At the next one of its own.
    ahead: Cursor,
    /// Which part is its own, from when on. In order.
    parts: VecDeque<(Offset, Option<Shard>)>,
    /// What `ahead` is at, once it was moved there.
    next: Next,
    /// No arrival before this one is told of again, wherever a late change may have it: it was taken.
    untaken: u64,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Unknown,
    Known(Option<(u64, Offset)>),
}

#[derive(Clone, Debug)]
struct Cursor {
    arrivals: Arrivals,
    /// The last one before it.
    last: Option<(u64, Offset)>,
}

impl Cursor {
    fn pass(&mut self) {
        self.last = self.arrivals.next().or(self.last);
    }
}

impl Walk {
    /// From the first arrival on, none of them its own; `None` for a closed loop.
    pub(super) fn new(spec: &Spec, seed: Seed) -> Option<Self> {
        let cursor = Cursor {
            arrivals: Arrivals::new(spec, seed)?,
            last: None,
        };
        Some(Self {
            origin: cursor.arrivals.clone(),
            floor: Offset::ZERO,
            reached: true,
            here: cursor.clone(),
            ahead: cursor,
            parts: VecDeque::new(),
            next: Next::Unknown,
            untaken: 0,
        })
    }

    /// What is due from `from` on is due at `pace`, and its own if `part` owns it. Changes come in their order, each before
    /// an arrival from after it was taken. Where others' were passed over already, it goes back.
    pub(super) fn change(&mut self, from: Offset, pace: impl Into<Pace>, part: Option<Shard>) {
        let pace = pace.into();
        self.origin.change(from, pace);
        if self.here.last.is_some_and(|(_, due)| due >= from) {
            self.here = Cursor {
                arrivals: self.origin.clone(),
                last: None,
            };
            self.reached = false;
        } else {
            self.here.arrivals.change(from, pace);
        }
        self.parts.push_back((from, part));
        self.look_again();
    }

    fn look_again(&mut self) {
        self.ahead = self.here.clone();
        self.next = Next::Unknown;
    }

    /// Its next arrival, as things stand.
    pub(super) fn peek(&mut self) -> Option<(u64, Offset)> {
        if let Next::Known(next) = self.next {
            return next;
        }
        if !self.reached {
            // It may be a long way, and for nothing.
            if !self.owns_anything_from(self.floor) {
                return None;
            }
            self.reach_floor();
        }
        let next = loop {
            let Some((index, due)) = self.ahead.arrivals.peek() else {
                break None;
            };
            if self.owns(index, due) {
                break Some((index, due));
            }
            if !self.owns_anything_from(due) {
                break None;
            }
            self.ahead.pass();
        };
        self.next = Next::Known(next);
        next
    }

    /// Takes the one that `peek` told of.
    pub(super) fn take(&mut self) {
        let Some((index, due)) = self.peek() else {
            return;
        };
        self.untaken = index + 1;
        self.ahead.pass();
        self.here = self.ahead.clone();
        self.next = Next::Unknown;
        self.forget_parts(due);
    }

    /// Passes over everything that is due before `at`, its own included.
    pub(super) fn skip_to(&mut self, at: Offset) {
        self.floor = self.floor.max(at);
        self.reached = false;
        self.forget_parts(at);
        self.look_again();
    }

    fn reach_floor(&mut self) {
        while let Some((index, due)) = self.here.arrivals.peek()
            && (due < self.floor || index < self.untaken)
        {
            self.here.pass();
        }
        self.reached = true;
        self.look_again();
    }

    /// Passes over what others own and what is due before `at`, up to the first of its own: for who owns nothing for long, so
    /// that it has no long way to go when it does.
    pub(super) fn follow(&mut self, at: Offset) {
        self.reach_floor();
        while let Some((index, due)) = self.here.arrivals.peek()
            && due < at
            && !self.owns(index, due)
        {
            self.here.pass();
        }
        self.look_again();
    }

    /// When the last arrival of a counted schedule was due, if the next one of its own would be after it.
    pub(super) fn end(&mut self) -> Option<Offset> {
        if self.peek().is_some() {
            return None;
        }
        self.ahead.arrivals.over()
    }

    /// Whether anything that is due at `at` could be its own.
    pub(super) fn owns_at(&self, at: Offset) -> bool {
        self.part_at(at).is_some()
    }

    fn part_at(&self, due: Offset) -> Option<Shard> {
        let parts = self.parts.iter().rev();
        parts
            .copied()
            .find(|&(from, _)| from <= due)
            .and_then(|(_, part)| part)
    }

    fn owns(&self, index: u64, due: Offset) -> bool {
        self.part_at(due).is_some_and(|part| part.owns(index))
    }

    fn owns_anything_from(&self, due: Offset) -> bool {
        self.owns_at(due)
            || self
                .parts
                .iter()
                .any(|&(from, part)| from > due && part.is_some())
    }

    /// Nothing that is due before `at` will be asked about any more.
    fn forget_parts(&mut self, at: Offset) {
        while self.parts.get(1).is_some_and(|&(from, _)| from <= at) {
            self.parts.pop_front();
        }
    }
}

/// Counts the arrivals of a share as they come due: a second walk over the schedule, behind the sending one.
#[derive(Debug)]
pub(super) struct DueCount {
    pub(super) walk: Walk,
    count: u64,
}

impl DueCount {
    /// Nothing came due yet.
    pub(super) const fn new(walk: Walk) -> Self {
        Self { walk, count: 0 }
    }

    /// How many more came due before `until`. What was begun came due, even if a clock was read a moment before: at least
    /// `least` in all.
    pub(super) fn advance(&mut self, until: Offset, least: u64) -> u64 {
        let before = self.count;
        while let Some((_, due)) = self.walk.peek() {
            if due >= until && self.count >= least {
                break;
            }
            self.walk.take();
            self.count += 1;
        }
        self.count - before
    }

    /// How many came due so far.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::Rate;
    use crate::schedule::{AT_ONCE, Curve, Law, Pacing, Ramp, Stage};

    fn spec(rate: u32, law: Law, max_requests: Option<u64>) -> Spec {
        Spec {
            users: 1,
            spawn_rate: AT_ONCE,
            pacing: Pacing::Open {
                rate: Rate::per_second(rate),
                law,
            },
            run_time: max_requests.is_none().then_some(Duration::from_secs(20)),
            warmup: Duration::ZERO,
            measure_ramp: false,
            max_requests,
            ramp: None,
            spread: Duration::ZERO,
            think: None,
            burstiness: 1.0,
            enough: None,
        }
    }

    fn ms(at: u64) -> Offset {
        Offset::from_nanos(at * 1_000_000)
    }

    /// Takes what is due before `at`.
    fn take_until(walk: &mut Walk, at: Offset) -> Vec<(u64, Offset)> {
        let mut taken = Vec::new();
        while let Some(next) = walk.peek().filter(|&(_, due)| due < at) {
            walk.take();
            taken.push(next);
        }
        taken
    }

    #[test]
    fn what_was_taken_is_not_told_of_again_when_a_change_comes_late() {
        let mut walk = Walk::new(&spec(10, Law::Constant, None), Seed(1)).unwrap();
        walk.change(Offset::ZERO, Some(Rate::per_second(10)), Some(Shard::WHOLE));
        assert_eq!(take_until(&mut walk, ms(1_000)).len(), 10);
        walk.change(ms(800), Some(Rate::per_second(20)), Some(Shard::WHOLE));
        let rest: Vec<u64> = take_until(&mut walk, ms(2_000))
            .iter()
            .map(|of| of.0)
            .collect();
        assert_eq!(rest.first(), Some(&10));
        assert!(
            rest.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{rest:?}"
        );
    }

    fn stage(from: f64, to: f64, millis: u64) -> Stage {
        Stage {
            from,
            to,
            lasts: Duration::from_millis(millis),
        }
    }

    /// Schedules of about 30 requests a second for 20 s, of all kinds.
    fn specs() -> impl Strategy<Value = Spec> {
        let laws = prop_oneof![
            Just(Law::Constant),
            Just(Law::Uniform),
            Just(Law::Exponential),
            Just(Law::Gamma)
        ];
        (laws, 0_u32..5).prop_map(|(law, kind)| {
            let mut spec = Spec {
                burstiness: 0.5,
                ..spec(30, law, None)
            };
            match kind {
                0 => {}
                1 => {
                    spec.run_time = Some(Duration::from_secs(12));
                    spec.ramp = Some(Ramp {
                        warmup: Duration::from_secs(2),
                        time: Duration::from_secs(6),
                        curve: Curve::Geometric,
                    });
                }
                2 => {
                    let stages = vec![
                        stage(10.0, 60.0, 7_000),
                        stage(0.0, 0.0, 3_000),
                        stage(60.0, 30.0, 10_000),
                    ];
                    spec.pacing = Pacing::Stages { stages, law };
                }
                3 => {
                    spec.users = 9;
                    let every = Duration::from_millis(310);
                    spec.pacing = Pacing::Burst { every };
                }
                _ => {
                    let due_us = (0..600).map(|i: u64| i * 31_000 + i % 7 * 4_000).collect();
                    spec.pacing = Pacing::Trace { due_us };
                }
            }
            spec
        })
    }

    /// A rate, or none, or the plan's own times.
    fn pace(number: u32) -> Pace {
        match number {
            0 => Pace::Still,
            1..=20 => Pace::Planned,
            rate => Pace::Fixed(Rate::per_second(rate)),
        }
    }

    /// Per epoch: how long after the one before it begins, how long before that it is told, its rate, its number of owners.
    type Epoch = (u64, u64, u32, u32);

    proptest! {
        #[test]
        fn whoever_is_told_when_each_arrival_is_taken_exactly_once_and_at_its_time(
            seed: u64, spec in specs(),
            epochs in proptest::collection::vec((100_u64..4_000, 1_u64..100, 0_u32..60, 1_u32..5), 1..5),
        ) {
            const MOST: usize = 5;
            let mut all = Arrivals::new(&spec, Seed(seed)).unwrap();
            let mut walks: Vec<Walk> =
                (0..MOST).map(|_| Walk::new(&spec, Seed(seed)).unwrap()).collect();
            walks[0].change(Offset::ZERO, Pace::Planned, Some(Shard::WHOLE));
            let (mut taken, mut at) = (Vec::new(), 0);
            for &(after, ahead, rate, owners) in &epochs as &[Epoch] {
                let pace = pace(rate);
                at += after;
                all.change(ms(at), pace);
                for (k, walk) in walks.iter_mut().enumerate() {
                    let told = ms(at - ahead * (k as u64 + 1) / MOST as u64);
                    taken.extend(take_until(walk, told));
                    let k = u32::try_from(k).unwrap();
                    walk.change(ms(at), pace, (k < owners).then(|| Shard::new(k, owners)));
                }
            }
            for walk in &mut walks {
                taken.extend(take_until(walk, Offset::MAX));
            }
            taken.sort_unstable();
            prop_assert_eq!(taken, all.collect::<Vec<_>>());
        }

        #[test]
        fn the_count_is_that_of_the_walk(seed: u64, spec in specs(), at in 1_u64..20_000, rate in 0_u32..100) {
            let mut walk = Walk::new(&spec, Seed(seed)).unwrap();
            walk.change(Offset::ZERO, Pace::Planned, Some(Shard::new(1, 3)));
            let mut count = DueCount::new(walk.clone());
            let mut taken = take_until(&mut walk, ms(at / 2));
            count.advance(ms(at / 3), 0);
            for walk in [&mut walk, &mut count.walk] {
                walk.change(ms(at), pace(rate), Some(Shard::new(0, 2)));
            }
            taken.extend(take_until(&mut walk, Offset::MAX));
            count.advance(Offset::MAX, 0);
            prop_assert_eq!(count.count(), taken.len() as u64);
        }
    }

    #[test]
    fn who_owns_nothing_ends_its_walk_at_once_and_follows_at_leisure() {
        let spec = spec(10, Law::Constant, Some(50));
        let mut idle = Walk::new(&spec, Seed(1)).unwrap();
        idle.change(Offset::ZERO, Some(Rate::per_second(10)), None);
        assert_eq!((idle.peek(), idle.end()), (None, None));
        idle.follow(ms(1_000));
        idle.change(ms(2_000), Some(Rate::per_second(10)), Some(Shard::WHOLE));
        assert_eq!(idle.peek(), Some((20, ms(2_000))));
        idle.skip_to(ms(2_050));
        assert_eq!(idle.peek(), Some((21, ms(2_100))));
        idle.skip_to(ms(9_000));
        assert_eq!((idle.peek(), idle.end()), (None, Some(ms(4_900))));
    }

    #[test]
    fn a_change_that_comes_late_to_who_owned_nothing_finds_what_is_its_own_since() {
        let spec = spec(10, Law::Constant, Some(50));
        let mut idle = Walk::new(&spec, Seed(1)).unwrap();
        idle.change(Offset::ZERO, Some(Rate::per_second(10)), None);
        idle.skip_to(ms(2_100));
        idle.follow(ms(2_500));
        idle.change(ms(1_000), Some(Rate::per_second(5)), None);
        idle.change(ms(2_000), Some(Rate::per_second(5)), Some(Shard::WHOLE));
        // Ten in the first second, five in the next, and the sixteenth a fifth of a second later.
        assert_eq!(
            take_until(&mut idle, ms(2_500)),
            [(16, ms(2_200)), (17, ms(2_400))]
        );
    }

    #[test]
    fn what_was_begun_came_due_whatever_the_clock_says() {
        let spec = spec(10, Law::Constant, Some(50));
        let mut walk = Walk::new(&spec, Seed(1)).unwrap();
        walk.change(Offset::ZERO, Some(Rate::per_second(10)), Some(Shard::WHOLE));
        let mut count = DueCount::new(walk);
        assert_eq!(
            count.advance(ms(100), 0),
            1,
            "the bound itself is not before it"
        );
        assert_eq!(count.advance(ms(100), 2), 1);
        assert_eq!(count.advance(Offset::MAX, 0), 48);
    }

    #[test]
    fn a_trace_that_ends_in_a_pause_is_over_once_the_pause_is() {
        let mut spec = spec(10, Law::Constant, None);
        spec.run_time = None;
        spec.pacing = Pacing::Trace {
            due_us: [0, 500_000, 1_500_000, 2_500_000].into(),
        };
        let mut walk = Walk::new(&spec, Seed(1)).unwrap();
        walk.change(Offset::ZERO, Pace::Planned, Some(Shard::WHOLE));
        walk.change(ms(1_000), Pace::Still, Some(Shard::WHOLE));
        assert_eq!(take_until(&mut walk, ms(9_000)), [(0, ms(0)), (1, ms(500))]);
        assert_eq!(walk.end(), None, "it may go on before the third");
        walk.change(ms(3_000), Pace::Planned, Some(Shard::WHOLE));
        assert_eq!((walk.peek(), walk.end()), (None, Some(ms(2_500))));
    }
}
