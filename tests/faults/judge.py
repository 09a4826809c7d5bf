"""Holds what the master reported against what the server saw. It starts nothing and waits for nothing.

No check depends on how long something took to end; the spans here are those that the product promises.
"""

import bisect
import csv
import traceback
from collections import Counter

from cluster import QPS, REQUEST_S, USERS

# Without a master, or cut off from it, a worker sends for so long at most.
SILENT_WITHIN_S = 5.0
INTERVAL_S = 1.0
STOP_WITHIN_S = 2.0
MISSING_AFTER_S = 3.0
# On its way from a worker to the journal, on a busy machine.
DELIVERY_S = 0.5
# The end of the run in which the full load must be there again.
LAST_S = 2.0
# Later than this a request is not late, but caught up.
LATE_S = 1.0


class NoResult(Exception):
    """There is nothing to be judged."""


class Judge:
    """The verdict on one case, and the figures that it rests on."""

    def __init__(self, case, numbers):
        self.case, self.numbers = case, numbers
        self.skipped, self.faults, self.details = None, [], []
        self.result, self.server, self.exit, self.names, self.seconds = None, None, None, {}, 0.0

    def check(self, holds, words):
        """Whether it holds; if it does not, the case has failed, and goes on to be judged."""
        if not holds:
            self.faults.append(words)
        return holds

    def equal(self, words, actual, expected):
        return self.check(actual == expected, f"{words}: {actual}, not {expected}")

    def broken(self, words, details):
        self.faults.append(words)
        self.details.append(details)

    def verdict(self):
        return "skipped" if self.skipped else "FAILED" if self.faults else "ok"

    def figures(self):
        """The cells of the table."""
        totals = self.result["totals"] if self.result else {}
        cells = {name: totals.get(name, "") for name in ("scheduled", "sent", "dropped", "lost")}
        cells["late"] = totals.get("late_cancelled", "")
        cells["server"] = self.server.counts["numbered"] if self.server else ""
        cells["exit"] = "" if self.exit is None else self.exit
        cells["s"] = f"{self.seconds:.1f}" if self.seconds else ""
        return cells

    def write(self, folder):
        """Leaves the verdict beside what the processes said."""
        lines = [self.verdict(), *self.faults, *self.details]
        (folder / "verdict.txt").write_text("\n".join(lines) + "\n")

    # What is judged.

    def take(self, cluster):
        """Takes what a run left: the exit status, the server's list, the result."""
        self.exit, self.server, self.result = cluster.master.status, cluster.server(), cluster.result()
        self.names = {worker.name: worker.pid for worker in cluster.workers}
        self.begun = self.server.arrivals()[0]
        if self.case.is_open:
            # The request that was least late tells when the run began.
            self.begun = min(at - due for at, due in zip(self.server.arrivals(), self.dues()))
        beside = sorted(cluster.folder.glob("rows.csv.*.csv"))
        self.csv = beside[0] if beside else cluster.folder / "rows.csv"
        if self.result is None:
            raise NoResult(f"the master ended with {self.exit}")

    def totals(self):
        return self.result["totals"]

    def told(self, worker):
        """What the result says of a worker, by its name in the server's list."""
        ending = f":{self.names[worker]}"
        found = [entry for entry in self.result["workers"] if entry["name"].endswith(ending)]
        if not self.check(len(found) == 1, f"{worker} is in the result {len(found)} times"):
            return None
        return found[0]

    # What must hold.

    def books(self):
        """The figures add up, by themselves and over the workers."""
        totals = self.totals()
        fates = ("sent", "dropped", "late_cancelled", "lost")
        self.equal("sent + dropped + late-cancelled + lost", sum(totals[name] for name in fates), totals["scheduled"])
        ends = sum(totals[name] for name in ("completed", "failed", "cancelled"))
        self.equal("completed + failed + cancelled + in flight", ends + totals["in_flight"], totals["sent"])
        self.equal("the sum of all outcomes", sum(totals["outcomes"].values()), ends)
        self.equal("the imbalance", totals["imbalance"], None)
        self.equal("failed", totals["failed"], 0)
        over = lambda name: sum(entry[name] for entry in self.result["workers"])
        self.equal("sent, over the workers", over("requests"), totals["sent"])
        self.equal("dropped, over the workers", over("dropped"), totals["dropped"])
        self.equal("lost, over the workers", over("lost_requests"), totals["lost"])
        self.check(over("finished") >= ends, f"{over('finished')} finished, over the workers: {ends} in all")

    def whole(self):
        """The run came to its planned end: all that was to be scheduled is accounted for."""
        if self.case.is_open:
            self.equal("scheduled", self.totals()["scheduled"], QPS * self.case.run_s)
        last = self.server.arrivals()[-1] - self.begun
        end = self.case.run_s if self.case.is_open else self.case.run_s + 1
        self.check(end - 1 < last < end + 0.5, f"the last request came at {last:.2f} s of a run of {end} s")
        totals = self.totals()
        self.equal("what is in flight or waits at the end", (totals["in_flight"], totals["waiting"]), (0, 0))

    def stopped_at(self, second):
        """Nothing was begun long after the run was told to end."""
        last = self.server.arrivals()[-1] - self.begun
        words = f"the last request came at {last:.2f} s of a run that was to end at {second} s"
        self.check(last < second + STOP_WITHIN_S, words)

    def journal(self, killed):
        """A result from a journal lacks an interval at most of what was sent when its master died."""
        before = [at for at in self.server.arrivals() if at < killed]
        known = [at for at in before if at < killed - INTERVAL_S - DELIVERY_S - REQUEST_S]
        sent = self.totals()["sent"]
        words = f"{sent} are sent by the journal: the server had {len(before)}, {len(known)} of them long enough before"
        self.check(len(known) <= sent <= len(before), words)

    def exact(self, apart_from=()):
        """The server saw each request that is called sent, and no other, of each worker."""
        if not apart_from:
            self.equal("the server's requests", self.server.counts["numbered"], self.totals()["sent"])
            self.ends()
        for worker in self.names:
            told = self.told(worker) if worker not in apart_from else None
            if told:
                self.equal(f"requests of {worker} at the server", len(self.server.arrivals(worker)), told["requests"])

    def ends(self):
        """How requests ended is what the server says of them; one may be whole there and cancelled here."""
        totals, streams = self.totals(), self.server.streams
        self.equal("the server's broken answers", (streams["broken"], self.server.counts["refused"]), (0, 0))
        crossed = streams["completed"] - totals["completed"]
        told = f"completed {totals['completed']}, cancelled {totals['cancelled']}"
        self.check(0 <= crossed <= totals["cancelled"], f"{told}, but {streams['completed']} at the server")

    def died(self, worker, unheard_s=INTERVAL_S):
        """What a worker sent and could not tell any more is an interval's worth at most, and is called lost.

        In a closed loop no schedule tells how much that was: there the requests in flight are called lost.
        """
        told = self.told(worker)
        if not told:
            return
        seen, sent, lost = self.server.arrivals(worker), told["requests"], self.totals()["lost"]
        most = sent + lost if self.case.is_open else len(seen)
        self.check(sent <= len(seen) <= most, f"{worker} sent {sent}, {lost} are lost: the server saw {len(seen)}")
        self.check(lost > 0, "nothing is called lost")
        since = seen[-1] - unheard_s - DELIVERY_S - REQUEST_S
        unknown = sum(at > since for at in seen)
        self.check(
            len(seen) - sent <= unknown,
            f"{len(seen) - sent} requests of {worker} are unknown, more than the {unknown} of its last {unheard_s:g} s",
        )
        self.check(told["lost"], f"{worker} is not called lost")

    def once(self):
        """No request was sent twice: each has a body of its own."""
        bodies = Counter(note["body_sha256"] for note in self.server.requests)
        twice = sum(count - 1 for count in bodies.values())
        self.equal("requests that the server saw twice", twice, 0)

    def nothing_lost(self):
        self.equal("lost", self.totals()["lost"], 0)

    def nothing_dropped(self):
        self.equal("dropped", self.totals()["dropped"], 0)

    def no_overshoot(self):
        """In no second more load than asked for: requests that come, or, in a closed loop, users at work."""
        if self.case.is_open:
            at, most = busiest_second(self.times())
            # Each worker's clock rounds by itself.
            words, allowed = f"{most} requests came: {QPS} were asked for", QPS + len(self.names)
        else:
            at, most = fullest_second(self.server.requests)
            # Of a user that moves the last request may still be open where it was; half of all move at once, at most.
            words, allowed = f"{most:.1f} requests were open, of {USERS} users", USERS + USERS / 2 * REQUEST_S
        self.check(most <= allowed, f"in the second from {at - self.begun:.2f} s {words}")

    def times(self):
        """When each request came; where a busy machine made it late by less than `LATE_S`, when it was due."""
        came = [(at, self.begun + due) for at, due in zip(self.server.arrivals(), self.dues())]
        return sorted(due if at < due + LATE_S else at for at, due in came)

    def dues(self):
        """When each request is due by the schedule, in seconds of the run."""
        return [self.numbers[note["body_sha256"]] / QPS for note in self.server.requests]

    def never_caught_up(self):
        """What was not sent when it was due is not sent later."""
        if self.case.is_open:
            late = [at - self.begun - due for at, due in zip(self.server.arrivals(), self.dues())]
            caught_up = sum(span > LATE_S for span in late)
            self.check(not caught_up, f"{caught_up} requests came long after they were due, up to {max(late):.2f} s")

    def full_at_the_end(self):
        """The load that was asked for is there in the last seconds."""
        if self.case.is_open:
            missing = round(QPS * LAST_S) - sum(due >= self.case.run_s - LAST_S for due in self.dues())
            self.equal(f"requests of the last {LAST_S:g} s that never came", missing, 0)
            return
        end = self.server.arrivals()[-1]
        most = max(count for at, count in open_requests(self.server.requests) if end - LAST_S <= at <= end)
        self.check(most >= USERS, f"in the last {LAST_S:g} s {most} requests were open at most, of {USERS} users")

    def silent_after(self, instant, worker=None, until=float("inf")):
        """No request (of a worker, or at all) came later than the promised span after an instant."""
        late = [at for at in self.server.arrivals(worker) if instant + SILENT_WITHIN_S < at < until]
        whose = worker or "anybody"
        words = f"{len(late)} requests of {whose} came {SILENT_WITHIN_S:g} s or more after the master was out of reach"
        self.check(not late, words)

    def ended_with(self, status):
        self.equal("the exit status", self.exit, status)

    def rows(self):
        """The summary file, or the one beside it, has its header and one row."""
        if self.check(self.csv.is_file(), f"there is no {self.csv.name}"):
            with self.csv.open(newline="") as lines:
                widths = [len(row) for row in csv.reader(lines)]
            self.check(len(widths) == 2 and widths[0] == widths[1], f"{self.csv.name} has rows of {widths} fields")

    def sound(self):
        """What holds of every run that has a result."""
        self.books()
        self.once()
        self.never_caught_up()
        self.no_overshoot()
        self.rows()


def busiest_second(arrivals):
    """Where a second with the most arrivals begins, and how many they are."""
    most, first = (0.0, 0), 0
    for last, at in enumerate(arrivals):
        while at - arrivals[first] >= 1.0:
            first += 1
        most = max(most, (arrivals[first], last - first + 1), key=lambda found: found[1])
    return most


def fullest_second(requests):
    """Where the second with the most open requests begins, and how many they are on average."""
    # Request-seconds until each change; the average over a second is greatest where it begins or ends with one.
    instants, sums, counts = [], [], []
    for at, count in open_requests(requests):
        passed = (at - instants[-1]) * counts[-1] if instants else 0.0
        sums.append((sums[-1] if sums else 0.0) + passed)
        instants.append(at)
        counts.append(count)

    def until(at):
        place = bisect.bisect_right(instants, at) - 1
        return sums[place] + (at - instants[place]) * counts[place] if place >= 0 else 0.0

    begins = [begin for at in instants for begin in (at - 1.0, at)]
    return max(((at, until(at + 1.0) - until(at)) for at in begins), key=lambda found: found[1])


def open_requests(requests):
    """How many requests are open at the server after each beginning and each end, as pairs of an instant and a count.

    Of one that was cut off the server's last word counts as its end: never too many are counted.
    """
    changes = []
    for note in requests:
        changes.append((note["received_ns"], 1))
        changes.append((note["last_sent_ns"] or note["received_ns"], -1))
    count = 0
    # At the same instant an end comes before a beginning.
    for at, change in sorted(changes):
        count += change
        yield at / 1e9, count
