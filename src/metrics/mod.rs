//! placeholder
mod tally;
pub use tally::*;
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series;
