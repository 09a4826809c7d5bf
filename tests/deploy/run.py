#!/usr/bin/env python3
"""Holds what is in deploy/ against its schemas and against the program, and carries it out.

usage: tests/deploy/run.sh CACHE_FOLDER [CASE...] installs what this needs, and calls it. Containers are made in namespaces of
the harness's own; where those are not permitted these cases are skipped, and said to be. This file only arranges.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The modules beside this file leave nothing behind.
sys.dont_write_bytecode = True

ROOT = Path(__file__).resolve().parents[2]
# Networks are made and left as the faults' harness does it.
sys.path.append(str(ROOT / "tests" / "faults"))

import cases
import containers
import lines
import manifests
import net
import others
import schemas

INSIDE = "LLMLOAD_DEPLOY_INSIDE"
NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=Path, required=True, help="folder with helm and kubectl")
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 2), help="cases at once")
    parser.add_argument("--keep", action="store_true", help="keep all folders; those of failed cases are kept anyway")
    parser.add_argument("--require-netns", action="store_true", help="a skipped case is a failure")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    return parser.parse_args()


def into_namespaces():
    """Runs this again in namespaces of its own and ends with its status; returns where they are not permitted."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = [*NAMESPACES, *user]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        return
    folder = tempfile.mkdtemp(prefix="llmload-deploy-")
    again = [sys.executable, *sys.argv]
    inside = subprocess.Popen([*command, *again], env={**os.environ, INSIDE: folder})
    signal.signal(signal.SIGTERM, lambda *_: inside.kill())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = inside.wait()
    if status < 0:
        shutil.rmtree(folder, ignore_errors=True)
    raise SystemExit(status if status >= 0 else 1)


def own_mounts():
    """Namespaces are named here by nobody else, and processes have the numbers that they have in here."""
    net.run("mount", "-t", "proc", "proc", "/proc")
    net.run("mount", "-t", "tmpfs", "none", "/run")
    os.mkdir("/run/netns")
    net.batch(["link set lo up"])


class Bench:
    """What all cases have in common."""

    root = ROOT
    key = "sk-deploy-4f1c8a2e9b7d"

    def __init__(self, options, folder):
        self.options, self.folder, self.binary = options, folder, options.binary.resolve()
        self.helm, self.kubectl = options.tools / "helm", options.tools / "kubectl"
        is_inside = INSIDE in os.environ
        self.lacking = containers.lacking() if is_inside else "namespaces are not permitted here"
        prometheus = shutil.which("prometheus")
        self.has_prometheus = prometheus is not None
        self.images = {"llmload": containers.own_image(ROOT / "deploy" / "Dockerfile", self.binary)}
        if prometheus:
            self.images["prom/prometheus"] = containers.Image(Path(prometheus), 65534, ("/prometheus",))
        self.has_postgres = any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        users = ("root:x:0:0::/:/bin/sh", "postgres:x:999:999::/:/bin/sh")
        entry = Path(__file__).with_name("postgres.sh")
        self.images["postgres"] = containers.Image(entry, 999, ("/var/lib/postgresql/data",), users)
        self.copied = self.copy()

    def copy(self):
        """deploy/kubernetes with what `llmload certs` makes in it."""
        copied = self.folder / "kubernetes"
        shutil.copytree(ROOT / "deploy" / "kubernetes", copied, ignore=shutil.ignore_patterns("certs"))
        command = [self.binary, "certs", "--host", "llmload-master", "--dir", copied / "base" / "certs"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return copied

    def said(self, *command):
        """What a command says; its complaint is this one's."""
        environment = {**os.environ, "HOME": str(self.folder)}
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, env=environment)
        if done.returncode != 0:
            raise cases.Wrong(f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}")
        return done.stdout

    def kustomized_text(self, which="demo"):
        return self.said(self.kubectl, "kustomize", self.copied / which)

    def charted_text(self, *values):
        chart = ROOT / "deploy" / "helm" / "llmload"
        return self.said(self.helm, "template", "bench", chart, *values)

    def kustomized(self):
        return manifests.kubernetes(self.kustomized_text())

    def charted(self, *values):
        return manifests.kubernetes(self.charted_text(*values))


def every_case():
    """Name → what is played, whether it needs containers, and what it is."""
    plain = {f"{module.__name__}-{play.__name__}": play for module in (schemas, lines, others) for play in module.CASES}
    made = {play.__name__: play for play in cases.CASES}
    return {name.replace("_", "-"): (play, name in made) for name, play in {**plain, **made}.items()}


def play(bench, number, name, work, needs_containers):
    """Plays a case. Returns its verdict, and what is wrong or lacking."""
    if needs_containers and bench.lacking:
        return "skipped", bench.lacking
    begun, folder = time.monotonic(), bench.folder / name
    try:
        if needs_containers:
            import engines

            with engines.Place(number, folder, bench.images) as place:
                skipped = work(bench, place)
        else:
            folder.mkdir()
            skipped = work(bench, folder)
        verdict, words = ("skipped", skipped) if skipped else ("ok", "")
    except cases.Wrong as error:
        verdict, words = "FAILED", str(error)
    except Exception as error:
        verdict, words = "FAILED", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    print(f"{verdict:7} {name} {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
    return verdict, words


def play_all(bench, chosen):
    with ThreadPoolExecutor(bench.options.jobs) as pool:
        futures = {
            name: pool.submit(play, bench, number, name, *work) for number, (name, work) in enumerate(chosen.items(), 1)
        }
        return {name: future.result() for name, future in futures.items()}


def tell(verdicts, bench):
    for name, (verdict, words) in verdicts.items():
        if words:
            print(f"{name}: {verdict.lower()}: {words}")
    count = lambda which: sum(verdict == which for verdict, _ in verdicts.values())
    print(f"{count('ok')} passed, {count('FAILED')} failed, {count('skipped')} skipped")
    return 1 if count("FAILED") or (count("skipped") and bench.options.require_netns) else 0


def tidy(bench, verdicts):
    """Removes the folders; those of failed cases stay, with what their containers said."""
    if bench.options.keep:
        print(f"everything is in {bench.folder}")
        return
    failed = [name for name, (verdict, _) in verdicts.items() if verdict == "FAILED"]
    for path in bench.folder.iterdir():
        if path.name not in failed:
            shutil.rmtree(path, ignore_errors=True)
    if failed:
        print(f"what the failed cases left is in {bench.folder}")
    else:
        shutil.rmtree(bench.folder, ignore_errors=True)


def main():
    options = arguments()
    every = every_case()
    if options.list:
        for name, (work, _) in every.items():
            print(f"{name:24} {work.__doc__.splitlines()[0]}")
        return 0
    if unknown := set(options.cases) - set(every):
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; hint: --list names them")
    if INSIDE not in os.environ:
        into_namespaces()
    else:
        own_mounts()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bench = Bench(options, Path(os.environ.get(INSIDE) or tempfile.mkdtemp(prefix="llmload-deploy-")))
    # Users of containers look for their files below it.
    bench.folder.chmod(0o755)
    chosen = {name: every[name] for name in (options.cases or every)}
    verdicts = play_all(bench, chosen)
    try:
        return tell(verdicts, bench)
    finally:
        tidy(bench, verdicts)


if __name__ == "__main__":
    raise SystemExit(main())
