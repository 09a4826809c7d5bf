//! Where a throughput-latency curve bends, and which runs no other run beats at both.
//! Points in, places out; it draws nothing.

/// The place of the knee among `points` (throughput, latency), in order of load; `None` where the curve does not bend.
///
/// Kneedle (Satopää, Albrecht, Irwin, Raghavan: Finding a "Kneedle" in a Haystack, ICDCS Workshops 2011) for a whole curve
/// at hand: both axes are scaled to 0..1, and the knee is where the curve is furthest from the chord between its ends,
/// which is where scaled throughput − scaled latency is largest. A distance below 0.1 is no bend, and latencies that differ
/// by less than a tenth are flat.
pub fn knee(points: &[(f64, f64)]) -> Option<usize> {
    const LEAST: f64 = 0.1;
    if points.len() < 3 {
        return None;
    }
    let throughput = Scale::of(points.iter().map(|point| point.0))?;
    let latency = Scale::of(points.iter().map(|point| point.1))?;
    if latency.width < LEAST * (latency.least + latency.width) {
        return None;
    }
    let distance = |(x, y): &(f64, f64)| throughput.scaled(*x) - latency.scaled(*y);
    let (at, point) = points
        .iter()
        .enumerate()
        .max_by(|one, other| distance(one.1).total_cmp(&distance(other.1)))?;
    (distance(point) >= LEAST).then_some(at)
}

/// Which of `points` (throughput, latency) no other point beats: more throughput, or the same, at no more latency.
pub fn pareto(points: &[(f64, f64)]) -> Vec<bool> {
    let beats = |one: &(f64, f64), other: &(f64, f64)| {
        one.0 >= other.0 && one.1 <= other.1 && (one.0 > other.0 || one.1 < other.1)
    };
    points
        .iter()
        .map(|point| !points.iter().any(|other| beats(other, point)))
        .collect()
}

struct Scale {
    least: f64,
    width: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        let width = most - least;
        (width.is_finite() && width > 0.0).then_some(Self { least, width })
    }

    fn scaled(&self, value: f64) -> f64 {
        (value - self.least) / self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_knee_of_a_queue_is_before_its_latency_explodes() {
        // Capacity 10: the latency is 1 / (1 − load), and beyond capacity only latency grows.
        let curve: Vec<(f64, f64)> = [1.0, 2.0, 4.0, 6.0, 8.0, 9.0, 9.9]
            .iter()
            .map(|load| (*load, 1.0 / (1.0 - load / 10.0)))
            .collect();
        assert_eq!(knee(&curve), Some(5));
        let mut saturated = curve;
        saturated.push((9.7, 300.0));
        assert_eq!(knee(&saturated), Some(5));
    }

    #[test]
    fn a_straight_line_and_a_short_one_have_none() {
        let line: Vec<(f64, f64)> = (0..6).map(|n| (f64::from(n), f64::from(n) * 3.0)).collect();
        assert_eq!(knee(&line), None);
        assert_eq!(knee(&[(1.0, 1.0), (2.0, 9.0)]), None);
        assert_eq!(knee(&[(1.0, 5.0), (2.0, 5.0), (3.0, 5.0)]), None);
        let flat = [(10.0, 99.6), (40.0, 99.6), (83.0, 100.0)];
        assert_eq!(knee(&flat), None, "noise is no bend");
    }

    #[test]
    fn a_point_that_is_beaten_at_one_and_equal_at_the_other_is_beaten() {
        let points = [
            (1.0, 10.0),
            (2.0, 10.0),
            (2.0, 12.0),
            (3.0, 20.0),
            (0.5, 5.0),
            (3.0, 20.0),
        ];
        assert_eq!(pareto(&points), [false, true, false, true, true, true]);
    }
}
