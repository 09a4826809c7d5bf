#!/usr/bin/env bash
# Builds the page's script and style in a copy and holds them against what is committed. usage: check.sh CACHE
# To build what is to be committed: npm ci && npm run build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$1/web
mkdir -p "$work"
rm -rf "$work/src" "$work/built"
cp -r "$here/src" "$here"/*.json "$here/build.mjs" "$work/"
cd "$work"
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --cache "$1/npm" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
npm run --silent check
node build.mjs "$work/built"
diff -rq "$work/built" "$here/../built" || { echo "src/page/built is not what src/page/web gives" >&2; exit 1; }
