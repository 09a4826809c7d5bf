//! The search for the highest load that a server carries: doubling until a load fails, then halving the gap.
//! It is a value: what to run next is a function of what was judged so far. It runs nothing and judges nothing.
//!
//! - A load is **decided** by the majority of its runs, and run again until a majority is certain: of three repeats two
//!   that agree are enough. A tie of an even number counts as failed.
//! - While nothing has failed the load is doubled; then the middle between the highest load that was met and the
//!   lowest that failed is next, until they are closer than the precision.
//! - Both ends are then run to the full number of repeats.
//! - The **interval** reaches from the highest load up to which every single run met, to the lowest load from which on
//!   every single run failed: without noise the two ends, with noise wider.
//! - A load that failed for the generator's sake ends the search: nothing is known about the server beyond.

use serde::{Deserialize, Serialize};

use super::{Judgement, Limit};

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// The highest rate of an open loop, in requests per second.
    MaxQps,
    /// The most users of a closed loop.
    MaxUsers,
}

impl Goal {
    /// The unit of its loads.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::MaxQps => "requests/s",
            Self::MaxUsers => "users",
        }
    }

    /// The option of `run` that sets it.
    pub const fn option(self) -> &'static str {
        match self {
            Self::MaxQps => "qps",
            Self::MaxUsers => "users",
        }
    }
}

/// What to search, and how closely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchSpec {
    /// What is searched.
    pub goal: Goal,
    /// The smallest load, and the first.
    pub from: f64,
    /// The largest load.
    pub to: Option<f64>,
    /// Most runs of one load; at least 1.
    pub repeats: u32,
    /// How close the two ends must be, relative to the lower one.
    pub precision: f64,
}

/// One run to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Requests per second, or users.
    pub load: f64,
    /// Which run of this load, from 0.
    pub repeat: u32,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make this run, and note what came of it.
    Run(Trial),
    /// The search is over.
    Done(Found),
}

/// A load that was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Requests per second, or users.
    pub load: f64,
    /// What came of each run.
    pub runs: Vec<Judgement>,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "limit")]
pub enum Outcome {
    /// The maximum is below what this limits.
    Limited(Limit),
    /// The largest load allowed was met: the maximum may be higher.
    AtTheTop,
    /// The smallest load failed already.
    NotEvenTheSmallest(Limit),
    /// It was ended before its time.
    Unfinished,
}

/// The end of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The highest load that the majority of its runs met.
    pub maximum: Option<f64>,
    /// The highest load up to which every run met.
    pub low: Option<f64>,
    /// The lowest load from which on every run failed; `None` where that is not known.
    pub high: Option<f64>,
    /// How it ended.
    pub outcome: Outcome,
    /// Every load that was run, the smallest first.
    pub points: Vec<Point>,
}

/// A search under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    spec: SearchSpec,
    /// By load.
    points: Vec<Point>,
}

impl Point {
    /// Whether the load was met, once that is certain.
    fn decided(&self, repeats: u32) -> Option<bool> {
        let repeats = usize::try_from(repeats.max(1)).unwrap_or(usize::MAX);
        let met = self.met();
        let failed = self.runs.len() - met;
        if met * 2 > repeats {
            Some(true)
        } else {
            // Half of an even number is a tie, and a tie has failed.
            (failed * 2 >= repeats).then_some(false)
        }
    }

    fn met(&self) -> usize {
        self.runs.iter().filter(|run| run.is_met()).count()
    }

    /// What limited most of the runs that failed; the first of equals.
    fn limit(&self) -> Option<Limit> {
        let limits: Vec<&Limit> = self
            .runs
            .iter()
            .filter_map(|run| match run {
                Judgement::Failed(limit) => Some(limit),
                Judgement::Met => None,
            })
            .collect();
        let like = |limit: &Limit| {
            let same = limits.iter().filter(|other| other.name() == limit.name());
            same.count()
        };
        // `max_by_key` gives the last of equals.
        let most = limits.iter().rev().max_by_key(|limit| like(limit));
        most.map(|limit| (*limit).clone())
    }
}

impl Search {
    /// A search of which nothing is known yet.
    pub const fn new(spec: SearchSpec) -> Self {
        Self {
            spec,
            points: Vec::new(),
        }
    }

    /// Every load that was run, the smallest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// What to do next.
    pub fn next(&self) -> Step {
        let (lower, upper) = self.ends();
        let candidate = match (lower, upper) {
            (None, None) => Some(self.spec.from),
            (Some(lower), None) => self.doubled(lower.load),
            (Some(lower), Some(upper)) if !is_generators(upper) => {
                self.middle(lower.load, upper.load)
            }
            (_, Some(_)) => None,
        };
        if let Some(load) = candidate {
            return Step::Run(self.trial(load));
        }
        let ends = [lower, upper].into_iter().flatten();
        let mut to_confirm = ends.filter(|point| !self.is_full(point));
        match to_confirm.next() {
            Some(point) => Step::Run(self.trial(point.load)),
            None => Step::Done(self.found(self.outcome())),
        }
    }

    /// Takes note of what came of a run.
    pub fn note(&mut self, trial: Trial, judgement: Judgement) {
        let at = self
            .points
            .partition_point(|point| point.load.total_cmp(&trial.load).is_lt());
        let is_known = self
            .points
            .get(at)
            .is_some_and(|point| point.load.total_cmp(&trial.load).is_eq());
        if !is_known {
            let (load, runs) = (trial.load, Vec::new());
            self.points.insert(at, Point { load, runs });
        }
        if let Some(point) = self.points.get_mut(at) {
            point.runs.push(judgement);
        }
    }

    /// What is known so far, for a search that is ended before its time.
    pub fn so_far(&self) -> Found {
        self.found(Outcome::Unfinished)
    }

    /// The highest load that was met below all that failed, and the lowest that failed.
    fn ends(&self) -> (Option<&Point>, Option<&Point>) {
        let decided =
            |wanted| move |point: &&Point| point.decided(self.spec.repeats) == Some(wanted);
        let upper = self.points.iter().find(decided(false));
        let below = |point: &&Point| upper.is_none_or(|upper| point.load < upper.load);
        let mut met = self.points.iter().filter(decided(true));
        (met.rfind(below), upper)
    }

    fn trial(&self, load: f64) -> Trial {
        let same = |point: &&Point| point.load.total_cmp(&load).is_eq();
        let point = self.points.iter().find(same);
        let runs = point.map_or(0, |point| point.runs.len());
        Trial {
            load,
            repeat: u32::try_from(runs).unwrap_or(u32::MAX),
        }
    }

    fn is_full(&self, point: &Point) -> bool {
        u32::try_from(point.runs.len()).is_ok_and(|runs| runs >= self.spec.repeats.max(1))
    }

    fn doubled(&self, load: f64) -> Option<f64> {
        let next = self.round(load * 2.0);
        match self.spec.to {
            Some(to) if load >= to => None,
            Some(to) => Some(next.min(to)),
            None => Some(next),
        }
    }

    /// The middle, unless the ends are close enough.
    fn middle(&self, lower: f64, upper: f64) -> Option<f64> {
        let close = (upper - lower) <= self.spec.precision * lower;
        let middle = self.round(f64::midpoint(lower, upper));
        (!close && middle > lower && middle < upper).then_some(middle)
    }

    /// Whole users, or a rate of four digits, that can be read and typed again.
    fn round(&self, load: f64) -> f64 {
        match self.spec.goal {
            Goal::MaxUsers => load.floor(),
            Goal::MaxQps => format!("{load:.3e}").parse().unwrap_or(load),
        }
    }

    fn outcome(&self) -> Outcome {
        let (lower, upper) = self.ends();
        let limit = upper.and_then(Point::limit);
        match (lower, limit) {
            (Some(_), Some(limit)) => Outcome::Limited(limit),
            (None, Some(limit)) => Outcome::NotEvenTheSmallest(limit),
            (_, None) => Outcome::AtTheTop,
        }
    }

    fn found(&self, outcome: Outcome) -> Found {
        let all_met = |point: &&Point| point.met() == point.runs.len();
        let none_met = |point: &&Point| point.met() == 0 && !is_generators(point);
        let low = self.points.iter().take_while(all_met).last();
        let high = self.points.iter().rev().take_while(none_met).last();
        Found {
            maximum: self.ends().0.map(|point| point.load),
            low: low.map(|point| point.load),
            high: high.map(|point| point.load),
            outcome,
            points: self.points.clone(),
        }
    }
}

fn is_generators(point: &Point) -> bool {
    matches!(point.limit(), Some(Limit::Generator(_)))
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
