//! What a query comes to.

use super::super::rig::{ZERO, answer, at};
use super::*;

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
}

#[test]
fn a_good_query_has_every_figure() {
    let query = Query::of(&answer(1.0, &[1.5, 1.6, 1.7, 2.0], 2.1), ZERO);
    assert!(query.success && !query.timeout && query.error.is_empty());
    assert_eq!(
        (query.prompt_length, query.response_length, query.chunks),
        (32, 4, 4)
    );
    near(query.total_query_time, 1.1);
    near(query.time_to_first_token, 0.5);
    near(query.completion_time_from_first_token, 0.6);
    near(query.median_time_between_tokens, 0.1);
    near(query.total_waiting_time, 0.5);
    near(query.speed_from_beginning, 4.0 / 1.1);
    near(query.speed_from_first_token, 4.0 / 0.6);
    near(query.speed_without_waiting_time, 4.0 / 0.6);
    assert!((query.starting_timestamp - ZERO - 1.0).abs() < 1e-6);
    assert!((query.ending_timestamp - ZERO - 2.1).abs() < 1e-6);
    assert_eq!(query.timestamp_of_tokens_arrival.len(), 4);
    assert!((query.timestamp_of_first_token - ZERO - 1.5).abs() < 1e-6);
    assert_eq!(query.delta_time_of_tokens_arrival.len(), 3);
}

#[test]
fn tokens_are_the_servers_and_chunks_stand_beside() {
    let mut four = answer(0.0, &[1.0, 2.0], 2.0);
    four.server_output_tokens = Some(8);
    let query = Query::of(&four, ZERO);
    assert_eq!((query.response_length, query.chunks), (8, 2));
    near(query.speed_from_beginning, 4.0);
    near(query.tokens_at(ZERO + 0.5), 0.0);
    near(query.tokens_at(ZERO + 1.5), 4.0);
    near(query.tokens_at(ZERO + 9.0), 8.0);
    four.server_output_tokens = None;
    assert_eq!(Query::of(&four, ZERO).response_length, 2);
}

#[test]
fn pauses_are_told_from_more_than_ten_pieces_on() {
    // Twenty deltas of 0.1 s and one of 1.1 s: their deviation is √(1/21), the bound 0.1 + 3 · that.
    let mut pieces: Vec<f64> = (0..=20).map(|n| 1.0 + 0.1 * f64::from(n)).collect();
    pieces.push(4.1);
    let query = Query::of(&answer(0.0, &pieces, 4.1), ZERO);
    let bound = 0.1 + 3.0 * (1.0_f64 / 21.0).sqrt();
    near(query.total_waiting_time, 1.0 + (1.1 - bound));
    near(
        query.speed_without_waiting_time,
        22.0 / (4.1 - 1.0 - (1.1 - bound)),
    );
    let few = Query::of(&answer(0.0, &pieces[12..], 4.1), ZERO);
    assert_eq!(few.chunks, 10);
    near(few.total_waiting_time, 2.2);
}

#[test]
fn one_piece_has_no_speed() {
    let query = Query::of(&answer(0.0, &[0.5], 0.5), ZERO);
    near(query.time_to_first_token, 0.5);
    near(query.speed_from_beginning + query.total_waiting_time, 0.0);
}

#[test]
fn a_time_out_ends_with_its_last_token_and_an_error_has_words() {
    let mut late = answer(1.0, &[2.0, 3.0], 300.0);
    late.outcome = Outcome::TimeoutTotal;
    late.server_output_tokens = None;
    late.error = "not complete within 299 s".to_owned();
    let query = Query::of(&late, ZERO);
    assert!(query.timeout && !query.success && query.counts());
    near(query.total_query_time, 2.0);
    assert_eq!(
        (query.response_length, query.error.as_str()),
        (2, "not complete within 299 s")
    );
    late.arrivals.clear();
    late.first_content = None;
    late.last_content = None;
    near(Query::of(&late, ZERO).total_query_time, 0.0);

    let outcomes: Vec<String> = Outcome::ALL
        .into_iter()
        .map(|outcome| {
            let one = Query::of(
                &Answer {
                    outcome,
                    ..answer(0.0, &[1.0], 1.0)
                },
                ZERO,
            );
            assert_ne!(one.success, !one.error.is_empty());
            let word = match (one.success, one.timeout) {
                (true, false) => "success",
                (false, true) => "timeout",
                (false, false) => "error",
                (true, true) => "both",
            };
            format!("{} {word}", outcome.name())
        })
        .collect();
    insta::assert_snapshot!(outcomes.join("\n"), @r#"
    ok success
    truncated success
    http_4xx error
    http_429 error
    http_5xx error
    connect error
    dns error
    tls error
    timeout_connect error
    timeout_first_token timeout
    timeout_idle timeout
    timeout_total timeout
    cut error
    in_stream_error error
    parse_error error
    empty error
    cancelled error
    "#);
}

#[test]
fn what_was_never_sent_breaks_nothing() {
    let mut never = answer(1.0, &[], 1.0);
    never.sent = None;
    never.outcome = Outcome::Connect;
    let query = Query::of(&never, ZERO);
    assert!(!query.counts());
    near(query.total_query_time, 0.0);
    assert_eq!(at(1.0), never.end);
}

#[test]
fn words_that_are_null_elsewhere_are_none_here() {
    let mut value = serde_json::to_value(Query::default()).unwrap();
    value["error"] = serde_json::Value::Null;
    value.as_object_mut().unwrap().shift_remove("chunks");
    assert_eq!(
        serde_json::from_value::<Query>(value).unwrap(),
        Query::default()
    );
}
