"""Has a real Prometheus scrape a run against the mock server and a real OpenTelemetry collector take it, and holds what they have
against the run's own report and records.

usage: telemetry.py LLMLOAD_BINARY [prometheus] [otlp]      absent: all
prometheus  scraped as text and, with native histograms, as protobuf: counters are the report's counts, and
            `histogram_quantile(0.95, ...)` lies within a bucket of the report's p95; the pages of two workers add up to
            their master's

otlp        two workers tell Rotel, which passes all on to a server here: there is a span for each sampled request, its times
            are the record's, its names are what the mock was told, and the metrics are the report's

Where they are: `prometheus` on the PATH, or LLMLOAD_PROMETHEUS=FILE; `rotel` and `opentelemetry-proto` installed for the Python that
runs this. LLMLOAD_REQUIRE=prometheus,otlp: these must not be skipped.
All of it is on loopback ports, in a temporary folder.
"""

import gzip
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

PATIENCE_S = 60
# The widest classic bucket, relative to its lower bound, and the native ones' width; both with the 0.1% of the report's own.
CLASSIC, NATIVE = 1.6 * 1.001, 2 ** (1 / 64) * 1.001
HISTOGRAMS = {
    "llmload_time_to_first_token_seconds": "ttft_ms",
    "llmload_total_latency_seconds": "total_latency_ms",
    "llmload_time_per_output_token_seconds": "tpot_ms",
    "llmload_inter_chunk_latency_seconds": "icl_ms",
}


class Missing(Exception):
    """What a part needs is not there."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what, poll):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = poll()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError(f"in vain: {what}")


class Process:
    """A process that ends with its block; what it says goes to a file."""

    def __init__(self, words, folder, name):
        self.log = folder / f"{name}.log"
        self.words, self.folder = words, folder

    def __enter__(self):
        with self.log.open("w") as log:
            self.child = subprocess.Popen(self.words, cwd=self.folder, stdout=log, stderr=log, env=environment())
        return self

    def said(self, words):
        def poll():
            text = self.log.read_text()
            if words in text:
                return text.split(words, 1)[1].splitlines()[0]
            if self.child.poll() is not None:
                raise AssertionError(f"{self.words[0]} ended: {text}")
            return None

        return eventually(f"{words!r} from {self.words[0]}", poll)

    def end(self, wanted=signal.SIGTERM):
        self.child.send_signal(wanted)
        return self.child.wait(PATIENCE_S)

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


def environment():
    return {key: value for key, value in os.environ.items() if "PROXY" not in key.upper() and "OTEL" not in key}


def run_words(binary, *more):
    return [
        *(binary, "run", "--mock", "-m", "mock", "--provider", "openai", "-u", "8", "-t", "8s", "--warmup", "1s"),
        *("-o", "16", "--seed", "7", "--threads", "1", "--only-summary", "--allow-invalid", "--json-file", "result.json"),
        *more,
    ]


def asked(port, query):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(url, timeout=10) as answer:
        told = json.load(answer)
    assert told["status"] == "success", told
    return told["data"]["result"]


def value(port, query):
    found = asked(port, query)
    return float(found[0]["value"][1]) if found else None


def prometheus(binary, folder):
    program = os.environ.get("LLMLOAD_PROMETHEUS") or shutil.which("prometheus")
    if program is None:
        raise Missing("no prometheus on the PATH")
    for is_native in (False, True):
        below = folder / ("native" if is_native else "classic")
        below.mkdir()
        scraped(binary, program, below, is_native)
    below = folder / "cluster"
    below.mkdir()
    scraped_cluster(binary, program, below)


def database(program, folder, pages, *features):
    """A Prometheus that scrapes these pages, and its port."""
    port = free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms}\n"
        f"scrape_configs: [{{job_name: llmload, static_configs: [{{targets: {json.dumps(pages)}}}]}}]\n"
    )
    server = [
        *(program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        *(f"--web.listen-address=127.0.0.1:{port}", *features),
    ]
    return Process(server, folder, "prometheus"), port


def page_of(process):
    return process.said("metrics for Prometheus: http://").removesuffix("/metrics")


def scraped(binary, program, folder, is_native):
    words = run_words(binary, "--prometheus", "127.0.0.1:0", "--prometheus-linger", "120s")
    with Process(words, folder, "llmload") as run:
        features = ["--enable-feature=native-histograms"] if is_native else []
        server, port = database(program, folder, [page_of(run)], *features)
        with server:
            server.said("Server is ready to receive web requests")
            eventually("a scrape while it runs", lambda: value(port, 'llmload_run_stage{stage="running"} == 1'))
            eventually("the last scrape", lambda: value(port, 'llmload_run_stage{stage="ended"} == 1'))
            report = json.loads((folder / "result.json").read_text())
            compare(port, report, is_native)
        assert run.end(signal.SIGINT) == 0, run.log.read_text()


def scraped_cluster(binary, program, folder):
    """The pages of a master and of its workers at once: the workers' add up to the master's, and no sum counts a request twice."""
    mock_port, listen = free_port(), free_port()
    mock = [binary, "mock-server", "-p", str(mock_port)]
    telling = ["--prometheus", "127.0.0.1:0", "--prometheus-linger", "120s"]
    master = [
        *(binary, "master", "--master-bind-port", str(listen), "--expect-workers", "2", "-H", f"http://127.0.0.1:{mock_port}"),
        *("-m", "mock", "--provider", "openai", "-u", "9", "-t", "6s", "-o", "16", "--seed", "7", "--only-summary"),
        *("--allow-invalid", "--json-file", "result.json", *telling),
    ]
    worker = [binary, "worker", "--master", f"127.0.0.1:{listen}", "--threads", "1", *telling]
    with Process(mock, folder, "mock"):
        eventually("the mock", lambda: connected(mock_port))
        with Process(master, folder, "master") as run, Process(worker, folder, "one") as one, Process(worker, folder, "two") as two:
            server, port = database(program, folder, [page_of(process) for process in (run, one, two)])
            with server:
                server.said("Server is ready to receive web requests")
                eventually("the last scrape", lambda: value(port, 'llmload_run_stage{stage="ended"} == 1'))
                parts = 'count(llmload_part_run_stage{stage="ended"} == 1) == 2'
                eventually("the last scrape of both workers", lambda: value(port, parts))
                compare_cluster(port, json.loads((folder / "result.json").read_text()))
            for process in (run, one, two):
                assert process.end(signal.SIGINT) == 0, process.log.read_text()


def compare_cluster(port, report):
    sent = report["totals"]["sent"]
    for query in ("sum(llmload_requests_sent_total)", "sum(llmload_part_requests_sent_total)"):
        told = value(port, query)
        assert told == sent > 100, f"{query} is {told}, and the report has {sent}"
    for name, key in HISTOGRAMS.items():
        part = name.replace("llmload_", "llmload_part_")
        wanted = report["metrics"][key]["p95"] / 1e3
        told = value(port, f"histogram_quantile(0.95, sum by (le) ({part}_bucket))")
        assert told is not None and 1 / CLASSIC <= told / wanted <= CLASSIC, f"p95 of {part} is {told}, the report's {wanted}"
        count = value(port, f"sum({part}_count)")
        assert count == report["metrics"][key]["count"], f"{part} has {count} values, the report {report['metrics'][key]['count']}"
    print(f"cluster  {sent} requests by the master's page, and by those of 2 workers together; p95 within a bucket")


def compare(port, report, is_native):
    kind = "native" if is_native else "classic"
    totals, metrics = report["totals"], report["metrics"]
    good = 'sum(llmload_requests_finished_total{outcome=~"ok|truncated"})'
    for query, wanted in [
        ("llmload_requests_sent_total", totals["sent"]),
        ("llmload_requests_scheduled_total", totals["scheduled"]),
        (good, totals["completed"]),
        ('sum(llmload_requests_finished_total{outcome!~"ok|truncated|cancelled"})', totals["failed"]),
    ]:
        told = value(port, query)
        assert told == wanted, f"{kind}: {query} is {told}, and the report has {wanted}"
    for name, key in HISTOGRAMS.items():
        wanted = metrics[key]["p95"] / 1e3
        told = value(port, f"histogram_quantile(0.95, {name})" if is_native else f"histogram_quantile(0.95, {name}_bucket)")
        most = NATIVE if is_native else CLASSIC
        assert told is not None and 1 / most <= told / wanted <= most, f"{kind}: p95 of {name} is {told}, the report's {wanted}"
        count = value(port, f"histogram_count({name})" if is_native else f"{name}_count")
        assert count == metrics[key]["count"], f"{kind}: {name} has {count} values, the report {metrics[key]['count']}"
        print(f"{kind:8} {name}: p95 {told * 1e3:.3f} ms, the report's {wanted * 1e3:.3f} ms, {count:.0f} values")
    assert totals["sent"] > 100


class Receiver:
    """What a collector passes on, read by OpenTelemetry's own messages."""

    def __init__(self):
        self.taken = {"/v1/traces": [], "/v1/metrics": []}
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                body = gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body
                receiver.taken[self.path].append(body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        messages = [ExportTraceServiceRequest.FromString(body) for body in self.taken["/v1/traces"]]
        scopes = [scope for m in messages for resource in m.resource_spans for scope in resource.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def metrics(self):
        """The last of each name, by the time that it was taken at: a collector may pass them on in another order."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        messages = [ExportMetricsServiceRequest.FromString(body) for body in self.taken["/v1/metrics"]]
        scopes = [scope for m in messages for resource in m.resource_metrics for scope in resource.scope_metrics]
        metrics = [metric for scope in scopes for metric in scope.metrics]
        return {metric.name: metric for metric in sorted(metrics, key=taken_at)}


def taken_at(metric):
    return max(point.time_unix_nano for point in getattr(metric, metric.WhichOneof("data")).data_points)


def attribute(span, key):
    [found] = [a.value for a in span.attributes if a.key == key]
    return getattr(found, found.WhichOneof("value"))


def otlp(binary, folder):
    try:
        import opentelemetry.proto.collector.trace.v1.trace_service_pb2  # noqa: F401
        import rotel
    except ImportError as missing:
        raise Missing(f"{missing}") from missing
    receiver, port = Receiver(), free_port()
    agent = Path(rotel.__file__).parent / "rotel-agent"
    collector = [
        *(str(agent), "start", f"--otlp-http-endpoint=127.0.0.1:{port}", f"--otlp-grpc-endpoint=127.0.0.1:{free_port()}"),
        *("--exporter=otlp", "--otlp-exporter-protocol=http", f"--otlp-exporter-endpoint=http://127.0.0.1:{receiver.port}"),
        *(f"--pid-file={folder}/pid", f"--log-file={folder}/rotel"),
    ]
    mock_port, listen = free_port(), free_port()
    mock = [binary, "mock-server", "-p", str(mock_port), "--keep-requests", "100000"]
    master = [
        *(binary, "master", "--master-bind-port", str(listen), "--expect-workers", "2", "-H", f"http://127.0.0.1:{mock_port}"),
        *("-m", "mock", "--provider", "openai", "-u", "40", "-r", "1000", "--qps", "100", "-t", "6s", "-o", "16", "--seed", "7"),
        *("--only-summary", "--allow-invalid", "--json-file", "result.json", "--records", "r.jsonl"),
        *("--otlp", f"http://127.0.0.1:{port}", "--otlp-step", "1s", "--trace-sample", "0.3"),
    ]
    worker = [binary, "worker", "--master", f"127.0.0.1:{listen}", "--threads", "1"]
    with Process(collector, folder, "rotel"), Process(mock, folder, "mock"):
        eventually("the mock", lambda: connected(mock_port))
        eventually("the collector", lambda: connected(port))
        with Process(master, folder, "master") as run, Process(worker, folder, "one") as one, Process(worker, folder, "two") as two:
            for process in (run, one, two):
                assert process.child.wait(PATIENCE_S) == 0, process.log.read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{mock_port}/stats", timeout=10) as answer:
            seen = json.load(answer)
        told = sorted(note["traceparent"] for note in seen["last_requests"] if note["traceparent"])
        spans = eventually("all spans", lambda: receiver.spans() if len(receiver.spans()) >= len(told) else None)
        metrics = eventually("the last metrics", lambda: last_metrics(receiver))
    report = json.loads((folder / "result.json").read_text())
    lines = [line for path in folder.glob("r*.jsonl") for line in path.read_text().splitlines()]
    records = {record["index"]["arrival"]: record for record in map(json.loads, lines)}
    hold_spans(spans, told, records)
    hold_metrics(metrics, report)


def connected(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True


def hold_spans(spans, told, records):
    names = sorted(f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in spans)
    assert names == told, f"{len(names)} spans, and {len(told)} requests that the server was told of"
    assert 0.2 < len(spans) / len(records) < 0.4, f"{len(spans)} of {len(records)}"
    for span in spans:
        record = records[attribute(span, "llmload.arrival")]
        [first] = [event.time_unix_nano for event in span.events if event.name == "llmload.first_token"]
        assert first - span.start_time_unix_nano == record["content_ns"][0] - record["sent_ns"]
        assert span.end_time_unix_nano - span.start_time_unix_nano == record["end_ns"] - record["sent_ns"]
        assert (span.name, span.kind) == ("chat mock", 3), span
    print(f"otlp     {len(spans)} spans of {len(records)} requests; times are the records', names are what the server was told")


def last_metrics(receiver):
    """Those of a run that is over: Rotel passes them on in its own time."""
    metrics = receiver.metrics()
    stages = metrics["llmload_run_stage"].gauge.data_points if metrics else []
    is_over = any(attribute(point, "stage") == "ended" and point.as_int == 1 for point in stages)
    return metrics if is_over else None


def hold_metrics(metrics, report):
    [sent] = metrics["llmload_requests_sent"].sum.data_points
    assert sent.as_int == report["totals"]["sent"], sent
    for name, key in HISTOGRAMS.items():
        [point] = metrics[name].exponential_histogram.data_points
        assert point.count == report["metrics"][key]["count"], (name, point.count)
        rank, passed, at = 0.95 * point.count, point.zero_count, point.positive.offset
        for count in point.positive.bucket_counts:
            at, passed = at + 1, passed + count
            if passed >= rank:
                break
        above, up_to = 2 ** ((at - 1) / 2**point.scale), 2 ** (at / 2**point.scale)
        wanted = report["metrics"][key]["p95"] / 1e3
        # The report's figure is rounded.
        assert above * 0.999 < wanted <= up_to * 1.001, f"{name}: {wanted} is not in {above}..{up_to}"
        print(f"otlp     {name}: p95 in {above * 1e3:.3f}..{up_to * 1e3:.3f} ms, the report's {wanted * 1e3:.3f} ms")


PARTS = {"prometheus": prometheus, "otlp": otlp}


def main():
    binary, wanted = str(Path(sys.argv[1]).resolve()), sys.argv[2:] or list(PARTS)
    required = os.environ.get("LLMLOAD_REQUIRE", "").split(",")
    for name in wanted:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                PARTS[name](binary, Path(folder))
            except Missing as missing:
                if name in required:
                    raise
                print(f"skip {name}: {missing}")
                continue
        print(f"ok {name}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
