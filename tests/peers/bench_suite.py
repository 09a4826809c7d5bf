#!/usr/bin/env -S python3 -B
"""Runs benchmark_llm_serving, from PyPI, and llmload on the same mock server, and compares every figure of their raw files.

usage: tests/peers/bench_suite.py [--llmload FILE] [--cases A,B] [--parts figures,graphs,report] [--keep DIR]
`figures`: each case is one benchmark, run by both with the same flags on the same prompts, one after the other; every
number of `aggregated_metrics` and `general_metrics` must agree within 2%, or within what the case forgives, with its reason.
What llmload keeps of each query is also put through upstream's own arithmetic: there nothing but rounding is forgiven.
`graphs`: upstream's code draws its whole report from the raw files of a narrow `llmload bench-suite`, and its numbers are
held against those of our report. `report`: `llmload report` draws everything from upstream's raw files.
The exit status is 1 when anything is missed. Needs Linux and a machine that does nothing else; some fifteen minutes. The
package and what it needs (about 300 MB) are installed below the peers' folder, once; it is not ours to keep here.

The mock answers after 500 ms and then every 30 ms: Python's own milliseconds are then below 1% of what is compared.
Both look at the server's metrics every 0.1 s; at upstream's usual 10 ms its loop would spend a core on that alone.
"""

import argparse
import csv
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import bench
import install
from suite_files import is_whole, report_files

ROOT = Path(__file__).resolve().parents[2]
HELPER = Path(__file__).with_name("bench_suite_upstream.py")
NEEDS = ["benchmark-llm-serving==1.0.3"]
PARTS = ("figures", "graphs", "report")
CLOSE = 0.02
# Upstream's arithmetic on our stamps: what is left is the rounding of stamps of 2e9 s, some 0.2 us.
EXACT, EXACT_S = 1e-4, 2e-6
STEP_S = 0.1
LIMIT_S = 900
WORDS = "a lighthouse keeper counts the ships of each night and gives them names before the lamp goes out".split()


@dataclass(frozen=True)
class Forgiven:
    """A miss that says nothing: how large it may be beside 2%, and why."""

    reason: str
    # Of the figure itself.
    share: float = 0.0
    # In the figure's own unit.
    absolute: float = 0.0


ANYTHING = math.inf
NEXT_TO_NOTHING = Forgiven("from the first token to the end of one-token answers: noise of two programs, not the server", ANYTHING)
DRAWN = Forgiven("arrivals are drawn at random, by each program from its own seed", ANYTHING)


@dataclass(frozen=True)
class Case:
    """One benchmark: its flags, the server's, and what decides the comparison."""

    flags: dict
    mock: list = field(default_factory=list)
    forgiven: dict = field(default_factory=dict)
    # Its name among the raw files of a suite, where `report` is to find it.
    file: str | None = None


def constant(workers, prompt, output, queries, **more):
    return {"n-workers": workers, "prompt-length": prompt, "output-length": output, "max-queries": queries, **more}


GROWING_WALL = Forgiven(
    "upstream begins with a wave of no query (0.5 s), and sees the end of each wave at its next look", absolute=0.5 + 8 * STEP_S
)
WALL = Forgiven("both count their own start by the clock: some 0.2 s of ours", absolute=0.3)
ONE_TOKEN = {
    "total_time_from_first_token": NEXT_TO_NOTHING,
    "speed_from_first_token": NEXT_TO_NOTHING,
    "completion_time_from_first_token": NEXT_TO_NOTHING,
}
# Upstream counts a query when it is put into a queue as long as there are workers: those are still to come when time is up.
QUEUED = Forgiven("upstream's time is up for its queue, llmload's for what is sent: some four of twenty queries", share=0.25)
SUMS = (
    "total_number_of_queries",
    "total_time",
    "total_time_from_first_token",
    "total_time_without_waiting_time",
    "total_number_of_ingested_tokens",
    "total_number_of_generated_tokens",
    "actual_total_time",
)
CACHE_TOKENS, GAP_S = 20_000, 0.030

CASES = {
    "ingestion": Case(
        constant(1, 0, 1, 40),
        ["--prefill-rate", "4000"],
        ONE_TOKEN,
        "prompt_ingestion_0.json",
    ),
    "one-short": Case(constant(1, 1024, 16, 24), file="generation_speed_input_1024_output_16_nb_requests_1.json"),
    "one-long": Case(constant(1, 32, 64, 12), file="generation_speed_input_32_output_64_nb_requests_1.json"),
    "four-short": Case(constant(4, 1024, 16, 60), file="generation_speed_input_1024_output_16_nb_requests_4.json"),
    "eight-long": Case(constant(8, 1024, 64, 40)),
    "growing": Case(
        {"query-profile": "growing_requests", **constant(1, 1024, 16, 40), "with-kv-cache-profile": None},
        forgiven={"actual_total_time": GROWING_WALL},
        file="kv_cache_profile_input_1024_output_16.json",
    ),
    "growing-queued": Case(
        {"query-profile": "growing_requests", **constant(1, 1024, 16, 40), "with-kv-cache-profile": None},
        ["--max-running", "5"],
        forgiven={"actual_total_time": GROWING_WALL},
    ),
    "rate": Case(
        {"query-profile": "request_rate", "request-rate": 4, **constant(1, 1024, 16, 60)},
        forgiven={"actual_total_time": DRAWN, "max_requests_running": DRAWN, "max_kv_cache": DRAWN},
    ),
    "target": Case(constant(2, 1024, 16, 100, **{"min-duration": 2, "target-queries-nb": 14})),
    "min-duration": Case(
        constant(2, 1024, 16, 100, **{"min-duration": 6, "target-queries-nb": 4}),
        forgiven=dict.fromkeys(SUMS, QUEUED),
    ),
    "errors": Case(constant(1, 1024, 16, 24), ["--fault", "status=0.25:500"]),
}


class Server(bench.Mock):
    """The mock with this comparison's times."""

    def __init__(self, llmload, *more, ttft="500ms", gap="30ms"):
        script = ["--ttft", ttft, "--inter-token", gap, "--precise", "--model", "mock"]
        script += ["--metrics-names", "vllm-old", "--kv-cache-tokens", str(CACHE_TOKENS), *more]
        self.command = [str(llmload), "mock-server", "--port", "0", *script]
        self.cores = os.sched_getaffinity(0)


class Judge:
    """Says PASS or FAIL, and counts."""

    def __init__(self):
        self.checks = self.missed = 0

    def say(self, is_good, what):
        self.checks += 1
        self.missed += not is_good
        print(f"{'PASS' if is_good else 'FAIL'} {what}", flush=True)

    def number(self, what, ours, theirs, forgiven=None, close=CLOSE, least=0.0):
        """Holds one number against the other, which is upstream's."""
        if not isinstance(ours, (int, float)):
            return self.say(False, f"{what}: {ours!r}, not {theirs:.6g}")
        off = abs(ours - theirs)
        share = off / abs(theirs) if theirs else (0.0 if off == 0 else math.inf)
        text = f"{what}: {ours:.6g}, upstream {theirs:.6g} ({share:+.2%})"
        if off <= close * abs(theirs) + least or forgiven is None:
            return self.say(off <= close * abs(theirs) + least, text)
        allowed = (close + forgiven.share) * abs(theirs) + forgiven.absolute
        return self.say(off <= allowed or forgiven.share == ANYTHING, f"{text}; forgiven: {forgiven.reason}")


def options():
    def some_of(known):
        def read(text):
            unknown = [name for name in text.split(",") if name not in known]
            if unknown:
                raise argparse.ArgumentTypeError(f"unknown `{unknown[0]}`; there are {', '.join(known)}")
            return text.split(",")

        return read

    parser = argparse.ArgumentParser(
        prog="tests/peers/bench_suite.py",
        description="Holds llmload's benchmarks of a serving API against benchmark_llm_serving's, on the same mock server.",
    )
    more = parser.add_argument
    more("--llmload", type=Path, metavar="FILE", help="program to compare; absent: LLMLOAD_BINARY, else a new build")
    more("--server", type=Path, metavar="FILE", help="program whose mock server answers (the same)")
    more("--cases", type=some_of(CASES), default=list(CASES), metavar="A,B", help=f"of {','.join(CASES)} (all)")
    more("--parts", type=some_of(PARTS), default=list(PARTS), metavar="A,B", help=f"of {','.join(PARTS)} (all)")
    more("--only-upstream", action="store_true", help="run upstream's half of the cases alone, and compare nothing")
    more("--peers-dir", type=Path, default=ROOT / "target" / "peers", metavar="DIR", help="of what is installed")
    more("--keep", type=Path, metavar="DIR", help="keep what the tools wrote in this new folder")
    return parser.parse_args()


def installed(peers):
    """The Python that upstream's package is installed for."""
    folder = peers / NEEDS[0].replace("==", "-")
    if not (folder / "installed").exists():
        print(f"installing {NEEDS[0]} in {folder}", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        log = peers / "bench_suite.log"
        install.run([sys.executable, "-m", "venv", str(folder)], log)
        install.run([str(folder / "bin" / "pip"), "install", "--no-input", "--disable-pip-version-check", *NEEDS], log)
        (folder / "installed").touch()
    return folder / "bin" / "python"


def text_of(words, draw):
    return " ".join(draw.choice(WORDS) for _ in range(words))


def write_prompts(folder):
    """A folder of prompts: of one length in each file, so that whichever of them are drawn say the same."""
    folder.mkdir(parents=True)
    draw = random.Random(7)
    growing = [text_of(20 + 80 * place, draw) for place in range(40)]
    (folder / "growing_prompts.json").write_text(json.dumps(growing))
    for length in (32, 1024):
        prompts = [text_of(length, draw) for _ in range(100)]
        (folder / f"prompts_length_{length}.json").write_text(json.dumps(prompts))


def run(command, log, **environment):
    """Runs a program to its end; what it says goes to a file."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(bench.FOREIGN)}
    kept = {key: value for key, value in kept.items() if key.lower() not in bench.PROXIES}
    with log.open("w") as out:
        try:
            done = subprocess.run(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=kept | environment,
                cwd=log.parent,
                timeout=LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            return f"did not end within {LIMIT_S} s"
    tail = " | ".join(line[-200:] for line in log.read_text().strip().splitlines()[-3:])
    return None if done.returncode == 0 else f"ended with {done.returncode}: {tail}"


def flags_of(flags):
    for name, value in flags.items():
        yield f"--{name}"
        if value is not None:
            yield str(value)


def accepted(flags):
    """Without the number of workers where no profile reads it: upstream takes and ignores it, llmload refuses it."""
    is_read = flags.get("query-profile", "constant_number_of_queries") == "constant_number_of_queries"
    return {name: value for name, value in flags.items() if is_read or name != "n-workers"}


def play(case, url, prompts, file, program):
    """One benchmark by one program; its raw file, or None with the reason said."""
    more = {"base-url": url, "dataset-folder": prompts, "output-file": file, "step-live-metrics": STEP_S}
    command = [*program, *flags_of(accepted(case.flags) | more), "--query-metrics"]
    trouble = run(command, file.with_suffix(".log"))
    if trouble:
        return None, trouble
    return json.loads(file.read_text()), None


def figures(judge, name, case, ours, theirs):
    """Every number of upstream's file against ours."""
    for part in ("general_metrics", "aggregated_metrics"):
        judge.say(set(theirs[part]) <= set(ours.get(part, {})), f"{name} {part}: every key is there")
    grown = case.flags["n-workers"] * STEP_S / GAP_S / CACHE_TOKENS
    glance = Forgiven("a cache that grows by a token each 30 ms is looked at every 100 ms, at other moments", absolute=grown)
    forgiven = {"max_kv_cache": glance, "actual_total_time": WALL} | case.forgiven
    for key, value in theirs["general_metrics"].items():
        judge.number(f"{name} general_metrics.{key}", ours["general_metrics"].get(key), value, forgiven.get(key))
    for figure, statistics in theirs["aggregated_metrics"].items():
        own = ours["aggregated_metrics"].get(figure, {})
        for key, value in statistics.items():
            judge.number(f"{name} {figure}.{key}", own.get(key), value, case.forgiven.get(figure))
    skipped = {"suite_id"} | (set() if "request-rate" in case.flags else {"request_rate"})
    for key, value in theirs["parameters"].items():
        if key not in skipped:
            own = ours["parameters"].get(key)
            judge.say(own == value, f"{name} parameters.{key}: {own!r}, upstream {value!r}")
    kept = ("individual_query", "kv_cache_profile")
    for part in [part for part in kept if theirs.get(part)]:
        missing = set(theirs[part][0]) - set((ours.get(part) or [{}])[0])
        judge.say(not missing, f"{name} {part}: every key is there {sorted(missing) or ''}")


def arithmetic(judge, name, python, file, ours, folder):
    """Upstream's arithmetic on what our file keeps of each query."""
    log = folder / f"{name}-derive.log"
    trouble = run([python, HELPER, "derive", file], log, PYTHONDONTWRITEBYTECODE="1")
    if trouble:
        return judge.say(False, f"{name} upstream's arithmetic on our queries: {trouble}")
    derived = json.loads(log.read_text().splitlines()[-1])
    missed = 0
    for figure, statistics in derived.items():
        for key, value in statistics.items():
            own = ours["aggregated_metrics"][figure][key]
            if not math.isclose(own, value, rel_tol=EXACT, abs_tol=EXACT_S):
                missed += 1
                print(f"     {figure}.{key}: {own!r}, by upstream's arithmetic {value!r}")
    return judge.say(missed == 0, f"{name} upstream's arithmetic on our queries gives our figures")


def play_cases(judge, given, llmload, server, python, folder):
    """Each case by both; upstream's raw files stay for `report`."""
    prompts, theirs_at, ours_at = folder / "datasets", folder / "upstream" / "raw_results", folder / "llmload"
    write_prompts(prompts)
    theirs_at.mkdir(parents=True)
    ours_at.mkdir()
    # As its own suite does: its usual `inf` is no JSON when it is written down.
    upstream = [python, "-m", "benchmark_llm_serving.benchmark", "--request-rate", 0]
    for name in given.cases:
        case = CASES[name]
        with Server(server, *case.mock) as mock:
            place = theirs_at if case.file else folder
            theirs, trouble = play(case, mock.url, prompts, place / (case.file or f"{name}.json"), upstream)
        if theirs is None:
            judge.say(False, f"{name} upstream {trouble}")
            continue
        if given.only_upstream:
            print(json.dumps({name: {"general": theirs["general_metrics"], "ttft": theirs["aggregated_metrics"]["time_to_first_token"]}}, indent=1))
            continue
        with Server(server, *case.mock) as mock:
            file = ours_at / f"{name}.json"
            ours, trouble = play(case, mock.url, prompts, file, [llmload, "benchmark", "--allow-invalid"])
        if ours is None:
            judge.say(False, f"{name} llmload {trouble}")
            continue
        figures(judge, name, case, ours, theirs)
        if "individual_query" in ours:
            arithmetic(judge, name, python, file, ours, folder)


PAIRS = [(32, 16), (32, 128), (1024, 16), (1024, 128)]
LEVELS = (1, 4, 10)
VALID = 10
SUITE = {
    "input-lengths": "32,1024",
    "output-lengths": "16,128",
    "parallel-requests": "1,4,10",
    "max-queries": 60,
    "step-live-metrics": 0.05,
    "max-duration-prompt-ingestion": 10,
    "max-duration-kv-cache-profile": 8,
    "max-duration-speed-generation": 60,
    "min-duration-speed-generation": 2,
    "target-queries-nb-speed-generation": 20,
    "min-number-of-valid-queries": VALID,
    "gpu-name": "a GPU",
}


def are_there(judge, who, folder, names):
    for name in names:
        judge.say(is_whole(folder / name), f"{who} {name}")


def raw_files(folder):
    """The folder of a suite's raw files; they may be in a ZIP."""
    raw = folder / "raw_results"
    if not raw.is_dir():
        with zipfile.ZipFile(folder / "raw_results.zip") as archive:
            archive.extractall(raw)
    # Some keep the folder's own name in the archive.
    inner = raw / "raw_results"
    if inner.is_dir():
        for file in inner.iterdir():
            file.rename(raw / file.name)
        inner.rmdir()
    return raw


def rows(file):
    with file.open(newline="") as text:
        return sorted(tuple(sorted(row.items())) for row in csv.DictReader(text))


def same_numbers(judge, what, ours, theirs, close=1e-6):
    """Two trees of numbers, of which upstream's may have fewer keys."""
    misses = list(differences(ours, theirs, "", close))
    judge.say(not misses, f"{what}: the same numbers {misses[:3] if misses else ''}")


def differences(ours, theirs, place, close):
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            if not isinstance(ours, dict) or key not in ours:
                yield f"{place}.{key} is missing"
            else:
                yield from differences(ours[key], value, f"{place}.{key}", close)
    elif isinstance(theirs, list):
        if not isinstance(ours, list) or len(ours) != len(theirs):
            yield f"{place} is of another length"
        else:
            for at, (own, value) in enumerate(zip(ours, theirs)):
                yield from differences(own, value, f"{place}[{at}]", close)
    elif isinstance(theirs, float) and isinstance(ours, (int, float)):
        if not math.isclose(ours, theirs, rel_tol=close, abs_tol=1e-9):
            yield f"{place}: {ours!r}, upstream {theirs!r}"
    elif ours != theirs:
        yield f"{place}: {ours!r}, upstream {theirs!r}"


def total_speeds(file):
    """The lines of the total speed by their lengths: the order of pairs says nothing."""
    lines = json.loads(file.read_text()).values()
    return {f"{line['input_length']},{line['output_length']}": line["data"] for line in lines}


def graphs(judge, llmload, server, python, folder):
    """Upstream's whole report from our raw files, and its numbers against ours."""
    ours, theirs, prompts = folder / "suite", folder / "suite-by-upstream", folder / "suite-datasets"
    write_prompts(prompts)
    with Server(server, "--prefill-rate", "20000", ttft="30ms", gap="3ms") as mock:
        flags = SUITE | {"base-url": mock.url, "dataset-folder": prompts, "output-folder": ours}
        trouble = run([llmload, "bench-suite", "--allow-invalid", *flags_of(flags)], folder / "suite.log")
    if trouble:
        return judge.say(False, f"suite llmload {trouble}")
    are_there(judge, "suite llmload", ours, [*report_files(PAIRS, PAIRS), "README.md", "report/report.html"])
    theirs.mkdir()
    shutil.copytree(raw_files(ours), theirs / "raw_results")
    log = folder / "suite-by-upstream.log"
    trouble = run([python, HELPER, "report", theirs, 20, VALID], log, MPLBACKEND="Agg", PYTHONDONTWRITEBYTECODE="1")
    if trouble:
        return judge.say(False, f"suite upstream's graph code on our raw files {trouble}")
    are_there(judge, "suite upstream", theirs, report_files(PAIRS, PAIRS))
    judge.say(rows(ours / "report/thresholds.csv") == rows(theirs / "report/thresholds.csv"), "suite thresholds.csv: the same rows")
    total = "report/data/total_speed_generation_graph_data.json"
    # What upstream takes for the overhead at N = 1 has also the moments between its queries: these are ours to have measured.
    same_numbers(judge, f"suite {total}", total_speeds(ours / total), total_speeds(theirs / total), CLOSE)
    fit = "report/data/prompt_ingestion_graph_data.json"
    # Upstream writes the times of all points beside the lengths of those that it kept: only the fit and these are compared.
    own, their = (json.loads((place / fit).read_text()) for place in (ours, theirs))
    for key in ("fit_coefficients", "prompt_lengths"):
        order = sorted if key == "prompt_lengths" else list
        same_numbers(judge, f"suite {fit} {key}", order(own[key]), order(their[key]))
    for i, o in PAIRS:
        name = f"report/speed_generation/data/speed_generation_graph_data_input_{i}_output_{o}.json"
        same_numbers(judge, f"suite {name}", *(json.loads((place / name).read_text()) for place in (ours, theirs)))
    return None


def report(judge, llmload, folder):
    """Our report from upstream's raw files: those of the cases that have a suite's name."""
    files = [CASES[name].file for name in CASES if CASES[name].file]
    place = folder / "upstream"
    missing = [name for name in files if not (place / "raw_results" / name).is_file()]
    if missing:
        return judge.say(False, f"report: `{missing[0]}` is not there; hint: all cases and --parts figures,report")
    flags = ["--min-number-of-valid-queries", str(VALID), "--gpu-name", "a GPU"]
    trouble = run([llmload, "report", place, *flags], folder / "report.log")
    if trouble:
        return judge.say(False, f"report llmload {trouble}")
    pairs = [(1024, 16), (32, 64)]
    names = [*report_files(pairs, [(1024, 16)]), "report/report.html"]
    return are_there(judge, "report of upstream's files:", place, names)


def main():
    given = options()
    named = given.llmload or os.environ.get("LLMLOAD_BINARY")
    llmload = Path(named).resolve() if named else install.built()
    server = given.server.resolve() if given.server else llmload
    given.peers_dir.mkdir(parents=True, exist_ok=True)
    try:
        python = installed(given.peers_dir.resolve())
    except install.InstallError as error:
        sys.exit(f"benchmark_llm_serving: {error}")
    judge = Judge()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep.resolve() if given.keep else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if "figures" in given.parts or "report" in given.parts:
            play_cases(judge, given, llmload, server, python, folder)
        if given.only_upstream:
            sys.exit(1 if judge.missed else 0)
        if "graphs" in given.parts:
            graphs(judge, llmload, server, python, folder)
        if "report" in given.parts:
            report(judge, llmload, folder)
    print(f"{judge.checks - judge.missed} of {judge.checks} checks passed")
    sys.exit(1 if judge.missed else 0)


if __name__ == "__main__":
    main()
