"""Drives each real server that is installed with each provider that it speaks, and checks what must hold.

usage: providers.py LLMLOAD_BINARY [SERVER]...      absent: vllm llamacpp triton litellm
Of 20 requests none may fail; each first token comes before its answer's end; and where the server tells, its tokens
are ours: by the usage of each answer, and by the server's own counters. A server that is not there is skipped, with
the reason. Servers are started on loopback ports that are free, and ended.

Where they are:
LLMLOAD_LLAMACPP_MODEL=FILE    a .gguf; the server is the wheel `xllamacpp`, in the Python that runs this
LLMLOAD_TRITON_PYTHON=FILE     a Python with the wheel `nvidia-pytriton`
LLMLOAD_LAB=DIR                a folder with vllm.sh and litellm.sh: each starts its server on the port that it is
                               given and prints its process id. vLLM serves one model; LiteLLM has the key `sk-lab`
                               and the models `mock-gpt` and `mock-claude`
LLMLOAD_REQUIRE=vllm,...       these must not be skipped
"""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import llamacpp

HERE = Path(__file__).resolve().parent
REQUESTS = 20
START_LIMIT_S = 180
RUN_LIMIT_S = 300


class Missing(Exception):
    """A server that cannot be had here, and why."""


@dataclass(frozen=True)
class Case:
    """One way to ask a server."""

    flags: list
    # Whether its answers, or its counters, say how many tokens they had.
    usage: bool = True
    streamed: bool = True


@dataclass(frozen=True)
class Server:
    """A server that runs: where, how its readiness shows, and what it counts."""

    url: str
    cases: list
    # Its counter of output tokens, if it has one that is to equal ours.
    counter: str | None = None
    key: list = field(default_factory=list)


def ways(provider, *more, chat=True):
    """Streamed and whole, through the chat API and the plain one."""
    base = ["--provider", provider, *more]
    apis = ["--chat", "--no-chat"] if chat else ["--no-chat"]
    streams = ("--stream", "--no-stream")
    return [Case([*base, api, stream], streamed=stream == "--stream") for api in apis for stream in streams]


def free_ports(count):
    """The first of so many free ports in a row."""
    for first in range(21000, 29000, 7):
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise Missing("no ports are free")


def fetch(url, key=()):
    request = urllib.request.Request(url, headers=dict(key))
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return answer.read().decode()


def alive(pid):
    """Whether the process runs: one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_up(url, pid, key=()):
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        try:
            fetch(url, key)
            return
        except OSError:
            if not alive(pid):
                raise Missing("it ended before it was up") from None
            time.sleep(0.5)
    raise Missing(f"it was not up in {START_LIMIT_S} s")


def end(pid):
    """Ends one process that was started here."""
    for number, patience in ((signal.SIGTERM, 40), (signal.SIGKILL, 10)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        for _ in range(patience):
            if not alive(pid):
                return
            time.sleep(0.5)


@contextmanager
def from_script(name, ready, key=()):
    """A server that a script of the lab starts."""
    lab = os.environ.get("LLMLOAD_LAB")
    script = Path(lab, f"{name}.sh") if lab else None
    if script is None or not script.is_file():
        raise Missing(f"LLMLOAD_LAB names no folder with {name}.sh")
    port = free_ports(1)
    # The server keeps the script's standard error open: it is not waited for.
    done = subprocess.run(
        ["bash", str(script), str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60
    )
    pid = int(done.stdout.split()[0])
    try:
        wait_until_up(f"http://127.0.0.1:{port}{ready}", pid, key)
        yield f"http://127.0.0.1:{port}"
    finally:
        end(pid)


@contextmanager
def vllm():
    with from_script("vllm", "/v1/models") as url:
        cases = [*ways("openai"), *ways("vllm")]
        yield Server(url, cases, counter="vllm:generation_tokens_total")


@contextmanager
def litellm():
    key = {"Authorization": "Bearer sk-lab"}.items()
    with from_script("litellm", "/v1/models", key) as url:
        openai = ["--provider", "openai", "-m", "mock-gpt"]
        # Its made-up answers come as a whole in Anthropic's format, whether a stream is asked for or not.
        claude = ["--provider", "anthropic", "-m", "mock-claude", "--no-stream"]
        cases = [Case(openai), Case([*openai, "--no-stream"], streamed=False), Case(claude, streamed=False)]
        yield Server(url, cases, key=["-k", "sk-lab"])


@contextmanager
def llama():
    model = os.environ.get("LLMLOAD_LLAMACPP_MODEL")
    if model is None or not Path(model).is_file():
        raise Missing("LLMLOAD_LLAMACPP_MODEL names no file")
    if importlib.util.find_spec("xllamacpp") is None:
        raise Missing("the wheel `xllamacpp` is not installed")
    server, url = llamacpp.start_server(model)
    llamacpp.wait_until_loaded(url)
    native = ways("llama.cpp", chat=False)
    yield Server(url, [*ways("openai"), *native], counter="llamacpp:tokens_predicted_total")
    del server


@contextmanager
def triton():
    python = os.environ.get("LLMLOAD_TRITON_PYTHON")
    if python is None or not Path(python).is_file():
        raise Missing("LLMLOAD_TRITON_PYTHON names no file")
    port = free_ports(3)
    with tempfile.TemporaryFile() as log:
        command = [python, "-B", str(HERE / "triton.py"), str(port)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}"
            for model in ("stream", "whole"):
                wait_until_up(f"{url}/v2/models/{model}/ready", process.pid)
            generate, infer = ["--provider", "triton-generate"], ["--provider", "triton-infer"]
            # It tells no counts: ours are of the events of a stream, or unknown.
            cases = [
                Case([*generate, "-m", "stream", "--no-chat"], usage=False),
                Case([*generate, "-m", "whole", "--no-chat", "--no-stream"], usage=False, streamed=False),
                Case([*infer, "-m", "whole", "--no-chat", "--no-stream"], usage=False, streamed=False),
            ]
            yield Server(url, cases)
        finally:
            end(process.pid)
            process.wait()


SERVERS = {"vllm": vllm, "llamacpp": llama, "triton": triton, "litellm": litellm}


def counted(server):
    """The server's own count of output tokens so far."""
    if server.counter is None:
        return None
    found = re.findall(rf"^{re.escape(server.counter)}(?:{{.*}})? ([0-9.eE+-]+)$", fetch(f"{server.url}/metrics"), re.M)
    return sum(map(float, found))


def settled_count(server, expected):
    """The same, once its counters have caught up: some servers add a request's tokens after its answer."""
    for _ in range(20):
        count = counted(server)
        if count is None or count >= expected:
            return count
        time.sleep(0.1)
    return count


def run(binary, server, case, folder):
    """The report and the record of each request; None and the reason when it does not run."""
    result, records = folder / "result.json", folder / "records.jsonl"
    for file in (result, records):
        file.unlink(missing_ok=True)
    command = [binary, "run", "-H", server.url, *server.key, "-u", "2", "-r", "100", "--max-requests", str(REQUESTS)]
    command += ["-o", "16", "--temperature", "0", "--prompt-text", "Count the ships of the night.", *case.flags]
    # The server computes on the same processors: counts are held here, and no time.
    command += ["--only-summary", "--allow-invalid", "--json-file", str(result), "--records", str(records)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S)
    if not result.is_file() or not records.is_file():
        return None, None, (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    return json.loads(result.read_text()), lines, None


def early(line):
    """Whether the first content of a streamed answer came after it was asked for and before its end."""
    content = line["content_ns"]
    return bool(content) and line["sent_ns"] < content[0] and (len(content) == 1 or content[0] < line["end_ns"])


def held(case, report, records, told):
    """What must hold, each with whether it does."""
    good = [line for line in records if line["outcome"] in ("ok", "truncated")]
    ours = report["tokens"]["whole_run_output"]
    usage = [line["usage"]["completion_tokens"] for line in good if line["usage"]]
    checks = [(f"{len(good)} of {REQUESTS} requests good", len(good) == REQUESTS == len(records))]
    if case.streamed:
        first = sum(map(early, good))
        checks.append((f"{first} first tokens before the end", first == len(good)))
    if case.usage:
        checks.append((f"usage in {len(usage)} answers", len(usage) == len(good)))
        checks.append((f"{ours} tokens, {sum(usage)} by usage", ours == sum(usage) > 0))
    if told is not None:
        checks.append((f"{told:.0f} by the server's counter", ours == told))
    return checks


def check_case(binary, server, case, folder):
    before = counted(server)
    report, records, reason = run(binary, server, case, folder)
    name = " ".join(case.flags)
    if report is None:
        print(f"  WRONG {name}: does not run: {reason}", flush=True)
        return False
    told = None
    if before is not None:
        told = settled_count(server, before + report["tokens"]["whole_run_output"]) - before
    checks = held(case, report, records, told)
    passed = all(holds for _, holds in checks)
    said = ", ".join(what if holds else f"NOT {what}" for what, holds in checks)
    print(f"  {'ok' if passed else 'WRONG':5} {name}: {said}", flush=True)
    if not passed and report["errors"]:
        print(f"        {json.dumps(report['errors'])[:300]}")
    return passed


def check_server(binary, name, folder):
    """How many of its cases passed and failed; a server that is not there has neither."""
    try:
        with SERVERS[name]() as server:
            print(f"{name} on {server.url}", flush=True)
            results = [check_case(binary, server, case, folder) for case in server.cases]
    except Missing as reason:
        required = name in os.environ.get("LLMLOAD_REQUIRE", "").split(",")
        print(f"{name}: {'MISSING' if required else 'skipped'}: {reason}", flush=True)
        return 0, int(required)
    return sum(results), len(results) - sum(results)


def main():
    binary, *chosen = sys.argv[1:]
    unknown = [name for name in chosen if name not in SERVERS]
    if unknown:
        raise SystemExit(f"unknown server `{unknown[0]}`; there are {', '.join(SERVERS)}")
    passed = failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for name in chosen or SERVERS:
            good, bad = check_server(binary, name, Path(temporary))
            passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    sys.stdout.flush()
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
