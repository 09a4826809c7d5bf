//! The arrival times of an open loop, in order, each a function of (seed, index).

use std::collections::VecDeque;
use std::time::Duration;

use super::planned::Planned;
use super::{Law, Spec};
use crate::domain::{Offset, Rate, Seed};

/// What sets the times of arrivals from an instant of the run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The plan's own times: those of its rate, ramp, stages, bursts or trace.
    Planned,
    /// So many a second, whatever the plan says.
    Fixed(Rate),
    /// None is due.
    Still,
}

impl From<Option<Rate>> for Pace {
    fn from(rate: Option<Rate>) -> Self {
        rate.map_or(Self::Still, Self::Fixed)
    }
}

/// Walks the arrivals of the whole cluster from index 0; `None` once the schedule is over.
///
/// Of one rate, gap `i` is drawn from (seed, i) alone and the times are the sums of whole nanoseconds, so every
/// worker computes the same times. `Constant` needs no sum: arrival `i` is due at floor(i / rate). Where the plan has a
/// rate that changes, the same gaps are counted in units of its integral; see `planned`.
///
/// A change of the rate keeps what is left of the gap that it falls into: a third of a gap before is a third of a gap
/// after, so that a change makes neither a burst nor a hole. A plan of one rate stands still in a pause; a plan that
/// changes its rate by itself, bursts, and traces go on, and what falls into a pause is not due: its number is left out.
#[derive(Clone, Debug)]
pub struct Arrivals {
    law: Law,
    shape: f64,
    seed: Seed,
    planned: Planned,
    next: u64,
    limit: u64,
    end: Offset,
    stretch: Stretch,
    /// When arrival `next` is due, once it was asked for.
    due: Option<Offset>,
    /// When the one before `next` was due, taken or left out.
    last: Offset,
    changes: VecDeque<(Offset, Pace)>,
}

/// The run between two changes of the pace.
#[derive(Clone, Copy, Debug)]
enum Stretch {
    /// The plan's own times, of which those before `from` are left out.
    Planned { from: Offset },
    /// One rate. `Constant`: arrival `first` is due at `at`. Otherwise the last arrival was due at `at`.
    Fixed { rate: Rate, at: Offset, first: u64 },
    /// None is due; with what was left of a gap, in mean gaps.
    Still { rest: f64 },
}

impl Arrivals {
    /// The arrivals of `spec`, or `None` for a closed loop.
    pub fn new(spec: &Spec, seed: Seed) -> Option<Self> {
        let planned = Planned::new(spec)?;
        let law = spec.pacing.law().unwrap_or(Law::Constant);
        let stretch = match planned {
            Planned::Even(rate) => Stretch::Fixed {
                rate,
                at: Offset::ZERO,
                first: 0,
            },
            _ => Stretch::Planned { from: Offset::ZERO },
        };
        Some(Self {
            law,
            shape: spec.burstiness,
            seed,
            planned,
            next: 0,
            limit: spec.most_arrivals().unwrap_or(u64::MAX),
            end: spec.end_of_sending().unwrap_or(Offset::MAX),
            stretch,
            due: None,
            last: Offset::ZERO,
            changes: VecDeque::new(),
        })
    }

    /// From `from` on the pace is another one; of a rate, `None` is none. Changes come in their order, each before an
    /// arrival from after it was taken.
    pub fn change(&mut self, from: Offset, pace: impl Into<Pace>) {
        let pace = match (pace.into(), &self.planned) {
            (Pace::Planned, &Planned::Even(rate)) => Pace::Fixed(rate),
            (pace, _) => pace,
        };
        self.changes.push_back((from, pace));
    }

    /// The next arrival, which is not taken yet: a change may still move it.
    pub fn peek(&mut self) -> Option<(u64, Offset)> {
        while self.next < self.limit {
            let due = self.candidate();
            match self.changes.front() {
                Some(&(from, pace)) if from <= due => {
                    self.changes.pop_front();
                    self.turn(due, from, pace);
                }
                _ if due >= self.end => return None,
                _ => return Some((self.next, due)),
            }
        }
        None
    }

    /// When the last arrival of a counted schedule was due, if none is left of it.
    pub fn over(&self) -> Option<Offset> {
        (self.next >= self.limit).then_some(self.last)
    }

    /// When the next arrival is due as things stand.
    fn candidate(&mut self) -> Offset {
        if let Some(due) = self.due {
            return due;
        }
        let due = match self.stretch {
            Stretch::Still { .. } => return Offset::MAX,
            Stretch::Planned { from } => self.planned_from(from),
            Stretch::Fixed { rate, at, first } => {
                let after = match self.law {
                    Law::Constant => rate.nth(self.next - first),
                    _ => Offset::from_nanos(self.gap(rate, self.next)),
                };
                at + after.since(Offset::ZERO)
            }
        };
        self.due = Some(due);
        due
    }

    /// When the next arrival is due by the plan; what the plan has before `from` is left out.
    fn planned_from(&mut self, from: Offset) -> Offset {
        while self.next < self.limit {
            let due = self.planned_due();
            if due >= from {
                return due;
            }
            self.last = due;
            self.next += 1;
        }
        Offset::MAX
    }

    fn planned_due(&mut self) -> Offset {
        let (law, shape, seed) = (self.law, self.shape, self.seed);
        self.planned
            .due(self.next, |i| law.unit_gap(shape, seed, i))
    }

    /// Puts the next arrival, due at `due` by the old pace, to where the new one has it.
    fn turn(&mut self, due: Offset, from: Offset, pace: Pace) {
        let gaps = |span: Offset, rate: Rate| span.as_secs_f64() * rate.as_f64();
        let rest = match (self.stretch, pace) {
            (Stretch::Planned { .. }, Pace::Planned) => return,
            (Stretch::Fixed { rate, .. }, Pace::Fixed(same)) if rate == same => return,
            (Stretch::Planned { .. }, _) => self.planned.left(from),
            (Stretch::Fixed { rate, .. }, _) => {
                gaps(Offset::from_nanos(due.nanos_since(from)), rate)
            }
            (Stretch::Still { rest }, _) => rest,
        };
        self.due = None;
        self.stretch = match pace {
            Pace::Planned => Stretch::Planned { from },
            Pace::Still => Stretch::Still { rest },
            Pace::Fixed(rate) => {
                let at = from + Duration::from_secs_f64(rest / rate.as_f64());
                self.due = Some(at);
                let first = self.next;
                Stretch::Fixed { rate, at, first }
            }
        };
    }

    /// How long arrival `i` comes after the one before it, in nanoseconds (`Constant` aside).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a gap is positive and far below 2^63 ns"
    )]
    fn gap(&self, rate: Rate, i: u64) -> u64 {
        let mean = 1e9 / rate.as_f64();
        (self.law.unit_gap(self.shape, self.seed, i) * mean).round() as u64
    }
}

impl Iterator for Arrivals {
    type Item = (u64, Offset);

    fn next(&mut self) -> Option<(u64, Offset)> {
        let arrival = self.peek()?;
        if let Stretch::Fixed { at, .. } = &mut self.stretch
            && self.law != Law::Constant
        {
            *at = arrival.1;
        }
        self.due = None;
        self.last = arrival.1;
        self.next += 1;
        Some(arrival)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_precision_loss, reason = "counts of a test")]

    use proptest::prelude::*;

    use super::super::{AT_ONCE, Pacing};
    use super::*;

    fn arrivals(law: Law, rate: u32, seed: u64) -> Arrivals {
        Arrivals::new(&spec(law, rate), Seed(seed)).unwrap()
    }

    fn spec(law: Law, rate: u32) -> Spec {
        Spec {
            users: 1,
            spawn_rate: AT_ONCE,
            pacing: Pacing::Open {
                rate: Rate::per_second(rate),
                law,
            },
            run_time: Some(Duration::from_secs(100)),
            warmup: Duration::ZERO,
            measure_ramp: false,
            max_requests: None,
            ramp: None,
            spread: Duration::ZERO,
            think: None,
            burstiness: 0.7,
            enough: None,
        }
    }

    const LAWS: [Law; 4] = [Law::Constant, Law::Uniform, Law::Exponential, Law::Gamma];

    fn millis(at: u64) -> Offset {
        Offset::from_nanos(at * 1_000_000)
    }

    #[test]
    fn a_change_keeps_what_is_left_of_a_gap() {
        let mut all = arrivals(Law::Constant, 1, 0);
        all.change(millis(2_250), Some(Rate::per_second(10)));
        all.change(millis(3_000), None);
        all.change(millis(9_000), Some(Rate::per_second(2)));
        let due: Vec<u64> = all
            .take(15)
            .map(|(_, at)| at.as_nanos() / 1_000_000)
            .collect();
        // Three quarters of a gap are left at 2.25 s; at 3 s three quarters again.
        let expected = [
            0, 1_000, 2_000, 2_325, 2_425, 2_525, 2_625, 2_725, 2_825, 2_925, 9_125, 9_625, 10_125,
            10_625, 11_125,
        ];
        assert_eq!(due, expected);
    }

    proptest! {
        #[test]
        fn a_change_to_the_same_rate_changes_nothing(seed: u64, at in 0_u64..50_000) {
            for law in LAWS {
                let plain: Vec<_> = arrivals(law, 7, seed).collect();
                let mut changed = arrivals(law, 7, seed);
                changed.change(millis(at), Some(Rate::per_second(7)));
                prop_assert_eq!(plain, changed.collect::<Vec<_>>());
            }
        }

        #[test]
        fn before_a_change_nothing_moves_and_after_it_the_new_rate_holds(
            seed: u64, at in 20_000_u64..50_000, rate in 1_u32..100,
        ) {
            for law in LAWS {
                let plain: Vec<_> = arrivals(law, 20, seed).take_while(|&(_, due)| due < millis(at)).collect();
                let mut changed = arrivals(law, 20, seed);
                // It may be heard of at any time before it.
                let ahead = plain.len() / 2;
                let mut all: Vec<_> = changed.by_ref().take(ahead).collect();
                changed.peek();
                changed.change(millis(at), Some(Rate::per_second(rate)));
                all.extend(changed);
                prop_assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].1 && pair[0].0 + 1 == pair[1].0));
                let before = all.iter().take_while(|&&(_, due)| due < millis(at)).count();
                prop_assert_eq!(&plain[..], &all[..before]);
                let expected = f64::from(rate) * (100.0 - at as f64 / 1e3);
                let after = (all.len() - before) as f64;
                prop_assert!((after - expected).abs() <= 6.0 * expected.sqrt() + 3.0, "{after} against {expected}");
            }
        }
    }

    /// The milliseconds at which arrivals are due, with their numbers.
    fn due(spec: &Spec, changes: &[(u64, Pace)]) -> Vec<(u64, u64)> {
        let mut all = Arrivals::new(spec, Seed(5)).unwrap();
        for &(at, pace) in changes {
            all.change(millis(at), pace);
        }
        all.map(|(i, at)| (i, at.as_nanos() / 1_000_000)).collect()
    }

    fn stages(law: Law) -> Spec {
        let stage = |from, to, seconds| super::super::Stage {
            from,
            to,
            lasts: Duration::from_secs(seconds),
        };
        let stages = vec![
            stage(2.0, 2.0, 2),
            stage(0.0, 0.0, 3),
            stage(4.0, 0.0, 2),
            stage(0.0, 0.0, 50),
        ];
        Spec {
            pacing: Pacing::Stages { stages, law },
            ..spec(law, 1)
        }
    }

    #[test]
    fn even_stages_send_the_integral_of_each_and_nothing_where_the_rate_is_zero() {
        let all = due(&stages(Law::Constant), &[]);
        // 4 t - t² = 1, 2, 3.
        let expected = [0, 500, 1_000, 1_500, 5_000, 5_267, 5_585, 6_000];
        assert_eq!(all.iter().map(|of| of.1).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn who_joins_or_leaves_changes_nothing_of_a_plan_and_a_rate_goes_on_from_the_gap_it_falls_into()
    {
        let spec = stages(Law::Constant);
        assert_eq!(due(&spec, &[(700, Pace::Planned)]), due(&spec, &[]));
        let fixed = due(&spec, &[(750, Pace::Fixed(Rate::per_second(1)))]);
        assert_eq!(fixed[..4], [(0, 0), (1, 500), (2, 1_250), (3, 2_250)]);
    }

    #[test]
    fn what_falls_into_a_pause_of_a_plan_is_not_due_and_the_rest_keeps_its_times() {
        for law in LAWS {
            let spec = stages(law);
            let whole = due(&spec, &[]);
            let paused = due(&spec, &[(900, Pace::Still), (5_300, Pace::Planned)]);
            let kept = |&&(_, at): &&(u64, u64)| !(900..5_300).contains(&at);
            let expected: Vec<_> = whole.iter().filter(kept).copied().collect();
            assert_eq!(paused, expected, "{law:?}");
        }
    }

    #[test]
    fn bursts_and_traces_are_due_at_their_own_times() {
        let mut spec = spec(Law::Constant, 1);
        spec.users = 3;
        spec.max_requests = Some(7);
        spec.pacing = Pacing::Burst {
            every: Duration::from_millis(1_500),
        };
        let bursts = due(&spec, &[]);
        let times: Vec<u64> = bursts.iter().map(|of| of.1).collect();
        assert_eq!(times, [0, 0, 0, 1_500, 1_500, 1_500, 3_000]);
        spec.spawn_rate = Rate::per_second(2);
        let later: Vec<u64> = due(&spec, &[]).iter().map(|of| of.1 - 1_000).collect();
        assert_eq!(later, times, "the third user is there after a second");
        spec.spawn_rate = AT_ONCE;
        spec.max_requests = None;
        spec.pacing = Pacing::Trace {
            due_us: [3_000, 3_000, 900_000, 99_000_000].into(),
        };
        let trace = due(&spec, &[(500, Pace::Still), (1_000, Pace::Planned)]);
        assert_eq!(trace, [(0, 3), (1, 3), (3, 99_000)], "numbers are left out");
        let mut all = Arrivals::new(&spec, Seed(0)).unwrap();
        assert_eq!(all.by_ref().count(), 4);
        assert_eq!(all.over(), Some(millis(99_000)));
    }

    #[test]
    fn gamma_of_shape_one_is_as_spread_as_a_poisson_process_and_less_is_burstier() {
        for (shape, cv) in [(1.0, 1.0), (0.25, 2.0), (4.0, 0.5)] {
            let gaps: Vec<f64> = (0..40_000)
                .map(|i| Law::Gamma.unit_gap(shape, Seed(2), i))
                .collect();
            let mean = gaps.iter().sum::<f64>() / 40_000.0;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 40_000.0;
            assert!((mean - 1.0).abs() < 0.04, "{shape}: {mean}");
            assert!((variance.sqrt() - cv).abs() < 0.06, "{shape}: {variance}");
        }
    }

    #[test]
    fn a_ramp_of_a_rate_counts_its_window_from_its_end() {
        let mut spec = spec(Law::Constant, 100);
        spec.ramp = Some(super::super::Ramp {
            warmup: Duration::from_secs(10),
            time: Duration::from_secs(20),
            curve: super::super::Curve::Linear,
        });
        assert_eq!(spec.window_start(), millis(30_000));
        assert_eq!(spec.end_of_sending(), Some(millis(130_000)));
        let all = due(&spec, &[]);
        let before = |at| all.iter().take_while(|of| of.1 < at).count();
        assert_eq!(before(10_000), 10);
        assert_eq!(before(30_000), 10 + 1_010);
        assert_eq!(all.len(), 10 + 1_010 + 10_000);
        assert_eq!(all[1_020].1 + 10, all[1_021].1);
    }
}
