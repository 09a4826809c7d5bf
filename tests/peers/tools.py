"""How each tool is told to send the same load, and how its own report is read.

Every tool keeps so many requests in flight until so many are done, each with the same prompt; all other settings are
its defaults but for what is named here. Telemetry and network look-ups are switched off as each tool documents it.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from install import TOKENIZER

HERE = Path(__file__).resolve().parent
MODEL = "mock"
PROMPT = "Tell a long story about a lighthouse keeper who counts the ships of each night and gives them names."
REQUEST_LIMIT_S = 600


@dataclass(frozen=True)
class Load:
    """What one run is to send."""

    url: str
    streams: int
    requests: int
    output_tokens: int


@dataclass(frozen=True)
class Told:
    """What a tool says of the time to first token, in milliseconds."""

    mean: float
    p50: float


def body(load):
    """The request as the mock wants it, for the tools that are handed a ready one."""
    return json.dumps(
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": load.output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )


class Tool:
    """A tool, by its program."""

    # Whether it times tokens at all.
    times_tokens = True

    def __init__(self, program):
        self.program = str(program)

    def environment(self, load):
        return {}

    def command(self, load, folder):
        raise NotImplementedError

    def told(self, folder):
        return None


class Llmload(Tool):
    def command(self, load, folder):
        limits = ["-u", str(load.streams), "-r", "100000", "--max-requests", str(load.requests)]
        asked = ["-m", MODEL, "--provider", "vllm", "--prompt-text", PROMPT, "-o", str(load.output_tokens)]
        output = ["--no-reset-stats", "--only-summary", "--json-file", str(folder / "llmload.json")]
        return [self.program, "run", "-H", load.url, *limits, *asked, *output]

    def told(self, folder):
        ttft = json.loads((folder / "llmload.json").read_text())["metrics"]["ttft_ms"]
        return Told(ttft["mean"], ttft["p50"])


class Locust(Tool):
    def environment(self, load):
        return {"PEERS_REQUESTS": str(load.requests), "PEERS_BODY": body(load)}

    def command(self, load, folder):
        limits = ["-u", str(load.streams), "-r", str(load.streams)]
        output = ["--headless", "--only-summary", "--csv", str(folder / "locust")]
        return [self.program, "-f", str(HERE / "locustfile.py"), "-H", load.url, *limits, *output]

    def told(self, folder):
        with (folder / "locust_stats.csv").open(newline="") as file:
            rows = {row["Name"]: row for row in csv.DictReader(file)}
        ttft = rows["time_to_first_token"]
        return Told(float(ttft["Average Response Time"]), float(ttft["Median Response Time"]))


class Aiperf(Tool):
    def command(self, load, folder):
        prompts = folder / "prompts.jsonl"
        prompts.write_text(json.dumps({"text": PROMPT}) + "\n")
        target = ["--url", load.url, "--model", MODEL, "--endpoint-type", "chat", "--streaming"]
        target += ["--request-timeout-seconds", str(REQUEST_LIMIT_S), "--tokenizer", TOKENIZER]
        limits = ["--concurrency", str(load.streams), "--request-count", str(load.requests)]
        asked = ["--input-file", str(prompts), "--custom-dataset-type", "single_turn"]
        asked += ["--extra-inputs", f"max_tokens:{load.output_tokens}"]
        # Its cheapest settings: the server's count of tokens rather than its own, and no file of each request. So it
        # only loads the tokenizer and counts the one prompt with it.
        output = ["--use-server-token-count", "--export-level", "summary", "--output-artifact-dir", str(folder)]
        quiet = ["--no-gpu-telemetry", "--no-server-metrics", "--ui-type", "none"]
        return [self.program, "profile", *target, *limits, *asked, *output, *quiet]

    def told(self, folder):
        ttft = json.loads((folder / "profile_export_aiperf.json").read_text())["time_to_first_token"]
        scale = {"ms": 1.0, "s": 1e3, "us": 1e-3, "ns": 1e-6}[ttft["unit"]]
        return Told(ttft["avg"] * scale, ttft["p50"] * scale)


class Guidellm(Tool):
    def command(self, load, folder):
        rows = folder / "prompts.jsonl"
        row = json.dumps({"prompt": PROMPT, "output_tokens_count": load.output_tokens}) + "\n"
        # It sends each row once.
        rows.write_text(row * load.requests)
        backend = f"kind=openai_http,target={load.url},model={MODEL},timeout={REQUEST_LIMIT_S}"
        limits = ["--profile", f"kind=concurrent,streams={load.streams}"]
        limits += ["--constraint", f"kind=max_requests,count={load.requests}"]
        asked = ["--data", f"kind=json_file,path={rows}"]
        output = ["--output", f"kind=json,path={folder / 'guidellm.json'}", "--disable-console-interactive"]
        return [self.program, "run", "--backend", backend, *limits, *asked, *output]

    def told(self, folder):
        benchmark = json.loads((folder / "guidellm.json").read_text())["benchmarks"][0]
        ttft = benchmark["metrics"]["time_to_first_token_ms"]["successful"]
        return Told(ttft["mean"], ttft["median"])


class Oha(Tool):
    times_tokens = False

    def command(self, load, folder):
        file = folder / "body.json"
        file.write_text(body(load))
        limits = ["-c", str(load.streams), "-n", str(load.requests), "-t", f"{REQUEST_LIMIT_S}s"]
        asked = ["-m", "POST", "-T", "application/json", "-D", str(file)]
        output = ["--no-tui", "--output-format", "json"]
        return [self.program, *limits, *asked, *output, f"{load.url}/v1/chat/completions"]


TOOLS = {"llmload": Llmload, "locust": Locust, "aiperf": Aiperf, "guidellm": Guidellm, "oha": Oha}
