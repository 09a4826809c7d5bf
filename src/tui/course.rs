//! How a run went up to now, as far as small charts show it: a few figures of each of its last steps, kept so that a step's
//! distributions are read once.

use std::collections::VecDeque;

use crate::domain::{Offset, Outcome};
use crate::metrics::{Metric, Series};
use crate::report::{History, Step};

/// Steps that are kept: as many as the widest chart has room for.
const KEPT: usize = 240;
/// What a rate of "now" is made of, in seconds.
const LATELY_S: f64 = 10.0;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    from: Offset,
    to: Offset,
    seconds: f64,
    sent: u64,
    pub(super) users: f64,
    pub(super) in_flight: f64,
    pub(super) waiting: f64,
    pub(super) sent_per_s: Option<f64>,
    pub(super) failed_per_s: Option<f64>,
    pub(super) tokens_per_s: Option<f64>,
    pub(super) first_token: Option<f64>,
    pub(super) per_token: Option<f64>,
    pub(super) total: Option<f64>,
    pub(super) send_delay: Option<f64>,
}

/// The last steps of a run.
#[derive(Clone, Debug, Default)]
pub struct Course {
    points: VecDeque<Point>,
    steps: usize,
}

impl Course {
    /// Takes in what is new. Reads few distributions, but when the steps' length has changed.
    pub fn follow(&mut self, history: &History) {
        let steps = history.steps();
        if steps.len() < self.steps {
            self.points.clear();
        }
        self.steps = steps.len();
        // The last step grows as long as it is the last.
        self.points.pop_back();
        let known = self.points.back().map(|point| point.to);
        let new = steps.iter().rev().take(KEPT);
        let new = new.take_while(|step| known.is_none_or(|known| step.from >= known));
        let new: Vec<_> = new.map(Point::of).collect();
        self.points.extend(new.into_iter().rev());
        while self.points.len() > KEPT {
            self.points.pop_front();
        }
    }

    pub(super) fn points(&self) -> impl DoubleEndedIterator<Item = &Point> {
        self.points.iter()
    }

    /// Requests begun a second, over about the last ten seconds.
    pub(super) fn sent_per_s(&self) -> Option<f64> {
        let (mut seconds, mut sent) = (0.0, 0);
        for point in self.points.iter().rev() {
            seconds += point.seconds;
            sent += point.sent;
            if seconds >= LATELY_S - 0.5 {
                break;
            }
        }
        (seconds > 0.0).then(|| super::figure::exact(sent) / seconds)
    }

    /// How long the last step is that is whole, in seconds.
    pub(super) fn step_s(&self) -> Option<f64> {
        let whole = self.points.len().checked_sub(2);
        whole
            .and_then(|at| self.points.get(at))
            .map(|point| point.seconds)
    }
}

impl Point {
    fn of(step: &Step) -> Self {
        let median = |metric| {
            let nanos = step.get(metric).and_then(|series| series.percentile(0.5));
            nanos.map(super::figure::exact)
        };
        let tail = |series: &Series| series.percentile(0.99).map(super::figure::exact);
        Self {
            from: step.from,
            to: step.to,
            seconds: step.seconds(),
            sent: step.counts.sent,
            users: f64::from(step.crowd.users),
            in_flight: f64::from(step.crowd.in_flight),
            waiting: f64::from(step.crowd.waiting),
            sent_per_s: step.per_s(step.counts.sent),
            failed_per_s: step.per_s(step.count(Outcome::is_failure)),
            tokens_per_s: step.per_s(step.output_tokens),
            first_token: median(Metric::TimeToFirstToken),
            per_token: median(Metric::TimePerOutputToken),
            total: median(Metric::TotalLatency),
            send_delay: step.get(Metric::SendDelay).and_then(tail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Tally;
    use crate::report::Crowd;

    fn push(history: &mut History, to_s: u64, sent: u64) {
        let mut delta = Tally::default();
        delta.counts.sent = sent;
        history.push(
            &delta,
            Offset::from_nanos(to_s * 1_000_000_000),
            Crowd::default(),
        );
    }

    fn rates(course: &Course) -> Vec<f64> {
        course
            .points()
            .filter_map(|point| point.sent_per_s)
            .collect()
    }

    #[test]
    fn a_course_follows_a_history_step_by_step() {
        let (mut history, mut course) = (History::default(), Course::default());
        assert_eq!(course.sent_per_s(), None);
        for second in 1..=3 {
            push(&mut history, second, 10 * second);
            course.follow(&history);
        }
        assert_eq!(rates(&course), [10.0, 20.0, 30.0]);
        assert_eq!(course.sent_per_s(), Some(20.0));
        // Two at once, and nothing new.
        push(&mut history, 4, 40);
        push(&mut history, 5, 50);
        course.follow(&history);
        course.follow(&history);
        assert_eq!(rates(&course), [10.0, 20.0, 30.0, 40.0, 50.0]);
        // A moment at the end is part of the last step.
        let mut delta = Tally::default();
        delta.counts.sent = 5;
        history.push(&delta, Offset::from_nanos(5_100_000_000), Crowd::default());
        course.follow(&history);
        assert_eq!(rates(&course).len(), 5);
        assert!((rates(&course)[4] - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_long_run_has_longer_steps_and_the_last_ones_are_kept() {
        let (mut history, mut course) = (History::default(), Course::default());
        for second in 1..=2_000 {
            push(&mut history, second, 7);
            course.follow(&history);
        }
        assert_eq!(course.points.len(), KEPT);
        assert_eq!(course.step_s(), Some(2.0));
        assert!(rates(&course).iter().all(|rate| (rate - 7.0).abs() < 1e-9));
        let neighbours = course.points.iter().zip(course.points.iter().skip(1));
        assert!(
            neighbours
                .into_iter()
                .all(|(one, next)| one.to == next.from)
        );
    }
}
