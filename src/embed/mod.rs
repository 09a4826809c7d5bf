//! A benchmark from Rust: a plan goes in, a summary and the records come out. The same engine and the same in-process cluster as
//! `llmload run`; it prints nothing and reads no environment.
//!
#![doc = include_str!("../../docs/library.md")]

pub(crate) mod address;
mod benchmark;
mod engine;
mod error;
mod job;
mod open_files;
mod outcome;
mod planning;

pub use benchmark::{Benchmark, Handle};
pub use error::Error;
pub use outcome::Outcome;
pub use planning::PlanBuilder;

pub(crate) use engine::{Aftermath, Made, Maker, Taking, serve};
pub(crate) use job::{Seat, job, masks};
pub(crate) use outcome::summarised;
