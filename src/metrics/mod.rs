//! HOW IT WENT: tallies, histograms, windows, merging, and every formula that turns records into figures.
//! Pure arithmetic on values: no clock, no thread, no file, and no idea of how a figure is shown.

mod answers;
mod buckets;
mod dense;
mod fold;
mod generator;
mod merge;
mod metric;
mod names;
mod objective;
mod recent;
mod series;
mod summary;
mod tally;
mod verdict;

pub use answers::{Keeping, Sieve};
pub use buckets::{MAX_V2_BYTES, SeriesError};
pub(crate) use fold::time_per_output_token;
#[cfg(test)]
pub(crate) use generator::tests as generator_tests;
pub use generator::{CoreLoad, Generator, MAX_CORES, Machine, core_name, core_number};
pub use metric::{Metric, Position, TurnClass};
pub use objective::{MAX_OBJECTIVES, Measured, Objective, Rules};
pub use recent::Recent;
pub use series::{Bucket, COUNT_SCALE, Series};
pub use summary::{Imbalance, Observation, Summary, users_needed};
pub use tally::{
    Counts, ErrorCount, ErrorKey, MAX_ERROR_CHARS, MAX_ERROR_KINDS, Phase, Tally, Window,
};
pub use verdict::{Level, Reason, Verdict, judge};
