#!/usr/bin/env bash
# The pages of a real run and of a real bench suite, against the built-in mock, in Chromium. usage: tests/browser/real.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
cargo build --quiet --locked
binary=$root/${CARGO_TARGET_DIR:-target}/debug/llmload
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"
# What this machine makes of the figures is no matter here.
"$binary" run --mock -u 4 -t 3s --only-summary --allow-invalid --html run.html > /dev/null
"$binary" bench-suite --mock --allow-invalid --tokenizer built-in --input-lengths 32,128 --output-lengths 8,16 \
  --parallel-requests 1,2,4 --repeats 1 --max-queries 60 --max-duration-prompt-ingestion 2 --max-duration-kv-cache-profile 2 \
  --max-duration-speed-generation 3 --min-duration-speed-generation 1 --target-queries-nb-speed-generation 6 \
  --min-number-of-valid-queries 2 > suite.log 2>&1 || { cat suite.log >&2; exit 1; }
cp results/report/report.html suite.html
bash "$here/run.sh" run.html suite.html
