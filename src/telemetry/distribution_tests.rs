//! What other systems' buckets say is what the series says, as near as they can.
#![expect(
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "round figures, and counts that are small"
)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn of(values: &[u64]) -> Series {
    let mut series = Series::default();
    for &value in values {
        series.record(value);
    }
    series
}

/// Times from below what a series tells apart to above a day.
fn times() -> impl Strategy<Value = Vec<u64>> {
    let time = prop_oneof![
        0_u64..3_000,
        (0_u32..47).prop_flat_map(|bits| (1_u64 << bits)..(2_u64 << bits)),
        Just(86_400_000_000_001),
    ];
    vec(time, 1..200)
}

/// The bucket that the `rank`-th value lies in: above and up to.
fn classic_bucket(of: &Distribution, rank: u64) -> (f64, f64) {
    let at = of.classic.iter().position(|&(_, passed)| passed >= rank);
    let bound = |at: usize| of.classic[at].0;
    match at {
        Some(0) => (-1.0, bound(0)),
        Some(at) => (bound(at - 1), bound(at)),
        None => (bound(of.classic.len() - 1), f64::INFINITY),
    }
}

fn native_bucket(of: &Native, rank: u64) -> (f64, f64) {
    let mut passed = of.zero_count;
    if passed >= rank {
        return (-1.0, of.zero_threshold);
    }
    for &(number, count) in &of.buckets {
        passed += count;
        if passed >= rank {
            return (bound_of(number - 1), bound_of(number));
        }
    }
    panic!("{rank} of {passed}");
}

proptest! {
    #[test]
    fn nothing_is_lost_and_counts_rise(values in times()) {
        let series = of(&values);
        let found = Distribution::new(Some(&series), Scale::Time);
        prop_assert_eq!(found.count, values.len() as u64);
        prop_assert!(found.classic.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        prop_assert!(found.classic.iter().all(|&(_, passed)| passed <= found.count));
        let native = &found.native;
        let narrow: u64 = native.buckets.iter().map(|bucket| bucket.1).sum();
        prop_assert_eq!(native.zero_count + narrow, found.count);
        prop_assert!(native.buckets.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert!(native.buckets.iter().all(|&(_, count)| count > 0));
    }

    #[test]
    fn the_reports_percentiles_lie_in_the_buckets_that_hold_them(values in times(), share in 0.001_f64..0.999) {
        let series = of(&values);
        let found = Distribution::new(Some(&series), Scale::Time);
        let told = exact(series.percentile(share).unwrap()) / 1e9;
        let rank = ((share * exact(found.count)).ceil() as u64).max(1);
        let (above, up_to) = classic_bucket(&found, rank);
        prop_assert!(above < told && told <= up_to, "{told} in {above}..{up_to}");
        let (above, up_to) = native_bucket(&found.native, rank);
        prop_assert!(above < told && told <= up_to, "{told} in {above}..{up_to}");
    }

    #[test]
    fn each_value_is_counted_no_lower_and_at_most_a_thousandth_higher(value in 1_024_u64..86_400_000_000_000) {
        // Others beside it, so that its bucket is not cut to it.
        let series = of(&[value, 1_024, 86_400_000_000_000]);
        let bucket = series.buckets().into_iter().find(|b| b.low <= value && value <= b.high).unwrap();
        let number = number_of(exact(bucket.high) / 1e9);
        let own = exact(value) / 1e9;
        prop_assert!(own <= bound_of(number));
        // Below the first power of two times the lowest a bucket is 512 ns wide.
        let width = 512e-9_f64.max(own / 1_000.0);
        prop_assert!(own + width > bound_of(number - 1));
    }
}

#[test]
fn bounds_belong_to_the_bucket_below_them() {
    for number in -1_273..=2_000 {
        let bound = bound_of(number);
        assert_eq!(number_of(bound), number);
        assert_eq!(number_of(bound.next_up()), number + 1);
        assert_eq!(number_of(bound.next_down()), number);
    }
    assert_eq!(Scale::Time.zero_threshold(), bound_of(-1_273));
    assert!(bound_of(-1_273) > 1.023e-6 && bound_of(-1_274) < 1.023e-6);
}

#[test]
fn times_things_and_shares_have_their_units() {
    let time = Distribution::new(Some(&of(&[99_000_000, 300_000_000])), Scale::Time);
    let passed =
        |of: &Distribution, bound: f64| of.classic.iter().find(|b| b.0 == bound).map(|b| b.1);
    assert_eq!(
        (passed(&time, 0.063), passed(&time, 0.1), passed(&time, 0.4)),
        (Some(0), Some(1), Some(2))
    );
    assert!((time.sum - 0.399).abs() < 1e-12);
    let things = Distribution::new(Some(&of(&[0, 64_000_000, 500_000_000])), Scale::Count);
    assert_eq!(
        (passed(&things, 32.0), passed(&things, 64.0)),
        (Some(1), Some(2))
    );
    assert_eq!(
        (things.native.zero_count, things.native.buckets.as_slice()),
        (1, &[(384, 1), (574, 1)][..])
    );
    let share = Distribution::new(Some(&of(&[75_000_000, 100_000_000])), Scale::Share);
    assert_eq!(
        (
            passed(&share, 0.7),
            passed(&share, 0.75),
            passed(&share, 1.0)
        ),
        (Some(0), Some(1), Some(2))
    );
    let nothing = Distribution::new(None, Scale::Time);
    assert_eq!((nothing.count, nothing.native.zero_count), (0, 0));
    assert!(nothing.classic.iter().all(|bucket| bucket.1 == 0));
}
