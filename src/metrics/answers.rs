//! Answers that are kept one by one: which of them, how much of each, and how those of two tallies become one's.
//! Of a bounded number those are kept whose indices have the least ranks, so that it does not matter who merged what first.

use std::collections::BTreeSet;

use super::Tally;
use crate::domain::{Answer, Index, Keep, Record};

/// What a plan wants kept of the answers one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// How much of each.
    pub keep: Keep,
    /// Of how many, over the whole run; `None` for all.
    pub at_most: Option<u32>,
}

impl Tally {
    /// Keeps the answer by itself; `text` is what a person would have seen of it.
    ///
    /// While it is filled, a tally may hold up to twice as many as it is to keep. Merging it leaves out the rest.
    pub fn keep(&mut self, record: &Record, text: Option<String>, keeping: Keeping) {
        let answer = Answer::new(record, keeping.keep, text);
        self.answers.insert(record.index, answer);
        self.answers_at_most = keeping.at_most;
        if let Some(most) = self.most_answers()
            && self.answers.len() >= 2 * most
        {
            self.trim_answers();
        }
    }

    /// Adds everything of `other`, and copies no answer.
    pub fn absorb(&mut self, mut other: Self) {
        self.merge_figures(&other);
        self.answers.append(&mut other.answers);
        self.limit_answers(other.answers_at_most);
    }

    pub(super) fn merge_answers(&mut self, other: &Self) {
        // No index is sent twice, so none is met twice.
        let answers = other.answers.iter();
        self.answers
            .extend(answers.map(|(index, answer)| (*index, answer.clone())));
        self.limit_answers(other.answers_at_most);
    }

    /// Who knows no limit does not lift another's.
    fn limit_answers(&mut self, at_most: Option<u32>) {
        let both = [self.answers_at_most, at_most];
        self.answers_at_most = both.into_iter().flatten().min();
        self.trim_answers();
    }

    fn most_answers(&self) -> Option<usize> {
        let most = self.answers_at_most?;
        Some(usize::try_from(most).unwrap_or(usize::MAX))
    }

    fn trim_answers(&mut self) {
        let Some(most) = self.most_answers() else {
            return;
        };
        if most == 0 {
            self.answers.clear();
        } else if self.answers.len() > most {
            let mut ranks: Vec<_> = self.answers.keys().map(|&index| place(index)).collect();
            let (_, &mut last, _) = ranks.select_nth_unstable(most - 1);
            self.answers.retain(|&index, _| place(index) <= last);
        }
    }
}

/// Where an index stands among all: by its rank.
const fn place(index: Index) -> (u64, Index) {
    (index.rank(), index)
}

/// Which answers of a stream of tallies can be among the least of all: what has gone by is remembered by its rank alone.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    least: BTreeSet<(u64, Index)>,
}

impl Sieve {
    /// Takes out of `tally` the answers that cannot be kept in the end, because enough lesser ones were seen.
    pub fn strain(&mut self, tally: &mut Tally) {
        let Some(most) = tally.most_answers() else {
            return;
        };
        self.least.extend(tally.answers.keys().copied().map(place));
        while self.least.len() > most {
            self.least.pop_last();
        }
        tally
            .answers
            .retain(|&index, _| self.least.contains(&place(index)));
    }
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
