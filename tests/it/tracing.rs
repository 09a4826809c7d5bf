//! What an OpenTelemetry collector is told of a run by the binary: spans that agree with the records and with what the server was
//! told, whoever sends them; metrics that agree with the report; and collectors that are down.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use llmload::mock::Snapshot;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;

use crate::process::{Cluster, Program, mock, settled, shared, towards};

/// Path, head and body of each message so far.
type Taken = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// Takes OTLP over HTTP, and keeps all of it.
struct Collector {
    address: SocketAddr,
    taken: Taken,
}

impl Collector {
    fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Taken::default();
        let kept = Arc::clone(&taken);
        // It serves to the end of the process: nothing waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, status, &kept));
            }
        });
        Self { address, taken }
    }

    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let taken = self.taken.lock().unwrap();
        let of = taken.iter().filter(|(at, ..)| at == path);
        of.map(|(.., body)| body.clone()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let read = |body: &Vec<u8>| ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let messages: Vec<_> = self.bodies("/v1/traces").iter().map(read).collect();
        let resources = messages
            .into_iter()
            .flat_map(|message| message.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn heads(&self) -> String {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|(_, head, _)| head.as_str()).collect()
    }
}

fn serve(stream: TcpStream, status: &str, taken: &Taken) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            head.push_str(&line);
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let path = head.split(' ').nth(1)?.to_owned();
        taken.lock().unwrap().push((path, head, body));
        write!(writer, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

fn hex(bytes: &[u8]) -> String {
    let each = bytes.iter().map(|byte| format!("{byte:02x}"));
    each.collect::<Vec<_>>().concat()
}

/// What the server was told, sorted.
fn parents(seen: &Snapshot) -> Vec<String> {
    let told = seen.last_requests.iter();
    let mut told: Vec<_> = told.filter_map(|note| note.traceparent.clone()).collect();
    told.sort();
    told
}

/// What spans would have told it.
fn named(spans: &[Span]) -> Vec<String> {
    let name = |span: &Span| format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
    let mut names: Vec<_> = spans.iter().map(name).collect();
    names.sort();
    names
}

fn whole(span: &Span, key: &str) -> i64 {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.clone()?.value) {
        Some(Any::IntValue(number)) => number,
        other => panic!("{key}: {other:?}"),
    }
}

/// The times of one request after it was sent: first token, end. By arrival.
fn by_record(records: &[Value]) -> BTreeMap<i64, (u64, u64)> {
    let ns = |value: &Value| value.as_u64().unwrap();
    let of = |record: &Value| {
        let sent = ns(&record["sent_ns"]);
        let first = ns(&record["content_ns"][0]) - sent;
        (
            record["index"]["arrival"].as_i64().unwrap(),
            (first, ns(&record["end_ns"]) - sent),
        )
    };
    records.iter().map(of).collect()
}

fn by_span(spans: &[Span]) -> BTreeMap<i64, (u64, u64)> {
    let of = |span: &Span| {
        let start = span.start_time_unix_nano;
        let first = span
            .events
            .iter()
            .find(|event| event.name == "llmload.first_token");
        let first = first.unwrap().time_unix_nano - start;
        (
            whole(span, "llmload.arrival"),
            (first, span.end_time_unix_nano - start),
        )
    };
    spans.iter().map(of).collect()
}

const OPEN: &str = "-u 40 -r 1000 --qps 200 --max-requests 200";

#[test]
fn every_span_is_a_record_and_the_server_was_told_of_it() {
    let _shared = shared();
    let (mock, collector) = (mock("5ms", "1ms"), Collector::start("200 OK"));
    let line = format!(
        "{OPEN} --records r.jsonl --otlp http://{} --trace-sample 1",
        collector.address
    );
    let ended = Program::start(&format!("run {}", towards(&mock, &line)))
        .wait()
        .expect(0);
    let spans = collector.spans();
    assert_eq!(spans.len(), 200);
    assert_eq!(by_span(&spans), by_record(&ended.records("r.jsonl")));
    assert_eq!(parents(&settled(&mock)), named(&spans));
    assert!(
        spans
            .iter()
            .all(|span| span.name == "chat mock" && span.parent_span_id.is_empty())
    );
    assert!(
        spans
            .iter()
            .all(|span| whole(span, "gen_ai.usage.output_tokens") == 5)
    );
}

#[test]
fn the_same_requests_are_sampled_by_one_process_and_by_a_cluster() {
    let _shared = shared();
    let sampled = |workers: usize| {
        let (mock, collector) = (mock("2ms", "0ms"), Collector::start("200 OK"));
        let line = format!(
            "{OPEN} --otlp http://{} --trace-sample 0.2",
            collector.address
        );
        let line = towards(&mock, &line);
        if workers == 0 {
            Program::start(&format!("run {line}")).wait().expect(0);
        } else {
            Cluster::start(&line, workers).succeed();
        }
        let spans = collector.spans();
        assert_eq!(parents(&settled(&mock)), named(&spans));
        let arrivals = spans.iter().map(|span| whole(span, "llmload.arrival"));
        let mut arrivals: Vec<_> = arrivals.collect();
        arrivals.sort_unstable();
        (arrivals, named(&spans))
    };
    let (alone, names) = sampled(0);
    let (cluster, others) = sampled(3);
    assert!((15..=70).contains(&alone.len()), "{}", alone.len());
    assert_eq!(alone, cluster);
    assert!(
        names.iter().all(|name| !others.contains(name)),
        "another run has other names"
    );
}

#[test]
fn without_a_sample_the_server_is_told_nothing_and_metrics_agree_with_the_report() {
    let _shared = shared();
    let (mock, collector) = (mock("5ms", "1ms"), Collector::start("200 OK"));
    let line = format!(
        "{OPEN} --otlp http://{} --otlp-header X-Key:hunter2hunter2",
        collector.address
    );
    let ended = Program::start(&format!("run {}", towards(&mock, &line)))
        .wait()
        .expect(0);
    assert_eq!(
        (parents(&settled(&mock)).len(), collector.spans().len()),
        (0, 0)
    );
    assert!(collector.heads().contains("x-key: hunter2hunter2"));
    assert!(
        !format!(
            "{}{}{}",
            ended.stderr,
            ended.stdout,
            ended.read("result.json")
        )
        .contains("hunter2")
    );
    let last = collector.bodies("/v1/metrics").pop().unwrap();
    let last = ExportMetricsServiceRequest::decode(last.as_slice()).unwrap();
    let metrics = &last.resource_metrics[0].scope_metrics[0].metrics;
    let of = |name: &str| {
        metrics
            .iter()
            .find(|metric| metric.name == name)
            .unwrap()
            .data
            .clone()
    };
    let Some(Data::Sum(sent)) = of("llmload_requests_sent") else {
        panic!("no sum");
    };
    assert_eq!(sent.data_points[0].value, Some(Number::AsInt(200)));
    let Some(Data::ExponentialHistogram(ttft)) = of("llmload_time_to_first_token_seconds") else {
        panic!("no histogram");
    };
    let count = ended.result().count("/metrics/ttft_ms/count");
    assert_eq!(ttft.data_points[0].count, count);
}

#[test]
fn a_collector_that_is_down_harms_no_figure_and_is_told() {
    let _shared = shared();
    let mock = mock("2ms", "0ms");
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let line = format!("--max-requests 20 --otlp http://{closed} --trace-sample 1");
    let ended = Program::start(&format!("run {}", towards(&mock, &line)))
        .wait()
        .expect(1);
    assert_eq!(ended.result().total("completed"), 20);
    for what in ["no spans arrived", "no messages of metrics arrived"] {
        assert!(ended.stderr.contains(what), "{}", ended.stderr);
    }
    // One that refuses for good is not asked again.
    let refusing = Collector::start("400 Bad Request");
    let line = format!(
        "--max-requests 20 --otlp http://{} --trace-sample 1",
        refusing.address
    );
    let ended = Program::start(&format!("run {}", towards(&mock, &line)))
        .wait()
        .expect(1);
    assert!(
        ended.stderr.contains("status 400 Bad Request"),
        "{}",
        ended.stderr
    );
    assert_eq!(refusing.bodies("/v1/traces").len(), 1);
}

#[test]
fn a_workers_own_collector_takes_its_spans() {
    let _shared = shared();
    let (mock, masters, own) = (
        mock("2ms", "0ms"),
        Collector::start("200 OK"),
        Collector::start("200 OK"),
    );
    let line = towards(
        &mock,
        &format!("{OPEN} --otlp http://{} --trace-sample 1", masters.address),
    );
    let cluster = Cluster::start(&line, 0);
    let worker = format!(
        "worker --master {} --threads 1 --otlp http://{} --otlp-header k:v",
        cluster.address, own.address
    );
    let worker = Program::start(&worker);
    let (master, _) = cluster.wait();
    master.expect(0);
    worker.wait().expect(0);
    assert_eq!((masters.spans().len(), own.spans().len()), (0, 200));
    assert!(!masters.bodies("/v1/metrics").is_empty());
}
