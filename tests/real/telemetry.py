"""Has a real Prometheus scrape a run against the mock server, and holds what it answers against the run's own report.

usage: telemetry.py LLMLOAD_BINARY [prometheus]      absent: all
prometheus  scraped as text and, with native histograms, as protobuf: counters are the report's counts, and
            `histogram_quantile(0.95, ...)` lies within a bucket of the report's p95

Where it is: `prometheus` on the PATH, or LLMLOAD_PROMETHEUS=FILE. LLMLOAD_REQUIRE=prometheus: it must not be skipped.
All of it is on loopback ports, in a temporary folder.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
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


def scraped(binary, program, folder, is_native):
    words = run_words(binary, "--prometheus", "127.0.0.1:0", "--prometheus-linger", "120s")
    with Process(words, folder, "llmload") as run:
        page = run.said("metrics for Prometheus: http://").removesuffix("/metrics")
        port = free_port()
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 500ms}\n"
            f"scrape_configs: [{{job_name: llmload, static_configs: [{{targets: ['{page}']}}]}}]\n"
        )
        features = ["--enable-feature=native-histograms"] if is_native else []
        server = [
            *(program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
            *(f"--web.listen-address=127.0.0.1:{port}", *features),
        ]
        with Process(server, folder, "prometheus") as database:
            database.said("Server is ready to receive web requests")
            eventually("a scrape while it runs", lambda: value(port, 'llmload_run_stage{stage="running"} == 1'))
            eventually("the last scrape", lambda: value(port, 'llmload_run_stage{stage="ended"} == 1'))
            report = json.loads((folder / "result.json").read_text())
            compare(port, report, is_native)
        assert run.end(signal.SIGINT) == 0, run.log.read_text()


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


PARTS = {"prometheus": prometheus}


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
