//! Each fault, asked for by header, as it shows on the wire and in the counts.

use std::time::Duration;

use tokio::time::Instant;

use super::wire::{BodyEnd, Received, exchange, open};
use super::{CHAT, at_once, chat, start};
use crate::mock::{MockHandle, Script};

async fn with(mock: &MockHandle, fault: &str) -> Option<Received> {
    let header = format!("x-mock-fault: {fault}\r\n");
    exchange(mock.addr(), CHAT, &header, &chat(6)).await
}

async fn whole_with(mock: &MockHandle, fault: &str) -> Option<Received> {
    let header = format!("x-mock-fault: {fault}\r\n");
    let body = r#"{"messages":[],"max_tokens":6}"#;
    exchange(mock.addr(), CHAT, &header, body).await
}

fn words(got: &Received) -> usize {
    got.text().split_whitespace().count()
}

#[tokio::test]
async fn a_status_is_answered_with_its_error() {
    let mock = start(at_once());
    for status in [400, 404, 500, 503] {
        let got = with(&mock, &format!("status:{status}")).await.unwrap();
        assert_eq!(got.status, status);
        assert!(
            got.body.starts_with(r#"{"error":{"message":"#),
            "{}",
            got.body
        );
    }
    let limited = with(&mock, "429:7").await.unwrap();
    assert_eq!(
        (limited.status, limited.header("retry-after")),
        (429, Some("7"))
    );
    let counts = mock.stats().snapshot();
    assert_eq!((counts.requests.refused, counts.streams.started), (5, 0));
    assert_eq!(
        (counts.faults["status"], counts.faults["rate-limit"]),
        (4, 1)
    );
}

#[tokio::test]
async fn a_cut_stream_ends_properly_without_its_terminal_event() {
    let mock = start(at_once());
    let got = with(&mock, "cut:2").await.unwrap();
    assert_eq!((got.end, words(&got)), (BodyEnd::Proper, 2));
    assert!(!got.body.contains("finish_reason\":\"") && !got.body.contains("[DONE]"));
    let whole = whole_with(&mock, "cut").await.unwrap();
    assert_eq!(whole.end, BodyEnd::Proper);
    assert!(serde_json::from_str::<serde_json::Value>(&whole.body).is_err());
    assert_eq!(mock.stats().snapshot().streams.broken, 1);
}

#[tokio::test]
async fn a_dropped_stream_breaks_off_after_its_tokens() {
    let mock = start(at_once());
    let got = with(&mock, "drop:2").await.unwrap();
    assert_eq!((got.status, got.end, words(&got)), (200, BodyEnd::Torn, 2));
    let whole = whole_with(&mock, "drop").await.unwrap();
    assert_eq!(whole.end, BodyEnd::Torn);
    assert!(with(&mock, "drop-before").await.is_none());
    let counts = mock.stats().snapshot();
    assert_eq!((counts.streams.broken, counts.wholes.broken), (1, 1));
    assert_eq!((counts.requests.refused, counts.sent.tokens), (1, 2));
}

#[tokio::test]
async fn malformed_json_comes_once_and_the_stream_goes_on() {
    let mock = start(at_once());
    let got = with(&mock, "malformed:2").await.unwrap();
    assert_eq!(words(&got), 6);
    // Role, six words, the broken one, finish, usage, [DONE].
    assert_eq!(got.data().len(), 11);
    assert_eq!(got.json().len(), 9);
    assert!(serde_json::from_str::<serde_json::Value>(got.data()[3]).is_err());
    let whole = whole_with(&mock, "malformed").await.unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&whole.body).is_err());
}

#[tokio::test]
async fn an_error_comes_inside_a_200() {
    let mock = start(at_once());
    let got = with(&mock, "error-in-stream:2").await.unwrap();
    assert_eq!((got.status, words(&got)), (200, 2));
    assert_eq!(got.json()[3]["error"]["code"], 500);
    assert_eq!(got.data().last(), Some(&"[DONE]"));
    let whole = whole_with(&mock, "error-in-stream").await.unwrap();
    assert_eq!(whole.status, 200);
    assert!(whole.body.starts_with(r#"{"error":"#));
}

#[tokio::test]
async fn empty_short_and_wrong_usage_change_the_counts_told() {
    let mock = start(at_once());
    let usage = |got: &Received| got.json().last().unwrap()["usage"]["completion_tokens"].clone();
    let empty = with(&mock, "empty").await.unwrap();
    assert_eq!((words(&empty), usage(&empty)), (0, 0.into()));
    let short = with(&mock, "short:4").await.unwrap();
    assert_eq!((words(&short), usage(&short)), (4, 4.into()));
    assert!(short.body.contains(r#""finish_reason":"stop""#));
    let wrong = with(&mock, "wrong-usage:-2").await.unwrap();
    assert_eq!((words(&wrong), usage(&wrong)), (6, 4.into()));
    assert_eq!(mock.stats().snapshot().streams.completed, 3);
}

#[tokio::test]
async fn a_stall_and_a_slow_start_take_their_time() {
    let mock = start(Script {
        stamp: true,
        ..at_once()
    });
    let begun = Instant::now();
    let got = with(&mock, "stall:2,80ms").await.unwrap();
    let stamps: Vec<u64> = got
        .json()
        .iter()
        .filter_map(|event| event["mock_sent_ns"].as_u64())
        .collect();
    let pause = stamps[3] - stamps[2];
    assert!(pause >= 79_000_000, "{pause}");
    assert!(stamps[2] - stamps[1] < pause);
    let got = with(&mock, "slow-start:60ms").await.unwrap();
    assert_eq!(words(&got), 6);
    assert!(begun.elapsed() >= Duration::from_millis(139));
    let whole = Instant::now();
    whole_with(&mock, "stall:2,50ms").await.unwrap();
    assert!(whole.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_hung_request_is_never_answered_and_ends_with_its_client() {
    let mock = start(at_once());
    let wait = Duration::from_millis(60);
    assert!(
        tokio::time::timeout(wait, with(&mock, "hang"))
            .await
            .is_err()
    );
    super::load::until(|| mock.stats().snapshot().streams.aborted == 1).await;
    assert_eq!(mock.stats().snapshot().requests.waiting, 0);
}

#[tokio::test]
async fn a_client_that_leaves_is_counted() {
    let mock = start(Script {
        inter_token: "20ms".parse().unwrap(),
        ..at_once()
    });
    let stream = open(mock.addr(), CHAT, "", &chat(1_000)).await;
    super::load::until(|| mock.stats().snapshot().sent.tokens >= 2).await;
    drop(stream);
    super::load::until(|| mock.stats().snapshot().streams.aborted == 1).await;
    let counts = mock.stats().snapshot();
    assert_eq!((counts.streams.open, counts.requests.running), (0, 0));
    assert_eq!(mock.stats().held_tokens.read(), 0);
}

#[tokio::test]
async fn shares_of_faults_are_met_by_the_same_requests_in_every_run() {
    let script = Script {
        faults: vec!["status=0.5:503".parse().unwrap()],
        ..at_once()
    };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mock = start(script.clone());
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(
                exchange(mock.addr(), CHAT, "", &chat(1))
                    .await
                    .unwrap()
                    .status,
            );
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&503) && runs[0].contains(&200));
}
