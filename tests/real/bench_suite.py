#!/usr/bin/env -S python3 -B
"""Runs a narrowed bench suite against a real server with vLLM's metrics, and holds its files against the server's counters.

usage: tests/real/bench_suite.py --base-url URL [--tokenizer NAME] [--keep DIR] LLMLOAD_BINARY
The server is up already, serves one model of at least 2,048 tokens, and nobody else uses it: what its counters say between
before and after must equal what the raw files say, and the suite's own first looks at it, to the token. Each figure must be
plausible. Takes some five minutes with a small model; the exit status is 1 when anything is missed.
"""

import argparse
import csv
import json
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))
from suite_files import is_whole, raw_files, report_files

INPUTS, OUTPUTS, LEVELS = (32, 256), (8, 24), (1, 2, 4, 8)
PAIRS = [(i, o) for i in INPUTS for o in OUTPUTS]
REPEATS, VALID, SPEED = 2, 5, 5.0
# Prompts of the ingestion: every server of the lab takes these, whatever its tokenizer.
GROWING, WORDS_MOST = 24, 900
# The suite looks once for its estimate, with so many tokens, and once before each benchmark with as many as that asks for.
LOOK_TOKENS = 16
# Four letters before a prompt are so many tokens at most, with a first one of the server's own; joined to the first word
# they may also be fewer than none.
AROUND_PROMPT = (-2, 6)
LIMIT_S = 1800
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Judge:
    """Says PASS or FAIL, and counts."""

    def __init__(self):
        self.checks = self.missed = 0

    def say(self, is_good, what):
        self.checks += 1
        self.missed += not is_good
        print(f"{'PASS' if is_good else 'FAIL'} {what}", flush=True)


def counters(base):
    """vLLM's counters, summed over their labels."""
    with OPENER.open(f"{base}/metrics", timeout=30) as answer:
        page = answer.read().decode()
    sums = {}
    for name, value in re.findall(r"^vllm:(\w+_total)(?:\{.*\})? ([0-9.eE+-]+)$", page, re.M):
        sums[name] = sums.get(name, 0.0) + float(value)
    names = {"prompt": "prompt_tokens_total", "output": "generation_tokens_total", "requests": "request_success_total"}
    missing = [name for name in names.values() if name not in sums]
    if missing:
        raise SystemExit(f"the server's metrics have no vllm:{missing[0]}: is it vLLM?")
    return {key: round(sums[name]) for key, name in names.items()}


def cache_size(base):
    """Tokens of the key-value cache, as newer vLLMs tell; none where it does not."""
    with OPENER.open(f"{base}/metrics", timeout=30) as answer:
        told = re.search(r'kv_cache_size_tokens="([0-9]+)"', answer.read().decode())
    return int(told[1]) if told else None


def write_growing(folder):
    """Prompts from short to long. The other files are the suite's to make."""
    folder.mkdir()
    words = "the keeper counts ships at night and writes their names into a book of old paper".split()
    texts = []
    for place in range(GROWING):
        length = 20 + (WORDS_MOST - 20) * place // (GROWING - 1)
        texts.append(" ".join(words[(place + at * 7) % len(words)] for at in range(length)))
    (folder / "growing_prompts.json").write_text(json.dumps(texts))


def run_suite(given, folder):
    flags = {
        "backend": "vllm",
        "base-url": given.base_url,
        "output-folder": folder / "results",
        "dataset-folder": folder / "datasets",
        "input-lengths": ",".join(map(str, INPUTS)),
        "output-lengths": ",".join(map(str, OUTPUTS)),
        "parallel-requests": ",".join(map(str, LEVELS)),
        "repeats": REPEATS,
        "max-queries": 40,
        "step-live-metrics": 0.1,
        "max-duration-prompt-ingestion": 60,
        "max-duration-kv-cache-profile": 12,
        "max-duration-speed-generation": 60,
        "min-duration-speed-generation": 2,
        "target-queries-nb-speed-generation": 12,
        "min-number-of-valid-queries": VALID,
        "speed-threshold": SPEED,
        "gpu-name": "a CPU",
    }
    if given.tokenizer:
        flags["tokenizer"] = given.tokenizer
    command = [str(given.llmload), "bench-suite", "--allow-invalid"]
    for name, value in flags.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=LIMIT_S, cwd=folder)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}")
    return folder / "results"


def read_raws(results):
    """The raw files by their names, from the folder or from its ZIP."""
    folder = results / "raw_results"
    if folder.is_dir():
        return {file.name: json.loads(file.read_text()) for file in folder.glob("*.json")}
    with zipfile.ZipFile(results / "raw_results.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".json")]
        return {Path(name).name: json.loads(archive.read(name)) for name in names}


def hold_counts(judge, raws, before, after):
    """The server's counters against the raw files and the first looks."""
    totals = [raw["general_metrics"] for raw in raws.values()]
    told = {
        "requests": sum(it["total_number_of_queries"] for it in totals),
        "prompt": sum(it["total_number_of_ingested_tokens"] for it in totals),
        "output": sum(it["total_number_of_generated_tokens"] for it in totals),
    }
    failed = sum(it["nb_errored_queries"] for it in totals)
    judge.say(failed == 0, f"no query failed: {failed}")
    rest = {key: after[key] - before[key] - told[key] for key in told}
    looks = len(raws) + 1
    judge.say(rest["requests"] == looks, f"requests beside the raw files': {rest['requests']}, first looks {looks}")
    asked = LOOK_TOKENS + sum(raw["parameters"]["output_length"] for raw in raws.values())
    judge.say(
        rest["output"] == asked,
        f"vllm:generation_tokens_total: {after['output'] - before['output']} = {told['output']} of the raw files + {asked} of first looks",
    )
    # All looks have one prompt.
    each, left = divmod(rest["prompt"], looks)
    judge.say(
        left == 0 and 0 < each < 64,
        f"vllm:prompt_tokens_total: {after['prompt'] - before['prompt']} = {told['prompt']} of the raw files + {looks} first looks of {each} ({left} left)",
    )
    for name, raw in sorted(raws.items()):
        counted = raw.get("llmload", {}).get("counters") or {}
        own = raw["general_metrics"]
        pair = (counted.get("server_prompt_tokens"), counted.get("server_output_tokens"))
        wanted = (own["total_number_of_ingested_tokens"], own["total_number_of_generated_tokens"])
        judge.say(pair == wanted, f"{name}: the server counted {pair}, its answers say {wanted}")


def median(raw, figure):
    return raw["aggregated_metrics"][figure]["median"]


def hold_queries(judge, raws, has_tokenizer):
    """Each file's figures: lengths as asked for, times in their order, speeds above 0."""
    for name, raw in sorted(raws.items()):
        parameters, figures, sums = raw["parameters"], raw["aggregated_metrics"], raw["general_metrics"]
        queries, output = sums["total_number_of_queries"], parameters["output_length"]
        judge.say(queries >= VALID, f"{name}: {queries} queries")
        lengths = figures["response_length"]
        judge.say(
            lengths["percentile_1"] == lengths["percentile_99"] == output,
            f"{name}: answers of {lengths['percentile_1']} to {lengths['percentile_99']} tokens, asked for {output}",
        )
        first, whole = median(raw, "time_to_first_token"), median(raw, "total_query_time")
        judge.say(0 < first <= whole < sums["actual_total_time"], f"{name}: TTFT {first:.3f} s, whole {whole:.3f} s")
        if output > 1:
            slow, fast = median(raw, "speed_from_beginning"), median(raw, "speed_from_first_token")
            judge.say(0 < slow < fast < 1e5, f"{name}: {slow:.1f} tokens/s in all, {fast:.1f} from the first token on")
        judge.say(0 <= sums["max_kv_cache"] <= 1, f"{name}: at most {sums['max_kv_cache']:.3f} of the cache")
        length = int(parameters["prompt_length"])
        if length and has_tokenizer:
            got = median(raw, "prompt_length")
            low, high = (length + more for more in AROUND_PROMPT)
            judge.say(low <= got <= high, f"{name}: prompts of {got:g} tokens, asked for {length}")


def hold_shapes(judge, raws):
    """What is between files: longer prompts take longer, more requests run when more are sent."""
    speed = lambda i, o, n: raws[f"generation_speed_input_{i}_output_{o}_nb_requests_{n}.json"]
    for output in OUTPUTS:
        short, long = (median(speed(i, output, 1), "time_to_first_token") for i in INPUTS)
        judge.say(short < long, f"TTFT of answers of {output}: {short:.3f} s for {INPUTS[0]} tokens, {long:.3f} s for {INPUTS[1]}")
    for i, o in PAIRS:
        for n in LEVELS:
            running = speed(i, o, n)["general_metrics"]["max_requests_running"]
            judge.say(0 < running <= n, f"input {i}, output {o}: {running:g} of {n} seen running")
        profile = raws[f"kv_cache_profile_input_{i}_output_{o}.json"]
        looks = profile["kv_cache_profile"]
        stamps = [look["timestamp"] for look in looks]
        judge.say(stamps == sorted(stamps) and len(looks) > 50, f"profile of {i}, {o}: {len(looks)} looks in order")
        waves = max(look["num_requests_running"] + look["num_requests_waiting"] for look in looks)
        judge.say(waves >= 3, f"profile of {i}, {o}: waves of up to {waves:g}")


def hold_report(judge, results, raws, base):
    """The report's figures against the raw files, by this script's own arithmetic."""
    with (results / "report/thresholds.csv").open(newline="") as text:
        rows = {(int(row["input_length"]), int(row["output_length"])): row for row in csv.DictReader(text)}
    judge.say(set(rows) == set(PAIRS), "thresholds.csv: a row for each pair")
    for pair, row in rows.items():
        files = {n: raws[f"generation_speed_input_{pair[0]}_output_{pair[1]}_nb_requests_{n}.json"] for n in LEVELS}
        fast = [n for n in LEVELS if median(files[n], "speed_from_beginning") >= SPEED]
        free = [n for n in LEVELS if files[n]["general_metrics"]["max_kv_cache"] < 0.95]
        wanted = (max(fast, default=0), max(free, default=0))
        told = (int(row["speed_threshold"]), int(row["kv_cache_threshold"]))
        judge.say(told == wanted, f"thresholds of {pair}: {told}, by the raw files {wanted}")
    fit = json.loads((results / "report/data/prompt_ingestion_graph_data.json").read_text())
    slope = fit["fit_coefficients"][0]
    points = list(zip(fit["prompt_lengths"], fit["times_to_first_token"], strict=True))
    by_own = statistics.linear_regression(*zip(*points)).slope
    judge.say(slope > 0 and abs(slope / by_own - 1) < 1e-6, f"ingestion: {1 / slope:.0f} tokens/s, by the points {1 / by_own:.0f}")
    total = json.loads((results / "report/data/total_speed_generation_graph_data.json").read_text())
    for line in total.values():
        speeds = [level["speed"] for level in line["data"]]
        pair = f"{line['input_length']}, {line['output_length']}"
        judge.say(len(speeds) == len(LEVELS) and min(speeds) > 0, f"total speed of {pair}: {[round(it, 1) for it in speeds]}")
        judge.say(speeds[-1] > speeds[0] * 0.9, f"total speed of {pair} does not fall with more requests")
    card = (results / "report/README.md").read_text()
    told = re.search(r"KV cache \|[^|]*\| ([0-9,]+) tokens", card)
    size = cache_size(base)
    found = int(told[1].replace(",", "")) if told else 0
    judge.say(not size or abs(found / size - 1) < 0.02, f"KV cache: {found} tokens, the server's own {size}")


def options():
    parser = argparse.ArgumentParser(
        prog="tests/real/bench_suite.py", description="Holds a narrowed bench suite against a real server's own counters."
    )
    parser.add_argument("llmload", type=Path, metavar="LLMLOAD_BINARY")
    parser.add_argument("--base-url", required=True, metavar="URL", help="of a vLLM that is up, without /v1")
    parser.add_argument("--tokenizer", metavar="NAME", help="the model's, for prompts of exact lengths")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything in this new folder")
    given = parser.parse_args()
    given.base_url = given.base_url.rstrip("/")
    given.llmload = given.llmload.resolve()
    return given


def main():
    given = options()
    judge = Judge()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep.resolve() if given.keep else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_growing(folder / "datasets")
        before = counters(given.base_url)
        results = run_suite(given, folder)
        after = counters(given.base_url)
        raws = read_raws(results)
        wanted = set(raw_files(REPEATS, PAIRS, PAIRS, LEVELS))
        judge.say(set(raws) == wanted, f"raw files: {len(raws)} {sorted(set(raws) ^ wanted) or ''}")
        for name in [*report_files(PAIRS, PAIRS), "README.md", "report/report.html"]:
            judge.say(is_whole(results / name), name)
        if set(raws) == wanted:
            hold_counts(judge, raws, before, after)
            hold_queries(judge, raws, bool(given.tokenizer))
            hold_shapes(judge, raws)
            hold_report(judge, results, raws, given.base_url)
    print(f"{judge.checks - judge.missed} of {judge.checks} checks passed")
    sys.exit(1 if judge.missed else 0)


if __name__ == "__main__":
    main()
