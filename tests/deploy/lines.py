"""Every command line that is in deploy/, put to the program: it must know each option and take each value.

They are only parsed here; most are carried out elsewhere.
"""

import re
import shlex
import subprocess

import manifests
from cases import Wrong, equal, holds
from schemas import CHARTS

CASES = []

# Subcommands that show what they were told. For the others `--help` as the last word does: what is before it is parsed first.
SHOWING = ("run", "master", "worker", "health")


def case(play):
    CASES.append(play)
    return play


def parsed(bench, words, environment, folder):
    """The program takes a command line. Returns what it says."""
    last = "--show-config" if words[0] in SHOWING else "--help"
    said = {}
    for extra in ([], ["--no-such-option"]):
        command = [bench.binary, *words, *extra, last]
        kept = {"HOME": str(folder), "PATH": "/usr/bin:/bin", **environment}
        said[len(extra)] = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=60)
    holds(f"{shlex.join(words)}: {said[0].stderr}", said[0].returncode == 0)
    # Else nothing was looked at.
    equal(f"the status of {shlex.join(words)} with an option that nobody knows", said[1].returncode, 2)
    return said[0].stdout


def settings(objects, folder):
    """The settings file where a command line has it."""
    for files in objects.config_maps.values():
        if "llmload.conf" in files:
            (folder / "llmload.conf").write_bytes(files["llmload.conf"])
    return lambda word: word.replace("/settings/llmload.conf", str(folder / "llmload.conf"))


def pod(bench, container, words, folder):
    """A container's command line and its probes'. Returns what the program says of the first."""
    environment = {key: value if isinstance(value, str) else secret(value["key"]) for key, value in container.environment.items()}
    for probe in container.probes.values():
        if "exec" in probe:
            program, *probing = probe["exec"]
            equal("the program of a probe", program, "/llmload")
            parsed(bench, probing, environment, folder)
    return parsed(bench, words, environment, folder)


def secret(key):
    """What a Secret could have under a key."""
    return "postgresql://llmload@db/llmload" if key.endswith("_URL") else "sk-lines"


@case
def compose(bench, folder):
    """Command lines of compose.yaml."""
    services = manifests.compose(bench.root / "deploy" / "compose.yaml", {})
    ours = [each.container for each in services.values() if each.container.image == "llmload"]
    equal("services of ours", len(ours), 4)
    own, word = folder / "own.conf", "9f-a-password"
    own.write_text(f"pgpassword = {word}\n")
    for container in ours:
        words = [each.replace("/passwords/llmload.conf", str(own)) for each in container.command]
        holds(f"{container.name} shows the database's password", word not in pod(bench, container, words, folder))
    known = {name for each in ours for name in each.environment}
    holds(f"variables {known}", known <= variables(bench))


@case
def kubernetes(bench, folder):
    """Command lines and settings of Kubernetes and of the chart, with all kinds of values."""
    every = [bench.kustomized(), *(bench.charted(*values) for values in CHARTS.values())]
    for number, objects in enumerate(every):
        place = folder / str(number)
        place.mkdir()
        there = settings(objects, place)
        for each in [*objects.jobs.values(), *objects.deployments.values()]:
            shown = pod(bench, each.pod, [there(word) for word in each.pod.command], place)
            if each.pod.command[0] == "master":
                workers = next(job for job in objects.jobs.values() if job.is_indexed)
                found = re.search(r"(?m)^expect-workers = (\d+)", shown)
                equal(f"workers that {each.name} waits for", int(found[1]), workers.completions)


@case
def systemd(bench, folder):
    """Command lines and variables of the units."""
    names = variables(bench)
    (folder / "nightly.conf").write_text("host = http://server:8000\nusers = 8\n")
    units = sorted((bench.root / "deploy" / "systemd").glob("*.service"))
    equal("units", len(units), 2)
    for unit in units:
        (line,) = re.findall(r"(?m)^ExecStart=/usr/local/bin/llmload (.*)$", unit.read_text())
        for mark, value in {"%i": "nightly", "%S": "/var/lib", "%d": "/run/credentials/x"}.items():
            line = line.replace(mark, value)
        line = line.replace("/etc/llmload/nightly.conf", str(folder / "nightly.conf"))
        parsed(bench, shlex.split(line), {"LLMLOAD_MASTER": "https://master.example:5557"}, folder)
    for file in sorted((bench.root / "deploy" / "systemd").glob("*.env")):
        told = set(re.findall(r"(?m)^#?([A-Z_]+)=", file.read_text()))
        holds(f"{file.name} has none", bool(told))
        holds(f"{file.name}: {told - names}", told <= names)


def variables(bench):
    """Every variable that the program's help names."""
    names = set()
    for command in ("master", "worker"):
        done = subprocess.run([bench.binary, command, "--help"], capture_output=True, text=True, env={"COLUMNS": "400"})
        for found in re.findall(r"\[env:\s+([A-Z_,\s]+)\]", done.stdout):
            names.update(name.strip() for name in found.split(","))
    if not names:
        raise Wrong("--help names no variables")
    return names
