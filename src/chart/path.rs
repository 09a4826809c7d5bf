//! The pixels of a curve: thinned out, stepped, and cut into dashes. It draws nothing.

/// A place in pixels.
pub(super) type Pixel = (i32, i32);

/// Pixels of ink and of paper of a dashed line.
const INK: f64 = 14.0;
const PAPER: f64 = 9.0;

/// The same picture from fewer points: of those next to each other in one column of pixels the first, the lowest, the highest
/// and the last stay.
pub(super) fn thin(points: &[Pixel]) -> Vec<Pixel> {
    let mut kept = Vec::new();
    for column in points.chunk_by(|one, other| one.0 == other.0) {
        let mut places = [0, 0, 0, column.len() - 1];
        for (place, point) in column.iter().enumerate() {
            let beats = |of: usize| column.get(of).map_or(0, |best: &Pixel| point.1 - best.1);
            if beats(places[1]) < 0 {
                places[1] = place;
            }
            if beats(places[2]) > 0 {
                places[2] = place;
            }
        }
        places.sort_unstable();
        let mut last = None;
        for place in places {
            let point = column.get(place).copied();
            if point != last {
                kept.extend(point);
            }
            last = point;
        }
    }
    kept
}

/// The corners of a line on which each value holds until the next point.
pub(super) fn steps(points: &[Pixel]) -> Vec<Pixel> {
    let mut path = Vec::with_capacity(points.len() * 2);
    let mut height = None;
    for point in points {
        path.extend(height.filter(|y| *y != point.1).map(|y: i32| (point.0, y)));
        path.push(*point);
        height = Some(point.1);
    }
    path
}

/// How long the line through `points` is.
pub(super) fn length(points: &[Pixel]) -> f64 {
    points.windows(2).map(span).sum()
}

fn span(ends: &[Pixel]) -> f64 {
    match ends {
        [one, other] => f64::hypot(f64::from(other.0 - one.0), f64::from(other.1 - one.1)),
        _ => 0.0,
    }
}

/// The dashes of a line through `points`: they go round its corners.
pub(super) fn dashes(points: &[Pixel]) -> Vec<Vec<Pixel>> {
    let mut dashes = Vec::new();
    let mut dash: Vec<Pixel> = points.first().copied().into_iter().collect();
    let (mut is_ink, mut left) = (true, INK);
    for ends in points.windows(2) {
        let [from, to] = ends else { continue };
        let whole = span(ends);
        let mut done = 0.0;
        while whole - done > left {
            done += left;
            let cut = between(*from, *to, done / whole);
            if is_ink {
                dash.push(cut);
                dashes.push(std::mem::take(&mut dash));
            } else {
                dash = vec![cut];
            }
            is_ink = !is_ink;
            left = if is_ink { INK } else { PAPER };
        }
        left -= whole - done;
        if is_ink {
            dash.push(*to);
        }
    }
    if is_ink && dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}

fn between(from: Pixel, to: Pixel, share: f64) -> Pixel {
    let part = |from: i32, to: i32| whole(f64::from(from) + f64::from(to - from) * share);
    (part(from.0, to.0), part(from.1, to.1))
}

/// The pixel nearest to a place.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from f64 saturates, and pictures are smaller than i32"
)]
pub(super) fn whole(pixels: f64) -> i32 {
    pixels.round() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_column_of_pixels_keeps_its_ends_and_extremes() {
        let points = [
            (5, 10),
            (5, 30),
            (5, 2),
            (5, 12),
            (5, 11),
            (6, 1),
            (6, 1),
            (6, 1),
        ];
        assert_eq!(thin(&points), [(5, 10), (5, 30), (5, 2), (5, 11), (6, 1)]);
        assert_eq!(thin(&[]), []);
    }

    #[test]
    fn a_step_holds_its_value_until_the_next_point() {
        assert_eq!(
            steps(&[(0, 5), (10, 5), (20, 9)]),
            [(0, 5), (10, 5), (20, 5), (20, 9)]
        );
    }

    #[test]
    fn dashes_go_round_corners() {
        let cut = dashes(&[(0, 0), (10, 0), (10, 20)]);
        assert_eq!(
            cut,
            [vec![(0, 0), (10, 0), (10, 4)], vec![(10, 13), (10, 20)]]
        );
    }

    proptest! {
        #[test]
        fn thinning_keeps_each_columns_range(heights in prop::collection::vec((0..40_i32, 0..500_i32), 1..400)) {
            let mut points = heights;
            points.sort_by_key(|point| point.0);
            let kept = thin(&points);
            for x in 0..40 {
                let range = |points: &[Pixel]| {
                    let column = points.iter().filter(|point| point.0 == x).map(|point| point.1);
                    (column.clone().min(), column.max())
                };
                prop_assert_eq!(range(&kept), range(&points));
                prop_assert!(kept.iter().filter(|point| point.0 == x).count() <= 4);
            }
            prop_assert_eq!(kept.first(), points.first());
            prop_assert_eq!(kept.last(), points.last());
        }

        #[test]
        fn dashes_cover_their_share_of_the_line(
            points in prop::collection::vec((0..900_i32, 0..500_i32), 2..60),
        ) {
            let whole = length(&points);
            let ink: f64 = dashes(&points).iter().map(|dash| length(dash)).sum();
            let wanted = whole * INK / (INK + PAPER);
            let slack = INK + whole / 20.0 * 2.0;
            prop_assert!((ink - wanted).abs() <= slack, "{ink} of {whole}");
        }
    }
}
