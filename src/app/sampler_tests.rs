//! Looks at mocks and at servers that are slow, gone or curious about keys.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::config::{Command, Surroundings};
use crate::mock::{MetricsNames, MockHandle, Script, spawn_thread};

/// These variables and no files.
struct Variables<'a>(&'a [(&'a str, String)]);

impl Surroundings for Variables<'_> {
    fn variable(&self, wanted: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.clone())
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn settings(line: &str) -> Settings {
    settings_among(line, &[])
}

fn settings_among(line: &str, variables: &[(&str, String)]) -> Settings {
    crate::client::install_crypto();
    let words = ["llmload", "run"]
        .into_iter()
        .chain(line.split_whitespace());
    match crate::config::resolve(&crate::config::command(), words, &Variables(variables)) {
        Ok(Command::Run(options)) => options.settings,
        other => panic!("{line}: {other:?}"),
    }
}

fn at(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn begin(url: &str, step_ms: u64, line: &str) -> Sampler {
    let step = Duration::from_millis(step_ms);
    Sampler::start(url, step, &settings(line), Way::default()).unwrap()
}

fn mock(script: Script) -> MockHandle {
    spawn_thread(script, 1).unwrap()
}

/// So many streams of ten tokens at once, 10 ms apart.
async fn stream(mock: &MockHandle, streams: usize) {
    let body = r#"{"prompt":"one two three","max_tokens":10,"stream":true}"#;
    let client = discover::client(&settings(""), Way::default()).unwrap();
    let url = format!("{}/v1/completions", at(mock.addr()));
    let one = || async {
        let sent = client.post(&url).body(body).send().await.unwrap();
        sent.bytes().await.unwrap()
    };
    futures_util::future::join_all((0..streams).map(|_| one())).await;
}

#[tokio::test]
async fn peaks_are_seen_and_counts_are_exact() {
    for names in [
        MetricsNames::Vllm,
        MetricsNames::VllmOld,
        MetricsNames::Sglang,
        MetricsNames::Tgi,
        MetricsNames::LlamaCpp,
    ] {
        let mock = mock(Script {
            ttft: "50ms".parse().unwrap(),
            inter_token: "10ms".parse().unwrap(),
            kv_cache_tokens: 100,
            max_running: Some(3),
            metrics_names: names,
            ..Script::default()
        });
        stream(&mock, 1).await;
        counted(&mock, 10).await;
        let sampler = begin(&usual_page(&at(mock.addr())), 5, "");
        looked_at(&mock, 2).await;
        stream(&mock, 4).await;
        counted(&mock, 50).await;
        let watched = sampler.stop().await;
        assert_eq!(watched.counted().output_tokens, Some(40.0), "{names:?}");
        assert_eq!(watched.counted().prompt_tokens, Some(12.0), "{names:?}");
        assert_eq!(watched.before.output_tokens, Some(10.0), "{names:?}");
        assert_eq!(
            (watched.most_running(), watched.most_waiting()),
            (Some(3.0), Some(1.0))
        );
        if names == MetricsNames::Tgi {
            assert_eq!(watched.most_cache(), None);
        } else {
            // Three prompts of three tokens, and ten more each.
            let cache = watched.most_cache().unwrap();
            assert!((0.30..=0.39).contains(&cache), "{names:?}: {cache}");
        }
        assert!(watched.looks.len() > 10, "{}", watched.looks.len());
        assert!(watched.looks.is_sorted_by_key(|look| look.at_s));
        assert_eq!((watched.failed, watched.step_s), (0, 0.005));
    }
}

/// Waits until the server has counted so many tokens: it does so when it has sent them.
async fn counted(mock: &MockHandle, tokens: u64) {
    while mock.stats().snapshot().sent.tokens < tokens {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until the page was asked for so often: however busy the machine, the answer before that is there by then.
async fn looked_at(mock: &MockHandle, times: u64) {
    let looks = || {
        let paths = mock.stats().snapshot().requests.by_path;
        paths.get("/metrics").copied().unwrap_or_default()
    };
    while looks() < times {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_page_that_is_not_there_is_told_and_soon_left_alone() {
    let mock = mock(Script {
        metrics_names: MetricsNames::None,
        ..Script::default()
    });
    let sampler = begin(&usual_page(&at(mock.addr())), 2, "");
    looked_at(&mock, RESIGNED).await;
    sleep(Duration::from_millis(300)).await;
    let watched = sampler.stop().await;
    assert_eq!((watched.server.as_str(), watched.looks.len()), ("", 0));
    assert_eq!(watched.failure, "status 404 Not Found");
    // Three at once, and no last one of a page that does not answer.
    assert_eq!(watched.failed, RESIGNED);
    let other = format!("{}/health", at(mock.addr()));
    let watched = begin(&other, 2, "").stop().await;
    assert!(
        watched.failure.starts_with("the page has no names"),
        "{watched:?}"
    );
    let watched = begin("http://127.0.0.1:1/metrics", 2, "").stop().await;
    assert!(
        watched.failed > 0 && !watched.failure.is_empty(),
        "{watched:?}"
    );
}

/// A server that takes its time, one thread a connection, and keeps what was asked of it.
struct Slow {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    most_at_once: Arc<AtomicU32>,
}

impl Slow {
    /// Waits until so many requests were answered.
    async fn answered(&self, times: usize) {
        while self.heads.lock().unwrap().len() < times {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

fn slow(delay: Duration, answer: fn(&str) -> String) -> Slow {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Slow {
        address: listener.local_addr().unwrap(),
        heads: Arc::default(),
        most_at_once: Arc::default(),
    };
    let (heads, most) = (Arc::clone(&server.heads), Arc::clone(&server.most_at_once));
    let now = Arc::new(AtomicU32::new(0));
    // It serves to the end of the process: nothing waits for it.
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (heads, most, now) = (Arc::clone(&heads), Arc::clone(&most), Arc::clone(&now));
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let head = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    thread::sleep(delay);
                    let answer = answer(&head);
                    heads.lock().unwrap().push(head);
                    now.fetch_sub(1, Ordering::SeqCst);
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    server
}

fn page(_: &str) -> String {
    let body = "tgi_queue_size 1\n";
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn looks_never_pile_up() {
    let server = slow(Duration::from_millis(55), page);
    let sampler = begin(&at(server.address), 10, "");
    server.answered(5).await;
    let watched = sampler.stop().await;
    assert_eq!(server.most_at_once.load(Ordering::SeqCst), 1);
    let looks = watched.looks.len() as u64;
    assert!(looks >= 5, "{looks}");
    // Each takes the place of five others at least; the last one is not of the schedule.
    assert!(watched.skipped >= (looks - 2) * 5, "{looks}: {watched:?}");
}

#[tokio::test]
async fn a_page_that_has_moved_is_asked_where_it_is() {
    fn moved(head: &str) -> String {
        if head.starts_with("GET /metrics/ ") {
            return page(head);
        }
        "HTTP/1.1 307 Moved\r\nlocation: /metrics/\r\ncontent-length: 0\r\n\r\n".to_owned()
    }
    let server = slow(Duration::ZERO, moved);
    let sampler = begin(&usual_page(&at(server.address)), 10, "");
    server.answered(3).await;
    let watched = sampler.stop().await;
    assert_eq!((watched.failed, watched.most_waiting()), (0, Some(1.0)));
    let heads = server.heads.lock().unwrap();
    let first = |head: &&String| head.starts_with("GET /metrics ");
    assert_eq!(heads.iter().filter(first).count(), 1);
}

#[tokio::test]
async fn nothing_follows_a_redirection_to_another_server() {
    let server = slow(Duration::ZERO, |_| {
        "HTTP/1.1 302 Moved\r\nlocation: http://127.0.0.2:9/x\r\ncontent-length: 0\r\n\r\n"
            .to_owned()
    });
    let watched = begin(&at(server.address), 10, "").stop().await;
    let words = "a redirection to another server, which is not followed";
    assert_eq!(watched.failure, words);
}

#[tokio::test]
async fn keys_go_to_the_runs_own_host_alone_and_are_never_told() {
    let quoting = |head: &str| {
        let key = head.lines().find(|line| line.starts_with("authorization"));
        let name = key.unwrap_or("nothing").replace([':', ' '], "-");
        format!("HTTP/1.1 302 Moved\r\nlocation: http://{name}/\r\ncontent-length: 0\r\n\r\n")
    };
    let server = slow(Duration::ZERO, quoting);
    let own = format!(
        "-H {} -k hush-hush-hush --header X-Plain:1",
        at(server.address)
    );
    let watched = begin(&at(server.address), 10, &own).stop().await;
    assert!(!format!("{watched:?}").contains("hush"), "{watched:?}");
    // Another port of the same host is another server.
    let other = "-H http://127.0.0.1:9 -k hush-hush-hush --header X-Plain:1";
    begin(&at(server.address), 10, other).stop().await;
    let heads = server.heads.lock().unwrap();
    let (with, without) = (&heads[0], heads.last().unwrap());
    assert!(
        with.contains("authorization: Bearer hush-hush-hush"),
        "{with}"
    );
    assert!(with.contains("x-plain: 1"), "{with}");
    assert!(
        !without.contains("hush") && !without.contains("x-plain"),
        "{without}"
    );
}

#[test]
fn the_usual_page_is_at_the_root() {
    for (base, page) in [
        ("http://h:8000", "http://h:8000/metrics"),
        ("https://h/base/more", "https://h/metrics"),
        ("http://[::1]:1/x", "http://[::1]:1/metrics"),
    ] {
        assert_eq!(usual_page(base), page);
    }
}

#[tokio::test]
async fn a_page_elsewhere_is_reached_by_the_proxy_of_its_own_address() {
    let own = mock(Script::default()).addr();
    for (page, excepted, is_direct) in [
        (format!("{}/metrics", at(own)), own.to_string(), true),
        (
            "http://metrics.invalid/metrics".to_owned(),
            "server.invalid".to_owned(),
            false,
        ),
    ] {
        let proxy = slow(Duration::ZERO, self::page);
        let line = format!("--host http://server.invalid --server-metrics={page}");
        let variables = [("http_proxy", at(proxy.address)), ("no_proxy", excepted)];
        let settings = settings_among(&line, &variables);
        let step = Duration::from_millis(5);
        let sampler = Sampler::start(&page, step, &settings, Way::default()).unwrap();
        sleep(Duration::from_millis(100)).await;
        sampler.stop().await;
        let heads = proxy.heads.lock().unwrap();
        let asked = heads
            .iter()
            .any(|head| head.starts_with(&format!("GET {page} ")));
        assert_eq!(
            (asked, heads.is_empty()),
            (!is_direct, is_direct),
            "{heads:?}"
        );
    }
}
