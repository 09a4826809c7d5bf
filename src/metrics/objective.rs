//! Objectives (`--slo`): which of them one request meets, and what a run's figures say of each.
//! What follows from one that is not met is decided elsewhere.

use super::fold::{first_token, time_per_output_token, tokens_by_event};
use super::{Keeping, Metric, Phase, Series, Summary};
use crate::domain::{Record, Slo, SloFigure};

/// Most objectives that a tally can have.
pub const MAX_OBJECTIVES: usize = 1_000;

/// What folding a request needs to know of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// What a good request is.
    pub slos: Vec<Slo>,
    /// A first token is the first that is no reasoning, where there is one.
    pub first_visible: bool,
    /// Vectors are embeddings: there is a latency of each.
    pub embeddings: bool,
    /// What is kept of each answer by itself, if anything.
    pub answers: Option<Keeping>,
}

/// An objective, held against a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// What was wanted.
    pub slo: Slo,
    /// What came of it; `None` where nothing was measured that it could be held against.
    pub measured: Option<Measured>,
}

/// What an objective was held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured {
    /// The percentile of a distribution.
    Percentile {
        /// Of which.
        metric: Metric,
        /// The value, in nanoseconds, to 0.1%.
        nanos: u64,
        /// Whether there were enough values for it to mean something.
        is_supported: bool,
    },
    /// Each request for itself.
    Requests {
        /// Good requests below the limit.
        met: u64,
        /// Requests, failed ones too.
        of: u64,
    },
}

impl Objective {
    /// Whether the run met it: the percentile is below the limit, or every request was, and none failed. `None` where
    /// nothing was measured.
    pub const fn is_met(&self) -> Option<bool> {
        match self.measured {
            None => None,
            Some(Measured::Percentile { nanos, .. }) => Some(nanos < self.slo.limit_ns),
            Some(Measured::Requests { met, of }) => Some(met == of),
        }
    }
}

impl Summary {
    /// What became of each of the run's objectives, in their order: `slos` are those that its requests were folded by.
    pub fn objectives(&self, slos: &[Slo]) -> Vec<Objective> {
        let each = slos.iter().enumerate();
        each.map(|(at, &slo)| Objective {
            slo,
            measured: match slo.quantile {
                Some(quantile) => self.percentile_of(slo.figure, quantile),
                None => self.share_of(at),
            },
        })
        .collect()
    }

    fn percentile_of(&self, figure: SloFigure, quantile: f64) -> Option<Measured> {
        let (metric, series) = metrics_of(figure)
            .iter()
            .find_map(|&metric| Some((metric, self.get(metric)?)))?;
        Some(Measured::Percentile {
            metric,
            nanos: series.percentile(quantile)?,
            is_supported: Series::supports(series, quantile),
        })
    }

    /// The largest value of a figure, in nanoseconds; `None` where nothing was measured.
    pub fn worst(&self, figure: SloFigure) -> Option<u64> {
        let mut metrics = metrics_of(figure).iter();
        metrics.find_map(|&metric| self.get(metric))?.max()
    }

    fn share_of(&self, at: usize) -> Option<Measured> {
        let of = self.requests();
        let met = self.phase.met.get(at).copied()?;
        (of > 0).then_some(Measured::Requests { met, of })
    }
}

/// The distributions of a figure, best first.
const fn metrics_of(figure: SloFigure) -> &'static [Metric] {
    match figure {
        SloFigure::Ttft => &[Metric::TimeToFirstToken],
        SloFigure::Tpot => &[Metric::TimePerOutputToken],
        SloFigure::Itl => &[Metric::InterTokenLatency, Metric::InterChunkLatency],
        SloFigure::Latency => &[Metric::Latency],
    }
}

impl Phase {
    /// Counts which objectives a request met, and whether that is all of them. One that is not good meets none.
    pub(super) fn record_objectives(&mut self, record: &Record, rules: &Rules) {
        if rules.slos.is_empty() {
            return;
        }
        if self.met.len() < rules.slos.len() {
            self.met.resize(rules.slos.len(), 0);
        }
        if !record.outcome.is_good() {
            return;
        }
        let mut meets_all = true;
        for (slo, met) in rules.slos.iter().zip(&mut self.met) {
            let is_met = figure(slo.figure, record, rules).map_or_else(
                || has_no_gap(slo.figure, record),
                |nanos| nanos < slo.limit_ns,
            );
            *met += u64::from(is_met);
            meets_all &= is_met;
        }
        self.met_all += u64::from(meets_all);
    }
}

/// Whether a stream is known to have no time between tokens: one that is there at once cannot fail by that. What nobody could
/// measure (no stream, tokens that nobody counted) is not met.
fn has_no_gap(figure: SloFigure, record: &Record) -> bool {
    let counted = record.output_tokens().is_some();
    match figure {
        SloFigure::Ttft | SloFigure::Latency => false,
        SloFigure::Tpot => record.streamed && counted,
        SloFigure::Itl => record.streamed && record.marks.len() < 2,
    }
}

/// A figure of one request, in nanoseconds, where it is defined.
fn figure(figure: SloFigure, record: &Record, rules: &Rules) -> Option<u64> {
    let since_sent = |at: crate::domain::Offset| Some(at.nanos_since(record.sent?));
    match figure {
        SloFigure::Ttft => first_token(record, rules).and_then(since_sent),
        SloFigure::Tpot => time_per_output_token(record).filter(|_| record.streamed),
        SloFigure::Itl => longest_gap(record),
        SloFigure::Latency => record.last_content().and_then(since_sent),
    }
}

/// The longest gap between content events; for a token each, where the tokens of every event are known.
fn longest_gap(record: &Record) -> Option<u64> {
    let per_token = tokens_by_event(&record.marks).is_some();
    let gaps = record.marks.windows(2).map(|pair| {
        let gap = pair[1].at.nanos_since(pair[0].at);
        if per_token {
            gap / u64::from(pair[1].tokens)
        } else {
            gap
        }
    });
    gaps.max().filter(|_| record.streamed)
}

#[cfg(test)]
#[path = "objective_tests.rs"]
mod tests;
