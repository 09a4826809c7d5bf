//! STAND-IN, to be dropped at merge: the series, merging and tallies of the metrics room as they were while it was built.
//! No fold, no summary.

mod merge;
mod series;
mod tally;

pub use series::{COUNT_SCALE, MAX_V2_BYTES, Series, SeriesError};
pub use tally::{
    Counts, ErrorCount, ErrorKey, MAX_ERROR_CHARS, MAX_ERROR_KINDS, Metric, Phase, Tally, Window,
};
