//! The one layout of all histograms: which bucket holds a value, and `HdrHistogram`'s V2 form of buckets as bytes.
//! It holds no values, and knows no exact figure beside them.

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
const HALF_BITS: u32 = SUB_BUCKET_BITS - 1;

/// The buckets of `LOWEST` and of `HIGHEST`: others stay empty.
const FIRST: u64 = bucket_of(LOWEST);
const LAST: u64 = bucket_of(HIGHEST);

/// How many buckets the layout has.
pub(super) const BUCKETS: usize = 29 << HALF_BITS;

const COOKIE: u32 = 0x1c84_9313;
const HEADER: usize = 40;
/// More bytes than any serialised series has: a header, and nine bytes for each bucket.
pub const MAX_V2_BYTES: usize = HEADER + BUCKETS * 9;

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

/// What the buckets of a payload amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Values in all buckets, at most 2^64 − 1.
    pub(super) total: u64,
    /// The first bucket with a value.
    pub(super) first: u64,
    /// The last bucket with a value.
    pub(super) last: u64,
}

/// What follows a header that announces exactly this layout.
pub(super) fn payload(v2: &[u8]) -> Result<&[u8], SeriesError> {
    if v2.len() > MAX_V2_BYTES {
        return Err(SeriesError::Size(v2.len()));
    }
    let (announced, payload) = v2
        .split_at_checked(HEADER)
        .ok_or(SeriesError::Size(v2.len()))?;
    let length = u32::try_from(payload.len()).map_err(|_| SeriesError::Size(v2.len()))?;
    if announced == header(length) {
        Ok(payload)
    } else {
        Err(SeriesError::Layout)
    }
}

/// The only header that this layout can have: cookie, payload length, offset, digits, bounds, ratio.
pub(super) fn header(payload_len: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&COOKIE.to_be_bytes());
    header[4..8].copy_from_slice(&payload_len.to_be_bytes());
    header[12..16].copy_from_slice(&u32::from(DIGITS).to_be_bytes());
    header[16..24].copy_from_slice(&LOWEST.to_be_bytes());
    header[24..32].copy_from_slice(&HIGHEST.to_be_bytes());
    header[32..40].copy_from_slice(&1.0_f64.to_be_bytes());
    header
}

/// Walks all buckets of a payload once, and checks that they are buckets of this layout with the last one filled.
pub(super) fn extent(payload: &[u8]) -> Result<Extent, SeriesError> {
    let (mut total, mut first, mut last) = (0_u64, u64::MAX, 0);
    let end = walk(payload, |bucket, n| {
        total = total.saturating_add(n);
        first = first.min(if n > 0 { bucket } else { u64::MAX });
        last = if n > 0 { bucket } else { last };
    })?;
    // An encoder writes no empty buckets at the end.
    if first < FIRST || last > LAST || last + 1 != end {
        return Err(SeriesError::Buckets(payload.len()));
    }
    Ok(Extent { total, first, last })
}

/// The number of the bucket that holds `value`, or the nearest value within `LOWEST` and `HIGHEST`.
#[inline]
pub(super) const fn bucket_of(value: u64) -> u64 {
    let value = if value < LOWEST {
        LOWEST
    } else if value > HIGHEST {
        HIGHEST
    } else {
        value
    };
    let units = value >> UNIT_BITS;
    let bits = u64::BITS - units.leading_zeros();
    let octave = bits.saturating_sub(SUB_BUCKET_BITS);
    ((octave as u64) << HALF_BITS) + (units >> octave)
}

/// The lowest value of a bucket.
pub(super) const fn floor_of(bucket: u64) -> u64 {
    let octave = (bucket >> HALF_BITS).saturating_sub(1);
    (bucket - (octave << HALF_BITS)) << (octave + UNIT_BITS as u64)
}

/// The highest value of a bucket.
pub(super) const fn ceiling_of(bucket: u64) -> u64 {
    floor_of(bucket + 1) - 1
}

/// Gives each number of a payload to `each`: a bucket and how many values are in it, or 0 for the first of a run of empty
/// buckets. Returns the bucket after the last.
///
/// No branch in it depends on whether a number is a run, which nobody could predict.
#[inline]
pub(super) fn walk(payload: &[u8], mut each: impl FnMut(u64, u64)) -> Result<u64, SeriesError> {
    let (mut at, mut bucket) = (0, 0_u64);
    while let Some(&byte) = payload.get(at) {
        let start = at;
        at += 1;
        let mut encoded = u64::from(byte);
        if byte >= 0x80 {
            encoded = long_number(payload, &mut at).ok_or(SeriesError::Buckets(start))?;
        }
        // Zig-zag: even numbers are twice a count, zero among them; odd ones are runs, one less than their length doubled.
        let half = encoded >> 1;
        let is_run = (encoded & 1).wrapping_neg();
        each(bucket, half & !is_run);
        bucket = bucket.saturating_add(1 + (half & is_run));
    }
    Ok(bucket)
}

/// The V2 form of `counts`, which are those of the buckets from `first` on; the last one is not 0.
pub(super) fn v2(first: usize, counts: &[u64]) -> Vec<u8> {
    let mut bytes = header(0).to_vec();
    let mut empty = first as u64;
    for &count in counts {
        if count == 0 {
            empty += 1;
            continue;
        }
        // One empty bucket is a zero; more are a run.
        match std::mem::take(&mut empty) {
            0 => {}
            1 => push_number(&mut bytes, 0),
            run => push_number(&mut bytes, (run - 1) << 1 | 1),
        }
        push_number(&mut bytes, count.min(MOST_IN_A_BUCKET) << 1);
    }
    let length = u32::try_from(bytes.len() - HEADER).unwrap_or(u32::MAX);
    bytes[..HEADER].copy_from_slice(&header(length));
    bytes
}

/// The format's numbers are signed.
const MOST_IN_A_BUCKET: u64 = i64::MAX as u64;

fn push_number(bytes: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    for _ in 0..8 {
        let low = rest.to_le_bytes()[0] & 0x7f;
        rest >>= 7;
        if rest == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
    bytes.push(rest.to_le_bytes()[0]);
}

/// LEB128 with a ninth byte taken whole, of which the first byte is behind already.
fn long_number(payload: &[u8], at: &mut usize) -> Option<u64> {
    let mut encoded = u64::from(payload[*at - 1] & 0x7f);
    for place in 1..8 {
        let byte = *payload.get(*at)?;
        *at += 1;
        encoded |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(encoded);
        }
    }
    let byte = *payload.get(*at)?;
    *at += 1;
    Some(encoded | u64::from(byte) << 56)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_constants_agree_with_the_crate() {
        let histogram = Histogram::<u64>::new_with_bounds(LOWEST, HIGHEST, DIGITS).unwrap();
        assert_eq!(histogram.distinct_values(), BUCKETS);
        for value in [1_000, 1_048_575, 1_048_576, 999_999_999, HIGHEST] {
            let floor = histogram.lowest_equivalent(value);
            assert_eq!(floor_of(bucket_of(value)), floor);
        }
        assert_eq!((bucket_of(0), bucket_of(u64::MAX)), (FIRST, LAST));
        for bucket in FIRST..=LAST {
            let floor = floor_of(bucket);
            assert_eq!(histogram.lowest_equivalent(floor), floor);
            assert_eq!(ceiling_of(bucket), histogram.highest_equivalent(floor));
            assert_eq!(bucket_of(floor.max(LOWEST)), bucket);
            assert_eq!(bucket_of(ceiling_of(bucket)), bucket);
        }
    }

    #[test]
    fn buckets_beyond_the_range_and_unfinished_numbers_are_refused() {
        let at = |payload: &[u8]| extent(payload).map(|_| ());
        // A value in the bucket of zero, which this layout leaves empty.
        assert_eq!(at(&[2]), Err(SeriesError::Buckets(1)));
        assert_eq!(at(&[0, 2]), Ok(()));
        // Nothing at all, or empty buckets at the end.
        assert_eq!(at(&[]), Err(SeriesError::Buckets(0)));
        assert_eq!(at(&[0, 0]), Err(SeriesError::Buckets(2)));
        assert_eq!(at(&[0, 2, 0]), Err(SeriesError::Buckets(3)));
        assert_eq!(at(&[0, 2, 1]), Err(SeriesError::Buckets(3)));
        // A number that goes on after the end, and runs of 2^63 empty buckets.
        assert_eq!(at(&[0, 2, 0x80]), Err(SeriesError::Buckets(2)));
        assert_eq!(at(&[0xff; 9]), Err(SeriesError::Buckets(9)));
        let twice = [[0xff; 18].as_slice(), &[2]].concat();
        assert_eq!(at(&twice), Err(SeriesError::Buckets(19)));
        // The last bucket of the layout and the one after it.
        let after = |empty: u64| {
            let mut payload = Vec::new();
            push_number(&mut payload, (empty - 1) << 1 | 1);
            payload.push(2);
            payload
        };
        assert_eq!(at(&after(LAST)), Ok(()));
        assert_eq!(at(&after(LAST + 1)), Err(SeriesError::Buckets(4)));
    }

    #[test]
    fn what_all_buckets_hold_may_be_more_than_a_number() {
        let mut payload = vec![0];
        (0..3).for_each(|_| push_number(&mut payload, MOST_IN_A_BUCKET << 1));
        let extent = extent(&payload).unwrap();
        assert_eq!((extent.total, extent.first, extent.last), (u64::MAX, 1, 3));
    }

    proptest! {
        #[test]
        fn numbers_of_any_length_come_back(shift in 0_u32..64, number: u64) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            let mut at = 1;
            let read = if bytes[0] < 0x80 { Some(bytes[0].into()) } else { long_number(&bytes, &mut at) };
            prop_assert_eq!((read, at), (Some(number), bytes.len()));
        }
    }
}
