//! Bars of a distribution: where one ends and the next begins, evenly or by equal factors, and how many values each holds.

use super::outline::{axis, log_axis, quantity, series};
use crate::page::{Axis, Kind, Series};

/// From this factor between the largest and the smallest value on, bars are equally wide by their logarithms.
const WIDE: f64 = 30.0;
/// Fewest and most bars.
const FEWEST: f64 = 5.0;
const MOST: f64 = 60.0;

/// Values counted between edges.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bins {
    /// One more than there are counts, growing.
    pub(crate) edges: Vec<f64>,
    /// How many values are from one edge to the next.
    pub(crate) counts: Vec<u64>,
    /// The edges grow by a factor.
    pub(crate) is_log: bool,
}

impl Bins {
    /// `values`, each so many times; `None` without any. What is no number, or below 0, is left out.
    ///
    /// There are about 2 n^(1/3) bars of n values (Rice's rule).
    pub(crate) fn of(values: &[(f64, u64)]) -> Option<Self> {
        let exact = values.iter().map(|(value, count)| (*value, *value, *count));
        Self::of_ranges(&exact.collect::<Vec<_>>())
    }

    /// The same of values that are known from a lowest to a highest: a range is shared among the bars that it reaches into, so
    /// that bars narrower than ranges show no gaps that are not there.
    pub(crate) fn of_ranges(ranges: &[(f64, f64, u64)]) -> Option<Self> {
        let known: Vec<(f64, f64, u64)> = ranges
            .iter()
            .copied()
            .filter(|(low, high, count)| {
                *low >= 0.0 && high.is_finite() && low <= high && *count > 0
            })
            .collect();
        let lowest = known.iter().map(|(low, ..)| *low).reduce(f64::min)?;
        let highest = known.iter().map(|(_, high, _)| *high).reduce(f64::max)?;
        let all: u64 = known.iter().map(|(.., count)| count).sum();
        let is_log = lowest > 0.0 && highest / lowest > WIDE;
        let edges = edges(lowest, highest, quantity(all), is_log);
        let mut below: Vec<u64> = edges.iter().map(|edge| below(&known, *edge)).collect();
        // The largest value stands on the last edge.
        if let Some(last) = below.last_mut() {
            *last = all;
        }
        let counts = below.windows(2).map(|pair| pair[1] - pair[0]).collect();
        Some(Self {
            edges,
            counts,
            is_log,
        })
    }

    /// The axis below the bars.
    pub(crate) fn axis(&self, name: &str, unit: &str) -> Axis {
        let plain = if self.is_log { log_axis } else { axis };
        Axis {
            min: self.edges.first().copied(),
            max: self.edges.last().copied(),
            ..plain(name, unit)
        }
    }

    /// The bars: a point where each begins, and one where the last ends.
    pub(crate) fn bars(&self, name: &str) -> Series {
        let ends = self.counts.iter().map(|count| Some(quantity(*count)));
        let points = self.edges.iter().copied().zip(ends.chain([None]));
        series(name, Kind::Bars, points)
    }
}

/// How many values are below `edge`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between none and all of them"
)]
fn below(ranges: &[(f64, f64, u64)], edge: f64) -> u64 {
    let share = |(low, high, count): &(f64, f64, u64)| {
        let share = if high > low {
            ((edge - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            f64::from(u8::from(*low < edge))
        };
        quantity(*count) * share
    };
    ranges.iter().map(share).sum::<f64>().round() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between the fewest and the most bars"
)]
fn edges(lowest: f64, highest: f64, values: f64, is_log: bool) -> Vec<f64> {
    if lowest >= highest {
        // One value: a bar around it.
        let half = if lowest > 0.0 { lowest * 0.05 } else { 0.5 };
        return vec![(lowest - half).max(0.0), highest + half];
    }
    let bars = (2.0 * values.cbrt()).ceil().clamp(FEWEST, MOST);
    let edge = |number: u32| match number {
        0 => lowest,
        number if f64::from(number) >= bars => highest,
        number if is_log => lowest * (highest / lowest).powf(f64::from(number) / bars),
        number => lowest + (highest - lowest) * f64::from(number) / bars,
    };
    (0..=bars as u32).map(edge).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_value_is_in_one_bar_and_in_the_right_one(
            values in proptest::collection::vec((0.0..1e6_f64, 0_u64..9), 0..200),
        ) {
            let all: u64 = values.iter().map(|(_, count)| count).sum();
            let Some(bins) = Bins::of(&values) else {
                prop_assert_eq!(all, 0);
                return Ok(());
            };
            prop_assert!(bins.edges.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", bins.edges);
            prop_assert_eq!(bins.counts.iter().sum::<u64>(), all);
            let highest = *bins.edges.last().unwrap();
            for (number, count) in bins.counts.iter().enumerate() {
                let (from, to) = (bins.edges[number], bins.edges[number + 1]);
                let inside = values.iter().filter(|(value, _)| {
                    (*value >= from && *value < to) || (to >= highest && *value >= highest)
                });
                prop_assert_eq!(*count, inside.map(|(_, count)| count).sum::<u64>());
            }
        }
    }

    #[test]
    fn ranges_wider_than_bars_leave_no_gaps_and_a_zero_no_logarithms() {
        let ranges: Vec<(f64, f64, u64)> = (0..40)
            .map(|at| (f64::from(at) * 0.3, f64::from(at + 1) * 0.3, 100))
            .collect();
        let bins = Bins::of_ranges(&ranges).unwrap();
        assert!(!bins.is_log);
        assert_eq!(bins.counts.iter().sum::<u64>(), 4_000);
        let (least, most) = (bins.counts.iter().min(), bins.counts.iter().max());
        assert!(most.unwrap() - least.unwrap() <= 1, "{:?}", bins.counts);
    }

    #[test]
    fn far_spread_values_have_bars_that_grow_by_a_factor() {
        let near: Vec<(f64, u64)> = (10..20).map(|value| (f64::from(value), 1)).collect();
        assert!(!Bins::of(&near).unwrap().is_log);
        let far = Bins::of(&[(1.0, 500), (10_000.0, 1)]).unwrap();
        assert!(far.is_log);
        assert_eq!(
            (far.counts.len(), far.counts[0], far.counts[15]),
            (16, 500, 1)
        );
        assert!((far.edges[8] - 100.0).abs() < 1e-9, "{:?}", far.edges);
    }

    #[test]
    fn one_value_has_a_bar_around_it_and_none_has_none() {
        let one = Bins::of(&[(40.0, 3)]).unwrap();
        assert_eq!((one.edges, one.counts), (vec![38.0, 42.0], vec![3]));
        assert_eq!(Bins::of(&[(0.0, 2)]).unwrap().edges, [0.0, 0.5]);
        assert_eq!(Bins::of(&[(f64::NAN, 1), (-1.0, 1), (1.0, 0)]), None);
    }
}
