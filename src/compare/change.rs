//! How one entry differs from another, with the interval of the difference where responses or runs allow one, and the words
//! why there is none where they do not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::bootstrap::{Interval, Resampling, fewest};
use super::law::student_quantile;
use super::proportion::newcombe;
use super::stats::{self, count};
use super::{Entry, Figure, Rate, Stat};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A statistic of a figure of each response.
    Figure(Figure, Stat),
    /// A figure of a run.
    Rate(Rate),
    /// The share of failed requests.
    ErrorRate,
}

impl Subject {
    /// Its name in sentences: `mean time to first token`.
    pub fn name(self) -> String {
        match self {
            Self::Figure(figure, stat) => {
                format!("{} {}", stat.name(), figure.name().to_lowercase())
            }
            Self::Rate(rate) => rate.name().to_lowercase(),
            Self::ErrorRate => "error rate".to_owned(),
        }
    }

    /// Whether less of it is better; `None` where neither is.
    pub const fn less_is_better(self) -> Option<bool> {
        match self {
            Self::Figure(figure, _) => figure.less_is_better(),
            Self::Rate(_) => Some(false),
            Self::ErrorRate => Some(true),
        }
    }

    /// Its value of an entry.
    pub fn of(self, entry: &Entry) -> Option<f64> {
        match self {
            Self::Figure(figure, stat) => entry.stat(figure, stat),
            Self::Rate(rate) => entry.rate(rate),
            Self::ErrorRate => entry.failures().map(|(failed, of)| share(failed, of)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no run has that many requests")]
fn share(failed: u64, of: u64) -> f64 {
    failed as f64 / of as f64
}

/// What is known of a difference beside itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// Where it may lie.
    Intervals {
        /// In the figure's unit.
        absolute: Interval,
        /// As a share of the first value; none where that is 0.
        relative: Option<Interval>,
        /// Whether the spread from run to run is in it.
        of_runs: bool,
    },
    /// A side has its summary alone: the individual responses are needed.
    NoAnswers,
    /// A side has fewer responses than this statistic needs.
    TooFew(usize),
    /// It is a figure of a whole run, and a side has one run.
    OneRun,
}

/// A difference: the second value against the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The first value.
    pub from: f64,
    /// The second value.
    pub to: f64,
    /// What is known of their difference.
    pub known: Known,
}

impl Change {
    /// The difference in the figure's unit.
    pub fn absolute(&self) -> f64 {
        self.to - self.from
    }

    /// The difference as a share of the first value; none where that is 0.
    pub fn relative(&self) -> Option<f64> {
        (self.from.abs() > 0.0).then(|| self.absolute() / self.from)
    }

    /// Whether the difference is beyond chance: its interval does not hold 0. `None` without an interval.
    pub fn is_significant(&self) -> Option<bool> {
        match self.known {
            Known::Intervals {
                absolute, relative, ..
            } => Some(!relative.unwrap_or(absolute).holds(0.0)),
            _ => None,
        }
    }
}

/// One side of a comparison, by its number among the entries.
pub type Side = usize;

type Key = (Side, Figure, Stat, bool);

/// Entries that are compared with each other.
pub(super) struct Comparison<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) resampling: Resampling,
    drawn: RefCell<BTreeMap<Key, Rc<Vec<f64>>>>,
}

impl<'a> Comparison<'a> {
    pub(super) const fn new(entries: &'a [Entry], resampling: Resampling) -> Self {
        Self {
            entries,
            resampling,
            drawn: RefCell::new(BTreeMap::new()),
        }
    }

    /// How `subject` differs from one entry to another; none where a side does not know it.
    pub(super) fn change(&self, from: Side, to: Side, subject: Subject) -> Option<Change> {
        let sides = (self.entries.get(from)?, self.entries.get(to)?);
        let (first, second) = (subject.of(sides.0)?, subject.of(sides.1)?);
        let known = match subject {
            Subject::Figure(figure, stat) => self.of_answers((from, to), sides, (figure, stat)),
            Subject::Rate(rate) => self.of_runs(&sides.0.rates(rate), &sides.1.rates(rate)),
            Subject::ErrorRate => self.of_failures(sides),
        };
        Some(Change {
            from: first,
            to: second,
            known: known.unwrap_or(Known::NoAnswers),
        })
    }

    /// The interval of one entry's statistic, by its responses alone.
    pub(super) fn interval(&self, side: Side, figure: Figure, stat: Stat) -> Option<Interval> {
        let lists = self.entries.get(side)?.answers(figure)?;
        let size: usize = lists.iter().map(|list| list.len()).sum();
        if size < fewest(stat) {
            return None;
        }
        let drawn = self.drawn((side, figure, stat, false), &lists);
        self.resampling.interval(drawn.to_vec(), size)
    }

    fn drawn(&self, key: Key, lists: &[&[f64]]) -> Rc<Vec<f64>> {
        let (side, figure, stat, by_runs) = key;
        let known = self.drawn.borrow().get(&key).map(Rc::clone);
        known.unwrap_or_else(|| {
            let place = u64::try_from(side).unwrap_or(u64::MAX);
            let fresh = self
                .resampling
                .replicates(lists, (figure, stat), by_runs, place);
            let fresh = Rc::new(fresh);
            self.drawn.borrow_mut().insert(key, Rc::clone(&fresh));
            fresh
        })
    }

    fn of_answers(
        &self,
        (from, to): (Side, Side),
        (one, other): (&Entry, &Entry),
        (figure, stat): (Figure, Stat),
    ) -> Option<Known> {
        let lists = (one.answers(figure)?, other.answers(figure)?);
        let size = |lists: &[&[f64]]| lists.iter().map(|list| list.len()).sum::<usize>();
        let fewest_there = size(&lists.0).min(size(&lists.1));
        if fewest_there < fewest(stat) {
            return Some(Known::TooFew(fewest(stat)));
        }
        let runs = (lists.0.len(), lists.1.len());
        let by_runs = runs.0 > 1 && runs.1 > 1;
        let first = self.drawn((from, figure, stat, by_runs), &lists.0);
        let second = self.drawn((to, figure, stat, by_runs), &lists.1);
        let both = || first.iter().zip(second.iter());
        let differences: Vec<f64> = both().map(|(one, other)| other - one).collect();
        let value = (one.stat(figure, stat)?, other.stat(figure, stat)?);
        let settings = self.resampling;
        let (absolute, relative) = if by_runs {
            let ratios: Vec<f64> = both().map(|(one, other)| other / one).collect();
            (
                settings.interval_by_runs(differences, value.1 - value.0, runs),
                settings.interval_of_ratios_by_runs(&ratios, value.1 / value.0, runs),
            )
        } else {
            let shares: Vec<f64> = both().map(|(one, other)| other / one - 1.0).collect();
            let is_finite = shares.iter().all(|share| share.is_finite());
            let relative = settings.interval(shares, fewest_there);
            (
                settings.interval(differences, fewest_there),
                relative.filter(|_| is_finite),
            )
        };
        Some(Known::Intervals {
            absolute: absolute?,
            relative,
            of_runs: by_runs,
        })
    }

    /// Welch's interval over the runs, of the values and, for the ratio, of their logarithms.
    fn of_runs(&self, first: &[f64], second: &[f64]) -> Option<Known> {
        if first.len() < 2 || second.len() < 2 {
            return Some(Known::OneRun);
        }
        let upper = self.resampling.upper();
        let logarithms = |values: &[f64]| -> Vec<f64> { values.iter().map(|it| it.ln()).collect() };
        let ratio = welch(&logarithms(first), &logarithms(second), upper);
        let ratio = ratio.filter(|it| it.low.is_finite() && it.high.is_finite());
        Some(Known::Intervals {
            absolute: welch(first, second, upper)?,
            relative: ratio.map(Interval::of_shares),
            of_runs: true,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "no run has that many requests")]
    fn of_failures(&self, (one, other): (&Entry, &Entry)) -> Option<Known> {
        let floats = |(failed, of): (u64, u64)| (failed as f64, of as f64);
        let sides = (floats(one.failures()?), floats(other.failures()?));
        Some(Known::Intervals {
            absolute: newcombe(sides.0, sides.1, self.resampling.confidence),
            relative: None,
            of_runs: false,
        })
    }
}

/// The interval of the second mean minus the first (Welch, 1947).
fn welch(first: &[f64], second: &[f64], upper: f64) -> Option<Interval> {
    let part = |values: &[f64]| {
        let variance = stats::deviation(values)?.powi(2) / count(values.len());
        Some((stats::mean(values)?, variance, count(values.len()) - 1.0))
    };
    let (one, other) = (part(first)?, part(second)?);
    let variance = one.1 + other.1;
    let freedom = variance.powi(2) / (one.1.powi(2) / one.2 + other.1.powi(2) / other.2);
    // Runs that do not differ at all leave nothing to divide by.
    let df = if freedom.is_finite() { freedom } else { 1.0 };
    let half = student_quantile(upper, df) * variance.sqrt();
    let change = other.0 - one.0;
    Some(Interval {
        low: change - half,
        high: change + half,
    })
}
