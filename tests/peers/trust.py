"""Slows the program down step by step and holds what it says of itself against the truth.

The mock server has a core of its own and stamps what it does. The program has another core, which it shares with more and more
neighbours that never pause. For each step: the time to first token as told and as it was, and the verdict. It fails when a figure
is off by 5% or more without the verdict being INVALID, or by 2% or more while it is OK, or when nothing was wrong and the
verdict is not OK.

    tests/peers/trust.py FILE        FILE is a release build of the program
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from bench import Mock, pinned, stop

SERVER_CORE, CLIENT_CORE = 0, 1
TOKENS = 50
SECONDS = 8
STEPS = [
    # streams, neighbours, stamps
    (16, 0, "kernel"),
    (16, 0, "clock"),
    (64, 1, "kernel"),
    (64, 1, "clock"),
    (256, 2, "kernel"),
    (256, 2, "clock"),
    (512, 4, "kernel"),
    (512, 4, "clock"),
    (1024, 8, "kernel"),
    (1024, 8, "clock"),
]
NEVER_OFF, ALWAYS_INVALID = 0.02, 0.05
# Nothing is wrong, but a shared machine may be: how often it may be tried to be quiet.
TRIES = 4


def neighbour():
    return subprocess.Popen(
        [sys.executable, "-c", "while True: pass"], start_new_session=True, preexec_fn=pinned({CLIENT_CORE})
    )


def measure(program, streams, neighbours, stamps):
    setting = SimpleNamespace(output_tokens=TOKENS, llmload=program, server_cores={SERVER_CORE})
    with Mock(setting, 1_000_000) as mock, tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        others = [neighbour() for _ in range(neighbours)]
        try:
            command = [program, "run", "-H", mock.url, "--model", "mock", "--provider", "vllm", "-u", str(streams)]
            command += ["-r", "1000", "-t", f"{SECONDS}s", "-o", str(TOKENS), "-p", "32", "--threads", "1"]
            command += ["--stamps", stamps, "--only-summary", "--no-reset-stats", "--allow-invalid", "--json-file", str(result)]
            subprocess.run(
                command,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=pinned({CLIENT_CORE}),
                timeout=300,
            )
        finally:
            for other in others:
                stop(other)
        told = json.loads(result.read_text())
        notes = [note for note in mock.stats()["last_requests"] if note["end"] == "completed"]
        true = statistics.fmean((note["first_sent_ns"] - note["received_ns"]) / 1e6 for note in notes)
        return told["metrics"]["ttft_ms"]["mean"], true, told["verdict"], [r["name"] for r in told["reasons"]]


def judge(step, told, true, verdict):
    off = abs(told / true - 1)
    if off >= ALWAYS_INVALID and verdict != "invalid":
        return f"{off:.1%} off and not INVALID"
    if off >= NEVER_OFF and verdict == "ok":
        return f"{off:.1%} off and OK"
    if step[1] == 0 and verdict != "ok":
        return "nothing was wrong and it is not OK"
    return None


def main():
    program = os.path.abspath(sys.argv[1])
    print("| streams | neighbours | stamps | TTFT told / true, ms | off | verdict | reasons |")
    print("|--:|--:|---|--:|--:|---|---|")
    failures = []
    for step in STEPS:
        streams, neighbours, stamps = step
        for _ in range(TRIES if neighbours == 0 else 1):
            told, true, verdict, reasons = measure(program, *step)
            fault = judge(step, told, true, verdict)
            row = f"| {streams} | {neighbours} | {stamps} | {told:.2f} / {true:.2f} | {told / true - 1:+.1%} "
            print(f"{row}| {verdict.upper()} | {', '.join(reasons)} |", flush=True)
            if fault is None:
                break
        if fault is not None:
            failures.append(f"{step}: {fault}")
    for failure in failures:
        print(failure, file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
