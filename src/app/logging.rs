//! Where log lines go: standard error or a file. Figures never go there.

use std::fs::OpenOptions;
use std::sync::Mutex;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use super::failure::Failure;
use crate::config::{LogLevel, Logging};

/// Starts logging for a command without options for it: what happens, on standard error.
pub(super) fn start_plain() -> Result<(), Failure> {
    start(&Logging {
        level: LogLevel::Info,
        file: None,
    })
}

/// Starts logging. Only this program's own words are logged, whatever the libraries have to say.
pub(super) fn start(logging: &Logging) -> Result<(), Failure> {
    let filter = EnvFilter::new(format!(
        // What was asked to be shown is shown at any level.
        "off,llmload={},llmload::request=info,llmload::response=info",
        logging.level.name()
    ));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_timer(SystemTime);
    let started = match &logging.file {
        None => builder
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .try_init(),
        Some(path) => {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot open the log file `{}`", path.display()))
                .map_err(|error| {
                    Failure::usage(error).hint("--logfile FILE in a folder that can be written")
                })?;
            builder
                .with_ansi(false)
                .with_writer(Mutex::new(file))
                .try_init()
        }
    };
    // A second start in one process (the library used by others) keeps the first one's settings.
    let _ = started;
    Ok(())
}
