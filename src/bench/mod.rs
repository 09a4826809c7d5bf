//! The program measures itself: its worker beside a bare receive loop, against a server that costs nearly nothing, each a
//! process on a core of its own, in turns. What counts is the ratio of the two, for the machine is in both.
//! And a master, beside a crowd of synthetic workers. It measures no real server, and knows no report.

mod args;
mod error;

#[cfg(target_os = "linux")]
mod answer;
#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod crowd;
#[cfg(target_os = "linux")]
mod figure;
#[cfg(target_os = "linux")]
mod hall;
#[cfg(target_os = "linux")]
mod job;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod message;
#[cfg(target_os = "linux")]
mod meter;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod request;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod stamps;
#[cfg(target_os = "linux")]
mod targets;
#[cfg(target_os = "linux")]
mod worker;

pub use args::{BenchArgs, Engine, Measurement};
pub use error::BenchError;
#[cfg(target_os = "linux")]
pub use program::run;

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// A line a figure.
    pub table: String,
    /// Every run's figures.
    pub json: String,
    /// How many targets were missed.
    pub missed: usize,
}

/// Elsewhere there is no epoll, and no such figures.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn run(_: &BenchArgs, _: &mut dyn FnMut(&str)) -> Result<Option<Report>, BenchError> {
    Err(BenchError::NotLinux)
}
