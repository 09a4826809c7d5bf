#!/usr/bin/env python3
"""Runs a master with three workers against a mock server in a pseudo-terminal, and draws what that shows as SVG.

usage: docs/pictures/terminal.py [--binary PATH] [--out FILE] [--after SECONDS] [--size COLUMNSxROWS] [--keys TEXT]
The picture holds no font: text is set in the reader's monospace, each piece stretched to its columns; bars and frames
are drawn as shapes, so that they meet whatever the font. See make.sh.
"""

import argparse
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from html import escape
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parent.parent.parent
# A server that fills up: its queue is to be seen in the latency of first tokens.
SERVER = "--tokens-per-word 1.27 --ttft lognormal(400ms,0.3) --inter-token lognormal(30ms,0.2) --max-running 56 --fault status=0.008:503 --fault cut=0.003"
LOAD = "--stages 4-23qps:45s,23qps:45s --qps-distribution exponential -u 96 -p 256 -o 64 --seed 7 --expect-workers 3"

CELL_WIDTH, CELL_HEIGHT, FONT = 8.4, 18, 14
EDGE, BAR = 14, 30
BACKGROUND, BAND, INK, FAINT = "#14181f", "#1f2530", "#dfe4ec", "#8b95a5"
# By the names and the numbers of the first colours, as pyte has them.
COLOURS = {"cyan": "#56c8d8", "green": "#7fcf7f", "brown": "#e5c267", "red": "#f07178"}
COLOURS |= {"00cdcd": COLOURS["cyan"], "00cd00": COLOURS["green"], "cdcd00": COLOURS["brown"], "cd0000": COLOURS["red"]}


class Screen(pyte.Screen):
    """pyte's, which does not know faint text: what blinks here is faint."""

    def select_graphic_rendition(self, *attrs):
        super().select_graphic_rendition(*attrs)
        rest = list(attrs) or [0]
        while rest:
            attr = rest.pop(0)
            if attr in (38, 48):
                del rest[: 2 if rest[:1] == [5] else 4]
            elif attr in (0, 2, 22):
                self.cursor.attrs = self.cursor.attrs._replace(blink=attr == 2)


def look(command, folder, columns, rows, after, keys, started):
    """Runs `command` on a terminal, presses keys, and returns its screen after some seconds. Ends it by q."""
    child, person = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(TERM="xterm-256color", LANG="C.UTF-8", HF_HUB_OFFLINE="1")
        os.environ.pop("NO_COLOR", None)
        os.execv(command[0], command)
    fcntl.ioctl(person, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen = Screen(columns, rows)
    stream = pyte.ByteStream(screen)

    def follow(until, found=lambda: False):
        while time.monotonic() < until and not found():
            if select.select([person], [], [], 0.1)[0]:
                try:
                    stream.feed(os.read(person, 65536))
                except OSError:
                    return

    def shows(words):
        return any(words in line for line in screen.display)

    follow(time.monotonic() + 30, lambda: shows("listening on ") and shows("WAITING"))
    line = next(line for line in screen.display if "listening on " in line)
    others = started(line.split("listening on ")[1].split(";")[0])
    follow(time.monotonic() + 30, lambda: shows("RUNNING"))
    follow(time.monotonic() + after)
    os.write(person, keys.encode())
    follow(time.monotonic() + 2)
    cells = [[screen.buffer[row][column] for column in range(columns)] for row in range(rows)]
    os.write(person, b"qq")
    ended = time.monotonic() + 30
    while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < ended:
        follow(time.monotonic() + 0.1)
    for other in others:
        other.wait(timeout=30)
    return cells


def style(cell):
    """Ink, ground, whether bold, whether faint."""
    ink, ground = COLOURS.get(cell.fg, INK), None
    if cell.reverse:
        ink, ground = BACKGROUND, ink
    return ink, ground, cell.bold, cell.blink and not cell.reverse


def shapes(symbol, x, y):
    """A bar or a part of a frame; None for what is text."""
    middle, centre, right, below = y + CELL_HEIGHT / 2, x + CELL_WIDTH / 2, x + CELL_WIDTH, y + CELL_HEIGHT
    if "▁" <= symbol <= "█":
        height = (ord(symbol) - ord("▁") + 1) * CELL_HEIGHT / 8
        # Neighbouring bars stay apart.
        return ("fill", f"M{x:.1f} {below - height:.2f}h{CELL_WIDTH - 1:.1f}v{height:.2f}h{1 - CELL_WIDTH:.1f}z")
    lines = {
        "─": f"M{x:.1f} {middle}H{right:.1f}",
        "│": f"M{centre:.1f} {y}V{below}",
        "╭": f"M{centre:.1f} {below}V{middle + 4}q0 -4 4 -4H{right:.1f}",
        "╮": f"M{centre:.1f} {below}V{middle + 4}q0 -4 -4 -4H{x:.1f}",
        "╰": f"M{centre:.1f} {y}V{middle - 4}q0 4 4 4H{right:.1f}",
        "╯": f"M{centre:.1f} {y}V{middle - 4}q0 4 -4 4H{x:.1f}",
    }
    if symbol == "━":
        return ("fill", f"M{x:.1f} {middle - 2}H{right:.1f}v4H{x:.1f}z")
    return ("stroke", lines[symbol]) if symbol in lines else None


def pieces(row):
    """Texts of one style in a row: (column, text, style). Blanks between words of one style stay inside a piece."""
    found = []
    for column, cell in enumerate(row):
        is_text = cell.data.strip() and not shapes(cell.data, 0, 0)
        if not is_text:
            continue
        last = found[-1] if found else None
        if last and last[2] == style(cell) and column - (last[0] + len(last[1])) <= 1:
            gap = column - (last[0] + len(last[1]))
            last[1] += " " * gap + cell.data
        else:
            found.append([column, cell.data, style(cell)])
    return found


def draw(cells, title):
    rows, columns = len(cells), len(cells[0])
    width, height = columns * CELL_WIDTH + 2 * EDGE, rows * CELL_HEIGHT + BAR + 2 * EDGE
    paths, grounds, texts = {}, [], []
    for number, row in enumerate(cells):
        y = BAR + EDGE + number * CELL_HEIGHT
        for column, cell in enumerate(row):
            x = EDGE + column * CELL_WIDTH
            ink, ground, _, faint = style(cell)
            if ground:
                grounds.append(f'<rect x="{x:.1f}" y="{y}" width="{CELL_WIDTH + 0.2:.1f}" height="{CELL_HEIGHT}" fill="{ground}"/>')
            shape = shapes(cell.data, x, y)
            if shape:
                paths.setdefault((shape[0], ink, faint), []).append(shape[1])
        for column, text, (ink, _, bold, faint) in pieces(row):
            x, base = EDGE + column * CELL_WIDTH, y + CELL_HEIGHT * 0.72
            marks = f' fill="{FAINT if faint and ink == INK else ink}"' + (' font-weight="600"' if bold else "")
            texts.append(
                f'<text x="{x:.1f}" y="{base:.1f}" textLength="{len(text) * CELL_WIDTH:.1f}"{marks}>{escape(text)}</text>'
            )
    drawn = []
    for (kind, ink, faint), parts in paths.items():
        ink = "#3d4656" if faint and kind == "stroke" else ink
        how = f'fill="{ink}"' if kind == "fill" else f'fill="none" stroke="{ink}" stroke-width="1.2"'
        drawn.append(f'<path {how} d="{"".join(parts)}"/>')
    name = f'<text x="{width / 2:.0f}" y="{BAR * 0.66:.0f}" text-anchor="middle" fill="{FAINT}" font-size="13">{escape(title)}</text>'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
            f'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{FONT}">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="{BACKGROUND}"/>',
            f'<path fill="{BAND}" d="M0 {BAR}V10a10 10 0 0 1 10 -10H{width - 10:.0f}a10 10 0 0 1 10 10V{BAR}z"/>',
            name,
            '<g xml:space="preserve">',
            *grounds,
            *drawn,
            *texts,
            "</g>",
            "</svg>",
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/llmload")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/pictures/terminal.svg")
    parser.add_argument("--after", type=float, default=62)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--keys", default="")
    args = parser.parse_args()
    columns, rows = map(int, args.size.split("x"))
    binary = str(args.binary.resolve())
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [binary, "mock-server", "--port", "0", "--model", "llama-3.1-8b", *SERVER.split()],
            stdout=subprocess.PIPE, text=True, cwd=folder,
        )
        try:
            said = server.stdout.readline()
            address = said.split("listening on ")[1].strip()
            command = [binary, "master", "-H", address, "-m", "llama-3.1-8b", "--provider", "vllm", "--master-bind-port", "0", *LOAD.split()]

            def workers(master):
                words = [binary, "worker", "--master", master, "--threads", "1"]
                return [subprocess.Popen(words, stderr=subprocess.DEVNULL, cwd=folder) for _ in range(3)]

            cells = look(command, folder, columns, rows, args.after, args.keys, workers)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=30)
    picture = draw(cells, "llmload master --stages 4-23qps:45s,23qps:45s --expect-workers 3")
    args.out.write_text(picture)
    print(f"{args.out}: {len(picture) / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
