"""The manifests carried out: what is started, what happens to it, and what must hold, with the mock server's counts as the judge.

How a container or an engine works is containers.py's and engines.py's business.
"""

import json
import re
import shutil
import signal
import time
import urllib.parse

import engines
import manifests

CASES = []


class Wrong(Exception):
    """Something does not hold."""


def case(play):
    """Makes a function a case."""
    CASES.append(play)
    return play


def equal(what, actual, expected):
    if actual != expected:
        raise Wrong(f"{what}: {actual}, not {expected}")


def holds(what, condition):
    if not condition:
        raise Wrong(what)


def judged(result, mock, place, is_lost=False):
    """The books are right, and the server saw what is called sent. Returns the result's totals."""
    totals = result["totals"]
    counted = place.until("the server's streams end", lambda: engines.stats(mock))["requests"]
    fates = sum(totals[name] for name in ("sent", "dropped", "late_cancelled", "lost"))
    equal("sent + dropped + late-cancelled + lost", fates, totals["scheduled"])
    equal("failed", totals["failed"], 0)
    holds(f"only {totals['sent']} requests were sent", totals["sent"] > 20)
    if is_lost:
        # What a dead worker sent in its last second nobody could tell.
        seen, sent = counted["numbered"], totals["sent"]
        holds(f"the server saw {seen} requests: {sent} were sent", seen >= sent)
        holds("nothing is called lost", totals["lost"] > 0)
    else:
        equal("the server's requests", counted["numbered"], totals["sent"])
        equal("lost", totals["lost"], 0)
    return totals


def ended_well(status, result):
    """Status 0; a busy machine may make a run INVALID, whose counts hold nevertheless."""
    holds(f"the run ended with {status}", status == 0 or (status == 4 and result["verdict"] == "invalid"))


# Compose


# What this machine has no stand-in for: Grafana is not to be had, and is looked at by schemas.py.
ABSENT = ("grafana",)


def composed(bench, place, **variables):
    """The project, without what this machine lacks: then no rows are written, and nothing is scraped."""
    absent, named = list(ABSENT), {"LLMLOAD_RUN_TIME": "4s", "LLMLOAD_USERS": "6", "API_KEY": bench.key, **variables}
    if not bench.has_prometheus:
        absent.append("prometheus")
    if not bench.has_postgres:
        absent.append("postgres")
        named["LLMLOAD_PG_URL"] = ""
    return engines.Compose(place, bench.root / "deploy" / "compose.yaml", named, absent)


def run_of(project, place):
    """Brings a project up and sees its run to the end. Returns the result."""
    project.up()
    master = project.one("master")
    workers = project.running["worker"]
    for each in [master, *workers]:
        asked = each.container.probes["health"]["exec"]
        place.until(f"the health check of {each.hostname}", lambda: each.status is not None or each.execute(asked)[0] == 0)
    place.until("the master ends", lambda: master.status is not None or any(worker.status for worker in workers))
    place.until("the workers end", lambda: all(worker.status is not None for worker in workers))
    file = place.folder / "volumes" / "results" / "result.json"
    holds(f"no result: {master.words()}", file.is_file())
    result = json.loads(file.read_text())
    ended_well(master.status, result)
    equal("the workers' statuses", [worker.status for worker in workers], [0] * len(workers))
    return result


@case
def compose(bench, place):
    """Compose: a run, then another with five workers; the token is made once, and nobody else may read it."""
    project = composed(bench, place)
    result = run_of(project, place)
    judged(result, project.one("mock"), place)
    equal("the workers", len(result["workers"]), 3)
    equal("workers that sent", len([each for each in result["workers"] if each["requests"]]), 3)
    volumes = place.folder / "volumes"
    token = volumes / "cluster" / "token"
    first, about = token.read_text(), token.stat()
    equal("the token's mode", (about.st_mode & 0o777, about.st_uid), (0o600, 65532))
    project.down()
    project = composed(bench, place, LLMLOAD_WORKERS="5")
    result = run_of(project, place)
    judged(result, project.one("mock"), place)
    equal("the workers", len(result["workers"]), 5)
    equal("the token", token.read_text(), first)
    equal("rows of results.csv", len((volumes / "results" / "results.csv").read_text().splitlines()), 3)
    for file in ("report.html", "run.journal", "run.journal.1"):
        holds(f"there is no {file}", (volumes / "results" / file).is_file())
    told = [running.hostname for running in place.all if bench.key in running.words() or first.strip() in running.words()]
    equal("logs that show a secret", told, [])


@case
def compose_told_to_stop(bench, place):
    """Compose: `down` in mid-run: the master drains, writes everything and ends well before it would be killed."""
    project = composed(bench, place, LLMLOAD_RUN_TIME="10min")
    project.up()
    mock, master = project.one("mock"), project.one("master")
    begun(place, mock, 40)
    took = master.stop()
    holds(f"the master took {took:.1f} s to end", took < master.container.grace_s - 5)
    result = json.loads((place.folder / "volumes" / "results" / "result.json").read_text())
    judged(result, mock, place)
    ended_well(master.status, result)


@case
def compose_strangers(bench, place):
    """Compose: who has another cluster's token is turned away with status 2, and the run does without."""
    project = composed(bench, place, LLMLOAD_RUN_TIME="6s")
    project.up()
    begun(place, project.one("mock"), 1)
    stranger = place.folder / "volumes" / "stranger"
    shutil.copytree(place.folder / "volumes" / "cluster", stranger)
    (stranger / "token").write_text("f" * 64)
    for path in (stranger, stranger / "token"):
        shutil.chown(path, 65532, 65532)
    worker = project.services["worker"].container
    sources = [stranger if mount.source == "cluster" else project.source(mount, worker) for mount in worker.mounts]
    alien = place.start(worker, "worker-alien", sources)
    place.until("the stranger ends", lambda: alien.status is not None)
    equal("the stranger's status", alien.status, 2)
    place.until("the master ends", lambda: project.one("master").status is not None)
    result = json.loads((place.folder / "volumes" / "results" / "result.json").read_text())
    equal("the workers", len(result["workers"]), 3)
    judged(result, project.one("mock"), place)


def metric(prometheus, query):
    """What Prometheus answers, as one number; none while it has none."""
    answer = engines.fetched(prometheus, 9090, "/api/v1/query?" + urllib.parse.urlencode({"query": query}))
    found = json.loads(answer)["data"]["result"] if answer else []
    return float(found[0]["value"][1]) if found else None


@case
def compose_prometheus(bench, place):
    """Compose: Prometheus finds the server, the master and every worker by their names; the final counts are the report's."""
    if not bench.has_prometheus:
        return "no prometheus here"
    project = composed(bench, place, LLMLOAD_RUN_TIME="14s")
    project.up()
    prometheus, master = project.one("prometheus"), project.one("master")
    place.until("the server's counts", lambda: metric(prometheus, "sum(vllm:request_success_total)"))
    place.until("all workers", lambda: metric(prometheus, "count(llmload_part_run_info)") == 3)
    place.until("the end, as the master's page has it", lambda: metric(prometheus, 'llmload_run_stage{stage="ended"}'))
    place.until("the master ends", lambda: master.status is not None)
    result = json.loads((place.folder / "volumes" / "results" / "result.json").read_text())
    judged(result, project.one("mock"), place)
    counted = metric(prometheus, "max_over_time(llmload_requests_sent_total[5m])")
    equal("requests that Prometheus has", counted, result["totals"]["sent"])
    return None


@case
def compose_database(bench, place):
    """Compose: a run's rows are in the database, requests too; its reader may only read; each password is its reader's alone."""
    if not bench.has_postgres:
        return "no postgresql here"
    project = composed(bench, place, LLMLOAD_REQUESTS_PG_URL="postgresql://llmload@postgres/llmload")
    result = run_of(project, place)
    totals = judged(result, project.one("mock"), place)
    postgres = project.one("postgres")
    folder = place.folder / "volumes" / "passwords"
    owned = {path.name: (path.stat().st_uid, path.stat().st_mode & 0o777) for path in folder.iterdir()}
    readers = {"owner": 999, "reader": 999, "llmload.conf": 65532, "grafana-reader": 472, "grafana-admin": 472, "drawn": 0}
    equal("the passwords' files", owned, {name: (user, 0o600) for name, user in readers.items()})
    words = {name: (folder / name).read_text() for name in ("owner", "reader", "grafana-admin")}
    equal("different passwords", len(set(words.values())), 3)
    equal("Grafana's password", (folder / "grafana-reader").read_text(), words["reader"])

    def asked(role, word, query):
        command = ["env", f"PGPASSWORD={word}", "psql", "-XAtq", "-h", "postgres", "-U", role, "-d", "llmload", "-c", query]
        return postgres.execute(command)

    rows = asked("llmload_reader", words["reader"], "SELECT sum(sent), sum(good), sum(lost) FROM llmload.seconds")
    equal("rows of seconds", rows, (0, f"{totals['sent']}|{totals['completed']}|0\n"))
    rows = asked("llmload_reader", words["reader"], "SELECT count(*), count(DISTINCT worker) FROM llmload.requests")
    equal("rows of requests", rows, (0, f"{totals['sent']}|3\n"))
    status, said = asked("llmload_reader", words["reader"], "DELETE FROM llmload.runs")
    holds(f"the reader may write: {said}", status != 0 and "permission denied" in said)
    status, said = asked("llmload_reader", words["owner"], "SELECT 1")
    holds(f"another password does: {said}", status != 0)
    told = [each.hostname for each in place.all if any(word in each.words() for word in words.values())]
    equal("logs that show a password", told, [])
    started = [" ".join([*each.container.entrypoint, *each.container.command, *map(str, each.container.environment.values())]) for each in place.all]
    holds("a password is an argument or a variable", not any(word in each for each in started for word in words.values()))
    project.down()
    project = composed(bench, place)
    result = run_of(project, place)
    equal("passwords of a second start", {name: (folder / name).read_text() for name in words}, words)
    runs = project.one("postgres").execute(
        ["env", f"PGPASSWORD={words['owner']}", "psql", "-XAtq", "-h", "postgres", "-U", "llmload", "-c", "SELECT count(*) FROM llmload.runs"]
    )
    equal("runs in the database", runs, (0, "2\n"))
    return None


def begun(place, mock, least, tick=lambda: None):
    """Waits until the server has seen so many requests."""

    def seen():
        answer = engines.fetched(mock, 8000, "/stats")
        return answer and json.loads(answer)["requests"]["numbered"] >= least

    place.until("requests come", seen, tick=tick)


# Kubernetes


def clustered(bench, place, objects, run_time, users=6):
    """The objects with a run of so long, and a Secret with the server's key."""
    for files in objects.config_maps.values():
        if "llmload.conf" in files:
            text = re.sub(r"(?m)^run-time = .*", f"run-time = {run_time}", files["llmload.conf"].decode())
            text = re.sub(r"(?m)^prometheus-linger = .*", "prometheus-linger = 1s", text)
            files["llmload.conf"] = re.sub(r"(?m)^users = .*", f"users = {users}", text).encode()
    return engines.Cluster(place, objects, {"llmload-api-key": {"API_KEY": bench.key.encode()}})


def parts(cluster):
    """The master's pods, the workers', and the mock server."""
    (mock,) = cluster.deployed.values()
    by_end = {name.rsplit("-", 1)[1]: pods for name, pods in cluster.jobs.items()}
    return by_end["master"], by_end["worker"], mock


def concluded(cluster, place):
    """Waits for the end of both Jobs. Returns the result."""
    master, workers, _ = parts(cluster)
    cluster.until("both Jobs are over", lambda: master.is_over and workers.is_over)
    (folder,) = (place.folder / "volumes").glob("claim-*")
    result = json.loads((folder / "result.json").read_text())
    return result


def probed(cluster):
    """Every probe of every pod succeeds, as it is written."""
    for pod in [*cluster.deployed.values(), *(pod for pods in cluster.jobs.values() for pod in pods.every())]:
        for which in pod.container.probes:
            cluster.until(f"the {which} of {pod.hostname}", lambda: cluster.is_probed(pod, which))
            equal(f"the status of {pod.hostname} when it is probed", pod.status, None)


def scraped(place, pods):
    """Each pod has the run's metrics where its port of that name is; the master all of them, a worker its part."""
    for pod in pods:
        holds(f"{pod.hostname} has no port for metrics", "metrics" in pod.container.ports)
        kind = b"llmload_run_info{" if "master" in pod.hostname else b"llmload_part_run_info{"
        page = lambda: engines.fetched(pod, pod.container.ports["metrics"], "/metrics") or b""
        place.until(f"the metrics of {pod.hostname}", lambda: kind in page())


def a_run(bench, place, objects):
    cluster = clustered(bench, place, objects, "9s")
    master, workers, mock = parts(cluster)
    begun(place, mock, 1, cluster.tick)
    probed(cluster)
    scraped(place, [*master.every(), *workers.every()])
    result = concluded(cluster, place)
    judged(result, mock, place)
    ended_well(master.newest(0).status, result)
    holds(f"the workers' Job: {workers.failed or workers.failed_indexes}", workers.is_complete)
    equal("pods of workers", len(workers.every()), workers.job.completions)
    equal("the workers' names", sorted(each["name"] for each in result["workers"]), names(workers))
    told = [pod.hostname for pod in place.all if bench.key in pod.words()]
    equal("logs that show the key", told, [])
    warned = [pod.hostname for pod in place.all if "may read" in pod.words()]
    equal("pods that warn of their Secrets' modes", warned, [])


def names(workers):
    return [f"{workers.job.name}-{index}:1" for index in range(workers.job.completions)]


@case
def kubernetes_demo(bench, place):
    """Kubernetes: the demo of deploy/kubernetes, from its start to the end of both Jobs; every probe as it is written."""
    a_run(bench, place, bench.kustomized())


@case
def helm_chart(bench, place):
    """Helm: the chart as it is installed with no values at all; its own certificates and token do."""
    a_run(bench, place, bench.charted())


@case
def worker_dies(bench, place):
    """Kubernetes: a worker is killed; its index comes back after ten seconds and takes a share again."""
    cluster = clustered(bench, place, bench.kustomized(), "28s")
    master, workers, mock = parts(cluster)
    begun(place, mock, 30, cluster.tick)
    workers.newest(1).signal(signal.SIGKILL)
    cluster.until("the index has a pod again", lambda: len(workers.pods[1]) == 2)
    equal("the dead pod's status", workers.pods[1][0].status, 137)
    result = concluded(cluster, place)
    judged(result, mock, place, is_lost=True)
    equal("the master's status", master.newest(0).status, 4)
    equal("the master's Job, whose verdict no other try would change", master.failed, "exit status 4")
    holds(f"the workers' Job: {workers.failed or workers.failed_indexes}", workers.is_complete)
    again = [each for each in result["workers"] if each["name"] == f"{workers.job.name}-1:1"]
    equal("incarnations of the index", sorted(each["lost"] for each in again), [False, True])
    holds("the pod that came back sent nothing", all(each["requests"] for each in again))


@case
def worker_evicted(bench, place):
    """Kubernetes: a worker is evicted: it ends within its grace, nothing is lost, and its index is done."""
    cluster = clustered(bench, place, bench.charted(), "14s")
    master, workers, mock = parts(cluster)
    begun(place, mock, 30, cluster.tick)
    took = cluster.meanwhile(workers.newest(2))
    grace = workers.job.pod.grace_s
    holds(f"the worker took {took:.1f} s of its {grace} s", took < grace - 5)
    equal("its status", workers.newest(2).status, 0)
    result = concluded(cluster, place)
    judged(result, mock, place)
    ended_well(master.newest(0).status, result)
    equal("pods of the index", len(workers.pods[2]), 1)
    holds("the workers' Job is not complete", workers.is_complete)


@case
def workers_added(bench, place):
    """Kubernetes: more workers by a patch of the Job in mid-run: they take part, and nothing is lost."""
    cluster = clustered(bench, place, bench.kustomized(), "16s")
    master, workers, mock = parts(cluster)
    begun(place, mock, 30, cluster.tick)
    workers.job = workers.job.scaled(5)
    result = concluded(cluster, place)
    judged(result, mock, place)
    ended_well(master.newest(0).status, result)
    equal("the workers' names", sorted(each["name"] for each in result["workers"]), names(workers))
    holds("a worker sent nothing", all(each["requests"] for each in result["workers"]))


@case
def master_dies(bench, place):
    """Kubernetes: the master is killed; its replacement has another address, the journal, the workers, and the run's end."""
    cluster = clustered(bench, place, bench.kustomized(), "30s")
    master, workers, mock = parts(cluster)
    begun(place, mock, 60, cluster.tick)
    # What it has merged is in its journal a second later at the latest.
    cluster.pause(3)
    first = master.newest(0)
    first.signal(signal.SIGKILL)
    cluster.until("the master has a pod again", lambda: len(master.pods[0]) == 2)
    holds("the second pod has the first one's address", master.newest(0).address != first.address)
    result = concluded(cluster, place)
    totals = result["totals"]
    counted = place.until("the server's streams end", lambda: engines.stats(mock))["requests"]
    fates = sum(totals[name] for name in ("sent", "dropped", "late_cancelled", "lost"))
    equal("sent + dropped + late-cancelled + lost", fates, totals["scheduled"])
    equal("the server's requests", counted["numbered"], totals["sent"])
    holds(f"the master ended with {master.newest(0).status}", master.newest(0).status in (0, 4))
    holds("the workers' Job is not complete", workers.is_complete)
    equal("pods of workers", len(workers.every()), 3)


@case
def server_comes_late(bench, place):
    """Kubernetes: the server under test is not there yet: the master ends with 2, is tried again, and finds it."""
    objects = bench.charted()
    (late,) = objects.deployments.items()
    objects.deployments.clear()
    cluster = clustered(bench, place, objects, "4s")
    by_end = {name.rsplit("-", 1)[1]: pods for name, pods in cluster.jobs.items()}
    master = by_end["master"]
    cluster.until("the first master ends", lambda: master.pods and master.newest(0).status is not None)
    equal("the first master's status", master.newest(0).status, 2)
    worker = by_end["worker"].newest(0)
    cluster.until("a worker that has no master is alive", lambda: cluster.is_probed(worker, "livenessProbe"))
    holds("a worker that has no master is called ready", not cluster.is_probed(worker, "readinessProbe"))
    objects.deployments.update([late])
    cluster.deploy()
    result = concluded(cluster, place)
    judged(result, cluster.deployed[late[0]], place)
    equal("the master's pods", len(master.pods[0]), 2)
    holds("the workers' Job is not complete", by_end["worker"].is_complete)


@case
def worker_turned_away(bench, place):
    """Kubernetes: workers with another cluster's token end with 2, which no retry would change: their indexes have failed."""
    objects = bench.kustomized()
    objects.secrets["llmload-worker"] = {**objects.secrets["llmload-worker"], "token": b"f" * 64}
    cluster = clustered(bench, place, objects, "5s")
    _, workers, _ = parts(cluster)
    cluster.until("the workers' Job is over", lambda: workers.is_over)
    equal("indexes that failed", workers.failed_indexes, {0, 1, 2})
    equal("pods", len(workers.every()), 3)
    equal("their statuses", {pod.status for pod in workers.every()}, {2})
