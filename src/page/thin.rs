//! Fewer points of a series that has too many to draw, such that no high, no low and no gap is lost. It changes no value.

use super::Point;

/// How many points a stretch keeps at most: the first, a gap, and the four that lie furthest out.
const KEPT: usize = 6;

/// At most `at_most` (100 or more) of the points, in their order.
pub(super) fn thinned(points: Vec<Point>, at_most: usize) -> Vec<Point> {
    if points.len() <= at_most {
        return points;
    }
    let stretches = ((at_most - 1) / KEPT).max(1);
    let length = points.len().div_ceil(stretches);
    let mut kept: Vec<Point> = points.chunks(length).flat_map(outermost).collect();
    let last = points.len() - 1;
    if !outermost_of(&points[last / length * length..]).contains(&(last % length)) {
        kept.push(points[last]);
    }
    kept
}

fn outermost(stretch: &[Point]) -> Vec<Point> {
    let places = outermost_of(stretch);
    places.into_iter().map(|at| stretch[at]).collect()
}

fn outermost_of(stretch: &[Point]) -> Vec<usize> {
    let mut kept = vec![0];
    kept.extend(stretch.iter().position(|point| point.y.is_none()));
    kept.extend(highest(stretch, |point| point.y));
    kept.extend(highest(stretch, |point| point.y.map(|y| -y)));
    kept.extend(highest(stretch, |point| point.spread.map(|(_, to)| to)));
    kept.extend(highest(stretch, |point| {
        point.spread.map(|(from, _)| -from)
    }));
    kept.sort_unstable();
    kept.dedup();
    kept
}

fn highest(stretch: &[Point], value: impl Fn(&Point) -> Option<f64>) -> Option<usize> {
    let with_value = stretch
        .iter()
        .enumerate()
        .filter_map(|(at, point)| Some((at, value(point)?)));
    with_value
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points() -> impl Strategy<Value = Vec<Point>> {
        let value = prop_oneof![9 => (-1e3..1e3).prop_map(Some), 1 => Just(None)];
        prop::collection::vec(value, 0..2_000).prop_map(|values| {
            let numbered = (0_u32..).zip(values);
            numbered
                .map(|(at, y)| Point {
                    x: f64::from(at),
                    y,
                    spread: y.map(|y| (y - 1.0, y + 1.0)),
                })
                .collect()
        })
    }

    fn ends(points: &[Point]) -> (Option<Point>, Option<Point>) {
        let by_y = |one: &&Point, other: &&Point| one.y.partial_cmp(&other.y).unwrap();
        let with_value = || points.iter().filter(|point| point.y.is_some());
        (
            with_value().min_by(by_y).copied(),
            with_value().max_by(by_y).copied(),
        )
    }

    proptest! {
        #[test]
        fn what_is_left_keeps_order_ends_highs_and_lows(points in points()) {
            let fewer = thinned(points.clone(), 300);
            prop_assert!(fewer.len() <= 300);
            prop_assert!(fewer.is_sorted_by(|one, other| one.x < other.x));
            prop_assert_eq!(fewer.first(), points.first());
            prop_assert_eq!(fewer.last(), points.last());
            let ((low, high), (was_low, was_high)) = (ends(&fewer), ends(&points));
            prop_assert_eq!(low.map(|p| p.y), was_low.map(|p| p.y));
            prop_assert_eq!(high.map(|p| p.y), was_high.map(|p| p.y));
            prop_assert_eq!(fewer.iter().any(|p| p.y.is_none()), points.iter().any(|p| p.y.is_none()));
        }

        #[test]
        fn few_points_are_left_alone(points in points()) {
            prop_assert_eq!(thinned(points.clone(), 2_000), points);
        }
    }
}
