//! Figures of both clients beside each other: medians, ratios, spreads, targets, a table.
//! It measures nothing.

use std::fmt::Write;

use serde::Serialize;

/// One figure: what the bare loop and the worker needed, run by run, and what is judged by it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    /// The measurement's name on the command line.
    pub(super) measurement: &'static str,
    /// What was done.
    pub(super) case: String,
    /// What is counted, with its unit.
    pub(super) quantity: &'static str,
    /// The bare loop's, run by run; empty where it has none.
    pub(super) bare: Vec<f64>,
    /// The worker's, run by run; the k-th ran beside the k-th of the bare loop.
    pub(super) worker: Vec<f64>,
    /// What the target is held against, pair by pair.
    pub(super) judged: Option<Judged>,
}

/// A derived figure, and what it should be.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Judged {
    /// How it follows from the others.
    pub(super) what: &'static str,
    pub(super) values: Vec<f64>,
    pub(super) target: Option<Target>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {}", short(bound)),
            Self::AtLeast(bound) => format!("≥ {}", short(bound)),
        }
    }
}

impl Judged {
    /// worker / bare loop, pair by pair.
    pub(super) fn ratio(bare: &[f64], worker: &[f64], target: Option<Target>) -> Self {
        let pairs = worker.iter().zip(bare);
        Self {
            what: "× bare",
            values: pairs.map(|(worker, bare)| worker / bare).collect(),
            target,
        }
    }

    /// Whether the median is what it should be; a figure without a target is always right.
    pub(super) fn is_met(&self) -> bool {
        self.target
            .is_none_or(|target| median(&self.values).is_some_and(|value| target.is_met(value)))
    }
}

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), short)
}

fn spread(judged: &Judged) -> String {
    let values = &judged.values;
    let (low, high) = (
        values.iter().copied().reduce(f64::min),
        values.iter().copied().reduce(f64::max),
    );
    format!(
        "{} ({}–{}) {}",
        or_dash(median(values)),
        or_dash(low),
        or_dash(high),
        judged.what
    )
}

fn verdict(judged: &Judged) -> String {
    judged.target.map_or_else(String::new, |target| {
        let word = if judged.is_met() { "met" } else { "missed" };
        format!("{} {word}", target.text())
    })
}

/// A line a figure: medians of the runs, the judged value with the smallest and the largest of the pairs.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut rows = vec![
        [
            "measurement",
            "case",
            "figure",
            "bare",
            "worker",
            "median (spread)",
            "target",
        ]
        .map(str::to_owned),
    ];
    rows.extend(figures.iter().map(|figure| {
        [
            figure.measurement.to_owned(),
            figure.case.clone(),
            figure.quantity.to_owned(),
            or_dash(median(&figure.bare)),
            or_dash(median(&figure.worker)),
            figure.judged.as_ref().map_or_else(String::new, spread),
            figure.judged.as_ref().map_or_else(String::new, verdict),
        ]
    }));
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = match place {
                3 | 4 => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_judged_and_the_spread_is_of_pairs() {
        let (bare, worker) = (vec![1.0, 2.0, 4.0], vec![1.5, 2.0, 8.0]);
        let judged = Judged::ratio(&bare, &worker, Some(Target::AtMost(1.45)));
        assert_eq!(judged.values, [1.5, 1.0, 2.0]);
        assert!(!judged.is_met());
        let figure = Figure {
            measurement: "paced",
            case: "3 streams".to_owned(),
            quantity: "CPU per event, µs",
            bare,
            worker,
            judged: Some(judged),
        };
        insta::assert_snapshot!(table(&[figure]), @r"
        measurement  case       figure             bare  worker  median (spread)          target
        paced        3 streams  CPU per event, µs  2.00    2.00  1.50 (1.00–2.00) × bare  ≤ 1.45 missed
        ");
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_target_without_a_value_is_missed() {
        let empty = |target| Judged {
            what: "",
            values: Vec::new(),
            target,
        };
        assert!(!empty(Some(Target::AtLeast(1.0))).is_met());
        assert!(empty(None).is_met());
    }
}
