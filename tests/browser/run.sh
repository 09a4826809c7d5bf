#!/usr/bin/env bash
# Pages of llmload in Chromium. usage: tests/browser/run.sh [FILE.html]...   (none: a sample page with everything, made by
# the library's own tests). Pictures are left in target/browser. CHROMIUM names the browser if it is not `chromium`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/browser
work=${LLMLOAD_CI_CACHE:-$root/target/ci}/browser
mkdir -p "$out" "$work"

pages=()
for page in "$@"; do pages+=("$(realpath "$page")"); done
if [ ${#pages[@]} -eq 0 ]; then
  pages=("$out/sample.html")
  (cd "$root" && LLMLOAD_PAGE_SAMPLE=${pages[0]} cargo test --quiet --locked --lib page::sample)
fi

# In a copy: nothing is installed among the sources.
cp "$here"/*.json "$here"/*.mjs "$work/"
cd "$work"
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --cache "$work/../npm" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
CHROMIUM=$chromium PAGES=$(printf '%s\n' "${pages[@]}") OUT=$out node --test --test-reporter=spec page.test.mjs
