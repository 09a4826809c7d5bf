//! The options of `bench-self`. They start nothing.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which HTTP engine the worker uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The lean HTTP/1.1 engine.
    Lean,
    /// hyper.
    Hyper,
}

impl Engine {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lean => "lean",
            Self::Hyper => "hyper",
        }
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Measurement {
    /// CPU per event, 1,000 streams of one event each 20 ms
    Paced,
    /// CPU per event, 64 streams, 16 events a write
    Saturated,
    /// CPU per request, answers of one and of 16 tokens on 32 connections
    Requests,
    /// Resident memory per open stream
    Memory,
    /// CPU per event and per request from 10 to 10,000 streams
    Scale,
    /// Events a second with one thread and with two
    Cores,
    /// Stamps of events against the server's own
    Accuracy,
    /// Lateness of an open loop against a bare timer's
    Lateness,
    /// A master's CPU and memory with 100 to 2,000 workers
    Cluster,
}

/// Options of the measurements.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// What to measure; absent: everything
    #[arg(value_enum, value_name = "MEASUREMENT")]
    pub measurements: Vec<Measurement>,
    /// The worker's HTTP engine
    #[arg(long, value_enum, default_value_t = Engine::Lean)]
    pub engine: Engine,
    /// Runs of each client, in turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub pairs: u32,
    /// About how long a run is to be; the longer, the less noise
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// Tokens of each prompt
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(32..))]
    pub prompt_tokens: u32,
    /// Write every run's figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Fail when a target is missed
    #[arg(long)]
    pub check: bool,
    /// Everything tiny, to see that it works; also in a debug build
    #[arg(long)]
    pub quick: bool,
    /// Run the worker under this command (a profiler with its options)
    #[arg(long, value_name = "COMMAND")]
    pub wrap: Option<String>,
    /// What a process of a measurement is to be
    #[arg(long, hide = true)]
    pub child: Option<String>,
}
