"""Measures llmload and its peers side by side: reads the options, runs every tool at every load, prints and saves.

The measuring is in `bench`, the tools' command lines in `tools`, their installation in `install`.
"""

import argparse
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import bench
import install
import table
from tools import TOOLS

ROOT = Path(__file__).resolve().parents[2]
OPEN_FILES = 65536


def numbers(text):
    return [int(part) for part in text.split(",")]


def names(text):
    chosen = text.split(",")
    unknown = [name for name in chosen if name not in TOOLS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown tool `{unknown[0]}`; there are {', '.join(TOOLS)}")
    return chosen


def options():
    parser = argparse.ArgumentParser(
        prog="tests/peers/run.sh",
        description="Runs llmload and its peers against the same mock server, and prints what each costs and tells.",
        epilog="A run takes rounds x 1.1 s where a tool keeps up, and as much longer as it does not.",
    )
    more = parser.add_argument
    more("--tools", type=names, default=list(TOOLS), metavar="A,B", help=f"of {','.join(TOOLS)} (all)")
    more("--streams", type=numbers, default=[8, 32, 64, 128, 256, 512], metavar="N,M", help="8,32,64,128,256,512")
    more("--rounds", type=int, default=10, metavar="N", help="requests of each stream (%(default)s)")
    more("--least-requests", type=int, default=500, metavar="N", help="but so many of all streams (%(default)s)")
    more("--repeat", type=int, default=1, metavar="N", help="measure so often and give medians (%(default)s)")
    more("--output-tokens", type=int, default=100, metavar="N", help="tokens of each answer (%(default)s)")
    more("--time-limit", type=float, default=900, metavar="SECONDS", help="of one run (%(default)s)")
    more("--server-cores", type=numbers, default=[0], metavar="N,M", help="cores of the mock server (0)")
    more("--client-cores", type=numbers, default=[1], metavar="N,M", help="cores of the tool, all its processes (1)")
    more("--llmload", type=Path, metavar="FILE", help="program to measure; absent: LLMLOAD_BINARY, else a new build")
    more("--peers-dir", type=Path, default=ROOT / "target" / "peers", metavar="DIR", help="of the installed peers")
    more("--json", type=Path, metavar="FILE", help="write all figures to this file")
    more("--keep", type=Path, metavar="DIR", help="keep what the tools wrote in this new folder")
    given = parser.parse_args()
    if given.rounds < 2:
        parser.error("--rounds must be at least 2, or no span has all streams open")
    if given.repeat < 1 or given.output_tokens < 2 or min(given.streams) < 1:
        parser.error("--repeat and --streams must be at least 1, --output-tokens at least 2")
    return given


def check_cores(given):
    """Cores that cannot be had, or are shared, would spoil every figure."""
    server, client = set(given.server_cores), set(given.client_cores)
    missing = (server | client) - os.sched_getaffinity(0)
    if missing:
        raise SystemExit(f"core {min(missing)} cannot be used here; hint: --server-cores, --client-cores")
    if server & client:
        raise SystemExit("server and client must not share a core")


def allow_open_files():
    """512 streams and what else a tool opens are more than some systems' default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def programs(given, llmload):
    """The tools that can be had, and why the others cannot."""
    found, failures = {}, {}
    for name in given.tools:
        try:
            found[name] = TOOLS[name](llmload if name == "llmload" else install.installed(name, given.peers_dir))
        except install.InstallError as error:
            failures[name] = str(error)
    return found, failures


def median_of(cells):
    """The median of each figure over the repetitions that have it, and all their remarks."""
    whole = {}
    for key in cells[0]:
        values = [cell[key] for cell in cells if cell[key] is not None]
        if key == "note":
            whole[key] = "; ".join(dict.fromkeys(filter(None, values)))
        else:
            whole[key] = statistics.median(values) if values else None
    return whole


def rounds_for(streams, given):
    """Requests of each stream: few streams need more of them, or the clock's ticks would show in the cost."""
    return max(given.rounds, -(-given.least_requests // streams))


def measure(tool, streams, given, setting, folder):
    """All runs of one tool at one load: its figures, or why there are none."""
    cells, failure = [], None
    requests = streams * rounds_for(streams, given)
    for repetition in range(given.repeat):
        place = folder / f"{streams}-{repetition}"
        try:
            cells.append(bench.run(tool, streams, requests, setting, place))
        except bench.RunError as error:
            failure = str(error)
    return (median_of(cells), failure) if cells else (None, failure)


def measure_all(given, setting, folder):
    tools, missing = programs(given, setting.llmload)
    for name, tool in tools.items():
        # Caches that a first start fills are no cost of the load.
        try:
            bench.run(tool, 1, 1, setting, folder / name / "first")
        except bench.RunError as error:
            print(f"{name}: {error}", file=sys.stderr)
    entries = []
    for streams in given.streams:
        for name in given.tools:
            print(f"{name}, {streams} streams", file=sys.stderr)
            figures, failure = None, missing.get(name)
            if failure is None:
                figures, failure = measure(tools[name], streams, given, setting, folder / name)
            if figures and failure:
                figures["note"] = "; ".join(filter(None, [figures["note"], failure]))
            times_tokens = TOOLS[name].times_tokens
            entry = {"streams": streams, "tool": name, "times_tokens": times_tokens}
            entries.append({**entry, "figures": figures, "failure": failure})
    return entries


def version_of(llmload):
    done = subprocess.run([llmload, "--version"], capture_output=True, text=True, timeout=bench.SPARE_S)
    return done.stdout.strip().removeprefix("llmload ")


def heading(given, setting, load_before):
    """How it was measured, for whoever reads the table."""
    versions = {"llmload": version_of(setting.llmload), **install.VERSIONS}
    return {
        "versions": {name: versions[name] for name in given.tools},
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_average_before": load_before,
        "server_cores": given.server_cores,
        "client_cores": given.client_cores,
        "ttft_ms": bench.TTFT_S * 1e3,
        "inter_token_ms": bench.GAP_S * 1e3,
        "output_tokens": given.output_tokens,
        "rounds": {streams: rounds_for(streams, given) for streams in given.streams},
        "repeat": given.repeat,
    }


def describe(head):
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    rounds = ", ".join(f"{rounds} at {streams}" for streams, rounds in head["rounds"].items())
    print(f"{versions}; load average before: {head['load_average_before']:.2f}\n")
    print(
        f"Answers of {head['output_tokens']} tokens, the first after {head['ttft_ms']:g} ms, the others "
        f"{head['inter_token_ms']:g} ms apart; requests of each stream: {rounds} streams; server on cores "
        f"{head['server_cores']}, tool on {head['client_cores']}.\n"
    )
    print(
        "CPU is user and system time of the tool's whole process tree, by the tokens that the server sent, in the span "
        "in which all streams were open: starting and ending are left out. TTFT is of all requests.\n"
    )


def interrupted(number, _):
    """Unwinds, so that everything that was started is ended."""
    raise SystemExit(128 + number)


def main():
    given = options()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupted)
    check_cores(given)
    allow_open_files()
    given.peers_dir = given.peers_dir.resolve()
    given.peers_dir.mkdir(parents=True, exist_ok=True)
    chosen = given.llmload or os.environ.get("LLMLOAD_BINARY")
    llmload = Path(chosen).resolve() if chosen else install.built()
    if "aiperf" in given.tools:
        install.tokenizer_cache(given.peers_dir)
    server, client = set(given.server_cores), set(given.client_cores)
    setting = bench.Setting(llmload, given.peers_dir, server, client, given.output_tokens, given.time_limit)
    load_before = os.getloadavg()[0]
    if given.keep:
        given.keep.mkdir(parents=True)
        entries = measure_all(given, setting, given.keep.resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            entries = measure_all(given, setting, Path(temporary))
    head = heading(given, setting, load_before)
    describe(head)
    print(table.markdown(entries))
    if given.json:
        given.json.write_text(json.dumps({**head, "entries": entries}, indent=2) + "\n")
    failed = any(entry["figures"] is None for entry in entries if entry["tool"] == "llmload")
    raise SystemExit(1 if failed else 0)


main()
