"""Asks real databases every query of both Grafana dashboards, and holds the dashboards against the schema that Grafana publishes.

usage: grafana.py LLMLOAD_BINARY [PART...]      absent: all
postgres    a PostgreSQL with the rows of a run: each query gives rows to the role that may only read
prometheus  a Prometheus that scrapes a run: each query gives figures over the run's time

Where they are: see `data.py` and `tests/real/telemetry.py`. LLMLOAD_REQUIRE=prometheus: it must not be skipped.
The schema is looked at by `grafana.sh`.
"""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DASHBOARDS = HERE.parents[1] / "deploy/grafana/dashboards"
sys.path.insert(0, str(HERE.parent / "real"))

import data  # noqa: E402
import telemetry  # noqa: E402

READER = "llmload_reader"


def dashboard(name):
    return json.loads((DASHBOARDS / f"{name}.json").read_text())


def queries(of, key):
    return [(panel["title"], target[key]) for panel in of["panels"] for target in panel["targets"]]


def faulty(binary, folder):
    """A mock that fails some requests, so that there are failures to show."""
    words = [binary, "mock-server", "--port", "0", "--fault", "status=0.2:500"]
    return telemetry.Process(words, folder, "mock")


def words(binary, mock, *more):
    target = "http://" + mock.said("http://").split()[0].rstrip("/")
    return [binary, "run", "-H", target, "-m", "mock", "--provider", "openai", "-u", "8", "-r", "8", "-o", "8", "--threads", "1", "--only-summary",
            "--allow-invalid", "--max-fail-ratio", "1", *more]


def as_reader(postgres, text):
    words = [postgres.bin / "psql", "-X", "-A", "-t", "-q", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", READER, "-d", "postgres", "-c", text]
    return subprocess.run(words, capture_output=True, text=True, env=data.environment())


def rights():
    """The statements that the documents give for a role that may only read."""
    text = (HERE.parents[1] / "docs/grafana.md").read_text()
    found = re.search(r"```sql\n(CREATE ROLE .*?)```", text, re.S).group(1)
    return found.replace("'...'", f"'{data.PASSWORD}'")


def postgres(binary, folder):
    below = folder / "postgres"
    below.mkdir()
    server = data.Postgres(below)
    server.start()
    try:
        with faulty(binary, folder) as mock:
            run = words(binary, mock, "-t", "4s", "--pg-url", server.url(), "--pg-requests")
            assert subprocess.run(run, cwd=folder, env=data.environment(), capture_output=True).returncode == 0
        server.sql(rights())
        asked_as_reader(server)
    finally:
        server.end()


def asked_as_reader(server):
    of = dashboard("postgres")
    [variable] = of["templating"]["list"]
    [run] = as_reader(server, variable["query"]).stdout.split()
    asked = queries(of, "rawSql")
    for title, query in asked:
        text = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN now() - interval '1 hour' AND now()", query)
        text = text.replace("${run:sqlstring}", f"'{run}'")
        assert "$" not in text, text
        told = as_reader(server, text)
        rows = told.stdout.splitlines()
        assert told.returncode == 0 and rows, (title, told)
        assert any(any(fields[1:]) for fields in (row.split("|") for row in rows)), (title, rows)
        assert as_reader(server, f"SELECT * FROM ({text}) t LIMIT 0").returncode == 0, title
    for wrong in ("DELETE FROM llmload.runs", "INSERT INTO llmload.errors VALUES ('a', 'b', 'c', 1)", "CREATE TABLE llmload.x ()"):
        told = as_reader(server, wrong)
        assert told.returncode != 0 and "permission denied" in told.stderr, told
    assert as_reader(server, "SELECT nothing FROM llmload.runs").returncode != 0
    print(f"   {len(asked)} queries and the list of runs give rows to a role that may only read")


def prometheus(binary, folder):
    program = os.environ.get("LLMLOAD_PROMETHEUS") or shutil.which("prometheus")
    if program is None:
        raise telemetry.Missing("no prometheus on the PATH")
    with faulty(binary, folder) as mock:
        run = words(binary, mock, "-t", "10s", "--prometheus", "127.0.0.1:0", "--prometheus-linger", "120s")
        with telemetry.Process(run, folder, "llmload") as process:
            started = time.time()
            server, port = telemetry.database(program, folder, [telemetry.page_of(process)])
            with server:
                server.said("Server is ready to receive web requests")
                telemetry.eventually("the last scrape", lambda: telemetry.value(port, 'llmload_run_stage{stage="ended"} == 1'))
                ask_all(port, started)
            process.end(telemetry.signal.SIGINT)


def over(port, query, started):
    """All values of a query over the run, by series."""
    words = urllib.parse.urlencode({"query": query, "start": started, "end": time.time(), "step": "1"})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query_range?{words}", timeout=10) as answer:
        told = json.load(answer)
    assert told["status"] == "success", told
    return [[float(value) for _, value in series["values"]] for series in told["data"]["result"]]


def ask_all(port, started):
    of = dashboard("prometheus")
    [variable] = of["templating"]["list"]
    label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"])
    url = f"http://127.0.0.1:{port}/api/v1/label/{label[2]}/values?match[]={label[1]}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert json.load(answer)["data"] == ["mock"]
    asked = queries(of, "expr")
    for title, query in asked:
        text = query.replace("$__rate_interval", "4s").replace("$model", "(mock)")
        assert "$" not in text, text
        found = over(port, text, started)
        values = [value for series in found for value in series if math.isfinite(value)]
        assert values, f"{title}: {text} gives nothing"
        # Nobody waits in a closed loop.
        assert max(values) > 0 or "waiting" in text, f"{title}: {text} gives nothing but zeros"
        assert not over(port, text.replace("(mock)", "another"), started), f"{title} does not look at the model"
    print(f"   {len(asked)} queries and the list of models give figures of the run")


PARTS = {"postgres": postgres, "prometheus": prometheus}


def main():
    binary, wanted = str(Path(sys.argv[1]).resolve()), sys.argv[2:] or list(PARTS)
    required = os.environ.get("LLMLOAD_REQUIRE", "").split(",")
    for name in wanted:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as top:
            os.chmod(top, 0o755)
            try:
                PARTS[name](binary, Path(top))
                print(f"ok {name}'s dashboard, {time.monotonic() - began:.0f} s", flush=True)
            except telemetry.Missing as why:
                assert name not in required, why
                print(f"skipped {name}'s dashboard: {why}", flush=True)


if __name__ == "__main__":
    main()
