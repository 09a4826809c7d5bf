//! How fast prompts are read: the time to the first token against the prompt's length, and the line through it.

use crate::serving::stats::{Line, quantity};
use crate::serving::{Bench, Query};

use super::kept::Kept;

/// Points that are further off the first line, as a share of their own time, are left out of the second.
const FAR: f64 = 0.05;

/// The prompt ingestion of a suite.
pub(super) struct Ingestion {
    /// (prompt tokens, seconds to the first token) of the points that the line is drawn through.
    pub(super) points: Vec<(f64, f64)>,
    /// Those that were too far off.
    pub(super) dropped: Vec<(f64, f64)>,
    pub(super) line: Line,
}

impl Ingestion {
    /// Of all repetitions together. None where no line goes through their points: then that is told.
    pub(super) fn of(kept: &mut Kept<'_>) -> Option<Self> {
        let points: Vec<(f64, f64)> = kept
            .files
            .iter()
            .filter(|(bench, _)| matches!(bench, Bench::PromptIngestion { .. }))
            .flat_map(|(_, raw)| raw.individual_query.iter().flatten())
            .filter_map(point)
            .collect();
        let found = Self::through(points);
        if found.is_none() {
            kept.lacks("no graph of the prompt ingestion: it needs answers to prompts of at least two lengths");
        }
        found
    }

    /// The first line goes through all points, the second through those that are near it; where too few are, the first remains.
    fn through(points: Vec<(f64, f64)>) -> Option<Self> {
        let first = Line::through(&points)?;
        let is_near = |&(x, y): &(f64, f64)| (first.at(x) - y).abs() / y < FAR;
        let (near, far) = points
            .iter()
            .partition::<Vec<(f64, f64)>, _>(|point| is_near(point));
        Some(match Line::through(&near) {
            Some(line) => Self {
                points: near,
                dropped: far,
                line,
            },
            None => Self {
                points,
                dropped: Vec::new(),
                line: first,
            },
        })
    }

    /// Prompt tokens a second; none where longer prompts did not take longer, which no reading does.
    pub(super) fn speed(&self) -> Option<f64> {
        let speed = 1.0 / self.line.slope;
        (self.line.slope > 0.0 && speed.is_finite()).then_some(speed)
    }

    /// What an answer takes beside the reading, in seconds.
    pub(super) const fn rest_s(&self) -> f64 {
        self.line.intercept
    }
}

/// A query without a token, or whose prompt nobody counted, has no place.
fn point(query: &Query) -> Option<(f64, f64)> {
    let place = (quantity(query.prompt_length), query.time_to_first_token);
    (place.0 > 0.0 && place.1 > 0.0).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_far_off_does_not_bend_the_line() {
        let mut points: Vec<(f64, f64)> = (1..=100)
            .map(|n| (f64::from(n) * 10.0, 1.0 + f64::from(n) * 10.0 / 4000.0))
            .collect();
        points[50].1 = 1.9;
        let found = Ingestion::through(points).unwrap();
        assert_eq!(found.dropped, [(510.0, 1.9)]);
        assert!((found.speed().unwrap() - 4000.0).abs() < 1e-6);
        assert!((found.rest_s() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_no_line_goes_through_breaks_nothing() {
        assert!(Ingestion::through(Vec::new()).is_none());
        assert!(Ingestion::through(vec![(5.0, 1.0), (5.0, 2.0)]).is_none());
        let falling = Ingestion::through(vec![(1.0, 2.0), (2.0, 1.0)]).unwrap();
        assert_eq!(falling.speed(), None);
        let flat = Ingestion::through(vec![(1.0, 2.0), (2.0, 2.0)]).unwrap();
        assert_eq!(flat.speed(), None);
        // No point is within 5% of the first line: it remains.
        let wild =
            Ingestion::through(vec![(1.0, 1.0), (2.0, 9.0), (3.0, 1.0), (4.0, 9.0)]).unwrap();
        assert_eq!((wild.points.len(), wild.dropped.len()), (4, 0));
    }
}
