//! What llmperf's two tests report: the individual responses, the summary of them by exact values, both files, the console's
//! lines, the check of correct answers, the plots. It plays no run and opens no file.

mod console;
mod correctness;
mod files;
mod individual;
mod ml_metrics;
mod page;
mod plots;
mod reading;
mod settings;
mod spread;
mod summary;

pub use console::console;
pub use correctness::{
    Correctness, Mark, Marks, RequestConfig, Solved, Wanted, check, correctness_console,
    correctness_summary,
};
pub use files::{
    CORRECTNESS_INDIVIDUAL_SCHEMA, CORRECTNESS_SUMMARY_SCHEMA, INDIVIDUAL_SCHEMA, SUMMARY_SCHEMA,
    file, stem,
};
pub use individual::Individual;
pub use ml_metrics::{
    ml_correctness_metrics, ml_correctness_params, ml_metrics, ml_params, ml_run_name,
};
pub use page::{benchmark_page, correctness_page};
pub use plots::{PlotName, plots};
pub use reading::{individuals, summary_file};
pub use settings::Benchmark;
pub use summary::summary;

#[cfg(test)]
mod tests;
