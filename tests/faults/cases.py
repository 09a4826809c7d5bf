"""What happens to the cluster in each case, and what must hold afterwards.

How processes are run is cluster.py's business, what the checks mean judge.py's.
"""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from cluster import QPS
from judge import MISSING_AFTER_S, SILENT_WITHIN_S

CASES = []


@dataclass(frozen=True)
class Case:
    """One fault under one load."""

    name: str
    words: str
    play: Callable
    is_open: bool
    # The planned time of the run, in seconds.
    run_s: int
    fast: bool
    needs: tuple


def case(run_s=14, fast=False, closed=False, needs=()):
    """Makes a function a case: with an open loop, and with a closed one where that is asked for."""

    def register(play):
        name, words = play.__name__.replace("_", "-"), play.__doc__.splitlines()[0].rstrip(".")
        CASES.append(Case(name, words, play, True, run_s, fast, needs))
        if closed:
            CASES.append(Case(f"{name}-closed", f"{words}, in a closed loop", play, False, run_s, fast, needs))
        return play

    return register


def conclude(cluster, judge, status, lost=False, apart_from=()):
    """The end that most cases have: the run is over, all workers have gone by themselves, the books are right."""
    cluster.finish()
    cluster.settle()
    judge.take(cluster)
    judge.sound()
    judge.exact(apart_from)
    judge.ended_with(status)
    if not lost:
        judge.nothing_lost()
    for worker in cluster.workers:
        if worker.name not in apart_from:
            judge.equal(f"the exit status of {worker.name}", worker.status, 0)


@case()
def nothing_happens(cluster, judge):
    """Nothing happens: what the other cases are held against."""
    cluster.start()
    conclude(cluster, judge, 0)
    judge.whole()
    judge.nothing_dropped()
    judge.full_at_the_end()


@case(fast=True, closed=True)
def worker_sigkill(cluster, judge):
    """A worker dies."""
    cluster.start()
    cluster.at(3.5)
    cluster.workers[1].signal(signal.SIGKILL)
    conclude(cluster, judge, 4, lost=True, apart_from=["w1"])
    judge.died("w1")
    judge.whole()
    judge.full_at_the_end()


@case(run_s=16)
def worker_replaced(cluster, judge):
    """A worker dies, and another one comes."""
    cluster.start()
    cluster.at(3.5)
    cluster.workers[1].signal(signal.SIGKILL)
    cluster.at(5)
    cluster.add_worker()
    conclude(cluster, judge, 4, lost=True, apart_from=["w1"])
    judge.died("w1")
    judge.whole()
    judge.full_at_the_end()
    judge.check(judge.server.arrivals("w3"), "w3 had no part")


@case()
def worker_loss_ignored(cluster, judge):
    """A worker dies, and nobody is to take over: all of its rest is lost."""
    cluster.start(["--on-worker-loss", "ignore"])
    cluster.at(3.5)
    cluster.workers[1].signal(signal.SIGKILL)
    conclude(cluster, judge, 4, lost=True, apart_from=["w1"])
    judge.died("w1")
    judge.whole()
    for worker in ("w0", "w2"):
        judge.equal(f"requests of {worker}", len(judge.server.arrivals(worker)), cluster.case.run_s * QPS // 3)


@case()
def worker_loss_fatal(cluster, judge):
    """A worker dies, and the run is to end then: nobody sends long after it was missed."""
    cluster.start(["--on-worker-loss", "fail"])
    cluster.at(3.5)
    cluster.workers[1].signal(signal.SIGKILL)
    conclude(cluster, judge, 3, lost=True, apart_from=["w1"])
    judge.died("w1")
    judge.stopped_at(3.5 + MISSING_AFTER_S)


@case(fast=True, closed=True)
def worker_sigterm(cluster, judge):
    """A worker is told to go."""
    cluster.start()
    cluster.at(3.5)
    cluster.workers[1].signal(signal.SIGTERM)
    conclude(cluster, judge, 0)
    judge.whole()
    judge.nothing_dropped()
    judge.full_at_the_end()


@case(run_s=19, fast=True, closed=True)
def worker_sigstop(cluster, judge):
    """A worker is stopped for 10 s and goes on."""
    cluster.start()
    cluster.at(3.5)
    cluster.workers[1].signal(signal.SIGSTOP)
    cluster.at(13.5)
    cluster.workers[1].signal(signal.SIGCONT)
    came_back(cluster, judge)


def came_back(cluster, judge):
    """The end of a run whose workers were missing for a while: what they did not send is told, dropped or lost."""
    cluster.finish()
    cluster.settle()
    judge.take(cluster)
    judge.sound()
    judge.exact()
    judge.whole()
    judge.full_at_the_end()
    # Of a closed loop nobody can say what did not come; that users were missing is said.
    incomplete = judge.totals()["lost"] or not judge.case.is_open
    judge.ended_with(4 if incomplete else 0)


@case(run_s=30, fast=True)
def master_sigkill(cluster, judge):
    """The master dies; its journal has the result, and the workers fall silent."""
    cluster.start(["--journal", "run.journal"])
    cluster.at(5.5)
    cluster.master.signal(signal.SIGKILL)
    killed = time.monotonic()
    cluster.at(12)
    judge.check(cluster.report("run.journal") in (0, 4), "the report did not end with 0 or 4")
    for worker in cluster.workers:
        judge.equal(f"the state of {worker.name}, which waits for its master", worker.status, None)
        worker.signal(signal.SIGTERM)
    cluster.settle()
    judge.take(cluster)
    judge.sound()
    judge.silent_after(killed)
    judge.journal(killed)


@case(run_s=14)
def master_restart(cluster, judge):
    """The master dies and is started again with the same journal."""
    cluster.start(["--journal", "run.journal"])
    cluster.at(4.5)
    cluster.master.end()
    cluster.start_master()
    conclude(cluster, judge, 0)
    judge.whole()
    judge.full_at_the_end()


@case(run_s=18)
def master_restart_late(cluster, judge):
    """The master dies and is started again when its workers have long been silent."""
    cluster.start(["--journal", "run.journal"])
    cluster.at(4.5)
    cluster.master.end()
    killed = time.monotonic()
    cluster.at(10.5)
    cluster.start_master()
    restarted = time.monotonic()
    conclude(cluster, judge, 0)
    judge.whole()
    judge.silent_after(killed, until=restarted)
    judge.full_at_the_end()


@case()
def master_sigterm(cluster, judge):
    """The master is told to go."""
    interrupted(cluster, judge, signal.SIGTERM)


@case(fast=True)
def ctrl_c(cluster, judge):
    """Ctrl-C once: what is in flight finishes."""
    interrupted(cluster, judge, signal.SIGINT)


def interrupted(cluster, judge, number):
    cluster.start()
    cluster.at(4.5)
    cluster.master.signal(number)
    conclude(cluster, judge, 0)
    judge.equal("cancelled", judge.totals()["cancelled"], 0)
    judge.stopped_at(4.5)


@case()
def ctrl_c_twice(cluster, judge):
    """Ctrl-C twice: what is in flight is dropped and counted as cancelled."""
    cluster.start()
    cluster.at(4.5)
    cluster.master.signal(signal.SIGINT)
    cluster.pause(0.1)
    cluster.master.signal(signal.SIGINT)
    conclude(cluster, judge, 0)
    judge.check(judge.totals()["cancelled"] > 0, "nothing is called cancelled")
    judge.stopped_at(4.5)


@case(fast=True, needs=("net", "reset"))
def tcp_reset(cluster, judge):
    """All control connections are reset, twice."""
    cluster.start()
    for second in (3.5, 6.2):
        cluster.at(second)
        for worker in cluster.workers:
            judge.check(cluster.place.reset(worker.node) > 0, f"no connection of {worker.name} to be reset")
    conclude(cluster, judge, 0)
    judge.whole()
    judge.nothing_dropped()
    judge.full_at_the_end()


def cut_off(cluster, workers, begin, end):
    """These workers and the master do not hear of each other for a while. Returns when it began and ended."""
    spans = []
    for second, change in ((begin, cluster.place.cut), (end, cluster.place.heal)):
        cluster.at(second)
        for worker in workers:
            change(worker.node)
        spans.append(time.monotonic())
    return spans


@case(fast=True, needs=("net",))
def blackhole_2s(cluster, judge):
    """A worker is cut off from the master for 2 s, less than makes it missing."""
    cluster.start()
    cut_off(cluster, cluster.workers[1:2], 3.5, 5.5)
    conclude(cluster, judge, 0)
    judge.whole()
    judge.full_at_the_end()


@case(run_s=18, fast=True, needs=("net",))
def blackhole_5s(cluster, judge):
    """A worker is cut off from the master for 5 s."""
    cluster.start()
    cut_off(cluster, cluster.workers[1:2], 3.5, 8.5)
    came_back(cluster, judge)


@case(run_s=20, needs=("net",))
def blackhole_all(cluster, judge):
    """All workers are cut off from the master for 5 s."""
    cluster.start()
    cut_off(cluster, cluster.workers, 3.5, 8.5)
    came_back(cluster, judge)


@case(run_s=12, needs=("net",))
def blackhole_for_ever(cluster, judge):
    """All workers are cut off from the master and stay so: no worker is left."""
    cluster.start()
    cluster.at(3.5)
    for worker in cluster.workers:
        cluster.place.cut(worker.node)
    cut = time.monotonic()
    cluster.finish()
    cluster.at(12)
    for worker in cluster.workers:
        worker.end()
    judge.take(cluster)
    judge.sound()
    judge.silent_after(cut)
    for worker in cluster.workers:
        judge.died(worker.name, SILENT_WITHIN_S)
    judge.ended_with(3)


@case(run_s=19, closed=True, needs=("net",))
def partition(cluster, judge):
    """A worker is cut off from the master for 10 s, with the server in reach."""
    cluster.start()
    cut, healed = cut_off(cluster, cluster.workers[1:2], 3.5, 13.5)
    came_back(cluster, judge)
    judge.silent_after(cut, "w1", healed)


@case(run_s=16, needs=("net", "slow"))
def slow_net(cluster, judge):
    """The control net takes 200 ms each way and loses one frame in twenty."""
    cluster.start(delay_s=0.2)
    conclude(cluster, judge, 0)
    judge.whole()


@case(run_s=18, closed=True)
def grow_and_shrink(cluster, judge):
    """Three workers, then six, then three."""
    cluster.start()
    cluster.at(2.5)
    for _ in range(3):
        cluster.add_worker()
    cluster.at(11.5)
    for worker in cluster.workers[:3]:
        worker.signal(signal.SIGTERM)
    conclude(cluster, judge, 0)
    judge.whole()
    judge.full_at_the_end()
    judge.nothing_dropped()
    for worker in cluster.workers:
        judge.check(judge.server.arrivals(worker.name), f"{worker.name} had no part")


@case()
def summary_disk_full(cluster, judge):
    """The disk under the summary file is full: the row is kept beside it."""
    (cluster.folder / "rows.csv").symlink_to("/dev/full")
    cluster.start()
    conclude(cluster, judge, 1)
    judge.whole()
    judge.full_at_the_end()


@case(needs=("disk",))
def csv_disk_full(cluster, judge):
    """The disk under Locust's CSV files gets full in mid-run."""
    disk = cluster.small_disk()
    cluster.start(["--csv", str(disk / "locust")])
    cluster.at(4)
    fill(disk)
    conclude(cluster, judge, 1)
    judge.whole()
    judge.full_at_the_end()


@case(needs=("disk",))
def journal_disk_full(cluster, judge):
    """The disk under the journal gets full in mid-run: the run goes on, and the result is whole."""
    disk = cluster.small_disk()
    cluster.start(["--journal", str(disk / "run.journal")])
    cluster.at(4)
    fill(disk)
    conclude(cluster, judge, 1)
    judge.whole()
    judge.full_at_the_end()


def fill(disk):
    """Leaves no byte free."""
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass
