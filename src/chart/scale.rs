//! How far an axis of measured values reaches, so that a few far ones do not hide the rest, and how wide its bins are.

/// More than this share of the values is never left outside.
const OUTSIDE: f64 = 0.02;
/// How many widths of the middle half a value is away from it before it may be outside.
const FAR: f64 = 6.0;
/// Fewer values than this have no outliers.
const ENOUGH: usize = 8;
const FEWEST_BINS: f64 = 12.0;
const MOST_BINS: f64 = 40.0;

/// The values that an axis shows, and those beyond its upper end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// The lowest value shown, or 0 where that is near enough.
    pub(super) low: f64,
    /// The highest value shown.
    pub(super) high: f64,
    /// How many are above it.
    pub(super) beyond: usize,
    /// The highest of all.
    pub(super) most: f64,
}

impl Span {
    /// Of `values`; from 0 to 1 without any.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
            return Self {
                low: 0.0,
                high: 1.0,
                beyond: 0,
                most: 1.0,
            };
        };
        let cap = cap(&sorted);
        let inside = sorted.partition_point(|value| *value <= cap);
        let high = sorted
            .get(inside.saturating_sub(1))
            .copied()
            .unwrap_or(most);
        Self {
            low: if least >= 0.0 && (least < high * 0.5 || least >= high) {
                0.0
            } else {
                least
            },
            high,
            beyond: sorted.len() - inside,
            most,
        }
    }

    /// Both ends with a little air, for points that are not to stand on an edge; 0 stays where it is.
    pub(super) fn airy(self) -> (f64, f64) {
        let air = (self.high - self.low) * 0.06;
        if air <= 0.0 {
            return (self.low, self.low + 1.0);
        }
        let low = if self.low == 0.0 { 0.0 } else { self.low - air };
        (low, self.high + air)
    }
}

/// Above it stand the outliers: infinity where there are none. They are few, and far from the middle half of the values.
fn cap(sorted: &[f64]) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let few = index(count(sorted.len()) * OUTSIDE).max(1);
    let at = |place: usize| sorted.get(place).copied();
    let (Some(low), Some(high), Some(rest), Some(most)) = (
        at(last / 4),
        at(last * 3 / 4),
        at(last.saturating_sub(few)),
        at(last),
    ) else {
        return f64::INFINITY;
    };
    let cap = (high + FAR * (high - low)).max(rest);
    if sorted.len() >= ENOUGH && high > low && most > cap * 1.3 {
        cap
    } else {
        f64::INFINITY
    }
}

/// How many, as a place on an axis.
pub(super) fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::from(u32::MAX), f64::from)
}

/// Bins of one width, from `first` on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bins {
    pub(super) first: f64,
    pub(super) width: f64,
    /// How many values are in each.
    pub(super) counts: Vec<usize>,
}

impl Bins {
    /// The values of `span` in bins of a round width, about twice as many as the square root of their number.
    pub(super) fn of(values: &[f64], span: Span) -> Self {
        let wanted = (2.0 * count(values.len()).sqrt()).clamp(FEWEST_BINS, MOST_BINS);
        let range = if span.high > span.low {
            span.high - span.low
        } else {
            1.0
        };
        let width = round_width(range / wanted);
        let first = (span.low / width).floor() * width;
        let place = |value: f64| index((value - first) / width);
        let mut counts = vec![0; place(span.high) + 1];
        for value in values.iter().filter(|value| **value <= span.high) {
            if let Some(bin) = counts.get_mut(place(*value)) {
                *bin += 1;
            }
        }
        Self {
            first,
            width,
            counts,
        }
    }

    /// Where the bin `at` begins; that of a bin behind the last one is its end.
    pub(super) fn edge(&self, at: usize) -> f64 {
        self.first + self.width * count(at)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bin's place: not negative, and few"
)]
fn index(place: f64) -> usize {
    // An edge that rounding puts a hair too low still begins its bin.
    (place + 1e-9).max(0.0) as usize
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `width`.
fn round_width(width: f64) -> f64 {
    let power = 10_f64.powf(width.log10().floor());
    let fits = |factor: &f64| factor * power >= width * (1.0 - 1e-9);
    let factor = [1.0, 2.0, 2.5, 5.0].into_iter().find(fits);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_far_value_is_left_outside_and_counted() {
        let mut values: Vec<f64> = (0..100).map(|at| 1.0 + count(at) / 100.0).collect();
        values.push(60.0);
        let span = Span::of(values.into_iter());
        assert_eq!((span.beyond, span.most), (1, 60.0));
        assert!(span.high < 2.0, "{span:?}");
    }

    #[test]
    fn of_many_far_values_only_a_few_are_left_outside() {
        let values = (0..200).map(|at| {
            if at < 190 {
                1.0 + count(at) / 1e3
            } else {
                count(at).powi(2)
            }
        });
        let span = Span::of(values);
        assert_eq!((span.beyond, span.high), (0, 199.0_f64.powi(2)));
        let values = (0..200).map(|at| {
            if at < 190 {
                1.0 + f64::from(at) / 1e3
            } else {
                10_f64.powi(at - 188)
            }
        });
        assert_eq!(Span::of(values).beyond, 4);
    }

    #[test]
    fn two_groups_are_both_shown() {
        let values = (0..100).map(|at| {
            if at < 90 {
                1.0 + count(at) / 900.0
            } else {
                50.0
            }
        });
        let span = Span::of(values);
        assert_eq!((span.beyond, span.high), (0, 50.0));
    }

    #[test]
    fn an_axis_begins_at_zero_unless_that_is_far() {
        let low = |values: &[f64]| Span::of(values.iter().copied()).low;
        let close =
            |got: f64, want: f64| assert!((got - want).abs() < 1e-12, "{got} is not {want}");
        close(low(&[1.0, 3.0]), 0.0);
        close(low(&[48.0, 53.0]), 48.0);
        close(low(&[48.0, 48.0]), 0.0);
        close(Span::of(std::iter::empty()).high, 1.0);
    }

    #[test]
    fn widths_are_round() {
        for (width, want) in [
            (0.013, 0.02),
            (2.1, 2.5),
            (0.5, 0.5),
            (6.0, 10.0),
            (0.001, 0.001),
        ] {
            assert!((round_width(width) / want - 1.0).abs() < 1e-9, "{width}");
        }
    }

    proptest! {
        #[test]
        fn every_value_is_in_a_bin_or_beyond(values in prop::collection::vec(0.0..1e6_f64, 1..300)) {
            let span = Span::of(values.iter().copied());
            let bins = Bins::of(&values, span);
            prop_assert_eq!(bins.counts.iter().sum::<usize>() + span.beyond, values.len());
            prop_assert!(bins.counts.len() <= 100, "{} bins", bins.counts.len());
            prop_assert!(bins.edge(bins.counts.len()) > span.high * (1.0 - 1e-6));
        }

        #[test]
        fn equal_values_have_bins_too(value in 0.0..1e6_f64, n in 1_usize..50) {
            let values = vec![value; n];
            let bins = Bins::of(&values, Span::of(values.iter().copied()));
            prop_assert_eq!(bins.counts.iter().sum::<usize>(), n);
        }
    }
}
