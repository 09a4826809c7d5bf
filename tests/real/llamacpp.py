"""Drives a real llama.cpp server and compares every count with the server's own.

usage: llamacpp.py MODEL.gguf LLMLOAD_BINARY
The server listens on a loopback port that the system gives. Each case runs in a server's counters' difference,
so that what llmload reports must equal what the server says it did.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

REQUESTS = 24
CASES = [
    ("chat, streamed", ["--chat", "--stream"]),
    ("chat, whole", ["--chat", "--no-stream"]),
    ("completion, streamed", ["--no-chat", "--stream"]),
    ("completion, whole", ["--no-chat", "--no-stream"]),
]


def start_server(model):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.model_alias = {"smollm2"}
    params.n_parallel = 4
    params.n_ctx = 4096
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    return server, server.listening_address


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def wait_until_loaded(base):
    for _ in range(120):
        try:
            fetch(f"{base}/v1/models")
            fetch(f"{base}/health")
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the server did not come up")


def counters(base):
    found = dict(re.findall(r"^llamacpp:(\w+) ([0-9.eE+-]+)$", fetch(f"{base}/metrics"), re.M))
    return {name: float(found[name]) for name in ("tokens_predicted_total", "prompt_tokens_total")}


def run(binary, base, flags, folder):
    result = folder / "result.json"
    command = [binary, "run", "-H", base, "-u", "4", "-r", "100", "--max-requests", str(REQUESTS)]
    command += ["-p", "64", "-o", "16", "--temperature", "0", "--only-summary", "--json-file", str(result)]
    # The server computes on the same processors: counts are held here, and no time.
    command += ["--allow-invalid", "--summary-file", str(folder / "results.csv"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return json.loads(result.read_text())


def check(name, actual, expected):
    mark = "ok" if actual == expected else "WRONG"
    print(f"  {mark:5} {name}: {actual} (expected {expected})")
    return actual == expected


def main():
    model, binary = sys.argv[1:]
    server, base = start_server(model)
    wait_until_loaded(base)
    passed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, flags in CASES:
            print(name)
            before = counters(base)
            report = run(binary, base, flags, folder)
            after = counters(base)
            totals = report["totals"]
            good = totals["outcomes"].get("ok", 0) + totals["outcomes"].get("truncated", 0)
            results = [
                check("requests sent", totals["sent"], REQUESTS),
                check("requests good", good, REQUESTS),
                check(
                    "output tokens, as the server counts them",
                    report["tokens"]["whole_run_output"],
                    int(after["tokens_predicted_total"] - before["tokens_predicted_total"]),
                ),
            ]
            passed += all(results)
        rows = (folder / "results.csv").read_text().splitlines()
        passed += check("rows in the summary file, with the header", len(rows), len(CASES) + 1)
    failed = len(CASES) + 1 - passed
    print(f"{passed} passed, {failed} failed")
    del server
    sys.stdout.flush()
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
