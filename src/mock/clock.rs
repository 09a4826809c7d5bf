//! The mock's one clock: `CLOCK_MONOTONIC` nanoseconds, comparable with any process on the machine.
//! It only reads; the waiting is in `alarm`.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::Instant;

/// The clock's reading now, in nanoseconds.
pub(super) fn now() -> u64 {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// The wall clock's seconds, for the `created` fields.
pub(super) fn unix_seconds() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0)
}

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + rest
}

/// One moment on both clocks, so that a due time becomes something tokio can wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    instant: Instant,
    nanos: u64,
}

impl Epoch {
    pub(super) fn start() -> Self {
        Self {
            instant: Instant::now(),
            nanos: now(),
        }
    }

    /// The reading at the epoch.
    pub(super) fn nanos(self) -> u64 {
        self.nanos
    }

    /// The moment of a reading; readings before the epoch give the epoch.
    pub(super) fn instant(self, nanos: u64) -> Instant {
        self.instant + Duration::from_nanos(nanos.saturating_sub(self.nanos))
    }
}
