#!/bin/sh
# Counts the worker's own instructions (user code, no kernel) an event, under valgrind: a figure that no busy machine changes.
# Two runs of bench-self's paced streams that differ in length alone; what the start of the program takes cancels out.
# Under valgrind the worker is behind its server, so that a read brings several events: compare such counts with each other.
#
#   tests/instructions.sh          build a release of this tree and count
#   LLMLOAD_BINARY=FILE ...        count another build of the program
#   LLMLOAD_ENGINE=NAME ...        the HTTP engine (lean here)
#
# It takes some minutes. callgrind.out of the longer run is kept in target/ for callgrind_annotate.
set -eu
cd "$(dirname "$0")/.."
if ! command -v valgrind >/dev/null; then
  echo "valgrind is not installed" >&2
  exit 2
fi
if [ -z "${LLMLOAD_BINARY:-}" ]; then
  cargo build --release --locked
  LLMLOAD_BINARY=target/release/llmload
fi
engine=${LLMLOAD_ENGINE:-lean}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Prints instructions and events of a run of this many "seconds", which are a measure of its length only.
count() {
  "$LLMLOAD_BINARY" bench-self paced --engine "$engine" --pairs 1 --seconds "$1" --json "$folder/bench.json" \
    --wrap "valgrind -q --tool=callgrind --callgrind-out-file=$folder/callgrind.out" >"$folder/table"
  instructions=$(awk '/^(totals|summary):/ { print $2; exit }' "$folder/callgrind.out")
  events=$(awk '/"worker": "/ { worker = 1 } worker && /"events_seen"/ { gsub(/[^0-9]/, "", $2); print $2; exit }' "$folder/bench.json")
  echo "$instructions $events"
}

short=$(count 1)
long=$(count 2)
mkdir -p target
cp "$folder/callgrind.out" target/callgrind.out
echo "$short $long" | awk '{
  printf "%d instructions for %d events, %d for %d\n", $1, $2, $3, $4
  printf "%.0f instructions an event\n", ($3 - $1) / ($4 - $2)
}'
