//! What llmperf's two tests report: the individual responses, the summary of them by exact values, both files, the console's
//! lines, the check of correct answers, the plots. It plays no run and opens no file.

mod individual;
mod settings;

pub use individual::Individual;
pub use settings::Benchmark;
