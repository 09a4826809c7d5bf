"""Writes the two dashboards beside it: the same panels of a Prometheus and of the program's own tables.

usage: dashboards.py [--check]      check: fail if the files are others
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent / "dashboards"
LATENCIES = [("Time to first token", "time_to_first_token_seconds", "ttft"),
             ("Time per output token", "time_per_output_token_seconds", "tpot"),
             ("Total latency", "total_latency_seconds", "latency")]
OF = 'model=~"$model"'


def prometheus_panels():
    yield "Users and requests now", "none", [("llmload_users{%s}" % OF, "users"), ("llmload_requests_in_flight{%s}" % OF, "in flight"),
                                             ("llmload_requests_waiting{%s}" % OF, "waiting")]
    yield "Requests a second by outcome", "reqps", [("sum by (outcome) (rate(llmload_requests_finished_total{%s}[$__rate_interval])) > 0" % OF, "{{outcome}}")]
    yield "Tokens a second", "none", [("sum(rate(llmload_output_tokens_total{%s}[$__rate_interval]))" % OF, "output"),
                                      ("sum(rate(llmload_prompt_tokens_total{%s}[$__rate_interval]))" % OF, "prompt")]
    for title, name, _ in LATENCIES:
        query = "histogram_quantile(%s, sum by (le) (rate(llmload_" + name + "_bucket{%s}[$__rate_interval])))"
        yield title, "s", [(query % (q, OF), p) for q, p in (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"))]
    yield "Busiest sending core", "percentunit", [("max(rate(llmload_generator_core_busy_seconds_total{%s}[$__rate_interval]) / rate(llmload_generator_core_seconds_total{%s}[$__rate_interval]))" % (OF, OF), "busy")]
    yield "Verdict so far", "none", [("max by (level) (llmload_run_verdict{%s})" % OF, "{{level}}")]


def sql(columns, table="llmload.seconds"):
    return f"SELECT at AS time, {columns} FROM {table} WHERE $__timeFilter(at) AND run IN (${{run:sqlstring}}) ORDER BY at"


BY_SENT = ("SELECT date_trunc('second', at) AS time, percentile_cont(0.5) WITHIN GROUP (ORDER BY ttft_s) AS p50, "
           "percentile_cont(0.99) WITHIN GROUP (ORDER BY ttft_s) AS p99, max(ttft_s) AS max FROM llmload.requests "
           "WHERE $__timeFilter(at) AND run IN (${run:sqlstring}) GROUP BY 1 ORDER BY 1")


def postgres_panels():
    yield "Users and requests now", "none", [(sql("users, in_flight, waiting"), "")]
    yield "Requests a second by outcome", "reqps", [(sql("good_per_s, failed_per_s"), "")]
    yield "Tokens a second", "none", [(sql("output_tokens_per_s"), "")]
    for title, _, name in LATENCIES:
        yield title, "s", [(sql(", ".join(f"{name}_{p}_s AS {p}" for p in ("p50", "p95", "p99"))), "")]
    yield "Busiest sending core", "percentunit", [(sql("busiest_core"), "")]
    yield "Generator's own delays, p99", "s", [(sql("send_delay_p99_s, receive_lag_p99_s"), "")]
    yield "Time to first token, by when requests were sent", "s", [(BY_SENT, "")]
    yield "Runs", "none", [("SELECT run, started_at, ended_at, provider, model, verdict, completed, failed, requests_per_s, output_tokens_per_s, "
                            "ttft_p95_s, latency_p95_s FROM llmload.runs WHERE $__timeFilter(started_at) ORDER BY started_at DESC", "")]
    yield "Failures", "none", [("SELECT outcome, words, count FROM llmload.errors WHERE run IN (${run:sqlstring}) ORDER BY count DESC", "")]


def panel(number, kind, title, unit, queries):
    source = {"type": "prometheus" if kind == "prometheus" else "grafana-postgresql-datasource", "uid": f"llmload-{kind}"}
    is_table = title in ("Runs", "Failures")
    targets = []
    for letter, (query, legend) in zip("ABCDEF", queries):
        target = {"refId": letter, "datasource": source}
        target |= {"expr": query, "legendFormat": legend} if kind == "prometheus" else {
            "rawSql": query, "rawQuery": True, "editorMode": "code", "format": "table" if is_table else "time_series"}
        targets.append(target)
    place = {"x": number % 2 * 12, "y": number // 2 * 8, "w": 12, "h": 8}
    return {"id": number + 1, "type": "table" if is_table else "timeseries", "title": title, "gridPos": place, "datasource": source,
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []}, "options": {}, "targets": targets}


def dashboard(kind):
    source = {"type": "prometheus" if kind == "prometheus" else "grafana-postgresql-datasource", "uid": f"llmload-{kind}"}
    panels = prometheus_panels() if kind == "prometheus" else postgres_panels()
    if kind == "prometheus":
        query = {"name": "model", "label": "Model", "query": "label_values(llmload_run_info, model)"}
    else:
        query = {"name": "run", "label": "Run", "query": "SELECT run FROM llmload.runs ORDER BY started_at DESC LIMIT 100"}
    variable = {**query, "type": "query", "datasource": source, "refresh": 2, "includeAll": kind == "prometheus", "multi": kind == "prometheus"}
    return {"uid": f"llmload-{kind}", "title": f"llmload ({'Prometheus' if kind == 'prometheus' else 'PostgreSQL'})", "tags": ["llmload"],
            "schemaVersion": 39, "version": 1, "editable": True, "refresh": "5s", "time": {"from": "now-15m", "to": "now"},
            "timezone": "browser", "templating": {"list": [variable]}, "annotations": {"list": []},
            "panels": [panel(number, kind, *words) for number, words in enumerate(panels)]}


for kind in ("prometheus", "postgres"):
    path, text = HERE / f"{kind}.json", json.dumps(dashboard(kind), indent=2) + "\n"
    if "--check" in sys.argv:
        assert path.read_text() == text, f"{path.name} is not what dashboards.py writes"
    else:
        path.write_text(text)
