//! A histogram with a place for every bucket: what is recorded and merged into.
//! It knows neither how many values there are nor their exact figures; `Series` does.

use super::buckets::{self, BUCKETS};

/// How many values are in each bucket. Its memory is zero pages until a bucket on them is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dense(Vec<u64>);

impl Dense {
    pub(super) fn new() -> Self {
        Self(vec![0; BUCKETS])
    }

    /// Adds `value`, or the nearest one that the layout holds, `n` times.
    pub(super) fn record(&mut self, value: u64, n: u64) {
        add(&mut self.0, buckets::bucket_of(value), n);
    }

    /// Adds what `other` holds, all of which is between `min` and `max`.
    pub(super) fn merge(&mut self, other: &Self, min: u64, max: u64) {
        let filled = span(min, max);
        let ours = self.0[filled.clone()].iter_mut();
        for (ours, theirs) in ours.zip(&other.0[filled]) {
            *ours = ours.saturating_add(*theirs);
        }
    }

    /// Adds the buckets of a payload that was checked.
    pub(super) fn merge_packed(&mut self, payload: &[u8]) {
        let counts = &mut self.0[..];
        // There is no error in it, and no bucket that is not there.
        let _ = buckets::walk(payload, |bucket, n| add(counts, bucket, n));
    }

    /// Empties it; all that it holds is between `min` and `max`.
    pub(super) fn clear(&mut self, min: u64, max: u64) {
        self.0[span(min, max)].fill(0);
    }

    /// All buckets, up to that of `max`, in the V2 format.
    pub(super) fn v2(&self, max: u64) -> Vec<u8> {
        buckets::v2(&self.0[..span(max, max).end])
    }

    /// Each bucket from that of `min` to that of `max`, and how many values are in it.
    pub(super) fn each(&self, min: u64, max: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = buckets::bucket_of(min);
        (first..).zip(self.0[span(min, max)].iter().copied())
    }
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "numbers of buckets are small, and one that is not there is left out"
)]
fn add(counts: &mut [u64], bucket: u64, n: u64) {
    if let Some(count) = counts.get_mut(bucket as usize) {
        *count = count.saturating_add(n);
    }
}

/// The places of the buckets from that of `min` to that of `max`.
fn span(min: u64, max: u64) -> std::ops::Range<usize> {
    let place = |value| usize::try_from(buckets::bucket_of(value)).unwrap_or(0);
    place(min)..place(max) + 1
}
