//! Shares of failed requests: the interval of one, and of the difference of two. It counts nothing.

use super::bootstrap::Interval;
use super::law::normal_quantile;

/// Wilson's score interval of `hits` of `of` (Wilson, 1927).
pub(super) fn wilson(hits: f64, of: f64, confidence: f64) -> Interval {
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    let share = hits / of;
    let middle = (share + z * z / (2.0 * of)) / (1.0 + z * z / of);
    let spread = share * (1.0 - share) / of + z * z / (4.0 * of * of);
    let half = z * spread.sqrt() / (1.0 + z * z / of);
    Interval {
        low: (middle - half).max(0.0),
        high: (middle + half).min(1.0),
    }
}

/// The interval of the second share minus the first: Newcombe's hybrid score interval (Newcombe, 1998, method 10).
pub(super) fn newcombe(first: (f64, f64), second: (f64, f64), confidence: f64) -> Interval {
    let [one, other] = [first, second].map(|(hits, of)| (hits / of, wilson(hits, of, confidence)));
    let change = other.0 - one.0;
    let below = (other.0 - other.1.low).hypot(one.1.high - one.0);
    let above = (other.1.high - other.0).hypot(one.0 - one.1.low);
    Interval {
        low: change - below,
        high: change + above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(interval: Interval, low: f64, high: f64) {
        let near = |one: f64, other: f64| (one - other).abs() < 5e-5;
        assert!(
            near(interval.low, low) && near(interval.high, high),
            "{interval:?}"
        );
    }

    #[test]
    fn intervals_are_those_of_newcombes_paper() {
        is(wilson(81.0, 263.0, 0.95), 0.2553, 0.3662);
        is(wilson(0.0, 20.0, 0.95), 0.0, 0.1611);
        is(newcombe((48.0, 80.0), (56.0, 70.0), 0.95), 0.0524, 0.3339);
        is(newcombe((0.0, 10.0), (0.0, 10.0), 0.95), -0.2775, 0.2775);
    }
}
