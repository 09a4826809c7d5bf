//! Looks as they are made, added up to what was seen: bounded in memory however long it goes on. It makes none itself.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::page::Page;
use super::{Lateness, Look, Watched};

/// Looks that are kept at most: some 13 MB as numbers in a file, and more than a chart can show.
pub const MOST_LOOKS: usize = 200_000;

/// An hour, in nanoseconds: what is later counts as this late in the percentiles.
const LATEST_NS: u64 = 3_600_000_000_000;

/// What has been seen of a server so far.
#[derive(Clone, Debug)]
pub struct Watching {
    watched: Watched,
    late_ns: Histogram<u64>,
    most: usize,
    /// How many looks one kept look stands for.
    each: u64,
    /// How many the last one stands for so far.
    in_last: u64,
    is_counted: bool,
}

impl Watching {
    /// Nothing yet, of looks that are due every `step`.
    pub fn new(step: Duration) -> Self {
        Self::with_most(step, MOST_LOOKS)
    }

    /// The same with room for another number of looks, of which it takes an even one.
    fn with_most(step: Duration, most: usize) -> Self {
        Self {
            watched: Watched {
                step_s: step.as_secs_f64(),
                ..Watched::default()
            },
            late_ns: Histogram::new_with_max(LATEST_NS, 3).expect(
                "an hour in nanoseconds with 3 digits is a range that a histogram can have",
            ),
            most: (most & !1).max(2),
            each: 1,
            in_last: 0,
            is_counted: false,
        }
    }

    /// A look of the schedule begins, so late.
    pub fn begun(&mut self, late: Duration) {
        let late = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.late_ns.saturating_record(late);
    }

    /// A page came; it was asked for at `at_s`, in seconds since 1970.
    pub fn saw(&mut self, at_s: f64, page: &Page) {
        self.keep(page.look(at_s));
        self.watched.after = page.counters;
        if !self.is_counted {
            self.watched.before = page.counters;
            self.is_counted = true;
        }
        if self.watched.server != page.server {
            page.server.clone_into(&mut self.watched.server);
        }
    }

    /// A look failed. The words are without secrets.
    pub fn failed(&mut self, words: String) {
        self.watched.failed += 1;
        self.watched.failure = words;
    }

    /// So many looks were due and not made.
    pub fn skipped(&mut self, looks: u64) {
        self.watched.skipped += looks;
    }

    /// Looks that failed so far.
    pub fn failures(&self) -> u64 {
        self.watched.failed
    }

    /// What was seen.
    pub fn done(self) -> Watched {
        Watched {
            lateness: Lateness::of(&self.late_ns),
            ..self.watched
        }
    }

    fn keep(&mut self, look: Look) {
        let looks = &mut self.watched.looks;
        if self.in_last < self.each
            && let Some(last) = looks.last_mut()
        {
            *last = last.merged(look);
            self.in_last += 1;
            return;
        }
        if looks.len() == self.most {
            let pairs = looks.chunks_exact(2);
            *looks = pairs.map(|pair| pair[0].merged(pair[1])).collect();
            self.each *= 2;
        }
        looks.push(look);
        self.in_last = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauges::Counters;
    use proptest::prelude::*;

    fn page(running: f64, tokens: f64) -> Page {
        Page {
            server: "vllm",
            running: Some(running),
            counters: Counters {
                prompt_tokens: None,
                output_tokens: Some(tokens),
            },
            ..Page::default()
        }
    }

    #[test]
    fn counters_are_those_of_the_first_and_the_last_page() {
        let mut watching = Watching::new(Duration::from_millis(250));
        watching.failed("first".to_owned());
        for (second, tokens) in [(1.0, 10.0), (2.0, 17.0), (3.0, 60.0)] {
            watching.begun(Duration::from_millis(2));
            watching.saw(second, &page(second, tokens));
        }
        watching.failed("status 503".to_owned());
        watching.skipped(4);
        let watched = watching.done();
        assert_eq!((watched.server.as_str(), watched.step_s), ("vllm", 0.25));
        assert_eq!(watched.counted().output_tokens, Some(50.0));
        assert_eq!((watched.failed, watched.skipped), (2, 4));
        assert_eq!(watched.failure, "status 503");
        assert_eq!(watched.looks.len(), 3);
        assert!((watched.lateness.max_s - 0.002).abs() < 1e-5);
    }

    #[test]
    fn where_no_page_came_nothing_is_known() {
        let mut watching = Watching::new(Duration::from_secs(1));
        watching.failed("status 404".to_owned());
        let watched = watching.done();
        assert_eq!((watched.server.as_str(), watched.looks.len()), ("", 0));
        assert_eq!(watched.counted(), Counters::default());
    }

    proptest! {
        /// Whatever is merged: the order and the peaks stay, and no look is lost.
        #[test]
        fn what_is_kept_is_bounded_and_loses_no_peak(
            values in prop::collection::vec(0_u32..1_000, 1..400),
            most in 2_usize..20,
        ) {
            let mut watching = Watching::with_most(Duration::from_secs(1), most);
            for (at, value) in (0_u32..).zip(&values) {
                watching.saw(f64::from(at), &page(f64::from(*value), 0.0));
                prop_assert!(watching.watched.looks.len() <= most);
            }
            let each = usize::try_from(watching.each).unwrap();
            let watched = watching.done();
            let expected: Vec<_> = values
                .chunks(each)
                .map(|chunk| f64::from(*chunk.iter().max().unwrap()))
                .collect();
            let got: Vec<_> = watched.looks.iter().filter_map(|look| look.running).collect();
            prop_assert_eq!(got, expected);
            prop_assert!(watched.looks.iter().map(|look| look.at_s).is_sorted());
        }
    }
}
