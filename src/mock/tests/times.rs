//! When events are sent: by the schedule, in order, without drift, and stamped with the truth.

use std::time::Duration;

use super::wire::{Received, exchange, post};
use super::{CHAT, at_once, chat, start};
use crate::mock::Script;

fn stamps(got: &Received) -> Vec<u64> {
    let stamp = |event: &serde_json::Value| event["mock_sent_ns"].as_u64();
    got.json().iter().filter_map(stamp).collect()
}

fn paced() -> Script {
    Script {
        ttft: "30ms".parse().unwrap(),
        inter_token: "10ms".parse().unwrap(),
        stamp: true,
        role_first: false,
        keep_requests: 1,
        ..at_once()
    }
}

/// No event before its time; and since times are absolute, the last is not later than any single one may be.
fn assert_on_schedule(script: Script) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mock = start(script);
    let header = "x-request-id: abc\r\n";
    let got = runtime
        .block_on(exchange(mock.addr(), CHAT, header, &chat(20)))
        .unwrap();
    let received: u64 = got.header("x-mock-received-ns").unwrap().parse().unwrap();
    let stamps = stamps(&got);
    assert!(stamps.is_sorted());
    for (token, sent) in stamps.iter().take(20).enumerate() {
        let due = received + 30_000_000 + 10_000_000 * token as u64;
        assert!(*sent >= due, "token {token} is early by {}", due - sent);
    }
    let counts = mock.stats().snapshot();
    let note = &counts.last_requests[0];
    assert_eq!(note.request_id.as_deref(), Some("abc"));
    assert_eq!(note.received_ns, received);
    assert_eq!(note.first_sent_ns, Some(stamps[0]));
    assert_eq!(note.last_sent_ns, Some(stamps[19]));
    // Exact by construction: the longest lateness is that of some event by its stamp.
    let latest = stamps.iter().take(20).enumerate();
    let latest =
        latest.map(|(token, sent)| sent - received - 30_000_000 - 10_000_000 * token as u64);
    let longest = latest.max().unwrap();
    let told = Duration::from_secs_f64(counts.lateness.max_us / 1e6);
    assert!(
        told.abs_diff(Duration::from_nanos(longest)) < Duration::from_nanos(2),
        "{told:?}, {longest} ns seen"
    );
}

#[test]
fn events_keep_their_schedule_on_tokios_timers() {
    assert_on_schedule(paced());
}

#[cfg(target_os = "linux")]
#[test]
fn events_keep_their_schedule_on_the_kernels_timer() {
    assert_on_schedule(Script {
        precise: true,
        ..paced()
    });
}

#[tokio::test]
async fn a_common_tick_holds_all_streams_events_back() {
    let tick = 20_000_000;
    let script = Script {
        tick: Some(Duration::from_nanos(tick)),
        inter_token: "33ms".parse().unwrap(),
        ..paced()
    };
    let mock = start(script);
    let epoch = mock.stats().epoch().nanos();
    let got = post(mock.addr(), CHAT, &chat(6)).await;
    let latest = Duration::from_secs_f64(mock.stats().snapshot().lateness.max_us / 1e6);
    for sent in &stamps(&got)[..6] {
        let past = Duration::from_nanos((sent - epoch) % tick);
        assert!(
            past <= latest + Duration::from_nanos(1),
            "{past:?} past a tick, {latest:?} late at most"
        );
    }
}

#[tokio::test]
async fn pings_fill_the_time_before_the_first_token() {
    let script = Script {
        ttft: "100ms".parse().unwrap(),
        ping_every: Some(Duration::from_millis(30)),
        ..at_once()
    };
    let mock = start(script);
    let got = post(mock.addr(), CHAT, &chat(1)).await;
    let pings = got.body.matches(": ping\n\n").count();
    assert!((1..=3).contains(&pings), "{}", got.body);
    assert_eq!(got.text().split_whitespace().count(), 1);
    let body = r#"{"messages":[],"max_tokens":1,"stream":true}"#;
    let messages = post(mock.addr(), "/v1/messages", body).await;
    assert!(
        messages
            .body
            .contains("event: ping\ndata: {\"type\":\"ping\"}\n\n")
    );
}

#[tokio::test]
async fn tokens_of_one_event_take_as_long_as_if_sent_singly() {
    let mock = start(Script {
        tokens_per_event: 4,
        ..paced()
    });
    let got = post(mock.addr(), CHAT, &chat(9)).await;
    let stamps = stamps(&got);
    // Three events: 1-4, 5-8, 9; then finish and usage along with the last.
    assert_eq!(stamps.len(), 5);
    let received: u64 = got.header("x-mock-received-ns").unwrap().parse().unwrap();
    assert!(stamps[1] >= received + 70_000_000);
    assert!(stamps[2] >= received + 80_000_000);
    assert_eq!(stamps[2], stamps[4]);
    let note = &mock.stats().snapshot().last_requests[0];
    assert_eq!((note.events, note.tokens), (3, 9));
}

/// Linux: its kernel's timers are what makes these times exact.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_known_prefill_speed_gives_known_times_to_the_first_token() {
    let mock = start(Script {
        ttft: "5ms".parse().unwrap(),
        prefill_rate: Some(10_000.0),
        inter_token: "10ms".parse().unwrap(),
        kv_cache_tokens: 4_096,
        precise: true,
        keep_requests: 100,
        ..at_once()
    });
    for words in [1_u32, 32, 150, 400, 1_000] {
        // What a busy machine adds is not the mock's: the best of many tries counts.
        let prompt = vec!["word"; words as usize].join(" ");
        let body = format!(r#"{{"prompt":"{prompt}","max_tokens":3,"stream":true}}"#);
        let mut best = (u64::MAX, u64::MAX);
        for _ in 0..200 {
            post(mock.addr(), "/v1/completions", &body).await;
            let note = mock.stats().snapshot().last_requests.pop().unwrap();
            let (first, last) = (note.first_sent_ns.unwrap(), note.last_sent_ns.unwrap());
            let due = note.received_ns + 5_000_000 + u64::from(words) * 100_000;
            assert!(first >= due, "{words} words: early by {}", due - first);
            best = (best.0.min(first - due), best.1.min(last - due - 20_000_000));
            if best.0 < 200_000 && best.1 < 200_000 {
                break;
            }
        }
        assert!(
            best.0 < 200_000 && best.1 < 200_000,
            "{words} words: {best:?} ns late"
        );
    }
}
