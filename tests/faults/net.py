"""Where the processes of a case live: namespaces joined by two bridges, whose control links can be cut; or loopback.

It starts no process and judges nothing. All names live in a network and a mount namespace of the harness's own
(see run.py): when the harness ends, however it does, the kernel removes them.
"""

import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections import deque

HUB, MOCK, MASTER, FIRST_WORKER = 1, 2, 3, 10

# Every so many frames one is lost, in each direction. An even pattern, so that one run is like the other.
LOST_ONE_IN = 20

# What a case may need beyond processes: own networks, `ss -K`, a slow wire, a disk of its own.
NEEDS = ("net", "reset", "slow", "disk")

# Of <linux/if_tun.h>.
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


class NetError(Exception):
    """A network that cannot be had, and why."""


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise NetError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def batch(lines, namespace=None):
    """Many `ip` commands in one process."""
    within = ["-n", namespace] if namespace else []
    run("ip", *within, "-batch", "-", text="\n".join(lines) + "\n")


class Loopback:
    """No network of its own: for cases in which nothing happens to the network."""

    def __init__(self):
        with socket.socket() as probes, socket.socket() as other:
            for probe in (probes, other):
                probe.bind(("127.0.0.1", 0))
            self.port, self.control_port = probes.getsockname()[1], other.getsockname()[1]

    def add(self, node, delay_s=0.0):
        pass

    def enter(self, node):
        return []

    def server(self):
        return f"http://127.0.0.1:{self.port}"

    def listen(self):
        return ["--host", "127.0.0.1", "--port", str(self.port)]

    def bind(self):
        return ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(self.control_port)]

    def master(self):
        return f"127.0.0.1:{self.control_port}"

    def close(self):
        pass


class Namespaces:
    """A namespace for each node. Network 0 leads to the server, network 1 to the master."""

    port, control_port = 8000, 5557

    def __init__(self, number):
        self.number = number
        self.bridges = [f"b{number}n0", f"b{number}n1"]
        self.wires = []
        lines = []
        for bridge in self.bridges:
            lines += [f"link add {bridge} type bridge forward_delay 0", f"link set {bridge} up"]
        batch([*lines, f"addr add {self.address(0, HUB)}/24 dev {self.bridges[0]}"])
        self.add(MOCK)
        self.add(MASTER)

    def address(self, network, node):
        return f"10.{self.number}.{network}.{node}"

    def name(self, node):
        return f"c{self.number}x{node}"

    def link(self, network, node):
        return f"v{self.number}n{network}x{node}"

    def add(self, node, delay_s=0.0):
        """A namespace with its two links; the control link is a `Wire` if it is to be slow."""
        batch([f"netns add {self.name(node)}"])
        inner = ["link set lo up"]
        for network in (0, 1):
            outer, end, name = self.link(network, node), f"e{network}", self.name(node)
            if network == 1 and delay_s:
                self.wires.append(Wire(delay_s, outer, f"t{self.number}x{node}"))
                batch([f"link set t{self.number}x{node} netns {name}"])
                inner.append(f"link set t{self.number}x{node} name {end}")
            else:
                batch([f"link add {outer} type veth peer name {end} netns {name}"])
            batch([f"link set {outer} master {self.bridges[network]} up"])
            inner += [f"addr add {self.address(network, node)}/24 dev {end}", f"link set {end} up"]
        batch(inner, self.name(node))

    def enter(self, node):
        return ["nsenter", f"--net=/run/netns/{self.name(node)}"]

    def server(self):
        return f"http://{self.address(0, MOCK)}:{self.port}"

    def listen(self):
        return ["--host", self.address(0, MOCK), "--port", str(self.port)]

    def bind(self):
        # Beyond loopback, in plain text: these networks end within the harness.
        address = self.address(1, MASTER)
        return ["--master-bind-host", address, "--master-bind-port", str(self.control_port), "--insecure"]

    def master(self):
        return f"{self.address(1, MASTER)}:{self.control_port}"

    def cut(self, node):
        """Frames between this node and the master vanish; nobody is told."""
        batch([f"link set {self.link(1, node)} nomaster"])

    def heal(self, node):
        batch([f"link set {self.link(1, node)} master {self.bridges[1]}"])

    def reset(self, node):
        """Ends this node's connections to the master with a reset, and says how many there were."""
        dead = run(*self.enter(node), "ss", "-KHtn", "dst", self.address(1, MASTER), "dport", f"= {self.control_port}")
        return len(dead.splitlines())

    def close(self):
        for wire in self.wires:
            wire.close()
        for node in (MOCK, MASTER):
            subprocess.run(["ip", "netns", "del", self.name(node)], capture_output=True)


class Wire:
    """Two ends (TAP devices) and what carries frames between them: late, and one in `LOST_ONE_IN` not at all.

    It does what `tc netem` does where the kernel has it, and loses by a pattern instead of by chance.
    """

    def __init__(self, delay_s, *names):
        self.delay_s = delay_s
        self.ends = [tap(name) for name in names]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def carry(self):
        queues = {end: deque() for end in self.ends}
        other = dict(zip(self.ends, reversed(self.ends)))
        seen = dict.fromkeys(self.ends, 0)
        while not self.ending.is_set():
            due = [queue[0][0] for queue in queues.values() if queue]
            patience = min([max(0.0, min(due) - time.monotonic()), 0.2]) if due else 0.2
            for end in select.select(self.ends, [], [], patience)[0]:
                frame = os.read(end, 65536)
                seen[end] += 1
                if seen[end] % LOST_ONE_IN:
                    queues[other[end]].append((time.monotonic() + self.delay_s, frame))
            for end, queue in queues.items():
                while queue and queue[0][0] <= time.monotonic():
                    send(end, queue.popleft()[1])

    def close(self):
        self.ending.set()
        self.thread.join()
        for end in self.ends:
            os.close(end)


def tap(name):
    """A TAP device of this name; its other side is the returned file."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return end


def send(end, frame):
    try:
        os.write(end, frame)
    except OSError:
        # The device is down: a link that is not there loses what is sent over it.
        pass


def lacking():
    """What this machine lacks for a case, by the name of the need; empty where nothing is missing."""
    tools = [tool for tool in ("ip", "nsenter", "mount") if shutil.which(tool) is None]
    if tools:
        return dict.fromkeys(NEEDS, f"no {', '.join(tools)} here")
    missing = {}
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        missing["slow"] = "/dev/net/tun may not be opened"
    if shutil.which("ss") is None or not resets():
        missing["reset"] = "`ss -K` ends no connections here"
    return missing


def resets():
    """Whether the kernel ends connections when it is asked to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            port = client.getsockname()[1]
            subprocess.run(["ss", "-KHtn", "sport", f"= {port}"], capture_output=True, timeout=60)
            client.settimeout(1)
            try:
                return client.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True
