//! What the outside tells the cores: when sending ends, and when to drop what is in flight.
//! And what the cores show of themselves while they run.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use tokio_util::sync::CancellationToken;

use crate::domain::Offset;

/// Shared by all cores of an engine. Nothing in it is written per token.
#[derive(Debug)]
pub(super) struct Control {
    end: AtomicU64,
    defect: AtomicBool,
    /// Cancelled when sending ends before its planned end.
    pub(super) stopped: CancellationToken,
    /// Cancelled when what is in flight is to be dropped.
    pub(super) aborted: CancellationToken,
}

impl Control {
    /// Sending ends at `end`, or when somebody says so.
    pub(super) fn new(end: Option<Offset>) -> Self {
        let end = AtomicU64::new(end.unwrap_or(Offset::MAX).as_nanos());
        Self {
            end,
            defect: AtomicBool::new(false),
            stopped: CancellationToken::new(),
            aborted: CancellationToken::new(),
        }
    }

    /// When sending ends, if anybody knows.
    pub(super) fn end(&self) -> Option<Offset> {
        let end = Offset::from_nanos(self.end.load(Relaxed));
        (end != Offset::MAX).then_some(end)
    }

    /// Ends sending at `now`, unless it ended before.
    pub(super) fn stop(&self, now: Offset) {
        self.end.fetch_min(now.as_nanos(), Relaxed);
        self.stopped.cancel();
    }

    /// A request's task ended by a defect of this program: its figures are missing, so the run must not pass for whole.
    pub(super) fn note_defect(&self, now: Offset) {
        self.defect.store(true, Relaxed);
        self.abort(now);
    }

    /// Whether a task ended by a defect.
    pub(super) fn has_defect(&self) -> bool {
        self.defect.load(Relaxed)
    }

    /// Ends sending, and everything in flight with it.
    pub(super) fn abort(&self, now: Offset) {
        self.stop(now);
        self.aborted.cancel();
    }
}

/// What one core is doing, for live views.
#[derive(Debug, Default)]
pub(super) struct CoreGauges {
    pub(super) users: AtomicU32,
    pub(super) in_flight: AtomicU32,
    pub(super) waiting: AtomicU32,
}

/// Counts one while it lives.
pub(super) struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    pub(super) fn new(gauge: &'a AtomicU32) -> Self {
        gauge.fetch_add(1, Relaxed);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
