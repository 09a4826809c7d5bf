"""Asks a real LiteLLM proxy by each client of llmperf's that can reach it, and holds our table of prefixes against LiteLLM's own.

usage: clients.py LLMLOAD_BINARY [proxy] [table]      absent: both
proxy   `llmload token-benchmark` by `openai`, `anthropic` and `litellm` at a LiteLLM proxy: each request of a good model is
        good, those of a failing one have the code that the proxy gives, both files are written, and what is missing in
        the environment is named before anything is sent
table   the table of docs/clients.md against `get_llm_provider` and `validate_environment`; differences that are not
        known are printed and fail

Where they are:
LLMLOAD_LAB=DIR                a folder with litellm.sh, as for providers.py
LLMLOAD_LITELLM_PYTHON=FILE    a Python with the wheel `litellm`
LLMLOAD_TOKENIZER=FILE         a tokenizer.json; absent: the built-in one
LLMLOAD_REQUIRE=proxy,table    these must not be skipped
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from providers import Missing, from_script

HERE = Path(__file__).resolve().parent
REQUESTS = 12
KEY = "sk-lab"

# Where ours is meant to differ, and why.
KNOWN = {
    "anyscale": "no longer in LiteLLM",
    "cohere": "asked at its OpenAI-compatible address",
    "cohere_chat": "asked at its OpenAI-compatible address",
}

# Prefixes of LiteLLM's that are left to a LiteLLM proxy: of other things than chats, or with servers that nobody asked for yet.
LEFT_OUT = """
    a2a_agent aiohttp_openai amazon_nova anthropic_text apertis assemblyai auto_router aws_polly aws_textract
    azure_speech bedrock_mantle black_forest_labs charity_engine chatgpt cognition compactifai cortecs cursor custom
    darkbloom deepgram dotprompt edenai elevenlabs fal_ai gdc heroku humanloop infinity jina_ai langflow langfuse
    lemonade libertai litellm_agent manus meta milvus mongodb nadir neosantara nvidia_riva oobabooga parasail
    pg_vector pinstripes prism qwen_ai_platform qwencloud ragflow recraft reducto reka runwayml s3_vectors
    sagemaker_nova sail scx-ai soniox stability strands_decider tencent tensormesh text-completion-codestral
    text-completion-inception topaz transcribe typesafe valkey vertex_ai_beta vllm voyage watsonx_text xinference
""".split()


def run(binary, api, model, variables, folder):
    """One benchmark in an environment of these variables alone."""
    words = [
        *(binary, "token-benchmark", "--llm-api", api, "--model", model, "--results-dir", str(folder)),
        *("--max-num-completed-requests", str(REQUESTS), "--num-concurrent-requests", "3", "--timeout", "60"),
        *("--mean-input-tokens", "120", "--stddev-input-tokens", "10"),
        *("--mean-output-tokens", "40", "--stddev-output-tokens", "4"),
        *("--tokenizer-id", os.environ.get("LLMLOAD_TOKENIZER", "built-in")),
        # The proxy's mocks write many events at once, so that no gap between them can be told.
        "--allow-invalid",
    ]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.run(words, env={**kept, **variables}, capture_output=True, text=True, timeout=180)


def files(folder):
    """The two files of a benchmark."""
    [summary] = folder.glob("*_summary.json")
    [responses] = folder.glob("*_individual_responses.json")
    return json.loads(summary.read_text()), json.loads(responses.read_text())


def check(failures, name, holds, words):
    if not holds:
        failures.append(f"{name}: {words}")


def good(binary, name, api, model, variables, failures):
    with tempfile.TemporaryDirectory() as folder:
        done = run(binary, api, model, variables, Path(folder))
        if done.returncode != 0:
            failures.append(f"{name}: status {done.returncode}: {done.stderr[-600:]}")
            return
        summary, responses = files(Path(folder))
    check(failures, name, summary["model"] == model, f"the model is {summary['model']!r}")
    check(failures, name, summary["results_number_errors"] == 0, f"errors: {[r['error_msg'] for r in responses][:2]}")
    check(failures, name, len(responses) == REQUESTS, f"{len(responses)} responses")
    for one in responses:
        times = (one["ttft_s"], one["end_to_end_latency_s"])
        check(failures, name, one["error_code"] is None, f"error {one['error_code']}: {one['error_msg']}")
        check(failures, name, 0 < times[0] <= times[1], f"TTFT and end are {times}")
        check(failures, name, one["number_output_tokens"] > 5, f"{one['number_output_tokens']} output tokens")
    print(f"ok   {name}: {summary['results_num_completed_requests']} requests")


def failing(binary, name, model, wanted, variables, failures):
    with tempfile.TemporaryDirectory() as folder:
        done = run(binary, "openai", model, variables, Path(folder))
        if not list(Path(folder).glob("*_summary.json")):
            failures.append(f"{name}: no files: {done.stderr[-600:]}")
            return
        _, responses = files(Path(folder))
    codes = {one["error_code"] for one in responses}
    check(failures, name, len(codes) == 1 and codes <= wanted, f"codes {codes}, wanted one of {wanted}")
    check(failures, name, all(one["error_msg"] for one in responses), "an error without words")
    print(f"     {name}: {len(responses)} requests with code {', '.join(map(str, codes))}")


def unset(binary, api, model, names, failures):
    """What is missing is named, and nothing is sent."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(binary, api, model, {}, Path(folder))
        check(failures, api, done.returncode == 2, f"status {done.returncode} without variables")
        for name in names:
            check(failures, api, name in done.stderr, f"{name} is not named in {done.stderr!r}")
        check(failures, api, not list(Path(folder).iterdir()), "files of a run that never was")


def proxy(binary, failures):
    with from_script("litellm", "/health/liveliness") as url:
        openai = {"OPENAI_API_BASE": f"{url}/v1", "OPENAI_API_KEY": KEY}
        bare = {"OPENAI_API_BASE": url, "OPENAI_API_KEY": KEY}
        through = {"LITELLM_API_BASE": url, "LITELLM_API_KEY": KEY}
        named = {"LITELLM_PROXY_API_BASE": f"{url}/v1", "LITELLM_PROXY_API_KEY": KEY}
        anthropic = {"ANTHROPIC_API_BASE": url, "ANTHROPIC_API_KEY": KEY}
        for name, api, model, variables in (
            ("openai", "openai", "mock-gpt", openai),
            ("openai without /v1", "openai", "mock-gpt", bare),
            ("litellm by LITELLM_API_BASE", "litellm", "mock-gpt", through),
            ("litellm, Claude behind the proxy", "litellm", "mock-claude", through),
            ("litellm_proxy/", "litellm", "litellm_proxy/mock-gpt", named),
            ("openai/ by litellm", "litellm", "openai/mock-gpt", openai),
        ):
            good(binary, name, api, model, variables, failures)
        # Its mock answers a Messages request as a whole, whatever it is asked: there is no first token then.
        whole_messages(binary, anthropic, failures)
        # Without a database it calls a key that it does not know a bad request.
        failing(binary, "a wrong key", "mock-gpt", {400, 401}, {**openai, "OPENAI_API_KEY": "sk-wrong"}, failures)
        failing(binary, "a rate limit", "mock-429", {429}, openai, failures)
        failing(binary, "a server's error", "mock-500", {500}, openai, failures)
    unset(binary, "openai", "m", ["OPENAI_API_BASE", "OPENAI_API_KEY"], failures)
    unset(binary, "anthropic", "m", ["ANTHROPIC_API_KEY"], failures)
    unset(binary, "litellm", "azure/m", ["AZURE_API_KEY", "AZURE_API_BASE", "AZURE_API_VERSION"], failures)


def whole_messages(binary, variables, failures):
    name = "anthropic"
    with tempfile.TemporaryDirectory() as folder:
        done = run(binary, "anthropic", "mock-claude", variables, Path(folder))
        if done.returncode != 0:
            failures.append(f"{name}: status {done.returncode}: {done.stderr[-600:]}")
            return
        summary, responses = files(Path(folder))
    check(failures, name, summary["results_number_errors"] == 0, f"{responses[:1]}")
    check(failures, name, all(one["number_output_tokens"] > 5 for one in responses), f"{responses[:1]}")
    print(f"ok   {name}: {summary['results_num_completed_requests']} requests")


ASK = """
import json, os, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
answers = {}
for prefix, variables in json.load(sys.stdin).items():
    answer = answers[prefix] = {}
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_API_BASE")):
            del os.environ[name]
    model = prefix + "/some-model"
    try:
        answer["base"] = litellm.get_llm_provider(model)[3]
        answer["missing"] = litellm.validate_environment(model)["missing_keys"]
        params = litellm.get_supported_openai_params(model="some-model", custom_llm_provider=prefix)
        answer["stream_options"] = None if params is None else "stream_options" in params
    except Exception as error:
        answer["error"] = str(error).splitlines()[0][:100]
    for base in variables["bases"]:
        os.environ[base] = "http://127.0.0.1:9/" + base
        try:
            answer.setdefault("taken", {})[base] = litellm.get_llm_provider(model)[3]
        except Exception:
            pass
        del os.environ[base]
names = [getattr(one, "value", one) for one in litellm.provider_list]
json.dump({"answers": answers, "prefixes": names}, sys.stdout)
"""


def documented():
    """Our table, as the documentation has it: a test holds that against the code."""
    rows = {}
    for line in (HERE.parents[1] / "docs" / "clients.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        prefix = re.fullmatch(r"`([\w-]+)/`", cells[0])
        if prefix and len(cells) == 5:
            rows[prefix[1]] = {
                "keys": re.findall(r"`(\w+)`", cells[1]),
                "bases": re.findall(r"`(\w+)`", cells[2]),
                "base": cells[3].strip("<>") if cells[3] != "–" else None,
                "asks_usage": "no `stream_options`" not in cells[4] and not cells[4].startswith(("`anthropic`", "`ollama`")),
            }
    return rows


def spoken():
    """The prefixes that the code speaks, refuses by name, or leaves out."""
    folder = HERE.parents[1] / "src" / "config" / "client"
    own = (folder / "prefixes.rs").read_text()
    lists = re.findall(r"const (?:OWN|UNSPOKEN): \[&str; \d+\] = \[(.*?)\];", own, re.S)
    assert len(lists) == 2, "src/config/client/prefixes.rs has other lists"
    return {*documented(), *re.findall(r'"([^"]+)"', "".join(lists)), *LEFT_OUT}


def differences(row, theirs):
    """What LiteLLM says otherwise."""
    if "error" in theirs:
        yield theirs["error"]
        return
    base = (theirs["base"] or "").rstrip("/")
    if base and base != (row["base"] or "").rstrip("/"):
        yield f"the usual address is {base}, ours {row['base']}"
    for name in theirs["missing"]:
        if name not in row["keys"] + row["bases"]:
            yield f"it wants {name}, which ours does not know"
    if theirs["stream_options"] is False and row["asks_usage"]:
        yield "it sends no stream_options there"
    if base:
        for name, taken in theirs.get("taken", {}).items():
            if name not in (taken or ""):
                yield f"note: {name} changes nothing there"


def table(failures):
    python = os.environ.get("LLMLOAD_LITELLM_PYTHON")
    if not python:
        raise Missing("LLMLOAD_LITELLM_PYTHON names no Python")
    rows = documented()
    check(failures, "table", len(rows) > 50, f"only {len(rows)} rows were read")
    asked = subprocess.run([python, "-c", ASK], input=json.dumps(rows), capture_output=True, text=True, timeout=300)
    if asked.returncode != 0:
        raise Missing(f"LiteLLM cannot be asked: {asked.stderr[-300:]}")
    told = json.loads(asked.stdout[asked.stdout.index("{"):])
    answers = told["answers"]
    missing = sorted(set(told["prefixes"]) - spoken())
    print(f"     table: prefixes of LiteLLM's that are neither spoken nor known: {', '.join(missing) or 'none'}")
    check(failures, "table", not missing, f"LiteLLM has {', '.join(missing)}, which src/config/client does not name")
    same = 0
    for prefix, row in rows.items():
        found = list(differences(row, answers[prefix]))
        same += not found
        for words in found:
            known = KNOWN.get(prefix) or (words.startswith("note") and "ours alone")
            print(f"{'diff' if known else 'FAIL'} {prefix}: {words}{f' ({known})' if known else ''}")
            check(failures, prefix, known, words)
    print(f"ok   table: {same} of {len(rows)} prefixes are as LiteLLM has them")


def main():
    binary, *wanted = sys.argv[1:]
    required = set(filter(None, os.environ.get("LLMLOAD_REQUIRE", "").split(",")))
    failures = []
    for name in wanted or ["proxy", "table"]:
        try:
            if name == "proxy":
                proxy(binary, failures)
            else:
                table(failures)
        except Missing as why:
            print(f"skip {name}: {why}")
            if name in required:
                failures.append(f"{name} must not be skipped")
    for failure in failures:
        print(f"FAIL {failure}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
