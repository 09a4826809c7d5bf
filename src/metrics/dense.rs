//! A histogram with a place for every bucket, or for those of a stretch: what is recorded and merged into.
//! It knows neither how many values there are nor their exact figures; `Series` does.

use std::ops::Range;

use super::buckets::{self, BUCKETS};

/// How many values are in each bucket, from the bucket `first` on. A whole one has all buckets; its memory is zero pages until a
/// bucket on them is filled.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    first: usize,
    counts: Vec<u64>,
}

impl Dense {
    /// A whole one.
    pub(super) fn new() -> Self {
        Self::of(0..BUCKETS)
    }

    /// One that can take what is between `min` and `max`.
    pub(super) fn between(min: u64, max: u64) -> Self {
        Self::of(span(min, max))
    }

    fn of(places: Range<usize>) -> Self {
        Self {
            first: places.start,
            counts: vec![0; places.len()],
        }
    }

    /// A copy of what is between `min` and `max`, which can take no more than that.
    pub(super) fn cut(&self, min: u64, max: u64) -> Self {
        let places = span(min, max);
        Self {
            first: places.start,
            counts: self.inside(places).to_vec(),
        }
    }

    /// Makes it one that can take everything.
    pub(super) fn make_whole(&mut self) {
        if self.counts.len() < BUCKETS {
            self.grow(0..BUCKETS);
        }
    }

    /// Makes it one that can take what is between `min` and `max`, too.
    pub(super) fn widen(&mut self, min: u64, max: u64) {
        let (wanted, ours) = (span(min, max), self.places());
        if wanted.start < ours.start || wanted.end > ours.end {
            self.grow(wanted.start.min(ours.start)..wanted.end.max(ours.end));
        }
    }

    fn grow(&mut self, places: Range<usize>) {
        let small = std::mem::replace(self, Self::of(places));
        self.places_of(small.places())
            .copy_from_slice(&small.counts);
    }

    /// Adds `value`, or the nearest one that the layout holds, `n` times.
    pub(super) fn record(&mut self, value: u64, n: u64) {
        self.add(buckets::bucket_of(value), n);
    }

    /// Adds what `other` holds, all of which is between `min` and `max`.
    pub(super) fn merge(&mut self, other: &Self, min: u64, max: u64) {
        let filled = span(min, max);
        let ours = self.places_of(filled.clone()).iter_mut();
        for (ours, theirs) in ours.zip(other.inside(filled)) {
            *ours = ours.saturating_add(*theirs);
        }
    }

    /// Adds the buckets of a payload that was checked.
    pub(super) fn merge_packed(&mut self, payload: &[u8]) {
        // There is no error in it, and no bucket that is not there.
        let _ = buckets::walk(payload, |bucket, n| self.add(bucket, n));
    }

    /// Empties it; all that it holds is between `min` and `max`.
    pub(super) fn clear(&mut self, min: u64, max: u64) {
        self.places_of(span(min, max)).fill(0);
    }

    /// All buckets, up to that of `max`, in the V2 format.
    pub(super) fn v2(&self, max: u64) -> Vec<u8> {
        let end = span(max, max).end;
        buckets::v2(self.first, self.inside(self.first..end))
    }

    /// Each bucket from that of `min` to that of `max`, and how many values are in it.
    pub(super) fn each(&self, min: u64, max: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = buckets::bucket_of(min);
        (first..).zip(self.inside(span(min, max)).iter().copied())
    }

    /// A bucket that is not there is left out: who records or merges has seen to it that all are.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "numbers of buckets are small, and one that is not there is left out"
    )]
    fn add(&mut self, bucket: u64, n: u64) {
        let at = (bucket as usize).wrapping_sub(self.first);
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(n);
        }
    }

    fn places(&self) -> Range<usize> {
        self.first..self.first + self.counts.len()
    }

    fn inside(&self, places: Range<usize>) -> &[u64] {
        &self.counts[places.start - self.first..places.end - self.first]
    }

    fn places_of(&mut self, places: Range<usize>) -> &mut [u64] {
        &mut self.counts[places.start - self.first..places.end - self.first]
    }
}

/// The places of the buckets from that of `min` to that of `max`.
fn span(min: u64, max: u64) -> Range<usize> {
    let place = |value| usize::try_from(buckets::bucket_of(value)).unwrap_or(0);
    place(min)..place(max) + 1
}
