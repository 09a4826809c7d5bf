#!/usr/bin/env bash
# Runs llmload and its peers against the same mock server on the same cores, and prints what each costs and tells.
# usage: tests/peers/run.sh [OPTION]...      -h lists them; needs Linux, two cores, Python 3.11 or newer, and Rust
#
# The first run installs the peers below target/peers: locust, aiperf and guidellm from PyPI (about 7 GB, most of it
# libraries that guidellm asks for) and oha from crates.io, which takes a few minutes to compile.
# LLMLOAD_BINARY=FILE           measure this build of llmload (as --llmload does)
# LLMLOAD_PEERS_TOKENIZER=DIR   a folder with the tokenizer that aiperf loads; absent: a small one that is made here
#
# fireworks.py, beside this file, holds every figure of llmload against the old benchmark's own script, and bench_suite.py
# against benchmark_llm_serving: see their heads.
set -euo pipefail
exec python3 -B "$(cd "$(dirname "$0")" && pwd)/side_by_side.py" "$@"
