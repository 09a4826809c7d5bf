"""Runs one command on given cores, under a time limit, and writes what its whole process tree cost.

usage: metered.py REPORT.json CORES SECONDS COMMAND...

It is the reaper of every process that the command leaves behind, so that none is left uncounted and none survives:
the whole cost is RUSAGE_CHILDREN of this process, user and system time of all that has ended below it. While the
command runs, the cost so far is noted every tenth of a second with the reading of CLOCK_MONOTONIC, so that the cost of
any span can be told, to some ticks of the system's clock for each process (10 ms as a rule).
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

# Between two notes of the cost, and between two searches for new processes, which read the whole table.
NOTE_S = 0.1
SEARCH_S = 1.0

# Fields of /proc/PID/stat after the name, from 0: user and system time, its own and of the children it has collected.
TIMES = slice(11, 15)
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# How long processes that outlive the command may take to end by themselves, and then after SIGTERM.
GRACE_S = 5.0

WAKERS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Stopped(Exception):
    """Asked to stop by a signal."""


def stat_of(pid):
    """A process's fields after its name, which stands in brackets and may hold anything; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def descendants():
    """All processes below this one, by the system's table."""
    children = {}
    for name in os.listdir("/proc"):
        fields = stat_of(name) if name.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


class Notes:
    """The cost so far at one time after the other."""

    def __init__(self):
        self.notes = []
        self.pids = []
        self.searched = 0.0

    def take(self):
        now = time.monotonic()
        if now - self.searched >= SEARCH_S:
            self.pids, self.searched = descendants(), now
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        fields = filter(None, map(stat_of, self.pids))
        ticks = sum(sum(map(int, field[TIMES])) for field in fields)
        self.notes.append([time.monotonic_ns(), ended.ru_utime + ended.ru_stime + ticks / TICKS_PER_S])


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


def wait(until, statuses, pid=None, notes=None):
    """Waits for one process, or for all; says whether that came about in time."""
    while True:
        if notes:
            notes.take()
        left = reap(statuses)
        if pid in statuses or not left:
            return True
        remaining = until - time.monotonic()
        if remaining <= 0:
            return False
        woken = signal.sigtimedwait(WAKERS, min(remaining, NOTE_S) if notes else remaining)
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
    statuses, left_behind, timed_out, notes = {}, 0, False, Notes()
    began = time.monotonic()
    pid = start({int(core) for core in cores.split(",")}, command)
    try:
        timed_out = not wait(began + float(limit), statuses, pid, notes)
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
        "cpu_s_at_ns": notes.notes,
        "exit": code,
        "timed_out": timed_out,
        "left_behind": left_behind,
    }
    Path(report).write_text(json.dumps(result))


main()
