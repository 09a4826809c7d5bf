"""Starts a command as the first process of namespaces of its own, and ends as it ends: with 128 and the signal's number, too.

usage: launch.py COMMAND...      unshare(1) does the same, but for the status of a child that SIGKILL ends.
"""

import ctypes
import os
import signal
import sys

# Of <sched.h> and <sys/prctl.h>.
NEW_MOUNTS, NEW_NAME, NEW_IPC, NEW_PIDS = 0x00020000, 0x04000000, 0x08000000, 0x20000000
DEATH_SIGNAL = 1


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_MOUNTS | NEW_NAME | NEW_IPC | NEW_PIDS) != 0:
        raise SystemExit(f"unshare: {os.strerror(ctypes.get_errno())}")
    child = os.fork()
    if child == 0:
        libc.prctl(DEATH_SIGNAL, signal.SIGKILL)
        os.execvp(sys.argv[1], sys.argv[1:])
    _, ended = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(ended)
    raise SystemExit(status if status >= 0 else 128 - status)


main()
