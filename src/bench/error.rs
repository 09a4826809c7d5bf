//! Why a measurement could not be made, and what to do about it.

use std::io;

use crate::client;
use crate::provider;
use crate::runner::EngineError;
use crate::workload::WorkloadError;

/// Why the program could not measure itself.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A debug build says nothing about speed.
    #[error("this is a debug build: its figures would mean nothing")]
    DebugBuild,
    /// The system has not what the measurements are made with.
    #[error("bench-self needs Linux")]
    NotLinux,
    /// The system refused something.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A child process said something else than it should, or nothing.
    #[error("the {who} {what}")]
    Child {
        /// Which one.
        who: &'static str,
        /// What it did.
        what: String,
    },
    /// What was counted on both sides does not agree: nothing measured can be trusted.
    #[error("the counts do not agree: {0}")]
    Counts(String),
    /// The requests cannot be made.
    #[error("cannot make the requests")]
    Workload(#[from] WorkloadError),
    /// The requests cannot be put into words.
    #[error("cannot put the requests into words")]
    Shape(#[from] provider::ShapeError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] client::TlsError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What a process says to another cannot be read.
    #[error("a message between the processes is not what it should be")]
    Message(#[from] serde_json::Error),
}

impl BenchError {
    /// For `map_err`: the system refused `what`.
    pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::DebugBuild => Some(
                "cargo run --release -- bench-self, or --quick to see that it works".to_owned(),
            ),
            _ => None,
        }
    }
}
