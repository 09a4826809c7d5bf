//! What a core measures of its own reading: how late it was, and whose stamps the events bear.
//! It judges nothing; each second its numbers go into the core's tally.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::{Clock, ReadProbe};
use crate::domain::Offset;
use crate::metrics::{Generator, Metric, Series, Tally};

/// One core's meter. The transport tells it of reads, the requests tell it of events.
pub(super) struct Meter {
    clock: Cell<Clock>,
    window_start: Cell<Offset>,
    seen: RefCell<Seen>,
    /// Whether there was a read since somebody asked, and one that the kernel stamped.
    stamps: Cell<(bool, bool)>,
}

#[derive(Default)]
struct Seen {
    before: Series,
    inside: Series,
    generator: Generator,
}

impl Meter {
    pub(super) fn new(clock: Clock, window_start: Offset) -> Self {
        Self {
            clock: Cell::new(clock),
            window_start: Cell::new(window_start),
            seen: RefCell::default(),
            stamps: Cell::default(),
        }
    }

    /// The run's clock, once its start is known. What was read until now belongs to no request.
    pub(super) fn begin(&self, clock: Clock) {
        self.clock.set(clock);
        self.seen.take();
        self.stamps.take();
    }

    /// Where the measured window starts, by the clock: corrections move it.
    pub(super) fn set_window_start(&self, at: Offset) {
        self.window_start.set(at);
    }

    /// A stream had `events` content events, of which `shared` bear the stamp of a later one; the last came at `at`.
    pub(super) fn count_events(&self, at: Offset, events: u64, shared: u64) {
        if at >= self.window_start.get() {
            let generator = &mut self.seen.borrow_mut().generator;
            generator.events += events;
            generator.shared += shared;
        }
    }

    /// The event loop served a timer `lag` after it was due: what stands in for reads without kernel stamps.
    pub(super) fn note_loop_lag(&self, at: Instant, lag: Duration) {
        self.note_lag(self.clock.get().offset_of(at), lag);
    }

    /// Whether the kernel stamped none of the reads since this was asked last; `None` when there were none.
    pub(super) fn reads_had_no_stamps(&self) -> Option<bool> {
        let (read, stamped) = self.stamps.take();
        read.then_some(!stamped)
    }

    fn note_lag(&self, at: Offset, lag: Duration) {
        let seen = &mut *self.seen.borrow_mut();
        let series = if at < self.window_start.get() {
            &mut seen.before
        } else {
            &mut seen.inside
        };
        series.record(u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Moves everything into `tally`.
    pub(super) fn hand_over(&self, tally: &mut Tally) {
        let seen = &mut *self.seen.borrow_mut();
        for (phase, lag) in [
            (&mut tally.warmup, &mut seen.before),
            (&mut tally.measured, &mut seen.inside),
        ] {
            let theirs = phase.series.entry(Metric::ReceiveLag).or_default();
            if theirs.is_empty() {
                // Nothing is copied, and the memory of the empty one is used again.
                std::mem::swap(theirs, lag);
            } else {
                theirs.merge(lag);
                lag.clear();
            }
        }
        tally.generator.merge(&std::mem::take(&mut seen.generator));
    }
}

impl ReadProbe for Meter {
    fn read(&self, at: Instant, lag: Option<Duration>) {
        self.stamps
            .set((true, self.stamps.get().1 || lag.is_some()));
        let at = self.clock.get().offset_of(at);
        if at >= self.window_start.get() {
            let generator = &mut self.seen.borrow_mut().generator;
            generator.reads += 1;
            generator.kernel_stamped += u64::from(lag.is_some());
        }
        if let Some(lag) = lag {
            self.note_lag(at, lag);
        }
    }

    fn clock_stepped(&self) {
        self.seen.borrow_mut().generator.clock_steps += 1;
    }
}
