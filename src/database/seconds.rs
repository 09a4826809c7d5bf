//! Whole seconds of a run, of what workers told in whatever pieces: each second is given on once, when a later one has begun. It
//! knows no row.

use std::sync::Arc;

use crate::domain::Offset;
use crate::metrics::Tally;
use crate::report::{Crowd, Standing};

const NANOS: u64 = 1_000_000_000;

/// One second of a run.
#[derive(Clone, Debug)]
pub struct Second {
    /// Which, from 1: it ends so many seconds after the start.
    pub number: u64,
    /// From when it holds what was measured: the end of the second that was told before.
    pub from: Offset,
    /// Until when: before the second's end only in the last one.
    pub to: Offset,
    /// What all workers measured in it.
    pub tally: Tally,
    /// Users and requests at its end.
    pub crowd: Crowd,
    /// How the run stood then.
    pub standing: Arc<Standing>,
}

/// A run's seconds, as they come.
#[derive(Debug)]
pub struct Seconds {
    open: Option<Second>,
    told: Offset,
}

impl Seconds {
    /// Of a run that was told of until then.
    pub const fn after(told: Offset) -> Self {
        Self { open: None, told }
    }

    /// Takes in what was measured until `to`, and gives what was open before if that is over.
    ///
    /// A second about which nothing is told is a part of the next one's span. What comes late, of a second that is over, counts in
    /// the one that is open: nothing is lost, and no second comes twice.
    pub fn push(
        &mut self,
        to: Offset,
        delta: &Tally,
        crowd: Crowd,
        standing: Arc<Standing>,
    ) -> Option<Second> {
        let to = to.max(self.told);
        let number = to.as_nanos().div_ceil(NANOS).max(1);
        let over = match &self.open {
            Some(open) if number > open.number => self.rest(),
            _ => None,
        };
        let open = self.open.get_or_insert_with(|| Second {
            number,
            from: self.told,
            to,
            tally: Tally::default(),
            crowd,
            standing: Arc::clone(&standing),
        });
        open.to = open.to.max(to);
        open.tally.merge_figures(delta);
        open.crowd = crowd;
        open.standing = standing;
        over
    }

    /// What is open, as far as it came.
    pub fn rest(&mut self) -> Option<Second> {
        let open = self.open.take()?;
        self.told = open.to;
        Some(open)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::sample;

    fn told(pieces: &[(u64, u64)]) -> Vec<Second> {
        let standing = Arc::new(sample::open().standing());
        let mut seconds = Seconds::after(Offset::ZERO);
        let mut all = Vec::new();
        for &(millis, sent) in pieces {
            let mut delta = Tally::default();
            delta.counts.sent = sent;
            let to = Offset::from_nanos(millis * 1_000_000);
            all.extend(seconds.push(to, &delta, Crowd::default(), Arc::clone(&standing)));
        }
        all.extend(seconds.rest());
        all
    }

    fn brief(all: &[Second]) -> Vec<(u64, u64, u64, u64)> {
        let millis = |at: Offset| at.as_nanos() / 1_000_000;
        let all = all.iter();
        all.map(|of| {
            (
                of.number,
                millis(of.from),
                millis(of.to),
                of.tally.counts.sent,
            )
        })
        .collect()
    }

    #[test]
    fn pieces_of_a_second_are_one() {
        let pieces = [(1000, 1), (1300, 2), (2000, 4), (2000, 8), (2900, 16)];
        let wanted = [(1, 0, 1000, 1), (2, 1000, 2000, 14), (3, 2000, 2900, 16)];
        assert_eq!(brief(&told(&pieces)), wanted);
    }

    #[test]
    fn a_silent_second_is_in_the_next_ones_span_and_what_is_late_counts_where_it_comes() {
        let wanted = [(1, 0, 1000, 1), (4, 1000, 4000, 6)];
        assert_eq!(brief(&told(&[(1000, 1), (4000, 2), (3000, 4)])), wanted);
        assert_eq!(brief(&told(&[(0, 1)])), [(1, 0, 0, 1)]);
    }

    proptest! {
        #[test]
        fn seconds_come_once_in_order_without_gaps_and_add_up(pieces in proptest::collection::vec((0..9_000_u64, 0..99_u64), 0..60)) {
            let all = told(&pieces);
            let sent: u64 = all.iter().map(|of| of.tally.counts.sent).sum();
            prop_assert_eq!(sent, pieces.iter().map(|(_, sent)| sent).sum::<u64>());
            prop_assert!(all.windows(2).all(|two| two[0].number < two[1].number && two[0].to == two[1].from));
            prop_assert!(all.iter().all(|of| of.to.as_nanos().div_ceil(NANOS).max(1) == of.number));
        }
    }
}
