"""Containers as a kernel knows them: namespaces, a root of their own, a user, limits; no engine and no daemon.

It knows how one is started, looked into and ended, and not when. All of it lives in the harness's own namespaces (run.py):
when the harness ends, however it does, the kernel removes what is left.
"""

import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import dns
import net

HUB = 1

# What a container needs of the machine, since the binary that is tested is not the image's static one.
SYSTEM = ("usr", "bin", "sbin", "lib", "lib64")


@dataclass(frozen=True)
class Image:
    """What an image brings: its program, its user, and folders that volumes take their owner from."""

    program: Path
    user: int
    folders: tuple
    # Its users, as lines of /etc/passwd.
    users: tuple = ()


def own_image(dockerfile, binary):
    """llmload's image, as the last stage of its Dockerfile describes it."""
    text = dockerfile.read_text()
    user = int(re.search(r"^USER (\d+):\1$", text, re.M)[1])
    if f"--chown={user}:{user} /image /" not in text or 'ENTRYPOINT ["/llmload"]' not in text:
        raise net.NetError("the Dockerfile's image is not what the harness takes it for")
    made = re.search(r"mkdir -p (.*?)(?: \\)?$", text[text.index("/image/") - 60 :], re.M)[1]
    return Image(binary, user, tuple(folder.removeprefix("/image") for folder in made.split()))


class Network:
    """A bridge with a namespace for each container, and one file of names for all of them."""

    def __init__(self, number, folder):
        self.number, self.bridge, self.names = number, f"d{number}", {}
        self.hosts, self.next = folder / "hosts", HUB + 1
        self.hosts.write_text("")
        self.known = {}
        net.batch([
            f"link add {self.bridge} type bridge forward_delay 0",
            f"link set {self.bridge} up",
            f"addr add {self.address(HUB)}/24 dev {self.bridge}",
        ])
        # For programs that ask a server and look into no file.
        self.server = dns.Names(self.address(HUB), lambda name: self.known.get(name, []))

    def address(self, node):
        return f"10.{self.number}.0.{node}"

    def add(self, is_joined):
        """A new namespace. Returns its name and its address, which is none where it is not joined to the others."""
        node, self.next = self.next, self.next + 1
        name = f"d{self.number}x{node}"
        net.batch([f"netns add {name}"])
        net.batch(["link set lo up"], name)
        if not is_joined:
            return name, None
        net.batch([f"link add {name} type veth peer name eth0 netns {name}", f"link set {name} master {self.bridge} up"])
        net.batch([f"addr add {self.address(node)}/24 dev eth0", "link set eth0 up"], name)
        return name, self.address(node)

    def call(self, names):
        """Makes these names known to all containers at once: name → addresses."""
        self.known = names
        lines = ["127.0.0.1 localhost", *(f"{at} {name}" for name, every in names.items() for at in every)]
        # Written in place: containers have this file, not its name. A line is never half there: it grows or ends in blanks.
        text = "\n".join(lines) + "\n"
        with self.hosts.open("r+") as file:
            file.write(text.ljust(self.hosts.stat().st_size, "\n"))

    def close(self):
        self.server.close()
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)


class Running:
    """A container that was started."""

    def __init__(self, place, container, hostname, image, sources):
        """`sources` are the mounts' folders on this machine; `place` is a case's `Place`."""
        self.container, self.hostname, self.image = container, hostname, image
        self.space, self.address = place.network.add(container.has_network)
        self.log = place.folder / f"{hostname}.{place.started}.log"
        place.started += 1
        self.root = place.folder / f"root.{self.space}"
        self.root.mkdir()
        user = image.user if container.user is None else container.user
        self.user, self.group = user, user if container.group is None else container.group
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": hostname, **container.environment}
        command = [
            "nsenter", f"--net=/run/netns/{self.space}",
            sys.executable, str(Path(__file__).with_name("launch.py")),
            "sh", "-euc", self.script(place, sources),
        ]
        with self.log.open("wb") as out:
            self.child = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.begun = time.monotonic()

    def script(self, place, sources):
        """What makes the container's root and becomes its program. It is process 1, as in a container."""
        root = shlex.quote(str(self.root))
        lines = [
            "mount --make-rprivate /",
            f"echo {self.hostname} > /proc/sys/kernel/hostname",
            f"mount -t tmpfs -o mode=755 none {root}",
            f"cd {root}",
            "mkdir proc dev etc run tmp",
            "mount -t proc proc proc",
            "for file in null zero full random urandom; do touch dev/$file; mount --bind /dev/$file dev/$file; done",
            "ln -s /proc/self/fd dev/fd",
            "echo 'hosts: files' > etc/nsswitch.conf",
            *(f"echo {shlex.quote(line)} >> etc/passwd" for line in self.image.users),
            f"echo nameserver {place.network.address(HUB)} > etc/resolv.conf",
            f"touch etc/hosts program; mount --bind {shlex.quote(str(place.network.hosts))} etc/hosts",
            f"mount --bind {shlex.quote(str(self.image.program))} program",
        ]
        for name in SYSTEM:
            path = Path("/") / name
            if path.is_symlink():
                lines.append(f"ln -s {os.readlink(path)} {name}")
            elif path.exists():
                lines.append(f"mkdir {name}; mount --bind /{name} {name}; mount -o remount,bind,ro {name}")
        for mount, source in zip(self.container.mounts, sources, strict=True):
            target, source = shlex.quote(mount.target.lstrip("/")), Path(source)
            make = f"mkdir -p {target}" if source.is_dir() else f"mkdir -p $(dirname {target}); touch {target}"
            lines.append(f"{make}; mount --bind {shlex.quote(str(source))} {target}")
            if mount.read_only:
                lines.append(f"mount -o remount,bind,ro {target}")
        if self.container.read_only:
            lines.append("mount -o remount,ro .")
        lines.append(f"exec {shlex.join(self.within([*(self.container.entrypoint or ['/program']), *self.container.command]))}")
        return "\n".join(lines)

    def within(self, command):
        """A command as the container's user, below its root, with nothing that a plain user has not."""
        # Here nobody may raise the machine's own limit, as an engine may.
        limit = self.container.open_files and min(self.container.open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        groups = [str(self.container.fs_group)] if self.container.fs_group is not None else []
        return [
            "chroot", str(self.root), "/usr/bin/env", "--chdir=/tmp",
            *(["/usr/bin/prlimit", f"--nofile={limit}:{limit}"] if limit else []),
            "/usr/bin/setpriv", f"--reuid={self.user}", f"--regid={self.group}",
            f"--groups={','.join(groups)}" if groups else "--clear-groups",
            "--no-new-privs", "--inh-caps=-all",
            f"--bounding-set={','.join(['-all', *(f'+{name}' for name in self.container.capabilities)])}", "--",
            *command,
        ]

    @property
    def pid(self):
        """The container's first process, as this harness knows it; none while it is not there."""
        try:
            children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    @property
    def status(self):
        """The exit status as an engine tells it; none while it runs."""
        return self.child.poll()

    def signal(self, number):
        pid = self.pid
        if self.child.poll() is None and pid is not None:
            os.kill(pid, number)

    def words(self):
        return self.log.read_text(errors="replace")

    def execute(self, command, timeout=20.0):
        """Runs a command in the container as an engine's probe does. Returns its status and what it said."""
        pid = self.pid
        if pid is None:
            return None, "the container is not there"
        program = ["/program" if command[0] == "/llmload" else command[0], *command[1:]]
        enter = ["nsenter", f"--target={pid}", "--mount", "--net", "--uts", "--ipc", "--pid"]
        done = subprocess.run(
            [*enter, *self.within(program)], env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        return done.returncode, done.stdout + done.stderr

    def stop(self):
        """As an engine stops it: SIGTERM, and SIGKILL when its grace is over. Returns how long it took, in seconds."""
        begun = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            self.child.wait(self.container.grace_s)
        except subprocess.TimeoutExpired:
            self.end()
        return time.monotonic() - begun

    def end(self):
        self.signal(signal.SIGKILL)
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def users():
    """How many users this namespace has."""
    return int(Path("/proc/self/uid_map").read_text().split()[2])


def lacking():
    """What this machine lacks, in words; nothing where containers can be made of it."""
    tools = ("ip", "nsenter", "mount", "chroot", "setpriv", "prlimit")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} here"
    if users() < 65535:
        return "users of a container are not to be had here: this is not root"
    return None
