//! What monitoring systems are told of a run by the binary: the page while it runs and after its end, in each format, for one
//! machine and for a cluster, held against the report.
#![expect(
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "round figures, and counts that are small"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use prometheus_parse::{Scrape, Value as Parsed};
use rustix::process::Signal;

use crate::process::{Cluster, Ended, Program, eventually, mock, shared, towards};

/// One look at a page: its head and its body.
fn look(address: &str, path: &str, accept: &str) -> Option<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let asked =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let body = answer.split_off(end + 4);
    Some((String::from_utf8(answer).unwrap(), body))
}

fn scrape(address: &str) -> Scrape {
    let (head, body) = look(address, "/metrics", "*/*").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let text = String::from_utf8(body).unwrap();
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap()
}

fn page_of(program: &Program) -> String {
    let address = program.wait_for_words("metrics for Prometheus: http://");
    address.trim_end_matches("/metrics").to_owned()
}

/// Values by their own labels, of one name.
fn by(scrape: &Scrape, name: &str, label: &str) -> BTreeMap<String, f64> {
    let of = scrape.samples.iter().filter(|sample| sample.metric == name);
    of.map(|sample| {
        let (Parsed::Counter(value) | Parsed::Gauge(value) | Parsed::Untyped(value)) = sample.value
        else {
            panic!("{sample:?}");
        };
        (
            sample.labels.get(label).unwrap_or_default().to_owned(),
            value,
        )
    })
    .collect()
}

fn one(scrape: &Scrape, name: &str) -> Option<f64> {
    by(scrape, name, "").remove("")
}

fn stage(scrape: &Scrape) -> String {
    let stages = by(scrape, "llmload_run_stage", "stage");
    let is: Vec<_> = stages.iter().filter(|(_, is)| **is == 1.0).collect();
    assert_eq!((stages.len(), is.len()), (5, 1), "{stages:?}");
    is[0].0.clone()
}

/// Cumulative counts by bound, in milliseconds.
fn buckets(scrape: &Scrape, name: &str) -> Vec<(f64, f64)> {
    let of = scrape.samples.iter().find(|sample| sample.metric == name);
    match of.map(|sample| &sample.value) {
        Some(Parsed::Histogram(all)) => all.iter().map(|b| (b.less_than * 1e3, b.count)).collect(),
        other => panic!("{name}: {other:?}"),
    }
}

/// The page says what the report says: counts exactly, percentiles by the bucket that they lie in.
fn agree(page: &Scrape, ended: &Ended) {
    let result = ended.result();
    let finished = by(page, "llmload_requests_finished_total", "outcome");
    let good = finished["ok"] + finished["truncated"];
    assert_eq!(good as u64, result.total("completed"));
    let failed = finished
        .iter()
        .filter(|(outcome, _)| !["ok", "truncated", "cancelled"].contains(&outcome.as_str()));
    assert_eq!(
        failed.map(|(_, n)| *n as u64).sum::<u64>(),
        result.total("failed")
    );
    for (name, total) in [
        ("sent", "sent"),
        ("scheduled", "scheduled"),
        ("dropped", "dropped"),
        ("lost", "lost"),
    ] {
        let told = one(page, &format!("llmload_requests_{name}_total"));
        assert_eq!(told.map(|n| n as u64), Some(result.total(total)), "{name}");
    }
    for (name, key) in [
        ("llmload_time_to_first_token_seconds", "ttft_ms"),
        ("llmload_total_latency_seconds", "total_latency_ms"),
        ("llmload_inter_chunk_latency_seconds", "icl_ms"),
    ] {
        let figure = |what: &str| result.number(&format!("/metrics/{key}/{what}"));
        let (count, p95) = (figure("count"), figure("p95"));
        let all = buckets(page, name);
        assert_eq!(all.last().unwrap().1, count, "{name}");
        let at = all
            .iter()
            .position(|bucket| bucket.1 >= 0.95 * count)
            .unwrap();
        let above = if at == 0 { 0.0 } else { all[at - 1].0 };
        assert!(
            above < p95 && p95 <= all[at].0,
            "{name}: {p95} is not in {above}..{}",
            all[at].0
        );
    }
}

#[test]
fn the_page_is_there_while_a_run_goes_on_and_has_its_reports_figures_after_its_end() {
    let _shared = shared();
    let mock = mock("5ms", "1ms");
    let line = towards(
        &mock,
        "--threads 1 -u 4 -t 3s --prometheus 0 --prometheus-linger 60s",
    );
    let program = Program::start(&format!("run {line}"));
    let address = page_of(&program);
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let during = eventually("requests of all users on the page", || {
        let page = scrape(&address);
        let all = by(&page, "llmload_users", "provider").get("openai") == Some(&4.0);
        (all && one(&page, "llmload_requests_sent_total") > Some(0.0)).then_some(page)
    });
    assert_eq!(by(&during, "llmload_users", "model")["mock"], 4.0);
    assert_eq!(
        by(&during, "llmload_users", "path")["/v1/chat/completions"],
        4.0
    );
    let formats = [
        ("text/plain", "text/plain; version=0.0.4"),
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text; version=1.0.0",
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily",
        ),
    ];
    for (accept, kind) in formats {
        let (head, body) = look(&address, "/metrics", accept).unwrap();
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        assert!(body.len() > 10_000);
    }
    assert!(
        look(&address, "/", "*/*")
            .unwrap()
            .0
            .starts_with("HTTP/1.1 404")
    );
    program.wait_for_words("the metrics stay for 60 s");
    let after = scrape(&address);
    assert_eq!(stage(&after), "ended");
    assert_eq!(one(&after, "llmload_run_left_seconds"), None);
    program.signal(Signal::INT);
    let ended = program.wait().expect(0);
    assert!(
        look(&address, "/metrics", "*/*").is_none(),
        "the page is gone with the run"
    );
    agree(&after, &ended);
}

#[test]
fn who_tells_a_run_to_go_does_not_wait_for_a_last_scrape() {
    let _shared = shared();
    let mock = mock("5ms", "1ms");
    let line = towards(
        &mock,
        "--threads 1 -u 4 -t 50s --prometheus 0 --prometheus-linger 60s",
    );
    let program = Program::start(&format!("run {line}"));
    eventually("requests", || {
        let page = scrape(&page_of(&program));
        (one(&page, "llmload_requests_sent_total") > Some(20.0)).then_some(())
    });
    program.signal(Signal::TERM);
    let ended = program.wait().expect(0);
    assert!(
        !ended.stderr.contains("the metrics stay"),
        "{}",
        ended.stderr
    );
    assert!(ended.result().total("sent") > 20);
}

#[test]
fn a_masters_page_is_of_all_its_workers() {
    let _shared = shared();
    let mock = mock("5ms", "1ms");
    let line = towards(&mock, "-u 4 -t 3s --prometheus 0 --prometheus-linger 60s");
    let cluster = Cluster::start(&line, 2);
    let address = page_of(&cluster.master);
    cluster.master.wait_for_words("the metrics stay for 60 s");
    let page = scrape(&address);
    cluster.master.signal(Signal::INT);
    let (master, _) = cluster.succeed();
    agree(&page, &master);
    assert_eq!(by(&page, "llmload_worker_up", "worker").len(), 2);
    // Workers are asked once a second how they stand.
    let sent = by(&page, "llmload_worker_requests_sent_total", "worker");
    assert!(
        sent.len() == 2 && sent.values().all(|sent| *sent > 0.0),
        "{sent:?}"
    );
    assert_eq!(
        by(&page, "llmload_workers", "state").values().sum::<f64>(),
        2.0
    );
}

#[test]
fn workers_have_pages_of_their_parts_which_add_up_to_the_report() {
    let _shared = shared();
    let mock = mock("5ms", "1ms");
    let line = towards(&mock, "-u 5 -t 3s");
    let page = "--prometheus 0 --prometheus-linger 60s";
    let cluster = Cluster::with(&line, 2, page);
    let addresses: Vec<_> = cluster.workers.iter().map(page_of).collect();
    for worker in &cluster.workers {
        worker.wait_for_words("the metrics stay for 60 s");
    }
    let pages: Vec<_> = addresses.iter().map(|address| scrape(address)).collect();
    for worker in &cluster.workers {
        worker.signal(Signal::INT);
    }
    let (master, _) = cluster.succeed();
    let sum = |name: &str| -> u64 {
        let of = pages.iter().map(|page| by(page, name, "worker"));
        let all: Vec<f64> = of.flat_map(BTreeMap::into_values).collect();
        assert!(
            all.len() == 2 && all.iter().all(|n| *n > 0.0),
            "{name}: {all:?}"
        );
        all.iter().map(|n| *n as u64).sum()
    };
    let result = master.result();
    assert_eq!(
        sum("llmload_part_requests_sent_total"),
        result.total("sent")
    );
    let good: f64 = pages
        .iter()
        .flat_map(|page| by(page, "llmload_part_requests_finished_total", "outcome"))
        .filter(|(outcome, _)| ["ok", "truncated"].contains(&outcome.as_str()))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(good as u64, result.total("completed"));
    let counted: f64 = pages
        .iter()
        .map(|page| {
            buckets(page, "llmload_part_time_to_first_token_seconds")
                .last()
                .unwrap()
                .1
        })
        .sum();
    assert_eq!(counted, result.number("/metrics/ttft_ms/count"));
    let workers: Vec<_> = pages
        .iter()
        .flat_map(|page| by(page, "llmload_part_users", "worker").into_keys())
        .collect();
    assert!(
        workers.contains(&"1".to_owned()) && workers.contains(&"2".to_owned()),
        "{workers:?}"
    );
    // Nothing that a sum over all pages would count a second time.
    let whole = |name: &str| !name.starts_with("llmload_part_");
    for page in &pages {
        assert!(!page.samples.iter().any(|sample| whole(&sample.metric)));
    }
}

#[test]
fn a_workers_page_is_empty_before_its_first_run() {
    let _shared = shared();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    let worker = Program::start(&format!("worker --master {address} --prometheus 0"));
    let page = scrape(&page_of(&worker));
    assert!(page.samples.is_empty());
}

#[test]
fn a_port_that_is_taken_is_found_before_anything_is_sent() {
    let _shared = shared();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mock = mock("5ms", "1ms");
    let address = taken.local_addr().unwrap();
    let line = towards(&mock, &format!("--max-requests 1 --prometheus {address}"));
    let ended = Program::start(&format!("run {line}")).wait().expect(2);
    assert!(
        ended
            .stderr
            .contains(&format!("cannot listen on {address} for --prometheus")),
        "{}",
        ended.stderr
    );
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}
