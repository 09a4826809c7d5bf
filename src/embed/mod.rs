//! A benchmark from Rust: a plan goes in, a summary and the records come out. The same engine and the same in-process cluster as
//! `llmload run`; it prints nothing, and takes no settings from the environment.
//!
#![doc = include_str!("../../docs/library.md")]

pub(crate) mod address;
mod authority;
mod benchmark;
mod engine;
mod error;
mod handle;
mod job;
pub(crate) mod open_files;
mod outcome;
mod planning;

pub use benchmark::Benchmark;
pub use error::Error;
pub use handle::Handle;
pub use outcome::Outcome;
pub use planning::PlanBuilder;
// What is named above and lives in rooms that are not meant for use from outside.
pub use crate::cluster::{
    Coming, EndedBy, Gauges, Quantiles, RecentRate, RunPhase, RunStatus, WorkerState,
};
pub use crate::runner::{Authority, AuthorityError};

pub(crate) use authority::signatures;
pub(crate) use engine::{Aftermath, Made, Maker, Taking, serve};
pub(crate) use job::{Seat, job, masks};
pub(crate) use outcome::summarised;
