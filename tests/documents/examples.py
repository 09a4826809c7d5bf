#!/usr/bin/env python3
"""Runs the examples of a document and puts what they print in its place.

    tests/documents/examples.py target/release/llmload docs/commands.md [--check]

An example is a block of `sh`, one command a line, that a block of `text` follows: its output, standard error among it,
as a terminal shows it. A line that ends in ` &` goes on in the background to the end of the document.
All examples of a document run in one empty folder, in order, on ports that the system gives; the ports that the document
names stand for them. A comment before the text says what of it is shown, and the exit status of its last command:

    <!-- tail 12 -->    <!-- head 20, exit 2 -->    <!-- part 'first words' 9 -->

With `--check` nothing is written: examples must run and end as the document says. There a run whose figures are not to be
trusted, which is status 4 and the machine's matter, is as good as one whose figures are.
"""

import argparse
import fcntl
import os
import pathlib
import pty
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

COLUMNS = 120
# The ports that documents name: the server's, a master's, the pages'.
NAMED = ("8000", "5557", "8089", "9464")
EXAMPLE = re.compile(
    r"```sh\n(?P<lines>(?:(?!```).*\n)*)```\n\n(?:<!-- (?P<how>[^>]*) -->\n)?```text\n(?P<told>(?:(?!```).*\n)*)```\n"
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Stage:
    """One folder with the program on its path, and everything that goes on in the background."""

    def __init__(self, program):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="llmload-examples-"))
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "llmload").symlink_to(pathlib.Path(program).resolve())
        (self.folder / "work").mkdir()
        self.ports = {named: free_port() for named in NAMED}
        self.behind = []
        own = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder), "TERM": "dumb", "NO_COLOR": "1"}
        self.environment = own | {"XDG_STATE_HOME": str(self.folder / "state"), "LANG": "C.UTF-8"}

    def at_ports(self, text):
        for named, port in self.ports.items():
            text = re.sub(rf"(?<=[: ]){named}\b", port, text)
        return text

    def as_named(self, text):
        for named, port in self.ports.items():
            text = text.replace(port, named)
        return text.replace(str(self.folder / "work"), ".").replace(str(self.folder), "~")

    def run(self, line):
        """What `line` prints on a terminal, and its exit status."""
        line = self.at_ports(line)
        is_behind = line.endswith(" &")
        line = line.removesuffix(" &")
        ours, theirs = pty.openpty()
        size = struct.pack("HHHH", 40, COLUMNS, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}" if is_behind else line],
            cwd=self.folder / "work",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        if is_behind:
            self.behind.append((process, ours))
            return self.first_words(ours), None
        return read_all(ours), process.wait()

    def first_words(self, terminal):
        """Whoever serves says so; only then the next line is run."""
        said = os.read(terminal, 65536)
        return said.decode(errors="replace").replace("\r\n", "\n")

    def close(self):
        for process, terminal in self.behind:
            process.terminate()
            process.wait()
            os.close(terminal)
        shutil.rmtree(self.folder, ignore_errors=True)


def read_all(terminal):
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(terminal)
    return b"".join(pieces).decode(errors="replace").replace("\r\n", "\n")


def shown(text, how):
    """The part of an output that the document shows."""
    lines = [line.rstrip() for line in text.rstrip("\n").split("\n")]
    for wish in how:
        words = shlex.split(wish)
        if words[0] == "tail":
            lines = lines[-int(words[1]) :]
        elif words[0] == "head":
            lines = lines[: int(words[1])] + ["…"] * (len(lines) > int(words[1]))
        elif words[0] == "part":
            start = next((at for at, line in enumerate(lines) if words[1] in line), None)
            if start is None:
                sys.exit(f"no line of the output has `{words[1]}`:\n{text}")
            lines = lines[start : start + int(words[2])]
    return "\n".join(lines) + "\n"


def play(stage, found, failures, is_checked):
    how = [wish.strip() for wish in (found["how"] or "").split(",") if wish.strip()]
    wanted = next((int(wish.split()[1]) for wish in how if wish.startswith("exit ")), 0)
    told, status = [], 0
    accepted = (None, 0, 4) if is_checked else (None, 0)
    for line in found["lines"].replace("\\\n", " ").splitlines():
        # What is said beside a command is for readers.
        line = re.sub(r"\s+# .*$", "", line)
        started = time.monotonic()
        words, status = stage.run(line)
        print(f"  {line}: {'goes on' if status is None else status}, {time.monotonic() - started:.1f} s", flush=True)
        told.append(words)
        # What is to end badly may follow something that does, too.
        if status not in accepted and not wanted:
            failures.append(f"`{line}` ended with {status}:\n{words}")
    if wanted and status != wanted:
        failures.append(f"`{line}` ended with {status} instead of {wanted}:\n{told[-1]}")
    text = stage.as_named("".join(told))
    note = f"<!-- {found['how']} -->\n" if found["how"] else ""
    return f"```sh\n{found['lines']}```\n\n{note}```text\n{shown(text, how)}```\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("documents", nargs="+", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    failures = []
    for document in arguments.documents:
        print(document, flush=True)
        stage = Stage(arguments.program)
        try:
            text = document.read_text()
            made = EXAMPLE.sub(lambda found: play(stage, found, failures, arguments.check), text)
        finally:
            stage.close()
        if not arguments.check and not failures:
            document.write_text(made)
    for failure in failures:
        print(failure, file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
