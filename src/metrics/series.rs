//! One distribution: a high dynamic range histogram with the exact count, sum, minimum and maximum beside it.
//! It knows no metric and no unit but the histogram's own: nanoseconds, or things scaled by `COUNT_SCALE`.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};

/// Counts of things are recorded multiplied by this, so that a table that divides by 1e6 shows milliseconds or things.
pub const COUNT_SCALE: u64 = 1_000_000;

/// The lowest value that the histogram tells from others: 1 µs.
const LOWEST: u64 = 1_000;
/// The highest value that the histogram holds: 24 h.
const HIGHEST: u64 = 86_400_000_000_000;
/// Significant decimal digits: a bucket is at most 0.1% of its value wide.
const DIGITS: u8 = 3;

/// The layout that follows from the three constants above, as the V2 format numbers the buckets:
/// 2^9 is the largest power of two not above `LOWEST`, and 2^11 the smallest that keeps `DIGITS` digits.
const UNIT_BITS: u32 = 9;
const SUB_BUCKET_BITS: u32 = 11;

const V2_COOKIE: u32 = 0x1c84_9313;
const V2_HEADER: usize = 40;
/// More bytes than any serialised series has: a header, and nine bytes for each of the 29 × 1,024 buckets.
pub const MAX_V2_BYTES: usize = V2_HEADER + 29 * 1_024 * 9;

/// Most values that one serialised series may bring: eight million such parts fit into the format's counters.
const MAX_PART: u64 = 1 << 40;

/// Why bytes are not a series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// Longer than any series is, or shorter than a header.
    #[error("a histogram of `{0}` bytes is impossible")]
    Size(usize),
    /// Not the V2 format, or another range or precision than this program's.
    #[error("the histogram has another format or layout than this version's")]
    Layout,
    /// The buckets are not what an encoder writes.
    #[error("the histogram's buckets are damaged at byte `{0}`")]
    Buckets(usize),
    /// The histogram and the exact figures beside it contradict each other.
    #[error("the histogram holds `{histogram}` values where `{count}` were announced")]
    Count {
        /// Values in the histogram.
        histogram: u64,
        /// Values by the exact count.
        count: u64,
    },
    /// Minimum, maximum and sum cannot be those of the histogram's values.
    #[error("the exact minimum, maximum or sum contradict the histogram")]
    Exact,
}

/// A distribution of values. Merging two gives what recording all values into one would have given.
///
/// The histogram is allocated with the first value: about 240 KB of address space, of which only touched pages cost.
#[derive(Clone, Debug, Default)]
pub struct Series {
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
    histogram: Option<Histogram<u64>>,
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
        self.dense()
            .saturating_record_n(value.clamp(LOWEST, HIGHEST), n);
    }

    /// Adds all values of `other`.
    #[expect(clippy::missing_panics_doc, reason = "the layouts cannot differ")]
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = other.histogram.as_ref().filter(|_| other.count > 0) else {
            return;
        };
        self.note_exact(other.count, other.sum, other.min, other.max);
        self.dense()
            .add(theirs)
            .expect("both histograms have the one layout");
    }

    /// An empty one that has its memory already, so that recording into it never waits for any.
    pub fn roomy() -> Self {
        let mut series = Self::default();
        series.dense();
        series
    }

    /// Removes all values and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        let mut histogram = self.histogram.take();
        if self.count > 0
            && let Some(histogram) = &mut histogram
        {
            histogram.reset();
        }
        *self = Self {
            histogram,
            ..Self::default()
        };
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
    pub fn percentile(&self, q: f64) -> Option<u64> {
        let histogram = self.histogram.as_ref().filter(|_| self.count > 0)?;
        if q >= 1.0 {
            return Some(self.max);
        }
        Some(histogram.value_at_quantile(q).clamp(self.min, self.max))
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
    #[expect(clippy::missing_panics_doc, reason = "neither failure can happen")]
    pub fn to_v2(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(histogram) = self.histogram.as_ref().filter(|_| self.count > 0) {
            V2Serializer::new()
                .serialize(histogram, &mut bytes)
                .expect("memory takes every byte, and no count passes 2^63");
        }
        bytes
    }

    /// A series from its parts, as they come from another process.
    ///
    /// # Errors
    ///
    /// When the bytes are no histogram of this layout, hold more than 2^40 values, or contradict the exact figures. Nothing of the bytes'
    /// own wish is allocated.
    pub fn from_parts(
        v2: &[u8],
        count: u64,
        sum: u128,
        min: u64,
        max: u64,
    ) -> Result<Self, SeriesError> {
        let mut series = Self::default();
        series.add_v2(v2, count, sum, min, max)?;
        Ok(series)
    }

    /// Merges a serialised series without building it first; on an error `self` is as it was.
    ///
    /// # Errors
    ///
    /// As [`Series::from_parts`].
    pub fn add_v2(
        &mut self,
        v2: &[u8],
        count: u64,
        sum: u128,
        min: u64,
        max: u64,
    ) -> Result<(), SeriesError> {
        if v2.is_empty() && count == 0 {
            return if (sum, min, max) == (0, 0, 0) {
                Ok(())
            } else {
                Err(SeriesError::Exact)
            };
        }
        let payload = v2_payload(v2)?;
        check_parts(payload, count, sum, min, max)?;
        let dense = self.dense();
        for bucket in Buckets::of(payload) {
            let (value, n) = bucket?;
            dense.saturating_record_n(value, n);
        }
        self.note_exact(count, sum, min, max);
        Ok(())
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

    fn dense(&mut self) -> &mut Histogram<u64> {
        self.histogram.get_or_insert_with(|| {
            Histogram::new_with_bounds(LOWEST, HIGHEST, DIGITS)
                .expect("the bounds are constants that the crate accepts")
        })
    }
}

impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        let exact = |series: &Self| (series.count, series.sum, series.min, series.max);
        exact(self) == exact(other) && (self.count == 0 || self.histogram == other.histogram)
    }
}

/// What follows a V2 header that announces exactly this layout.
fn v2_payload(v2: &[u8]) -> Result<&[u8], SeriesError> {
    if v2.len() > MAX_V2_BYTES {
        return Err(SeriesError::Size(v2.len()));
    }
    let (header, payload) = v2
        .split_at_checked(V2_HEADER)
        .ok_or(SeriesError::Size(v2.len()))?;
    let length = u32::try_from(payload.len()).map_err(|_| SeriesError::Size(v2.len()))?;
    if header == v2_header(length) {
        Ok(payload)
    } else {
        Err(SeriesError::Layout)
    }
}

/// The only header that this layout can have: cookie, payload length, offset, digits, bounds, ratio.
fn v2_header(payload_len: u32) -> [u8; V2_HEADER] {
    let mut header = [0; V2_HEADER];
    header[0..4].copy_from_slice(&V2_COOKIE.to_be_bytes());
    header[4..8].copy_from_slice(&payload_len.to_be_bytes());
    header[12..16].copy_from_slice(&u32::from(DIGITS).to_be_bytes());
    header[16..24].copy_from_slice(&LOWEST.to_be_bytes());
    header[24..32].copy_from_slice(&HIGHEST.to_be_bytes());
    header[32..40].copy_from_slice(&1.0_f64.to_be_bytes());
    header
}

/// Walks the buckets once, and holds them against the exact figures.
fn check_parts(
    payload: &[u8],
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
) -> Result<(), SeriesError> {
    let (mut total, mut lowest, mut highest) = (0_u64, None, 0);
    for bucket in Buckets::of(payload) {
        let (value, n) = bucket?;
        total = total.checked_add(n).ok_or(SeriesError::Exact)?;
        lowest.get_or_insert(value);
        highest = value;
    }
    if total != count || !(1..=MAX_PART).contains(&count) {
        return Err(SeriesError::Count {
            histogram: total,
            count,
        });
    }
    let least = u128::from(min) * u128::from(count);
    let most = u128::from(max) * u128::from(count);
    let fits = min <= max
        && (least..=most).contains(&sum)
        && Some(bucket_floor(min)) == lowest
        && bucket_floor(max) == highest;
    fits.then_some(()).ok_or(SeriesError::Exact)
}

/// The lowest value of the bucket that holds `value`.
fn bucket_floor(value: u64) -> u64 {
    let value = value.clamp(LOWEST, HIGHEST);
    let bits = u64::BITS - value.leading_zeros();
    let width = bits.saturating_sub(SUB_BUCKET_BITS).max(UNIT_BITS);
    value >> width << width
}

/// The lowest value of bucket `index`, if this layout has such a bucket.
fn bucket_value(index: u64) -> Option<u64> {
    let half_bits = SUB_BUCKET_BITS - 1;
    let half = 1 << half_bits;
    let (octave, sub) = match (index >> half_bits).checked_sub(1) {
        None => (0, index),
        Some(octave) => (u32::try_from(octave).ok()?, (index & (half - 1)) + half),
    };
    if octave > u64::BITS - UNIT_BITS - SUB_BUCKET_BITS {
        return None;
    }
    let value = sub << (octave + UNIT_BITS);
    (bucket_floor(LOWEST)..=HIGHEST)
        .contains(&value)
        .then_some(value)
}

/// The filled buckets of a V2 payload: (lowest value, count). Zig-zag LEB128 with a ninth byte taken whole;
/// a negative number is a run of empty buckets.
struct Buckets<'a> {
    payload: &'a [u8],
    at: usize,
    index: u64,
}

impl<'a> Buckets<'a> {
    const fn of(payload: &'a [u8]) -> Self {
        Self {
            payload,
            at: 0,
            index: 0,
        }
    }

    fn number(&mut self) -> Option<i64> {
        let mut encoded = 0;
        for place in 0..9 {
            let byte = *self.payload.get(self.at)?;
            self.at += 1;
            if place == 8 {
                encoded |= u64::from(byte) << 56;
                break;
            }
            encoded |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some((encoded >> 1).cast_signed() ^ -(encoded & 1).cast_signed())
    }

    fn filled(&mut self) -> Option<(u64, u64)> {
        loop {
            let number = self.number()?;
            if number > 0 {
                let value = bucket_value(self.index)?;
                self.index += 1;
                return Some((value, number.unsigned_abs()));
            }
            // An encoder writes a run of zeros as one number, and none at the end.
            self.index = self.index.checked_add(number.unsigned_abs().max(1))?;
        }
    }
}

impl Iterator for Buckets<'_> {
    type Item = Result<(u64, u64), SeriesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.payload.len() {
            return None;
        }
        let start = self.at;
        let bucket = self.filled().ok_or(SeriesError::Buckets(start));
        if bucket.is_err() {
            self.at = self.payload.len();
        }
        Some(bucket)
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
