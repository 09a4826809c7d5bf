#!/usr/bin/env python3
"""Has other programs read what `llmload export` writes, and holds what they read against the run's own result.

    python3 tests/peers/export.py CACHE_FOLDER path/to/llmload        Python 3.11 or newer; about 100 MB from PyPI once

llm-d     llm-d's own package loads the report, which its validator accepts; every figure is the result's, in the schema's unit
parquet   pandas, by pyarrow: as many rows as records, equal sums, equal lists, the means and counts of the result
csv       pandas: every column equal to Parquet's; Gnumeric, where there is one: every cell what pandas takes it for
hlog      the Python port of HdrHistogram: counts and percentiles of the intervals added up are those of the result
mlperf    MLCommons' parser of logs reads every line; LoadGen itself is run, and every key and label of ours is one of its own,
          but for those that say what only llmload knows
"""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PACKAGES = [
    *("llmd-benchmark-report==0.2.1", "pandas==3.1.1", "pyarrow==26.0.1", "hdrhistogram==0.10.8", "mlcommons-loadgen==6.0.17"),
]
# Its dependencies are for other things than reading logs.
ALONE = ["mlperf-logging==4.1.68"]
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
# What llmload says in a log that LoadGen has no word for.
OWN_KEYS = {"llmload_version", "failed_requests", "verdict"}


def with_packages(cache):
    """Goes on in a Python that has the readers."""
    folder = cache / "export"
    python = folder / "bin" / "python"
    wanted = " ".join(PACKAGES + ALONE)
    stamp = folder / "installed"
    if not (stamp.exists() and stamp.read_text() == wanted):
        venv.create(folder, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
        subprocess.run([*pip, "--no-deps", *ALONE], check=True)
        stamp.write_text(wanted)
    # By its prefix: the program behind the link is the same one.
    if Path(sys.prefix).resolve() != folder.resolve():
        os.execv(python, [python, "-B", *sys.argv])


class Checks:
    def __init__(self):
        self.failed = 0

    def __call__(self, name, holds, words=""):
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {name}{f': {words}' if words else ''}", flush=True)

    def same(self, name, found, wanted):
        close = is_close(found, wanted)
        self(name, close, f"{found}" if close else f"{found} is not {wanted}")


def is_close(found, wanted):
    """Numbers are the same when they differ by no more than what adding up in another order does."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return found.keys() == wanted.keys() and all(is_close(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return math.isclose(found, wanted, rel_tol=1e-9)
    return found == wanted


class Lab:
    """A mock server that fails now and then, and what runs against it left behind."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        words = ["mock-server", "-p", "0", "--ttft", "lognormal(15ms,0.4)", "--inter-token", "exp(2ms)", "--fault", "status=0.05:500"]
        self.server = subprocess.Popen([binary, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.server.stdout.readline()
        self.url = re.search(r"http://\S+", line).group()

    def close(self):
        self.server.terminate()
        self.server.wait()

    def run(self, name, words):
        files = ["--records", f"{name}.jsonl", "--journal", f"{name}.journal", "--json-file", f"{name}.json"]
        line = [self.binary, "run", "-H", self.url, "--provider", "vllm", "-p", "60", "-o", "8", *words, *files]
        line += ["--allow-invalid", "--max-fail-ratio", "1", "--only-summary"]
        subprocess.run(line, cwd=self.folder, check=True, capture_output=True)
        return json.loads((self.folder / f"{name}.json").read_text())

    def export(self, format, words, output):
        line = [self.binary, "export", "--format", format, *words, "-o", output]
        done = subprocess.run(line, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, line))}: status {done.returncode}\n{done.stderr}")
        return self.folder / output


def records_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def llm_d(check, lab, name, result):
    from llmd_benchmark_report import import_benchmark_report

    sources = {
        "journal": ["--journal", f"{name}.journal"],
        "result": ["--json-file", f"{name}.json"],
        "records and result": ["--records", f"{name}.jsonl", "--json-file", f"{name}.json"],
    }
    for source, words in sources.items():
        report = import_benchmark_report(str(lab.export("llm-d", words, "report.json"))).dump()
        label = f"llm-d {name} of the {source}"
        aggregate = report["results"]["request_performance"]["aggregate"]
        requests, latency, throughput = (aggregate[part] for part in ("requests", "latency", "throughput"))
        measured, metrics = result["measured"], result["metrics"]
        check.same(f"{label}: schema", report["version"], "0.2.1")
        check.same(f"{label}: failures", requests["failures"], measured["failures"])
        check.same(f"{label}: total", requests["total"], sum(measured["outcomes"].values()))
        names = {
            "time_to_first_token": ("ttft_ms", "ms"), "time_per_output_token": ("tpot_ms", "ms/token"),
            "request_latency": ("total_latency_ms", "ms"),
            "normalized_time_per_output_token": ("overall_latency_per_token_ms", "ms/token"),
        }
        for theirs, (ours, unit) in names.items():
            found, wanted = latency[theirs], metrics[ours]
            known = {"mean": "mean", "min": "min", "max": "max", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}
            known = {key: own for key, own in known.items() if own not in wanted["too_few_samples_for"]}
            check.same(f"{label}: {theirs}", {key: found.get(key) for key in known}, {key: wanted[own] for key, own in known.items()})
            check.same(f"{label}: {theirs}'s unit", found["units"], unit)
            lacking = [key for key in ("p99", "p99p9") if key in found and key.replace("p99p9", "p99.9") in wanted["too_few_samples_for"]]
            check.same(f"{label}: {theirs}'s percentiles of too few", lacking, [])
        check.same(f"{label}: requests per second", throughput["request_rate"]["mean"], measured["good"] / result["window"]["length_s"])
        check.same(f"{label}: output per second", throughput["output_token_rate"]["mean"], result["tokens"]["output_per_s"])
        load = report["scenario"]["load"]["standardized"]
        check.same(f"{label}: rate", load.get("rate_qps"), measured["asked_per_s"])
    bare = import_benchmark_report(str(lab.export("llm-d", ["--records", f"{name}.jsonl"], "bare.json"))).dump()
    total = bare["results"]["request_performance"]["aggregate"]["requests"]["total"]
    check.same(f"llm-d {name} of records alone: total", total, len(records_of(lab.folder / f"{name}.jsonl")))


def tables(check, lab, name, result):
    import pandas

    lines = (lab.folder / f"{name}.jsonl").read_text().splitlines(keepends=True)
    halves = [lab.folder / "half.jsonl", lab.folder / "half.2.jsonl"]
    halves[0].write_text("".join(lines[::2]))
    halves[1].write_text("".join(lines[1::2]))
    words = ["--records", *halves]
    table = pandas.read_parquet(lab.export("parquet", words, "requests.parquet"))
    flat = pandas.read_csv(lab.export("csv", words, "requests.csv"))
    records = records_of(halves[0]) + records_of(halves[1])
    check.same(f"parquet {name}: rows", len(table), len(records))
    check.same(f"parquet {name}: good ones", int(table.good.sum()), result["totals"]["completed"])
    for column, read in {
        "usage_completion_tokens": lambda it: it["usage"]["completion_tokens"] or 0,
        "body_bytes": lambda it: it["body_bytes"], "end_ns": lambda it: it["end_ns"],
        "content_events": lambda it: len(it["content_ns"]),
    }.items():
        check.same(f"parquet {name}: sum of {column}", int(table[column].sum()), sum(map(read, records)))
    lists = all(list(found) == record["content_ns"] for found, record in zip(table.content_ns, records))
    check(f"parquet {name}: every list of times", lists)
    window = result["window"]
    inside = table[table.good & (table.sent_ns >= window["start_s"] * 1e9)]
    check.same(f"parquet {name}: measured", len(inside), result["measured"]["good"])
    for column in ("ttft_ms", "tpot_ms", "latency_ms", "total_latency_ms", "output_tokens"):
        check.same(f"parquet {name}: mean of {column}", float(inside[column].mean()), result["metrics"][column]["mean"])
    shared = [column for column in table.columns if column in flat.columns]
    check.same(f"csv {name}: columns", list(flat.columns), shared)
    for column in shared:
        one, other = table[column], flat[column]
        equal = one.isna().equals(other.isna()) and (one.dropna().to_numpy() == other.dropna().to_numpy()).all()
        if not equal:
            check(f"csv {name}: {column}", False, "differs from Parquet's")
    check(f"csv {name}: cells", True, f"{len(flat)} rows of {len(shared)} columns compared")
    spreadsheet(check, lab, name, flat)


def spreadsheet(check, lab, name, flat):
    """Gnumeric, where it is installed, opens the file by itself and writes down what it took each cell for."""
    import pandas

    if shutil.which("ssconvert") is None:
        print(f"skipped: csv {name} in a spreadsheet: no ssconvert")
        return
    shown = lab.folder / "shown.csv"
    subprocess.run(["ssconvert", lab.folder / "requests.csv", shown], check=True, capture_output=True, timeout=50)
    found = pandas.read_csv(shown)
    check.same(f"csv {name} in a spreadsheet: columns", list(found.columns), list(flat.columns))
    # A cell that is shown has ten digits.
    try:
        pandas.testing.assert_frame_equal(found, flat, rtol=1e-8)
        check(f"csv {name} in a spreadsheet: cells", True, f"{len(found)} rows")
    except AssertionError as error:
        check(f"csv {name} in a spreadsheet: cells", False, str(error))


def percentile(histogram, share):
    """The smallest recorded value that at least this share does not exceed. The port's own method rounds the rank to the nearest,
    where the report, as HdrHistogram in Java, rounds it up."""
    rank, passed = math.ceil(share * histogram.get_total_count()), 0
    for item in histogram.get_recorded_iterator():
        passed += item.count_added_in_this_iter_step
        if passed >= rank:
            return histogram.get_highest_equivalent_value(item.value_iterated_to)


def hlog(check, lab, name, result):
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader

    tags = {
        "total_latency": "total_latency_ms", "time_to_first_token": "ttft_ms", "time_per_output_token": "tpot_ms",
        "inter_chunk_latency": "icl_ms", "output_tokens": "output_tokens", "failed_time": "failed_time_ms",
    }
    sources = {"journal": ["--journal", f"{name}.journal"], "records": ["--records", f"{name}.jsonl", "--json-file", f"{name}.json"]}
    for source, words in sources.items():
        path = lab.export("hlog", words, "run.hlog")
        layout = (1, 86_400_000_000_000, 3)
        reader, whole, lines = HistogramLogReader(str(path), HdrHistogram(*layout)), {}, {}
        while (found := reader.get_next_interval_histogram()) is not None:
            tag = found.get_tag()
            whole.setdefault(tag, HdrHistogram(*layout)).add(found)
            lines[tag] = lines.get(tag, 0) + 1
        check(f"hlog {name} of the {source}: intervals", (lines["total_latency"] > 1) == (source == "journal"), str(lines["total_latency"]))
        for tag, key in tags.items():
            metric = result["metrics"].get(key)
            if metric is None:
                continue
            check.same(f"hlog {name} of the {source}: {tag}'s count", whole[tag].get_total_count(), metric["count"])
            # Theirs is the end of a bucket, which is up to 0.1% wide, and 1,024 ns at least, as between pieces that were read at once;
            # ours is that within the exact extremes, of four digits.
            off = [
                name for name, share in PERCENTILES.items()
                if not math.isclose(percentile(whole[tag], share) / 1e6, metric[name], rel_tol=0.0015, abs_tol=0.001024)
            ]
            check.same(f"hlog {name} of the {source}: {tag}'s percentiles that differ", off, [])


def labels(summary):
    """What stands before the colons."""
    found = (line.split(":")[0].strip() for line in summary.splitlines() if ":" in line)
    return set(found)


LOADGEN = """
import sys, threading, time, mlperf_loadgen as loadgen
def issue(queries):
    def answer(query):
        time.sleep(0.005)
        loadgen.FirstTokenComplete([loadgen.QuerySampleResponse(query.id, 0, 0, 1)])
        time.sleep(0.005)
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query.id, 0, 0, 5)])
    for query in queries:
        threading.Thread(target=answer, args=(query,)).start()
settings = loadgen.TestSettings()
settings.scenario, settings.mode = getattr(loadgen.TestScenario, sys.argv[1]), loadgen.TestMode.PerformanceOnly
settings.use_token_latencies = True
settings.ttft_latency = settings.tpot_latency = 100_000_000
settings.server_target_qps = settings.offline_expected_qps = 100
settings.min_duration_ms, settings.min_query_count, settings.max_query_count = 100, 10, 20
output = loadgen.LogOutputSettings()
output.outdir = sys.argv[2]
log = loadgen.LogSettings()
log.log_output, log.enable_trace = output, False
system = loadgen.ConstructSUT(issue, lambda: None)
library = loadgen.ConstructQSL(50, 50, lambda _: None, lambda _: None)
loadgen.StartTestWithLogSettings(system, library, settings, log)
"""


def mlperf(check, lab, name, result, scenario, words=()):
    from mlperf_logging.compliance_checker.mlp_parser import parse_file

    folder = lab.export("mlperf", ["--journal", f"{name}.journal", *words], f"mlperf-{scenario}")
    theirs = lab.folder / f"loadgen-{scenario}"
    theirs.mkdir()
    subprocess.run([sys.executable, "-c", LOADGEN, scenario, theirs], check=True, capture_output=True, timeout=50)
    read = lambda folder: parse_file(str(folder / "mlperf_log_detail.txt"), ruleset="6.0.0")
    (own, broken), (known, _) = read(folder), read(theirs)
    label = f"mlperf {name} as {scenario}"
    check.same(f"{label}: lines that MLCommons' parser does not read", broken, [])
    values = {line.key: line.value["value"] for line in own}
    strange = sorted(set(values) - {line.key for line in known} - OWN_KEYS)
    check.same(f"{label}: keys that LoadGen's log has not", strange, [])
    summaries = [(it / "mlperf_log_summary.txt").read_text() for it in (folder, theirs)]
    strange = sorted(labels(summaries[0]) - labels(summaries[1]))
    check.same(f"{label}: labels that LoadGen's summary has not", strange, [])
    check.same(f"{label}: scenario", values["effective_scenario"], scenario)
    check.same(f"{label}: queries", values["result_query_count"], result["measured"]["good"])
    check.same(f"{label}: validity", values["result_validity"], "INVALID")
    failures = sum(line.value["value"]["count"] for line in own if line.key == "failed_requests")
    check.same(f"{label}: failures", failures, result["measured"]["failures"])
    if scenario != "Offline":
        due = "_from_due" if scenario == "Server" else ""
        for key, metric in {"result_99.00_percentile_latency_ns": f"latency{due}_ms", "result_first_token_50.00_percentile_latency_ns": f"ttft{due}_ms"}.items():
            percentile = "p99" if "99" in key else "p50"
            check.same(f"{label}: {key}", values[key], round(result["metrics"][metric][percentile] * 1e6))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    cache, binary = (Path(word).resolve() for word in sys.argv[1:])
    with_packages(cache)
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(binary, Path(folder))
        try:
            results = {
                "open": lab.run("open", ["--qps", "60", "-u", "60", "-t", "3s", "--warmup", "1s", "--qps-distribution", "exponential"]),
                "closed": lab.run("closed", ["-u", "3", "-r", "10", "-t", "3s"]),
                "counted": lab.run("counted", ["-u", "4", "-r", "100", "--max-requests", "500"]),
                "single": lab.run("single", ["-u", "1", "-t", "1500ms"]),
            }
            for name, result in results.items():
                llm_d(check, lab, name, result)
                tables(check, lab, name, result)
                hlog(check, lab, name, result)
            mlperf(check, lab, "open", results["open"], "Server")
            mlperf(check, lab, "single", results["single"], "SingleStream")
            mlperf(check, lab, "closed", results["closed"], "Offline", ["--scenario", "offline"])
        finally:
            lab.close()
    if check.failed:
        sys.exit(f"{check.failed} checks failed")


if __name__ == "__main__":
    main()
