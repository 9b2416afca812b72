#!/usr/bin/env bash
# vLLM's build for CPUs in an environment of its own, from its lock: `install.sh DIR`. torch comes as in deploy/setup.sh. What
# vLLM needs for pictures and sound is left out: a gigabyte that reads no text.
set -euo pipefail
cd "$(dirname "$0")/../.."
DIR=$1 UV=.venv/bin/uv LOCK=deploy/requirements/vllm.lock PYTHON=${PYTHON:-python3.11} TORCH=2.13.0
"$PYTHON" -m venv --clear "$DIR"
"$DIR/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps "torch==$TORCH" 2>/dev/null \
  || "$UV" pip install --quiet --python "$DIR/bin/python" --torch-backend cpu "torch==$TORCH"
"$UV" pip install --quiet --no-config --python "$DIR/bin/python" --no-deps --require-hashes -r "$LOCK"
cp "$LOCK" "$DIR/installed.lock"
