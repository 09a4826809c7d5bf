//! Counts and limits while many requests run at once, over HTTP/1.1 and HTTP/2.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::wire::{exchange, fetch, post};
use super::{CHAT, at_once, chat, start};
use crate::mock::{MetricsNames, Mock, MockHandle, Script, Snapshot, spawn_thread};

/// Waits for something that is on its way; a test that waits in vain fails.
pub(super) async fn until(mut reached: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came");
}

fn assert_conserved(counts: &Snapshot) {
    for tally in [counts.streams, counts.wholes] {
        let ended = tally.completed + tally.broken + tally.aborted;
        assert_eq!(tally.started, ended + tally.open, "{tally:?}");
    }
    let started = counts.streams.started + counts.wholes.started;
    assert_eq!(counts.requests.numbered, started + counts.requests.refused);
}

async fn many(mock: &MockHandle, requests: u32, tokens: u32) {
    let mut tasks = JoinSet::new();
    for number in 0..requests {
        let addr = mock.addr();
        tasks.spawn(async move {
            let id = format!("x-request-id: r{number}\r\n");
            exchange(addr, CHAT, &id, &chat(tokens)).await
        });
    }
    while let Some(got) = tasks.join_next().await {
        got.unwrap();
    }
}

#[tokio::test]
async fn counts_are_exact_after_two_hundred_at_once() {
    let script = Script {
        inter_token: "2ms".parse().unwrap(),
        keep_arrivals: 150,
        keep_requests: 20,
        prompt_overhead: 7,
        ..at_once()
    };
    let mock = spawn_thread(script, 2).unwrap();
    many(&mock, 200, 10).await;
    until(|| mock.stats().snapshot().connections.open == 0).await;
    let counts = mock.stats().snapshot();
    assert_conserved(&counts);
    assert_eq!(
        (counts.streams.started, counts.streams.completed),
        (200, 200)
    );
    assert_eq!(counts.requests.by_path[CHAT], 200);
    assert_eq!(
        (counts.sent.tokens, counts.sent.content_events),
        (2_000, 2_000)
    );
    // Role, finish, usage and [DONE] beside the ten words.
    assert_eq!(counts.sent.events, 200 * 14);
    assert_eq!(counts.connections.accepted, 200);
    assert_eq!(counts.lateness.count, 2_000);
    assert_eq!(
        (counts.arrivals.at_ns.len(), counts.arrivals.beyond_limit),
        (150, 50)
    );
    assert_eq!(counts.last_requests.len(), 20);
    let note = &counts.last_requests[0];
    assert_eq!((note.tokens, note.events, note.end), (10, 10, "completed"));
    assert!(note.request_id.as_deref().unwrap().starts_with('r'));
    assert_eq!(mock.stats().prompt_tokens.read(), 200 * 10);
    assert_eq!(mock.stats().held_tokens.read(), 0);
}

#[tokio::test]
async fn faults_of_all_kinds_lose_no_request_from_the_counts() {
    let kinds = [
        "status",
        "cut",
        "drop",
        "drop-before",
        "malformed",
        "error-in-stream",
        "empty",
        "short",
    ];
    let script = Script {
        faults: kinds
            .iter()
            .map(|kind| format!("{kind}=0.1").parse().unwrap())
            .collect(),
        ..at_once()
    };
    let mock = spawn_thread(script, 2).unwrap();
    many(&mock, 200, 5).await;
    until(|| mock.stats().snapshot().connections.open == 0).await;
    let counts = mock.stats().snapshot();
    assert_conserved(&counts);
    assert_eq!((counts.requests.numbered, counts.streams.aborted), (200, 0));
    let broken = counts.faults["cut"] + counts.faults["drop"] + counts.faults["error-in-stream"];
    assert_eq!(counts.streams.broken, broken);
    assert_eq!(
        counts.requests.refused,
        counts.faults["status"] + counts.faults["drop-before"]
    );
}

#[tokio::test]
async fn no_more_than_the_limit_run_and_the_others_wait_in_order() {
    let script = Script {
        ttft: "40ms".parse().unwrap(),
        max_running: Some(2),
        keep_requests: 10,
        ..at_once()
    };
    let mock = start(script);
    let stats = mock.stats();
    let mut peak = (0, 0);
    let load = many(&mock, 8, 2);
    tokio::pin!(load);
    loop {
        tokio::select! {
            () = &mut load => break,
            () = tokio::time::sleep(Duration::from_millis(3)) => {
                let now = stats.snapshot().requests;
                peak = (peak.0.max(now.running), peak.1.max(now.waiting));
            }
        }
    }
    assert_eq!(peak.0, 2);
    assert!((1..=6).contains(&peak.1), "{peak:?}");
    let counts = stats.snapshot();
    assert_eq!((counts.requests.running, counts.requests.waiting), (0, 0));
    let firsts: Vec<u64> = counts
        .last_requests
        .iter()
        .filter_map(|note| note.first_sent_ns)
        .collect();
    assert!(
        firsts[7] - firsts[0] >= 119_000_000,
        "four rounds of two: {firsts:?}"
    );
    // Two of a round may end in either order.
    let rounds: Vec<u64> = counts
        .last_requests
        .iter()
        .map(|note| note.number / 2)
        .collect();
    assert!(rounds.is_sorted(), "{rounds:?}");
}

#[tokio::test]
async fn metrics_bear_vllms_names() {
    let mock = start(at_once());
    post(mock.addr(), CHAT, &chat(5)).await;
    let page = fetch(mock.addr(), "/metrics").await.body;
    for line in [
        "vllm:num_requests_running{model_name=\"mock\"} 0",
        "vllm:num_requests_waiting{model_name=\"mock\"} 0",
        "vllm:kv_cache_usage_perc{model_name=\"mock\"} 0",
        "vllm:prompt_tokens_total{model_name=\"mock\"} 3",
        "vllm:generation_tokens_total{model_name=\"mock\"} 5",
        "vllm:request_success_total{finished_reason=\"length\",model_name=\"mock\"} 1",
        "vllm:time_to_first_token_seconds_bucket{le=\"+Inf\",model_name=\"mock\"} 1",
        "vllm:e2e_request_latency_seconds_count{model_name=\"mock\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
}

#[tokio::test]
async fn metrics_bear_the_names_that_the_script_wants() {
    let script = |metrics_names| Script {
        metrics_names,
        ..at_once()
    };
    for (names, lines) in [
        (
            MetricsNames::VllmOld,
            [
                "vllm:gpu_cache_usage_perc{model_name=\"mock\"} 0",
                "vllm:generation_tokens_total{model_name=\"mock\"} 5",
            ],
        ),
        (
            MetricsNames::Sglang,
            [
                "sglang:num_queue_reqs{model_name=\"mock\"} 0",
                "sglang:prompt_tokens_total{model_name=\"mock\"} 3",
            ],
        ),
        (
            MetricsNames::Tgi,
            [
                "tgi_batch_current_size 0",
                "tgi_request_generated_tokens_sum 5",
            ],
        ),
        (
            MetricsNames::LlamaCpp,
            [
                "llamacpp:kv_cache_usage_ratio 0",
                "llamacpp:tokens_predicted_total 5",
            ],
        ),
    ] {
        let mock = start(script(names));
        post(mock.addr(), CHAT, &chat(5)).await;
        let page = fetch(mock.addr(), "/metrics/").await.body;
        for line in lines {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }
    let mock = start(script(MetricsNames::None));
    assert_eq!(fetch(mock.addr(), "/metrics").await.status, 404);
}

/// What the cache's gauge and the queue's came to at most while `load` went on, of `capacity` tokens.
async fn fullest(mock: &MockHandle, load: impl Future<Output = ()>) -> (u64, u64, u64) {
    let stats = mock.stats();
    let mut most = (0, 0, 0);
    tokio::pin!(load);
    loop {
        tokio::select! {
            () = &mut load => return most,
            () = tokio::time::sleep(Duration::from_millis(1)) => {
                let held = stats.held_tokens.read();
                let now = stats.snapshot().requests;
                most = (most.0.max(held), most.1.max(now.running), most.2.max(now.waiting));
            }
        }
    }
}

#[tokio::test]
async fn a_cache_fills_as_answers_go_on_and_is_empty_when_they_end() {
    let mock = start(Script {
        ttft: "150ms".parse().unwrap(),
        inter_token: "150ms".parse().unwrap(),
        kv_cache_tokens: 16,
        ..at_once()
    });
    let load = many(&mock, 1, 5);
    tokio::pin!(load);
    let (mut seen, mut pages) = (vec![], vec![]);
    loop {
        tokio::select! {
            () = &mut load => break,
            () = tokio::time::sleep(Duration::from_millis(2)) => {
                seen.push(mock.stats().held_tokens.read());
                pages.push(fetch(mock.addr(), "/metrics").await.body);
            }
        }
    }
    assert!(seen.is_sorted_by(|a, b| a <= b || *b == 0), "{seen:?}");
    for tokens in 3..8 {
        assert!(seen.contains(&tokens), "{tokens} in {seen:?}");
        let line = format!(
            "kv_cache_usage_perc{{model_name=\"mock\"}} {}",
            f64::from(u32::try_from(tokens).unwrap()) / 16.0
        );
        assert!(pages.iter().any(|page| page.contains(&line)), "{line}");
    }
    assert_eq!(mock.stats().held_tokens.read(), 0);
}

#[tokio::test]
async fn what_does_not_fit_into_the_cache_waits_in_order() {
    // Slow answers: a busy machine has sent all requests before the first is over.
    let script = |tokens| Script {
        ttft: "500ms".parse().unwrap(),
        inter_token: "20ms".parse().unwrap(),
        kv_cache_tokens: tokens,
        kv_cache_limits: true,
        keep_requests: 10,
        ..at_once()
    };
    // Three tokens of prompt and ten of output, or sixteen for two choices.
    let mock = start(script(30));
    let (held, running, waiting) = fullest(&mock, many(&mock, 6, 10)).await;
    assert_eq!((running, waiting), (2, 4));
    assert!((20..=26).contains(&held), "{held}");
    let notes = mock.stats().snapshot().last_requests;
    let mut times: Vec<_> = notes
        .iter()
        .map(|note| (note.received_ns, note.first_sent_ns.unwrap()))
        .collect();
    times.sort_unstable();
    assert_eq!(times.len(), 6);
    // Two at a time: the one after next begins when one of them has ended.
    let in_order = times
        .windows(3)
        .all(|three| three[0].1 + 100_000_000 < three[2].1);
    assert!(in_order, "{times:?}");
    // One that never fits has the cache for itself.
    let mock = start(script(5));
    let (_, running, waiting) = fullest(&mock, many(&mock, 3, 10)).await;
    assert_eq!((running, waiting), (1, 2));
    assert_eq!(mock.stats().snapshot().streams.completed, 3);
}

#[tokio::test]
async fn happy_vllms_endpoints_tell_of_the_script() {
    let mock = start(Script {
        model: "some model".to_owned(),
        ..at_once()
    });
    let json = async |path| {
        let got = fetch(mock.addr(), path).await;
        assert_eq!(got.status, 200, "{path}");
        serde_json::from_str::<serde_json::Value>(&got.body).unwrap()
    };
    let info = json("/v1/info").await;
    assert_eq!(info["model_name"], "some model");
    assert!(info["version"].is_string() && info["vllm_version"].is_string());
    let arguments = json("/v1/launch_arguments").await;
    assert!(arguments["model"].is_string() && arguments["model_name"].is_string());
    assert!(json("/version").await["version"].is_string());
    assert_eq!(post(mock.addr(), "/v1/info", "{}").await.status, 405);
}

#[tokio::test]
async fn a_reset_counts_and_draws_from_the_start() {
    let mock = start(at_once());
    let first = post(mock.addr(), CHAT, &chat(5)).await.text();
    let second = post(mock.addr(), CHAT, &chat(5)).await.text();
    assert_ne!(first, second);
    assert_eq!(post(mock.addr(), "/stats/reset", "{}").await.status, 200);
    assert_eq!(post(mock.addr(), CHAT, &chat(5)).await.text(), first);
    let stats = fetch(mock.addr(), "/stats").await.body;
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["streams"]["completed"], 1);
    assert_eq!(stats["sent"]["tokens"], 5);
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_on_the_same_port() {
    let mock = start(at_once());
    let stream = TcpStream::connect(mock.addr()).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { connection.await.is_ok() });
    let request = || {
        let body = Full::new(Bytes::from(chat(4)));
        http::Request::post(format!("http://mock{CHAT}"))
            .body(body)
            .unwrap()
    };
    let first = sender.send_request(request()).await.unwrap();
    let second = sender.send_request(request()).await.unwrap();
    for response in [first, second] {
        assert_eq!(response.version(), http::Version::HTTP_2);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.ends_with(b"data: [DONE]\n\n"));
    }
    let counts = mock.stats().snapshot();
    assert_eq!(
        (counts.streams.completed, counts.connections.accepted),
        (2, 1)
    );
}

#[tokio::test]
async fn it_serves_on_its_callers_runtime_until_told_to_stop() {
    let mock = Mock::bind("127.0.0.1:0".parse().unwrap(), at_once())
        .await
        .unwrap();
    let (addr, stats) = (mock.local_addr(), mock.stats());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(mock.serve(async { drop(stopped.await) }));
    assert_eq!(post(addr, CHAT, &chat(2)).await.status, 200);
    stop.send(()).unwrap();
    tasks.join_next().await.unwrap().unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
    assert_eq!(stats.snapshot().streams.completed, 1);
}

#[tokio::test]
async fn a_dropped_handle_frees_the_port() {
    let mock = spawn_thread(at_once(), 2).unwrap();
    let addr = mock.addr();
    assert_eq!(fetch(addr, "/health").await.status, 200);
    drop(mock);
    assert!(TcpStream::connect(addr).await.is_err());
}

#[test]
fn a_script_that_contradicts_itself_does_not_start() {
    let script = Script {
        tokens_per_event: 0,
        ..Script::default()
    };
    let error = spawn_thread(script, 1).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
