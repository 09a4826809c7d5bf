//! What llmperf's two tests report: the individual responses, the summary of them by exact values, both files, the console's
//! lines, the check of correct answers, the plots. It plays no run and opens no file.

mod individual;
mod ml_metrics;
mod settings;

pub use individual::Individual;
pub use ml_metrics::{
    ml_correctness_metrics, ml_correctness_params, ml_metrics, ml_params, ml_run_name,
};
pub use settings::Benchmark;
