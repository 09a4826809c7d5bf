//! One run of a suite as its tables hold it: what was asked, what came of it, its figures.
//! It is written to a file as a line of JSON and read again; it knows no file.

use serde::{Deserialize, Serialize};

use super::Figures;

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The name that its settings make.
    pub id: String,
    /// What differs from the other runs.
    pub label: String,
    /// The same without what is load: runs that differ in load alone are one curve.
    pub group: String,
    /// The words that would repeat it with `llmload run`, without secrets.
    pub command: String,
    /// Its exit status.
    pub status: u8,
    /// Why it did not do what was asked.
    pub failure: Option<String>,
    /// It was told to end: its figures are not those of the whole run.
    #[serde(default)]
    pub is_interrupted: bool,
    /// How long it took with everything around it, in seconds.
    pub took_s: f64,
    /// What was measured, if anything was.
    pub figures: Option<Figures>,
}

/// What the runs of a curve differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The rate of an open loop.
    Qps,
    /// The users of a closed loop.
    Users,
}

impl Load {
    /// The load that all of `rows` can be ordered by.
    pub fn of(rows: &[Row]) -> Self {
        let is_open = |row: &Row| {
            let figures = row.figures.as_ref();
            figures.is_some_and(|figures| figures.asked_per_s.is_some())
        };
        if rows.iter().any(is_open) {
            Self::Qps
        } else {
            Self::Users
        }
    }

    /// The load of a run.
    pub fn value(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Qps => figures.asked_per_s,
            Self::Users => Some(f64::from(figures.users)),
        }
    }

    /// The axis of charts.
    pub const fn axis(self) -> &'static str {
        match self {
            Self::Qps => "rate asked for (requests/s)",
            Self::Users => "concurrent users",
        }
    }
}

impl Row {
    /// Whether it can be trusted not to change if it were run again: it measured something and was not interrupted.
    pub const fn is_whole(&self) -> bool {
        self.figures.is_some() && !self.is_interrupted
    }

    /// The verdict, or why there is none.
    pub fn verdict(&self) -> String {
        let figures = self.figures.as_ref();
        let verdict = figures.and_then(|figures| figures.verdict.as_deref());
        match (verdict, self.status) {
            (Some(verdict), _) => verdict.to_uppercase(),
            (None, 0) => "–".to_owned(),
            (None, status) => format!("status {status}"),
        }
    }
}
