//! What a token benchmark prints when it is over, line by line as llmperf prints it.

use super::{Benchmark, Individual};

/// The lines of the console, with a line end behind the last one.
pub fn console(bench: &Benchmark, responses: &[Individual], wall_s: f64) -> String {
    let _ = (bench, responses, wall_s);
    String::new()
}
