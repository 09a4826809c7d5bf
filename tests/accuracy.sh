#!/bin/sh
# Measures a release build: what it reports against what the mock stamped, at 1, 64 and 256 streams of 100 tokens/s.
#
#   tests/accuracy.sh             build and measure this tree
#   LLMLOAD_BINARY=FILE ...       measure another build of the program
#   LLMLOAD_ACCURACY_ROUNDS=N ... requests that each stream sends, a second each (20 here)
#
# TTFT and gaps are means in milliseconds; "of full" is the output rate of what the streams allow.
set -eu
cd "$(dirname "$0")/.."
export LLMLOAD_ACCURACY_ROUNDS="${LLMLOAD_ACCURACY_ROUNDS:-20}"
exec cargo test --release --test it -- accuracy:: --nocapture --test-threads 1
