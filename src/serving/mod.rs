//! The bench suite of a serving API: which benchmarks it has, what each query and each file of raw results comes to, and the
//! report on them. It sends nothing, reads no clock and opens no file: `app` plays the benchmarks and writes what this gives.

mod asked;
mod bench;
mod beside;
mod capacity;
mod estimate;
mod query;
mod raw;
mod report;
mod settings;
mod stats;
mod words;

use std::collections::BTreeMap;

use crate::chart::Figure;
use crate::page::Page;

pub use asked::Asked;
pub use bench::Bench;
pub use beside::{Beside, Counted, Generator, Sampler};
pub use estimate::{LEAST_WAVE_S, estimate_in_words};
pub use query::{Query, is_timeout};
pub use raw::{Played, Raw};
pub use report::{report, single_page};
pub use settings::{
    QUICK_DRAIN_S, QUICK_LOOK_S, QUICK_LOOK_TOKENS, QUICK_S, SettingsError, SuiteSettings,
};
pub use words::span_in_words;

/// The JSON schema of a file of raw results.
pub const RAW_SCHEMA: &str = include_str!("schema/raw.schema.json");
/// The JSON schemas of the report's data files, by what their names begin with.
pub const DATA_SCHEMAS: [(&str, &str); 3] = [
    (
        "prompt_ingestion_graph_data",
        include_str!("schema/prompt_ingestion_graph_data.schema.json"),
    ),
    (
        "speed_generation_graph_data",
        include_str!("schema/speed_generation_graph_data.schema.json"),
    ),
    (
        "total_speed_generation_graph_data",
        include_str!("schema/total_speed_generation_graph_data.schema.json"),
    ),
];

/// A file of the report.
#[derive(Clone, Debug)]
pub enum Content {
    /// As it is.
    Text(String),
    /// To be drawn as PNG (and beside it as SVG, under the same name).
    Picture(Box<Figure>),
    /// To be made HTML.
    Page(Box<Page>),
}

/// The files below the output folder, by their paths.
pub type Files = BTreeMap<String, Content>;

#[cfg(test)]
mod rig;
#[cfg(test)]
mod suite_tests;
