//! What was measured, in the formats of other tools: tables of requests, logs of histograms, the reports of other benchmarks.
//! Pure: values in, bytes and text out. It opens no file, and judges no run.

mod csv_rows;
mod figures;
mod hlog;
mod line;
mod llmd;
mod mlperf;
mod parquet_rows;
mod row;
mod run;

pub use csv_rows::{header as csv_header, row as csv_row};
pub use figures::{Figures, Percentile, ResultError, Stats};
pub use hlog::{header as hlog_header, interval as hlog_interval};
pub use line::{LineError, read as read_line};
pub use llmd::report as llmd_report;
pub use mlperf::{Log, Misfit, Scenario, logs as mlperf_logs};
pub use parquet_rows::ParquetRows;
pub use run::{Pace, Run, digest};
