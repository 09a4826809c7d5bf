"""What is in deploy/, read: by the schemas of Kubernetes, Compose, GitHub and the chart, and by rules of our own.

Nothing is started here but programs that read.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

import manifests
from cases import Wrong, equal, holds

CASES = []

# The oldest in which Jobs have all that ours use, and the newest that the schemas are of.
VERSIONS = ("1.29.0", "1.31.0", "1.33.0", "1.37.0")

# A worker that is told to go needs so much more than stop-timeout.
LEAVE_S = 5

# What the chart must refuse, and a word of what it says.
REFUSED = {
    "workers.count=0": "minimum",
    "workers.counts=3": "counts",
    "mock.enabled=false": "target",
    "target=server:8000": "pattern",
    "settings.api-key=sk-1": "api-key",
    "settings.host=http://x": "host",
    "workers.resources.cpu=0": "minimum",
    "image.pullPolicy=Sometimes": "pullPolicy",
    "stopTimeoutSeconds=-1": "minimum",
    "settings.prometheus=9464": "prometheus",
    "metrics.linger=1": "linger",
}

# Values with which the chart has other objects, or other parts of them.
CHARTS = {
    "plain": (),
    "target": ("--set", "target=http://vllm:8000", "--set", "mock.enabled=false", "--set", "apiKeySecret=key"),
    "data": ("--set-json", 'data={"prompts.jsonl": "{\\"prompt\\": \\"Why?\\"}"}', "--set", "settings.dataset=@/data/prompts.jsonl"),
    "bare": ("--set", "metrics.enabled=false"),
    "database": ("--set", "databaseSecret=rows", "--set", "metrics.namespace=observing", "--set", "metrics.lingerSeconds=0"),
    "own": ("--set", "clusterSecret=mine", "--set", "results.existingClaim=mine", "--set", "networkPolicy.enabled=false"),
    "many": ("--set", "workers.count=40", "--set", "settings.users=1000000", "--set", "settings.qps=2.5",
             "--set", "stopTimeoutSeconds=120", "--set", "workers.nodeSelector.pool=load", "--set", "image.pullSecrets={one}",
             "--set-json", 'master.tolerations=[{"key": "load", "operator": "Exists"}]', "--set", "mock.args={--ttft=1ms}"),
}


def case(play):
    CASES.append(play)
    return play


def validated(text):
    """Every document is one by Kubernetes' own schemas, without a key too many."""
    documents = [each for each in yaml.safe_load_all(text) if each]
    for document in documents:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise Wrong(f"{document['kind']} {document['metadata']['name']}, {version}: {error.message}") from None
    return documents


def schema(name, path):
    """check-jsonschema's copy of a published schema."""
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    holds(f"{path}: {done.stdout}{done.stderr}", done.returncode == 0)


@case
def kubernetes(bench, folder):
    """Kubernetes' manifests by its schemas of four versions, and by our rules."""
    for which in ("base", "demo"):
        text = bench.kustomized_text(which)
        sound(validated(text))
    sound(validated((bench.root / "deploy" / "kubernetes" / "results-reader.yaml").read_text()))
    broken = text.replace("parallelism: 3", "parallelisms: 3")
    try:
        validated(broken)
    except Wrong:
        return
    raise Wrong("a misspelt key is not noticed")


@case
def helm(bench, folder):
    """The chart: linted, its objects by Kubernetes' schemas with all kinds of values, what it must refuse, and that it is the same."""
    chart = bench.root / "deploy" / "helm" / "llmload"
    bench.said(bench.helm, "lint", "--strict", chart)
    for values in CHARTS.values():
        sound(validated(bench.charted_text(*values)))
    for value, word in REFUSED.items():
        try:
            bench.charted_text("--set", value)
        except Wrong as error:
            holds(f"{value}: {error}", word in str(error))
        else:
            raise Wrong(f"{value} is not refused")
    settings = bench.charted(*CHARTS["many"]).config_maps["bench-settings"]["llmload.conf"].decode()
    for line in ("users = 1000000", "qps = 2.5", "expect-workers = 40", "stop-timeout = 120s"):
        holds(f"`{line}` is not in {settings}", line in settings.splitlines())
    same(bench.kustomized(), bench.charted(*CHARTS["data"]))


def same(plain, chart):
    """The chart's pods are those of deploy/kubernetes, but for names."""
    for kind in ("jobs", "deployments"):
        for name, ours in getattr(plain, kind).items():
            theirs = getattr(chart, kind)[name.replace("llmload-", "bench-")]
            for what in ("command", "user", "group", "fs_group", "read_only", "grace_s", "ports", "probes"):
                mine, other = getattr(ours.pod, what), getattr(theirs.pod, what)
                equal(f"{what} of {name} in the chart", words(other).replace("bench-", "llmload-"), words(mine))
            if kind == "jobs":
                for what in ("parallelism", "completions", "is_indexed", "backoff_limit", "verdicts"):
                    equal(f"{what} of {name} in the chart", getattr(theirs, what), getattr(ours, what))


def words(value):
    return json.dumps(value, sort_keys=True)


def sound(documents):
    """Our own rules for what Kubernetes would take."""
    pods = {}
    settings = "\n".join(
        each["data"]["llmload.conf"] for each in documents if each["kind"] == "ConfigMap" and "llmload.conf" in each["data"]
    )
    for document in documents:
        if document["kind"] in ("Job", "Deployment", "Pod"):
            name = document["metadata"]["name"]
            template = document if document["kind"] == "Pod" else document["spec"]["template"]
            pods[name] = template["metadata"].get("labels", {})
            guarded(name, template["spec"])
    for document in documents:
        if document["kind"] == "NetworkPolicy":
            selectors = [document["spec"]["podSelector"]]
            selectors += [peer["podSelector"] for rule in document["spec"]["ingress"] for peer in rule["from"] if "podSelector" in peer]
        elif document["kind"] == "Service":
            selectors = [{"matchLabels": document["spec"]["selector"]}]
        else:
            continue
        for selector in selectors:
            selected = [name for name, labels in pods.items() if manifests.matches(selector["matchLabels"], labels)]
            equal(f"pods that {document['kind']} {document['metadata']['name']} selects by {selector}", len(selected), 1)
    for document in documents:
        if document["kind"] == "Job":
            stop_s = int(re.search(r"(?m)^stop-timeout = (\d+)s$", settings)[1])
            grace_s = document["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            holds(f"{document['metadata']['name']} has {grace_s} s to end", grace_s >= stop_s + 2 * LEAVE_S)


def guarded(name, spec):
    """A pod has what it asks for, and may do nothing else."""
    equal(f"automountServiceAccountToken of {name}", spec["automountServiceAccountToken"], False)
    for entry in spec["containers"]:
        equal(f"limits of {name}", entry["resources"]["limits"], entry["resources"]["requests"])
        equal(f"what {name} asks for", sorted(entry["resources"]["requests"]), ["cpu", "memory"])
        if name != "llmload-results":
            holds(f"nobody asks {name} whether it is well", any(key.endswith("Probe") for key in entry))
        holds(f"{name} may write to its root", entry["securityContext"]["readOnlyRootFilesystem"])
        equal(f"capabilities of {name}", entry["securityContext"]["capabilities"], {"drop": ["ALL"]})
    for entry in spec.get("topologySpreadConstraints", []):
        equal(f"what {name} is spread by", entry["labelSelector"]["matchLabels"]["app.kubernetes.io/component"], "worker")
    holds(f"{name} may be root", spec["securityContext"]["runAsNonRoot"])


@case
def secrets(bench, folder):
    """Who is given what: a worker neither key nor certificate of the master, nobody the authority's key, nothing by arguments."""
    for objects in (bench.kustomized(), bench.charted()):
        given = {}
        for name, job in objects.jobs.items():
            files = []
            for mount in job.pod.mounts:
                kind, secret, *rest = mount.source.split(":")
                if kind == "secret":
                    equal(f"the mode of {secret}", rest[0], "440")
                    files += [key for key in rest[1].split(",") if key] or objects.secrets[secret]
            given[name.rsplit("-", 1)[1]] = sorted(files)
            known = [value.decode() for secret in objects.secrets.values() for value in secret.values()]
            holds(f"{name} is told a secret by an argument", not any(value in " ".join(job.pod.command) for value in known))
        equal("files", given, {"master": ["ca.pem", "master.key", "master.pem", "token"], "worker": ["ca.pem", "token"]})


@case
def compose(bench, folder):
    """compose.yaml by the Compose specification, the Action by GitHub's schema, Prometheus' settings by promtool; what Grafana is told."""
    deploy = bench.root / "deploy"
    schema("vendor.compose-spec", deploy / "compose.yaml")
    schema("vendor.github-actions", deploy / "github-action" / "action.yml")
    if shutil.which("promtool"):
        bench.said("promtool", "check", "config", deploy / "prometheus" / "prometheus.yml")
    provisioned(deploy)


def provisioned(deploy):
    """Grafana's settings name the variables, files and services that compose.yaml gives it, and no other."""
    services = manifests.compose(deploy / "compose.yaml", {})
    grafana = services["grafana"].container
    shown = (deploy / "grafana" / "provisioning").glob("*/*.yaml")
    named = {name for file in shown for name in re.findall(r"\$([A-Z_]+)", file.read_text())}
    exported = set(re.findall(r"export ([A-Z_]+)=", " ".join(grafana.command)))
    equal("variables of Grafana's data sources", {name for name in grafana.environment if name.startswith("LLMLOAD_")} | exported, named)
    mounts = {mount.target: mount.source for mount in grafana.mounts}
    (dashboards,) = (deploy / "grafana" / "provisioning" / "dashboards").iterdir()
    (provider,) = yaml.safe_load(dashboards.read_text())["providers"]
    equal("where the dashboards are", mounts[provider["options"]["path"]], str((deploy / "grafana" / "dashboards").resolve()))
    for folder in ("datasources", "dashboards"):
        source = mounts[f"/etc/grafana/provisioning/{folder}"]
        equal(f"where {folder} are", source, str((deploy / "grafana" / "provisioning" / folder).resolve()))
    role = re.search(r"CREATE ROLE (\w+)", (deploy / "postgres" / "reader.sh").read_text())[1]
    equal("the reader", grafana.environment["LLMLOAD_POSTGRES_READER"], role)
    equal("the database", grafana.environment["LLMLOAD_POSTGRES_DATABASE"], services["postgres"].container.environment["POSTGRES_DB"])
    for name in ("LLMLOAD_PROMETHEUS_URL", "LLMLOAD_POSTGRES_HOST"):
        host = re.match(r"(?:http://)?(\w+):\d+$", grafana.environment[name])[1]
        holds(f"{name} is {host}, which is no service", host in services)


@case
def dockerfile(bench, folder):
    """The image's build: what it copies is there and not kept from it, and all that the source includes is among it."""
    text = (bench.root / "deploy" / "Dockerfile").read_text()
    copied = [path for line in re.findall(r"(?m)^COPY ((?!--from).*)$", text) for path in line.split()[:-1]]
    let = [line[1:] for line in (bench.root / "deploy" / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    for path in copied:
        holds(f"{path} is not there", (bench.root / path).exists())
        holds(f"{path} is kept from the builder", path in let)
    for file in (bench.root / "src").rglob("*.rs"):
        for found in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', file.read_text()):
            path = (file.parent / found).resolve().relative_to(bench.root)
            is_test = "test" in str(file) or "tests/" in str(path)
            holds(f"{file} includes {path}, which the image's build lacks", is_test or path.parts[0] in copied)
    for base in re.findall(r"(?m)^(?:FROM|ARG RUST=)\s*(\S+)", text):
        holds(f"{base} is whatever is newest", "latest" not in base)
