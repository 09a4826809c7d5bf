//! Models and servers side by side: figures of any mix of result files, their differences with confidence intervals, verdicts
//! against a baseline, as Markdown and HTML. It opens no file and draws no conclusion that its figures do not bear.

mod bootstrap;
mod change;
mod document;
mod figure;
mod gate;
mod law;
mod model_name;
mod pictures;
mod proportion;
mod read;
mod report;
mod run;
mod sections;
mod stats;

pub use bootstrap::{Interval, Resampling};
pub use change::{Change, Known, Side, Subject};
pub use document::{Block, Document, PageError, Table};
pub use figure::{Figure, Rate, Stat};
pub use gate::{
    DEFAULT_THRESHOLDS, Judged, Limit, Threshold, ThresholdError, Verdict, plain, undecided,
};
pub use model_name::{ModelName, Parameters};
pub use read::{Found, ReadError, Records, Window, read};
pub use report::{Report, Request, report};
pub use run::{Answers, Correctness, Entry, Kind, Run, Settings};
