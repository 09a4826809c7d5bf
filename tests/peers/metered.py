"""Runs one command on given cores, under a time limit, and writes what its whole process tree cost.

usage: metered.py REPORT.json CORES SECONDS COMMAND...

It is the reaper of every process that the command leaves behind, so that none is left uncounted and none survives:
the cost is RUSAGE_CHILDREN of this process, user and system time of all that has ended below it.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

# How long processes that outlive the command may take to end by themselves, and then after SIGTERM.
GRACE_S = 5.0

WAKERS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Stopped(Exception):
    """Asked to stop by a signal."""


def descendants():
    """All processes below this one, by the system's table."""
    children = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        # The name stands in brackets and may hold anything; state and parent follow the last one.
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def reap(statuses):
    """Collects all that has ended; says whether anything is left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        statuses[pid] = status


def wait(until, statuses, pid=None):
    """Waits for one process, or for all; says whether that came about in time."""
    while True:
        left = reap(statuses)
        if pid in statuses or not left:
            return True
        remaining = until - time.monotonic()
        if remaining <= 0:
            return False
        woken = signal.sigtimedwait(WAKERS, remaining)
        if woken is not None and woken.si_signo != signal.SIGCHLD:
            raise Stopped


def end_all(statuses):
    """Ends every process below this one; says how many there were."""
    there = descendants()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in descendants():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        try:
            if wait(time.monotonic() + GRACE_S, statuses):
                break
        except Stopped:
            continue
    return len(there)


def start(cores, command):
    def prepare():
        os.sched_setaffinity(0, cores)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAKERS)

    return subprocess.Popen(command, preexec_fn=prepare).pid


def main():
    report, cores, limit, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKERS)
    statuses, left_behind, timed_out = {}, 0, False
    began = time.monotonic()
    pid = start({int(core) for core in cores.split(",")}, command)
    try:
        timed_out = not wait(began + float(limit), statuses, pid)
        ended = time.monotonic()
        if timed_out or not wait(ended + GRACE_S, statuses):
            left_behind = end_all(statuses)
    except Stopped:
        end_all(statuses)
        raise SystemExit(130) from None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = os.waitstatus_to_exitcode(statuses[pid]) if pid in statuses else None
    result = {
        "user_s": usage.ru_utime,
        "system_s": usage.ru_stime,
        "wall_s": ended - began,
        "exit": code,
        "timed_out": timed_out,
        "left_behind": left_behind,
    }
    Path(report).write_text(json.dumps(result))


main()
