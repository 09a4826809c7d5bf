//! The main figures of a suite for a person, by what its files say. It computes none.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::serving::{Bench, Content, Files, Raw, SuiteSettings};

/// Where the line of the prompt ingestion stands.
const INGESTION: &str = "report/data/prompt_ingestion_graph_data.json";

const HEADER: [&str; 7] = [
    "Input",
    "Output",
    "Parallel",
    "Tokens/s each",
    "TTFT s",
    "Cache %",
    "Queries",
];

/// The table: a line for each benchmark of the speed, and how fast prompts are read.
pub(super) fn table(
    raws: &BTreeMap<String, Raw>,
    files: &Files,
    settings: &SuiteSettings,
) -> String {
    let mut rows = Vec::new();
    for bench in settings.benchmarks() {
        let raw = raws.get(&bench.file());
        if let (
            Bench::SpeedGeneration {
                input,
                output,
                parallel,
            },
            Some(raw),
        ) = (bench, raw)
        {
            let mut row = [input, output, parallel].map(|it| it.to_string()).to_vec();
            row.extend(figures(raw));
            rows.push(row);
        }
    }
    let mut text = String::new();
    if let Some(speed) = ingestion_speed(files) {
        let _ = writeln!(text, "Prompts are read at {speed:.0} tokens/s");
    }
    if !rows.is_empty() {
        text.push_str(&laid_out(&rows));
    }
    text
}

/// The median speed, the median time to the first token, the fullest that the cache was, the number of queries.
fn figures(raw: &Raw) -> [String; 4] {
    let median = |name: &str| {
        let statistics = raw.aggregated_metrics.get(name)?;
        statistics.get("median").copied()
    };
    let general = |name: &str| raw.general_metrics.get(name).and_then(Value::as_f64);
    let shown = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let cache = general("max_kv_cache").filter(|share| *share >= 0.0);
    [
        shown(median("speed_from_beginning"), 1),
        shown(median("time_to_first_token"), 3),
        shown(cache.map(|share| share * 100.0), 1),
        shown(general("total_number_of_queries"), 0),
    ]
}

/// By the slope of its line.
fn ingestion_speed(files: &Files) -> Option<f64> {
    let Content::Text(text) = files.get(INGESTION)? else {
        return None;
    };
    let data: Value = serde_json::from_str(text).ok()?;
    let slope = data["fit_coefficients"][0].as_f64()?;
    (slope > 0.0).then(|| 1.0 / slope)
}

fn laid_out(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let own = HEADER.get(column).map_or(0, |name| name.len());
        cells.map(String::len).max().unwrap_or(0).max(own)
    };
    let mut text = String::new();
    let header: Vec<String> = HEADER.map(str::to_owned).to_vec();
    for row in std::iter::once(&header).chain(rows) {
        let cells = row.iter().enumerate();
        let cells: Vec<String> = cells
            .map(|(column, cell)| format!("{cell:>width$}", width = width(column)))
            .collect();
        let _ = writeln!(text, "{}", cells.join("  "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let row: Vec<String> = ["32", "16", "1", "1234567890.12345", "0.1", "-", "9"]
            .map(str::to_owned)
            .to_vec();
        insta::assert_snapshot!(laid_out(&[row]), @r"
        Input  Output  Parallel     Tokens/s each  TTFT s  Cache %  Queries
           32      16         1  1234567890.12345     0.1        -        9
        ");
    }

    #[test]
    fn the_speed_of_the_ingestion_is_its_line_s() {
        let mut files = Files::new();
        assert_eq!(ingestion_speed(&files), None);
        let data = r#"{"fit_coefficients": [0.0005, 0.1]}"#.to_owned();
        files.insert(INGESTION.to_owned(), Content::Text(data));
        assert_eq!(ingestion_speed(&files), Some(2000.0));
    }
}
