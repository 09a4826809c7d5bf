"""Computes llmperf's summaries again with pandas, from the individual responses, and compares every key.

    python3 llmperf.py DIR...                                    pandas alone
    python3 llmperf.py --upstream token_benchmark_ray.py DIR...  also llmperf's own function

A DIR has pairs of `..._individual_responses.json` and `..._summary.json`. Needs pandas; llmperf's own file is imported with
stand-ins for the packages that only its clients need. Numbers must agree within 1e-9 of themselves; what pandas calls NaN
is `null` with us. llmperf's own function cannot summarise a file without responses: those are compared with pandas' view of
an empty series alone. Ends with status 1 when anything differs.
"""

import argparse
import ast
import contextlib
import importlib.util
import io
import json
import math
import re
import sys
import types
from pathlib import Path

import pandas as pd

CLOSE = 1e-9
FIGURES = (
    "inter_token_latency_s",
    "ttft_s",
    "end_to_end_latency_s",
    "request_output_throughput_token_per_s",
    "number_input_tokens",
    "number_output_tokens",
)
SETTINGS = (
    "model",
    "mean_input_tokens",
    "stddev_input_tokens",
    "mean_output_tokens",
    "stddev_output_tokens",
    "num_concurrent_requests",
)
METRICS = {
    "INTER_TOKEN_LAT": "inter_token_latency_s",
    "TTFT": "ttft_s",
    "E2E_LAT": "end_to_end_latency_s",
    "NUM_INPUT_TOKENS": "number_input_tokens",
    "NUM_OUTPUT_TOKENS": "number_output_tokens",
    "NUM_TOTAL_TOKENS": "number_total_tokens",
    "REQ_OUTPUT_THROUGHPUT": "request_output_throughput_token_per_s",
    "ERROR_MSG": "error_msg",
    "ERROR_CODE": "error_code",
    "ERROR_CODE_FREQ": "error_code_frequency",
    "NUM_ERRORS": "number_errors",
    "OUTPUT_THROUGHPUT": "mean_output_throughput_token_per_s",
    "NUM_COMPLETED_REQUESTS": "num_completed_requests",
    "COMPLETED_REQUESTS_PER_MIN": "num_completed_requests_per_min",
    "ERROR_RATE": "error_rate",
    "NUM_REQ_STARTED": "num_requests_started",
    "REQ_START_TIME": "request_start_time",
}


def by_pandas(responses, wall):
    """The results of a summary, in order, level by level."""
    columns = ("error_code", *FIGURES)
    table = pd.DataFrame(responses, columns=columns if not responses else None)
    good = table[table["error_code"].isna()]
    results = {}
    for figure in FIGURES:
        series = pd.to_numeric(good[figure]).dropna()
        results[figure] = {
            "quantiles": {f"p{p}": series.quantile(p / 100) for p in (25, 50, 75, 90, 95, 99)},
            "mean": series.mean(),
            "min": series.min(),
            "max": series.max(),
            "stddev": series.std(),
        }
    codes = table["error_code"].dropna().value_counts()
    started, errors = len(table), int(codes.sum())
    results["num_requests_started"] = started
    results["error_rate"] = errors / started if started else 0.0
    results["number_errors"] = errors
    results["error_code_frequency"] = str({int(code): int(n) for code, n in codes.items()})
    tokens = pd.to_numeric(good["number_output_tokens"]).sum()
    results["mean_output_throughput_token_per_s"] = tokens / wall
    results["num_completed_requests"] = len(good)
    results["num_completed_requests_per_min"] = len(good) / wall * 60
    return results


def upstream(path):
    """llmperf's own function that summarises, from its file."""
    names = types.SimpleNamespace(**METRICS)
    stand_ins = {
        "ray": {},
        "tqdm": {"tqdm": None},
        "transformers": {"LlamaTokenizerFast": object, "AutoTokenizer": object},
        "llmperf": {"common_metrics": names},
        "llmperf.common_metrics": METRICS,
        "llmperf.common": {"SUPPORTED_APIS": [], "construct_clients": None},
        "llmperf.models": {"RequestConfig": None},
        "llmperf.requests_launcher": {"RequestsLauncher": None},
        "llmperf.utils": {
            "randomly_sample_sonnet_lines_prompt": None,
            "LLMPerfResults": None,
            "sample_random_positive_int": None,
        },
    }
    for name, members in stand_ins.items():
        if name.startswith("llmperf") or importlib.util.find_spec(name) is None:
            module = types.ModuleType(name)
            module.__path__ = []
            vars(module).update(members)
            sys.modules[name] = module
    spec = importlib.util.spec_from_file_location("upstream", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def summarise(responses, wall):
        with contextlib.redirect_stdout(io.StringIO()):
            return module.metrics_summary(responses, 0.0, wall)

    return summarise


def flat(level, parent):
    for key, value in level.items():
        key = f"{parent}_{key}"
        if isinstance(value, dict):
            yield from flat(value, key)
        else:
            yield key, value


def frequency(text):
    """A dictionary in Python's words, of any numpy: `{404.0: np.int64(2)}` is `{404: 2}`."""
    return ast.literal_eval(re.sub(r"np\.\w+\(([^)]*)\)", r"\1", text))


def agrees(ours, theirs):
    if isinstance(theirs, str):
        return isinstance(ours, str) and frequency(ours) == frequency(theirs)
    theirs = float(theirs)
    if math.isnan(theirs):
        return ours is None
    return ours is not None and math.isclose(ours, theirs, rel_tol=CLOSE, abs_tol=1e-15)


def wall_of(summary):
    """The benchmark's time as its own rates have it."""
    done, rate = (summary[f"results_{key}"] for key in ("num_completed_requests", "num_completed_requests_per_min"))
    return done / rate * 60 if rate else 1.0


def differences(name, summary, results):
    theirs = dict(flat(results, "results"))
    keys = [key for key in summary if key.startswith("results_")]
    if keys != list(theirs):
        yield f"the keys or their order differ: {sorted(set(keys) ^ set(theirs))}"
    for key, value in theirs.items():
        if not agrees(summary.get(key), value):
            yield f"{key}: {summary.get(key)!r}, not {value!r}"
    head = [key for key in summary if not key.startswith(("results_", "additional_sampling_params_"))]
    if tuple(head[:8]) != ("version", "name", *SETTINGS) or head[-1] != "timestamp":
        yield f"the settings are not llmperf's: {head}"
    if (summary["version"], summary["name"]) != ("2023-08-31", name):
        yield f"version or name: {summary['version']}, {summary['name']}"


def compare(summary_file, summarisers):
    stem = summary_file.name.removesuffix("_summary.json")
    summary = json.loads(summary_file.read_text())
    text = summary_file.with_name(f"{stem}_individual_responses.json").read_text()
    bad = 0
    for who, summarise in summarisers.items():
        responses = json.loads(text)
        if not responses and who != "pandas":
            print(f"{stem}: {who} cannot summarise nothing")
            continue
        results = summarise(responses, wall_of(summary))
        found = list(differences(f"{stem}_summary", summary, results))
        print(f"{stem}: {len(responses)} responses, {len(dict(flat(results, '')))} keys as {who}: {'differ' if found else 'equal'}")
        for line in found:
            print(f"    {line}")
        bad += len(found)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upstream", metavar="FILE", help="llmperf's token_benchmark_ray.py")
    parser.add_argument("dirs", nargs="+", type=Path, metavar="DIR")
    args = parser.parse_args()
    summarisers = {"pandas": by_pandas}
    if args.upstream:
        summarisers["llmperf"] = upstream(args.upstream)
    files = [file for place in args.dirs for file in sorted(place.glob("*_summary.json"))]
    files = [file for file in files if not file.name.endswith("_correctness_summary.json")]
    if not files:
        sys.exit("no summary there")
    sys.exit(1 if sum(compare(file, summarisers) for file in files) else 0)


if __name__ == "__main__":
    main()
