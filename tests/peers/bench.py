"""One measurement: a fresh mock server, one tool against it, and what the server saw beside what the tool says.

It decides nothing about which tools and loads there are. Times are seconds unless a name says otherwise.
"""

import bisect
import ctypes
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tools import MODEL, Load

HERE = Path(__file__).resolve().parent
TTFT_S = 0.100
GAP_S = 0.010
START_LIMIT_S = 10.0
SPARE_S = 30.0
PR_SET_PDEATHSIG = 1

# Variables of the caller's that would change what a tool does or where it connects.
FOREIGN = ("LOCUST_", "LLMLOAD_", "GUIDELLM", "AIPERF", "OTEL_", "HF_", "PYTHON")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

# As the tools and their libraries document them.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "NO_COLOR": "1",
}


class RunError(Exception):
    """A run that gives no figures, and why."""


@dataclass(frozen=True)
class Setting:
    """What all runs have in common."""

    llmload: Path
    peers: Path
    server_cores: set
    client_cores: set
    output_tokens: int
    limit_s: float


@dataclass
class Truth:
    """What the server counted in one run."""

    requests: int
    tokens: int
    # The span in which every stream was open, and what was sent in it.
    begin_ns: int
    end_ns: int
    span_tokens: float
    ttft_ms: list
    lateness_p99_ms: float
    server_load: float


def pinned(cores):
    """Runs in a new process before its program: on its cores, and not longer than this one lives."""

    def prepare():
        os.sched_setaffinity(0, cores)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    return prepare


def stop(process):
    """Ends a process that was started here."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(SPARE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Mock:
    """The mock server on its core, from start to end of a `with`."""

    def __init__(self, setting, requests):
        script = ["--ttft", f"{TTFT_S * 1e3:g}ms", "--inter-token", f"{GAP_S * 1e3:g}ms"]
        script += ["--output-tokens", str(setting.output_tokens), "--model", MODEL]
        truth = ["--precise", "--stamp", "--keep-requests", str(requests)]
        self.command = [str(setting.llmload), "mock-server", "--port", "0", *script, *truth]
        self.cores = setting.server_cores

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            preexec_fn=pinned(self.cores),
        )
        ready, _, _ = select.select([self.process.stdout], [], [], START_LIMIT_S)
        line = self.process.stdout.readline() if ready else ""
        if "http://" not in line:
            stop(self.process)
            raise SystemExit(f"the mock server does not start: {' '.join(self.command)}")
        self.url = line[line.index("http://") :].strip()
        return self

    def __exit__(self, *_):
        stop(self.process)
        self.process.stdout.close()

    def cpu_s(self):
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stats(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/stats", timeout=SPARE_S) as answer:
            return json.load(answer)


def tokens_until(note, until):
    """Tokens of one answer that were sent by then: the first at once, the others evenly up to the last."""
    first, last = note["first_sent_ns"], note["last_sent_ns"]
    if until < first:
        return 0.0
    if until >= last:
        return float(note["tokens"])
    return 1 + (note["tokens"] - 1) * (until - first) / (last - first)


def truth_of(stats, streams, server_cpu_s):
    """The server's own figures of a run.

    The span is from when as many requests had come as there are streams to when the last one came: before, not all
    streams are open, and after it they run out.
    """
    notes = [note for note in stats["last_requests"] if note["first_sent_ns"] is not None]
    if not notes:
        raise RunError("no request was answered")
    received = sorted(note["received_ns"] for note in notes)
    begin, end = received[min(streams, len(received)) - 1], received[-1]
    inside = sum(tokens_until(note, end) - tokens_until(note, begin) for note in notes)
    busy_s = (max(note["last_sent_ns"] for note in notes) - received[0]) / 1e9
    complete = [note for note in notes if note["end"] == "completed"]
    return Truth(
        requests=len(complete),
        tokens=stats["sent"]["tokens"],
        begin_ns=begin,
        end_ns=end,
        span_tokens=inside,
        ttft_ms=[(note["first_sent_ns"] - note["received_ns"]) / 1e6 for note in complete],
        lateness_p99_ms=stats["lateness"]["p99_us"] / 1e3,
        server_load=server_cpu_s / busy_s if busy_s > 0 else 0.0,
    )


def environment(setting, folder, extra):
    """The caller's environment without what would disturb, and with telemetry and downloads off."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN) and name.lower() not in PROXIES
    }
    home = setting.peers / "home"
    home.mkdir(parents=True, exist_ok=True)
    places = {"HOME": str(home), "HF_HUB_CACHE": str(setting.peers / "hub"), "HF_DATASETS_CACHE": str(folder / "data")}
    return {**kept, **QUIET, **places, **extra}


def last_words(folder):
    """The last line that a tool wrote, as the reason for its end."""
    for name in ("err", "out"):
        lines = [line.strip() for line in (folder / name).read_text(errors="replace").splitlines()]
        lines = [line for line in lines if any(character.isalnum() for character in line)]
        if lines:
            return lines[-1][:120]
    return "it said nothing"


def metered(tool, load, setting, folder):
    """Runs the tool to its end; its cost by `metered.py`."""
    report = folder / "cost.json"
    cores = ",".join(map(str, sorted(setting.client_cores)))
    wrapper = [sys.executable, "-B", str(HERE / "metered.py"), str(report), cores, str(setting.limit_s)]
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(
            [*wrapper, *tool.command(load, folder)],
            cwd=folder,
            env=environment(setting, folder, tool.environment(load)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            process.wait(setting.limit_s + SPARE_S)
        except subprocess.TimeoutExpired as error:
            raise RunError("it cannot be ended") from error
        finally:
            stop(process)
    if not report.exists():
        raise RunError(f"it does not start: {last_words(folder)}")
    return json.loads(report.read_text())


def complaint(cost, truth, load, folder, limit_s):
    """Why a run that has figures did not do what it was asked."""
    if cost["timed_out"]:
        return f"not done in {limit_s:g} s ({truth.requests} of {load.requests} requests)"
    if cost["exit"] != 0:
        return f"exit {cost['exit']}: {last_words(folder)}"
    if truth.requests != load.requests:
        return f"{truth.requests} of {load.requests} requests completed"
    return ""


def read_told(tool, folder):
    """What the tool says, and what hindered the reading."""
    try:
        return tool.told(folder), ""
    except (OSError, ValueError, LookupError, TypeError) as error:
        return None, f"its report cannot be read: {type(error).__name__} {error}"[:120]


def run(tool, streams, requests, setting, folder):
    """The figures of one tool against a server of its own.

    Raises RunError where not even the server has figures.
    """
    folder.mkdir(parents=True)
    with Mock(setting, 2 * requests) as mock:
        load = Load(mock.url, streams, requests, setting.output_tokens)
        cost = metered(tool, load, setting, folder)
        # What was in flight when a tool was ended is noted when the server sees it go.
        time.sleep(0.2)
        try:
            truth = truth_of(mock.stats(), streams, mock.cpu_s())
        except RunError as error:
            reason = f"not done in {setting.limit_s:g} s" if cost["timed_out"] else f"exit {cost['exit']}"
            raise RunError(f"{reason}, {error}: {last_words(folder)}") from error
    told, unread = read_told(tool, folder)
    remarks = [complaint(cost, truth, load, folder, setting.limit_s), unread]
    if cost["left_behind"] and not cost["timed_out"]:
        remarks.append(f"left {cost['left_behind']} processes behind")
    return {**figures(cost, truth, load), **times(truth, told), "note": "; ".join(filter(None, remarks))}


def allowed(streams, output_tokens):
    """Tokens a second that so many streams can bring when each sends its next request at once."""
    return streams * output_tokens / (TTFT_S + GAP_S * (output_tokens - 1))


def cpu_until(notes, until):
    """The cost up to a time, between two notes in proportion."""
    place = bisect.bisect_left(notes, until, key=lambda note: note[0])
    if place == 0 or place == len(notes):
        return notes[min(place, len(notes) - 1)][1]
    (before, low), (after, high) = notes[place - 1], notes[place]
    return low + (high - low) * (until - before) / (after - before)


def figures(cost, truth, load):
    """Cost and rate in the span in which every stream was open: neither starting nor ending counts."""
    span_s = (truth.end_ns - truth.begin_ns) / 1e9
    rate = truth.span_tokens / span_s if span_s > 0 else None
    notes = cost["cpu_s_at_ns"]
    cpu_s = cpu_until(notes, truth.end_ns) - cpu_until(notes, truth.begin_ns)
    return {
        "cpu_us_per_token": cpu_s / truth.span_tokens * 1e6 if rate else None,
        "tool_load": cpu_s / span_s if rate else None,
        "tokens_per_s": rate,
        "share_of_allowed": rate / allowed(load.streams, load.output_tokens) if rate else None,
        "span_s": span_s,
        "span_cpu_s": cpu_s,
        "span_tokens": truth.span_tokens,
        "whole_cpu_user_s": cost["user_s"],
        "whole_cpu_system_s": cost["system_s"],
        "whole_wall_s": cost["wall_s"],
        "whole_tokens": truth.tokens,
        "server_load": truth.server_load,
        "server_lateness_p99_ms": truth.lateness_p99_ms,
    }


def times(truth, told):
    """What the tool says of all its requests beside what the server knows of them."""
    return {
        "ttft_mean_told_ms": told.mean if told else None,
        "ttft_mean_true_ms": statistics.fmean(truth.ttft_ms) if truth.ttft_ms else None,
        "ttft_p50_told_ms": told.p50 if told else None,
        "ttft_p50_true_ms": statistics.median(truth.ttft_ms) if truth.ttft_ms else None,
    }
