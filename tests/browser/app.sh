#!/usr/bin/env bash
# The live page of `llmload run --web`, against the built-in mock, in Chromium. usage: tests/browser/app.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/browser
work=${LLMLOAD_CI_CACHE:-$root/target/ci}/browser
mkdir -p "$out" "$work"
(cd "$root" && cargo build --quiet --locked)

# In a copy: nothing is installed among the sources.
cp "$here"/*.json "$here"/*.mjs "$work/"
cd "$work"
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --cache "$work/../npm" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
CHROMIUM=$chromium OUT=$out LLMLOAD=$root/${CARGO_TARGET_DIR:-target}/debug/llmload node --test --test-reporter=spec app.test.mjs
