//! The process's environment and files, read here and nowhere else.

use std::io;
use std::num::NonZero;
use std::path::Path;

use crate::config::Surroundings;
use crate::workload::load::HubPaths;

/// What really surrounds the process.
pub(super) struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        variable(name)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// All variables whose names and values are text.
pub(super) fn variables() -> Vec<(String, String)> {
    let text = |word: std::ffi::OsString| word.into_string().ok();
    std::env::vars_os()
        .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
        .collect()
}

/// Where the local hub cache is.
pub(super) fn hub_paths() -> HubPaths {
    HubPaths::new(&variable)
}

/// All cores, as the system lets this process use them.
pub(super) fn cores() -> u32 {
    std::thread::available_parallelism()
        .map_or(1, NonZero::get)
        .try_into()
        .unwrap_or(u32::MAX)
}

/// A number that no other process draws.
pub(super) fn draw() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

/// `host:pid`, for people who look at a list of workers.
pub(super) fn worker_name() -> String {
    let host = rustix::system::uname();
    format!(
        "{}:{}",
        host.nodename().to_string_lossy(),
        std::process::id()
    )
}

/// This machine's own name, if it has one.
pub(super) fn host_name() -> Option<String> {
    let host = rustix::system::uname();
    let name = host.nodename().to_str().ok()?.to_owned();
    (!name.is_empty()).then_some(name)
}

/// What a calendar and a clock on the wall show.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
pub(super) fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
