#!/usr/bin/env python3
"""What watching a run costs the generator: CPU time per token with every view open, against the same run with none, in turns.

usage: overhead.py LLMLOAD_BINARY [--streams N] [--seconds S] [--rounds N] [--view NAME]... [--check]      wants a release build

The mock server, and whoever reads the views, have one core, llmload the other. Views:
terminal    the live view, on a pseudo terminal of 160 x 50 that is read
web         the live page's API, with a reader of its stream of events (in place of the terminal: there is one or the other)
prometheus  a page, scraped each second, in turns as text and as protobuf with native histograms
otlp        metrics each second, and spans of 1% of the requests, to a server here
database    rows of seconds and of requests, to a PostgreSQL of its own: Debian's, or LLMLOAD_POSTGRES=FOLDER of its programs
Without --view two sets are measured: all with the terminal, and all with the web page. --check: more than 3% is a failure.
Linux, two cores, Python 3.11 or newer; all of it on loopback, in a temporary folder.
"""

import argparse
import fcntl
import http.client
import http.server
import json
import os
import pty
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.request
from pathlib import Path

MOST = 0.03
INTER_TOKEN_MS, TOKENS = 10, 100
SETS = [["terminal", "prometheus", "otlp", "database"], ["web", "prometheus", "otlp", "database"]]
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parent / "database"))
import data


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.taken += 1
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Reader(threading.Thread):
    """Something that looks at a view until it is told to end; counts what it saw."""

    def __init__(self, look):
        super().__init__(daemon=True)
        self.look, self.over, self.seen = look, threading.Event(), 0
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                self.look(self)
            except (OSError, http.client.HTTPException):
                self.over.wait(0.1)


def scraping(port):
    def look(reader):
        accept = PROTOBUF if reader.seen % 2 else "text/plain"
        request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"accept": accept})
        body = urllib.request.urlopen(request, timeout=10).read()
        reader.seen += len(body) > 10_000
        reader.over.wait(1)

    return look


def following(port):
    def look(reader):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/events", timeout=10) as stream:
            for line in stream:
                reader.seen += line.startswith(b"data:")

    return look


def watching(terminal):
    def look(reader):
        reader.seen += bool(os.read(terminal, 65536))

    return look


class Bench:
    def __init__(self, options):
        self.options = options
        self.cores = sorted(os.sched_getaffinity(0))[:2]
        if len(self.cores) < 2:
            sys.exit("two cores are needed: one for the server, and one for the generator")
        os.sched_setaffinity(0, {self.cores[1]})
        self.collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
        self.collector.taken, self.postgres = 0, None
        threading.Thread(target=self.collector.serve_forever, daemon=True).start()
        self.port = free_port()
        mock = [options.binary, "mock-server", "-p", str(self.port), "--threads", "1", "--ttft", "20ms"]
        self.mock = subprocess.Popen([*mock, "--inter-token", f"{INTER_TOKEN_MS}ms"], stdout=subprocess.PIPE)
        self.mock.stdout.readline()

    def database(self):
        """The server of a PostgreSQL of its own, which has a core with the others."""
        if self.postgres is None:
            self.place = tempfile.TemporaryDirectory()
            os.chmod(self.place.name, 0o755)
            below = Path(self.place.name) / "postgres"
            below.mkdir()
            self.postgres = data.Postgres(below)
            self.postgres.start()
        return self.postgres

    def close(self):
        self.mock.kill()
        self.mock.wait()
        if self.postgres is not None:
            self.postgres.end()
            self.place.cleanup()

    def run(self, views):
        """CPU seconds and tokens of one run."""
        options = self.options
        with tempfile.TemporaryDirectory() as folder:
            words = [
                *(options.binary, "run", "-H", f"http://127.0.0.1:{self.port}", "-m", "mock", "--provider", "openai"),
                *("-u", str(options.streams), "-r", "1000", "-t", f"{options.seconds}s", "-o", str(TOKENS), "--seed", "7"),
                *("--threads", "1", "--allow-invalid", "--json-file", "result.json"),
            ]
            readers, streams, terminal = [], (subprocess.DEVNULL, subprocess.DEVNULL), None
            for view in views:
                port = free_port()
                if view == "terminal":
                    terminal, inner = pty.openpty()
                    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
                    streams = (inner, inner)
                    readers.append((view, Reader(watching(terminal))))
                elif view == "web":
                    words += ["--web", "--web-port", str(port), "--autostart", "--autoquit", "0"]
                    readers.append((view, Reader(following(port))))
                elif view == "prometheus":
                    words += ["--prometheus", str(port)]
                    readers.append((view, Reader(scraping(port))))
                elif view == "otlp":
                    at = f"http://127.0.0.1:{self.collector.server_address[1]}"
                    words += ["--otlp", at, "--otlp-step", "1s", "--trace-sample", "0.01"]
                elif view == "database":
                    words += ["--pg-url", self.database().url("?sslmode=disable"), "--pg-requests"]
            if "terminal" not in views and "web" not in views:
                words.append("--headless")
            taken = self.collector.taken
            child = subprocess.Popen(
                words,
                cwd=folder,
                stdin=streams[0],
                stdout=streams[1],
                stderr=subprocess.DEVNULL if terminal is None else streams[1],
                env={**data.environment(), "TERM": "xterm-256color"},
                preexec_fn=lambda: os.sched_setaffinity(0, {self.cores[0]}),
                start_new_session=True,
            )
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            for _, reader in readers:
                reader.over.set()
            if terminal is not None:
                os.close(inner)
            for name, reader in readers:
                reader.join(15)
                assert reader.seen > options.seconds / 2, f"nobody saw the {name}: {reader.seen}"
            assert child.returncode == 0, f"status {child.returncode} of {words}"
            assert "otlp" not in views or self.collector.taken - taken > options.seconds / 2
            result = json.loads((Path(folder) / "result.json").read_text())
            if "database" in views:
                last = "(SELECT run FROM llmload.runs ORDER BY started_at DESC LIMIT 1)"
                rows = self.postgres.sql(f"SELECT count(*) FROM llmload.requests WHERE run = {last}")
                assert int(rows) == result["totals"]["sent"], rows
        return usage.ru_utime + usage.ru_stime, result["tokens"]["whole_run_output"]

    def compare(self, views):
        plain, watched, ratios = [], [], []
        for number in range(self.options.rounds):
            # Whatever drifts falls on either as often.
            turns = [(plain, []), (watched, views)]
            for kept, shown in turns if number % 2 == 0 else reversed(turns):
                cpu, tokens = self.run(shown)
                kept.append(1e6 * cpu / tokens)
            ratios.append(watched[-1] / plain[-1] - 1)
        both = (statistics.median(plain), statistics.median(watched))
        cost = statistics.median(ratios)
        print(
            f"{'+'.join(views):32} {both[0]:.2f} us a token without, {both[1]:.2f} with: {100 * cost:+.1f}% "
            f"(median of pairs, {100 * min(ratios):+.1f}..{100 * max(ratios):+.1f}%)",
            flush=True,
        )
        return cost


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=lambda text: str(Path(text).resolve()))
    parser.add_argument("--streams", type=int, default=512)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--view", action="append", choices=sorted({view for views in SETS for view in views}))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        sets = [options.view] if options.view else SETS
        rate = options.streams * 1000 / INTER_TOKEN_MS
        print(f"{options.streams} streams, at most {rate:.0f} tokens/s, {options.rounds} rounds of {options.seconds} s", flush=True)
        costs = [bench.compare(views) for views in sets]
    finally:
        bench.close()
    if options.check and max(costs) > MOST:
        sys.exit(f"more than {100 * MOST:.0f}%")


if __name__ == "__main__":
    main()
