//! Where an engine plugs into a worker: two bounded queues and the clock that both read.
//! It decides nothing; `app` implements the engine's end with the runner, tests with an invented engine.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{EngineCommand, EngineEvent};
use crate::domain::Offset;

/// Commands that may wait for an engine that is busy: shares, beside leases and corrections, which need not all be heard.
const COMMANDS: usize = 1_024;

/// Events that may wait before the engine has to.
const EVENTS: usize = 64;

/// The one monotonic clock of a process. It shows a time long after zero when it is made: a worker may join a run that began
/// long before its process did, and its clock has a time for that beginning, too.
#[derive(Clone, Copy, Debug)]
pub struct ProcessClock {
    made: Instant,
    /// What it showed then.
    shown: Offset,
}

impl ProcessClock {
    /// A new clock.
    pub fn start() -> Self {
        Self::continuing(Offset::from(LONG_AGO))
    }

    /// A clock that shows `at` now: it goes on where another process's clock is by now.
    pub fn continuing(at: Offset) -> Self {
        Self {
            made: Instant::now(),
            shown: at,
        }
    }

    /// What it shows.
    pub fn now(self) -> Offset {
        self.shown + self.made.elapsed()
    }

    /// The instant at which it shows `at`, or showed it.
    pub fn instant(self, at: Offset) -> Instant {
        if at < self.shown {
            let instant = self.made.checked_sub(self.shown.since(at));
            return instant.unwrap_or(self.made);
        }
        self.made
            .checked_add(at.since(self.shown))
            .unwrap_or_else(|| self.made + FAR)
    }
}

/// What a new clock shows: more than any run takes.
const LONG_AGO: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Further away than any run, and near enough for every platform's clock: thirty years.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The worker's end.
#[derive(Debug)]
pub struct EnginePort {
    /// What the engine is told.
    pub commands: mpsc::Sender<EngineCommand>,
    /// What it says.
    pub events: mpsc::Receiver<EngineEvent>,
    /// The clock by which `EngineCommand::Start` is meant.
    pub clock: ProcessClock,
}

/// The engine's end.
#[derive(Debug)]
pub struct EngineEnd {
    /// What it is told; closed when the worker is gone, and then it aborts.
    pub commands: mpsc::Receiver<EngineCommand>,
    /// What it says; sending waits when the worker is behind, and nothing is dropped.
    pub events: mpsc::Sender<EngineEvent>,
    /// The clock by which `EngineCommand::Start` is meant.
    pub clock: ProcessClock,
}

/// Both ends of a new port.
pub fn engine_port(clock: ProcessClock) -> (EnginePort, EngineEnd) {
    let (commands, told) = mpsc::channel(COMMANDS);
    let (said, events) = mpsc::channel(EVENTS);
    let port = EnginePort {
        commands,
        events,
        clock,
    };
    let end = EngineEnd {
        commands: told,
        events: said,
        clock,
    };
    (port, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_has_instants_from_before_it_was_made() {
        let clock = ProcessClock::start();
        let now = clock.now();
        for span in [Duration::from_secs(3_600), Duration::from_millis(1)] {
            assert_eq!(clock.instant(now - span), Instant::now() - span);
            assert_eq!(clock.instant(now + span), Instant::now() + span);
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), now + Duration::from_secs(5));
    }
}
