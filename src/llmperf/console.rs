//! What a token benchmark prints when it is over, line by line as llmperf prints it.

use std::fmt::Write as _;

use serde_json::Value;

use super::spread::{QUANTILES, Spread};
use super::summary::Results;
use super::{Benchmark, Individual};
use crate::report::python_float;

/// The lines of the console, with a line end behind the last one. `wall_s` is as in [`summary`](fn@super::summary).
pub fn console(bench: &Benchmark, responses: &[Individual], wall_s: f64) -> String {
    let results = Results::of(responses, wall_s);
    let mut text = format!(
        "Results for token benchmark for {} queried with the {} api.\n\n",
        bench.model, bench.llm_api
    );
    for (figure, spread) in &results.spreads {
        text.push_str(figure);
        text.push('\n');
        distribution(&mut text, spread);
    }
    let mut line = |words: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{words}: {value}");
    };
    line("Number Of Errored Requests", &results.errors.to_string());
    if results.errors > 0 {
        let _ = writeln!(text, "Error Code Frequency\n{}", results.error_codes);
    }
    let mut line = |words: &str, value: &str| {
        let _ = writeln!(text, "{words}: {value}");
    };
    line("Overall Output Throughput", &number(&results.throughput));
    line(
        "Number Of Completed Requests",
        &results.completed.to_string(),
    );
    line(
        "Completed Requests Per Minute",
        &number(&results.per_minute),
    );
    text
}

fn distribution(text: &mut String, spread: &Spread) {
    let quantiles = QUANTILES
        .iter()
        .map(|(name, _)| *name)
        .zip(&spread.quantiles);
    for (name, value) in quantiles.chain(spread.singles()) {
        let _ = writeln!(text, "    {name} = {}", number(value));
    }
}

/// As Python's `print` writes it; what is not known is `nan`.
pub(super) fn number(value: &Value) -> String {
    match value.as_f64() {
        Some(float) if value.is_f64() => python_float(float),
        Some(_) => value.to_string(),
        None => "nan".to_owned(),
    }
}
