//! Tests of `Series`: percentiles, merging, and bytes from strangers.

use hdrhistogram::serialization::Deserializer;
use proptest::prelude::*;

use super::*;

fn series(values: &[u64]) -> Series {
    let mut series = Series::default();
    for &value in values {
        series.record(value);
    }
    series
}

fn values() -> impl Strategy<Value = Vec<u64>> {
    let value = prop_oneof![0_u64..3_000, 0_u64..10_000_000_000, any::<u64>()];
    prop::collection::vec(value, 0..60)
}

fn round_trip(series: &Series) -> Result<Series, SeriesError> {
    Series::from_parts(
        &series.to_v2(),
        series.count(),
        series.sum(),
        series.min().unwrap_or(0),
        series.max().unwrap_or(0),
    )
}

#[test]
fn an_empty_series_has_no_figures() {
    let empty = Series::default();
    assert_eq!(
        (empty.mean(), empty.percentile(0.5), empty.min()),
        (None, None, None)
    );
    assert!(!empty.supports(0.5) && empty.to_v2().is_empty());
}

#[test]
fn the_hundredth_percentile_is_the_maximum_even_beyond_the_range() {
    let all = series(&[3, 86_400_000_000_001, u64::MAX]);
    assert_eq!(all.percentile(1.0), Some(u64::MAX));
    assert_eq!(all.percentile(0.0).map(|low| low >= 3), Some(true));
    assert_eq!(series(&[123_456_789]).percentile(0.999), Some(123_456_789));
}

#[test]
fn a_percentile_needs_samples() {
    let of = |n| {
        let mut series = Series::default();
        series.record_n(5_000, n);
        series
    };
    assert!(!of(19).supports(0.999) && of(1_000).supports(0.999) && !of(999).supports(0.999));
    assert!(of(10).supports(0.9) && !of(9).supports(0.9));
    assert!(of(1).supports(1.0) && !of(1).supports(0.5) && of(2).supports(0.5));
}

#[test]
fn the_layout_constants_agree_with_the_crate() {
    let histogram = Histogram::<u64>::new_with_bounds(LOWEST, HIGHEST, DIGITS).unwrap();
    assert_eq!(histogram.distinct_values() * 9 + V2_HEADER, MAX_V2_BYTES);
    for value in [1_000, 1_048_575, 1_048_576, 999_999_999, HIGHEST] {
        assert_eq!(bucket_floor(value), histogram.lowest_equivalent(value));
    }
    let floors: Vec<_> = (0..29 * 1_024).filter_map(bucket_value).collect();
    assert!(
        floors
            .iter()
            .all(|&floor| histogram.lowest_equivalent(floor) == floor)
    );
    assert!(floors.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(bucket_value(0), None);
    assert_eq!(bucket_value(u64::MAX), None);
}

#[test]
fn contradicting_parts_are_refused() {
    let honest = series(&[5_000_000, 7_000_000]);
    let v2 = honest.to_v2();
    let with = |count, sum, min, max| Series::from_parts(&v2, count, sum, min, max);
    assert!(with(2, 12_000_000, 5_000_000, 7_000_000).is_ok());
    assert_eq!(
        with(3, 12_000_000, 5_000_000, 7_000_000),
        Err(SeriesError::Count {
            histogram: 2,
            count: 3
        })
    );
    for (sum, min, max) in [
        (12_000_000, 4_000_000, 7_000_000),
        (12_000_000, 5_000_000, 9_000_000),
        (99_000_000, 5_000_000, 7_000_000),
        (1, 5_000_000, 7_000_000),
    ] {
        assert_eq!(with(2, sum, min, max), Err(SeriesError::Exact));
    }
    assert_eq!(
        Series::from_parts(&[], 1, 1, 1, 1),
        Err(SeriesError::Size(0))
    );
    assert_eq!(Series::from_parts(&[], 0, 1, 0, 0), Err(SeriesError::Exact));
}

#[test]
fn other_layouts_and_sizes_are_refused_before_anything_is_allocated() {
    let mut other = Histogram::<u64>::new_with_bounds(1, HIGHEST, DIGITS).unwrap();
    other.record(5_000_000).unwrap();
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(&other, &mut bytes).unwrap();
    let read = |bytes: &[u8]| Series::from_parts(bytes, 1, 5_000_000, 5_000_000, 5_000_000);
    assert_eq!(read(&bytes), Err(SeriesError::Layout));
    assert_eq!(
        read(&vec![0; MAX_V2_BYTES + 1]),
        Err(SeriesError::Size(MAX_V2_BYTES + 1))
    );
    // The smallest zig-zag number: negating it overflows.
    let mut run = v2_header(9).to_vec();
    run.extend([0xff; 9]);
    assert_eq!(read(&run), Err(SeriesError::Buckets(0)));
}

proptest! {
    #[test]
    fn what_is_serialised_comes_back(values in values()) {
        let series = series(&values);
        prop_assert_eq!(round_trip(&series), Ok(series));
    }

    #[test]
    fn the_crate_reads_the_same_buckets(values in values()) {
        let series = series(&values);
        if let Some(ours) = &series.histogram {
            let theirs: Histogram<u64> =
                Deserializer::new().deserialize(&mut series.to_v2().as_slice()).unwrap();
            prop_assert_eq!(ours, &theirs);
        }
    }

    #[test]
    fn adding_bytes_is_merging(first in values(), second in values()) {
        let (mut added, other) = (series(&first), series(&second));
        let mut merged = added.clone();
        merged.merge(&other);
        added.add_v2(
            &other.to_v2(), other.count(), other.sum(),
            other.min().unwrap_or(0), other.max().unwrap_or(0),
        ).unwrap();
        prop_assert_eq!(added, merged);
    }

    #[test]
    fn merged_percentiles_are_those_of_the_union(first in values(), second in values()) {
        let mut merged = series(&first);
        merged.merge(&series(&second));
        let union = series(&[first, second].concat());
        for q in [0.0, 0.5, 0.9, 0.99, 1.0] {
            prop_assert_eq!(merged.percentile(q), union.percentile(q));
        }
        prop_assert_eq!(merged, union);
    }

    #[test]
    fn a_percentile_is_the_ranked_value_to_a_thousandth(
        mut values in prop::collection::vec(1_000_u64..10_000_000_000, 1..80),
        q in 0.0_f64..1.0,
    ) {
        let got = series(&values).percentile(q).unwrap();
        values.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "at most 80")]
        let rank = ((q * values.len() as f64).ceil() as usize).max(1);
        let want = values[rank - 1];
        prop_assert!(got.abs_diff(want) <= want / 1_000 + 512, "{} is not {}", got, want);
    }

    #[test]
    fn hostile_bytes_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        valid_header: bool,
        count in 0_u64..5,
        min: u64,
        max: u64,
    ) {
        if valid_header {
            let header = v2_header(u32::try_from(bytes.len()).unwrap());
            bytes = [&header[..], &bytes].concat();
        }
        let mut target = series(&[5_000]);
        let before = target.clone();
        if target.add_v2(&bytes, count, u128::from(min), min, max).is_err() {
            prop_assert_eq!(target, before);
        }
    }

    #[test]
    fn a_flipped_bit_is_never_believed_to_be_more(values in values(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let honest = series(&values);
        let mut bytes = honest.to_v2();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(read) = Series::from_parts(&bytes, honest.count(), honest.sum(), honest.min, honest.max) {
                prop_assert_eq!(read.histogram.map(|histogram| histogram.len()), Some(honest.count()));
            }
        }
    }
}

#[test]
fn one_that_was_emptied_is_like_a_new_one() {
    let mut fresh = Series::default();
    let mut used = Series::roomy();
    for value in [7_000_000, 3_000, 90_000_000_000] {
        used.record(value);
    }
    used.clear();
    assert!(used.is_empty() && used.percentile(0.5).is_none() && used.max().is_none());
    for value in [40_000, 41_000, 5_000_000] {
        fresh.record(value);
        used.record(value);
    }
    assert_eq!(used, fresh);
    assert_eq!(used.to_v2(), fresh.to_v2());
}
