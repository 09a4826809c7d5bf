#!/usr/bin/env bash
# The dashboards in deploy/grafana against the schema that Grafana publishes at npm. usage: grafana.sh CACHE_FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mkdir -p "${1:?usage: grafana.sh CACHE_FOLDER}/grafana" && cd "$1/grafana" && pwd)

# In a copy: nothing is installed among the sources.
cp "$here"/grafana/* "$work/"
cd "$work"
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --cache "$work/../npm" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed
fi
node check.mjs "$root"/deploy/grafana/dashboards/*.json
