//! Tallies that were handed over and emptied, for the cores to fill again: a core that goes on with fresh ones would wait, once a
//! second and in the middle of sending, for the system to give it some megabytes.

use std::sync::Mutex;

use crate::metrics::Tally;

/// Emptied tallies, at most as many as there are cores. Asked for once a second and core.
#[derive(Debug)]
pub(super) struct Spares {
    all: Mutex<Vec<Tally>>,
    most: usize,
}

impl Spares {
    pub(super) fn new(most: usize) -> Self {
        Self {
            all: Mutex::default(),
            most,
        }
    }

    /// An empty tally. It does not wait: where somebody else has the lock, a fresh one will do.
    pub(super) fn take(&self) -> Tally {
        let spare = self.all.try_lock().ok().and_then(|mut all| all.pop());
        spare.unwrap_or_default()
    }

    /// Empties `tally` and keeps it.
    pub(super) fn give_back(&self, mut tally: Tally) {
        tally.clear();
        if let Ok(mut all) = self.all.lock()
            && all.len() < self.most
        {
            all.push(tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Metric, Series};

    #[test]
    fn what_comes_back_is_empty_and_no_more_are_kept_than_are_of_use() {
        let spares = Spares::new(1);
        let mut used = Tally::default();
        used.counts.sent = 3;
        let mut series = Series::default();
        series.record(5_000);
        used.measured.series.insert(Metric::Latency, series);
        spares.give_back(used.clone());
        spares.give_back(used);
        assert_eq!(spares.all.lock().unwrap().len(), 1);
        let mut again = spares.take();
        assert!(again.measured.series[&Metric::Latency].is_empty());
        assert_eq!(again.counts.sent, 0);
        // Merged into another it adds nothing, its memory included.
        let mut other = Tally::default();
        other.merge(&again);
        assert_eq!(other, Tally::default());
        again.measured.series.clear();
        assert_eq!(again, Tally::default());
    }
}
