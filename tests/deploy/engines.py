"""What Compose and Kubernetes do with manifests: who is started when, with which files, who is restarted, who has which name.

The rules are theirs: dependencies and replicas of Compose, the Job controller's retries, Services' names. Whether the outcome
is right is cases.py's business.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import containers
import manifests

# A pod that failed is replaced after this, and after twice as long each further time: the Job controller's.
BACK_OFF_S = 10.0

# For what only has to happen some time.
PATIENCE_S = 90.0


class Stuck(Exception):
    """Something did not come, or did not end."""


class Place:
    """A case's folder, network, volumes and containers."""

    def __init__(self, number, folder, images):
        self.folder, self.images, self.started, self.all = folder, images, 0, []
        folder.mkdir()
        self.network = containers.Network(number, folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for running in self.all:
            running.end()
        self.network.close()

    def start(self, container, hostname, sources):
        running = containers.Running(self, container, hostname, self.images[container.image], sources)
        self.all.append(running)
        return running

    def until(self, what, condition, patience=PATIENCE_S, tick=lambda: None):
        limit = time.monotonic() + patience
        while not (found := condition()):
            tick()
            if time.monotonic() > limit:
                said = "\n".join(f"-- {each.hostname} ({each.status})\n{each.words()[-1500:]}" for each in self.all)
                raise Stuck(f"never: {what}\n{said}")
            time.sleep(0.05)
        return found

    def empty(self, word):
        """A new folder for one container alone: `empty:OWNER:MODE`."""
        _, owner, mode = word.split(":")
        self.started += 1
        return self.made(f"empty-{self.started}", int(owner), int(owner), int(mode, 8))

    def made(self, name, user=None, group=None, mode=0o755):
        """A volume's folder of this name, and whether it is new."""
        path = self.folder / "volumes" / name
        is_new = not path.exists()
        if is_new:
            path.mkdir(parents=True)
            os.chmod(path, mode)
            os.chown(path, -1 if user is None else user, -1 if group is None else group)
        return path


def fetched(running, port, path):
    """What a container's server answers from outside; none while it does not."""
    try:
        with urllib.request.urlopen(f"http://{running.address}:{port}{path}", timeout=20) as answer:
            return answer.read()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def stats(mock):
    """The mock server's counts as they stand, when all streams are at their end; none before."""
    answer = fetched(mock, 8000, "/stats")
    counted = json.loads(answer) if answer else None
    return counted if counted and counted["streams"]["open"] == 0 else None


class Compose:
    """A project of Compose: its services' containers."""

    def __init__(self, place, file, variables, absent=()):
        """Without the services of `absent`, on which nobody waits then."""
        self.place, self.absent = place, absent
        every = manifests.compose(file, variables)
        self.services = {name: service for name, service in every.items() if name not in absent}
        self.running = {}

    def up(self):
        """Starts every service when those that it needs are as far as it wants them."""
        waiting = dict(self.services)
        while waiting:
            ready = [name for name, service in waiting.items() if self.may_start(service)]
            for name in ready:
                self.create(name, waiting.pop(name))
            if not ready:
                self.place.until("some service may start", lambda: any(map(self.may_start, waiting.values())))

    def may_start(self, service):
        needs = {name: condition for name, condition in service.needs.items() if name not in self.absent}
        return all(self.is_met(name, condition) for name, condition in needs.items())

    def is_met(self, name, condition):
        every = self.running.get(name)
        if not every:
            return False
        if condition == "service_completed_successfully":
            ended = [each.status for each in every]
            if any(status not in (None, 0) for status in ended):
                raise Stuck(f"{name} ended with {ended}: {every[0].words()}")
            return all(status == 0 for status in ended)
        if condition == "service_healthy":
            return all(each.execute(each.container.probes["health"]["exec"])[0] == 0 for each in every)
        if condition != "service_started":
            raise manifests.Unknown(f"the condition {condition}")
        return True

    def create(self, name, service):
        container = service.container
        self.running[name] = [
            self.place.start(container, f"{name}-{number}", [self.source(mount, container) for mount in container.mounts])
            for number in range(1, service.replicas + 1)
        ]
        self.place.network.call({
            name: [each.address for each in every if each.address] for name, every in self.running.items()
        })

    def source(self, mount, container):
        """A named volume is owned as the image's folder at its place is, when it is made."""
        if mount.source.startswith("/"):
            return Path(mount.source)
        if mount.source.startswith("empty:"):
            return self.place.empty(mount.source)
        image = self.place.images[container.image]
        owner = image.user if mount.target in image.folders else 0
        return self.place.made(mount.source, owner, owner)

    def one(self, name):
        (running,) = self.running[name]
        return running

    def down(self):
        """Stops everything, as `down` without `--volumes` does."""
        for every in self.running.values():
            for each in every:
                each.stop()
        self.running = {}


class Pods:
    """The pods of a Job, as its controller makes, replaces and counts them."""

    def __init__(self, cluster, job):
        self.cluster, self.job = cluster, job
        # Index → its pods so far; those that are over with their status.
        self.pods, self.failures, self.due = {}, {}, {}
        self.succeeded, self.failed_indexes, self.failed = set(), set(), None

    def tick(self):
        """Takes note of pods that ended, and starts those that are due."""
        if self.failed:
            return
        for index in range(self.job.completions):
            self.look_at(index)
        active = [index for index in self.pods if self.newest(index).status is None]
        for index in range(self.job.completions):
            if len(active) >= self.job.parallelism:
                return
            if self.wants(index):
                self.start(index)
                active.append(index)

    def wants(self, index):
        """It has never had a pod, or its last one was seen to fail long enough ago."""
        if index not in self.pods:
            return True
        return index not in self.failed_indexes and time.monotonic() >= self.due.get(index, float("inf"))

    def newest(self, index):
        return self.pods[index][-1]

    def look_at(self, index):
        if index not in self.pods or index in self.succeeded | self.failed_indexes:
            return
        status, number = self.newest(index).status, len(self.pods[index])
        if status is None or self.failures.get(index, 0) >= number:
            return
        if status == 0:
            self.succeeded.add(index)
            return
        verdict = self.job.verdicts.get(status)
        if verdict == "FailJob":
            self.failed = f"exit status {status}"
            return
        self.failures[index] = number
        if verdict == "FailIndex" or number > self.job.backoff_limit:
            self.failed_indexes.add(index)
            if not self.job.is_indexed:
                self.failed = "BackoffLimitExceeded"
            return
        self.due[index] = time.monotonic() + BACK_OFF_S * 2 ** (number - 1)

    def start(self, index):
        name = f"{self.job.name}-{index}" if self.job.is_indexed else f"{self.job.name}-{len(self.pods.get(index, []))}"
        container = self.job.pod
        if self.job.is_indexed:
            container = self.cluster.with_variable(container, "JOB_COMPLETION_INDEX", str(index))
        self.due.pop(index, None)
        self.pods.setdefault(index, []).append(self.cluster.start(container, name))
        self.cluster.call()

    @property
    def is_over(self):
        return bool(self.failed) or len(self.succeeded | self.failed_indexes) >= self.job.completions

    @property
    def is_complete(self):
        return not self.failed and len(self.succeeded) >= self.job.completions

    def every(self):
        return [pod for pods in self.pods.values() for pod in pods]


class Cluster:
    """A cluster of Kubernetes with these objects in it."""

    def __init__(self, place, objects, secrets=None):
        self.place, self.objects = place, objects
        self.secrets = {**objects.secrets, **(secrets or {})}
        self.deployed, self.jobs = {}, {}
        self.deploy()
        # Jobs are made when the server is there; a case of its own has it come late.
        for pod in self.deployed.values():
            place.until(f"{pod.hostname} is ready", lambda: self.is_probed(pod, "readinessProbe"))
        self.jobs = {name: Pods(self, job) for name, job in objects.jobs.items()}

    def deploy(self):
        """Starts the pods of Deployments that have none."""
        for name, each in self.objects.deployments.items():
            if name not in self.deployed:
                self.deployed[name] = self.start(each.pod, f"{name}-0")
        self.call()

    def start(self, container, name):
        sources = [self.source(mount.source, container) for mount in container.mounts]
        environment = {key: value for key, value in self.variables(container) if value is not None}
        return self.place.start(replaced(container, environment), name, sources)

    def variables(self, container):
        for name, value in container.environment.items():
            if isinstance(value, str):
                yield name, value
            elif value["key"] in self.secrets.get(value["name"], ()):
                yield name, self.secrets[value["name"]][value["key"]].decode()
            elif not value.get("optional"):
                raise manifests.Unknown(f"{value['key']} of the Secret {value['name']}, which is nowhere")

    def with_variable(self, container, name, value):
        return replaced(container, {**container.environment, name: value})

    def source(self, volume, container):
        kind, name, *rest = volume.split(":")
        if kind == "empty":
            return self.place.empty(volume)
        if kind == "claim":
            if name not in self.objects.claims:
                raise manifests.Unknown(f"the claim {name}, which is nowhere")
            return self.place.made(f"claim-{name}", 0, container.fs_group, 0o2775)
        mode = int(rest[0], 8)
        content = (self.objects.config_maps if kind == "config" else self.secrets)[name]
        keys = [key for key in (rest[1].split(",") if len(rest) > 1 else []) if key] or list(content)
        folder = self.place.made(f"{kind}-{name}-{'-'.join(keys)}", 0, container.fs_group)
        for key in () if any(folder.iterdir()) else keys:
            file = folder / key
            file.write_bytes(content[key])
            os.chmod(file, mode)
            os.chown(file, 0, container.fs_group if container.fs_group is not None else 0)
        return folder

    def call(self):
        """Names that Services have for their pods, and that nobody has who is not there."""
        owners = [(each.labels, [self.deployed[name]]) for name, each in self.objects.deployments.items()]
        owners += [(pods.job.labels, pods.every()) for pods in self.jobs.values()]
        names = {}
        for name, service in self.objects.services.items():
            pods = [pod for labels, every in owners if manifests.matches(service.selector, labels) for pod in every]
            pods = [pod for pod in pods if pod.status is None]
            for port, target in service.ports:
                if any(pod.container.ports.get(target) != port for pod in pods):
                    raise manifests.Unknown(f"the Service {name}'s port {port} is not its pods' {target}")
            names[name] = [pod.address for pod in pods]
        self.place.network.call(names)

    def tick(self):
        for pods in self.jobs.values():
            pods.tick()

    def until(self, what, condition, patience=PATIENCE_S):
        return self.place.until(what, condition, patience, self.tick)

    def pause(self, seconds):
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.tick()
            time.sleep(0.05)

    def is_probed(self, pod, which):
        """Whether a probe of a pod succeeds, as the kubelet tries it."""
        probe = pod.container.probes[which]
        if "get" in probe:
            port, path = probe["get"]
            return fetched(pod, pod.container.ports[port], path) is not None
        return pod.execute(probe["exec"])[0] == 0

    def meanwhile(self, pod):
        """Deletes a pod as an eviction does. Returns how long its end took, while everything else goes on."""
        took = []
        thread = threading.Thread(target=lambda: took.append(pod.stop()))
        thread.start()
        while thread.is_alive():
            self.tick()
            time.sleep(0.05)
        return took[0]


def replaced(container, environment):
    return replace(container, environment=environment)
