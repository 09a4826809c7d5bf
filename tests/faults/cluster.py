"""The processes of one case: a mock server, a master, workers. Starts, signals, ends them, and reads what they leave.

Whether what they did is right is judge.py's business. A time limit here only ends what would hang.
"""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import net

QPS, SLOTS, USERS = 30, 90, 30
# A request takes 200 ms to the first token and 20 ms for each of the nine others.
SCRIPT = ["--ttft", "200ms", "--inter-token", "20ms"]
AT_ONCE = ["--ttft", "0ms", "--inter-token", "0ms"]
REQUEST_S = 0.38
SHAPE = ["-p", "64", "-o", "10", "--seed", "1"]
# The machine is shared by many cases: counts are held here, and no latency.
OUTPUTS = ["--only-summary", "--allow-invalid", "--json-file", "result.json", "--summary-file", "rows.csv"]

# For what only has to end some time.
PATIENCE_S = 60.0

# Before a command: it does not outlive the harness.
MORTAL = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


class Interrupted(Exception):
    """The harness was told to end."""


class Stuck(Exception):
    """Something did not come, or did not end."""


class Process:
    """A process that was started here."""

    def __init__(self, cluster, name, node, arguments):
        self.name, self.node, self.log = name, node, cluster.folder / f"{name}.log"
        command = [*MORTAL, *cluster.place.enter(node), str(cluster.binary), *arguments]
        # HOME and the working folder are the case's: no settings file of the machine's is read.
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(cluster.folder), "NO_COLOR": "1"}
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                command,
                cwd=cluster.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def pid(self):
        return self.child.pid

    @property
    def status(self):
        return self.child.poll()

    def signal(self, number):
        if self.child.poll() is None:
            self.child.send_signal(number)

    def words(self):
        return self.log.read_text(errors="replace")

    def end(self):
        """Ends it, whatever it is doing."""
        self.signal(signal.SIGKILL)
        self.child.wait()


@dataclass
class Server:
    """What the mock server counted, and its list of requests in order of arrival. Times are of the monotonic clock."""

    counts: dict
    streams: dict
    requests: list

    def arrivals(self, worker=None):
        """When requests came, in seconds; of one worker or of all."""
        return [note["received_ns"] / 1e9 for note in self.requests if worker in (None, note["request_id"])]


class Cluster:
    """A case's processes, from start to end of a `with`."""

    def __init__(self, binary, folder, place, ending, case=None):
        self.binary, self.folder, self.place, self.ending, self.case = binary, folder, place, ending, case
        self.processes, self.workers, self.disks, self.master, self.begun = [], [], [], None, None

    def __enter__(self):
        script = [*(SCRIPT if self.case else AT_ONCE), "--keep-requests", "100000"]
        self.process("mock", net.MOCK, ["mock-server", *self.place.listen(), *script])
        self.until("the mock server listens", self.stats)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.end()
        for disk in self.disks:
            net.run("umount", str(disk))
        self.place.close()

    def process(self, name, node, arguments):
        process = Process(self, name, node, arguments)
        self.processes.append(process)
        return process

    def start(self, more=(), workers=3, delay_s=0.0):
        """Starts a master and its workers, each so far away from it, and waits for the first request."""
        self.command = ["master", *self.place.bind(), "-H", self.place.server(), "--expect-workers", str(workers)]
        self.command += [*self.load(), *SHAPE, *OUTPUTS, *more]
        self.start_master()
        for _ in range(workers):
            self.add_worker(delay_s)
        self.until("requests come", self.first_request)

    def start_master(self):
        self.master = self.process("master", net.MASTER, self.command)

    def load(self):
        run_time = ["-t", f"{self.case.run_s}s"]
        if self.case.is_open:
            return ["--qps", str(QPS), "-u", str(SLOTS), *run_time]
        return ["-u", str(USERS), "-r", str(USERS), "--start-spread", "0s", *run_time]

    def add_worker(self, delay_s=0.0):
        number = len(self.workers)
        node, name = net.FIRST_WORKER + number, f"w{number}"
        self.place.add(node, delay_s)
        # The server's list tells by this header who sent a request.
        arguments = ["worker", "--master", self.place.master(), "--threads", "1", "--header", f"x-request-id:{name}"]
        self.workers.append(self.process(name, node, arguments))

    def stats(self):
        """The server's counts as they stand; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.place.server()}/stats", timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            return None

    def first_request(self):
        counted = self.stats()
        if counted and counted["requests"]["numbered"]:
            self.begun = time.monotonic()
        return self.begun

    def until(self, what, condition, patience=PATIENCE_S):
        """Waits until a condition holds, or until it is clear that it never will."""
        limit = time.monotonic() + patience
        while not (found := condition()):
            if self.ending.is_set():
                raise Interrupted
            if time.monotonic() > limit or self.refused():
                raise Stuck(f"never: {what}")
            time.sleep(0.05)
        return found

    def refused(self):
        """The master has ended, and no request ever came."""
        return self.master is not None and self.begun is None and self.master.status is not None

    def at(self, second):
        """Waits for a second of the run, counted from the first request as the harness saw it."""
        left = self.begun + second - time.monotonic()
        if left > 0 and self.ending.wait(left):
            raise Interrupted

    def finish(self):
        """Waits for the master's end."""
        limit = self.case.run_s + PATIENCE_S
        self.until("the master ends", lambda: self.master.status is not None, limit)

    def settle(self):
        """Waits until all workers have ended by themselves."""
        self.until("the workers end", lambda: all(worker.status is not None for worker in self.workers))

    def report(self, journal):
        """Makes the result again from the journal. Returns the exit status."""
        files = ["--json-file", "result.json", "--summary-file", "rows.csv"]
        report = self.process("report", net.MASTER, ["report", journal, *files])
        self.until("the report ends", lambda: report.status is not None)
        return report.status

    def result(self):
        path = self.folder / "result.json"
        return json.loads(path.read_text()) if path.exists() else None

    def small_disk(self):
        """A folder on a disk of its own, which is soon full."""
        disk = self.folder / "disk"
        disk.mkdir()
        net.run("mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk))
        self.disks.append(disk)
        return disk

    def server(self):
        """What the server says once nothing is open there any more."""
        counted = self.until("the server is idle", self.idle)
        (self.folder / "server.json").write_text(json.dumps(counted))
        requests = sorted(counted.pop("last_requests"), key=lambda note: note["received_ns"])
        return Server(counted["requests"], counted["streams"], requests)

    def idle(self):
        counted = self.stats()
        return counted if counted["streams"]["open"] == 0 else None

    def pause(self, seconds):
        if self.ending.wait(seconds):
            raise Interrupted


def numbered(binary, folder, ending, count):
    """The numbers of an open loop's first so many requests, by their bodies: each is sent after the one before."""
    with Cluster(binary, folder, net.Loopback(), ending) as cluster:
        one_by_one = ["-u", "1", "--qps", "1000", "--max-requests", str(count)]
        command = ["run", "-H", cluster.place.server(), *one_by_one, *SHAPE, *OUTPUTS]
        run = cluster.process("run", net.MASTER, command)
        cluster.until("the numbers are known", lambda: run.status is not None)
        numbers = {note["body_sha256"]: number for number, note in enumerate(cluster.server().requests)}
    if len(numbers) != count:
        raise Stuck(f"{len(numbers)} different requests, not {count}: {run.words()}")
    return numbers
