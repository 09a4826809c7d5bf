#!/usr/bin/env -S python3 -B
"""Runs the old benchmark's own script (Fireworks' llm_bench on Locust 2.18.1) and llmload on the same mock server.

usage: tests/peers/fireworks.py --upstream PATH/llm_bench/load_test.py [--llmload FILE] [--cases A,B]
The script is not ours to keep here: its path is given, or LLMLOAD_UPSTREAM names it. Both tools get the same flags,
one after the other, unloaded, with prompts from one file; then each entry of the closing block and of the summary
row, and each METRIC mean of Locust's tables, is compared. `compare` says how, and what is allowed. The exit status
is 1 when one differs by more, or a case does not run: ours ends with a verdict of INVALID where the machine is too
busy. Needs Linux, Python 3.11 or newer, and a machine that does nothing else; some seven minutes. Locust and what the
script imports (about 300 MB) are installed below the peers' folder, once.

The mock answers 64 tokens, the first after 800 ms and the others 10 ms apart: Python's delay of a few milliseconds
is then below 1% of every time that is compared.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import bench
import compare
import install

ROOT = Path(__file__).resolve().parents[2]
# What the script imports beside the standard library; torch is not needed.
NEEDS = ["locust==2.18.1", "orjson==3.13.0", "pillow==13.0.0", "transformers==5.23.0"]
MODEL = "mock"
PROMPT = "Count the ships that pass the lighthouse tonight and give a name to each of them."
OUTPUT_TOKENS = 64
# It starts in seconds, and stops within one.
SPARE_S = 60.0


@dataclass(frozen=True)
class Case:
    """One load: the flags that both get, and what decides the comparison."""

    flags: list
    terms: compare.Terms
    # Of each user; with a rate, of all.
    requests: int = 20
    # One row of the data set; absent: prompts are generated, each tool from its own text.
    row: dict | None = field(default_factory=lambda: {"messages": [{"role": "user", "content": PROMPT}]})
    # The path without which the case is skipped.
    endpoint: str = "/v1/chat/completions"


WHOLE = compare.Terms(users=1, stream=False)
STREAM = compare.Terms(users=1, stream=True)
CASES = {
    "chat-stream": Case(["-u", "1", "-r", "1"], STREAM),
    "chat-whole": Case(["-u", "1", "-r", "1", "--no-stream", "--top-k", "40", "--temperature", "0.5"], WHOLE),
    "completion-stream": Case(
        ["-u", "1", "-r", "1", "--no-chat", "--logprobs", "1"],
        STREAM,
        row={"prompt": PROMPT},
        endpoint="/v1/completions",
    ),
    "completion-whole": Case(
        ["-u", "1", "-r", "1", "--no-chat", "--no-stream", "--logprobs", "1"],
        WHOLE,
        row={"prompt": PROMPT},
        endpoint="/v1/completions",
    ),
    "users": Case(["-u", "4", "-r", "4"], compare.Terms(users=4, stream=True)),
    "open-loop": Case(
        ["-u", "20", "-r", "20", "--qps", "2", "--qps-distribution", "constant"],
        compare.Terms(users=20, stream=True, rate=2.0),
        requests=60,
    ),
    "embeddings": Case(
        ["-u", "1", "-r", "1", "--embeddings"],
        compare.Terms(users=1, stream=True, generates=False),
        row=None,
        endpoint="/v1/embeddings",
    ),
}


class Server(bench.Mock):
    """The mock with this comparison's times."""

    def __init__(self, llmload):
        script = ["--ttft", "800ms", "--inter-token", "10ms", "--precise", "--model", MODEL]
        self.command = [str(llmload), "mock-server", "--port", "0", *script]
        self.cores = os.sched_getaffinity(0)


def case_names(given):
    chosen = given.split(",")
    unknown = [name for name in chosen if name not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown case `{unknown[0]}`; there are {', '.join(CASES)}")
    return chosen


def options():
    parser = argparse.ArgumentParser(
        prog="tests/peers/fireworks.py",
        description="Holds llmload's figures against those of Fireworks' llm_bench, on the same mock server.",
    )
    more = parser.add_argument
    more("--upstream", type=Path, default=os.environ.get("LLMLOAD_UPSTREAM"), metavar="FILE", help="its load_test.py")
    more("--llmload", type=Path, metavar="FILE", help="program to compare; absent: LLMLOAD_BINARY, else a new build")
    more("--cases", type=case_names, default=list(CASES), metavar="A,B", help=f"of {','.join(CASES)} (all)")
    more("--requests", type=int, metavar="N", help="of each user (20); of all with --qps (60)")
    more("--peers-dir", type=Path, default=ROOT / "target" / "peers", metavar="DIR", help="of what is installed")
    more("--keep", type=Path, metavar="DIR", help="keep what the tools wrote in this new folder")
    more("--json", type=Path, metavar="FILE", help="write every line to this file")
    given = parser.parse_args()
    if given.upstream is None or not given.upstream.is_file():
        parser.error("--upstream names no file; hint: llm_bench/load_test.py of a clone of fw-ai/benchmark")
    return given


def locust(peers):
    """The Locust that the script was written for, installed if it is not there yet."""
    folder = peers / "fireworks-locust-2.18.1"
    marker = folder / "installed"
    if not marker.exists():
        print(f"installing {', '.join(NEEDS)} in {folder}", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        log = peers / "fireworks.log"
        install.run([sys.executable, "-m", "venv", str(folder)], log)
        pip = [str(folder / "bin" / "pip"), "install", "--no-input", "--disable-pip-version-check"]
        install.run([*pip, *NEEDS], log)
        marker.touch()
    return folder / "bin" / "locust"


def tokenizer(peers):
    """A tokenizer that both can load, for the case whose prompts are generated."""
    folder = peers / "fireworks-tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    install.make_tokenizer(folder)
    return folder


def flags_of(case, url, folder, peers):
    """What both tools get, word for word."""
    flags = ["-H", url, "--provider", "openai", "-m", MODEL, "-o", str(OUTPUT_TOKENS), *case.flags]
    if case.row is None:
        flags += ["-d", "limericks", "-p", "128", "--tokenizer", str(tokenizer(peers))]
    else:
        rows = folder / "rows.jsonl"
        rows.write_text(json.dumps(case.row) + "\n")
        flags += ["-d", f"@{rows}"]
    if case.terms.rate is None:
        return [*flags, "--max-requests", str(case.requests * case.terms.users)]
    return [*flags, "-t", f"{round(case.requests / case.terms.rate)}s"]


def environment(folder):
    """The caller's environment without what would disturb; output as it comes, for its lines are timed."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(bench.FOREIGN) and name.lower() not in bench.PROXIES
    }
    # Names that the script reads its flags from.
    flags = ("API_KEY", "DATASET", "MAX_TOKENS", "MODEL", "PROMPT_", "TEMPERATURE", "TOKENIZER", "TOP_K")
    kept = {name: value for name, value in kept.items() if not name.startswith(flags)}
    return {**kept, **bench.QUIET, "HOME": str(folder), "PYTHONUNBUFFERED": "1"}


def reason_of(said):
    """Its verdict on itself, which a busy machine makes INVALID, or its last words."""
    lines = [line.strip() for _, line in said if line.strip(" =-")]
    return next((line for line in lines if line.startswith("verdict:")), lines[-1] if lines else "it said nothing")


def timed_lines(command, folder, limit_s):
    """Runs a tool to its end: its lines with the time of each, and its exit status."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=bench.pinned(os.sched_getaffinity(0)),
    )
    said, end = [], time.monotonic() + limit_s
    try:
        for line in process.stdout:
            said.append((time.monotonic(), line.rstrip("\n")))
            if said[-1][0] > end:
                raise bench.RunError(f"not done in {limit_s:.0f} s")
        process.wait(SPARE_S)
    finally:
        bench.stop(process)
        process.stdout.close()
        (folder / "said").write_text("".join(f"{line}\n" for _, line in said))
    if process.returncode != 0:
        raise bench.RunError(f"{command[0]} ended with {process.returncode}: {reason_of(said)}")
    return said


def summary_row(file):
    with file.open(newline="") as rows:
        return list(csv.DictReader(rows))[-1]


def metric_means(file):
    with file.open(newline="") as rows:
        return {
            row["Name"]: float(row["Average Response Time"]) for row in csv.DictReader(rows) if row["Type"] == "METRIC"
        }


def block_of(said):
    """The closing block's entries as text."""
    lines = [line for _, line in said]
    start = next((place for place, line in enumerate(lines) if line == " Summary ".center(80, "=")), None)
    if start is None:
        raise bench.RunError("it printed no closing block")
    entries = {}
    for line in lines[start + 1 :]:
        if line == "=" * 80:
            return entries
        name, _, value = line.partition(":")
        entries[name.strip()] = "" if value.strip() == "None" else value.strip()
    raise bench.RunError("its closing block has no end")


def check_block(said, row):
    """The block has to say what the row says."""
    block = block_of(said)
    if block != row:
        differing = sorted(set(block.items()) ^ set(row.items()))
        raise bench.RunError(f"its closing block and its row differ: {differing}")


def wait_of(said, terms, row):
    """From when its users were started until the last of them sent its first request, by its own lines."""
    reset = next((at for at, line in said if line.startswith("Resetting stats")), None)
    answers = [at for at, line in said if line.startswith("Response received")]
    needed = 1 if terms.rate is not None else terms.users
    if reset is None or len(answers) < needed:
        return 0.0
    return max(answers[needed - 1] - reset - float(row["Total Latency"]) / 1e3, 0.0)


def run_upstream(given, flags, folder, case, limit_s):
    folder.mkdir()
    files = ["--summary-file", folder / "summary.csv", "--csv", folder / "locust"]
    command = [locust(given.peers_dir), "-f", given.upstream.resolve(), "--headless", "--only-summary", *flags, *files]
    said = timed_lines(command, folder, limit_s)
    row = summary_row(folder / "summary.csv")
    check_block(said, row)
    return compare.Run(row, metric_means(folder / "locust_stats.csv"), wait_s=wait_of(said, case.terms, row))


def run_ours(llmload, flags, folder, limit_s):
    folder.mkdir()
    files = ["--summary-file", folder / "summary.csv", "--csv", folder / "locust", "--json-file", folder / "all.json"]
    files += ["--records", folder / "records.jsonl"]
    said = timed_lines([llmload, "run", "--headless", "--only-summary", *flags, *files], folder, limit_s)
    row = summary_row(folder / "summary.csv")
    check_block(said, row)
    measured = json.loads((folder / "all.json").read_text())["measured"]
    left_out = measured["left_out_before_the_window"]
    span_s = span_of(folder / "records.jsonl")
    return compare.Run(row, metric_means(folder / "locust_stats.csv"), left_out=left_out, span_s=span_s)


def span_of(path):
    """From when the last user sent its first request to the last answer, in seconds; of a rate, from the first request."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    first = {}
    for record in records:
        user = record["index"].get("turn", {}).get("user", "the rate")
        first[user] = min(first.get(user, record["sent_ns"]), record["sent_ns"])
    return (max(record["end_ns"] for record in records) - max(first.values())) / 1e9


def served(url, endpoint):
    """Whether this mock knows the path: an empty request gets another answer than 404."""
    command = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--noproxy", "*", "-d", "{}", f"{url}{endpoint}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=bench.SPARE_S)
    return done.stdout.strip() != "404"


def run_case(given, llmload, name, folder):
    """The lines of one case, or None and why it is left out."""
    case = CASES[name]
    if given.requests:
        case = Case(case.flags, case.terms, given.requests, case.row, case.endpoint)
    folder.mkdir(parents=True)
    if name == "embeddings" and "--embeddings" not in given.upstream.read_text():
        return None, "this version of upstream knows no embeddings"
    with Server(llmload) as server:
        if not served(server.url, case.endpoint):
            return None, f"the mock server serves no {case.endpoint}"
        flags = flags_of(case, server.url, folder, given.peers_dir)
        limit_s = SPARE_S + 4 * case.requests
        ours = run_ours(llmload, flags, folder / "ours", limit_s)
        upstream = run_upstream(given, flags, folder / "upstream", case, limit_s)
    return compare.lines(upstream, ours, case.terms), None


def compare_all(given, llmload, folder):
    """Every case's lines; a case that cannot be run has failed."""
    results, failed = {}, False
    for name in given.cases:
        print(f"\n## {name}\n\nflags: `{' '.join(CASES[name].flags)}`\n", flush=True)
        try:
            compared, skipped = run_case(given, llmload, name, folder / name)
        except bench.RunError as error:
            print(f"FAILED: {error}")
            failed = True
            continue
        if compared is None:
            print(f"skipped: {skipped}")
            continue
        print(compare.markdown(compared), flush=True)
        results[name] = [vars(line) for line in compared]
        failed |= any(line.agrees is False for line in compared)
    return results, failed


def closing(results, failed):
    """What differed, once more and briefly."""
    differing = [(name, line) for name, lines in results.items() for line in lines if line["agrees"] is False]
    count = sum(line["agrees"] is not None for lines in results.values() for line in lines)
    print(f"\n{count} entries compared in {len(results)} cases, {len(differing)} differ")
    for name, line in differing:
        print(f"  {name}: {line['entry']}: upstream {line['upstream']}, ours {line['ours']} ({line['difference']})")
    if failed and not differing:
        print("  a case failed to run")


def interrupted(number, _):
    """Unwinds, so that everything that was started is ended."""
    raise SystemExit(128 + number)


def main():
    given = options()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupted)
    given.peers_dir = given.peers_dir.resolve()
    given.peers_dir.mkdir(parents=True, exist_ok=True)
    chosen = given.llmload or os.environ.get("LLMLOAD_BINARY")
    llmload = Path(chosen).resolve() if chosen else install.built()
    if given.keep:
        given.keep.mkdir(parents=True)
        results, failed = compare_all(given, llmload, given.keep.resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            results, failed = compare_all(given, llmload, Path(temporary))
    closing(results, failed)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")
    raise SystemExit(1 if failed else 0)


main()
