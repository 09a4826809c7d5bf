//! Caches of known sizes are found.

use proptest::prelude::*;

use super::super::rig::{Server, ZERO, answer};
use super::*;

const SERVER: Server = Server {
    reads: 8000.0,
    step_s: 0.025,
    cache: 20_000,
    block: 16,
};

fn found(server: Server, input: u64, output: u32, most: u32) -> Held {
    let run = server.waves(input, output, most);
    Held::of(&run.queries, &run.watched.looks).unwrap()
}

fn within(found: f64, wanted: f64, share: f64) {
    assert!(
        (found / wanted - 1.0).abs() < share,
        "{found} is not {wanted}"
    );
}

#[test]
fn a_cache_that_fills_and_has_requests_wait_is_found_within_two_per_cent() {
    let run = SERVER.waves(1040, 128, 400);
    let fullest = run
        .watched
        .looks
        .iter()
        .filter_map(|look| look.cache)
        .fold(0.0, f64::max);
    let waiting = run
        .watched
        .looks
        .iter()
        .filter_map(|look| look.waiting)
        .fold(0.0, f64::max);
    assert!(fullest > 0.98 && waiting > 5.0, "{fullest} {waiting}");
    let held = Held::of(&run.queries, &run.watched.looks).unwrap();
    within(held.tokens, 20_000.0, 0.02);
    assert_eq!(held.block, 16);
    assert!(held.looks > 1000, "{held:?}");
}

#[test]
fn a_cache_that_never_fills_is_found_too() {
    within(found(SERVER, 33, 16, 300).tokens, 20_000.0, 0.02);
    let large = Server {
        cache: 400_000,
        ..SERVER
    };
    within(found(large, 4100, 16, 200).tokens, 400_000.0, 0.02);
}

#[test]
fn large_blocks_are_known_by_the_steps_of_the_share_however_little_of_the_cache_was_used() {
    for (input, output, most) in [(260, 24, 15), (260, 8, 21), (600, 100, 15)] {
        let coarse = Server {
            reads: 1000.0,
            step_s: 0.05,
            cache: 181 * 128,
            block: 128,
        };
        let held = found(coarse, input, output, most);
        assert_eq!(held.block, 128, "{input} {output}: {held:?}");
        within(held.tokens, 181.0 * 128.0, 1e-9);
    }
}

#[test]
fn shares_that_are_rounded_are_fitted() {
    let run = SERVER.waves(300, 64, 300);
    let looks: Vec<Look> = run
        .watched
        .looks
        .iter()
        .map(|look| Look {
            cache: look.cache.map(|share| (share * 1e3).round() / 1e3),
            ..*look
        })
        .collect();
    within(
        Held::of(&run.queries, &looks).unwrap().tokens,
        20_000.0,
        0.02,
    );
}

#[test]
fn a_cache_without_blocks_is_found() {
    let single = Server { block: 1, ..SERVER };
    let held = found(single, 300, 64, 300);
    assert_eq!(held.block, 1);
    within(held.tokens, 20_000.0, 0.02);
}

#[test]
fn a_look_whose_number_of_running_requests_is_another_is_not_used() {
    let query = Query::of(&answer(0.0, &[1.0, 2.0, 3.0], 4.0), ZERO);
    let look = |at_s: f64, running: Option<f64>| Look {
        at_s: ZERO + at_s,
        running,
        waiting: Some(0.0),
        cache: Some(0.34),
    };
    let of = |look: Look| samples(std::slice::from_ref(&query), &[look]);
    assert_eq!(
        of(look(2.5, Some(1.0)))[0].held[0].to_bits(),
        34.0_f64.to_bits()
    );
    assert!(of(look(2.5, Some(2.0))).is_empty());
    assert!(
        of(look(0.5, Some(1.0))).is_empty(),
        "its prompt is being read"
    );
    assert!(of(look(0.5, None)).is_empty());
    assert_eq!(of(look(2.5, None)).len(), 1);
    assert!(of(look(4.5, Some(0.0))).is_empty(), "it is over");
}

#[test]
fn too_few_looks_tell_nothing() {
    let query = Query::of(&answer(0.0, &[1.0, 2.0], 4.0), ZERO);
    let look = Look {
        at_s: ZERO + 1.5,
        running: Some(1.0),
        waiting: None,
        cache: Some(0.5),
    };
    let of = |n| Held::of(std::slice::from_ref(&query), &vec![look; n]);
    assert_eq!(of(FEWEST - 1), None);
    within(of(FEWEST).unwrap().tokens, 66.0, 1e-9);
    assert_eq!(Held::of(&[], &[]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_cache_is_found_within_two_per_cent(
        blocks in 200_u64..4000, input in 60_u64..900, output in 20_u32..120, reads in 2000.0_f64..30_000.0, step in 0.01_f64..0.05,
    ) {
        let server = Server { reads, step_s: step, cache: blocks * 16, block: 16 };
        let held = found(server, input, output, 150);
        prop_assert!((held.tokens / quantity(server.cache) - 1.0).abs() < 0.02, "{held:?} {server:?}");
    }
}
