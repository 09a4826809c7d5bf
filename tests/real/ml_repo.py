"""Logs token benchmarks to real MLflow servers and reads everything back through MLflow's own client.

usage: ml_repo.py LLMLOAD_BINARY     with `mlflow` (and `mlflow[auth]`) installed for the Python that runs it
Servers listen on loopback ports and keep everything in a temporary folder. What a benchmark's summary file says must be
what the server has, number for number, and its files byte for byte.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PATIENCE_S = 120
MODEL = "meta-llama/Llama-3.1--8B_x"
SAMPLING = {"temperature": 0.7, "top_p": 0.9}
SPREADS = {
    "end_to_end_latency_seconds": "end_to_end_latency_s",
    "inter_token_latency_seconds": "inter_token_latency_s",
    "output_tokens_per_second": "request_output_throughput_token_per_s",
    "time_to_first_token_seconds": "ttft_s",
}
POINTS = {"p50": "quantiles_p50", "p90": "quantiles_p90", "p99": "quantiles_p99", "max": "max"}
SINGLES = [
    "num_requests_started",
    "error_rate",
    "number_errors",
    "mean_output_throughput_token_per_s",
    "num_completed_requests",
    "num_completed_requests_per_min",
]
ADMIN, PASSWORD = "admin", "p@ss-word-1234"
AUTH = """[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/auth.db
admin_username = {admin}
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(**more):
    kept = {key: value for key, value in os.environ.items() if "MLFLOW" not in key and "PROXY" not in key.upper()}
    return kept | {"MLFLOW_DISABLE_TELEMETRY": "true"} | more


class Server:
    """An MLflow server that lives as long as its block."""

    def __init__(self, folder, *options, **environment):
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.log = open(folder / "server.log", "wb")
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", *options]
        self.process = subprocess.Popen(
            command, cwd=folder, env=clean_environment(**environment), stdout=self.log, stderr=self.log
        )

    def __enter__(self):
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the server did not come up:\n" + Path(self.log.name).read_text())
            time.sleep(0.2)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def benchmark(binary, folder, *options, **environment):
    """Runs a benchmark; its process, its result files, how long it took."""
    lengths = ["--mean-input-tokens", "80", "--stddev-input-tokens", "10", "--mean-output-tokens", "12", "--stddev-output-tokens", "3"]
    return run(binary, "token-benchmark", folder, *lengths, *options, **environment)


def run(binary, test, folder, *options, **environment):
    """Runs one of the tests against the built-in mock."""
    command = [binary, test, "--model", MODEL, "--mock", "--tokenizer-id", "built-in"]
    command += ["--num-concurrent-requests", "3", "--max-num-completed-requests", "12", "--allow-invalid"]
    command += ["--additional-sampling-params", json.dumps(SAMPLING), "--results-dir", str(folder), *options]
    begun = time.monotonic()
    done = subprocess.run(
        command, env=clean_environment(**environment), capture_output=True, text=True, timeout=PATIENCE_S
    )
    took_s = time.monotonic() - begun
    files = {path.name: path for path in folder.iterdir()} if folder.exists() else {}
    return done, files, took_s


def summary_of(files):
    (path,) = [path for name, path in files.items() if name.endswith("_summary.json")]
    return json.loads(path.read_text())


def wanted_metrics(summary):
    wanted = {f"{name}_{end}": summary[f"results_{key}_{of}"] for name, key in SPREADS.items() for end, of in POINTS.items()}
    wanted |= {name: summary[f"results_{name}"] for name in SINGLES}
    return {name: float(value) for name, value in wanted.items() if value is not None}


def wanted_params(summary):
    names = [f"{what}_{which}_tokens" for which in ("input", "output") for what in ("mean", "stddev")]
    wanted = {name: str(summary[name]) for name in ["model", *names, "num_concurrent_requests"]}
    return wanted | {"tokenizer_id": "built-in"} | {name: json.dumps(value) for name, value in SAMPLING.items()}


def equal(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}: found {found!r}, wanted {wanted!r}")


def expect(what, holds, told=""):
    if not holds:
        raise SystemExit(f"{what}\n{told}")


def artifacts_of(json_files):
    """All that is stored of a benchmark whose result files have these names."""
    (summary,) = [name for name in json_files if name.endswith("_summary.json")]
    stem = summary.removesuffix("_summary.json")
    plots = ["e2e_latencies", "inter_token_latencies", "time_to_first_token", "inter_token_vs_throughput"]
    return json_files | {f"{stem}_report.html"} | {f"{stem}_{plot}.{ending}" for plot in plots for ending in ("svg", "png")}


def read_back(uri, repo, name_pattern, files, folder):
    """The one run of that name, held against the benchmark's own files; names of what is stored."""
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(repo)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    runs = [run for run in runs if re.fullmatch(name_pattern, run.info.run_name)]
    equal(f"runs called {name_pattern}", len(runs), 1)
    run = runs[0]
    summary = summary_of(files)
    equal("status", run.info.status, "FINISHED")
    equal("metrics", run.data.metrics, wanted_metrics(summary))
    equal("params", run.data.params, wanted_params(summary))
    equal("source", run.data.tags["mlflow.source.name"], "llmload")
    expect("the version is not there", run.data.tags["llmload.version"])
    expect("the times are wrong", 0 < run.info.end_time - run.info.start_time < PATIENCE_S * 1000)
    stored = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    json_files = {name for name in files if name.endswith(".json")}
    equal("result files", len(json_files), 2)
    equal("stored files", stored, artifacts_of(json_files))
    for name in sorted(stored):
        path = download_artifacts(
            run_id=run.info.run_id, artifact_path=name, dst_path=str(folder), tracking_uri=uri
        )
        if name in files:
            equal(f"bytes of {name}", Path(path).read_bytes(), files[name].read_bytes())
        else:
            expect(f"{name} is empty", Path(path).stat().st_size > 0)
    return experiment.experiment_id, run.info.run_id, stored


def log_and_read(binary, folder, server, case, options, environment, name_pattern, read=lambda: None):
    results, copies = folder / f"{case}-results", folder / f"{case}-copies"
    copies.mkdir()
    done, files, took_s = benchmark(
        binary, results, "--ml-repo", "repo", *options, **{"MLFLOW_TRACKING_URI": server.uri} | environment
    )
    smooth = done.returncode == 0 and not re.search("ML Repo (has|still|keeps|at)|nothing is logged", done.stderr)
    expect(f"{case}: exit status {done.returncode}", smooth, done.stderr)
    read()
    experiment_id, run_id, stored = read_back(server.uri, "repo", name_pattern, files, copies)
    page = f"{server.uri}/#/experiments/{experiment_id}/runs/{run_id}"
    expect(f"{page} is not told", page in done.stderr, done.stderr)
    print(f"{case}: {len(stored)} files, {took_s:.1f} s: {', '.join(sorted(stored))}")


def plain(binary, folder):
    with Server(folder, "--artifacts-destination", str(folder / "store")) as server:
        log_and_read(binary, folder, server, "named", ["--run-name", "first"], {}, "first")
        dated = r"bench-meta-llama-Llama-3-1-8B-x-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d"
        log_and_read(binary, folder, server, "dated", [], {}, dated)
        job = {"TFY_INTERNAL_JOB_RUN_NAME": "job-7"}
        log_and_read(binary, folder, server, "job", ["--run-name", "NA"], job, "bench-meta-llama-Llama-3-1-8B-x-job-7")
        done, files, _ = benchmark(binary, folder / "na", "--ml-repo", "NA", MLFLOW_TRACKING_URI=server.uri)
        expect("NA is logged", done.returncode == 0 and "experiments" not in done.stderr, done.stderr)


def correctness(binary, folder):
    """Gates that hold and break: what is stored, and the status of the run."""
    from mlflow import MlflowClient

    # An answer cut off at one token is one of the wrong ones.
    cases = {"holds": ([], 0, "FINISHED"), "breaks": (["--additional-sampling-params", '{"max_tokens": 1}'], 1, "FAILED")}
    with Server(folder, "--artifacts-destination", str(folder / "store")) as server:
        for name, (options, wanted_exit, wanted_status) in cases.items():
            options = ["--ml-repo", "gates", "--run-name", name, "--max-mismatch-rate", "0", *options]
            done, files, _ = run(binary, "correctness", folder / name, *options, MLFLOW_TRACKING_URI=server.uri)
            equal(f"{name}: exit status", done.returncode, wanted_exit)
            client = MlflowClient(tracking_uri=server.uri)
            experiment = client.get_experiment_by_name("gates")
            runs = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
            equal("runs", len(runs), 1)
            equal(f"{name}: status", runs[0].info.status, wanted_status)
            stored = {entry.path for entry in client.list_artifacts(runs[0].info.run_id)}
            equal(f"{name}: stored files", stored, set(files))
            equal(f"{name}: files", len(stored), 2)
            equal(f"{name}: mismatches", bool(summary_of(files)["num_mismatched_requests"]), wanted_exit == 1)
            print(f"correctness, the gate {name}: {wanted_status}, {', '.join(sorted(stored))}")


def folders(binary, folder):
    root = folder / "root"
    with Server(folder, "--no-serve-artifacts", "--default-artifact-root", root.as_uri()) as server:
        log_and_read(binary, folder, server, "folder", ["--run-name", "f"], {}, "f")


def basic_auth(binary, folder):
    config = folder / "auth.ini"
    config.write_text(AUTH.format(folder=folder, admin=ADMIN, password=PASSWORD.replace("%", "%%")))
    more = {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "x"}
    with Server(folder, "--app-name", "basic-auth", **more) as server:
        pair = {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
        read = lambda: os.environ.update(pair)
        log_and_read(binary, folder, server, "basic auth", ["--run-name", "pair"], pair, "pair", read)
        inside = server.uri.replace("//", f"//{ADMIN}:{PASSWORD.replace('@', '%40')}@")
        log_and_read(
            binary, folder, server, "user in the URI", ["--run-name", "uri"], {"MLFLOW_TRACKING_URI": inside}, "uri"
        )
        wrong = pair | {"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_TRACKING_PASSWORD": "wrong-geheim-1"}
        done, files, _ = benchmark(binary, folder / "wrong", "--ml-repo", "repo", **wrong)
        equal("exit status with a wrong password", done.returncode, 0)
        expect("no word of status 401", "status 401" in done.stderr, done.stderr)
        expect("the password is shown", "geheim" not in done.stderr + done.stdout, done.stderr)
        summary_of(files)
        print("wrong password: exit status 0, a warning, the files there")
    for key in pair:
        del os.environ[key]


def dead(binary, folder):
    uri = f"http://127.0.0.1:{free_port()}"
    options = ["--ml-repo", "repo", "--ml-repo-timeout", "3"]
    done, files, took_s = benchmark(binary, folder / "dead", *options, MLFLOW_TRACKING_URI=uri)
    equal("exit status with a dead server", done.returncode, 0)
    expect("no warning", f"nothing is logged to the ML Repo `repo` at {uri}" in done.stderr, done.stderr)
    expect(f"it took {took_s} s", took_s < 30)
    equal("files", summary_of(files)["results_num_completed_requests"], 12)
    print(f"dead server: exit status 0 after {took_s:.1f} s, a warning, the files there")
    done, files, _ = benchmark(binary, folder / "none", "--ml-repo", "repo")
    equal("exit status without a server", (done.returncode, files), (2, {}))
    expect("the variable is not named", "MLFLOW_TRACKING_URI" in done.stderr, done.stderr)


def main():
    (binary,) = sys.argv[1:]
    binary = str(Path(binary).resolve())
    for key in [key for key in os.environ if "PROXY" in key.upper() or "MLFLOW" in key]:
        del os.environ[key]
    for case in (plain, correctness, folders, basic_auth, dead):
        with tempfile.TemporaryDirectory() as folder:
            case(binary, Path(folder))
    print("everything is there")


if __name__ == "__main__":
    main()
