#!/usr/bin/env python3
"""Kills, stops and cuts off the processes of a cluster, and holds what is reported against the server's own counts.

usage: tests/faults/run.py [--fast] [--binary PATH] [--jobs N] [--keep] [--require-netns] [--list] [CASE...]
The judge is the mock server's list of requests. Each case has networks of its own, in namespaces of the harness's own;
where those are not permitted the cases that need them are skipped, and said to be. This file only arranges: cases.py
says what happens, judge.py what must hold.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The modules beside this file leave nothing behind.
sys.dont_write_bytecode = True

import net
from cases import CASES
from cluster import MORTAL, QPS, Cluster, numbered
from judge import Judge

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "LLMLOAD_FAULTS_INSIDE"
NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
COLUMNS = ["scheduled", "sent", "dropped", "late", "lost", "server", "exit", "s"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="the cases that a change should not land without")
    parser.add_argument("--binary", type=Path, help="absent: the debug build of this tree, built first")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 2), help="cases at once")
    parser.add_argument("--keep", action="store_true", help="keep all folders; those of failed cases are kept anyway")
    parser.add_argument("--require-netns", action="store_true", help="a skipped case is a failure")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    return parser.parse_args()


def chosen(options):
    unknown = set(options.cases) - {case.name for case in CASES}
    if unknown:
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; hint: --list names them")
    return [
        case
        for case in CASES
        if (case.name in options.cases if options.cases else case.fast or not options.fast)
    ]


def debug_build():
    command = ["cargo", "build", "--locked", "--manifest-path", str(ROOT / "Cargo.toml")]
    if subprocess.run(command).returncode != 0:
        raise SystemExit("llmload does not build")
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "debug" / "llmload"


def into_namespaces(options):
    """Runs this again in namespaces of its own and ends with its status; returns where they are not permitted."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = [*NAMESPACES, *user]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        return
    again = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--binary", str(options.binary)]
    folder = tempfile.mkdtemp(prefix="llmload-faults-")
    # `unshare` goes when this goes, and with it goes the first process in there, and with that one all others.
    inside = subprocess.Popen([*MORTAL, *command, *again], env={**os.environ, INSIDE: folder})
    signal.signal(signal.SIGTERM, lambda *_: inside.kill())
    # Ctrl-C reaches the inner one too, which then ends by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = inside.wait()
    if status < 0:
        shutil.rmtree(folder, ignore_errors=True)
    raise SystemExit(status if status >= 0 else 1)


def own_mounts():
    """Names of namespaces are files here: they must be nobody else's."""
    net.run("mount", "-t", "tmpfs", "none", "/run")
    os.mkdir("/run/netns")
    net.batch(["link set lo up"])


class Bench:
    """What all cases have in common: the binary, the folder, and whether there are namespaces."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.inside = INSIDE in os.environ
        self.lacking = net.lacking() if self.inside else dict.fromkeys(net.NEEDS, "namespaces are not permitted here")
        self.ending = threading.Event()
        self.numbers = {}

    def prepare(self, cases):
        """Learns the bodies of the requests that the cases will send in open loops."""
        folder = self.folder / "numbers"
        folder.mkdir()
        count = QPS * max(case.run_s for case in cases)
        self.numbers = numbered(self.options.binary, folder, self.ending, count)
        shutil.rmtree(folder)

    def play(self, number, case):
        """Plays a case. Returns its judge."""
        judge = Judge(case, self.numbers)
        missing = [self.lacking[need] for need in case.needs if need in self.lacking]
        if missing:
            judge.skipped = missing[0]
            return judge
        if self.ending.is_set():
            judge.skipped = "interrupted"
            return judge
        folder = self.folder / case.name
        folder.mkdir()
        begun = time.monotonic()
        try:
            place = net.Namespaces(number) if self.inside else net.Loopback()
            with Cluster(self.options.binary, folder, place, self.ending, case) as cluster:
                case.play(cluster, judge)
        except Exception as error:
            judge.broken(f"{type(error).__name__}: {error}", traceback.format_exc())
        judge.seconds = time.monotonic() - begun
        judge.write(folder)
        print(f"{judge.verdict():7} {case.name}", file=sys.stderr, flush=True)
        return judge


def play_all(bench, cases):
    with ThreadPoolExecutor(bench.options.jobs) as pool:
        # The longest first, so that none is left over at the end.
        order = sorted(range(len(cases)), key=lambda at: -cases[at].run_s)
        futures = {at: pool.submit(bench.play, at + 1, cases[at]) for at in order}
        try:
            return [futures[at].result() for at in range(len(cases))]
        except KeyboardInterrupt:
            bench.ending.set()
            raise


def table(judges):
    width = max(len(judge.case.name) for judge in judges)
    lines = [" ".join([f"{'case':{width}}", "verdict", *(f"{name:>9}" for name in COLUMNS)])]
    for judge in judges:
        cells = [judge.figures().get(name, "") for name in COLUMNS]
        shown = [f"{judge.case.name:{width}}", f"{judge.verdict():7}", *(f"{cell:>9}" for cell in cells)]
        lines.append(" ".join(shown).rstrip())
    return "\n".join(lines)


def tell(judges, bench):
    """Prints the table and what is wrong. Returns the exit status."""
    print(table(judges))
    for judge in judges:
        for fault in judge.faults:
            print(f"{judge.case.name}: {fault}")
        if judge.skipped:
            print(f"{judge.case.name}: skipped: {judge.skipped}")
    failed = [judge for judge in judges if judge.faults]
    skipped = [judge for judge in judges if judge.skipped]
    print(f"{len(judges) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or (skipped and bench.options.require_netns) else 0


def tidy(bench, judges):
    """Removes the folders; those of failed cases stay, with what their processes said."""
    if bench.options.keep:
        print(f"everything is in {bench.folder}")
        return
    for judge in judges:
        if not judge.faults:
            shutil.rmtree(bench.folder / judge.case.name, ignore_errors=True)
    try:
        bench.folder.rmdir()
    except OSError:
        print(f"what the failed cases left is in {bench.folder}")


def main():
    options = arguments()
    cases = chosen(options)
    if options.list:
        for case in cases:
            print(f"{case.name:32} {'fast ' if case.fast else '     '} {case.words}")
        return 0
    options.binary = (options.binary or debug_build()).resolve()
    if INSIDE not in os.environ:
        into_namespaces(options)
    else:
        own_mounts()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bench = Bench(options, Path(os.environ.get(INSIDE) or tempfile.mkdtemp(prefix="llmload-faults-")))
    judges = []
    try:
        bench.prepare(cases)
        judges = play_all(bench, cases)
        return tell(judges, bench)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        tidy(bench, judges)


if __name__ == "__main__":
    raise SystemExit(main())
