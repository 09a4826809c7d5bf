#!/usr/bin/env bash
# Makes the pictures of the documents again, each from a real run. usage: docs/pictures/make.sh [terminal]...   (none: all)
# Needs Rust and Python 3; what else a picture needs is installed below target/ci.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${LLMLOAD_CI_CACHE:-$PWD/target/ci}

# The live view, as a terminal shows it: pyte is that terminal.
picture_terminal() {
  if ! [ -x "$cache/pictures/bin/python" ]; then
    python3 -m venv "$cache/pictures"
    "$cache/pictures/bin/pip" install --quiet --disable-pip-version-check pyte==0.8.2
  fi
  "$cache/pictures/bin/python" docs/pictures/terminal.py --binary target/release/llmload --out docs/pictures/terminal.svg
}

cargo build --release --locked --bin llmload
[ $# -gt 0 ] || set -- terminal
for picture; do "picture_$picture"; done
