//! Whole seconds of a run, of what workers told in whatever pieces: each second is given on once, when a later one has begun. It
//! knows no row.

use std::sync::Arc;

use crate::domain::Offset;
use crate::metrics::Tally;
use crate::report::{Crowd, Standing};

const NANOS: u64 = 1_000_000_000;
/// A piece that ends so little after a second's end is of that second: workers tell theirs when they come to it.
const LATE_NS: u64 = 250_000_000;

/// One second of a run.
#[derive(Clone, Debug)]
pub struct Second {
    /// Which, from 1.
    pub number: u64,
    /// From when it holds what was measured: until when the one before does.
    pub from: Offset,
    /// Until when: the same, if nothing was told of this second.
    pub to: Offset,
    /// What all workers measured in it.
    pub tally: Tally,
    /// Users and requests at its end.
    pub crowd: Crowd,
    /// How the run stood then.
    pub standing: Arc<Standing>,
}

impl Second {
    /// When it is over.
    pub fn at(&self) -> Offset {
        if self.from < self.to {
            self.to
        } else {
            Offset::from_nanos(self.number.saturating_mul(NANOS))
        }
    }
}

/// A run's seconds, as they come.
#[derive(Debug, Default)]
pub struct Seconds {
    open: Option<Second>,
    told: Offset,
    /// The last second that is over.
    last: u64,
}

impl Seconds {
    /// Takes in what was measured until `to`, and gives the seconds that are over by that.
    ///
    /// Each comes once and in order. One of which nothing was told is empty, and its time is a part of the next one's span. What comes
    /// late, of a second that is over, counts in the one that is open.
    pub fn push(
        &mut self,
        to: Offset,
        delta: &Tally,
        crowd: Crowd,
        standing: Arc<Standing>,
    ) -> Vec<Second> {
        let to = to.max(self.told);
        let number = to.as_nanos().saturating_sub(LATE_NS).div_ceil(NANOS).max(1);
        let mut over = Vec::new();
        if self.open.as_ref().is_none_or(|open| number > open.number) {
            over.extend(self.rest());
            let silent = self.last + 1..number;
            let second = |number| Second {
                number,
                from: self.told,
                to: self.told,
                tally: Tally::default(),
                crowd,
                standing: Arc::clone(&standing),
            };
            over.extend(silent.map(second));
            self.open = Some(second(number));
        }
        if let Some(open) = &mut self.open {
            open.to = open.to.max(to);
            open.tally.merge_figures(delta);
            open.crowd = crowd;
            open.standing = standing;
        }
        over
    }

    /// What is open, as far as it came.
    pub fn rest(&mut self) -> Option<Second> {
        let open = self.open.take()?;
        self.told = open.to;
        self.last = open.number;
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
        let mut seconds = Seconds::default();
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
        let pieces = [(1000, 1), (1300, 2), (2000, 4), (2050, 8), (2900, 16)];
        let wanted = [(1, 0, 1000, 1), (2, 1000, 2050, 14), (3, 2050, 2900, 16)];
        assert_eq!(brief(&told(&pieces)), wanted);
    }

    #[test]
    fn a_silent_second_is_empty_and_what_is_late_counts_where_it_comes() {
        let all = told(&[(1000, 1), (4000, 2), (3000, 4)]);
        let wanted = [
            (1, 0, 1000, 1),
            (2, 1000, 1000, 0),
            (3, 1000, 1000, 0),
            (4, 1000, 4000, 6),
        ];
        assert_eq!(brief(&all), wanted);
        assert_eq!(all[1].at(), Offset::from_nanos(2 * NANOS));
        assert_eq!(brief(&told(&[(0, 1)])), [(1, 0, 0, 1)]);
    }

    proptest! {
        #[test]
        fn each_second_comes_once_without_gaps_and_they_add_up(pieces in proptest::collection::vec((0..9_000_u64, 0..99_u64), 1..60)) {
            let all = told(&pieces);
            let sent: u64 = all.iter().map(|of| of.tally.counts.sent).sum();
            prop_assert_eq!(sent, pieces.iter().map(|(_, sent)| sent).sum::<u64>());
            prop_assert!(all.windows(2).all(|two| two[0].to == two[1].from && two[0].at() < two[1].at()));
            prop_assert!(all.iter().zip(1..).all(|(of, number)| of.number == number));
            prop_assert_eq!(all.last().unwrap().to.as_nanos() / 1_000_000, pieces.iter().map(|(to, _)| *to).max().unwrap());
        }
    }
}
