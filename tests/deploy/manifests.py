"""What the manifests say, as plain values: containers of compose.yaml, Jobs, Deployments and Services of Kubernetes.

It reads and starts nothing. A key that it does not know is an error: nothing that a manifest says goes untested unseen.
"""

import base64
import re
from dataclasses import dataclass, field, replace

import yaml


class Unknown(Exception):
    """A manifest says something that is not carried out here."""


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host, or a volume by its name, and where the container sees it."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """One container as its manifest describes it."""

    name: str
    image: str
    command: tuple
    environment: dict
    mounts: tuple
    user: int | None = None
    group: int | None = None
    # Kubernetes gives volumes this group.
    fs_group: int | None = None
    # In place of the image's own program.
    entrypoint: tuple = ()
    # What it may do that a plain user may not: all others are dropped here, whether they are asked for or not.
    capabilities: tuple = ()
    read_only: bool = False
    open_files: int | None = None
    grace_s: float = 10.0
    has_network: bool = True
    ports: dict = field(default_factory=dict)
    probes: dict = field(default_factory=dict)
    hostname: str = ""


def known(what, mapping, *keys):
    extra = set(mapping) - set(keys)
    if extra:
        raise Unknown(f"{what}: {', '.join(sorted(map(str, extra)))}")


# compose.yaml


@dataclass(frozen=True)
class Service:
    """A service of compose.yaml."""

    container: Container
    replicas: int
    # Service → condition.
    needs: dict
    profiles: tuple
    published: tuple


def interpolated(text, variables):
    """`${NAME:-default}` and `${NAME-default}` as Compose replaces them, the second of an empty NAME by nothing; a NAME that has no
    default and no value is nothing; `$$` is a dollar."""

    def value(found):
        if found[0] == "$$":
            return "$"
        name, how, default = found[1], found[2], found[3]
        if how == "-" and name in variables:
            return variables[name]
        return variables.get(name) or default or ""

    return re.sub(r"\$\$|\$\{([A-Z_]+)(?:(:?-)([^}]*))?\}", value, text)


def deep(value, change):
    if isinstance(value, dict):
        return {key: deep(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [deep(each, change) for each in value]
    return change(value) if isinstance(value, str) else value


def seconds(span):
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", str(span))
    if not found or not found[0]:
        raise Unknown(f"a span of {span}")
    return 60.0 * int(found[1] or 0) + int(found[2] or 0)


def compose(path, variables):
    """The services of a compose file, by name."""
    content = deep(yaml.safe_load(path.read_text()), lambda text: interpolated(text, variables))
    known(path.name, content, "name", "x-llmload", "services", "volumes")
    return {name: service(name, entry, content["volumes"], path.parent) for name, entry in content["services"].items()}


def service(name, entry, volumes, folder):
    # The image is one for all services, however it is built.
    known(name, entry, "build", "image", "user", "read_only", "cap_drop", "cap_add", "security_opt", "entrypoint", "stop_grace_period", "command",
          "network_mode", "volumes", "depends_on", "environment", "deploy", "ulimits", "ports", "profiles", "healthcheck", "tmpfs")
    deploy, limits = entry.get("deploy", {}), entry.get("ulimits", {})
    known(f"{name}: deploy", deploy, "replicas")
    known(f"{name}: ulimits", limits, "nofile")
    if entry.get("network_mode", "none") != "none":
        raise Unknown(f"{name}: network_mode {entry['network_mode']}")
    uid, gid = ([int(part) for part in entry["user"].split(":")]) if "user" in entry else (None, None)
    container = Container(
        name=name,
        image=entry["image"].rsplit(":", 1)[0],
        command=tuple(entry.get("command", [])),
        environment=dict(entry.get("environment", {})),
        mounts=(
            *(compose_mount(text, volumes, folder) for text in entry.get("volumes", [])),
            *map(compose_tmpfs, entry.get("tmpfs", [])),
        ),
        user=uid,
        group=gid,
        entrypoint=tuple(entry.get("entrypoint", [])),
        capabilities=tuple(name.lower() for name in entry.get("cap_add", [])),
        read_only=entry.get("read_only", False),
        open_files=limits.get("nofile"),
        grace_s=seconds(entry.get("stop_grace_period", "10s")),
        has_network="network_mode" not in entry,
        probes={"health": compose_probe(name, entry["healthcheck"])} if "healthcheck" in entry else {},
    )
    return Service(
        container=container,
        replicas=int(deploy.get("replicas", 1)),
        needs={other: each["condition"] for other, each in entry.get("depends_on", {}).items()},
        profiles=tuple(entry.get("profiles", [])),
        published=tuple(entry.get("ports", [])),
    )


def compose_mount(text, volumes, folder):
    source, target, *mode = text.split(":")
    if mode not in ([], ["ro"]):
        raise Unknown(f"a volume's mode {mode}")
    if source.startswith("./"):
        source = str((folder / source).resolve())
    elif source not in volumes:
        raise Unknown(f"the volume {source}, which is not declared")
    return Mount(source, target, mode == ["ro"])


def compose_tmpfs(text):
    target, options = text.split(":")
    told = dict(option.split("=") for option in options.split(","))
    known(f"tmpfs {target}", told, "uid", "gid", "mode")
    return Mount(f"empty:{told['uid']}:{told['mode']}", target)


def compose_probe(name, entry):
    known(f"{name}: healthcheck", entry, "test", "interval", "timeout", "retries", "start_period", "start_interval")
    if entry["test"][0] != "CMD":
        raise Unknown(f"{name}: a healthcheck of {entry['test'][0]}")
    return {"exec": tuple(entry["test"][1:])}


# Kubernetes


@dataclass(frozen=True)
class Job:
    """A Job of Kubernetes."""

    name: str
    pod: Container
    labels: dict
    parallelism: int
    completions: int
    is_indexed: bool
    # Of each index, or of all pods.
    backoff_limit: int
    # Exit status → what to do.
    verdicts: dict

    def scaled(self, number):
        """With so many pods, as a patch of parallelism and completions makes it."""
        return replace(self, parallelism=number, completions=number)


@dataclass(frozen=True)
class Deployment:
    """A Deployment of one pod."""

    name: str
    pod: Container
    labels: dict


@dataclass(frozen=True)
class Address:
    """A Service: who is meant by its name."""

    name: str
    selector: dict
    ports: tuple
    # Pods are addressed before they are ready.
    at_once: bool


@dataclass(frozen=True)
class Objects:
    """The objects of a set of manifests that are carried out here."""

    jobs: dict
    deployments: dict
    services: dict
    # Name → file → bytes; and for Secrets likewise.
    config_maps: dict
    secrets: dict
    claims: tuple
    policies: dict


def kubernetes(text):
    """The objects of a stream of YAML documents."""
    found = Objects({}, {}, {}, {}, {}, (), {})
    for document in filter(None, yaml.safe_load_all(text)):
        kind, name = document["kind"], document["metadata"]["name"]
        if kind == "Job":
            found.jobs[name] = job(name, document["spec"])
        elif kind == "Deployment":
            found.deployments[name] = deployment(name, document["spec"])
        elif kind == "Service":
            found.services[name] = address(name, document["spec"])
        elif kind == "ConfigMap":
            found.config_maps[name] = {key: value.encode() for key, value in document["data"].items()}
        elif kind == "Secret":
            found.secrets[name] = secret(document)
        elif kind == "PersistentVolumeClaim":
            found = replace(found, claims=(*found.claims, name))
        elif kind == "NetworkPolicy":
            found.policies[name] = document["spec"]
        else:
            raise Unknown(f"a {kind}")
    return found


def secret(document):
    return {key: base64.b64decode(value) for key, value in document["data"].items()}


def job(name, spec):
    known(f"Job {name}", spec, "completionMode", "parallelism", "completions", "backoffLimit", "backoffLimitPerIndex",
          "podReplacementPolicy", "podFailurePolicy", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "template")
    is_indexed = spec.get("completionMode", "NonIndexed") == "Indexed"
    if spec["podReplacementPolicy"] != "Failed":
        raise Unknown(f"Job {name}: podReplacementPolicy {spec['podReplacementPolicy']}")
    return Job(
        name=name,
        pod=pod(name, spec["template"]["spec"]),
        labels=spec["template"]["metadata"]["labels"],
        parallelism=spec.get("parallelism", 1),
        completions=spec.get("completions", 1),
        is_indexed=is_indexed,
        backoff_limit=spec["backoffLimitPerIndex"] if is_indexed else spec["backoffLimit"],
        verdicts=verdicts(name, spec["podFailurePolicy"]["rules"]),
    )


def verdicts(name, rules):
    found = {}
    for rule in rules:
        if "onExitCodes" in rule:
            codes = rule["onExitCodes"]
            if codes["operator"] != "In":
                raise Unknown(f"Job {name}: exit codes {codes['operator']}")
            found.update(dict.fromkeys(codes["values"], rule["action"]))
        elif rule["action"] != "Ignore" or [each["type"] for each in rule["onPodConditions"]] != ["DisruptionTarget"]:
            raise Unknown(f"Job {name}: the rule {rule}")
    return found


def deployment(name, spec):
    known(f"Deployment {name}", spec, "replicas", "selector", "template")
    if spec["replicas"] != 1:
        raise Unknown(f"Deployment {name}: {spec['replicas']} replicas")
    labels = spec["template"]["metadata"]["labels"]
    if not matches(spec["selector"]["matchLabels"], labels):
        raise Unknown(f"Deployment {name} does not select its own pods")
    return Deployment(name, pod(name, spec["template"]["spec"]), labels)


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def address(name, spec):
    known(f"Service {name}", spec, "clusterIP", "publishNotReadyAddresses", "selector", "ports")
    ports = tuple((port["port"], port["targetPort"]) for port in spec["ports"])
    return Address(name, spec["selector"], ports, spec.get("publishNotReadyAddresses", False))


def pod(name, spec):
    """The one container of a pod."""
    known(f"pod {name}", spec, "restartPolicy", "terminationGracePeriodSeconds", "automountServiceAccountToken",
          "enableServiceLinks", "securityContext", "topologySpreadConstraints", "containers", "volumes",
          "imagePullSecrets", "nodeSelector", "tolerations")
    (entry,) = spec["containers"]
    known(f"container {name}", entry, "name", "image", "imagePullPolicy", "args", "env", "ports", "resources",
          "securityContext", "volumeMounts", "readinessProbe", "livenessProbe", "startupProbe")
    context, own = spec["securityContext"], entry["securityContext"]
    known(f"pod {name}: securityContext", context, "runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "seccompProfile")
    known(f"container {name}: securityContext", own, "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities")
    volumes = {each["name"]: each for each in spec.get("volumes", [])}
    return Container(
        name=name,
        image=entry["image"].rsplit(":", 1)[0],
        command=tuple(entry["args"]),
        environment={each["name"]: variable(each) for each in entry.get("env", [])},
        mounts=tuple(
            Mount(volume(volumes[each["name"]]), each["mountPath"], each.get("readOnly", False))
            for each in entry.get("volumeMounts", [])
        ),
        user=context["runAsUser"],
        group=context["runAsGroup"],
        fs_group=context.get("fsGroup"),
        read_only=own["readOnlyRootFilesystem"],
        grace_s=spec["terminationGracePeriodSeconds"],
        ports={each["name"]: each["containerPort"] for each in entry.get("ports", [])},
        probes={key: probe(entry[key]) for key in entry if key.endswith("Probe")},
    )


def variable(entry):
    """A value, or the Secret and key that it is in."""
    if "value" in entry:
        return entry["value"]
    return dict(entry["valueFrom"]["secretKeyRef"])


def volume(entry):
    """A volume in one word: its kind, the name of what is in it (the owner, of one of its own), its mode, which of its keys."""
    if "configMap" in entry:
        return f"config:{entry['configMap']['name']}:644"
    if "secret" in entry:
        items = ",".join(each["key"] for each in entry["secret"].get("items", []) if each["key"] == each["path"])
        # YAML reads 0440 as an octal number.
        return f"secret:{entry['secret']['secretName']}:{entry['secret']['defaultMode']:o}:{items}"
    if "emptyDir" in entry:
        return "empty:0:2777"
    return f"claim:{entry['persistentVolumeClaim']['claimName']}"


def probe(entry):
    known("a probe", entry, "exec", "httpGet", "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold",
          "successThreshold")
    if "exec" in entry:
        return {"exec": tuple(entry["exec"]["command"])}
    return {"get": (entry["httpGet"]["port"], entry["httpGet"]["path"])}
