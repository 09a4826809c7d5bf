//! The run's clock: one monotonic origin, read as offsets. It never looks at wall-clock time.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Offset;

/// Reads the time since a run's start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that shows zero at `origin`, and before it.
    pub const fn starting_at(origin: Instant) -> Self {
        Self { origin }
    }

    /// Now.
    pub fn now(&self) -> Offset {
        self.offset_of(Instant::now())
    }

    /// What the clock showed at `instant`.
    pub fn offset_of(&self, instant: Instant) -> Offset {
        Offset::from(instant.saturating_duration_since(self.origin))
    }

    /// The instant at which the clock shows `offset`.
    pub fn instant_of(&self, offset: Offset) -> Instant {
        // An offset beyond what an `Instant` can hold is "never": a century is as good.
        let century = Duration::from_secs(100 * 365 * 86_400);
        self.origin + offset.since(Offset::ZERO).min(century)
    }
}
