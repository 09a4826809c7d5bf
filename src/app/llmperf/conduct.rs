//! From a test's carrier to its exit status: it is played, reported, and logged where that is wanted.
//! What is reported is the tests' own affair.

use tokio_util::task::TaskTracker;

use super::args::TestArgs;
use super::ml_repo;
use super::play::{Made, play};
use super::settings::Carrier;
use crate::app::failure::Failure;
use crate::app::surroundings::Process;
use crate::app::{runtime, signals, two_threads};
use crate::mlflow::{Artifact, Status};

/// What a test says when it is over, apart from what it has printed and written.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The exit status.
    pub(super) status: u8,
    /// Figures for a log of it.
    pub(super) metrics: Vec<(String, f64)>,
    /// Files that go with them.
    pub(super) files: Vec<Artifact>,
}

impl Told {
    /// Of a test without results.
    pub(super) fn nothing(status: u8) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

/// Carries a test of so many requests out. `params` is what a log says of its settings; `report` prints and writes the
/// results, and is told whether they are logged. Returns the exit status.
pub(super) fn conduct(
    test: &TestArgs,
    requests: u64,
    params: Vec<(String, String)>,
    carrier: Carrier,
    report: impl FnOnce(&Made, bool) -> Told,
) -> Result<u8, Failure> {
    let runtime = match &carrier {
        Carrier::Here(_) => runtime(),
        Carrier::Workers(_) => two_threads(),
    };
    runtime?.block_on(async {
        let repo = test.ml_repo.start(&test.model, params, &Process)?;
        let played = play(carrier, requests, test.timeout).await;
        // What the test itself listened to is over.
        let mut signals = signals::listen(&TaskTracker::new());
        let made = match played {
            Ok(made) => made,
            Err(failure) => {
                let told = Told::nothing(failure.status);
                ml_repo::finish(repo, told, Status::Failed, &mut signals).await;
                return Err(failure);
            }
        };
        let told = report(&made, repo.is_some());
        let status = told.status;
        ml_repo::finish(repo, told, made.ended(status), &mut signals).await;
        Ok(status)
    })
}
