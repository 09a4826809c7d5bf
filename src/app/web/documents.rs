//! The files of a run, as the page offers them: made once from the run's own report, and drawn when somebody asks.
//! What stands in them is the report's matter.

use std::collections::BTreeMap;

use crate::domain::{Answer, Index};
use crate::page::{Page, html};
use crate::report::page::run_page;
use crate::report::{Context, History, json, stats_csv};

/// What a run that is over leaves to download.
#[derive(Clone, Debug)]
pub(in crate::app) struct Documents {
    result: String,
    stats: String,
    failures: String,
    exceptions: String,
    page: Page,
}

impl Documents {
    pub(in crate::app) fn of(
        ctx: &Context<'_>,
        history: &History,
        answers: &BTreeMap<Index, Answer>,
        command: &str,
    ) -> Self {
        let told = |error: &dyn std::fmt::Display| {
            tracing::warn!("a file of the run cannot be made: {error}");
            String::new()
        };
        let csv = |made: Result<String, csv::Error>| made.unwrap_or_else(|error| told(&error));
        Self {
            result: json::result(ctx).unwrap_or_else(|error| told(&error)),
            stats: csv(stats_csv::stats(ctx)),
            failures: csv(stats_csv::failures(ctx)),
            exceptions: csv(stats_csv::exceptions()),
            page: run_page(ctx, history, answers, command),
        }
    }

    /// The file of this name, if there is one.
    pub(super) fn file(&self, name: &str) -> Option<String> {
        Some(match name {
            "result.json" => self.result.clone(),
            "stats.csv" => self.stats.clone(),
            "failures.csv" => self.failures.clone(),
            "exceptions.csv" => self.exceptions.clone(),
            "report.html" => html(&self.page).ok()?,
            _ => return None,
        })
    }
}

/// The names of all files that a run has when it is over, with what each is.
pub(super) const AT_ITS_END: [(&str, &str); 6] = [
    ("report.html", "Report as a page"),
    ("result.json", "Result (JSON)"),
    ("stats.csv", "Statistics (CSV)"),
    ("failures.csv", "Failures (CSV)"),
    ("exceptions.csv", "Exceptions (CSV)"),
    ("history.csv", "History (CSV)"),
];

/// Those of them that there are while it goes on.
pub(super) const MEANWHILE: [&str; 4] =
    ["stats.csv", "failures.csv", "exceptions.csv", "history.csv"];

/// The requests one by one, where they are written in this process.
pub(super) const RECORDS: (&str, &str) = ("records.jsonl", "Requests, one a line (JSON)");
