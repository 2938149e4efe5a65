#!/bin/sh
# Speed of our redactor and of others over the same texts, in one run: benches/redact_peers/run.sh TEXTS.jsonl
# TEXTS.jsonl: JSON lines {"id", "text"}. Needs cargo, and python3 with venv for Presidio; builds in target/redact-peers.
set -eu
texts=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/target/redact-peers
mkdir -p "$work"
python3 -c 'import json,sys
for line in open(sys.argv[1], encoding="utf-8"): print(json.loads(line)["text"].replace("\n", " "))' "$texts" > "$work/texts.txt"
cd "$root"
# The dev profile is optimised (opt-level 2); the figures of all are of it.
HEADWATER_REDACT_TEXTS="$work/texts.txt" cargo test -q --workspace --bench redact -- --bench
cargo run -q --manifest-path "$here/Cargo.toml" --target-dir "$work/target" -- "$texts" 5
if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q presidio-analyzer
fi
"$work/venv/bin/python" "$here/presidio.py" "$texts" 0.1
