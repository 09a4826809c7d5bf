#!/usr/bin/env bash
# Builds the live page's script and style in a copy and holds them against what is committed. usage: check.sh CACHE
# To build what is to be committed: npm ci && npm run build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$1/live
work=$root/web/page
mkdir -p "$work" "$root/page/web/src"
rm -rf "$work/src" "$root/built"
cp -r "$here/src" "$here"/*.json "$here/build.mjs" "$work/"
cp "$here/../../page/web/src/colours.css" "$root/page/web/src/"
cd "$work"
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --cache "$1/npm" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
npm run --silent check
node build.mjs "$root/built"
diff -rq "$root/built" "$here/../built" || { echo "src/web/built is not what src/web/page gives" >&2; exit 1; }
