//! A scripted LLM server for tests, demonstrations and benchmarks of the client.
//! It knows no other room: it has its own encoders, so that a mistake in the client's cannot agree with itself.
//!
//! What is stated rather than real: a prompt token is one word between white space (a token id in a
//! `prompt` array is one too) plus `prompt_overhead`, and an output token is one word of a fixed list.
//! All times are `CLOCK_MONOTONIC` nanoseconds. Event `k` of a stream is due at an absolute time, so
//! lateness never adds up; a late event is sent at once and its lateness goes into a histogram.

mod alarm;
mod args;
mod ask;
mod clock;
mod course;
mod dialect;
mod fault;
mod frames;
mod handle;
mod happy;
mod law;
mod life;
mod numerals;
mod place;
mod prometheus;
mod reply;
mod script;
mod server;
mod service;
mod sse;
mod stats;
mod stream;
mod talk;
mod words;

#[cfg(test)]
mod tests;

pub use args::MockArgs;
pub use fault::{Fault, FaultError, FaultKind, FaultShare};
pub use handle::{MockHandle, spawn, spawn_thread};
pub use law::{Delay, LawError, Length};
pub use script::{MetricsNames, ReasoningField, Script, ScriptError};
pub use server::Mock;
pub use stats::{
    Arrivals, Connections, Lateness, RequestNote, Requests, Sent, Snapshot, Stats, Tally,
};
