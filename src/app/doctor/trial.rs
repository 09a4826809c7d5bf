//! A few short requests with the options of a run, sent as a run sends them: by the same engine, one after another. It judges no
//! answer.

use std::time::Duration;

use crate::app::failure::Failure;
use crate::app::played::{Played, Showing};
use crate::app::session::play_run;
use crate::config::{Given, Journal, Outputs, RunOptions, Telemetry};
use crate::domain::Keep;
use crate::plan::Observe;
use crate::schedule::{AT_ONCE, Pacing, Spec};
use crate::workload::{LengthLaw, LengthSpec};

/// The first one finds a server that is cold.
const REQUESTS: u64 = 2;
/// Enough to see how tokens come.
const MOST_TOKENS: u32 = 32;
/// A trace's own times, so much faster, are no times at all.
const AT_ANY_TIME: f64 = 1e9;
/// For a server that has to load its model first.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends them.
pub(super) async fn play(run: &RunOptions) -> Result<Played, Failure> {
    let options = shortened(run.clone());
    Box::pin(play_run(options, Showing::Nobody)).await
}

fn shortened(mut run: RunOptions) -> RunOptions {
    // The one that is there already serves.
    run.mock = false;
    run.journal = Journal::Off;
    run.sending.threads = Some(std::num::NonZeroU32::MIN);
    let settings = &mut run.settings;
    settings.schedule = Spec {
        users: 1,
        spawn_rate: AT_ONCE,
        pacing: Pacing::Closed,
        run_time: None,
        warmup: Duration::ZERO,
        measure_ramp: true,
        max_requests: Some(REQUESTS),
        ramp: None,
        spread: Duration::ZERO,
        think: None,
        burstiness: 1.0,
        enough: None,
    };
    settings.trace_speed = AT_ANY_TIME;
    settings.given = Given {
        users: true,
        spawn_rate: true,
    };
    settings.output = LengthSpec {
        mean: settings.output.mean.min(MOST_TOKENS),
        law: LengthLaw::Constant,
        range: 0.0,
        cap: None,
        jitter: 0,
    };
    settings.limits.total = settings.limits.total.or(Some(PATIENCE));
    settings.observe = Observe {
        answers: Some(Keep::Times),
        ..Observe::default()
    };
    settings.max_fail_ratio = 1.0;
    settings.allow_invalid = true;
    settings.server_metrics = None;
    // Nobody is told of requests that belong to no run.
    settings.telemetry = Telemetry::default();
    settings.database = None;
    settings.outputs = Outputs {
        // A slow answer is no occasion for tables.
        only_summary: true,
        ..Outputs::default()
    };
    run
}
