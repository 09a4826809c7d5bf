//! Places the kernel's receive stamps, which are of the wall clock, on the monotonic clock of a run.
//! Pure: what the clocks show comes in as values, and it is no fault of a figure when the wall clock is set.

use std::cell::Cell;

/// Both clocks, read one right after the other, in nanoseconds since a start of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The wall clock (`CLOCK_REALTIME`), which jumps when somebody sets it.
    pub(super) wall: i64,
    /// The monotonic clock.
    pub(super) mono: i64,
}

impl Sample {
    const fn distance(self) -> i64 {
        self.wall - self.mono
    }
}

/// Where a stamp lies on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// The kernel's stamp, in monotonic nanoseconds.
    At(i64),
    /// The stamp cannot be trusted; whoever asks has to do with the time of the read.
    Untold,
    /// The same, and just now the wall clock was found to have been set.
    Stepped,
}

/// How far apart the clocks are, as far as is known.
#[derive(Clone, Copy, Debug)]
struct Known {
    distance: i64,
    /// When it was measured, monotonic.
    at: i64,
}

/// Two samples that differ by no more than this need no closer look: less than the error that is promised.
const TOLERANCE_NS: i64 = 5_000;
/// A wall clock that is slewed gains or loses at most 500 ppm.
const SLEW_PER_NS: i64 = 2_000;
/// How long a measured distance is used before it is measured again.
const FRESH_NS: i64 = 20_000_000;
/// A change of the distance beyond this is a step. Smaller ones cannot be told from a disturbed measurement.
const STEP_NS: i64 = 15_000;
/// After a step, bytes that were stamped before it may still wait to be read.
const DOUBT_NS: i64 = 1_000_000_000;
/// A stamp may be this much later than the read that brought it, by the error of the distance; more is impossible.
const EARLY_NS: i64 = 50_000;

/// One core's knowledge of the two clocks.
#[derive(Debug)]
pub(super) struct Placer {
    known: Cell<Known>,
    doubt_until: Cell<i64>,
}

impl Placer {
    /// Begins with a careful measurement.
    pub(super) const fn new(measured: Sample) -> Self {
        Self {
            known: Cell::new(Known::of(measured)),
            doubt_until: Cell::new(i64::MIN),
        }
    }

    /// Places `stamp` (wall clock), which came with a read that returned at `now`.
    ///
    /// `measure` reads both clocks with more care than `now` was read: between two readings of one of them.
    pub(super) fn place(&self, stamp: i64, now: Sample, measure: impl Fn() -> Sample) -> Placed {
        if self.follow(now, measure) {
            return Placed::Stepped;
        }
        let at = stamp - self.known.get().distance;
        if now.mono < self.doubt_until.get() || at > now.mono + EARLY_NS {
            return Placed::Untold;
        }
        Placed::At(at.min(now.mono))
    }

    /// Keeps the distance of the clocks up to date; whether a step was found.
    fn follow(&self, now: Sample, measure: impl Fn() -> Sample) -> bool {
        let known = self.known.get();
        let age = now.mono - known.at;
        let slew = age / SLEW_PER_NS;
        let fresh = age < FRESH_NS;
        if fresh && (now.distance() - known.distance).abs() <= TOLERANCE_NS + slew {
            return false;
        }
        // Either it is time to measure again, or the two readings of `now` were torn apart, or somebody set the clock.
        let measured = measure();
        self.known.set(Known::of(measured));
        let stepped = (measured.distance() - known.distance).abs() > STEP_NS + slew;
        if stepped {
            self.doubt_until.set(measured.mono + DOUBT_NS);
        }
        stepped
    }
}

impl Known {
    const fn of(sample: Sample) -> Self {
        Self {
            distance: sample.distance(),
            at: sample.mono,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two clocks that are read at true times; the wall clock is slewed and set.
    struct Clocks {
        start: i64,
        slew_ppm: i64,
        steps: Vec<(i64, i64)>,
    }

    impl Clocks {
        fn wall(&self, at: i64) -> i64 {
            let set: i64 = self
                .steps
                .iter()
                .filter(|(when, _)| *when <= at)
                .map(|(_, by)| by)
                .sum();
            self.start + at + at * self.slew_ppm / 1_000_000 + set
        }

        fn sample(&self, at: i64) -> Sample {
            Sample {
                wall: self.wall(at),
                mono: at,
            }
        }
    }

    const MS: i64 = 1_000_000;

    #[test]
    fn a_stamp_lies_where_the_distance_of_the_clocks_puts_it() {
        let clocks = Clocks {
            start: 1_700_000_000 * 1_000 * MS,
            slew_ppm: 0,
            steps: vec![],
        };
        let placer = Placer::new(clocks.sample(0));
        let placed = placer.place(clocks.wall(3 * MS), clocks.sample(5 * MS), || {
            clocks.sample(5 * MS)
        });
        assert_eq!(placed, Placed::At(3 * MS));
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_at_once_and_doubted_for_a_second() {
        for by in [-3_600_000 * MS, -MS, MS, 3_600_000 * MS] {
            let clocks = Clocks {
                start: 0,
                slew_ppm: 0,
                steps: vec![(10 * MS, by)],
            };
            let placer = Placer::new(clocks.sample(0));
            let read = |arrived: i64, at: i64| {
                placer.place(clocks.wall(arrived), clocks.sample(at), || {
                    clocks.sample(at)
                })
            };
            assert_eq!(read(9 * MS, 9 * MS), Placed::At(9 * MS));
            assert_eq!(read(9 * MS, 11 * MS), Placed::Stepped);
            assert_eq!(read(9 * MS, 12 * MS), Placed::Untold);
            assert_eq!(read(900 * MS, 1_000 * MS), Placed::Untold);
            assert_eq!(read(1_100 * MS, 1_101 * MS), Placed::At(1_100 * MS));
        }
    }

    #[test]
    fn readings_that_were_torn_apart_are_no_step() {
        let clocks = Clocks {
            start: 0,
            slew_ppm: 0,
            steps: vec![],
        };
        let placer = Placer::new(clocks.sample(0));
        let careful = |at| move || Sample { wall: at, mono: at };
        placer.place(0, clocks.sample(MS), careful(MS));
        // The process lost its processor for 4 ms between the two readings.
        let torn = Sample {
            wall: 2 * MS,
            mono: 6 * MS,
        };
        assert_eq!(
            placer.place(2 * MS, torn, careful(6 * MS)),
            Placed::At(2 * MS)
        );
    }

    proptest! {
        /// Whatever somebody does to the wall clock, a stamp that is trusted is right.
        #[test]
        fn no_step_of_the_clock_reaches_a_stamp(
            slew_ppm in -500_i64..500,
            steps in prop::collection::vec((0_i64..5_000 * MS, -10_000_000_000_i64..10_000_000_000), 0..4),
            reads in prop::collection::vec((0_i64..30 * MS, 0_i64..900 * MS, 0_i64..300_000, 0_u8..20), 1..200),
        ) {
            let clocks = Clocks { start: 1_000_000 * MS, slew_ppm, steps };
            let placer = Placer::new(clocks.sample(0));
            let mut at = 0;
            for (gap, lag, torn, odds) in reads {
                at += gap;
                let arrived = (at - lag).max(0);
                // One read in twenty loses the processor between its two readings.
                let torn = if odds == 0 { torn } else { torn % 1_000 };
                let now = Sample { wall: clocks.wall(at), mono: at + torn };
                at += torn;
                let placed = placer.place(clocks.wall(arrived), now, || clocks.sample(at));
                if let Placed::At(stamp) = placed {
                    let error = (stamp - arrived).abs();
                    prop_assert!(error <= STEP_NS + 30_000 + lag / 500, "off by {error} ns after {lag} ns");
                }
            }
        }
    }
}
