//! One distribution: a high dynamic range histogram with the exact count, sum, minimum and maximum beside it.
//! It knows no metric and no unit but the histogram's own: nanoseconds, or things scaled by `COUNT_SCALE`.

use std::borrow::Cow;

use super::SeriesError;
use super::buckets;
use super::dense::Dense;

/// Counts of things are recorded multiplied by this, so that a table that divides by 1e6 shows milliseconds or things.
pub const COUNT_SCALE: u64 = 1_000_000;

/// Most values that one serialised series may bring: eight million such parts fit into the format's counters.
const MAX_PART: u64 = 1 << 40;

/// Values of a distribution that are not told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// None of them is below this.
    pub low: u64,
    /// None of them is above this.
    pub high: u64,
    /// How many there are.
    pub count: u64,
}

/// A distribution of values. Merging two gives what recording all values into one would have given.
///
/// The histogram is allocated with the first value that is recorded: about 240 KB of address space, of which only touched pages cost.
/// A copy, and one that is only merged into, has the buckets between its least and its greatest value. One that came from another
/// process stays the bytes that it came as until something else than reading or merging it is wanted.
#[derive(Debug, Default)]
pub struct Series {
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
    dense: Option<Dense>,
    /// The values where there is no histogram: serialised, checked, and nothing when there are none.
    packed: Vec<u8>,
}

impl Series {
    /// Adds `value`.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Adds `value` `n` times. Values outside of 1 µs to 24 h keep their exact part in mean, minimum and maximum.
    pub fn record_n(&mut self, value: u64, n: u64) {
        if n == 0 {
            return;
        }
        self.note_exact(n, u128::from(value) * u128::from(n), value, value);
        self.whole().record(value, n);
    }

    /// Adds all values of `other`. One that is packed goes bucket by bucket into this one's histogram.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        let (min, max) = (other.min, other.max);
        match &other.dense {
            Some(theirs) if self.is_bare() => self.dense = Some(theirs.cut(min, max)),
            Some(theirs) => self.widened(min, max).merge(theirs, min, max),
            None if self.is_bare() => self.packed.clone_from(&other.packed),
            None => self.widened(min, max).merge_packed(other.payload()),
        }
        self.note_exact(other.count, other.sum, other.min, other.max);
    }

    /// An empty one that has its memory already, so that recording into it never waits for any.
    pub fn roomy() -> Self {
        let mut series = Self::default();
        series.whole();
        series
    }

    /// Removes all values and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        let mut dense = self.dense.take();
        if self.count > 0
            && let Some(dense) = &mut dense
        {
            dense.clear(self.min, self.max);
        }
        *self = Self {
            dense,
            ..Self::default()
        };
    }

    /// Gives up its histogram for the bytes that `to_v2` shows: what only waits takes a few of them instead of its memory.
    pub fn pack(&mut self) {
        if self.dense.is_some() {
            self.packed = self.to_v2();
            self.dense = None;
        }
    }

    /// How many values.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The exact sum.
    pub const fn sum(&self) -> u128 {
        self.sum
    }

    /// The exact smallest value.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The exact largest value.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The exact mean.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean is shown with at most 17 digits"
    )]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The smallest value that at least the share `q` (0 to 1) of all values do not exceed, to 0.1%.
    ///
    /// Never below the minimum nor above the maximum; for 1 it is the maximum itself.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is as exact as the share that it is asked by"
    )]
    pub fn percentile(&self, q: f64) -> Option<u64> {
        if q <= 0.0 {
            return self.min();
        }
        if q >= 1.0 {
            return self.max();
        }
        let bucket = self.ranked(((q * self.count as f64).ceil() as u64).max(1))?;
        Some(buckets::ceiling_of(bucket).clamp(self.min, self.max))
    }

    /// The bucket of the `rank`-th smallest value.
    fn ranked(&self, rank: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let mut passed = 0_u64;
        let mut passes = |n| {
            passed = passed.saturating_add(n);
            passed >= rank
        };
        if let Some(dense) = &self.dense {
            let mut each = dense.each(self.min, self.max);
            return each.find(|&(_, n)| passes(n)).map(|(bucket, _)| bucket);
        }
        let mut found = None;
        // It was walked when it came: there is no error in it.
        let _ = buckets::walk(self.payload(), |bucket, n| {
            found = found.or(passes(n).then_some(bucket));
        });
        found
    }

    /// The buckets that hold values, from the lowest.
    pub fn buckets(&self) -> Vec<Bucket> {
        let mut filled = Vec::new();
        let mut note = |bucket, count| {
            if count > 0 {
                filled.push(Bucket {
                    low: buckets::floor_of(bucket).clamp(self.min, self.max),
                    high: buckets::ceiling_of(bucket).clamp(self.min, self.max),
                    count,
                });
            }
        };
        match &self.dense {
            Some(dense) if self.count > 0 => dense
                .each(self.min, self.max)
                .for_each(|(bucket, count)| note(bucket, count)),
            // It was walked when it came: there is no error in it.
            _ => drop(buckets::walk(self.payload(), note)),
        }
        filled
    }

    /// Whether there are enough values for the percentile `q` to mean something: at least one value is expected
    /// beyond it. The largest value needs no more than to exist.
    #[expect(
        clippy::cast_precision_loss,
        reason = "only small counts are near the limit"
    )]
    pub fn supports(&self, q: f64) -> bool {
        // 1 − 0.9 is a little below 0.1 in binary, and ten values do support it.
        const ROUNDING: f64 = 1e-9;
        self.count > 0 && (q >= 1.0 || self.count as f64 * (1.0 - q) >= 1.0 - ROUNDING)
    }

    /// The histogram in the `HdrHistogram` V2 format, uncompressed; nothing when there are no values.
    pub fn to_v2(&self) -> Vec<u8> {
        match &self.dense {
            None => self.packed.clone(),
            Some(dense) if self.count > 0 => dense.v2(self.max),
            Some(_) => Vec::new(),
        }
    }

    /// `to_v2`, without a copy where the bytes are there already.
    pub fn into_v2(self) -> Vec<u8> {
        match self.dense {
            None => self.packed,
            Some(_) => self.to_v2(),
        }
    }

    /// A series from its parts, as they come from another process.
    ///
    /// # Errors
    ///
    /// When the bytes are no histogram of this layout, hold more than 2^40 values, or contradict the exact figures.
    pub fn from_parts(
        v2: &[u8],
        count: u64,
        sum: u128,
        min: u64,
        max: u64,
    ) -> Result<Self, SeriesError> {
        Self::from_v2(v2.to_vec(), count, sum, min, max)
    }

    /// The same from bytes that are given away: none is copied, and nothing is allocated.
    ///
    /// # Errors
    ///
    /// As [`Series::from_parts`].
    pub fn from_v2(
        v2: Vec<u8>,
        count: u64,
        sum: u128,
        min: u64,
        max: u64,
    ) -> Result<Self, SeriesError> {
        check(&v2, count, sum, min, max)?;
        Ok(Self {
            count,
            sum,
            min,
            max,
            dense: None,
            packed: v2,
        })
    }

    fn note_exact(&mut self, count: u64, sum: u128, min: u64, max: u64) {
        self.min = if self.count == 0 {
            min
        } else {
            self.min.min(min)
        };
        self.max = self.max.max(max);
        self.count = self.count.saturating_add(count);
        self.sum = self.sum.saturating_add(sum);
    }

    /// Whether there is neither a value nor memory for any.
    const fn is_bare(&self) -> bool {
        self.dense.is_none() && self.packed.is_empty()
    }

    /// The buckets of a packed one.
    fn payload(&self) -> &[u8] {
        // Only of no bytes there is none: they were checked.
        buckets::payload(&self.packed).unwrap_or_default()
    }

    /// The histogram to record into.
    fn whole(&mut self) -> &mut Dense {
        let packed = &mut self.packed;
        let dense = self.dense.get_or_insert_with(|| {
            let mut dense = Dense::new();
            dense.merge_packed(buckets::payload(&std::mem::take(packed)).unwrap_or_default());
            dense
        });
        dense.make_whole();
        dense
    }

    /// The histogram to merge what is between `min` and `max` into.
    fn widened(&mut self, min: u64, max: u64) -> &mut Dense {
        let (packed, own) = (&mut self.packed, (self.min, self.max));
        let dense = self
            .dense
            .get_or_insert_with(|| unpacked(&std::mem::take(packed), own));
        dense.widen(min, max);
        dense
    }

    /// Whether the buckets are the same; the exact figures are.
    fn has_buckets_of(&self, other: &Self) -> bool {
        match (self.unpacked(), other.unpacked()) {
            (Some(ours), Some(theirs)) => {
                let (min, max) = (self.min, self.max);
                ours.each(min, max).eq(theirs.each(min, max))
            }
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        }
    }

    /// The histogram to compare, if there are values.
    fn unpacked(&self) -> Option<Cow<'_, Dense>> {
        (self.count > 0).then(|| match &self.dense {
            Some(dense) => Cow::Borrowed(dense),
            None => Cow::Owned(unpacked(&self.packed, (self.min, self.max))),
        })
    }
}

/// The values of checked bytes, the least and the greatest of which are known.
fn unpacked(v2: &[u8], (min, max): (u64, u64)) -> Dense {
    let mut dense = Dense::between(min, max);
    dense.merge_packed(buckets::payload(v2).unwrap_or_default());
    dense
}

impl Clone for Series {
    /// As much of the histogram as is used; memory that waits for values is not copied.
    fn clone(&self) -> Self {
        let used = self.dense.as_ref().filter(|_| self.count > 0);
        Self {
            dense: used.map(|dense| dense.cut(self.min, self.max)),
            packed: self.packed.clone(),
            ..*self
        }
    }
}

impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        let exact = |series: &Self| (series.count, series.sum, series.min, series.max);
        let are_packed = self.dense.is_none() && other.dense.is_none();
        exact(self) == exact(other)
            // Encoders may write the same buckets differently, but the same bytes are the same buckets.
            && ((are_packed && self.packed == other.packed) || self.has_buckets_of(other))
    }
}

/// Holds serialised buckets against the exact figures beside them.
fn check(v2: &[u8], count: u64, sum: u128, min: u64, max: u64) -> Result<(), SeriesError> {
    if v2.is_empty() && count == 0 {
        let nothing = (sum, min, max) == (0, 0, 0);
        return nothing.then_some(()).ok_or(SeriesError::Exact);
    }
    let extent = buckets::extent(buckets::payload(v2)?)?;
    if extent.total != count || !(1..=MAX_PART).contains(&count) {
        return Err(SeriesError::Count {
            histogram: extent.total,
            count,
        });
    }
    let least = u128::from(min) * u128::from(count);
    let most = u128::from(max) * u128::from(count);
    let ends = (buckets::bucket_of(min), buckets::bucket_of(max));
    let fits = min <= max && (least..=most).contains(&sum) && (extent.first, extent.last) == ends;
    fits.then_some(()).ok_or(SeriesError::Exact)
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
