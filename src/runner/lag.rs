//! How late the event loop is, by a timer of its own: stands in for the receive lag where reads bear no stamp of the kernel's.
//! It judges nothing, and never touches the timer that sends.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::engine::INTERVAL;
use super::meter::Meter;
use super::pacer::Pacer;
use crate::domain::StampSource;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(10);

/// Tells `meter` of the event loop's lag for ever, as long as the stamps of reads are clock reads: by `source`, until an
/// interval's reads say otherwise.
pub(super) async fn watch(meter: &Meter, source: StampSource) {
    let pacer = Pacer::best();
    let mut stands_in = source == StampSource::Clock || cfg!(not(target_os = "linux"));
    loop {
        if stands_in {
            measure(meter, &pacer, Instant::now() + INTERVAL).await;
        } else {
            sleep(INTERVAL).await;
        }
        stands_in = meter.reads_had_no_stamps().unwrap_or(stands_in);
    }
}

async fn measure(meter: &Meter, pacer: &Pacer, end: Instant) {
    let mut due = Instant::now() + PERIOD;
    while due < end {
        pacer.until(due).await;
        let now = Instant::now();
        let late = now.saturating_duration_since(due);
        meter.note_loop_lag(now, late.saturating_sub(pacer.own_lag()));
        // A loop that stood still was late once: what it slept through is not counted again.
        due = now + PERIOD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Clock, ReadProbe};
    use crate::domain::Offset;
    use crate::metrics::{Metric, Series, Tally};

    const BLOCKED: Duration = Duration::from_millis(60);

    fn meter() -> Meter {
        Meter::new(Clock::starting_at(Instant::now()), Offset::ZERO)
    }

    fn lag(meter: &Meter) -> Option<Series> {
        let mut tally = Tally::default();
        meter.hand_over(&mut tally);
        tally.measured.get(Metric::ReceiveLag).cloned()
    }

    /// What is told while the loop stands still once.
    async fn told(meter: &Meter, source: StampSource, intervals: u32) -> Option<Series> {
        let busy = async {
            sleep(INTERVAL * intervals + 5 * PERIOD).await;
            std::thread::sleep(BLOCKED);
            sleep(5 * PERIOD).await;
        };
        tokio::select! {
            () = watch(meter, source) => unreachable!("it watches for ever"),
            () = busy => lag(meter),
        }
    }

    #[tokio::test]
    async fn a_loop_that_stands_still_is_late_once() {
        let lag = told(&meter(), StampSource::Clock, 0).await.unwrap();
        assert!(lag.max() >= Some(40_000_000), "{:?}", lag.max());
        assert!((4..=12).contains(&lag.count()), "{}", lag.count());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_kernels_stamps_need_no_stand_in_unless_they_fail_to_come() {
        let stamped = meter();
        stamped.read(Instant::now(), Some(Duration::ZERO));
        lag(&stamped).unwrap();
        assert_eq!(told(&stamped, StampSource::Kernel, 1).await, None);
        let without = meter();
        without.read(Instant::now(), None);
        let lag = told(&without, StampSource::Kernel, 1).await.unwrap();
        assert!(lag.max() >= Some(40_000_000), "{:?}", lag.max());
    }
}
