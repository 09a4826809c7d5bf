//! Tests of `Series`: percentiles, merging, and bytes from strangers.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use proptest::prelude::*;

use super::super::{MAX_V2_BYTES, SeriesError};
use super::*;

const HOURS_24: u64 = 86_400_000_000_000;

fn series(values: &[u64]) -> Series {
    let mut series = Series::default();
    for &value in values {
        series.record(value);
    }
    series
}

/// The crate's histogram of the same values.
fn theirs(values: &[u64]) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1_000, HOURS_24, 3).unwrap();
    for &value in values {
        histogram.record(value.clamp(1_000, HOURS_24)).unwrap();
    }
    histogram
}

/// How many values the buckets of a series hold.
fn held(series: &Series) -> u64 {
    let bytes = series.to_v2();
    let mut bytes = bytes.as_slice();
    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes).unwrap();
    histogram.len()
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

fn merged(parts: [&Series; 3]) -> Series {
    let mut all = Series::default();
    for part in parts {
        all.merge(part);
    }
    all
}

/// Everything that a series shows.
fn shown(series: &Series, q: f64) -> impl PartialEq + std::fmt::Debug + use<> {
    let percentiles = [0.0, q, 0.5, 0.999, 1.0].map(|q| series.percentile(q));
    let exact = (series.count(), series.sum(), series.min(), series.max());
    (
        series.to_v2(),
        percentiles,
        exact,
        series.mean(),
        series.is_empty(),
        series.supports(q),
    )
}

#[test]
fn the_same_buckets_written_otherwise_are_the_same_values() {
    let want = series(&[5_000, 5_000, 9_000]);
    let usual = want.to_v2();
    // A run of empty buckets may be as many zeros, and a number may be longer than it needs to be.
    let zeros = |n: usize| vec![0_u8; n];
    let payload = [zeros(9), vec![4], zeros(7), vec![0x82, 0]].concat();
    let header = buckets::header(u32::try_from(payload.len()).unwrap());
    let other = [&header[..], &payload].concat();
    let read = |v2: &[u8]| Series::from_parts(v2, 3, 19_000, 5_000, 9_000).unwrap();
    assert_ne!(usual, other);
    assert_eq!(read(&usual), read(&other));
    assert_eq!(read(&other), want);
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
    let mut other = Histogram::<u64>::new_with_bounds(1, HOURS_24, 3).unwrap();
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
    let mut run = buckets::header(9).to_vec();
    run.extend([0xff; 9]);
    assert_eq!(read(&run), Err(SeriesError::Buckets(9)));
}

proptest! {
    #[test]
    fn what_is_serialised_comes_back(values in values()) {
        let series = series(&values);
        prop_assert_eq!(round_trip(&series), Ok(series));
    }

    #[test]
    fn buckets_percentiles_and_bytes_are_those_of_the_crate(values in values(), n in 1_u64..5_000_000_000, q in 0.0_f64..1.0) {
        let mut ours = series(&values);
        let mut crates = theirs(&values);
        if let Some(&value) = values.last() {
            ours.record_n(value, n);
            crates.record_n(value.clamp(1_000, HOURS_24), n).unwrap();
            let mut bytes = Vec::new();
            V2Serializer::new().serialize(&crates, &mut bytes).unwrap();
            prop_assert_eq!(&ours.to_v2(), &bytes);
            for series in [&ours, &round_trip(&ours).unwrap()] {
                let (min, max) = (ours.min().unwrap(), ours.max().unwrap());
                prop_assert_eq!(series.percentile(0.0), Some(min));
                for q in [q, 0.5, 0.999].into_iter().filter(|&q| q > 0.0) {
                    prop_assert_eq!(series.percentile(q), Some(crates.value_at_quantile(q).clamp(min, max)));
                }
            }
        }
    }

    #[test]
    fn packed_and_dense_are_not_told_apart(parts in [values(), values(), values()], packed: [bool; 3], q in 0.0_f64..=1.0) {
        let parts = parts.map(|values| series(&values));
        for dense in &parts {
            let packed = round_trip(dense).unwrap();
            let mut given_up = dense.clone();
            given_up.pack();
            prop_assert!(packed.dense.is_none() && given_up.dense.is_none());
            prop_assert_eq!(&given_up.packed, &packed.packed);
            prop_assert_eq!(dense, &packed);
            prop_assert_eq!(shown(dense, q), shown(&packed, q));
            prop_assert_eq!(dense.to_v2(), packed.into_v2());
        }
        let want = merged([&parts[0], &parts[1], &parts[2]]);
        let form = |place: usize| {
            let part = &parts[place];
            if packed[place] { round_trip(part).unwrap() } else { part.clone() }
        };
        let mut all = merged([&form(2), &form(0), &form(1)]);
        prop_assert_eq!(&all, &want);
        prop_assert_eq!(shown(&all, q), shown(&want, q));
        // Recording goes on in either form.
        let mut more = want.clone();
        all.record_n(77_000_000, 3);
        more.record_n(77_000_000, 3);
        prop_assert_eq!(shown(&all, q), shown(&more, q));
        all.clear();
        prop_assert_eq!(&all, &Series::default());
        prop_assert_eq!(shown(&all, q), shown(&Series::default(), q));
    }

    #[test]
    fn copies_and_what_is_merged_are_what_recording_all_would_have_given(steps in prop::collection::vec((values(), 0..5), 1..6), q in 0.0_f64..=1.0) {
        let (mut series, mut want) = (Series::default(), Vec::new());
        for (values, how) in &steps {
            let part = self::series(values);
            match how {
                0 => values.iter().for_each(|value| series.record(*value)),
                1 => series.merge(&part),
                2 => series.merge(&part.clone()),
                3 => series.merge(&round_trip(&part).unwrap()),
                _ => {
                    // A copy takes the original's place, and goes on.
                    series = series.clone();
                    series.merge(&part);
                }
            }
            want.extend(values);
            let whole = self::series(&want);
            prop_assert_eq!(&series, &whole);
            prop_assert_eq!(&series.clone(), &whole);
            prop_assert_eq!(series.to_v2(), whole.to_v2());
            prop_assert_eq!(series.buckets(), whole.buckets());
            prop_assert_eq!(shown(&series, q), shown(&whole, q));
        }
    }

    #[test]
    fn series_of_other_values_differ_in_any_form(first in values(), second in values()) {
        let (one, two) = (series(&first), series(&second));
        let exact = |of: &Series| (of.sum(), of.min(), of.max());
        let same = one.to_v2() == two.to_v2() && exact(&one) == exact(&two);
        let (packed_one, packed_two) = (round_trip(&one).unwrap(), round_trip(&two).unwrap());
        prop_assert_eq!(one == two, same);
        prop_assert_eq!(packed_one == two, same);
        prop_assert_eq!(packed_one == packed_two, same);
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
            let header = buckets::header(u32::try_from(bytes.len()).unwrap());
            bytes = [&header[..], &bytes].concat();
        }
        if let Ok(read) = Series::from_parts(&bytes, count, u128::from(min), min, max) {
            let mut all = series(&[5_000]);
            all.merge(&read);
            prop_assert_eq!(all.count(), count + 1);
            prop_assert_eq!(held(&all), count + 1);
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
                prop_assert_eq!(held(&read), honest.count());
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
